"""Which connections a revocation concerns: found by what they are bound by, and no others looked at."""

from dataclasses import dataclass, field, replace

from dataplane.config import Changed, Edit, Ended
from dataplane.protocols.ldap.binding import Bound
from dataplane.protocols.ldap.connections import Connections
from tests.dataplane.protocols.ldap.serving import ALICE, BOB, session_of
from tests.support.verifying import NOW


@dataclass(eq=False)
class Member:
    reasons: list[str] = field(default_factory=list)

    def revoke(self, reason: str) -> None:
        self.reasons.append(reason)


def bound(session: str, subject: str = ALICE.id, provider: str = "p1") -> Bound:
    person = replace(session_of(ALICE).identity, subject=subject)
    return Bound(provider=provider, application="a", session=replace(session_of(ALICE), id=session, identity=person))


def ended(session: str = "", subject: str = "", provider: str = "") -> Edit:
    entry = Ended(session=session, subject=subject, provider=provider, before=NOW, until=NOW + 1)
    return Edit(changed={"r": entry})


def test_by_session_by_person_and_by_provider() -> None:
    connections, (one, two, three) = Connections(), (Member(), Member(), Member())
    connections.enter(one, bound("s1"))
    connections.enter(two, bound("s2"))
    connections.enter(three, bound("s3", BOB.id, "p2"))
    changed = Changed(identity=session_of(BOB).identity, at=NOW, until=NOW + 1, denied_providers=frozenset({"p2"}))

    def found(edit: Edit) -> list[Member]:
        return [member for member, _ in connections.concerned(edit)]  # type: ignore[misc]  # all are of ours

    assert found(ended(session="s1")) == [one]
    assert found(ended(subject=ALICE.id)) == [one, two]
    assert found(ended(provider="p2")) == [three]
    assert found(ended(subject=ALICE.id, provider="p2")) == [one, two], "who looks closer judges"
    assert found(Edit(changed={"c": changed})) == [three]
    assert found(Edit(removed=frozenset({"r"}))) == []
    assert [member for member, _ in connections.of_providers(frozenset({"p1"}))] == [one, two]


def test_who_has_left_is_not_found_and_nothing_remains() -> None:
    connections, member = Connections(), Member()
    connections.leave(member)
    connections.enter(member, bound("s1"))
    assert len(connections) == 1
    connections.leave(member)
    assert len(connections) == 0
    assert connections.concerned(ended(session="s1")) == []
    assert connections.concerned(ended(subject=ALICE.id)) == []
