"""Cookie keys: made once, replaced on demand, kept as long as a cookie can last."""

from datetime import datetime, timedelta
from uuid import uuid4

from control.domain.security import CookieKey
from control.fleet.session_keys import ensure_cookie_key, keys_in_use, replace_cookie_key
from control.store import Store
from tests.support import builders
from tests.support.stores import ADMIN, Clock

DAY = timedelta(days=1)


def test_a_provider_gets_one_key(store: Store) -> None:
    with store.write(ADMIN) as unit:
        provider = unit.providers.add(builders.provider())
        key = ensure_cookie_key(unit, provider.id)
        assert ensure_cookie_key(unit, provider.id) == key
        assert (len(key.secret), len(unit.cookie_keys.of_provider(provider.id))) == (32, 1)


def test_the_newest_seals(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        provider = unit.providers.add(builders.provider())
        ensure_cookie_key(unit, provider.id)
    clock.advance(hours=1)
    with store.write(ADMIN) as unit:
        newer = replace_cookie_key(unit, provider.id)
        assert unit.cookie_keys.of_provider(provider.id)[0] == newer
        assert ensure_cookie_key(unit, provider.id) == newer


def test_an_older_key_opens_until_its_last_cookie_has_run_out(clock: Clock) -> None:
    def key(made: datetime) -> CookieKey:
        return CookieKey(id=uuid4(), provider=uuid4(), secret=b"k" * 32, created=made)

    newest, older, oldest = (key(clock.now - days * DAY) for days in (1, 3, 9))
    assert keys_in_use([newest, older, oldest], 2 * DAY, clock.now) == (newest, older)
    assert keys_in_use([newest, older, oldest], 2 * DAY, clock.now + DAY) == (newest,)
    assert keys_in_use([newest, older, oldest], 4 * DAY, clock.now) == (newest, older, oldest)
    assert keys_in_use([], DAY, clock.now) == ()
