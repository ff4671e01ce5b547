"""The simulator's faults, and the moves of its clock."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add both tables; a real carrier leaves them empty."""
    op.create_table(
        "simulator_faults",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("code", sa.Text()),
        sa.Column("seconds", sa.Integer()),
        sa.Column("ordered_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.Column("due_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("texts", postgresql.JSONB(), nullable=False),
        sa.Column("message_id", sa.Uuid()),
        sa.CheckConstraint(
            "kind IN ('duplicate', 'reordered', 'delayed', 'picture', 'burst', 'tapback', "
            "'blocked', 'failed', 'no_receipt', 'lost_answer')",
            name="ck_simulator_faults_kind",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_simulator_faults"),
    )
    op.create_index("ix_simulator_faults_phone_id", "simulator_faults", ["phone", "id"])
    op.create_index(
        "ix_simulator_faults_due_at",
        "simulator_faults",
        ["due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL AND ended_at IS NULL"),
    )
    op.create_index("ix_simulator_faults_message_id", "simulator_faults", ["message_id"])
    op.create_table(
        "clock_moves",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("after_seq", sa.BigInteger(), nullable=False),
        sa.Column("moved_from", MOMENT, nullable=False),
        sa.Column("moved_to", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clock_moves"),
    )
    op.create_index("ix_clock_moves_after_seq", "clock_moves", ["after_seq"])


def downgrade() -> None:
    """Take both away."""
    op.drop_table("clock_moves")
    op.drop_table("simulator_faults")
