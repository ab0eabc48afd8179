"""Which positions of the feed lead on to the present."""

from uuid import UUID, uuid4

import pytest

from control.domain.directory import Epoch, Position, leads_on

FIRST, SECOND, FOREIGN = uuid4(), uuid4(), uuid4()
EPOCHS = [Epoch(epoch=FIRST, since=10), Epoch(epoch=SECOND, since=20)]


@pytest.mark.parametrize(
    ("epoch", "revision", "leads"),
    [
        (FIRST, 9, False),
        (FIRST, 10, True),
        (FIRST, 20, True),
        (FIRST, 21, False),
        (SECOND, 19, False),
        (SECOND, 20, True),
        (SECOND, 30, True),
        (SECOND, 31, False),
        (FOREIGN, 20, False),
    ],
)
def test_a_position_leads_on_within_its_epoch(epoch: UUID, revision: int, leads: bool) -> None:
    assert leads_on(EPOCHS, Position(epoch=epoch, revision=revision), 30) is leads


def test_without_an_epoch_nothing_leads_on() -> None:
    assert not leads_on([], Position(epoch=FIRST, revision=0), 30)
