"""Numbers from repeated measurements: medians and percentiles, nothing fancier."""

import statistics
from collections.abc import Sequence


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of all don't exceed, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]


def spread(values: Sequence[float]) -> str:
    """Lowest to highest, for a reader who wonders how noisy the machine was."""
    return f"{min(values):,.0f} to {max(values):,.0f}"
