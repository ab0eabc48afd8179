"""How long to wait before a process that ended is started again: doubling, forgotten after a stable minute."""

FIRST = 0.5
LONGEST = 30.0
STABLE = 60.0


def next_delay(previous: float | None, ran: float) -> float:
    """The wait after a run of `ran` seconds; `previous` is the wait before it, None for the first start."""
    if previous is None or ran >= STABLE:
        return FIRST
    return min(LONGEST, previous * 2)
