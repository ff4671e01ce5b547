"""Who waits for a time to come free: joined and left; it looks for no time and texts nobody."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import Stale
from bot.shop import bookings
from bot.tables import Booking, Contact, Service, Waiting
from bot.values import Changed, JoinWaitlist, LeaveWaitlist, at


async def apply(
    session: AsyncSession, contact_id: UUID, change: JoinWaitlist | LeaveWaitlist, now: datetime
) -> Changed:
    """Put the contact on the list or take them off, in the caller's transaction; the effect's ref is the service's key.

    Before and after hold the fields of a wish (`waitlist_id`, `service`, `location_id`, `booking_id`, `from`, `to`;
    ids of contact's things as text, instants ISO 8601 in UTC), None where the contact is not on the list. A wish that
    is on the list already, or lies within one that is, stays one row, told in both. Joining lets go of what was held
    for the contact while they chose. Raises Stale where the service, the booking or the row is not there any more.
    """
    # The contact first, as the transaction that ends a turn does: two texts of theirs join in order.
    await session.execute(select(Contact.id).where(Contact.id == contact_id).with_for_update())
    if isinstance(change, JoinWaitlist):
        return await _join(session, contact_id, change, now)
    found = await session.execute(
        select(Waiting, Service.key)
        .join(Service, Service.id == Waiting.service_id)
        .where(Waiting.id == change.waitlist_id, Waiting.contact_id == contact_id, Waiting.left_at.is_(None))
    )
    row = found.first()
    if row is None:
        raise Stale("the contact is not on the waiting list any more")
    waiting, service = row
    waiting.left_at = now
    await session.flush()
    return Changed(kind=change.kind, ref=service, before=_facts(waiting, service))


async def _join(session: AsyncSession, contact_id: UUID, change: JoinWaitlist, now: datetime) -> Changed:
    service_id = await session.scalar(select(Service.id).where(Service.key == change.service))
    if service_id is None or change.wanted_to <= now:
        raise Stale("the service is gone or the time wished is over")
    if change.booking_id is not None:
        own = select(Booking.status).where(Booking.id == change.booking_id, Booking.contact_id == contact_id)
        if (await session.scalar(own.with_for_update())) not in ("booked", "confirmed"):
            raise Stale("the booking that would move is gone")
    await bookings.release(session, contact_id, change.booking_id, now)
    known = await session.scalar(
        select(Waiting)
        .where(
            Waiting.contact_id == contact_id,
            Waiting.service_id == service_id,
            Waiting.location_id.is_not_distinct_from(change.location_id),
            Waiting.booking_id.is_not_distinct_from(change.booking_id),
            Waiting.wanted_from <= change.wanted_from,
            Waiting.wanted_to >= change.wanted_to,
            Waiting.left_at.is_(None),
        )
        .order_by(Waiting.created_at)
        .limit(1)
    )
    if known is not None:
        facts = _facts(known, change.service)
        return Changed(kind=change.kind, ref=change.service, before=facts, after=facts)
    waiting = Waiting(
        contact_id=contact_id,
        service_id=service_id,
        location_id=change.location_id,
        booking_id=change.booking_id,
        wanted_from=change.wanted_from,
        wanted_to=change.wanted_to,
        created_at=now,
    )
    session.add(waiting)
    await session.flush()
    return Changed(kind=change.kind, ref=change.service, after=_facts(waiting, change.service))


def _facts(waiting: Waiting, service: str) -> dict[str, Any]:
    return {
        "waitlist_id": str(waiting.id),
        "service": service,
        "location_id": waiting.location_id,
        "booking_id": str(waiting.booking_id) if waiting.booking_id is not None else None,
        "from": at(waiting.wanted_from),
        "to": at(waiting.wanted_to),
    }
