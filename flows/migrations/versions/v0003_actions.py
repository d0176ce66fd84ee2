"""Actions that are done once, monitoring plans of later periods, and an index of events that knows announced shares."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from flows.tables import Document, UtcTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "actions",
        sa.Column("action_id", sa.String(length=80), nullable=False),
        sa.Column("plan", Document, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("tx_hash", sa.String(length=80), nullable=True),
        sa.Column("raw_tx", sa.Text(), nullable=True),
        sa.Column("receipt", Document, nullable=True),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("action_id"),
    )
    op.create_index(op.f("ix_actions_state"), "actions", ["state"], unique=False)
    # Announced shares are among the events from here on: the index is read anew from the chain.
    op.execute("DELETE FROM chain_events")
    op.execute("DELETE FROM chain_cursors")
    op.add_column("plans", sa.Column("after_survey", sa.String(length=120), nullable=True))


def downgrade() -> None:
    op.drop_column("plans", "after_survey")
    op.drop_index(op.f("ix_actions_state"), table_name="actions")
    op.drop_table("actions")
