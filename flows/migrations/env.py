"""Alembic environment: migrations run on the connection that the catalogue hands over."""

from __future__ import annotations

from alembic import context

from flows.tables import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
context.run_migrations()
