"""Tokens and the accounts that hold them."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest

from control.domain.errors import NotFound
from control.domain.identity import UserKind
from control.domain.outpost import OutpostType
from control.fleet.tokens import (
    TokenState,
    ensure_embedded,
    find_token,
    fingerprint,
    get_token,
    new_secret,
    remove_deployment_identity,
    replace_token,
    revoke_token,
    token_state,
)
from control.store import Store
from tests.support.fleet import deploy
from tests.support.stores import ADMIN, Clock


def test_secrets_have_256_bits_and_differ() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert (len(secrets), {len(secret) for secret in secrets}) == (50, {43})


def test_the_fingerprint_is_as_agreed() -> None:
    assert fingerprint("abc") == sha256(b"garrison token id\0abc").hexdigest()


def test_an_outpost_has_an_account_and_a_token_named_as_in_authentik(store: Store) -> None:
    deployed = deploy(store)
    with store.read() as unit:
        account = unit.users.get(deployed.outpost.service_account)
        token = get_token(unit, deployed.outpost)
    assert (account.username, account.kind, account.password_hash) == (
        f"ak-outpost-{deployed.outpost.id.hex}",
        UserKind.OUTPOST,
        None,
    )
    assert token == deployed.token
    assert token.identifier == f"ak-outpost-{deployed.outpost.id}-api"


def test_a_replaced_token_gives_up_its_identifier(store: Store) -> None:
    deployed = deploy(store)
    for _ in range(3):
        with store.write(ADMIN) as unit:
            newest = replace_token(unit, deployed.outpost)
    with store.read() as unit:
        assert get_token(unit, deployed.outpost) == newest
        assert newest.identifier == deployed.token.identifier
        tokens = unit.tokens.of_user(deployed.outpost.service_account)
        assert [token_state(token, unit.now) for token in tokens].count(TokenState.VALID) == 1
        assert len({token.identifier for token in tokens}) == 4


def test_a_revoked_token_leaves_none(store: Store) -> None:
    deployed = deploy(store)
    with store.write(ADMIN) as unit:
        first = revoke_token(unit, deployed.token)
        assert revoke_token(unit, first) == first
        assert find_token(unit, deployed.outpost) is None
        with pytest.raises(NotFound, match="no token 'edge'"):
            get_token(unit, deployed.outpost)


def test_a_token_runs_out_at_its_moment(store: Store, clock: Clock) -> None:
    token = replace(deploy(store).token, expires=clock.now)
    assert token_state(token, clock.now) is TokenState.EXPIRED
    assert token_state(token, clock.now - timedelta(seconds=1)) is TokenState.VALID


def test_revoked_comes_before_expired(store: Store, clock: Clock) -> None:
    token = replace(deploy(store).token, expires=clock.now, revoked=clock.now)
    assert token_state(token, clock.now) is TokenState.REVOKED


def test_the_account_goes_with_its_tokens(store: Store) -> None:
    deployed = deploy(store)
    with store.write(ADMIN) as unit:
        replace_token(unit, deployed.outpost)
        unit.outposts.remove(deployed.outpost)
        remove_deployment_identity(unit, deployed.outpost.service_account)
    with store.read() as unit:
        assert (unit.users.all(), unit.tokens.all()) == ([], [])


def test_the_embedded_outpost_is_made_once(store: Store) -> None:
    with store.write(ADMIN) as unit:
        first = ensure_embedded(unit)
    with store.write(ADMIN) as unit:
        assert ensure_embedded(unit) == first
    assert (first.embedded, first.manual, first.type) == (True, False, OutpostType.PROXY)


def test_secrets_are_not_shown(store: Store) -> None:
    deployed = deploy(store)
    assert deployed.token.secret not in repr(deployed.token)
    with store.read() as unit:
        assert deployed.token.secret not in repr(unit.audit.all())
