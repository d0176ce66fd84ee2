"""Share tables by household and plot, and payouts by bank that two officers sign."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from flows.tables import Document, UtcTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _project() -> sa.Column[str]:
    return sa.Column("project_id", sa.String(length=120), nullable=False)


def _of_project() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["project_id"], ["projects.project_id"])


def _of_run(name: str) -> sa.ForeignKeyConstraint:
    run = ["payout_runs.project_id", "payout_runs.number"]
    return sa.ForeignKeyConstraint(["project_id", "number"], run, name=name)


def upgrade() -> None:
    op.create_table(
        "share_tables",
        _project(),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("doc", Document, nullable=False),
        sa.Column("stored_at", UtcTime(), nullable=False),
        _of_project(),
        sa.PrimaryKeyConstraint("project_id", "epoch"),
    )
    op.create_table(
        "bank_accounts",
        _project(),
        sa.Column("payee_id", sa.String(length=120), nullable=False),
        sa.Column("doc", Document, nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        _of_project(),
        sa.PrimaryKeyConstraint("project_id", "payee_id"),
    )
    op.create_table(
        "payout_officers",
        _project(),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("added_at", UtcTime(), nullable=False),
        _of_project(),
        sa.PrimaryKeyConstraint("project_id", "address"),
    )
    op.create_table(
        "payout_runs",
        _project(),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("doc", Document, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("planned_at", UtcTime(), nullable=False),
        sa.Column("changed_at", UtcTime(), nullable=False),
        _of_project(),
        sa.PrimaryKeyConstraint("project_id", "number"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "payout_lines",
        _project(),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("payee_id", sa.String(length=120), nullable=False),
        sa.Column("yen", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("paid_at", UtcTime(), nullable=True),
        sa.Column("returned_at", UtcTime(), nullable=True),
        _of_run("line_of_run"),
        sa.PrimaryKeyConstraint("project_id", "number", "payee_id"),
    )
    op.create_table(
        "payout_signatures",
        _project(),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(length=200), nullable=False),
        sa.Column("officer", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("signed_at", UtcTime(), nullable=False),
        _of_run("signature_of_run"),
        sa.PrimaryKeyConstraint("project_id", "number", "action", "officer"),
    )


def downgrade() -> None:
    for name in (
        "payout_signatures",
        "payout_lines",
        "payout_runs",
        "payout_officers",
        "bank_accounts",
        "share_tables",
    ):
        op.drop_table(name)
