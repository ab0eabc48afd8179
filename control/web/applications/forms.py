"""The forms of applications and of the bindings that say who may use them."""

from wtforms import BooleanField, StringField, TextAreaField

from control.domain.application import Application, PolicyMode, ProxyMode
from control.fleet.applications import slug_from
from control.web.forms import Form, reference

PROVIDER = "provider_"


class ApplicationForm(Form):
    """Create and edit."""

    name = StringField()
    slug = StringField()
    category = StringField()
    provider = StringField()
    policy_mode = StringField(default=PolicyMode.ANY)
    second_factor = BooleanField()
    description = TextAreaField()
    publisher = StringField()
    launch_url = StringField()


class ApplicationWithProviderForm(Form):
    """An application together with the provider that guards it; the provider's fields have a prefix."""

    name = StringField()
    slug = StringField()
    category = StringField()
    provider_mode = StringField(default=ProxyMode.FORWARD_SINGLE)
    provider_external_host = StringField()
    provider_cookie_domain = StringField()
    provider_internal_host = TextAreaField()
    provider_internal_host_ssl_validation = BooleanField(default=True)
    provider_access_token_validity = StringField(default="hours=24")
    provider_skip_path_regex = TextAreaField()
    group = StringField()


class BindingForm(Form):
    """Let a group or a user in, or keep them out."""

    who = StringField(default="group")
    group = StringField()
    user = StringField()
    negate = BooleanField()
    enabled = BooleanField(default=True)

    def rule(self) -> dict[str, object]:
        """The binding as the command takes it; a user is named by username, a group by id."""
        chosen = {"group": reference(self.group.data)} if self.who.data == "group" else {"user": self.user.data or ""}
        return {**chosen, "negate": bool(self.negate.data), "enabled": bool(self.enabled.data)}


def values_of(application: Application) -> dict[str, object]:
    """What the form shows of a stored application."""
    return {
        "name": application.name,
        "slug": application.slug,
        "category": application.category,
        "provider": str(application.provider or ""),
        "policy_mode": application.policy_mode.value,
        "second_factor": application.second_factor,
        "description": application.description,
        "publisher": application.publisher,
        "launch_url": application.launch_url,
    }


def fields_of(form: ApplicationForm) -> dict[str, object]:
    """What the command takes; a slug that was left empty follows from the name."""
    return {
        **{name: value or "" for name, value in form.values().items()},
        "second_factor": bool(form.second_factor.data),
        "provider": reference(form.provider.data),
        "slug": slug_of(form.slug.data, form.name.data),
    }


def slug_of(slug: str | None, name: str | None) -> str:
    """The slug that was typed, or one made of the name."""
    return (slug or "").strip() or slug_from(name or "")
