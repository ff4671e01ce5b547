"""The log of what changed, one row per change with before and after; it changes nothing itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from bot.tables import Effect
from bot.values import Changed


async def record(
    session: AsyncSession,
    changes: Sequence[Changed],
    *,
    conversation_id: UUID | None,
    actor: Literal["contact", "page", "agent"],
    now: datetime,
    turn_id: UUID | None = None,
) -> None:
    """Write the changes in the caller's transaction, in their order; `actor` is who caused them.

    The turn must be written already where there is one; the same turn's changes twice break a unique constraint.
    """
    session.add_all(
        Effect(
            conversation_id=conversation_id,
            turn_id=turn_id,
            position=position,
            kind=changed.kind,
            ref=changed.ref,
            before=changed.before,
            after=changed.after,
            actor=actor,
            created_at=now,
        )
        for position, changed in enumerate(changes)
    )
    await session.flush()
