from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.config import SessionKey
from dataplane.gate import BasicCredentials, ProxySession, SessionReference
from dataplane.protocols.proxy.cookies import (
    MAX_PARTS,
    MAX_SESSION,
    Sealer,
    cookie_name,
    find_session,
    find_tokens,
    find_values,
    seal_session,
    split_token,
)
from tests.dataplane.protocols.proxy.builders import ALICE, KEY, Randomness, session

NAME = b"authentik_proxy_12345678"


def sealer(provider: str = "p1", *keys: SessionKey) -> Sealer:
    return Sealer(provider, keys or (KEY,), Randomness())


def find_token(header_: bytes, name: bytes) -> bytes | None:
    return next(find_tokens(header_, name), None)


def header(token: bytes) -> bytes:
    names = [NAME, NAME + b"_1", NAME + b"_2"]
    return b"; ".join(b"%s=%s" % pair for pair in zip(names, split_token(token), strict=False))


def test_the_name_is_authentiks() -> None:
    assert cookie_name("wiki-client") == b"authentik_proxy_633601a8"


class TestSealing:
    def test_opens_what_it_sealed(self) -> None:
        assert find_session(sealer(), "p1", seal_session(sealer(), session())) == session()

    def test_an_older_key_opens_and_the_newest_seals(self) -> None:
        new = SessionKey(id="k2", secret=b"n" * 32)
        token = seal_session(sealer(), session())
        assert find_session(sealer("p1", new, KEY), "p1", token) == session()
        assert seal_session(sealer("p1", new, KEY), session()).split(b".")[0] != token.split(b".")[0]

    def test_a_retired_key_opens_nothing(self) -> None:
        token = seal_session(sealer(), session())
        assert find_session(sealer("p1", SessionKey(id="k2", secret=b"n" * 32)), "p1", token) is None

    def test_another_providers_cookie_is_foreign_even_under_the_same_key(self) -> None:
        assert find_session(sealer("p2"), "p2", seal_session(sealer("p1"), session())) is None

    def test_a_state_is_no_session(self) -> None:
        content = ["s", "u", 1.0, 2.0]
        assert sealer().find("session", sealer().seal("state", content)) is None
        assert sealer().find("state", sealer().seal("state", content)) == content

    @given(st.data())
    def test_one_changed_bit_opens_nothing(self, data: st.DataObject) -> None:
        token = seal_session(sealer(), session())
        position = data.draw(st.integers(0, len(token) - 2))  # the last letter has bits that mean nothing
        bit = 1 << data.draw(st.integers(0, 7))
        changed = token[:position] + bytes([token[position] ^ bit]) + token[position + 1 :]
        assert find_session(sealer(), "p1", changed) is None

    @given(st.binary(max_size=200))
    def test_garbage_is_as_if_absent(self, garbage: bytes) -> None:
        assert sealer().find("session", garbage) is None
        prefix = seal_session(sealer(), session()).split(b".")[0]
        assert sealer().find("session", prefix + b"." + garbage) is None

    @pytest.mark.parametrize(
        "content",
        [None, 1, "x", [], {}, ["s", "u", 1.0], ["s", "u", "1", 2.0], [1, "u", 1.0, 2.0], ["s", "u", 1.0, 2.0, 3]],
    )
    def test_sealed_nonsense_is_no_session(self, content: object) -> None:
        assert find_session(sealer(), "p1", sealer().seal("session", content)) is None


class TestParts:
    @given(st.integers(1, MAX_SESSION))
    def test_what_is_split_is_joined(self, size: int) -> None:
        token = (b"0123456789" * 800)[:size]
        assert len(split_token(token)) <= MAX_PARTS
        assert all(len(part) < 4000 for part in split_token(token))
        assert find_token(header(token), NAME) == token

    def test_a_missing_part_is_no_session(self) -> None:
        whole = header(b"x" * 5000)
        assert find_token(whole.split(b"; ")[0], NAME) is None

    def test_a_stale_further_part_does_not_matter(self) -> None:
        assert find_token(header(b"abc") + b"; " + NAME + b"_1=old", NAME) == b"abc"

    def test_order_and_neighbours_do_not_matter(self) -> None:
        parts = header(b"x" * 5000).split(b"; ")
        assert find_token(b"a=b; " + b"; ".join(reversed(parts)) + b"; c=d", NAME) == b"x" * 5000

    @pytest.mark.parametrize("value", [b"", b"0.x", b"4.x", b"9.x", b"x", b"1", b"-1.x", b"11.x"])
    def test_malformed_counts_are_no_session(self, value: bytes) -> None:
        assert find_token(NAME + b"=" + value, NAME) is None

    def test_names_match_whole(self) -> None:
        assert list(find_values(b"x" + NAME + b"=1; " + NAME + b"=2;" + NAME + b"=3; " + NAME + b"_1=4", NAME)) == [
            b"2",
            b"3",
        ]

    @given(st.binary(max_size=300))
    def test_any_header_is_read_without_error(self, raw: bytes) -> None:
        find_token(raw.replace(b"N", NAME), NAME)


def crowded(count: int) -> ProxySession:
    """Someone in many groups with names that don't compress."""
    import hashlib

    names = tuple(hashlib.sha256(str(number).encode()).hexdigest() for number in range(count))
    return session(identity=replace(ALICE, groups=names))


class TestElision:
    def test_a_session_fits_into_eight_kilobytes_or_is_reduced(self) -> None:
        for count in (0, 50, 100, 150, 200, 1000):
            token = seal_session(sealer(), crowded(count))
            assert len(token) <= MAX_SESSION
            match find_session(sealer(), "p1", token):
                case ProxySession() as whole:
                    assert whole == crowded(count)
                case SessionReference() as bounds:
                    assert count > 100
                    assert (bounds.session, bounds.subject) == ("s1", "u1")
                    assert (bounds.authenticated, bounds.expires) == (session().authenticated, session().expires)
                case None:
                    pytest.fail("a sealed session has to open")

    def test_what_the_application_is_sent_is_kept_with_it(self) -> None:
        basic = BasicCredentials(username="al", password="p:w")
        sending = session(basic=basic)
        token = seal_session(sealer(), sending)
        assert find_session(sealer(), "p1", token) == sending
        assert b"p:w" not in token
        assert "p:w" not in repr(sending)
        reduced = find_session(sealer(), "p1", seal_session(sealer(), replace(crowded(1000), basic=basic)))
        assert isinstance(reduced, SessionReference), "it is looked up with the rest"

    @pytest.mark.parametrize("basic", [None, BasicCredentials(username="al", password="p:w")])
    @pytest.mark.parametrize(
        "more",
        [{"superuser": True}, {"backend_override": "http://10.0.0.9:1"}, {"host_header": "inner.test"}],
    )
    def test_where_someone_is_led_is_kept_with_them(
        self, basic: BasicCredentials | None, more: dict[str, object]
    ) -> None:
        led = session(basic=basic, identity=replace(ALICE, **more))  # type: ignore[arg-type]  # by its names
        assert find_session(sealer(), "p1", seal_session(sealer(), led)) == led

    @pytest.mark.parametrize("rest", [[], [["al", "p:w"]]])
    def test_what_was_sealed_before_that_opens(self, rest: list[object]) -> None:
        held = session()
        person = held.identity
        content = [
            held.id, person.subject, held.authenticated, held.expires, person.username, person.name, person.email,
            person.groups, person.entitlements, person.additional_headers, held.id_token, *rest,
        ]  # fmt: skip
        basic = BasicCredentials(username="al", password="p:w") if rest else None
        assert find_session(sealer(), "p1", sealer().seal("session", content)) == replace(held, basic=basic)

    def test_a_thousand_groups_are_reduced_and_the_proof_is_kept(self) -> None:
        proven = replace(crowded(1000), proof="pr00f")
        found = find_session(sealer(), "p1", seal_session(sealer(), proven))
        assert isinstance(found, SessionReference)
        assert (found.proof, "pr00f" in repr(found) + repr(proven)) == ("pr00f", False)

    def test_what_was_reduced_before_there_were_proofs_opens_without_one(self) -> None:
        found = find_session(sealer(), "p1", sealer().seal("session", ["s", "u", 1.0, 2.0]))
        assert isinstance(found, SessionReference)
        assert (found.session, found.proof) == ("s", "")
