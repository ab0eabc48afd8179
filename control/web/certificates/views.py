"""Certificates: list with expiry, upload, generate, show, download, delete."""

from uuid import UUID

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from control.domain.text import resource_name
from control.fleet.certificate_info import describe
from control.fleet.certificates import (
    create_certificate,
    generate_certificate,
    remove_certificate,
    update_certificate,
)
from control.store import Unit
from control.web.certificates.forms import CertificateForm, GenerateForm, fields_of
from control.web.context import web
from control.web.forms import Form, saving
from control.web.pages import done, show_form

blueprint = Blueprint("certificates", __name__, url_prefix="/certificates")


@blueprint.get("/")
def index() -> ResponseReturnValue:
    """All certificates, what they are good for and until when."""
    with web().store.read() as unit:
        certificates = unit.certificates.all()
        users: dict[UUID | None, list[str]] = {}
        for provider in unit.providers.all():
            for certificate in provider.certificates:
                users.setdefault(certificate, []).append(provider.name)
        for integration in unit.integrations.all():
            for named in {integration.tls_verification, integration.tls_authentication}:
                users.setdefault(named, []).append(integration.name)
    infos = {each.id: describe(each) for each in certificates}
    return render_template(
        "certificates/index.html", certificates=certificates, infos=infos, users=users, now=web().clock()
    )


@blueprint.get("/<uuid:key>/")
def detail(key: UUID) -> ResponseReturnValue:
    """One certificate."""
    with web().store.read() as unit:
        certificate = unit.certificates.get(key)
        users = _users(unit, key)
    return render_template(
        "certificates/detail.html",
        certificate=certificate,
        info=describe(certificate),
        users=users,
        now=web().clock(),
    )


@blueprint.get("/<uuid:key>/chain.pem")
def chain(key: UUID) -> ResponseReturnValue:
    """The chain, which is public; the key never leaves."""
    with web().store.read() as unit:
        certificate = unit.certificates.get(key)
    response = make_response(certificate.chain)
    response.mimetype = "application/x-pem-file"
    name = resource_name(certificate.name, "certificate")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.pem"'
    return response


@blueprint.route("/new", methods=["GET", "POST"])
def create() -> ResponseReturnValue:
    """Take in a certificate that was made elsewhere."""
    form = CertificateForm()
    if form.validate_on_submit():
        with saving(form) as unit:
            certificate = create_certificate(unit, fields_of(form))
            return done(url_for(".detail", key=certificate.id), "created", name=certificate.name)
    return show_form("certificates/form.html", form, url_for(".index"), certificate=None, multipart=True)


@blueprint.route("/generate", methods=["GET", "POST"])
def generate() -> ResponseReturnValue:
    """Make a self-signed certificate."""
    form = GenerateForm()
    if form.validate_on_submit():
        with saving(form) as unit:
            certificate = generate_certificate(unit, {name: value or "" for name, value in form.values().items()})
            return done(url_for(".detail", key=certificate.id), "created", name=certificate.name)
    return show_form("certificates/generate.html", form, url_for(".index"))


@blueprint.route("/<uuid:key>/edit", methods=["GET", "POST"])
def edit(key: UUID) -> ResponseReturnValue:
    """Rename a certificate, or put a renewed one in its place; a key that isn't given is kept."""
    with web().store.read() as unit:
        certificate = unit.certificates.get(key)
    form = CertificateForm(data={"name": certificate.name, "certificate": certificate.chain})
    if form.validate_on_submit():
        with saving(form) as unit:
            fields = fields_of(form)
            if not fields["key"]:
                del fields["key"]
            changed = update_certificate(unit, unit.certificates.get(key), fields)
            return done(url_for(".detail", key=key), "updated", name=changed.name)
    back = url_for(".detail", key=key)
    return show_form("certificates/form.html", form, back, certificate=certificate, multipart=True)


@blueprint.route("/<uuid:key>/delete", methods=["GET", "POST"])
def delete(key: UUID) -> ResponseReturnValue:
    """Delete a certificate that nothing uses."""
    with web().store.read() as unit:
        certificate = unit.certificates.get(key)
        users = _users(unit, key)
    form = Form()
    if request.method == "POST" and not users and form.validate_on_submit():
        with saving(form) as unit:
            remove_certificate(unit, unit.certificates.get(key))
            return done(url_for(".index"), "removed", name=certificate.name)
    values = {"certificate": certificate, "users": users, "tone": "danger"}
    return show_form("certificates/delete.html", form, url_for(".detail", key=key), blocked=bool(users), **values)


def _users(unit: Unit, key: UUID) -> list[tuple[str, str]]:
    """Name and page of all that use it."""
    providers = [
        (provider.name, url_for("admin.providers.detail", key=provider.id))
        for provider in unit.providers.all()
        if key in provider.certificates
    ]
    integrations = [
        (integration.name, url_for("admin.integrations.detail", key=integration.id))
        for integration in unit.integrations.all()
        if key in {integration.tls_verification, integration.tls_authentication}
    ]
    return providers + integrations
