"""How long anything that is asked of a Docker engine may take, and how much it may say. All times in seconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """One value for every wait: an engine that hangs must not hang who asks it.

    `connect` is for one connection (TCP, TLS, all of SSH), `first` for the first answer, by which an engine that hangs
    is told from one that is slow, and `call` for any other call and its answer. A stream may be `quiet`
    that long between two messages; a pull ends after `pull`. A container has `healthy` to become so (one
    without a health check has to run for `steady`), and `leave` to end by itself before it is killed. Whoever waits for
    a pull or a container has a turn each `poll`. `follow` is how long nothing may happen until the stream of events is
    asked for anew. `answer` is the most bytes of one answer, `message` of one message in a stream.
    """

    connect: float = 10.0
    first: float = 10.0
    call: float = 60.0
    quiet: float = 60.0
    pull: float = 900.0
    healthy: float = 120.0
    poll: float = 0.5
    steady: float = 10.0
    leave: float = 10.0
    follow: float = 20.0
    answer: int = 32 * 1024 * 1024
    message: int = 1024 * 1024


LIMITS = Limits()
