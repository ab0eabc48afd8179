"""Ids of what is kept in the order it happened: UUIDs of version 7 (RFC 9562 section 5.7).

Many events share a moment, since a unit of work has one time for all it writes. A counter of the process sits between
the time and the random part (section 6.2, method 1), so that they sort as they were made.
"""

from datetime import UTC, datetime, timedelta
from itertools import count
from secrets import randbits
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTER_BITS, _RANDOM_BITS = 26, 48
_counter = count()


def ordered_id(at: datetime) -> UUID:
    """An id that sorts after all that this process made for earlier moments, or before for the same one."""
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    number = next(_counter) % (1 << _COUNTER_BITS)
    high, low = number >> 14, number & 0x3FFF
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 7 << 76 | high << 64 | 2 << 62 | low << _RANDOM_BITS
    return UUID(int=value | randbits(_RANDOM_BITS))
