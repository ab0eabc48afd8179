"""`garrison audit`: the audit trail as JSON lines on standard output, with or without a running server."""

import os
import signal
import sys
from collections.abc import Iterable, Sequence

from control.domain.audit import as_json, read_filter
from control.domain.security import AuditEvent
from control.main.arguments import Arguments
from control.main.commands import existing_store
from control.store.trail import follow, parts

LOOK_SECONDS = 1.0


def audit(arguments: Arguments) -> int:
    """Print the events wanted, the oldest first; with --follow those that come, and before them those since --from."""
    wanted, store = read_filter(dict(arguments.wanted)), existing_store(arguments)
    if arguments.follow:
        # Waited for, not raised: a KeyboardInterrupt in the midst of a look at the database may get lost there.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        _print(follow(store, wanted, wanted.since, _pause))
    else:
        _print(parts(store, wanted))
    return 0


def _pause() -> None:
    """Between two looks. Raises KeyboardInterrupt."""
    if signal.sigtimedwait({signal.SIGINT}, LOOK_SECONDS) is not None:
        raise KeyboardInterrupt


def _print(events: Iterable[Sequence[AuditEvent]]) -> None:
    """Write until there are no more, or nobody wants more: Ctrl-C, or the end of a pipe."""
    try:
        for part in events:
            sys.stdout.writelines(f"{as_json(event)}\n" for event in part)
            sys.stdout.flush()
            if signal.SIGINT in signal.sigpending():
                return
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
