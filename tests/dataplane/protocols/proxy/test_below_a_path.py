"""Where an application's address has a path, what lies beside it is not this provider's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dataplane.protocols.proxy.builders import ALICE, session
from tests.dataplane.protocols.proxy.servers import Peer, http_upstream, read_head
from tests.dataplane.protocols.proxy.standing import OK, fields, site, standing_before

ROOT = replace(ALICE, superuser=True)


@contextmanager
def based() -> Iterator[tuple[str, list[bytes]]]:
    """An application at an address that may have a path, and what it sees."""
    seen: list[bytes] = []

    def play(peer: Peer) -> None:
        while head := read_head(peer):
            seen.append(head)
            peer.sendall(OK)

    with http_upstream(play) as address:
        yield address, seen


@pytest.mark.parametrize(
    "target",
    [
        b"/../tenant2/x",
        b"/%2e%2e/x",
        b"/..%2fx",
        b"/a/../../x",
        b"/..\\x",
        b"/%5c..%5cx",
        b"/..;/x",
        b"/%252e%252e/x",
    ],
)
def test_nobody_leaves_it(tmp_path: Path, target: bytes) -> None:
    with based() as (address, seen), site(tmp_path) as wiki:
        assert not wiki.commit(**{"provider/p1": standing_before(f"{address}/tenant1")})
        assert wiki.ask(b"/x").body == b"ok"
        answer = wiki.ask(target, b"Accept: application/json")
        assert (answer.status, answer.json["error"]) == (400, "path_outside")
        assert "detail" not in answer.json
        told = wiki.ask(target, b"Accept: application/json", signed_in=session(identity=ROOT))
        assert "/tenant1" in told.json["detail"]
        assert wiki.ask(target, b"Accept: text/html", signed_in=False).status == 302
    assert [head.split(b"\r\n")[0] for head in seen] == [b"GET /tenant1/x HTTP/1.1"]


def test_not_by_the_address_of_ones_own(tmp_path: Path) -> None:
    with based() as (address, seen), site(tmp_path) as wiki:
        led = session(identity=replace(ALICE, backend_override=f"{address}/mine"))
        assert wiki.ask(b"/../yours", signed_in=led).status == 400
        assert wiki.ask(b"/x", signed_in=led).status == 200
        assert wiki.ask(b"/../yours").status == 200  # the others' has no path
    assert len(seen) == 1
    assert wiki.seen[0].startswith(b"GET /../yours HTTP/1.1\r\n")


def test_all_else_goes_on_as_it_came(tmp_path: Path) -> None:
    with based() as (address, seen), site(tmp_path) as wiki:
        assert not wiki.commit(**{"provider/p1": standing_before(f"{address}/tenant1")})
        targets = [b"//a", b"/./a", b"/%2fa", b"/a..b/...c", b"/caf%C3%A9", b"/?to=/../x", b"/a%2525b"]
        for target in targets:
            assert wiki.ask(target).status == 200
    assert [head.split(b" ")[1] for head in seen] == [b"/tenant1" + target for target in targets]


def test_what_is_moved_stays_below_it(tmp_path: Path) -> None:
    """RFC 4918 section 10.3: without a path it is the application's affair."""
    with based() as (address, seen), site(tmp_path) as wiki:
        theirs = b"Destination: https://other.example.com/b"
        assert wiki.ask(b"/a", theirs, method=b"MOVE").status == 200
        assert fields(wiki.seen[0])["destination"] == ["https://other.example.com/b"]
        assert not wiki.commit(**{"provider/p1": standing_before(f"{address}/tenant1")})
        ours = b"Destination: https://wiki.example.com/b"
        assert wiki.ask(b"/a", ours, method=b"MOVE").status == 200
        for lines in ((theirs,), (ours, theirs), (ours, ours), (b"Destination: /../tenant2",)):
            assert wiki.ask(b"/a", *lines, method=b"MOVE").status == 400
    (head,) = seen
    assert head.startswith(b"MOVE /tenant1/a HTTP/1.1")
    assert fields(head)["destination"] == ["https://wiki.example.com/tenant1/b"]
