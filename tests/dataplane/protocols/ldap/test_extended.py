"""Who am I, and another password: whose, and what control says of it."""

from dataclasses import replace

import pytest

from dataplane.config import DirectoryEdit, DirectoryEntry, DirectoryUser
from dataplane.gate import PasswordAnswer, PasswordChanged, PasswordRefusal, Unavailable
from dataplane.protocols.ldap.binding import Bound
from dataplane.protocols.ldap.extended import change_password, notice, who_am_i
from dataplane.protocols.ldap.messages import ResultCode
from dataplane.protocols.ldap.tree import Viewer
from dataplane.protocols.ldap.trees import Trees
from tests.dataplane.protocols.ldap.serving import (
    ALICE,
    BASE,
    BOB,
    PEOPLE,
    PROVIDER,
    STAFF,
    DirectoryGate,
    entries,
    session_of,
    user_dn,
)
from tests.support import ldap_ber as ber

BOUND = Bound(provider=PROVIDER.id, application="directory", session=session_of(ALICE))
WRONG = "the present password is wrong"


def viewer(*people: DirectoryEntry) -> Viewer:
    found = Trees([PROVIDER])
    found.apply(DirectoryEdit(changed=entries(STAFF, *people), begins=True), lambda: None)
    tree = found.get(PROVIDER.id)
    assert tree is not None
    return tree.viewer(ALICE.id)


def asked(gate: DirectoryGate, *parts: bytes) -> tuple[int, str, bytes | None]:
    found = change_password(gate, viewer(*PEOPLE), BOUND, ber.sequence(*parts), "192.0.2.7")
    return found.result.code, found.result.diagnostic, found.value


OLD, NEW = ber.octets("old", 0x81), ber.octets("new", 0x82)


def identity(text: str) -> bytes:
    return ber.octets(text, 0x80)


@pytest.mark.parametrize(
    "named",
    [
        (),
        (identity(""),),
        (identity(user_dn("alice")),),
        (identity(f"UID=Alice, ou=Users,{BASE}"),),
        (identity(f"dn:{user_dn('alice')}"),),
        (identity("u:alice"),),
    ],
)
def test_ones_own_password_in_whatever_way_one_is_named(named: tuple[bytes, ...]) -> None:
    gate = DirectoryGate()
    assert asked(gate, *named, OLD, NEW) == (0, "", None)
    (change,) = gate.changes
    assert (change.username, change.present, change.wanted, change.client_address) == (
        "alice",
        "old",
        "new",
        "192.0.2.7",
    )


@pytest.mark.parametrize("named", [user_dn("bob"), "u:bob", "dn:", "nonsense", f"cn=staff,ou=groups,{BASE}", BASE])
def test_somebody_elses_is_not_ones_own(named: str) -> None:
    gate = DirectoryGate()
    assert asked(gate, identity(named), OLD, NEW)[0] == ResultCode.INSUFFICIENT_ACCESS_RIGHTS
    assert gate.changes == []


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ((), ResultCode.UNWILLING_TO_PERFORM),
        ((NEW,), ResultCode.UNWILLING_TO_PERFORM),
        ((ber.octets("", 0x81), NEW), ResultCode.UNWILLING_TO_PERFORM),
        ((OLD, ber.octets("", 0x82)), ResultCode.CONSTRAINT_VIOLATION),
        ((OLD, ber.octets(b"\xff", 0x82)), ResultCode.CONSTRAINT_VIOLATION),
        ((ber.octets(b"\xff", 0x81), NEW), ResultCode.INVALID_CREDENTIALS),
        ((ber.octets(b"\xff", 0x80),), ResultCode.PROTOCOL_ERROR),
    ],
)
def test_what_control_is_not_asked(parts: tuple[bytes, ...], code: ResultCode) -> None:
    gate = DirectoryGate()
    assert asked(gate, *parts)[0] == code
    assert gate.changes == []


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (PasswordRefusal.INVALID_CREDENTIALS, ResultCode.INVALID_CREDENTIALS),
        (PasswordRefusal.LOCKED_OUT, ResultCode.INVALID_CREDENTIALS),
        (PasswordRefusal.BUSY, ResultCode.BUSY),
        (PasswordRefusal.UNSUITABLE, ResultCode.CONSTRAINT_VIOLATION),
        (PasswordRefusal.ACCESS_DENIED, ResultCode.INSUFFICIENT_ACCESS_RIGHTS),
        (Unavailable("away"), ResultCode.UNAVAILABLE),
    ],
)
def test_control_says_no(answer: PasswordAnswer, code: ResultCode) -> None:
    assert asked(DirectoryGate(changed=answer), OLD, NEW)[0] == code


def test_a_lockout_does_not_tell_itself() -> None:
    texts = {asked(DirectoryGate(changed=each), OLD, NEW)[1] for each in list(PasswordRefusal)[:2]}
    assert texts == {WRONG}


def test_a_password_that_control_thinks_of_comes_back() -> None:
    code, _, value = asked(DirectoryGate(changed=PasswordChanged("gen3rated")), OLD)
    assert (code, value) == (0, ber.sequence(ber.octets("gen3rated", 0x80)))


@pytest.mark.parametrize(
    ("people", "username"),
    [((replace(ALICE, username="alina"), replace(BOB, username="alice")), "alina"), ((), "alice")],
)
def test_who_was_renamed_since_goes_by_the_new_name(people: tuple[DirectoryUser, ...], username: str) -> None:
    gate = DirectoryGate()
    assert change_password(gate, viewer(*people), BOUND, ber.sequence(OLD, NEW), "").result.code == 0
    assert [change.username for change in gate.changes] == [username]


def test_who_one_is() -> None:
    assert who_am_i("", None).value == b""
    assert who_am_i(user_dn("alice"), BOUND).value == f"dn:{user_dn('alice')}".encode()
    assert who_am_i("", replace(BOUND)).value == b"u:alice"


def test_the_notice_of_disconnection() -> None:
    ((_, message),) = ber.elements(notice(ResultCode.UNAVAILABLE, "bye"))
    (_, number), (_, operation) = ber.elements(message)
    found = ber.answer(operation, b"", ())
    assert (number, found.code, found.text, found.oid) == (b"\0", 52, "bye", "1.3.6.1.4.1.1466.20036")
