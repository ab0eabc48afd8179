"""How mode proxy reaches applications."""

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_CERTIFICATES = ("internal_host_authorities", "internal_host_certificate")
_TIMES = {
    "internal_host_connect_timeout": timedelta(seconds=5),
    "internal_host_response_timeout": timedelta(minutes=10),
    "internal_host_idle_timeout": timedelta(hours=1),
}


def upgrade() -> None:
    columns: list[sa.Column[Any]] = [
        sa.Column("internal_host_header", sa.String(length=500), nullable=False, server_default=""),
        sa.Column("internal_host_server_name", sa.String(length=255), nullable=False, server_default=""),
        *(sa.Column(name, sa.Uuid(), nullable=True) for name in _CERTIFICATES),
        *(sa.Column(name, sa.Interval(), nullable=True) for name in _TIMES),
        sa.Column("internal_host_connections", sa.Integer(), nullable=False, server_default="1024"),
        sa.Column("security_headers", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]
    with op.batch_alter_table("proxy_providers", schema=None) as batch_op:
        for column in columns:
            batch_op.add_column(column)

    times = sa.table("proxy_providers", *(sa.column(name, sa.Interval()) for name in _TIMES))
    op.execute(sa.update(times).values(**_TIMES))
    # SQLite makes the table anew for these; nothing refers to it.
    with op.batch_alter_table("proxy_providers", schema=None) as batch_op:
        for name in _TIMES:
            batch_op.alter_column(name, existing_type=sa.Interval(), nullable=False)
        batch_op.alter_column("internal_host", type_=sa.String(length=2000), existing_nullable=False)
        for name in _CERTIFICATES:
            key = batch_op.f(f"fk_proxy_providers_{name}")
            batch_op.create_foreign_key(key, "certificates", [name], ["id"], ondelete="RESTRICT")


def downgrade() -> None:
    with op.batch_alter_table("proxy_providers", schema=None) as batch_op:
        for name in _CERTIFICATES:
            batch_op.drop_constraint(batch_op.f(f"fk_proxy_providers_{name}"), type_="foreignkey")
        batch_op.alter_column("internal_host", type_=sa.String(length=500), existing_nullable=False)
        batch_op.drop_column("security_headers")
        batch_op.drop_column("internal_host_connections")
        for name in (*_TIMES, *_CERTIFICATES):
            batch_op.drop_column(name)
        batch_op.drop_column("internal_host_server_name")
        batch_op.drop_column("internal_host_header")
