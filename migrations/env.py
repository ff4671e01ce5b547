"""Runs the migrations on the connection that bot.services hands over; it opens none and reads no setting."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
