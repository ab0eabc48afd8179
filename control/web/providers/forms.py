"""The form of a proxy provider: fields by the names that control.fleet.providers knows."""

from wtforms import BooleanField, StringField, TextAreaField

from control.domain.application import ProxyMode, ProxyProvider
from control.domain.duration import format_duration
from control.web.forms import Form, reference


class ProviderForm(Form):
    """Create and edit."""

    name = StringField()
    mode = StringField(default=ProxyMode.FORWARD_SINGLE)
    external_host = StringField()
    cookie_domain = StringField()
    skip_path_regex = TextAreaField()
    access_token_validity = StringField(default="hours=24")
    intercept_header_auth = BooleanField(default=True)
    basic_auth_enabled = BooleanField()
    basic_auth_user_attribute = StringField()
    basic_auth_password_attribute = StringField()
    certificate = StringField()


def values_of(provider: ProxyProvider) -> dict[str, object]:
    """What the form shows of a stored provider."""
    return {
        "name": provider.name,
        "mode": provider.mode.value,
        "external_host": provider.external_host,
        "cookie_domain": provider.cookie_domain,
        "skip_path_regex": provider.skip_path_regex,
        "access_token_validity": format_duration(provider.access_token_validity),
        "intercept_header_auth": provider.intercept_header_auth,
        "basic_auth_enabled": provider.basic_auth_enabled,
        "basic_auth_user_attribute": provider.basic_auth_user_attribute,
        "basic_auth_password_attribute": provider.basic_auth_password_attribute,
        "certificate": str(provider.certificate or ""),
    }


def fields_of(form: Form, prefix: str = "") -> dict[str, object]:
    """What the command takes of a posted form."""
    values = {name.removeprefix(prefix): value for name, value in form.values().items() if name.startswith(prefix)}
    fields = {name: "" if value is None else value for name, value in values.items()}
    fields["certificate"] = reference(str(fields.get("certificate", "")))
    if fields.get("mode") != ProxyMode.FORWARD_DOMAIN:
        fields["cookie_domain"] = ""
    return fields
