"""Decisions in depth: second factors, app passwords, lockout, header authentication, a fuller audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_NARROWING = ("actor", "action", "kind", "target", "address", "outpost", "request_id")


def upgrade() -> None:
    op.create_table(
        "failures",
        sa.Column("bucket", sa.String(length=80), nullable=False),
        sa.Column("shown", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=80), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("bucket", name=op.f("pk_failures")),
    )
    with op.batch_alter_table("failures", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_failures_last"), ["last"], unique=False)
        batch_op.create_index(batch_op.f("ix_failures_locked_until"), ["locked_until"], unique=False)

    op.create_table(
        "app_passwords",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.Column("everywhere", sa.Boolean(), nullable=False),
        sa.Column("second_factor", sa.Boolean(), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_address", sa.String(length=80), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_app_passwords_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_passwords")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_app_passwords_fingerprint")),
    )
    with op.batch_alter_table("app_passwords", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_app_passwords_user"), ["user"], unique=False)

    op.create_table(
        "revoked_app_passwords",
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("user", sa.Uuid(), nullable=False),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_revoked_app_passwords_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_revoked_app_passwords")),
    )
    with op.batch_alter_table("revoked_app_passwords", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_revoked_app_passwords_revoked"), ["revoked"], unique=False)
        batch_op.create_index(batch_op.f("ix_revoked_app_passwords_user"), ["user"], unique=False)

    op.create_table(
        "authenticators",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_authenticators_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authenticators")),
    )
    with op.batch_alter_table("authenticators", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_authenticators_user"), ["user"], unique=False)

    op.create_table(
        "familiar",
        sa.Column("user", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(length=80), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_familiar_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user", "address", name=op.f("pk_familiar")),
    )
    with op.batch_alter_table("familiar", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_familiar_last"), ["last"], unique=False)

    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user"], ["users.id"], name=op.f("fk_recovery_codes_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recovery_codes")),
    )
    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_recovery_codes_user"), ["user"], unique=False)

    op.create_table(
        "app_password_applications",
        sa.Column("app_password", sa.Uuid(), nullable=False),
        sa.Column("application", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_password"],
            ["app_passwords.id"],
            name=op.f("fk_app_password_applications_app_password"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["application"],
            ["applications.id"],
            name=op.f("fk_app_password_applications_application"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("app_password", "application", name=op.f("pk_app_password_applications")),
    )
    with op.batch_alter_table("app_password_applications", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_app_password_applications_application"), ["application"], unique=False)

    with op.batch_alter_table("applications", schema=None) as batch_op:
        batch_op.add_column(sa.Column("second_factor", sa.Boolean(), nullable=False, server_default=sa.false()))

    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.add_column(sa.Column("reason", sa.String(length=500), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("outpost", sa.String(length=150), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("count", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("recorded", sa.DateTime(timezone=True), nullable=True))
    # Until now control told of everything as it happened.
    op.execute("UPDATE audit_events SET recorded = at")
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.alter_column("recorded", nullable=False)
        batch_op.create_index(batch_op.f("ix_audit_events_recorded"), ["recorded"], unique=False)
        for name in _NARROWING:
            batch_op.create_index(batch_op.f(f"ix_audit_events_{name}_at"), [name, "at"], unique=False)
        failures = sa.text("outcome != 'success'")
        batch_op.create_index("ix_audit_events_failures", ["at"], sqlite_where=failures, postgresql_where=failures)

    with op.batch_alter_table("groups", schema=None) as batch_op:
        batch_op.add_column(sa.Column("second_factor", sa.Boolean(), nullable=False, server_default=sa.false()))

    with op.batch_alter_table("proxy_providers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("basic_auth_enabled", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.add_column(
            sa.Column("basic_auth_user_attribute", sa.String(length=250), nullable=False, server_default="")
        )
        batch_op.add_column(
            sa.Column("basic_auth_password_attribute", sa.String(length=250), nullable=False, server_default="")
        )

    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        # There was no other way until now.
        batch_op.add_column(sa.Column("methods", sa.JSON(), nullable=False, server_default='["pwd"]'))


def downgrade() -> None:
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.drop_column("methods")

    with op.batch_alter_table("proxy_providers", schema=None) as batch_op:
        batch_op.drop_column("basic_auth_password_attribute")
        batch_op.drop_column("basic_auth_user_attribute")
        batch_op.drop_column("basic_auth_enabled")

    with op.batch_alter_table("groups", schema=None) as batch_op:
        batch_op.drop_column("second_factor")

    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_events_failures")
        for name in _NARROWING:
            batch_op.drop_index(batch_op.f(f"ix_audit_events_{name}_at"))
        batch_op.drop_index(batch_op.f("ix_audit_events_recorded"))
        batch_op.drop_column("recorded")
        batch_op.drop_column("count")
        batch_op.drop_column("outpost")
        batch_op.drop_column("reason")

    with op.batch_alter_table("applications", schema=None) as batch_op:
        batch_op.drop_column("second_factor")

    with op.batch_alter_table("app_password_applications", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_app_password_applications_application"))

    op.drop_table("app_password_applications")
    with op.batch_alter_table("recovery_codes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_recovery_codes_user"))

    op.drop_table("recovery_codes")
    with op.batch_alter_table("familiar", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_familiar_last"))

    op.drop_table("familiar")
    with op.batch_alter_table("authenticators", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_authenticators_user"))

    op.drop_table("authenticators")
    with op.batch_alter_table("revoked_app_passwords", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_revoked_app_passwords_user"))
        batch_op.drop_index(batch_op.f("ix_revoked_app_passwords_revoked"))

    op.drop_table("revoked_app_passwords")
    with op.batch_alter_table("app_passwords", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_app_passwords_user"))

    op.drop_table("app_passwords")
    with op.batch_alter_table("failures", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_failures_locked_until"))
        batch_op.drop_index(batch_op.f("ix_failures_last"))

    op.drop_table("failures")
