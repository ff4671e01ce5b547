"""The live model, what is asked of the engine that runs Rasa, and where its Rasas are."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add all three."""
    op.create_table(
        "publications",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("replaced", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid()),
        sa.Column("published_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('started', 'published', 'rolled_back')", name="ck_publications_kind"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_publications_user_id_users"),
        sa.PrimaryKeyConstraint("id", name="pk_publications"),
    )
    op.create_table(
        "model_jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("steps", postgresql.JSONB(), nullable=False),
        sa.Column("outcome", sa.Text()),
        sa.Column("words", sa.Text()),
        sa.Column("ordered_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.Column("began_at", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.CheckConstraint("kind IN ('train', 'publish')", name="ck_model_jobs_kind"),
        sa.CheckConstraint(
            "outcome IN ('accepted', 'refused', 'published', 'failed', 'stopped')", name="ck_model_jobs_outcome"
        ),
        sa.CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="ck_model_jobs_ended"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_model_jobs_user_id_users"),
        sa.PrimaryKeyConstraint("id", name="pk_model_jobs"),
    )
    op.create_index(
        "uq_model_jobs_open", "model_jobs", ["kind"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
    )
    op.create_table(
        "rasa_sites",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("urls", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("moved_at", MOMENT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_rasa_sites"),
    )


def downgrade() -> None:
    """Take them away."""
    op.drop_table("rasa_sites")
    op.drop_table("model_jobs")
    op.drop_table("publications")
