"""What an instance is to whoever looks at many: one standing each, by what matters most. Words stand in templates."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from control.domain.outpost import InstanceState
from control.fleet.instances import InstanceView


class Standing(StrEnum):
    """What an instance is, in the order of a legend."""

    HEALTHY = "healthy"
    OUTDATED = "outdated"
    DRAINING = "draining"
    FAULTY = "faulty"
    UNSUPPORTED = "unsupported"
    DISCONNECTED = "disconnected"


def standing(view: InstanceView) -> Standing:
    """The one word for an instance."""
    if view.unsupported:
        return Standing.UNSUPPORTED
    match view.instance.state:
        case InstanceState.DISCONNECTED:
            return Standing.DISCONNECTED
        case InstanceState.DRAINING:
            return Standing.DRAINING
        case InstanceState.CONNECTED:
            settled = Standing.OUTDATED if view.outdated else Standing.HEALTHY
            return settled if view.healthy else Standing.FAULTY


def tally(views: Iterable[InstanceView]) -> Mapping[Standing, int]:
    """How many instances there are of each standing; every standing is named."""
    counts = dict.fromkeys(Standing, 0)
    for view in views:
        counts[standing(view)] += 1
    return counts
