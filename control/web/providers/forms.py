"""The form of a proxy provider: fields by the names that control.fleet.providers knows."""

from wtforms import BooleanField, StringField, TextAreaField

from control.domain.application import ProxyMode, ProxyProvider
from control.domain.duration import format_duration
from control.fleet.upstreams import FIELDS as UPSTREAM
from control.web.forms import Form, reference

_CERTIFICATES = {"certificate", "internal_host_authorities", "internal_host_certificate"}


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
    internal_host = TextAreaField()
    internal_host_ssl_validation = BooleanField(default=True)
    internal_host_header = StringField()
    internal_host_server_name = StringField()
    internal_host_authorities = StringField()
    internal_host_certificate = StringField()
    internal_host_connect_timeout = StringField(default="seconds=5")
    internal_host_response_timeout = StringField(default="minutes=10")
    internal_host_idle_timeout = StringField(default="hours=1")
    internal_host_connections = StringField(default="1024")
    security_headers = BooleanField()


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
        "internal_host": provider.internal_host,
        "internal_host_ssl_validation": provider.internal_host_ssl_validation,
        "internal_host_header": provider.internal_host_header,
        "internal_host_server_name": provider.internal_host_server_name,
        "internal_host_authorities": str(provider.internal_host_authorities or ""),
        "internal_host_certificate": str(provider.internal_host_certificate or ""),
        "internal_host_connect_timeout": format_duration(provider.internal_host_connect_timeout),
        "internal_host_response_timeout": format_duration(provider.internal_host_response_timeout),
        "internal_host_idle_timeout": format_duration(provider.internal_host_idle_timeout),
        "internal_host_connections": str(provider.internal_host_connections),
        "security_headers": provider.security_headers,
    }


def fields_of(form: Form, prefix: str = "") -> dict[str, object]:
    """What the command takes of a posted form: of what belongs to another mode, nothing."""
    values = {name.removeprefix(prefix): value for name, value in form.values().items() if name.startswith(prefix)}
    fields = {name: "" if value is None else value for name, value in values.items()}
    for name in _CERTIFICATES & fields.keys():
        fields[name] = reference(str(fields[name]))
    if fields.get("mode") != ProxyMode.FORWARD_DOMAIN:
        fields["cookie_domain"] = ""
    if fields.get("mode") != ProxyMode.PROXY:
        return {name: value for name, value in fields.items() if name not in UPSTREAM}
    return fields
