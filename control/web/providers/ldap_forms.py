"""The form of an LDAP provider: fields by the names that control.fleet knows, attribute mappings one a line."""

from wtforms import BooleanField, StringField, TextAreaField

from control.domain.application import USER_ATTRIBUTES, BindMode, LdapProvider
from control.domain.duration import format_duration
from control.fleet.attribute_mappings import mapping_lines
from control.web.forms import Form, reference


class LdapProviderForm(Form):
    """Create and edit."""

    name = StringField()
    base_dn = StringField(default="DC=ldap,DC=goauthentik,DC=io")
    search_group = StringField()
    bind_mode = StringField(default=BindMode.CACHED)
    mfa_support = BooleanField(default=True)
    certificate = StringField()
    tls_server_name = StringField()
    user_attributes = TextAreaField(default=mapping_lines(USER_ATTRIBUTES))
    group_attributes = TextAreaField()
    uid_start_number = StringField(default="2000")
    gid_start_number = StringField(default="4000")
    size_limit = StringField(default="0")
    time_limit = StringField(default="seconds=30")


def values_of(provider: LdapProvider) -> dict[str, object]:
    """What the form shows of a stored provider."""
    return {
        "name": provider.name,
        "base_dn": provider.base_dn,
        "search_group": str(provider.search_group or ""),
        "bind_mode": provider.bind_mode.value,
        "mfa_support": provider.mfa_support,
        "certificate": str(provider.certificate or ""),
        "tls_server_name": provider.tls_server_name,
        "user_attributes": mapping_lines(provider.user_attributes),
        "group_attributes": mapping_lines(provider.group_attributes),
        "uid_start_number": str(provider.uid_start_number),
        "gid_start_number": str(provider.gid_start_number),
        "size_limit": str(provider.size_limit),
        "time_limit": format_duration(provider.time_limit),
    }


def fields_of(form: LdapProviderForm) -> dict[str, object]:
    """What the command takes of a posted form."""
    fields: dict[str, object] = {name: "" if value is None else value for name, value in form.values().items()}
    for name in ("certificate", "search_group"):
        fields[name] = reference(str(fields[name]))
    return fields
