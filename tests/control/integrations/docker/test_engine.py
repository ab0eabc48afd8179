"""What is told of an engine that doesn't answer in time."""

from contextlib import closing
from threading import Event

import pytest

from control.integrations.docker.dialing import UnixDialer, Wire
from control.integrations.docker.engine import Engine
from control.integrations.docker.limits import Limits
from control.integrations.model import TargetAway


class _Hangs(UnixDialer):
    """No connection comes about before it is cut: as SSH, it only knows then that something ended."""

    def __init__(self) -> None:
        super().__init__("/nowhere")
        self._was_cut = Event()

    def dial(self, within: float) -> Wire:
        assert self._was_cut.wait(10 * within)
        raise TargetAway("ssh_refused", "ended the connection")

    def cut(self) -> None:
        self._was_cut.set()


def test_who_is_cut_off_was_late_whatever_the_dialer_says() -> None:
    with pytest.raises(TargetAway) as away, closing(Engine(_Hangs(), Limits(connect=0.5, first=0.01, call=0.01))):
        pass

    assert away.value.code == "engine_away"
    assert away.value.detail.endswith("no answer within 0.01 s")
