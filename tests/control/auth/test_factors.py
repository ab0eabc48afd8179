"""Authenticator apps and recovery codes: what counts, what is good once, and what is nobody else's."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest

from control.auth import factors, totp
from control.domain.errors import Invalid, NotFound
from control.domain.factors import Authenticator, Method
from control.domain.identity import User
from tests.support.auth import World
from tests.support.second_factors import code_of, enrol
from tests.support.stores import ADMIN, Clock


def check(world: World, user: User, code: str) -> Method | None:
    with world.store.write(ADMIN) as unit:
        return factors.check_code(unit, user.id, code)


def has_one(world: World, user: User) -> bool:
    with world.store.read() as unit:
        return factors.has_second_factor(unit, user.id)


def left(world: World, user: User) -> int:
    with world.store.read() as unit:
        return factors.recovery_codes_left(unit, user.id)


def begin(world: World, user: User, name: str = "Phone") -> Authenticator:
    with world.store.write(ADMIN) as unit:
        return factors.begin_enrolment(unit, user.id, name)


def wrong(world: World, name: str) -> str:
    with pytest.raises(Invalid) as caught, world.store.write(ADMIN) as unit:
        factors.begin_enrolment(unit, world.alice.id, name)
    return caught.value.problems[0].code


def test_an_app_counts_once_its_first_code_was_given(world: World) -> None:
    app = begin(world, world.alice)
    code = code_of(world.store, app.id)
    assert not has_one(world, world.alice)
    assert check(world, world.alice, code) is None
    with world.store.write(ADMIN) as unit:
        codes = factors.confirm_enrolment(unit, world.alice.id, app.id, code)
    assert has_one(world, world.alice)
    assert not has_one(world, world.bob)
    assert len(set(codes)) == left(world, world.alice) == 10


def test_the_code_that_confirmed_an_app_is_spent(world: World) -> None:
    app = begin(world, world.alice)
    code = code_of(world.store, app.id)
    with world.store.write(ADMIN) as unit:
        factors.confirm_enrolment(unit, world.alice.id, app.id, code)
    assert check(world, world.alice, code) is None


@pytest.mark.parametrize("code", ["", "000000", "abcd-efgh-ijkl", "12345"])
def test_a_wrong_first_code_confirms_nothing(world: World, code: str) -> None:
    app = begin(world, world.alice)
    with pytest.raises(Invalid), world.store.write(ADMIN) as unit:
        factors.confirm_enrolment(unit, world.alice.id, app.id, code)
    assert not has_one(world, world.alice)


def test_an_app_that_waited_too_long_is_gone(world: World, clock: Clock) -> None:
    app = begin(world, world.alice)
    clock.advance(minutes=61)
    with pytest.raises(NotFound), world.store.write(ADMIN) as unit:
        factors.confirm_enrolment(unit, world.alice.id, app.id, code_of(world.store, app.id))


def test_beginning_anew_forgets_what_was_never_confirmed(world: World) -> None:
    first, second = begin(world, world.alice), begin(world, world.alice)
    with world.store.read() as unit:
        assert [each.id for each in unit.authenticators.of_user(world.alice.id)] == [second.id]
    assert first.secret != second.secret


def test_nobody_confirms_the_app_of_another(world: World) -> None:
    app = begin(world, world.alice)
    with pytest.raises(NotFound), world.store.write(ADMIN) as unit:
        factors.confirm_enrolment(unit, world.bob.id, app.id, code_of(world.store, app.id))
    assert not has_one(world, world.bob)


def test_an_app_is_confirmed_once(world: World) -> None:
    app, _ = enrol(world.store, world.alice.id)
    with pytest.raises(NotFound), world.store.write(ADMIN) as unit:
        factors.confirm_enrolment(unit, world.alice.id, app.id, code_of(world.store, app.id))


def test_a_code_is_good_once(world: World, clock: Clock) -> None:
    app, _ = enrol(world.store, world.alice.id)
    code = code_of(world.store, app.id)
    assert check(world, world.alice, code) is Method.ONE_TIME_CODE
    assert check(world, world.alice, code) is None
    assert check(world, world.alice, code_of(world.store, app.id, away=-1)) is None
    clock.advance(seconds=30)
    assert check(world, world.alice, code_of(world.store, app.id)) is Method.ONE_TIME_CODE


def test_a_code_is_good_once_also_when_many_ask_at_the_same_moment(world: World) -> None:
    app, codes = enrol(world.store, world.alice.id)
    for code, method in ((code_of(world.store, app.id), Method.ONE_TIME_CODE), (codes[0], Method.RECOVERY_CODE)):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda given: check(world, world.alice, given), [code] * 8))
        assert sorted(map(str, found)) == sorted([str(method), *["None"] * 7])


def test_the_codes_of_one_are_worth_nothing_to_another(world: World) -> None:
    app, codes = enrol(world.store, world.alice.id)
    enrol(world.store, world.bob.id)
    assert check(world, world.bob, code_of(world.store, app.id)) is None
    assert check(world, world.bob, codes[0]) is None
    assert left(world, world.alice) == 10


def test_each_of_several_apps_has_its_own_codes(world: World) -> None:
    phone, _ = enrol(world.store, world.alice.id)
    tablet, no_codes = enrol(world.store, world.alice.id, "Tablet")
    assert no_codes == ()
    assert check(world, world.alice, code_of(world.store, phone.id)) is Method.ONE_TIME_CODE
    assert check(world, world.alice, code_of(world.store, tablet.id)) is Method.ONE_TIME_CODE


def test_a_recovery_code_is_good_once_and_in_any_spelling(world: World) -> None:
    _, codes = enrol(world.store, world.alice.id)
    assert check(world, world.alice, codes[3].replace("-", " ").upper()) is Method.RECOVERY_CODE
    assert check(world, world.alice, codes[3]) is None
    assert left(world, world.alice) == 9
    with world.store.read() as unit:
        event = unit.audit.latest(1)[0]
    assert (event.action, event.kind, event.name) == ("used", "recovery code", "alice")


def test_renewed_recovery_codes_replace_all_others(world: World) -> None:
    _, old = enrol(world.store, world.alice.id)
    with world.store.write(ADMIN) as unit:
        new = factors.renew_recovery_codes(unit, world.alice.id)
    assert not set(old) & set(new)
    assert check(world, world.alice, old[0]) is None
    assert check(world, world.alice, new[0]) is Method.RECOVERY_CODE


def test_there_are_no_recovery_codes_without_an_app(world: World) -> None:
    with pytest.raises(Invalid), world.store.write(ADMIN) as unit:
        factors.renew_recovery_codes(unit, world.alice.id)


def test_recovery_codes_lie_hashed_with_a_key(world: World) -> None:
    _, codes = enrol(world.store, world.alice.id)
    with world.store.read() as unit:
        stored = unit.recovery_codes.of_user(world.alice.id)
    assert not any(code in repr(stored) or code.replace("-", "") in repr(stored) for code in codes)
    assert all(len(each.fingerprint) == 64 for each in stored)


def test_the_last_app_takes_the_recovery_codes_along(world: World) -> None:
    phone, codes = enrol(world.store, world.alice.id)
    tablet, _ = enrol(world.store, world.alice.id, "Tablet")
    with world.store.write(ADMIN) as unit:
        factors.remove(unit, world.alice.id, phone.id)
    assert left(world, world.alice) == 10
    with world.store.write(ADMIN) as unit:
        factors.remove(unit, world.alice.id, tablet.id)
    assert (has_one(world, world.alice), left(world, world.alice)) == (False, 0)
    assert check(world, world.alice, codes[0]) is None


def test_nobody_touches_the_app_of_another(world: World) -> None:
    app, _ = enrol(world.store, world.alice.id)
    for key in (app.id, uuid4()):
        with pytest.raises(NotFound), world.store.write(ADMIN) as unit:
            factors.remove(unit, world.bob.id, key)
        with pytest.raises(NotFound), world.store.write(ADMIN) as unit:
            factors.rename(unit, world.bob.id, key, "Mine")
    assert has_one(world, world.alice)


def test_a_reset_takes_everything(world: World) -> None:
    enrol(world.store, world.alice.id)
    begin(world, world.alice, "Waiting")
    with world.store.write(ADMIN) as unit:
        factors.reset(unit, world.alice.id)
    with world.store.read() as unit:
        assert unit.authenticators.of_user(world.alice.id) == []
        assert unit.recovery_codes.of_user(world.alice.id) == []
        told = {(event.action, event.kind) for event in unit.audit.latest(5)}
    assert ("removed", "authenticator") in told


def test_names_are_checked(world: World) -> None:
    enrol(world.store, world.alice.id)
    assert wrong(world, "  ") == "required"
    assert wrong(world, " Phone ") == "already_taken"
    assert wrong(world, "x" * 151) == "too_long"
    assert wrong(world, "a\nb") == "unprintable"
    begin(world, world.bob)


def test_renaming_keeps_the_secret(world: World) -> None:
    app, _ = enrol(world.store, world.alice.id)
    with world.store.write(ADMIN) as unit:
        factors.rename(unit, world.alice.id, app.id, "Phone")
        renamed = factors.rename(unit, world.alice.id, app.id, " Old phone ")
    assert (renamed.name, renamed.secret) == ("Old phone", app.secret)


def test_there_is_an_end_to_how_many_apps_somebody_has(world: World) -> None:
    for number in range(factors.MOST_AUTHENTICATORS):
        enrol(world.store, world.alice.id, f"App {number}")
    assert wrong(world, "One more") == "too_many"


def test_secrets_are_sealed_and_never_shown(world: World) -> None:
    app, _ = enrol(world.store, world.alice.id)
    assert str(app.secret) not in repr(app)
    assert totp.secret_text(app.secret) not in repr(app)
    assert app.last_step == totp.step_of(app.created) - 1
    assert app.confirmed is not None
    assert app.confirmed - app.created < timedelta(seconds=1)
