"""First tables of the catalogue."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from flows.tables import Document, UtcTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chain_cursors",
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("registry_address", sa.String(length=64), nullable=False),
        sa.Column("last_block", sa.BigInteger(), nullable=False),
        sa.Column("read_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "registry_address"),
    )
    op.create_table(
        "chain_events",
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("registry_address", sa.String(length=64), nullable=False),
        sa.Column("tx_hash", sa.String(length=80), nullable=False),
        sa.Column("log_index", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("block_time", UtcTime(), nullable=False),
        sa.Column("doc", Document, nullable=False),
        sa.PrimaryKeyConstraint("chain_id", "registry_address", "tx_hash", "log_index"),
    )
    op.create_index(op.f("ix_chain_events_block"), "chain_events", ["block"], unique=False)
    op.create_index(op.f("ix_chain_events_name"), "chain_events", ["name"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("batch_id", sa.String(length=80), nullable=False),
        sa.Column("plan", Document, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("tx_hash", sa.String(length=80), nullable=True),
        sa.Column("raw_tx", sa.Text(), nullable=True),
        sa.Column("receipt", Document, nullable=True),
        sa.Column("changed_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("batch_id"),
    )
    op.create_index(op.f("ix_outbox_state"), "outbox", ["state"], unique=False)
    op.create_table(
        "projects",
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("doc", Document, nullable=False),
        sa.Column("settings", Document, nullable=False),
        sa.Column("registered_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("project_id"),
    )
    op.create_table(
        "quarantine",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("upload_name", sa.Text(), nullable=False),
        sa.Column("upload_digest", sa.String(length=80), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("problems", Document, nullable=False),
        sa.Column("received_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_quarantine_upload_digest"), "quarantine", ["upload_digest"], unique=False)
    op.create_table(
        "alerts",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("plot_id", sa.String(length=120), nullable=False),
        sa.Column("index_name", sa.String(length=12), nullable=False),
        sa.Column("break_day", sa.Date(), nullable=False),
        sa.Column("magnitude_e4", sa.Integer(), nullable=False),
        sa.Column("explained_by", sa.Text(), nullable=False),
        sa.Column("raised_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.project_id"],
        ),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("project_id", "plot_id", "index_name", "break_day"),
    )
    op.create_index(op.f("ix_alerts_project_id"), "alerts", ["project_id"], unique=False)
    op.create_table(
        "claim_refusals",
        sa.Column("number", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("change_digest", sa.String(length=80), nullable=False),
        sa.Column("reasons", Document, nullable=False),
        sa.Column("refused_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.project_id"],
        ),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_index(op.f("ix_claim_refusals_project_id"), "claim_refusals", ["project_id"], unique=False)
    op.create_table(
        "claims",
        sa.Column("claim_id", sa.String(length=80), nullable=False),
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("batch_id", sa.String(length=80), nullable=False),
        sa.Column("doc", Document, nullable=False),
        sa.Column("surveys", Document, nullable=False),
        sa.Column("outputs", Document, nullable=False),
        sa.Column("content_root", sa.String(length=80), nullable=True),
        sa.Column("evidence_root", sa.String(length=80), nullable=True),
        sa.Column("bundle_digest", sa.String(length=80), nullable=True),
        sa.Column("made_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.project_id"],
        ),
        sa.PrimaryKeyConstraint("claim_id"),
    )
    op.create_index(op.f("ix_claims_batch_id"), "claims", ["batch_id"], unique=False)
    op.create_index(op.f("ix_claims_project_id"), "claims", ["project_id"], unique=False)
    op.create_table(
        "plans",
        sa.Column("digest", sa.String(length=80), nullable=False),
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("doc", Document, nullable=False),
        sa.Column("stored_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.project_id"],
        ),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index(op.f("ix_plans_project_id"), "plans", ["project_id"], unique=False)
    op.create_table(
        "scenes",
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("scene_id", sa.String(length=200), nullable=False),
        sa.Column("plot_id", sa.String(length=120), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("pixels", sa.Integer(), nullable=False),
        sa.Column("clear", sa.Integer(), nullable=False),
        sa.Column("ndmi_e4", sa.Integer(), nullable=True),
        sa.Column("nbr_e4", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.project_id"],
        ),
        sa.PrimaryKeyConstraint("project_id", "scene_id", "plot_id"),
    )
    op.create_index("scenes_by_plot", "scenes", ["project_id", "plot_id", "day"], unique=False)
    op.create_table(
        "stage_results",
        sa.Column("inputs_digest", sa.String(length=80), nullable=False),
        sa.Column("stage", sa.String(length=40), nullable=False),
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("result_digest", sa.String(length=80), nullable=False),
        sa.Column("outputs", Document, nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("made_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.project_id"],
        ),
        sa.PrimaryKeyConstraint("inputs_digest"),
    )
    op.create_index(op.f("ix_stage_results_project_id"), "stage_results", ["project_id"], unique=False)
    op.create_index(op.f("ix_stage_results_stage"), "stage_results", ["stage"], unique=False)
    op.create_table(
        "surveys",
        sa.Column("survey_id", sa.String(length=120), nullable=False),
        sa.Column("project_id", sa.String(length=120), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("upload_name", sa.Text(), nullable=False),
        sa.Column("upload_digest", sa.String(length=80), nullable=False),
        sa.Column("content_digest", sa.String(length=80), nullable=False),
        sa.Column("files", Document, nullable=False),
        sa.Column("known", Document, nullable=False),
        sa.Column("plan_doc", Document, nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("accepted_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.project_id"],
        ),
        sa.PrimaryKeyConstraint("survey_id"),
        sa.UniqueConstraint("content_digest"),
        sa.UniqueConstraint("upload_digest"),
    )
    op.create_index(op.f("ix_surveys_project_id"), "surveys", ["project_id"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("claim_id", sa.String(length=80), nullable=False),
        sa.Column("verifier", sa.String(length=64), nullable=False),
        sa.Column("struct", Document, nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("recomputed_kg", sa.BigInteger(), nullable=False),
        sa.Column("signed_at", UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["claim_id"],
            ["claims.claim_id"],
        ),
        sa.PrimaryKeyConstraint("claim_id"),
    )


def downgrade() -> None:
    op.drop_table("approvals")
    op.drop_index(op.f("ix_surveys_project_id"), table_name="surveys")
    op.drop_table("surveys")
    op.drop_index(op.f("ix_stage_results_stage"), table_name="stage_results")
    op.drop_index(op.f("ix_stage_results_project_id"), table_name="stage_results")
    op.drop_table("stage_results")
    op.drop_index("scenes_by_plot", table_name="scenes")
    op.drop_table("scenes")
    op.drop_index(op.f("ix_plans_project_id"), table_name="plans")
    op.drop_table("plans")
    op.drop_index(op.f("ix_claims_project_id"), table_name="claims")
    op.drop_index(op.f("ix_claims_batch_id"), table_name="claims")
    op.drop_table("claims")
    op.drop_index(op.f("ix_claim_refusals_project_id"), table_name="claim_refusals")
    op.drop_table("claim_refusals")
    op.drop_index(op.f("ix_alerts_project_id"), table_name="alerts")
    op.drop_table("alerts")
    op.drop_index(op.f("ix_quarantine_upload_digest"), table_name="quarantine")
    op.drop_table("quarantine")
    op.drop_table("projects")
    op.drop_index(op.f("ix_outbox_state"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_index(op.f("ix_chain_events_name"), table_name="chain_events")
    op.drop_index(op.f("ix_chain_events_block"), table_name="chain_events")
    op.drop_table("chain_events")
    op.drop_table("chain_cursors")
