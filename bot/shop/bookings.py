"""Bookings and the time they take: read, booked, moved, cancelled, confirmed, and slots held; it texts nobody.

Two contacts can never hold one slot: `occupancy` says what each contact takes of each resource, bookings and holds
together, under an exclusion constraint. Every change here ends by making those rows true again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import BotError, Stale
from bot.tables import Booking, Hold, Location, Resource, Service
from bot.values import Cancel, Changed, Confirm, Reschedule, Span, at
from bot.values import Hold as HoldChange

#: A date further away than this is told with its year.
YEAR_AFTER = timedelta(days=300)


@dataclass(frozen=True)
class BookingView:
    """A booking with the names people know; instants aware, UTC; status booked, confirmed or cancelled."""

    id: UUID
    number: int
    contact_id: UUID
    service: str
    service_key: str
    staff: str
    location: str
    location_id: int
    resource_id: int
    starts_at: datetime
    ends_at: datetime
    status: str


# -- reading -------------------------------------------------------------------------------------------------------


def _views() -> Select[*tuple[Any, ...]]:
    return (
        select(
            Booking.id,
            Booking.number,
            Booking.contact_id,
            Service.name.label("service"),
            Service.key.label("service_key"),
            Resource.name.label("staff"),
            Location.name.label("location"),
            Location.id.label("location_id"),
            Booking.resource_id,
            Booking.starts_at,
            Booking.ends_at,
            Booking.status,
        )
        .join(Service, Service.id == Booking.service_id)
        .join(Resource, Resource.id == Booking.resource_id)
        .join(Location, Location.id == Resource.location_id)
    )


async def get(session: AsyncSession, booking_id: UUID) -> BookingView | None:
    """One booking, whatever became of it."""
    row = (await session.execute(_views().where(Booking.id == booking_id))).first()
    return BookingView(*row) if row is not None else None


async def upcoming(session: AsyncSession, contact_id: UUID, now: datetime) -> list[BookingView]:
    """The contact's bookings still to come and not cancelled, soonest first."""
    rows = await session.execute(
        _views()
        .where(Booking.contact_id == contact_id, Booking.starts_at > now, Booking.status != "cancelled")
        .order_by(Booking.starts_at)
    )
    return [BookingView(*row) for row in rows]


async def resource_ids(session: AsyncSession) -> dict[str, int]:
    """The id of every resource by its key in shop.yml."""
    return {row.key: row.id for row in await session.execute(select(Resource.key, Resource.id))}


def when_words(start: datetime, zone: ZoneInfo, now: datetime) -> str:
    """An instant as a text message tells it, in the shop's zone: "Fri Nov 27 at 2:00 PM"."""
    local = start.astimezone(zone)
    year = f" {local.year}" if abs(start - now) > YEAR_AFTER else ""
    return f"{local:%a} {local:%b} {local.day}{year} at {clock_words(local)}"


def clock_words(local: datetime) -> str:
    """A clock time as people in the shop's country read it: "2:00 PM"."""
    return f"{local.hour % 12 or 12}:{local:%M} {'AM' if local.hour < 12 else 'PM'}"


# -- changing ------------------------------------------------------------------------------------------------------


async def book(
    session: AsyncSession,
    contact_id: UUID,
    service_key: str,
    resource_id: int,
    start: datetime,
    now: datetime,
    *,
    demo: bool = False,
) -> BookingView:
    """Book a service with a resource at `start`. Raises the database's own conflict where the time is taken."""
    service = await session.scalar(select(Service).where(Service.key == service_key))
    if service is None:
        raise BotError(f"There is no service {service_key} in shop.yml.")
    booking = Booking(
        contact_id=contact_id,
        service_id=service.id,
        resource_id=resource_id,
        starts_at=start,
        ends_at=start + timedelta(minutes=service.minutes),
        status="booked",
        demo=demo,
    )
    session.add(booking)
    await session.flush()
    await _occupy(session, contact_id, [resource_id], now)
    view = await get(session, booking.id)
    assert view is not None  # just written
    return view


async def apply(
    session: AsyncSession, contact_id: UUID, change: HoldChange | Reschedule | Cancel | Confirm, now: datetime
) -> Changed:
    """Carry out one change of this contact's booking in the caller's transaction.

    Raises Stale where the booking is no longer as the change expects it, and the database's exclusion violation where
    somebody else has the time; either way nothing of the transaction stands.
    """
    booking = await session.scalar(
        select(Booking).where(Booking.id == change.booking_id, Booking.contact_id == contact_id).with_for_update()
    )
    if booking is None:
        raise Stale("the booking is gone")
    if isinstance(change, HoldChange):
        return await _hold(session, booking, change, now)
    wanted = ("cancelled",) if isinstance(change, Reschedule) and change.restores else ("booked", "confirmed")
    if booking.starts_at != change.expected_start or booking.status not in wanted:
        raise Stale("the booking has changed meanwhile")
    before = _facts(booking)
    resources = [booking.resource_id]
    if isinstance(change, Reschedule):
        if change.to.start <= now:
            raise Stale("the new time has passed")
        resources.append(change.to.resource_id)
        booking.resource_id, booking.starts_at, booking.ends_at = change.to.resource_id, change.to.start, change.to.end
        booking.status = "booked" if change.restores else booking.status
    elif isinstance(change, Cancel):
        booking.status = "cancelled"
    else:
        booking.status = "confirmed"
    resources += await _let_go(session, contact_id, booking.id)
    await session.flush()
    await _occupy(session, contact_id, resources, now)
    return Changed(kind=change.kind, ref=str(booking.number), before=before, after=_facts(booking))


async def release(session: AsyncSession, contact_id: UUID, booking_id: UUID | None, now: datetime) -> None:
    """Free what the contact holds for a booking, for all their bookings where none is named."""
    await _occupy(session, contact_id, await _let_go(session, contact_id, booking_id), now)


def _facts(booking: Booking) -> dict[str, Any]:
    return {"start": at(booking.starts_at), "status": booking.status, "resource": booking.resource_id}


async def _hold(session: AsyncSession, booking: Booking, change: HoldChange, now: datetime) -> Changed:
    resources = await _let_go(session, booking.contact_id, booking.id)
    session.add_all(_held(booking, span, change.until) for span in change.spans)
    await session.flush()
    await _occupy(session, booking.contact_id, [*resources, *(span.resource_id for span in change.spans)], now)
    slots = [at(span.start) for span in change.spans]
    return Changed(kind=change.kind, ref=str(booking.number), after={"slots": slots, "until": at(change.until)})


def _held(booking: Booking, span: Span, until: datetime) -> Hold:
    return Hold(
        contact_id=booking.contact_id,
        booking_id=booking.id,
        resource_id=span.resource_id,
        starts_at=span.start,
        ends_at=span.end,
        expires_at=until,
    )


async def _let_go(session: AsyncSession, contact_id: UUID, booking_id: UUID | None) -> list[int]:
    """Delete holds; the resources whose occupancy must be made true again."""
    statement = delete(Hold).where(Hold.contact_id == contact_id).returning(Hold.resource_id)
    if booking_id is not None:
        statement = statement.where(Hold.booking_id == booking_id)
    return list(await session.scalars(statement))


async def _occupy(session: AsyncSession, contact_id: UUID, resource_ids: Iterable[int], now: datetime) -> None:
    """Make occupancy equal to what this contact has booked and holds of these resources; lapsed holds go first.

    The resources' rows are locked in order, so that two of these wait for each other. Without the lock nothing would
    be booked twice either, the exclusion constraint sees to that, but one of the two would fail.
    """
    values: dict[str, Any] = {"resources": sorted(set(resource_ids)), "now": now}
    if not values["resources"]:
        return
    await session.execute(text("SELECT id FROM resources WHERE id = ANY(:resources) ORDER BY id FOR UPDATE"), values)
    lapsed = await session.scalars(
        text("DELETE FROM holds WHERE resource_id = ANY(:resources) AND expires_at <= :now RETURNING contact_id"),
        values,
    )
    values["contacts"] = list({contact_id, *lapsed})
    await session.execute(
        text("DELETE FROM occupancy WHERE resource_id = ANY(:resources) AND contact_id = ANY(:contacts)"), values
    )
    await session.execute(
        text(
            """
            INSERT INTO occupancy (contact_id, resource_id, resource_range, spans)
            SELECT contact_id, resource_id, int4range(resource_id, resource_id, '[]'),
                   range_agg(tstzrange(starts_at, ends_at))
            FROM (
                SELECT contact_id, resource_id, starts_at, ends_at FROM bookings
                WHERE status <> 'cancelled' AND ends_at > :now
                UNION ALL
                SELECT contact_id, resource_id, starts_at, ends_at FROM holds
            ) taken
            WHERE resource_id = ANY(:resources) AND contact_id = ANY(:contacts)
            GROUP BY contact_id, resource_id
            """
        ),
        values,
    )
