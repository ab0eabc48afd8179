"""The link in depth: history of instances, drains, link processes, the feed of users and groups."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "directory_epochs",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name=op.f("pk_directory_epochs")),
    )
    op.create_table(
        "recent_changes",
        sa.Column("revision", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("revision", "kind", "target", name=op.f("pk_recent_changes")),
    )
    op.create_table(
        "directory_changes",
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("target", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=5), nullable=False),
        sa.PrimaryKeyConstraint("revision", "target", name=op.f("pk_directory_changes")),
    )
    op.create_table(
        "link_processes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_processes")),
    )
    op.create_table(
        "drains",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("outpost", sa.Uuid(), nullable=False),
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["outpost"], ["outposts.id"], name=op.f("fk_drains_outpost"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_drains")),
    )
    with op.batch_alter_table("drains", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_drains_outpost"), ["outpost"], unique=False)

    op.create_table(
        "instance_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("outpost", sa.Uuid(), nullable=False),
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["outpost"], ["outposts.id"], name=op.f("fk_instance_events_outpost"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_events")),
    )
    with op.batch_alter_table("instance_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_instance_events_at"), ["at"], unique=False)
        batch_op.create_index(batch_op.f("ix_instance_events_outpost_at"), ["outpost", "at"], unique=False)

    with op.batch_alter_table("revision", schema=None) as batch_op:
        batch_op.add_column(sa.Column("latest", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("authorities", schema=None) as batch_op:
        batch_op.add_column(sa.Column("retires", sa.DateTime(timezone=True), nullable=True))

    with op.batch_alter_table("instances", schema=None) as batch_op:
        # Whoever was there before spoke the first version: there was no other.
        batch_op.add_column(sa.Column("protocol", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("holder", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("environment_token", sa.String(length=64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("held_token", sa.String(length=64), nullable=False, server_default=""))
        batch_op.create_index(batch_op.f("ix_instances_holder"), ["holder"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("instances", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_instances_holder"))
        batch_op.drop_column("held_token")
        batch_op.drop_column("environment_token")
        batch_op.drop_column("holder")
        batch_op.drop_column("protocol")

    with op.batch_alter_table("authorities", schema=None) as batch_op:
        batch_op.drop_column("retires")

    with op.batch_alter_table("revision", schema=None) as batch_op:
        batch_op.drop_column("latest")

    with op.batch_alter_table("instance_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_instance_events_outpost_at"))
        batch_op.drop_index(batch_op.f("ix_instance_events_at"))

    op.drop_table("instance_events")
    with op.batch_alter_table("drains", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_drains_outpost"))

    op.drop_table("drains")
    op.drop_table("link_processes")
    op.drop_table("recent_changes")
    op.drop_table("directory_changes")
    op.drop_table("directory_epochs")
