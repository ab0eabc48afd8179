"""The forms of certificates: pasted or uploaded PEM, or a new self-signed one."""

from flask_wtf.file import FileField
from werkzeug.datastructures import FileStorage
from wtforms import StringField, TextAreaField

from control.domain.errors import Invalid, Problem
from control.web.forms import Form


class CertificateForm(Form):
    """Upload or paste; a file wins over text."""

    name = StringField()
    certificate = TextAreaField()
    certificate_file = FileField()
    key = TextAreaField()
    key_file = FileField()


class GenerateForm(Form):
    """A self-signed certificate."""

    name = StringField()
    common_name = StringField()
    subject_alt_names = StringField()
    validity_days = StringField(default="365")
    algorithm = StringField(default="ecdsa")


def fields_of(form: CertificateForm) -> dict[str, object]:
    """What the command takes. Raises Invalid when a file holds no text."""
    return {
        "name": form.name.data or "",
        "certificate": _text(form.certificate.data, form.certificate_file.data, "certificate"),
        "key": _text(form.key.data, form.key_file.data, "key"),
    }


def _text(typed: str | None, file: FileStorage | None, field: str) -> str:
    if not isinstance(file, FileStorage) or not file.filename:
        return typed or ""
    try:
        return file.stream.read().decode("ascii")
    except UnicodeDecodeError:
        raise Invalid([Problem(field=field, code="not_pem", found=file.filename, expected="a PEM file")]) from None
