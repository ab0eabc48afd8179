"""How long a process that ended waits before it is started again."""

from control.serve.backoff import next_delay


def test_it_doubles_up_to_half_a_minute() -> None:
    delays: list[float] = []
    delay: float | None = None
    for _ in range(9):
        delay = next_delay(delay, ran=0.1)
        delays.append(delay)
    assert delays == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_stable_minute_is_forgiven() -> None:
    assert next_delay(30, ran=59.9) == 30
    assert next_delay(30, ran=60) == 0.5
