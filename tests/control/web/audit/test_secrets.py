"""No secret ever stands in the audit trail: neither one that somebody typed nor one that was made.

Everything that has secrets is created, changed and removed, as people and programs do it; then the whole table is
searched for each secret there was meanwhile, in every spelling.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from control.auth import app_passwords, factors, people, totp
from control.auth.app_passwords import AppPasswordDraft
from control.auth.people import GroupDraft, UserDraft
from control.domain.errors import Invalid
from control.fleet.authority import drop_retired, ensure_authority, rotate_authority
from control.fleet.certificates import generate_certificate, remove_certificate, update_certificate
from control.fleet.outposts import create_outpost, remove_outpost, update_outpost
from control.fleet.rotation import retire_tokens, rotate_token
from control.fleet.session_keys import replace_cookie_key
from control.fleet.tokens import get_token, replace_token, revoke_token
from control.store import Store, Unit, tables
from control.store.base import Repository
from control.store.catalogue import Providers
from control.web import identity
from tests.support.auth import VERIFIER
from tests.support.links import Applicant
from tests.support.site import Site, fill
from tests.support.stores import ADMIN, Clock

TYPED = ("typed-at-creation-1", "typed-by-an-admin-2", "typed-wrongly-3", "typed-anew-4", "in-an-attribute-5")
# Shorter ones would be found by chance.
SHORTEST = 6


@dataclass
class Secrets:
    """All that must not be found, and of which kinds of objects there were any."""

    known: set[str] = field(default_factory=lambda: set(TYPED))
    kinds: set[str] = field(default_factory=set)

    def add(self, *secrets: str) -> None:
        assert all(len(secret) >= SHORTEST for secret in secrets), secrets
        self.known.update(secrets)

    def look(self, store: Store) -> None:
        """Take note of whatever is stored that doesn't show itself."""
        with store.read() as unit:
            for kind, value in hidden(unit):
                self.kinds.add(kind)
                self.add(*spellings(value))


def hidden(unit: Unit) -> Iterator[tuple[str, str | bytes]]:
    """The values of all fields that are kept from logs."""
    for repository in repositories(unit):
        names = [each.name for each in fields(repository.entity) if not each.repr]
        for entity in repository.all() if names else ():
            found = ((repository.kind, getattr(entity, name)) for name in names)
            yield from ((kind, value) for kind, value in found if value)


def repositories(unit: Unit) -> list[Repository[object]]:
    """All but the shelf of providers, which hold their secrets by type."""
    return [each for each in vars(unit).values() if isinstance(each, Repository) and not isinstance(each, Providers)]


def spellings(secret: str | bytes) -> Iterator[str]:
    """A secret as it might be written down; of a PEM each line."""
    if isinstance(secret, bytes):
        yield from (secret.hex(), base64.b64encode(secret).decode(), base64.b32encode(secret).decode(), repr(secret))
        return
    yield from (line for line in secret.splitlines() if len(line) >= SHORTEST and "-----" not in line)


def trail(store: Store) -> str:
    """Every word of the table, as it lies there."""
    with store.read() as unit:
        rows = unit.audit.context.connection.execute(sa.select(tables.audit_events))
        return "\n".join(str(tuple(row)) for row in rows)


def play_people(site: Site, secrets: Secrets) -> None:
    browser = site.admin
    new = {"username": "carol", "name": "Carol", "kind": "internal", "active": "y", "password": TYPED[0]}
    assert browser.submit("/admin/users/new", **new, attributes=f"password: {TYPED[4]}").status_code == 303
    with site.store.read() as unit:
        carol = unit.users.get_named("carol")
    page = f"/admin/users/{carol.id}"
    assert browser.submit(f"{page}/password", password=TYPED[1], again=TYPED[1]).status_code == 303
    secrets.look(site.store)
    own = site.browser()
    own.sign_in("carol", TYPED[2])
    assert own.sign_in("carol", TYPED[1]).status_code == 303
    cookie = own.client.get_cookie(identity.COOKIE)
    assert cookie is not None
    secrets.add(cookie.value)
    own.submit("/account/password", current=TYPED[2], password=TYPED[3], again=TYPED[3])
    own.submit("/account/password", current=TYPED[1], password=TYPED[3], again=TYPED[3])
    with site.store.write(ADMIN) as unit:
        group = people.create_group(unit, GroupDraft(name="keepers", attributes={"password": TYPED[4]}))
        people.set_user_groups(unit, carol.id, [group.id])
        people.create_user(unit, UserDraft(username="dave", attributes={"additionalHeaders": {"X-Key": TYPED[4]}}))
    assert browser.submit(f"{page}/delete").status_code == 303


def play_factors(site: Site, secrets: Secrets, clock: Clock) -> None:
    alice = site.world.alice.id
    with site.store.write(ADMIN) as unit:
        enrolled = factors.begin_enrolment(unit, alice, "phone")
        uri = totp.otpauth_uri("Garrison", "alice", enrolled.secret)
        secrets.add(uri, quote(uri), totp.secret_text(enrolled.secret))
    secrets.look(site.store)
    with site.store.write(ADMIN) as unit:
        codes = factors.confirm_enrolment(unit, alice, enrolled.id, code(enrolled.secret, clock))
        secrets.add(*codes, *(each.replace("-", "") for each in codes))
        factors.rename(unit, alice, enrolled.id, "old phone")
    clock.advance(minutes=1)
    spent = code(enrolled.secret, clock)
    with site.store.write(ADMIN) as unit:
        assert factors.check_code(unit, alice, spent) is not None
        assert factors.check_code(unit, alice, codes[0]) is not None
        assert factors.check_code(unit, alice, codes[0]) is None
        secrets.add(spent, *factors.renew_recovery_codes(unit, alice))
        made, secret = app_passwords.create(unit, AppPasswordDraft(user=alice, name="mail", everywhere=True))
        secrets.add(secret, secret.replace(" ", ""), secret.replace("-", ""))
        app_passwords.revoke(unit, alice, made.id)
        factors.reset(unit, alice)


def code(secret: bytes, clock: Clock) -> str:
    return totp.code_at(secret, totp.step_of(clock.now))


def play_outposts(site: Site, secrets: Secrets, clock: Clock) -> None:
    with site.store.write(ADMIN) as unit:
        outpost = create_outpost(unit, {"name": "west", "type": "proxy"})
        first = get_token(unit, outpost)
    Applicant(first.secret, clock=clock.now.timestamp()).enrol(site.store)
    Applicant(first.secret[::-1], clock=clock.now.timestamp()).enrol(site.store)
    secrets.add(first.secret, first.secret[::-1])
    site.admin.get(f"/admin/tokens/{first.id}/")
    for change in (rotate_token, retire_tokens, replace_token):
        with site.store.write(ADMIN) as unit:
            change(unit, outpost)
        secrets.look(site.store)
    with site.store.write(ADMIN) as unit:
        update_outpost(unit, outpost, {"config": {"log_level": "debug"}})
        revoke_token(unit, get_token(unit, outpost))
        remove_outpost(unit, unit.outposts.get(outpost.id))


def play_keys(site: Site, secrets: Secrets, clock: Clock) -> None:
    made = {"name": "cert", "common_name": "x.example.com"}
    with site.store.write(ADMIN) as unit:
        ensure_authority(unit)
        certificate = generate_certificate(unit, made)
        other = generate_certificate(unit, {**made, "name": "other"})
    secrets.look(site.store)
    with site.store.write(ADMIN) as unit:
        fresh = {"certificate": other.chain, "key": other.private_key, "name": "renewed"}
        update_certificate(unit, unit.certificates.get(certificate.id), fresh)
        wrong = {"certificate": certificate.chain, "key": other.private_key}
        with pytest.raises(Invalid) as refused:
            update_certificate(unit, other, wrong)
        assert not any(secret in str(refused.value) for secret in secrets.known)
        replace_cookie_key(unit, site.world.wiki.id)
        rotate_authority(unit)
    secrets.look(site.store)
    clock.advance(days=30)
    with site.store.write(ADMIN) as unit:
        drop_retired(unit)
        remove_certificate(unit, unit.certificates.get(certificate.id))


def play_sign_ins(site: Site, secrets: Secrets) -> None:
    opened = site.world.sign_in()
    first = site.world.code(opened.secret)
    issued = site.world.redeem(first)
    site.world.redeem(first)
    site.world.redeem("0" * 43, verifier=VERIFIER[::-1])
    secrets.add(opened.secret, first, VERIFIER, getattr(issued, "id_token", ""), getattr(issued, "proof", ""))
    secrets.look(site.store)


def test_no_secret_stands_in_the_audit_trail(site: Site, clock: Clock) -> None:
    secrets = Secrets()
    fill(site.store)
    play_people(site, secrets)
    play_factors(site, secrets, clock)
    play_outposts(site, secrets, clock)
    play_sign_ins(site, secrets)
    play_keys(site, secrets, clock)
    secrets.look(site.store)
    with site.store.read() as unit:
        keep_secrets = {
            each.kind for each in repositories(unit) if not all(field.repr for field in fields(each.entity))
        }
        told = set(unit.audit.words("kind"))
    # Whoever adds something that has secrets has to play it here.
    assert secrets.kinds == keep_secrets
    assert {"user", "group", "certificate", "token", "authority", "authenticator", "app password", "sign-in"} <= told
    written = trail(site.store)
    assert len(written) > 10_000
    assert [secret for secret in secrets.known if secret in written] == []
    page = "".join(site.admin.get(url).text for url in ("/admin/audit/", "/admin/audit/export", "/admin/"))
    assert [secret for secret in secrets.known if secret in page] == []
