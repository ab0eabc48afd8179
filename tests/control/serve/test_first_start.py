"""The first start: one administrator, one authority, one embedded outpost, however many start at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from control.serve.first_start import FirstAdmin, prepare
from control.store import Sealer, SealingError, Store
from tests.support.databases import BOTH, Database
from tests.support.stores import Clock

STARTERS = 4


@pytest.fixture(params=BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def starting_at_once(stores: list[Store]) -> list[FirstAdmin | SealingError | None]:
    """What each start came to."""
    together = Barrier(len(stores))

    def start(store: Store) -> FirstAdmin | SealingError | None:
        together.wait(10)
        try:
            return prepare(store, None)
        except SealingError as error:
            return error

    with ThreadPoolExecutor(len(stores)) as pool:
        return list(pool.map(start, stores))


def test_of_several_at_once_one_makes_everything(database: Database, clock: Clock) -> None:
    stores = [database.store(clock) for _ in range(STARTERS)]
    made = [admin for admin in starting_at_once(stores) if admin is not None]
    assert [type(each) for each in made] == [FirstAdmin]
    with stores[0].read() as unit:
        assert [unit.superusers.usernames(), len(unit.authorities.all()), len(unit.signing_keys.all())] == [
            ["akadmin"],
            1,
            1,
        ]
        assert [outpost.embedded for outpost in unit.outposts.all()] == [True]
        assert len(unit.tokens.all()) == 1
    assert starting_at_once(stores[:1]) == [None]


def test_of_several_with_keys_of_their_own_the_first_wins_and_the_others_are_told(
    database: Database, clock: Clock
) -> None:
    stores = [Store(database.engine(), Sealer(key * 32), clock, lambda: None) for key in (b"a", b"b")]
    outcomes = sorted(starting_at_once(stores), key=lambda each: type(each).__name__)
    assert [type(each) for each in outcomes] == [FirstAdmin, SealingError]
