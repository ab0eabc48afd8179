"""LDAP providers, numbers for users and groups, and since when groups and passwords are what they are."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FIRST_USER, _FIRST_GROUP = 1, 1_000_000
_NUMBERED = """
UPDATE {table} SET number = :first - 1 + o.n
FROM (SELECT id, row_number() OVER (ORDER BY {order}) AS n FROM {table}) AS o WHERE o.id = {table}.id
"""


def upgrade() -> None:
    op.create_table(
        "counters",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "ldap_providers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("base_dn", sa.String(length=500), nullable=False),
        sa.Column("bind_mode", sa.String(length=40), nullable=False),
        sa.Column("search_mode", sa.String(length=40), nullable=False),
        sa.Column("mfa_support", sa.Boolean(), nullable=False),
        sa.Column("search_group", sa.Uuid(), nullable=True),
        sa.Column("uid_start_number", sa.Integer(), nullable=False),
        sa.Column("gid_start_number", sa.Integer(), nullable=False),
        sa.Column("certificate", sa.Uuid(), nullable=True),
        sa.Column("tls_server_name", sa.String(length=255), nullable=False),
        sa.Column("user_attributes", sa.JSON(), nullable=False),
        sa.Column("group_attributes", sa.JSON(), nullable=False),
        sa.Column("size_limit", sa.Integer(), nullable=False),
        sa.Column("time_limit", sa.Interval(), nullable=False),
        sa.ForeignKeyConstraint(
            ["certificate"], ["certificates.id"], name=op.f("fk_ldap_providers_certificate"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(["id"], ["providers.id"], name=op.f("fk_ldap_providers_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["search_group"], ["groups.id"], name=op.f("fk_ldap_providers_search_group"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ldap_providers")),
    )
    op.create_index(op.f("ix_ldap_providers_search_group"), "ldap_providers", ["search_group"], unique=False)
    _add_columns()
    _number()
    op.create_index(op.f("ix_users_number"), "users", ["number"], unique=True)
    op.create_index(op.f("ix_groups_number"), "groups", ["number"], unique=True)
    # Each entry of the directory is another now: a new history begins with the next start of the link.
    op.execute("DELETE FROM directory_epochs")
    op.execute("DELETE FROM directory_changes")


def _add_columns() -> None:
    """With defaults, since SQLite would otherwise have to make the tables anew, and what refers to them would go."""
    long_ago = "1970-01-01 00:00:00+00:00"
    op.add_column("users", sa.Column("number", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("users", sa.Column("password_changed", sa.DateTime(timezone=True), nullable=True))
    op.add_column("groups", sa.Column("number", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("groups", sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=long_ago))
    op.add_column("groups", sa.Column("updated", sa.DateTime(timezone=True), nullable=False, server_default=long_ago))


def _number() -> None:
    """Who is there, in the order in which they came; groups by name. When groups came nobody knows: as of now."""
    connection = op.get_bind()
    counters = sa.table("counters", sa.column("name", sa.String), sa.column("next", sa.BigInteger))
    for name, order, first in (("users", "created, username", _FIRST_USER), ("groups", "name", _FIRST_GROUP)):
        connection.execute(sa.text(_NUMBERED.format(table=f'"{name}"', order=order)), {"first": first})
        count = connection.execute(sa.select(sa.func.count()).select_from(sa.table(name))).scalar_one()
        connection.execute(sa.insert(counters).values(name=name, next=first + count))
    moment = sa.DateTime(timezone=True)
    groups = sa.table("groups", sa.column("created", moment), sa.column("updated", moment))
    now = datetime.now(UTC)
    connection.execute(sa.update(groups).values(created=now, updated=now))
    # No later than that, as a password never changed without it.
    op.execute("UPDATE users SET password_changed = updated WHERE password_hash IS NOT NULL")


def downgrade() -> None:
    op.drop_index(op.f("ix_groups_number"), "groups")
    op.drop_index(op.f("ix_users_number"), "users")
    for table, column in (
        ("groups", "updated"),
        ("groups", "created"),
        ("groups", "number"),
        ("users", "password_changed"),
        ("users", "number"),
    ):
        op.drop_column(table, column)
    op.drop_table("ldap_providers")
    op.drop_table("counters")
