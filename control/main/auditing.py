"""`garrison audit`: the audit trail as JSON lines on standard output, with or without a running server."""

import os
import sys
import time
from collections.abc import Iterable, Sequence
from functools import partial

from control.domain.audit import as_json, read_filter
from control.domain.security import AuditEvent
from control.main.arguments import Arguments
from control.main.commands import existing_store
from control.store.trail import follow, parts

LOOK_SECONDS = 1.0


def audit(arguments: Arguments) -> int:
    """Print the events wanted, the oldest first; with --follow those that come, and before them those since --from."""
    wanted, store = read_filter(dict(arguments.wanted)), existing_store(arguments)
    pause = partial(time.sleep, LOOK_SECONDS)
    _print(follow(store, wanted, wanted.since, pause) if arguments.follow else parts(store, wanted))
    return 0


def _print(events: Iterable[Sequence[AuditEvent]]) -> None:
    """Write until there are no more, or nobody wants more: Ctrl-C, or the end of a pipe."""
    try:
        for part in events:
            sys.stdout.writelines(f"{as_json(event)}\n" for event in part)
            sys.stdout.flush()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
