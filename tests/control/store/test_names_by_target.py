"""What the audit trail says was done to some objects."""

from control.store import Event, Store
from tests.support.stores import ADMIN


def test_what_was_done_well_to_these_by_name(store: Store) -> None:
    with store.write(ADMIN) as unit:
        for target, name, outcome in (("1", "a", "success"), ("1", "a", "success"), ("1", "b", "success")):
            unit.record(Event(action="redeemed", kind="code", target=target, name=name, outcome=outcome))
        unit.record(Event(action="redeemed", kind="code", target="2", name="c", outcome="access_denied"))
        unit.record(Event(action="created", kind="code", target="2", name="d"))
        unit.record(Event(action="redeemed", kind="code", target="3", name="e"))
    with store.read() as unit:
        assert unit.audit.names_by_target("redeemed", ["1", "2"]) == {"1": {"a", "b"}}
        assert unit.audit.names_by_target("redeemed", []) == {}
