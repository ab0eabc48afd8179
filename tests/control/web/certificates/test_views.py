"""Certificates in the admin interface."""

import io

import pytest

from control.domain.security import Certificate
from control.fleet.certificates import generate_certificate
from control.store import Store
from tests.support.site import Site, fill
from tests.support.stores import ADMIN, Clock

LIST = "/admin/certificates/"
NEW = "/admin/certificates/new"


def named(store: Store, name: str) -> Certificate:
    with store.read() as unit:
        return unit.certificates.get_named(name)


@pytest.fixture
def pair(site: Site) -> Certificate:
    """A certificate with its key, out of the store again."""
    with site.store.write(ADMIN) as unit:
        made = generate_certificate(unit, {"name": "made", "common_name": "made.example.com"})
        unit.certificates.remove(made)
    return made


def test_pasting(site: Site, pair: Certificate) -> None:
    response = site.admin.submit(NEW, name="web", certificate=pair.chain, key=pair.private_key)
    stored = named(site.store, "web")
    assert response.headers["Location"] == f"{LIST}{stored.id}/"
    assert stored.private_key is not None


def test_uploading(site: Site, pair: Certificate) -> None:
    assert pair.private_key is not None
    files = {
        "certificate_file": (io.BytesIO(pair.chain.encode()), "web.crt"),
        "key_file": (io.BytesIO(pair.private_key.encode()), "web.key"),
    }
    assert site.admin.submit(NEW, name="web", **files).status_code == 303
    assert named(site.store, "web").private_key is not None


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"certificate": "garbage"}, "certificate"),
        ({"certificate": ""}, "certificate"),
        ({"name": ""}, "name"),
        ({"key": "garbage"}, "key"),
    ],
)
def test_problems_stand_at_their_fields(site: Site, pair: Certificate, fields: dict[str, str], field: str) -> None:
    response = site.admin.submit(NEW, **{"name": "web", "certificate": pair.chain, **fields})
    assert response.status_code == 422
    assert f'id="{field}-error"' in response.text


def test_a_file_that_is_no_text(site: Site) -> None:
    upload = (io.BytesIO(b"\xff\x00\x80"), "web.der")
    response = site.admin.submit(NEW, name="web", certificate_file=upload)
    assert response.status_code == 422
    assert "This is no PEM" in response.text


def test_generating(site: Site) -> None:
    fields = {"name": "self", "common_name": "a.example.com", "subject_alt_names": "b.example.com, 10.0.0.1"}
    site.admin.submit("/admin/certificates/generate", **fields, validity_days="20")
    page = site.admin.get(f"{LIST}{named(site.store, 'self').id}/").text
    for words in ("b.example.com", "10.0.0.1", "self-signed", "Expires soon"):
        assert words in page
    response = site.admin.submit("/admin/certificates/generate", name="x", common_name="x", validity_days="many")
    assert response.status_code == 422
    assert "whole number" in response.text


def test_the_key_never_leaves(site: Site) -> None:
    fill(site.store)
    stored = named(site.store, "edge")
    chain = site.admin.get(f"{LIST}{stored.id}/chain.pem")
    assert chain.text == stored.chain
    assert chain.headers["Content-Disposition"] == 'attachment; filename="edge.pem"'
    for page in (chain.text, *(site.admin.get(f"{LIST}{stored.id}/{part}").text for part in ("", "edit"))):
        assert "PRIVATE KEY-----" not in page


def test_renewing_keeps_the_key_unless_given(site: Site, pair: Certificate) -> None:
    site.admin.submit(NEW, name="web", certificate=pair.chain, key=pair.private_key)
    before = named(site.store, "web")
    site.admin.submit(f"{LIST}{before.id}/edit", name="renamed")
    after = named(site.store, "renamed")
    assert (after.id, after.private_key) == (before.id, before.private_key)


def test_what_is_used_cant_be_deleted(site: Site) -> None:
    fill(site.store)
    stored = named(site.store, "edge")
    assert ">Delete</button>" not in site.admin.get(f"{LIST}{stored.id}/delete").text
    assert site.admin.submit(f"{LIST}{stored.id}/delete").status_code == 422
    with site.store.read() as unit:
        provider = unit.proxy_providers.get_named("edge")
    site.admin.submit(f"/admin/providers/{provider.id}/edit", certificate="")
    assert site.admin.submit(f"{LIST}{stored.id}/delete").status_code == 303
    assert "No certificates yet" in site.admin.get(LIST).text


def test_expiry_in_the_list(site: Site, clock: Clock) -> None:
    fill(site.store)
    assert ">Valid<" in site.admin.get(LIST).text
    clock.advance(days=340)
    assert ">Expires soon<" in site.admin.get(LIST).text
    clock.advance(days=40)
    assert ">Expired<" in site.admin.get(LIST).text
