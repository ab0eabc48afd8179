"""Images: pulled before anything is touched; where the registry does not give them, what the engine has already.

Told to whoever follows: what is pulled, how far it is, and that the registry refused.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

from control.domain.task import LineLevel
from control.integrations.docker.engine import Engine
from control.integrations.docker.refusals import Refused
from control.integrations.model import ActionFailed, Report, Said, TargetAway

_ID = "sha256:"
_TOLD_EACH = 5.0
_DONE = frozenset({"Pull complete", "Already exists"})


def fetch(engine: Engine, reference: str, report: Report) -> str:
    """Pull it and return its id, as far as anybody has it; "" where nobody does. Raises TargetAway, Cancelled."""
    known = engine.find_image(reference)
    # What is named by its content is what it is.
    if known is not None and _ID in reference:
        return known
    try:
        _pull(engine, reference, report)
    except (Refused, TargetAway) as error:
        found = engine.find_image(reference) or ""
        detail = error.words if isinstance(error, Refused) else error.detail
        code = "pull_failed" if found else "no_image"
        report(Said(code=code, values={"image": reference, "detail": detail}, level=LineLevel.WARNING))
        return found
    return engine.find_image(reference) or ""


class Images:
    """Images of one engine while something is done there: what nobody had a moment ago is not asked for again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._absent: dict[str, str] = {}

    def fetch(self, reference: str, report: Report) -> str:
        """As the function, and remember why nobody has it."""

        def listen(said: Said) -> None:
            if said.code == "no_image":
                self._absent[reference] = said.values["detail"]
            report(said)

        self._absent.pop(reference, None)
        return fetch(self._engine, reference, listen)

    def ensure(self, reference: str, report: Report) -> None:
        """Have it there, pulling only what is not. Raises ActionFailed ("no_image"), TargetAway, Cancelled."""
        if self._engine.find_image(reference) is not None:
            return
        if reference in self._absent or not self.fetch(reference, report):
            raise ActionFailed("no_image", self._absent.get(reference, reference))


def _pull(engine: Engine, reference: str, report: Report) -> None:
    report(Said(code="pulling", values={"image": reference}))
    with closing(engine.pull(reference)) as messages:
        _follow(messages, reference, report)
    report(Said(code="pulled", values={"image": reference}))


def _follow(
    messages: Iterable[Mapping[str, Any] | None],
    reference: str,
    report: Report,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    layers: dict[str, bool] = {}
    told = clock()
    for message in messages:
        if message is not None and "id" in message and "progressDetail" in message:
            layers[str(message["id"])] = message.get("status") in _DONE
        if clock() - told >= _TOLD_EACH:
            told = clock()
            values = {"image": reference, "done": str(sum(layers.values())), "count": str(len(layers))}
            report(Said(code="pulling_layers", values=values))
        else:
            report(Said(code=""))
