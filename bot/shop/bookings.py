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

from sqlalchemy import ColumnElement, Select, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot.errors import BotError, Stale
from bot.tables import Booking, Contact, Hold, Location, Resource, Service
from bot.values import Book, Cancel, Changed, Confirm, Reschedule, Span, Unconfirm, at
from bot.values import Hold as HoldChange

#: A date further away than this is told with its year.
YEAR_AFTER = timedelta(days=300)
#: What stands for the booking's number in the effect of a hold while there is no booking yet.
NEW = "new"


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


@dataclass(frozen=True)
class ServiceView:
    """Something that can be booked: its key and name in shop.yml, its length in minutes."""

    key: str
    name: str
    minutes: int


@dataclass(frozen=True)
class StaffView:
    """Somebody whose time is booked, where, and for which services (keys); keys and names as in shop.yml."""

    id: int
    key: str
    name: str
    location_id: int
    location_key: str
    location: str
    services: tuple[str, ...]


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


async def services(session: AsyncSession) -> list[ServiceView]:
    """Every service that ever was in shop.yml, in its order; whether anybody does it, `staff` says."""
    rows = await session.execute(select(Service.key, Service.name, Service.minutes).order_by(Service.id))
    return [ServiceView(*row) for row in rows]


async def staff(session: AsyncSession) -> list[StaffView]:
    """Everybody who ever was in shop.yml, place by place; who left does no service any more."""
    rows = await session.execute(
        select(
            Resource.id,
            Resource.key,
            Resource.name,
            Location.id,
            Location.key,
            Location.name,
            Resource.services,
        )
        .join(Location, Location.id == Resource.location_id)
        .order_by(Location.id, Resource.id)
    )
    return [StaffView(*row[:-1], services=tuple(row[-1])) for row in rows]


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
    end = start + timedelta(minutes=service.minutes)
    booking = await _add(session, contact_id, service, Span(resource_id=resource_id, start=start, end=end), demo=demo)
    await _occupy(session, contact_id, [resource_id], now)
    view = await get(session, booking.id)
    assert view is not None  # just written
    return view


async def apply(
    session: AsyncSession,
    contact_id: UUID,
    change: HoldChange | Book | Reschedule | Cancel | Confirm | Unconfirm,
    now: datetime,
) -> Changed:
    """Carry out one change of this contact's bookings in the caller's transaction.

    Before and after name the booking (`booking_id`), its `start` and `end`, `status` and `resource`, so that the change
    can be taken back by one made of them; a new booking has no before and names its `service` as well.

    Raises Stale where the facts are no longer as the change expects them, and the database's exclusion violation where
    somebody else has the time; either way nothing of the transaction stands.
    """
    if isinstance(change, Book):
        return await _book(session, contact_id, change, now)
    if isinstance(change, HoldChange) and change.booking_id is None:
        return await _hold(session, contact_id, None, change, now)
    if isinstance(change, Reschedule):
        await _one_at_a_time(session, contact_id)
    booking = await session.scalar(
        select(Booking).where(Booking.id == change.booking_id, Booking.contact_id == contact_id).with_for_update()
    )
    if booking is None:
        raise Stale("the booking is gone")
    if isinstance(change, HoldChange):
        return await _hold(session, contact_id, booking, change, now)
    if booking.starts_at != change.expected_start or booking.status not in _expected(change):
        raise Stale("the booking has changed meanwhile")
    before = _facts(booking)
    resources = [booking.resource_id]
    if isinstance(change, Reschedule):
        await _fits(session, contact_id, change.to, booking.id, now)
        resources.append(change.to.resource_id)
        booking.resource_id, booking.starts_at, booking.ends_at = change.to.resource_id, change.to.start, change.to.end
        booking.status = "booked" if change.restores else booking.status
    else:
        booking.status = {"booking.cancelled": "cancelled", "booking.confirmed": "confirmed"}.get(change.kind, "booked")
    resources += await _let_go(session, contact_id, Hold.booking_id == booking.id)
    await session.flush()
    await _occupy(session, contact_id, resources, now)
    return Changed(kind=change.kind, ref=str(booking.number), before=before, after=_facts(booking))


async def release(session: AsyncSession, contact_id: UUID, booking_id: UUID | None, now: datetime) -> None:
    """Free what the contact holds for a booking; where none is named all they hold, for a new booking as well."""
    mine = [Hold.booking_id == booking_id] if booking_id is not None else []
    await _occupy(session, contact_id, await _let_go(session, contact_id, *mine), now)


def _expected(change: Reschedule | Cancel | Confirm | Unconfirm) -> tuple[str, ...]:
    """The statuses a booking may have for this change to make sense."""
    if isinstance(change, Unconfirm):
        return ("confirmed",)
    if isinstance(change, Reschedule) and change.restores:
        return ("cancelled",)
    return ("booked", "confirmed")


def _facts(booking: Booking) -> dict[str, Any]:
    return {
        "booking_id": str(booking.id),
        "start": at(booking.starts_at),
        "end": at(booking.ends_at),
        "status": booking.status,
        "resource": booking.resource_id,
    }


async def _book(session: AsyncSession, contact_id: UUID, change: Book, now: datetime) -> Changed:
    await _one_at_a_time(session, contact_id)
    service = await session.scalar(select(Service).where(Service.key == change.service))
    if service is None or change.to.end - change.to.start != timedelta(minutes=service.minutes):
        raise Stale("the service is gone or takes another time now")
    await _fits(session, contact_id, change.to, None, now)
    booking = await _add(session, contact_id, service, change.to)
    freed = await _let_go(session, contact_id, Hold.booking_id.is_(None))
    await _occupy(session, contact_id, [change.to.resource_id, *freed], now)
    # Asked once the resource's row is locked: who was taken out of shop.yml meanwhile is not booked any more.
    does = await session.scalar(select(Resource.services).where(Resource.id == change.to.resource_id))
    if does is None or change.service not in does:
        raise Stale("nobody does this service there any more")
    after = {**_facts(booking), "service": change.service}
    return Changed(kind=change.kind, ref=str(booking.number), after=after)


async def _add(session: AsyncSession, contact_id: UUID, service: Service, span: Span, *, demo: bool = False) -> Booking:
    booking = Booking(
        contact_id=contact_id,
        service_id=service.id,
        resource_id=span.resource_id,
        starts_at=span.start,
        ends_at=span.end,
        status="booked",
        demo=demo,
    )
    session.add(booking)
    await session.flush()
    return booking


async def _one_at_a_time(session: AsyncSession, contact_id: UUID) -> None:
    """Lock the contact, as the transaction that ends a turn does first: two of their bookings are made in order."""
    await session.execute(select(Contact.id).where(Contact.id == contact_id).with_for_update())


async def _fits(session: AsyncSession, contact_id: UUID, span: Span, moving: UUID | None, now: datetime) -> None:
    """Raise Stale where the time has passed or the contact is booked elsewhere then; the constraint cannot see that."""
    if span.start <= now:
        raise Stale("the new time has passed")
    other = await session.scalar(
        select(Booking.id)
        .where(
            Booking.contact_id == contact_id,
            Booking.status != "cancelled",
            Booking.starts_at < span.end,
            Booking.ends_at > span.start,
            Booking.id.is_distinct_from(moving),
        )
        .limit(1)
    )
    if other is not None:
        raise Stale("the contact has another booking at that time")


async def _hold(
    session: AsyncSession, contact_id: UUID, booking: Booking | None, change: HoldChange, now: datetime
) -> Changed:
    resources = await _let_go(session, contact_id, Hold.booking_id.is_not_distinct_from(change.booking_id))
    session.add_all(
        Hold(
            contact_id=contact_id,
            booking_id=change.booking_id,
            resource_id=span.resource_id,
            starts_at=span.start,
            ends_at=span.end,
            expires_at=change.until,
        )
        for span in change.spans
    )
    await session.flush()
    await _occupy(session, contact_id, [*resources, *(span.resource_id for span in change.spans)], now)
    slots = [at(span.start) for span in change.spans]
    ref = str(booking.number) if booking is not None else NEW
    return Changed(kind=change.kind, ref=ref, after={"slots": slots, "until": at(change.until)})


async def _let_go(session: AsyncSession, contact_id: UUID, *which: ColumnElement[bool]) -> list[int]:
    """Delete the contact's holds, or those of them named; the resources whose occupancy must be made true again."""
    statement = delete(Hold).where(Hold.contact_id == contact_id, *which).returning(Hold.resource_id)
    return list(await session.scalars(statement))


async def _occupy(session: AsyncSession, contact_id: UUID, resource_ids: Iterable[int], now: datetime) -> None:
    """Make occupancy equal to what this contact has booked and holds of these resources; lapsed holds go first.

    The resources' rows are locked in order, so that two of these wait for each other. Without the lock nothing would
    be booked twice either, the exclusion constraint sees to that, but one of the two would fail. NO KEY: a hold or a
    booking just written shares a lock on its resource's key already, and two that share it would wait for
    each other.
    """
    values: dict[str, Any] = {"resources": sorted(set(resource_ids)), "now": now}
    if not values["resources"]:
        return
    await session.execute(
        text("SELECT id FROM resources WHERE id = ANY(:resources) ORDER BY id FOR NO KEY UPDATE"), values
    )
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
