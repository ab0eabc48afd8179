"""The form of an integration: name, where the engine is, and what both sides show each other."""

from wtforms import BooleanField, StringField

from control.domain.integration import Integration, IntegrationType
from control.web.forms import Form, reference


class IntegrationForm(Form):
    """Create and edit. Which certificates count, the scheme of the URL says."""

    name = StringField()
    type = StringField(default=IntegrationType.DOCKER)
    url = StringField()
    tls_verification = StringField()
    tls_authentication = StringField()
    same_engine = BooleanField()


def values_of(integration: Integration) -> dict[str, object]:
    """What the form shows of a stored integration."""
    return {
        "name": integration.name,
        "type": integration.type.value,
        "url": integration.url,
        "tls_verification": str(integration.tls_verification or ""),
        "tls_authentication": str(integration.tls_authentication or ""),
    }


def fields_of(form: IntegrationForm) -> dict[str, object]:
    """What the command takes."""
    return {
        "name": form.name.data or "",
        "type": form.type.data or "",
        "url": form.url.data or "",
        "tls_verification": reference(form.tls_verification.data),
        "tls_authentication": reference(form.tls_authentication.data),
        "same_engine": bool(form.same_engine.data),
    }
