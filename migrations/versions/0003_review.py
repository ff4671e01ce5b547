"""The review queue: who said what a text means, and the way to the latest turns."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table and two ways to look."""
    op.create_table(
        "review_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Uuid()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("intent", sa.Text()),
        sa.Column("text", sa.Text()),
        sa.Column("moved_from", sa.Text()),
        sa.Column("moved", sa.Text()),
        sa.Column("file", sa.Text()),
        sa.Column("diff", sa.Text()),
        sa.Column("written", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("action IN ('proposed', 'labelled', 'skipped', 'reopened')", name="ck_review_events_action"),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_review_events_message_id_messages", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_review_events_user_id_users"),
        sa.PrimaryKeyConstraint("id", name="pk_review_events"),
    )
    op.create_index("ix_review_events_key_id", "review_events", ["key", "id"])
    op.create_index("ix_review_events_message_id", "review_events", ["message_id"])
    op.create_index("ix_review_events_created_at", "review_events", ["created_at"])
    op.create_index("ix_turns_ended_at", "turns", ["ended_at"])
