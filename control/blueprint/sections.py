"""What a blueprint may hold: its sections in the order in which they are carried out, and the fields of each.

A field stands under authentik's API name where that differs from ours; both are understood.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from control.fleet.integrations import FIELDS as INTEGRATION_FIELDS
from control.fleet.outposts import FIELDS as OUTPOST_FIELDS
from control.fleet.providers import KINDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One kind of object: how it is named in files, what names one, and which fields it has.

    `aliases` leads from other names of a field to ours; `secrets` are never shown, whatever is wrong with them.
    """

    name: str
    kind: str
    key: str
    fields: tuple[str, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    @property
    def known(self) -> tuple[str, ...]:
        """Every name a field may stand under."""
        return (*self.fields, *self.aliases, "state")


SECTIONS: tuple[Section, ...] = (
    Section(
        name="groups",
        kind="group",
        key="name",
        fields=("name", "parents", "superuser", "second_factor", "attributes"),
        aliases={"is_superuser": "superuser"},
    ),
    Section(
        name="users",
        kind="user",
        key="username",
        fields=(
            "username",
            "name",
            "email",
            "kind",
            "active",
            "attributes",
            "groups",
            "password",
            "password_hash",
            "password_policy",
        ),
        aliases={"is_active": "active", "type": "kind"},
        secrets=("password", "password_hash"),
    ),
    Section(
        name="certificates",
        kind="certificate",
        key="name",
        fields=("name", "certificate", "key", "certificate_file", "key_file"),
        aliases={"certificate_data": "certificate", "key_data": "key"},
        secrets=("key",),
    ),
    Section(
        name="providers",
        kind="provider",
        key="name",
        # Of all types together; which of them one has, its type says.
        fields=tuple(dict.fromkeys(("name", "type", *(name for kind in KINDS.values() for name in kind.fields)))),
    ),
    Section(
        name="applications",
        kind="application",
        key="slug",
        fields=(
            "slug",
            "name",
            "provider",
            "policy_mode",
            "second_factor",
            "category",
            "description",
            "publisher",
            "launch_url",
            "bindings",
        ),
        aliases={
            "policy_engine_mode": "policy_mode",
            "group": "category",
            "meta_description": "description",
            "meta_publisher": "publisher",
            "meta_launch_url": "launch_url",
        },
    ),
    Section(
        name="integrations",
        kind="integration",
        key="name",
        fields=INTEGRATION_FIELDS,
    ),
    Section(
        name="outposts",
        kind="outpost",
        key="name",
        fields=OUTPOST_FIELDS,
        aliases={"service_connection": "integration"},
    ),
)
BY_NAME = {section.name: section for section in SECTIONS}
# Known by name, so that the refusal can say that this version has them not yet.
LATER = ("endpoints", "stages", "flows", "sources", "tenants", "blueprints")
