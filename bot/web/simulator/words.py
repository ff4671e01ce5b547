"""How the simulator page tells what a turn holds: effects before and after, what is waited for, entities in a text.

Instants become words in the shop's zone, keys and numbers of rows become the names people know; no id is shown.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from bot.shop import bookings
from bot.tables import Effect, Location, OpenQuestion, Product, Resource, Service

_LINK = re.compile(r"https?://[^\s<>\"']*[^\s<>\"'.,;:!?)]")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d")


@dataclass(frozen=True)
class Change:
    """One effect in words: what happened, and each field that differs as (field, before, after)."""

    title: str
    fields: list[tuple[str, str | None, str | None]]


@dataclass(frozen=True)
class Wait:
    """Something asked and not answered yet: what in words, the numbered choices, and what is known already."""

    words: str
    choices: Sequence[str] = ()
    known: Sequence[tuple[str, str]] = ()


_KINDS = {
    "booking.created": "Booking {ref} made",
    "booking.confirmed": "Booking {ref} confirmed",
    "booking.unconfirmed": "Confirmation of booking {ref} taken back",
    "booking.rescheduled": "Booking {ref} moved",
    "booking.cancelled": "Booking {ref} cancelled",
    "booking.held": "Times held for booking {ref}",
    "waitlist.joined": "Put on the waiting list",
    "waitlist.left": "Taken off the waiting list",
    "order.address_changed": "Address of order {ref} changed",
    "order.cancelled": "Order {ref} cancelled",
    "order.restored": "Order {ref} stands again",
    "order.exchange_requested": "Exchange asked for, order {ref}",
    "order.return_requested": "Return asked for, order {ref}",
    "order.request_withdrawn": "Request for order {ref} taken back",
    "order.proven": "Order {ref} proved to be theirs",
    "rating.recorded": "Rating recorded",
    "rating.withdrawn": "Rating taken back",
    "contest.entered": "Contest {ref} entered",
    "contest.left": "Contest {ref} left",
    "preference.set": "Preference {ref} kept",
    "profile.set": "Profile: {ref} kept",
    "code.issued": "Code of {ref} given",
    "ticket.opened": "Ticket {ref} opened",
    "ticket.appended": "Added to ticket {ref}",
    "consent.opted_out": "Opted out of every text",
    "consent.opted_in": "Opted in again",
}
_ASKED = {
    "survey": "a rating",
    "booking": "an answer to the booking text: yes, CHANGE or CANCEL",
    "contest": "an entry to the contest",
    "preference": "what they prefer",
    "booking_change": "another time for a booking",
    "booking_cancel": "yes or no to cancelling a booking",
    "booking_new": "a time for a new booking",
    "order_change": "yes or no to changing an order",
    "details": "a detail",
    "identify": "proof that an order is theirs: postcode or email",
    "clarify": "what was meant",
}
_DETAILS = {
    "order_number": "the order's number",
    "proof": "the order's postcode or email",
    "address": "the new address",
}
_FIELDS = {
    "start": "time",
    "starts_at": "time",
    "resource": "with",
    "resource_id": "with",
    "location_id": "at",
    "slots": "times",
    "wanted_from": "from",
    "wanted_to": "to",
    "pool": "list",
}
#: Rows of the shop by number, which have names; every other id says nothing to people.
_NAMED = ("resource", "resource_id", "location", "location_id")


@dataclass(frozen=True)
class Words:
    """How values read to people: instants in the shop's zone, rows of the shop by name and by what people call them."""

    zone: ZoneInfo
    now: datetime
    staff: dict[int, str]
    places: dict[int, str]
    names: dict[str, str]
    spoken: dict[str, Sequence[str]]

    def change(self, effect: Effect) -> Change:
        """An effect with the fields that differ."""
        title = _KINDS.get(effect.kind, f"{effect.kind.replace('.', ' ').replace('_', ' ')} {{ref}}")
        before, after = effect.before or {}, effect.after or {}
        fields = [
            (
                _FIELDS.get(name, name.replace("_", " ")),
                self.field(name, before[name]) if before.get(name) is not None else None,
                self.field(name, after[name]) if after.get(name) is not None else None,
            )
            for name in dict.fromkeys([*before, *after])
            if before.get(name) != after.get(name)
            and not (name == "end" and "start" in after)  # a booking's end moves along with its start
            and not _is_id(name, before.get(name), after.get(name))
            and (name in before or after[name] is not False)
        ]
        undone = " (taken back since)" if effect.undone_at is not None else ""
        return Change(title.format(ref=self.name(effect.ref)) + undone, fields)

    def wait(self, question: OpenQuestion) -> Wait:
        """A question in words: what is waited for, its numbered choices, and the details known already."""
        payload = question.payload
        words = _ASKED.get(question.kind, question.kind.replace("_", " "))
        if question.kind == "survey":
            scale = int(payload.get("scale", 5))
            words = f"a rating from {0 if scale == 10 else 1} to {scale}"
        elif question.kind == "contest" and payload.get("contest"):
            words = f"{payload['contest']}, to enter the contest"
        elif question.kind == "preference" and payload.get("preference"):
            words = f"what they prefer ({payload['preference']})"
        elif question.kind == "details" and payload.get("wants"):
            wanted = str(payload["wants"])
            words = _DETAILS.get(wanted, f"the {wanted.replace('_', ' ')}")
        if question.kind in ("details", "identify") and payload.get("intent"):
            words = f"{words}, to {str(payload['intent']).replace('_', ' ')}"
        slots = payload.get("slots") or {}
        return Wait(
            words,
            [str(option.get("label", "")) for option in payload.get("options") or []],
            [
                (name.replace("_", " "), self.field(name, value))
                for name, value in slots.items()
                if value not in (None, "", []) and not _is_id(name, value, None)
            ],
        )

    def name(self, value: str) -> str:
        """What people call a service, product or other row of the shop by its key; any other word as it is."""
        return self.names.get(value, value)

    def field(self, name: str, value: Any) -> str:
        """A value under its name; rows of the shop by theirs."""
        if name in _NAMED and isinstance(value, int):
            return (self.staff if name.startswith("resource") else self.places).get(value, str(value))
        return self.of(value)

    def of(self, value: Any) -> str:
        """Any JSON value of a turn."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, dict) and {"from", "to"} <= value.keys():
            return self._span(value.get("from"), value.get("to"), str(value.get("grain") or ""))
        if isinstance(value, dict):
            return ", ".join(f"{name.replace('_', ' ')} {self.of(item)}" for name, item in value.items())
        if isinstance(value, list):
            return "; ".join(self.of(item) for item in value)
        if isinstance(value, str) and _INSTANT.match(value):
            return bookings.when_words(self._instant(value), self.zone, self.now)
        return self.name(value) if isinstance(value, str) else str(value)

    def _instant(self, value: str) -> datetime:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).astimezone(self.zone)

    def _span(self, start: str | None, stop: str | None, grain: str) -> str:
        """A stretch of time: a day by its date, a minute by its time, else from and to; an open end says so."""
        first = self._instant(start) if start else None
        last = self._instant(stop) if stop else None
        if first is None:
            return f"before {self._moment(last)}" if last else "any time"
        if last is None:
            return f"{self._moment(first)} or later"
        seconds = (last - first).total_seconds()
        if grain == "day" and seconds <= 25 * 3600:
            return f"{first:%a %b} {first.day}"
        if grain in ("minute", "second") and seconds <= 60:
            return self._moment(first)
        if last.date() == first.date():
            end = bookings.clock_words(last)
        elif last == last.replace(hour=0, minute=0) and (last - timedelta(minutes=1)).date() == first.date():
            end = "midnight"
        else:
            end = self._moment(last)
        return f"{self._moment(first)} to {end}"

    def _moment(self, local: datetime) -> str:
        return f"{local:%a %b} {local.day}, {bookings.clock_words(local)}"

    def heard(self, body: str, entities: Sequence[dict[str, Any]]) -> Markup:
        """A text with its entities underlined; where one does not say where it stands, by what people call it."""
        return underlined(body, [self._placed(body, entity) for entity in entities])

    def _placed(self, body: str, entity: dict[str, Any]) -> dict[str, Any]:
        value = entity.get("value")
        if isinstance(entity.get("start"), int) or not isinstance(value, str):
            return entity
        for words in sorted({value, self.name(value), *self.spoken.get(value, ())}, key=len, reverse=True):
            found = re.search(rf"\b{re.escape(words)}\b", body, re.IGNORECASE) if words else None
            if found is not None:
                return {**entity, "start": found.start(), "end": found.end()}
        return entity


def _is_id(name: str, before: Any, after: Any) -> bool:
    """Whether a field only says which row was meant."""
    if name in _NAMED:
        return False
    told = before if before is not None else after
    return name.endswith("_id") or name == "item" or (isinstance(told, str) and bool(_UUID.fullmatch(told)))


async def words(session: AsyncSession, zone: ZoneInfo, now: datetime) -> Words:
    """The words of this shop."""
    staff = (await session.execute(select(Resource.id, Resource.key, Resource.name))).all()
    places = (await session.execute(select(Location.id, Location.key, Location.name))).all()
    services = (await session.execute(select(Service.key, Service.name))).all()
    products = (await session.execute(select(Product.key, Product.name, Product.words))).all()
    return Words(
        zone=zone,
        now=now,
        staff={row.id: row.name for row in staff},
        places={row.id: row.name for row in places},
        names={row.key: row.name for row in (*staff, *places, *services, *products)},
        spoken={row.key: row.words for row in products},
    )


def linked(body: str) -> Markup:
    """A text with its links made pressable."""
    found, end = Markup(""), 0
    for link in _LINK.finditer(body):
        found += escape(body[end : link.start()])
        found += Markup('<a href="{0}" target="_blank" rel="noopener">{0}</a>').format(link[0])
        end = link.end()
    return found + escape(body[end:])


def underlined(body: str, entities: Iterable[dict[str, Any]]) -> Markup:
    """A text with the entities that say where they stand marked; overlapping ones once."""
    placed = sorted(
        (item["start"], item["end"], str(item["entity"]).replace("_", " "))
        for item in entities
        if isinstance(item.get("start"), int)
        and isinstance(item.get("end"), int)
        and 0 <= item["start"] < item["end"] <= len(body)
    )
    found, end = Markup(""), 0
    for start, stop, name in placed:
        if start < end:
            continue
        found += escape(body[end:start]) + Markup('<mark title="{}">{}</mark>').format(name, body[start:stop])
        end = stop
    return found + escape(body[end:])
