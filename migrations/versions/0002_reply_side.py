"""The reply side: catalogue, order changes, waiting list, contests, preferences, codes, undo."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

JSON = postgresql.JSONB()
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Add tables and columns; rows that are there keep their meaning."""
    _columns()
    _catalogue()
    _orders()
    _people()


def _columns() -> None:
    for table, column in (
        ("shop", sa.Column("content", JSON, nullable=False, server_default="{}")),
        ("contacts", sa.Column("profile", JSON, nullable=False, server_default="{}")),
        ("tickets", sa.Column("priority", sa.Text(), nullable=False, server_default="normal")),
    ):
        op.add_column(table, column)
        op.alter_column(table, column.name, server_default=None)
    for table, column in (
        ("orders", sa.Column("address", sa.Text())),
        ("orders", sa.Column("postcode", sa.Text())),
        ("orders", sa.Column("email", sa.Text())),
        ("effects", sa.Column("undone_at", MOMENT)),
        ("sender_numbers", sa.Column("caught_up_to", MOMENT)),
    ):
        op.add_column(table, column)
    op.alter_column("holds", "booking_id", nullable=True)
    op.create_check_constraint(op.f("ck_tickets_priority"), "tickets", "priority IN ('normal', 'high')")
    op.drop_constraint("ck_open_questions_kind", "open_questions")
    op.create_check_constraint(
        "ck_open_questions_kind",
        "open_questions",
        "kind IN ('survey', 'booking', 'contest', 'preference', 'booking_change', 'booking_cancel', 'booking_new', "
        "'order_change', 'details', 'identify', 'clarify')",
    )


def _catalogue() -> None:
    op.create_table(
        "products",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("words", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("price_cents", sa.Integer(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_products"),
        sa.UniqueConstraint("key", name="uq_products_key"),
    )
    op.create_table(
        "variants",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("size", sa.Text()),
        sa.Column("color", sa.Text()),
        sa.Column("stock", sa.Integer(), nullable=False),
        sa.CheckConstraint("stock >= 0", name="ck_variants_stock"),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name="fk_variants_product_id_products", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_variants"),
        sa.UniqueConstraint(
            "product_id", "size", "color", name="uq_variants_product_id_size_color", postgresql_nulls_not_distinct=True
        ),
    )


def _orders() -> None:
    op.create_table(
        "order_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("item", sa.Integer(), nullable=False),
        sa.Column("product", sa.Text()),
        sa.Column("size", sa.Text()),
        sa.Column("color", sa.Text()),
        sa.Column("reason", sa.Text()),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("withdrawn_at", MOMENT),
        sa.CheckConstraint("kind IN ('exchange', 'return')", name="ck_order_requests_kind"),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name="fk_order_requests_order_id_orders", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_order_requests_contact_id_contacts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_order_requests"),
    )
    op.create_index("ix_order_requests_order_id", "order_requests", ["order_id"])
    op.create_table(
        "order_proofs",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("proven_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(
            ["order_id"], ["orders.id"], name="fk_order_proofs_order_id_orders", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_order_proofs_contact_id_contacts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("order_id", "contact_id", name="pk_order_proofs"),
    )


def _people() -> None:
    op.create_table(
        "waitlist",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("service_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer()),
        sa.Column("booking_id", sa.Uuid()),
        sa.Column("wanted_from", MOMENT, nullable=False),
        sa.Column("wanted_to", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("left_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_waitlist_contact_id_contacts", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["service_id"], ["services.id"], name="fk_waitlist_service_id_services"),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name="fk_waitlist_location_id_locations"),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name="fk_waitlist_booking_id_bookings", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_waitlist"),
    )
    op.create_index("ix_waitlist_contact_id", "waitlist", ["contact_id"])
    op.create_table(
        "contest_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("contest", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Uuid(), nullable=False),
        sa.Column("entered_at", MOMENT, nullable=False),
        sa.Column("left_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_contest_entries_contact_id_contacts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_contest_entries"),
        sa.UniqueConstraint("contest", "contact_id", name="uq_contest_entries_contest_contact_id"),
    )
    op.create_table(
        "codes",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Uuid()),
        sa.Column("issued_at", MOMENT),
        sa.ForeignKeyConstraint(
            ["contact_id"], ["contacts.id"], name="fk_codes_contact_id_contacts", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_codes"),
        sa.UniqueConstraint("code", name="uq_codes_code"),
        sa.UniqueConstraint("pool", "contact_id", name="uq_codes_pool_contact_id"),
    )
