"""Who is locked out: found by name and address, a page at a time, and by user."""

from datetime import timedelta
from uuid import UUID, uuid4

from control.domain.factors import Failures
from control.store import Store, Unit
from tests.support.stores import ADMIN, Clock

ALICE, BOB = uuid4(), uuid4()


def lock(unit: Unit, bucket: str, shown: str, address: str, seconds: int) -> None:
    until = unit.now + timedelta(seconds=seconds)
    unit.failures.put(
        Failures(
            bucket=bucket, shown=shown, address=address, count=9, first=unit.now, last=unit.now, locked_until=until
        )
    )


def fill(store: Store) -> None:
    with store.write(ADMIN) as unit:
        lock(unit, f"user/{ALICE}", "alice", "192.0.2.1", 40)
        lock(unit, f"pair/{ALICE}/192.0.2.1", "alice", "192.0.2.1", 60)
        lock(unit, "address/192.0.2.1", "192.0.2.1", "192.0.2.1", 50)
        lock(unit, f"user/{BOB}", "b%b", "2001:db8::/64", 30)
        lock(unit, f"user/{uuid4()}", "over", "192.0.2.3", 0)


def found(store: Store, text: str, offset: int = 0, limit: int = 9) -> tuple[list[str], int]:
    with store.read() as unit:
        locked, total = unit.failures.search(text, offset, limit)
    return [each.shown for each in locked], total


def about(store: Store, user: UUID) -> list[str]:
    with store.read() as unit:
        return [each.bucket for each in unit.failures.locked_about(user)]


def test_the_longest_come_first_a_page_at_a_time(store: Store) -> None:
    fill(store)
    assert found(store, "") == (["alice", "192.0.2.1", "alice", "b%b"], 4)
    assert found(store, "", 1, 2) == (["192.0.2.1", "alice"], 4)


def test_text_is_looked_for_as_it_is(store: Store) -> None:
    fill(store)
    assert found(store, "ALI") == (["alice", "alice"], 2)
    assert found(store, "2.0.2.1")[1] == 3
    assert found(store, "%") == (["b%b"], 1)
    assert found(store, "a\0b") == ([], 0)


def test_those_of_a_user_everywhere_and_at_addresses(store: Store, clock: Clock) -> None:
    fill(store)
    assert about(store, ALICE) == [f"pair/{ALICE}/192.0.2.1", f"user/{ALICE}"]
    assert about(store, uuid4()) == []
    clock.advance(seconds=45)
    assert about(store, ALICE) == [f"pair/{ALICE}/192.0.2.1"]
