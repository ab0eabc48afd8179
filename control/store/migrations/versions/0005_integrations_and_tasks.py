"""Integrations, what lies on them, and the queue of background work."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("cause", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("error", sa.String(length=80), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("cancel_asked", sa.Boolean(), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=True),
        sa.Column("lease", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_runs")),
    )
    op.create_index(op.f("ix_task_runs_created"), "task_runs", ["created"], unique=False)
    op.create_index(op.f("ix_task_runs_finished"), "task_runs", ["finished"], unique=False)
    op.create_index(op.f("ix_task_runs_state_due"), "task_runs", ["state", "due"], unique=False)
    op.create_index(op.f("ix_task_runs_subject_created"), "task_runs", ["subject", "created"], unique=False)

    op.create_table(
        "integrations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("type", sa.String(length=40), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("tls_verification", sa.Uuid(), nullable=True),
        sa.Column("tls_authentication", sa.Uuid(), nullable=True),
        sa.Column("local", sa.Boolean(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["tls_authentication"],
            ["certificates.id"],
            name=op.f("fk_integrations_tls_authentication"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["tls_verification"],
            ["certificates.id"],
            name=op.f("fk_integrations_tls_verification"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_integrations")),
        sa.UniqueConstraint("name", name=op.f("uq_integrations_name")),
    )
    op.create_table(
        "task_lines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("level", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=80), nullable=False),
        sa.Column("values", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["run"], ["task_runs.id"], name=op.f("fk_task_lines_run"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_lines")),
    )
    op.create_index(op.f("ix_task_lines_run"), "task_lines", ["run"], unique=False)

    op.create_table(
        "deployments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("integration", sa.Uuid(), nullable=False),
        sa.Column("outpost", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=150), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("image", sa.String(length=500), nullable=False),
        sa.Column("failed", sa.String(length=64), nullable=False),
        sa.Column("failed_image", sa.String(length=500), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("retry", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("hosts", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["integration"], ["integrations.id"], name=op.f("fk_deployments_integration"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    op.create_index(op.f("ix_deployments_integration"), "deployments", ["integration"], unique=False)
    op.create_index(op.f("ix_deployments_outpost_integration"), "deployments", ["outpost", "integration"], unique=True)

    op.create_table(
        "integration_health",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("healthy", sa.Boolean(), nullable=False),
        sa.Column("checked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.String(length=80), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("version", sa.String(length=80), nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("host_key", sa.Text(), nullable=False),
        sa.Column("offered_key", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["integrations.id"], name=op.f("fk_integration_health_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_integration_health")),
    )
    # Without a reference: SQLite can't add one without making the table anew, and what refers to it would go.
    op.add_column("outposts", sa.Column("integration", sa.Uuid(), nullable=True))
    op.create_index(op.f("ix_outposts_integration"), "outposts", ["integration"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_outposts_integration"), "outposts")
    op.drop_column("outposts", "integration")
    op.drop_table("integration_health")
    op.drop_index(op.f("ix_deployments_outpost_integration"), "deployments")
    op.drop_index(op.f("ix_deployments_integration"), "deployments")

    op.drop_table("deployments")
    op.drop_index(op.f("ix_task_lines_run"), "task_lines")

    op.drop_table("task_lines")
    op.drop_table("integrations")
    op.drop_index(op.f("ix_task_runs_subject_created"), "task_runs")
    op.drop_index(op.f("ix_task_runs_state_due"), "task_runs")
    op.drop_index(op.f("ix_task_runs_finished"), "task_runs")
    op.drop_index(op.f("ix_task_runs_created"), "task_runs")

    op.drop_table("task_runs")
