"""Officers as a chain of signed changes, and every hand-out of a bank's file.

Officers recorded before had no duty and anybody could add one: they stay in ``payout_officers`` for the names of old signatures,
and are recorded anew to sign again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from flows.tables import Document, UtcTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payout_officer_changes",
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("doc", Document, nullable=False),
        sa.Column("recorded_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.project_id"]),
        sa.PrimaryKeyConstraint("project_id", "number"),
    )
    op.create_table(
        "payout_officer_signatures",
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("officer", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("signed_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "number"],
            ["payout_officer_changes.project_id", "payout_officer_changes.number"],
            name="signature_of_officer_change",
        ),
        sa.PrimaryKeyConstraint("project_id", "number", "officer"),
    )
    op.create_table(
        "payout_files",
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=80), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("given_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id", "number"],
            ["payout_runs.project_id", "payout_runs.number"],
            name="file_of_run",
        ),
        sa.PrimaryKeyConstraint("project_id", "number", "place"),
    )


def downgrade() -> None:
    for name in ("payout_files", "payout_officer_signatures", "payout_officer_changes"):
        op.drop_table(name)
