"""How Alembic meets the database: on the connection that `control.store.migrate` opened and locked."""

from typing import Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from control.store.tables import metadata


def render_plainly(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Write our column types as what the database sees, so that a migration outlives their Python.

    An Interval is SQLAlchemy's own, and what it is depends on the database.
    """
    if kind == "type" and isinstance(item, sa.types.TypeDecorator) and not isinstance(item, sa.Interval):
        return f"sa.{item.impl_instance!r}"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=render_plainly,
)
with context.begin_transaction():
    context.run_migrations()
