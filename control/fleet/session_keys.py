"""The keys that seal the cookies of proxy sessions: one set per provider, the newest seals, older ones open."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from secrets import token_bytes
from uuid import UUID, uuid4

from control.domain.security import CookieKey
from control.store import Unit

KEY_BYTES = 32


def ensure_cookie_key(unit: Unit, provider: UUID) -> CookieKey:
    """The provider's newest key, made when there is none yet."""
    keys = unit.cookie_keys.of_provider(provider)
    return keys[0] if keys else replace_cookie_key(unit, provider)


def replace_cookie_key(unit: Unit, provider: UUID) -> CookieKey:
    """Give the provider a new key; cookies of the older ones open as long as their sessions can last."""
    key = CookieKey(id=uuid4(), provider=provider, secret=token_bytes(KEY_BYTES), created=unit.now)
    return unit.cookie_keys.add(key)


def keys_in_use(keys: Sequence[CookieKey], validity: timedelta, now: datetime) -> tuple[CookieKey, ...]:
    """Of a provider's keys, newest first, those that some live cookie may be sealed with."""
    successors = zip(keys[1:], keys, strict=False)
    return (*keys[:1], *(old for old, newer in successors if newer.created + validity > now))
