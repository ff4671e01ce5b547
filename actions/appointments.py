"""Booking, moving, cancelling and confirming: what to offer and ask; nothing is changed before it is confirmed."""

import abc
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import Any, ClassVar, Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from actions.base import ShopAction, Turn
from bot import values
from bot.shop import bookings, shopfile, slots
from bot.shop.bookings import BookingView, ServiceView, StaffView
from bot.shop.shopfile import ShopView
from bot.shop.slots import Need, Offer, Slot, Wish
from bot.values import Answer, Ask, Dismiss, HandOver, Hold, JoinWaitlist, Option, Say, Value

#: Offered times are kept this long for whoever was asked.
HELD_FOR = timedelta(minutes=10)
#: So many bookings are named where it is asked which is meant, and so many wishes are put on the waiting list.
SHOWN, WAITED_FOR = 5, 3
NONE_FOUND = (
    'I find no upcoming booking for this number. If you booked under another one, text "person" and someone helps.'
)
NO_SERVICE = 'We take no bookings by text at the moment. Text "person" and someone helps.'
NOTHING_BOOKED = "OK, nothing is booked."
NOTHING_CHANGED = "OK, nothing is changed."
_ORDINAL_ENDS = {1: "st", 2: "nd", 3: "rd"}
#: The requests that go on over several texts, by their intents.
BOOK, MOVE = "book_appointment", "reschedule_booking"

#: They want this time and no other.
_ONLY = re.compile(r"\b(?:only|nothing else|no other|has to be|must be)\b", re.IGNORECASE)
#: A question about a time chooses nothing, with or without its mark.
_ASKS = re.compile(
    r"\?|^\W*(?:(?:and|or|but|no|hm+)\W+)*(?:what|how) about\b|^\W*(?:is|are|does|any|(?:do|have) (?:you|u))\b",
    re.IGNORECASE,
)
_NOT = (
    r"(?<!why )\b(?:do not|don'?t|didn'?t|did not|won'?t|not|never|no need to)"
    r"(?:\s+(?:want|wanna|need|wish|have|had|mean|meant|like|plan|try|trying|going|gonna|intend|think|i|we|u|you|should"
    r"|would|could|to|it|this|that|please|pls|ever|just|really|even|be|get|my|the|appointment|appt|booking|yet|any"
    r"|more|anymore)){0,6}\s+"
)
#: "I don't want to cancel", "please do not book it": the verb is there, and not to be done.
_NOT_CANCEL = re.compile(_NOT + "cancel", re.IGNORECASE)
_NOT_BOOK = re.compile(_NOT + "book", re.IGNORECASE)
#: What a yes to "Shall I cancel it?" may say besides, and then does not mean: cancel.
_KEEPS = re.compile(
    r"\b(?:don'?t|do not)\W*$|\b(?:keep|keeping|stays?|staying|be there|come|coming|make it|attend|see (?:you|u|ya))\b",
    re.IGNORECASE,
)
_CANNOT = re.compile(r"\b(?:can'?t|cannot|can not|won'?t|not|unable|never)\b[^.,;!?\n]{0,20}$", re.IGNORECASE)
_YES = re.compile(r"\b(?:yes|y|yep|yeah|yup|ya|ok|okay|sure|confirm\w*|correct|right|do it|go ahead)\b", re.IGNORECASE)
#: Said of a booking that stands, not of the one that is being made.
_STANDING = re.compile(r"\b(?:my|our|appt|appointment|booking|resched\w*)\b", re.IGNORECASE)
#: Said of a booking that is to be made, not of the one that is being moved.
_ANOTHER = re.compile(r"\b(?:new|another|also|second|extra|appt|appointment|booking|session)\b", re.IGNORECASE)
#: "Book it": yes to what was offered.
_BOOK_IT = re.compile(r"\bbook (?:it|that|this|me(?: in)?)\b(?! (?:for|an?|with|on|at)\b)", re.IGNORECASE)


# -- what is meant -------------------------------------------------------------------------------------------------

About = Callable[[Turn, AsyncSession, BookingView, ShopView], Awaitable[Sequence[Value]]]


async def meant(turn: Turn, session: AsyncSession, about: About, *, by_time: bool = False) -> Sequence[Value]:
    """What `about` decides for the booking to come that is meant; asks which where there are several.

    `by_time` where the times in the text name the booking itself, not where it should go.
    """
    shop = await shopfile.read(session)
    coming = await bookings.upcoming(session, turn.contact_id, turn.now)
    if not coming:
        return [Say(text=NONE_FOUND)]
    booking = pick(turn, coming, by_time=by_time)
    if booking is None:
        return which(turn, coming, shop)
    return await about(turn, session, booking, shop)


def label(booking: BookingView, turn: Turn, shop: ShopView) -> str:
    """A booking as a choice names it."""
    return f"{booking.service}, {bookings.when_words(booking.starts_at, shop.zone, turn.now)}"


def pick(turn: Turn, coming: Sequence[BookingView], *, by_time: bool) -> BookingView | None:
    """The booking meant: the only one, the one just chosen, the one named, or the one being talked about."""
    if len(coming) == 1:
        return coming[0]
    asked = turn.open.booking_id if turn.open is not None else None
    ways = [
        [item for item in coming if str(item.id) == turn.filled.get("booking_id")],
        [item for item in coming if item.service_key == turn.entity("service")],
        [item for item in coming if by_time and any(_lies_in(item.starts_at, wish) for wish in turn.wishes)],
        [item for item in coming if item.id == asked],
    ]
    return next((found[0] for found in ways if len(found) == 1), None)


def which(turn: Turn, coming: Sequence[BookingView], shop: ShopView) -> Sequence[Value]:
    """Ask which booking is meant; the text is read again for the one chosen."""
    options = [
        Option(label=label(item, turn, shop), intent=turn.intent, slots={"booking_id": str(item.id)})
        for item in coming[:SHOWN]
    ]
    return [
        Say(text=f"Which booking do you mean?\n{_numbered(options)}\nReply with the number."),
        Ask(kind="clarify", options=options, reminder="Which booking did you mean? Reply with its number."),
    ]


def booking_new(turn: Turn) -> bool:
    """Whether a new booking is being made."""
    asked = turn.open
    return asked is not None and (asked.kind == "booking_new" or (asked.kind == "details" and asked.intent == BOOK))


def names_choice(turn: Turn) -> bool:
    """Whether the text names a time or anything else for the booking that is being made or moved."""
    return names_more(turn) or (_choosing(turn) and bool(turn.wishes))


def names_more(turn: Turn) -> bool:
    """Whether the text names a person or a place for that booking, or what a new one is for."""
    told = ("staff", "location", "service") if booking_new(turn) else ("staff", "location")
    return _choosing(turn) and any(turn.entity(name) for name in told)


def _choosing(turn: Turn) -> bool:
    return booking_new(turn) or (turn.open is not None and turn.open.kind == "booking_change")


def offered_time(turn: Turn, kind: Literal["booking_change", "booking_new"]) -> Answer | None:
    """The option whose time the text names, where exactly one does and it is no question."""
    if turn.open is None or turn.open.kind != kind or not turn.wishes or turn.gone or _ASKS.search(turn.text):
        return None
    if turn.entity("staff") or turn.entity("location"):
        return None  # the time may be offered, but with somebody else or elsewhere
    named = {
        number
        for number, start in enumerate(turn.open.offered, 1)
        for wish in turn.wishes
        if start is not None and _lies_in(start, wish)
    }
    return Answer(option=named.pop()) if len(named) == 1 else None


def _lies_in(start: datetime, wish: Wish) -> bool:
    return start == wish.start if wish.exact else wish.start <= start < wish.end


async def choose(turn: Turn, session: AsyncSession) -> Sequence[Value]:
    """Go on with the time that is being chosen: of the new booking where one is being made, else of one to be moved."""
    return await (book if booking_new(turn) else move)(turn, session)


def agree(turn: Turn) -> Sequence[Value]:
    """Yes to the open question: taken where one option alone changes something, else asked again.

    A yes that speaks of keeping the booking never cancels it.
    """
    assert turn.open is not None  # callers look first
    if cancels(turn) and _keeps(_said(turn)):
        return [Dismiss(), Say(text=NOTHING_CHANGED)]
    if len(turn.open.affirmative) == 1:
        return [Answer(option=turn.open.affirmative[0])]
    return [Say(text=turn.open.reminder)]


def cancels(turn: Turn) -> bool:
    """Whether a yes to the open question would cancel a booking, rather than get it back."""
    asked = turn.open
    return asked is not None and asked.kind == "booking_cancel" and not any(asked.offered)


def _keeps(said: str) -> bool:
    """Whether a yes to cancelling says that the booking is kept; "yes, I can't come" does not."""
    kept = _KEEPS.search(said)
    return _NOT_CANCEL.search(said) is not None or (kept is not None and not _CANNOT.search(said[: kept.start()]))


def _said(turn: Turn) -> str:
    """The text with a plain apostrophe."""
    return turn.text.replace("\u2019", "'")


# -- who could do it -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Able:
    """Those who could do it; `named` are the wishes for a person and a place that hold, `note` tells of the others."""

    people: Sequence[StaffView]
    named: Mapping[str, str]
    note: str


def _able(turn: Turn, told: Mapping[str, Any], staff: Sequence[StaffView], service: ServiceView) -> _Able:
    """Who does the service, narrowed to the person and the place named now, then to those named before."""
    people = [person for person in staff if service.key in person.services]
    notes, named = [], dict[str, str]()
    for wish, wanted in (
        ("staff", turn.entity("staff")),
        ("location", turn.entity("location")),
        ("staff", told.get("staff")),
        ("location", told.get("location")),
    ):
        fitting = [person for person in people if wanted == (person.key if wish == "staff" else person.location_key)]
        if fitting and wish not in named:
            people, named[wish] = fitting, str(wanted)
        elif not fitting and wanted is not None and wanted == turn.entity(wish):
            only = people[0].name if "staff" in named else None
            notes += _misfit(wish, wanted, only, staff, service.name)
    return _Able(people, named, " ".join(dict.fromkeys(notes)))


def _misfit(wish: str, wanted: str, only: str | None, staff: Sequence[StaffView], service: str) -> list[str]:
    """Why it cannot be with this person, or at this place, where `only` somebody named does it."""
    if wish == "staff":
        return [f"{person.name} does not offer {_a(service)}." for person in staff if person.key == wanted]
    place = next((person.location for person in staff if person.location_key == wanted), None)
    if place is None:
        return []
    return [f"{only} is not at {place}." if only is not None else f"We offer no {service} at {place}."]


def _a(name: str) -> str:
    """A name with its article."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


# -- offering times ------------------------------------------------------------------------------------------------


class _Request(abc.ABC):
    """A time that is looked for, and the words for it."""

    verb: ClassVar[str]
    thing: str

    def __init__(self, turn: Turn, shop: ShopView, service: ServiceView, able: _Able, told: Mapping[str, Any]) -> None:
        self.turn = turn
        self.shop = shop
        self.service = service
        self.able = able
        self.wishes = _wishes(turn, told)

    @abc.abstractmethod
    def opening(self) -> str:
        """What comes before a list of free times."""

    @abc.abstractmethod
    def words(self, slot: Slot) -> str:
        """A free time as a list shows it."""

    @abc.abstractmethod
    def proposal(self, slot: Slot) -> str:
        """One free time, in a sentence."""

    @abc.abstractmethod
    def option(self, slot: Slot) -> Option:
        """The choice of this time."""

    @abc.abstractmethod
    def leave(self) -> Option:
        """The choice of none, its first word the verb of it."""

    @abc.abstractmethod
    def waits(self, when: str) -> str:
        """What is told who joins the waiting list for this time."""

    @abc.abstractmethod
    def ask(self, options: Sequence[Option], reminder: str) -> Ask:
        """The question these options belong to."""

    @property
    def booking(self) -> BookingView | None:
        """The booking that would move."""
        return None

    @property
    def booking_id(self) -> UUID | None:
        """Its id."""
        return self.booking.id if self.booking is not None else None

    @property
    def places(self) -> set[int]:
        """Where the times may lie."""
        return {person.location_id for person in self.able.people}

    def when(self, slot: Slot) -> str:
        """When a slot begins, in words."""
        return bookings.when_words(slot.start, self.shop.zone, self.turn.now)

    def kept(self) -> dict[str, Any]:
        """What the contact's next text need not say again."""
        return {**self.able.named, "wishes": [wish.keep() for wish in self.wishes]}


def _wishes(turn: Turn, told: Mapping[str, Any]) -> Sequence[Wish]:
    """The time chosen of two, else those named now, else those told before where the text goes on with the request."""
    if (meant := turn.settled.get("meant")) is not None:
        return [replace(Wish.kept(meant), doubt=False)]
    goes_on = any(turn.entity(name) for name in ("service", "staff", "location"))
    if turn.wishes or not (goes_on or (turn.open is not None and turn.open.kind == "details")):
        return turn.wishes
    return [Wish.kept(raw) for raw in told.get("wishes", [])]


class _New(_Request):
    """A new booking."""

    verb = "book"

    def __init__(self, turn: Turn, shop: ShopView, service: ServiceView, able: _Able, told: Mapping[str, Any]) -> None:
        super().__init__(turn, shop, service, able, told)
        self.thing = _a(service.name)

    def opening(self) -> str:
        """What it is for."""
        return f"For {self.thing}, these times are free:"

    def words(self, slot: Slot) -> str:
        """With whom and where, as far as the contact did not say that themselves."""
        where = f" at {slot.location}" if "location" not in self.able.named else ""
        who = f" with {slot.staff}" if "staff" not in self.able.named else ""
        return f"{self.when(slot)}{where}{who}"

    def proposal(self, slot: Slot) -> str:
        """All that would be booked."""
        return f"I can book {self.thing} on {self._full(slot)}."

    def option(self, slot: Slot) -> Option:
        """Books it."""
        return Option(
            label=self.words(slot),
            changes=[values.Book(service=self.service.key, to=slot.span)],
            say=f"Booked: your {self.service.name} on {self._full(slot)}. To move or cancel it, just text us.",
        )

    def leave(self) -> Option:
        """Books nothing."""
        return Option(label="Leave it", words=["leave"], say=NOTHING_BOOKED)

    def waits(self, when: str) -> str:
        """Nothing else changes."""
        return f"You are on the waiting list for {self.thing}{when}. We will text you if a time comes free."

    def ask(self, options: Sequence[Option], reminder: str) -> Ask:
        """Goes on as the same request."""
        known = {"service": self.service.key, **self.kept()}
        return Ask(kind="booking_new", options=list(options), reminder=reminder, intent=BOOK, slots=known)

    def _full(self, slot: Slot) -> str:
        return f"{self.when(slot)} at {slot.location} with {slot.staff}"


class _Move(_Request):
    """Another time for a booking."""

    verb = "move"
    thing = "your booking"

    def __init__(
        self,
        turn: Turn,
        shop: ShopView,
        booking: BookingView,
        able: _Able,
        told: Mapping[str, Any],
    ) -> None:
        minutes = int((booking.ends_at - booking.starts_at).total_seconds()) // 60
        super().__init__(turn, shop, ServiceView(booking.service_key, booking.service, minutes), able, told)
        self._booking = booking

    @property
    def booking(self) -> BookingView:
        """The one that stands."""
        return self._booking

    def opening(self) -> str:
        """Which booking it is."""
        return f"For your {label(self.booking, self.turn, self.shop)}, these times are free:"

    def words(self, slot: Slot) -> str:
        """With whom and where, as far as that changes."""
        where = f" at {slot.location}" if slot.location != self.booking.location else ""
        return f"{self._with(slot)}{where}"

    def proposal(self, slot: Slot) -> str:
        """From when to when."""
        return f"I can move your {label(self.booking, self.turn, self.shop)}, to {self.words(slot)}."

    def option(self, slot: Slot) -> Option:
        """Moves it."""
        booking = self.booking
        move = values.Reschedule(booking_id=booking.id, expected_start=booking.starts_at, to=slot.span)
        said = f"Done: your {booking.service} is now on {self._with(slot)} at {slot.location}."
        return Option(label=self.words(slot), changes=[move], say=said)

    def leave(self) -> Option:
        """Moves nothing."""
        return keep(self.booking, self.turn, self.shop)

    def waits(self, when: str) -> str:
        """The booking stands meanwhile."""
        stands = bookings.when_words(self.booking.starts_at, self.shop.zone, self.turn.now)
        return (
            f"You are on the waiting list{when}. Your {self.service.name} stays on {stands}; we will text you if a "
            "time comes free."
        )

    def ask(self, options: Sequence[Option], reminder: str) -> Ask:
        """Goes on as the same request."""
        return Ask(
            kind="booking_change",
            options=list(options),
            reminder=reminder,
            booking_id=self.booking.id,
            intent=MOVE,
            slots=self.kept(),
        )

    def _with(self, slot: Slot) -> str:
        who = f" with {slot.staff}" if slot.span.resource_id != self.booking.resource_id else ""
        return f"{self.when(slot)}{who}"


async def _look(session: AsyncSession, request: _Request) -> Sequence[Value]:
    """Look for times and hold them: one that was wished is proposed, several are offered, else the waiting list is."""
    turn = request.turn
    need = Need(turn.contact_id, request.service.minutes, request.able.people, request.booking)
    if any(wish.doubt for wish in request.wishes):
        free = [
            wish for wish in request.wishes if (await slots.find(session, need, request.shop, [wish], turn.now)).granted
        ]
        if len(free) > 1:
            return _which_time(request, free)
        request.wishes = free or [wish for wish in request.wishes if not wish.doubt]
    offer = await slots.find(session, need, request.shop, request.wishes, turn.now)
    if not offer.slots:
        return _full(request)
    hold = Hold(booking_id=request.booking_id, spans=[slot.span for slot in offer.slots], until=turn.now + HELD_FOR)
    if len(offer.slots) == 1 and offer.granted:
        return [hold, *_propose(request, offer.slots[0])]
    return [hold, *_offer(request, offer)]


def _which_time(request: _Request, wishes: Sequence[Wish]) -> Sequence[Value]:
    """Words that may mean either of two times, both free: ask which, and go on with the one chosen."""
    chronological = sorted(wishes, key=lambda wish: wish.start)
    options = [
        Option(
            label=_stretch(wish, request).removeprefix(" on "),
            words=_words_for(wish.start.astimezone(request.shop.zone), first=position == 0),
            intent=BOOK if request.booking is None else MOVE,
            slots={"meant": wish.keep()},
        )
        for position, wish in enumerate(chronological)
    ]
    return [
        Say(text=f"Which did you mean?\n{_numbered(options)}\nReply with the number."),
        request.ask(options, "Which time did you mean? Reply with its number, or text another day or time."),
    ]


def _words_for(local: datetime, *, first: bool) -> list[str]:
    """What picks one of two times by its place, its date or its half of the day."""
    order = "earlier sooner former" if first else "later latter"
    nth = f"{local.day}{_ORDINAL_ENDS.get(local.day % 10 * (local.day not in (11, 12, 13)), 'th')}"
    half = ("am", "morning") if local.hour < 12 else ("pm", "evening")
    days = [nth, f"{local:%b} {local.day}", f"{local:%b} {nth}", f"{local:%B} {nth}", f"{local:%a} {nth}"]
    clocks = (
        [f"{local:%I%p}".lstrip("0"), f"{local:%I} {local:%p}".lstrip("0"), *half] if local.time() != time() else []
    )
    names = [*order.split(), *days, f"{local:%A} the {nth}", *clocks]
    return [form for name in names for form in (name, f"the {name}", f"the {name} one")]


def _propose(request: _Request, slot: Slot) -> Sequence[Value]:
    """One time, as wished: take it?"""
    before = "That time was just taken. " if request.turn.gone else f"{request.able.note} ".lstrip()
    leave, verb = request.leave(), request.verb
    other = leave.words[0]
    reply = f"Reply 1 to {verb} it, 2 to {other} it."
    what = f"{request.thing} to {request.words(slot)}" if request.booking is not None else request.words(slot)
    reminder = f"To {verb} {what}, reply 1. To {other} it, reply 2."
    return [
        Say(text=f"{before}{request.proposal(slot)} {reply}"),
        request.ask([request.option(slot), leave], reminder),
    ]


def _offer(request: _Request, offer: Offer) -> Sequence[Value]:
    """Several times to choose from, and the waiting list where none of them is what was asked for."""
    options = [request.option(slot) for slot in offer.slots]
    numbers = " or ".join(", ".join(str(number) for number in range(1, len(options) + 1)).rsplit(", ", 1))
    how, short = f"Reply {numbers} to {request.verb} it", f"reply {numbers}"
    if _waits(request, offer):
        options.append(_waiting_list(request))
        how, short = "Reply with a number", "reply with a number"
    reminder = f"To {request.verb} {request.thing}, {short}, or text another day or time."
    return [
        Say(text=f"{_opening(request, offer)}\n{_numbered(options)}\n{how}, or text another day or time."),
        request.ask(options, reminder),
    ]


def _numbered(options: Sequence[Option]) -> str:
    return "\n".join(f"{number} {option.label}" for number, option in enumerate(options, 1))


def _opening(request: _Request, offer: Offer) -> str:
    """Why these times and no other."""
    if request.turn.gone:
        return "That time was just taken. Free now:"
    note = request.able.note
    if offer.refused is not None:
        return f"{note} {_refusal(request, offer.refused)}".lstrip()
    return f"{note} Free times:" if note else request.opening()


def _refusal(request: _Request, why: slots.Refusal) -> str:
    person = request.able.people[0]
    match why:
        case "closed":
            elsewhere = [place for place in request.shop.locations if place.id not in request.places]
            only_there = len(request.places) == 1 and any(
                (opens := place.hours.next_open(wish.start)) is not None and opens < wish.end
                for place in elsewhere
                for wish in request.wishes
            )
            return f"{person.location if only_there else 'We'} {'is' if only_there else 'are'} closed then. Near it:"
        case "closing":
            return "That is too close to closing time. Near it:"
        case "odd":
            return "We start on the quarter hour. Near it:"
        case "soon":
            return "That is over or too soon. Free next:"
        case "far":
            return f"We book up to {slots.HORIZON.days} days ahead. Free now:"
    if "staff" in request.able.named:
        return f"{person.name} is not free then. Near it:"
    return "That time is taken. Near it:" if request.wishes[0].exact else "Nothing is free then. Near it:"


# -- the waiting list ----------------------------------------------------------------------------------------------


def _waits(request: _Request, offer: Offer) -> bool:
    """Whether somebody may want to wait rather than take one of these.

    So it is where nothing is free in the stretch or on the day they named, or they said that nothing else will do.
    """
    if offer.refused != "taken":
        return False
    zone = request.shop.zone
    days = {slot.start.astimezone(zone).date() for slot in offer.slots}
    there = all(wish.exact and wish.start.astimezone(zone).date() in days for wish in request.wishes)
    return not there or _ONLY.search(request.turn.text) is not None


def _full(request: _Request) -> Sequence[Value]:
    """Nothing is free as far ahead as we book: the waiting list, or nothing."""
    leave = request.leave()
    thing = request.thing
    if request.booking is not None:
        thing = f"your {label(request.booking, request.turn, request.shop)},"
    reply = f"1 for the waiting list, 2 to {leave.words[0]} it."
    note = f"{request.able.note} ".lstrip()
    said = f"{note}Nothing is free for {thing} in the next {slots.HORIZON.days} days. Reply {reply}"
    return [Say(text=said), request.ask([_waiting_list(request), leave], f"Reply {reply}")]


def _waiting_list(request: _Request) -> Option:
    """The choice to wait, for each of the times named, or for any as far ahead as we book."""
    turn, zone = request.turn, request.shop.zone
    today = datetime.combine(turn.now.astimezone(zone).date(), time(), zone)
    ahead = [wish for wish in request.wishes if wish.end > turn.now + slots.LEAD][:WAITED_FOR]
    wishes = ahead or [Wish(today, today + slots.HORIZON, exact=False)]
    joins = [
        JoinWaitlist(
            service=request.service.key,
            location_id=min(request.places) if len(request.places) == 1 else None,
            booking_id=request.booking_id,
            # What began before now counts from today on, so that the same wish said twice is the same.
            wanted_from=wish.start if wish.start > turn.now else today,
            wanted_to=wish.end,
        )
        for wish in wishes
    ]
    when = " or".join(_stretch(wish, request) for wish in ahead)
    return Option(
        label="Waiting list", words=["waitlist", "waiting list", "list"], changes=joins, say=request.waits(when)
    )


def _stretch(wish: Wish, request: _Request) -> str:
    """A wish in words, with the preposition before it; nothing where it has no end."""
    zone = request.shop.zone
    start, end = wish.start.astimezone(zone), wish.end.astimezone(zone)
    if wish.exact:
        return f" on {bookings.when_words(start, zone, request.turn.now)}"
    first, last = start.date(), (end - timedelta(seconds=1)).date()
    if end - start >= slots.HORIZON:
        return f" from {_day(start)} on"
    if first != last:
        return f" from {_day(start)} to {_day(end - timedelta(seconds=1))}"
    begins = f" from {bookings.clock_words(start)}" if start.time() != time() else ""
    ends = f" to {bookings.clock_words(end)}" if end.time() != time() else ""
    return f" on {_day(start)}{begins}{ends}"


def _day(local: datetime) -> str:
    return f"{local:%a} {local:%b} {local.day}"


# -- booking -------------------------------------------------------------------------------------------------------


class Book(ShopAction):
    """Offers free times for a new booking and holds them; asks what is wanted where that was not said."""

    called = "action_book"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """A new booking, unless the text goes on with the move of one that stands."""
        moving = turn.open is not None and turn.open.kind == "booking_change"
        if moving and turn.wishes and turn.entity("service") is None and not _ANOTHER.search(turn.text):
            return await move(turn, session)
        return await book(turn, session)


async def book(turn: Turn, session: AsyncSession) -> Sequence[Value]:
    """What comes next on the way to a new booking: an answer, what is wanted, or free times."""
    asked = turn.open if booking_new(turn) else None
    if _NOT_BOOK.search(_said(turn)):
        return [*([Dismiss()] if asked is not None else []), Say(text=NOTHING_BOOKED)]
    told = {**asked.slots, **turn.filled} if asked is not None else turn.filled
    named = turn.entity("service")
    if named in (None, told.get("service")) and (answer := offered_time(turn, "booking_new")) is not None:
        return [answer]
    if asked is not None and asked.kind == "booking_new" and _BOOK_IT.search(turn.text) and not names_choice(turn):
        return agree(turn)
    shop, staff, every = (
        await shopfile.read(session),
        await bookings.staff(session),
        await bookings.services(session),
    )
    key = turn.detail("service") or told.get("service")
    bookable = [service for service in every if any(service.key in person.services for person in staff)]
    service = next((item for item in bookable if item.key == key), None)
    if service is None:
        gone = next((f"We no longer offer {_a(item.name)}. " for item in every if item.key == key), "")
        able = _services_of(bookable, staff, turn, told)
        if gone or len(able) != 1:
            return _which_service(turn, told, able, gone)
        service = able[0]
    return await _look(session, _New(turn, shop, service, _able(turn, told, staff, service), told))


def _services_of(
    bookable: Sequence[ServiceView], staff: Sequence[StaffView], turn: Turn, told: Mapping[str, Any]
) -> Sequence[ServiceView]:
    """What the person named does, at the place named; everything where that leaves nothing."""
    who = turn.entity("staff") or told.get("staff")
    where = turn.entity("location") or told.get("location")
    people = [person for person in staff if who in (None, person.key) and where in (None, person.location_key)]
    return [item for item in bookable if any(item.key in person.services for person in people)] or bookable


def _which_service(turn: Turn, told: Mapping[str, Any], able: Sequence[ServiceView], before: str) -> Sequence[Value]:
    """Ask what is to be booked; what was said besides is kept."""
    if not able:
        return [Say(text=NO_SERVICE)]
    options = [
        Option(
            label=item.name[:1].upper() + item.name[1:],
            words=_other_names(item, able),
            intent=BOOK,
            slots={"service": item.key},
        )
        for item in able
    ]
    who, where = turn.entity("staff") or told.get("staff"), turn.entity("location") or told.get("location")
    wishes = turn.wishes or [Wish.kept(raw) for raw in told.get("wishes", [])]
    known = {"staff": who, "location": where, "wishes": [wish.keep() for wish in wishes]}
    return [
        Say(text=f"{before}What would you like to book?\n{_numbered(options)}\nReply with the number."),
        Ask(
            kind="details",
            options=options,
            reminder="What would you like to book? Reply with the number.",
            intent=BOOK,
            slots={name: value for name, value in known.items() if value},
            wants="service",
        ),
    ]


def _other_names(service: ServiceView, among: Sequence[ServiceView]) -> list[str]:
    """Other words for a service: its key, and each word of its name that no other has; one, many, with an article."""
    others = {word for item in among if item.key != service.key for word in item.name.lower().split()}
    words = [service.key, *(word for word in service.name.lower().split() if word not in others), service.name]
    return list(dict.fromkeys(form for word in words for form in (word, f"{word}s", _a(word), f"the {word}")))


class Time(ShopAction):
    """Takes a time named alone to the booking that is being made, else to the one that is being moved."""

    called = "action_time"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """An answer, or a new offer."""
        return await choose(turn, session)


# -- moving --------------------------------------------------------------------------------------------------------


class Reschedule(ShopAction):
    """Offers free times near what was wished and holds them."""

    called = "action_reschedule"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """Another time for a booking, unless the text corrects the one that is being made."""
        if booking_new(turn) and names_choice(turn) and not _STANDING.search(turn.text):
            return await book(turn, session)
        return await move(turn, session)


async def move(turn: Turn, session: AsyncSession) -> Sequence[Value]:
    """An answer where the text names an offered time, else a new offer; asks which booking where that is open."""
    return await meant(turn, session, _move)


async def _move(turn: Turn, session: AsyncSession, booking: BookingView, shop: ShopView) -> Sequence[Value]:
    if (answer := offered_time(turn, "booking_change")) is not None:
        return [answer]
    asked = turn.open
    told = {**asked.slots, **turn.filled} if asked is not None and asked.booking_id == booking.id else {}
    staff = await bookings.staff(session)
    # Whom they have now comes first.
    staff.sort(key=lambda person: person.id != booking.resource_id)
    service = ServiceView(booking.service_key, booking.service, 0)
    able = _able(turn, told, staff, service)
    if not able.people:
        note = f"Nobody does what booking {booking.number} is for any more."
        return [HandOver(reason="failed_action", note=note)]
    if not able.named:
        here = [person for person in able.people if person.location_id == booking.location_id]
        able = replace(able, people=here or able.people)
    return await _look(session, _Move(turn, shop, booking, able, told))


def keep(booking: BookingView, turn: Turn, shop: ShopView) -> Option:
    """The choice to leave a booking as it is."""
    when = bookings.when_words(booking.starts_at, shop.zone, turn.now)
    return Option(label="Keep it", words=["keep"], say=f"OK, your {booking.service} stays on {when}.")


# -- cancelling and confirming -------------------------------------------------------------------------------------


class Cancel(ShopAction):
    """Asks before it cancels, and cancels nothing that is said not to be."""

    called = "action_cancel"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The question whether to; who gives up the booking they are making cancels none that stands."""
        if _NOT_CANCEL.search(_said(turn)):
            if turn.wishes:
                return await move(turn, session)
            return [*([Dismiss()] if cancels(turn) else []), Say(text="OK, nothing is cancelled.")]
        given_up = booking_new(turn) and turn.entity("service") is None
        if given_up and not _STANDING.search(turn.text):
            return [Dismiss(), Say(text=NOTHING_BOOKED)]
        found = await meant(turn, session, _cancel, by_time=True)
        return [Dismiss(), Say(text=NOTHING_BOOKED)] if given_up and found == [Say(text=NONE_FOUND)] else found


async def _cancel(turn: Turn, session: AsyncSession, booking: BookingView, shop: ShopView) -> Sequence[Value]:
    words = label(booking, turn, shop)
    cancel = Option(
        label="Cancel it",
        changes=[values.Cancel(booking_id=booking.id, expected_start=booking.starts_at)],
        say=f"Your {words}, is cancelled. Text us when you want a new time.",
    )
    return [
        Say(text=f"Shall I cancel your {words}? Reply 1 to cancel it, 2 to keep it."),
        Ask(
            kind="booking_cancel",
            options=[cancel, keep(booking, turn, shop)],
            reminder="To cancel your booking, reply 1. To keep it, reply 2.",
            booking_id=booking.id,
        ),
    ]


class Confirm(ShopAction):
    """Marks a booking as confirmed; with a choice open, it says yes to that."""

    called = "action_confirm"

    async def decide(self, turn: Turn, session: AsyncSession) -> Sequence[Value]:
        """The answer to an open yes-or-no question, else the confirmation."""
        if cancels(turn) and not _YES.search(turn.text):
            # "Looking forward to it": they come, whatever was asked.
            return [Dismiss(), Say(text=NOTHING_CHANGED)]
        if turn.open is not None and turn.open.kind not in ("clarify", "details", "identify"):
            return agree(turn)
        return await meant(turn, session, _confirm, by_time=True)


async def _confirm(turn: Turn, session: AsyncSession, booking: BookingView, shop: ShopView) -> Sequence[Value]:
    words = label(booking, turn, shop)
    if booking.status == "confirmed":
        return [Say(text=f"Your {words}, is confirmed already. See you then.")]
    return [
        values.Confirm(booking_id=booking.id, expected_start=booking.starts_at),
        Say(text=f"Thank you, your {words}, is confirmed."),
    ]
