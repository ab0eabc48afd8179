"""Rotating the tokens of outposts: a new one beside the old, pushed over the link, and the old retired later.

Rotation is hygiene: it hands the new token to whoever holds the old one. After a leak `replace_token` is right.
Whose environment an admin writes by hand keeps its old token until the admin retires it. Where control itself hands
out the environment (`is_managed`), schedule and retirement go by themselves.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from control.domain.outpost import Instance, InstanceState, Outpost, Token
from control.fleet.instances import KEPT
from control.fleet.options import find_fault, options_of
from control.fleet.tokens import add_token, get_token, revoke_token, valid_tokens
from control.store import Event, Unit

MANAGED_PERIOD = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStatus:
    """How far a rotation is.

    `retiring` are older tokens that are valid yet, the newest first. `holdouts` are instances whose environment has
    another token than the newest: they get by on what control has sent them. `rotates` is when the schedule makes the
    next token, None without a schedule; it waits for the older ones to be retired.
    """

    current: Token
    retiring: tuple[Token, ...]
    holdouts: tuple[Instance, ...]
    rotates: datetime | None


def token_status(unit: Unit, outpost: Outpost) -> TokenStatus:
    """How far a rotation of the outpost's token is. Raises NotFound where no token is valid."""
    current, retiring = get_token(unit, outpost), _valid(unit, outpost)[1:]
    period = rotation_period(outpost)
    return TokenStatus(
        current=current,
        retiring=tuple(retiring),
        holdouts=_holdouts(unit, outpost, current),
        rotates=None if period is None else max(current.created + period, unit.now),
    )


def rotate_token(unit: Unit, outpost: Outpost) -> Token:
    """Make a new token beside those that are valid; connected instances are sent it."""
    token = add_token(unit, outpost.service_account, outpost.id, outpost.name)
    unit.record(Event(action="token rotated", kind="outpost", target=str(outpost.id), name=outpost.name))
    return token


def retire_tokens(unit: Unit, outpost: Outpost) -> tuple[Token, ...]:
    """Revoke all tokens but the newest; those that were. Instances that hold the newest come back with it."""
    retired = tuple(revoke_token(unit, token) for token in _valid(unit, outpost)[1:])
    if retired:
        unit.record(Event(action="tokens retired", kind="outpost", target=str(outpost.id), name=outpost.name))
    return retired


def keep_rotating(unit: Unit) -> None:
    """Do what is due by schedule. Whoever comes second, in another process, finds nothing left to do."""
    for outpost in unit.outposts.all():
        match _valid(unit, outpost):
            case []:
                # Revoked, and that is the admin's to mend.
                pass
            case [only]:
                if _is_due(outpost, only, unit.now):
                    rotate_token(unit, outpost)
            case [newest, *_]:
                # Yet another token would gain nothing while the oldest is valid.
                if is_managed(outpost) and not _holdouts(unit, outpost, newest):
                    retire_tokens(unit, outpost)


def is_managed(outpost: Outpost) -> bool:
    """Whether control itself hands the outpost its environment: whatever starts anew has the newest token."""
    return outpost.embedded or outpost.integration is not None


def rotation_period(outpost: Outpost) -> timedelta | None:
    """How often the schedule rotates the token, None for never."""
    if find_fault(outpost):
        # Stored by an older version: shown elsewhere, and no reason to stop rotating others.
        return None
    period = options_of(outpost).garrison_token_rotation
    if period is None:
        return MANAGED_PERIOD if is_managed(outpost) else None
    return period or None


def _is_due(outpost: Outpost, token: Token, now: datetime) -> bool:
    period = rotation_period(outpost)
    return period is not None and token.created + period <= now


def _valid(unit: Unit, outpost: Outpost) -> list[Token]:
    return [*valid_tokens(unit.tokens.of_user(outpost.service_account), unit.now)]


def _holdouts(unit: Unit, outpost: Outpost, newest: Token) -> tuple[Instance, ...]:
    found = (each for each in unit.instances.of_outpost(outpost.id) if _holds_out(outpost, each, newest, unit.now))
    return tuple(sorted(found, key=lambda each: (each.hostname, each.uid)))


def _holds_out(outpost: Outpost, instance: Instance, newest: Token, now: datetime) -> bool:
    if instance.state is InstanceState.DISCONNECTED and now - instance.last_seen >= KEPT:
        return False
    if is_managed(outpost) and instance.held_token == newest.fingerprint:
        # Its environment has the newest with its next start.
        return False
    return instance.environment_token not in ("", newest.fingerprint)
