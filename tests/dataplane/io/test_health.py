from dataplane.io.health import Health


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def rest_of(health: Health, clock: Clock) -> float:
    """Seconds that it rests, as far as whole ones show it."""
    started = clock.now
    while health.is_resting:
        clock.now += 1
    return clock.now - started


def test_rests_for_longer_each_time_up_to_half_a_minute() -> None:
    clock = Clock()
    health = Health(clock)
    assert not health.troubled
    rests = []
    for _ in range(7):
        health.fail()
        rests.append(rest_of(health, clock))
    assert rests == [1, 2, 4, 8, 16, 30, 30]


def test_those_that_fail_together_are_one_failure() -> None:
    clock = Clock()
    health = Health(clock)
    for _ in range(100):
        health.fail()
    assert rest_of(health, clock) == 1


def test_connecting_ends_the_rest_and_an_answer_makes_the_next_one_short() -> None:
    clock = Clock()
    health = Health(clock)
    health.fail()
    rest_of(health, clock)
    health.fail()
    health.recover()
    assert (health.troubled, health.is_resting) == (False, False)
    health.fail()
    assert rest_of(health, clock) == 4  # it connects and breaks off: that is not well
    health.recover()
    health.prove()
    health.fail()
    assert rest_of(health, clock) == 1


def test_who_has_just_answered_others_broke_off_for_that_request() -> None:
    """Or one person could send everybody elsewhere, by what an application can't bear."""
    clock = Clock()
    health = Health(clock)
    health.prove()
    for _ in range(10):
        health.blame()
        assert not health.troubled
        clock.now += 1
        health.prove()
    clock.now += 1
    health.blame()
    assert not health.troubled
    clock.now += 1
    health.blame()
    assert health.is_resting
    health.recover()
    health.prove()
    health.fail()  # that nobody takes connections is no request's doing
    assert health.is_resting


def test_while_one_tries_it_others_do_not() -> None:
    clock = Clock()
    health = Health(clock)
    health.fail()
    rest_of(health, clock)
    with health.trial():
        assert health.is_resting
        with health.trial():  # somebody who had no other choice
            assert health.is_resting
        assert health.is_resting
    assert not health.is_resting


def test_who_is_well_is_not_kept_from_others_by_a_trial() -> None:
    health = Health(Clock())
    with health.trial():
        assert not health.is_resting
