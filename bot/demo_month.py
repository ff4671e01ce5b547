"""How a month of texting becomes rows: what is said moves a story's time on and leaves what the engine would have left.

It writes nothing; bot.demo does, and bot.demo_scenes says who says what.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from uuid import UUID

from bot.outbox import REPLY_DEADLINE, SHOP_DEADLINE, STOP_LINE
from bot.shop import bookings
from bot.shop.shopfile import ShopView
from bot.tables import URGENCY, Resource, SenderNumber, Service
from bot.text import measure

#: The first people are left for trying things out: their month holds no ticket, contest, preference or past order.
FRESH = 6
#: Who opted out for good, who did and came back, and whose ticket waits.
GONE, BACK, WAITS = (16, 17), 9, (18, 19)
DAYS = 30

WORDING = (
    "I agree to get texts from {brand} about my bookings and orders. Msg frequency varies. Msg & data rates may "
    "apply. Reply STOP to opt out, HELP for help."
)
OFFERS_WORDING = "I agree to get offers from {brand} by text. Not a condition of purchase. Reply STOP to opt out."
#: The orders a shop is asked about: number, whose, status, product and variant, age, and when it is expected.
ORDERS = (
    ("1042", 0, "shipped", "trail-runner", ("8", "black"), timedelta(days=3), timedelta(days=2)),
    ("1043", 1, "placed", "nova-heels", ("7", "red"), timedelta(hours=5), None),
    ("1038", 2, "delivered", "harbor-raincoat", ("M", "navy"), timedelta(days=9), None),
    ("1041", 3, "packed", "linen-shirt", ("M", "white"), timedelta(days=1), None),
)
#: What the shop of shop.yml calls them, for a shop.yml that has other products.
_NAMED = {
    "trail-runner": "Trail Runner sneakers",
    "nova-heels": "Nova heels",
    "harbor-raincoat": "Harbor raincoat",
    "linen-shirt": "Linen shirt",
}

Decision = Literal["keyword", "answer", "flow", "bot", "clarify", "ticket", "silent"]


@dataclass(frozen=True)
class Person:
    """Somebody of the demo: their place in the list of names, and what is known of them."""

    position: int
    id: UUID
    name: str
    phone: str
    phone_hash: str
    email: str
    address: str
    postcode: str
    since: datetime

    @property
    def first(self) -> str:
        """What the shop calls them."""
        return self.name.split()[0]

    def row(self, profiles: dict[UUID, dict[str, Any]]) -> dict[str, Any]:
        """Their row among the contacts, with what the month taught of them."""
        return {
            "id": self.id,
            "phone": self.phone,
            "phone_hash": self.phone_hash,
            "name": self.name,
            "profile": profiles.get(self.id, {}),
            "demo": True,
            "created_at": self.since,
        }


@dataclass(frozen=True)
class Choice:
    """A service and somebody who does it."""

    resource: Resource
    service: Service


@dataclass(frozen=True)
class Goods:
    """A product on sale, with its sizes and colours."""

    key: str
    name: str
    variants: list[tuple[str | None, str | None]]


@dataclass
class FreeCode:
    """A code nobody has yet, until somebody gets it."""

    id: int
    pool: str
    code: str
    contact_id: UUID | None = None
    issued_at: datetime | None = None


def new_id(rng: random.Random) -> UUID:
    """A row's id, the same for the same seed."""
    return UUID(int=rng.getrandbits(128), version=4)


#: What else a text could have been, for the bars under the best reading.
_NEAR = {
    "ask_hours": ("ask_location", "book_appointment", "ask_shop"),
    "order_status": ("ask_shipping", "change_address", "cancel_order"),
    "reschedule_booking": ("book_appointment", "cancel_booking", "confirm_booking"),
    "give_rating": ("praise", "complain", "affirm"),
    "complain": ("return_item", "order_status", "serious_matter"),
}
_ELSE = ("ask_shop", "out_of_scope", "greet", "ask_human")
_TOLD = "You get an answer in this chat, usually within 15 minutes."


@dataclass
class Month:
    """Rows of a month as they pile up; `live` makes it happen."""

    rng: random.Random
    now: datetime
    shop: ShopView
    people: list[Person]
    number: SenderNumber
    agents: list[dict[str, Any]]
    resources: list[Choice]
    products: dict[str, Goods]
    codes: list[FreeCode]
    conversations: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    turns: list[dict[str, Any]] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    ratings: list[dict[str, Any]] = field(default_factory=list)
    tickets: list[dict[str, Any]] = field(default_factory=list)
    bookings: list[dict[str, Any]] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    entries: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    carried: list[dict[str, Any]] = field(default_factory=list)
    consents: list[dict[str, Any]] = field(default_factory=list)
    profiles: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    _busy: set[tuple[int, int]] = field(default_factory=set)
    _taken: set[tuple[int, datetime]] = field(default_factory=set)

    def live(
        self,
        scenes: Iterable[tuple[int, int, "Scene"]],
        everyday: Iterable[tuple["Scene", int]],
        waiting: Iterable[tuple[int, int, "Scene"]],
    ) -> None:
        """Everybody's month: what happens to some on a day, what happens to anybody so often, what waits now.

        A scene of the first kind names how many days ago and to whom, one of the last kind how many minutes ago.
        """
        for person in self.people:
            self._agree(person)
            self._converse(person)
        self._place_orders()
        plan = []
        for day, position, scene in scenes:
            if (position, day) not in self._busy:
                self._busy.add((position, day))
                plan.append((day, position, scene))
        for scene, times in everyday:
            plan += [(*self._free_day(), scene) for _ in range(times)]
        # In the order it happened, as the first reply to somebody tells how to opt out.
        for day, position, scene in sorted(plan, key=lambda one: (-one[0], one[1])):
            self._play(position, day, scene)
        for minutes, position, scene in waiting:
            scene(Story(self, self.people[position], self.now - timedelta(minutes=minutes)), None)

    def _free_day(self) -> tuple[int, int]:
        """A day (so many ago) of somebody on which nothing else happens; nobody texts after opting out."""
        while True:
            position, day = self.rng.randrange(len(self.people)), self.rng.randrange(1, DAYS)
            if (position, day) not in self._busy and not (position in GONE and day <= 6) and position != BACK:
                self._busy.add((position, day))
                return day, position

    def _play(self, position: int, day: int, scene: "Scene") -> None:
        today = self.now.astimezone(self.shop.zone).date()
        clock_time = time(self.rng.randrange(9, 19), self.rng.randrange(60), self.rng.randrange(60))
        # In UTC from here on: two instants of one zone would compare by what their clocks show.
        start = datetime.combine(today - timedelta(days=day), clock_time, self.shop.zone).astimezone(UTC)
        scene(Story(self, self.people[position], start), today - timedelta(days=day))

    def _agree(self, person: Person) -> None:
        self.agree(person, ("transactional", "conversational"), "opted_in", "point_of_sale", WORDING, person.since)
        if person.position < FRESH + 8:
            later = person.since + timedelta(minutes=9)
            self.agree(person, ("marketing",), "opted_in", "web_form", OFFERS_WORDING, later)

    def agree(
        self,
        person: Person,
        purposes: Iterable[str],
        action: str,
        how: str,
        wording: str,
        moment: datetime,
        message_id: UUID | None = None,
    ) -> None:
        """Lines of the ledger."""
        self.consents += [
            {
                "phone": person.phone,
                "phone_hash": person.phone_hash,
                "purpose": purpose,
                "action": action,
                "how": how,
                "wording": wording.format(brand=self.shop.brand),
                "wording_version": "demo-1",
                "page_url": None,
                "message_id": message_id,
                "by_whom": "contact" if message_id is not None else "demo",
                "recorded_at": moment,
            }
            for purpose in purposes
        ]

    def _converse(self, person: Person) -> None:
        self.conversations[person.id] = {
            "id": new_id(self.rng),
            "contact_id": person.id,
            "sender_number_id": self.number.id,
            "owner": "bot",
            "unclear": 0,
            "out_of_scope": 0,
            "carrier_blocked": False,
            "fence": 0,
            "attempts": 0,
            "last_message_at": None,
        }

    def _place_orders(self) -> None:
        for number, position, status, key, (size, color), ago, due in ORDERS:
            product = self.products.get(key, Goods(key, _NAMED[key], []))
            self._order(number, self.people[position], status, product, (size, color), ago, due)
        on_sale = list(self.products.values())
        for offset, position in enumerate(range(FRESH, len(self.people))):
            if on_sale:
                product = self.rng.choice(on_sale)
                variant = self.rng.choice(product.variants) if product.variants else (None, None)
                ago = timedelta(days=28 - offset, hours=offset)
                self._order(str(1012 + offset), self.people[position], "delivered", product, variant, ago, None)

    def _order(
        self,
        number: str,
        person: Person,
        status: str,
        product: Goods,
        variant: tuple[str | None, str | None],
        ago: timedelta,
        due: timedelta | None,
    ) -> None:
        on_its_way = status in ("shipped", "delivered")
        size, color = variant
        self.orders.append(
            {
                "id": new_id(self.rng),
                "number": number,
                "contact_id": person.id,
                "status": status,
                "placed_at": self.now - ago,
                "items": [{"name": product.name, "quantity": 1, "product": product.key, "size": size, "color": color}],
                "address": person.address,
                "postcode": person.postcode,
                "email": person.email,
                "tracking_company": "UPS" if on_its_way else None,
                "tracking_number": f"1Z999AA1{number}784" if on_its_way else None,
                "tracking_url": None,
                "expected_on": self.now + due if due is not None else None,
                "demo": True,
            }
        )

    def order_of(self, person: Person) -> dict[str, Any] | None:
        """The order this person is remembered by."""
        return next((row for row in self.orders if row["contact_id"] == person.id), None)

    def visit(self, person: Person, day: date, *, days: int = 0) -> tuple[dict[str, Any], Choice] | None:
        """A past booking on the first open day from `days` after `day` on, at a time nobody else had; None without."""
        for later in range(days, days + 5):
            for choice in self.rng.sample(self.resources, len(self.resources)):
                hours = self.shop.hours_at(choice.resource.location_id)
                for start, end in hours.spans_on(day + timedelta(days=later)):
                    begins = start + timedelta(hours=self.rng.randrange(max(1, int((end - start).seconds / 3600))))
                    ends = begins + timedelta(minutes=choice.service.minutes)
                    if ends > end or ends > self.now or (choice.resource.id, begins) in self._taken:
                        continue
                    self._taken.add((choice.resource.id, begins))
                    row = {
                        "id": new_id(self.rng),
                        "contact_id": person.id,
                        "service_id": choice.service.id,
                        "resource_id": choice.resource.id,
                        "starts_at": begins,
                        "ends_at": ends,
                        "status": "booked",
                        "demo": True,
                    }
                    self.bookings.append(row)
                    return row, choice
        return None


@dataclass
class Story:
    """One exchange with one person: what each side says moves its time on."""

    month: Month
    person: Person
    at: datetime
    ticket: dict[str, Any] | None = None

    @property
    def conversation(self) -> dict[str, Any]:
        """The person's conversation."""
        return self.month.conversations[self.person.id]

    @property
    def rng(self) -> random.Random:
        """The month's dice."""
        return self.month.rng

    def wait(self, minutes: float) -> None:
        """Let time pass, give or take a fifth."""
        self.at += timedelta(minutes=minutes * self.rng.uniform(0.8, 1.2))

    def when(self, start: datetime) -> str:
        """An instant as a text tells it."""
        return bookings.when_words(start, self.month.shop.zone, self.at)

    # -- texts -----------------------------------------------------------------------------------------------------

    def shop(
        self,
        name: str,
        words: str,
        *,
        purpose: str = "transactional",
        asks: Sequence[str] = (),
        booking: dict[str, Any] | None = None,
        waits: str | None = None,
        payload: dict[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """A text the shop started; its question where it waits for an answer, to be settled by `settle`."""
        rule = f"{purpose} consent ({'web_form' if purpose == 'marketing' else 'point_of_sale'})"
        self._out("shop", words, purpose=purpose, rule=rule, name=name, asks=list(asks), booking=booking)
        if waits is None:
            return None
        question = {
            "id": new_id(self.rng),
            "conversation_id": self.conversation["id"],
            "kind": waits,
            "payload": payload or {},
            "booking_id": booking["id"] if booking is not None else None,
            "asked_at": self.at,
            "expires_at": self.at + timedelta(days=7),
            "closed_at": self.at + timedelta(days=7),
            "closed_by": "lapsed",
        }
        question["closed_at"] = min(question["closed_at"], self.month.now)
        self.month.questions.append(question)
        return question

    def settle(self, question: dict[str, Any] | None) -> UUID | None:
        """The question is answered now; its id."""
        if question is None:
            return None
        question.update(closed_at=self.at, closed_by="answer")
        found: UUID = question["id"]
        return found

    def hears(
        self,
        words: str,
        intent: str | None,
        decision: Decision = "bot",
        says: str = "",
        *,
        why: str = "answered",
        sure: float | None = None,
        entities: Sequence[dict[str, Any]] = (),
        effects: Sequence[tuple[str, Any, dict[str, Any] | None, dict[str, Any] | None]] = (),
        state: str = "in",
        purpose: str = "conversational",
    ) -> UUID:
        """A text of theirs, its turn and the reply to it; an effect is its kind, its ref, before and after."""
        if decision == "silent" and why == "answered":
            why = "added to the ticket; a person answers"
        ruled = decision in ("keyword", "answer", "flow", "silent") and sure is None
        confidence = None if intent is None else 1.0 if ruled else sure or round(self.rng.uniform(0.86, 0.985), 3)
        message_id = new_id(self.rng)
        ended = self.at + timedelta(milliseconds=self.rng.randrange(30, 110))
        self.month.messages.append(
            self._message(
                message_id, words, "inbound", "contact", "received", carrier_id=self._sid(), turn_id=message_id
            )
        )
        self.month.turns.append(
            {
                "id": message_id,
                "conversation_id": self.conversation["id"],
                "decision": decision,
                "why": self._why(intent, confidence, ruled, why),
                "intent": intent,
                "confidence": confidence,
                "ranking": [] if ruled or intent is None else self._ranking(intent, confidence or 0.9),
                "entities": [_placed(words, entity) for entity in entities],
                "consent": state,
                "ticket_id": self.ticket["id"] if self.ticket is not None else None,
                "steps_ms": self._steps(ruled),
                "ended_at": ended,
            }
        )
        changed = (
            [*effects, ("ticket.appended", self.ticket["id"], None, None)]
            if decision == "silent" and (self.ticket is not None)
            else list(effects)
        )
        self.month.effects += [
            self._effect(message_id, position, kind, ref, before, after, ended)
            for position, (kind, ref, before, after) in enumerate(changed)
        ]
        self.conversation["last_message_at"] = self.at
        if says:
            self._out("bot", says, turn=message_id, purpose=purpose, rule="answers the contact's own text")
        self.wait(self.rng.uniform(0.5, 4))
        return message_id

    def hands_over(
        self,
        words: str,
        intent: str,
        reason: str,
        says: str,
        *,
        note: str = "",
        effects: Sequence[Any] = (),
        **more: Any,
    ) -> None:
        """A text that opens a ticket; from here on an agent answers."""
        urgent = reason in ("serious_matter", "bad_rating")
        self._open(reason, note, {"intent": intent, "confidence": more.get("sure", 0.93), "entities": []}, urgent)
        assert self.ticket is not None
        opened = ("ticket.opened", self.ticket["id"], None, {"reason": reason})
        self.hears(
            words,
            intent,
            "ticket",
            f"{says} {_TOLD}",
            why=f"handed over ({reason})",
            effects=[*effects, opened],
            **more,
        )

    def taken_over(self) -> None:
        """An agent steps in by themselves."""
        self._open("agent_took_over", "", {}, False)
        assert self.ticket is not None
        self.ticket["agent_id"] = self.month.agents[0]["id"]
        opened = self._effect(None, 0, "ticket.opened", self.ticket["id"], None, {"reason": "agent_took_over"}, self.at)
        self.month.effects.append({**opened, "actor": "agent"})
        self.wait(1)

    def agent(self, words: str, minutes: float) -> None:
        """An agent answers after a while."""
        self.wait(minutes)
        assert self.ticket is not None
        self.ticket["agent_id"] = self.ticket["agent_id"] or self.rng.choice(self.month.agents)["id"]
        self._out("agent", words, rule="answers the contact's own text", sent_by=self.ticket["agent_id"])
        self.wait(2)

    def close(self, minutes: float = 5) -> None:
        """The ticket is closed; the bot answers again."""
        self.wait(minutes)
        assert self.ticket is not None
        self.ticket.update(status="closed", closed_at=self.at)
        self.conversation["owner"] = "bot"
        self.ticket = None

    def rates(self, words: str, score: int, scale: int, question: dict[str, Any] | None, comment: str | None) -> None:
        """An answer to a survey: kept, and a bad one goes to a person."""
        question_id = self.settle(question)
        rating = {"score": score, "scale": scale, "comment": comment, "late": False}
        self.month.ratings.append(
            {
                "id": new_id(self.rng),
                "contact_id": self.person.id,
                "question_id": question_id,
                "created_at": self.at,
                **rating,
            }
        )
        recorded = ("rating.recorded", "survey", None, rating)
        if score <= (6 if scale == 10 else 2):
            sorry = "Thank you for telling us, and sorry that it was not right.\nA person will put that right."
            note = f"Rated {score} of {scale}."
            self.hands_over(words, "give_rating", "bad_rating", sorry, note=note, effects=[recorded])
            return
        kept = " We have noted what you wrote." if comment else ""
        says = f"Thank you, glad to hear it. Your rating: {score} of {scale}.{kept}"
        self.hears(words, "give_rating", "answer", says, why=f"the answer {score} to our question", effects=[recorded])

    # -- rows ------------------------------------------------------------------------------------------------------

    def _open(self, reason: str, note: str, understood: dict[str, Any], urgent: bool) -> None:
        self.ticket = {
            "id": new_id(self.rng),
            "conversation_id": self.conversation["id"],
            "reason": reason,
            "tags": [f"SMS via {self.month.shop.brand}", reason],
            "note": note,
            "understood": understood,
            "status": "open",
            "priority": "high" if urgent else "normal",
            "agent_id": None,
            "opened_at": self.at,
            "closed_at": None,
        }
        self.conversation["owner"] = "queue"
        self.month.tickets.append(self.ticket)

    def _message(
        self, message_id: UUID, body: str, direction: str, author: str, status: str, **more: Any
    ) -> dict[str, Any]:
        nothing = dict.fromkeys(
            [
                *("reason", "position", "sent_by", "purpose", "urgency", "rule", "name", "booking_id", "encoding"),
                *("parts", "send_after", "deadline_at", "error_code", "handed_over_at"),
            ]
        )
        return {
            "id": message_id,
            "conversation_id": self.conversation["id"],
            "direction": direction,
            "author": author,
            "body": body,
            "media": [],
            "status": status,
            "asks": [],
            "attempts": 0,
            "fence": 0,
            "created_at": self.at,
            **nothing,
            **more,
        }

    def _out(
        self,
        author: str,
        words: str,
        *,
        purpose: str = "conversational",
        rule: str,
        turn: UUID | None = None,
        name: str | None = None,
        asks: Sequence[str] = (),
        booking: dict[str, Any] | None = None,
        sent_by: UUID | None = None,
    ) -> None:
        """A text of ours with its way: handed over, sent, delivered, but for the few a carrier loses."""
        spoken = self.conversation["last_message_at"] is not None and any(
            row["conversation_id"] == self.conversation["id"] and row["direction"] == "outbound"
            for row in self.month.messages
        )
        if (author == "shop" or not spoken) and "STOP" not in words:
            words = f"{words}\n{STOP_LINE}" if "\n" in words else f"{words} {STOP_LINE}"
        size = measure(words)
        message_id, carrier_id = new_id(self.rng), self._sid()
        queued = self.at + timedelta(milliseconds=self.rng.randrange(40, 140))
        handed = queued + timedelta(milliseconds=self.rng.randrange(60, 420))
        lost = author == "shop" and self.rng.random() < 0.03
        status = "undelivered" if lost else "delivered"
        code = "30003" if lost else None
        self.month.messages.append(
            self._message(
                message_id,
                words,
                "outbound",
                author,
                status,
                reason="the phone could not be reached" if lost else None,
                carrier_id=carrier_id,
                turn_id=turn,
                position=0 if turn is not None else None,
                sent_by=sent_by,
                purpose=purpose,
                urgency=URGENCY["transactional" if author == "shop" else "conversation"],
                rule=rule,
                name=name,
                asks=list(asks),
                booking_id=booking["id"] if booking is not None else None,
                encoding=size.encoding,
                parts=size.parts,
                send_after=queued,
                deadline_at=queued + (SHOP_DEADLINE if author == "shop" else REPLY_DEADLINE),
                attempts=1,
                error_code=code,
                created_at=queued,
                handed_over_at=handed,
            )
        )
        self.conversation["last_message_at"] = queued
        self.month.receipts += [
            {
                "carrier_id": carrier_id,
                "message_id": message_id,
                "status": told,
                "error_code": code if told == status else None,
                "received_at": handed + timedelta(seconds=seconds),
            }
            for told, seconds in (("sent", 0.4), (status, self.rng.uniform(1, 5)))
        ]
        self.month.carried.append(
            {
                "carrier_id": carrier_id,
                "message_id": message_id,
                "sender": self.month.number.phone,
                "recipient": self.person.phone,
                "body": words,
                "accepted_at": handed,
            }
        )

    def _effect(
        self,
        turn_id: UUID | None,
        position: int,
        kind: str,
        ref: Any,
        before: dict[str, Any] | None,
        after: dict[str, Any] | None,
        moment: datetime,
    ) -> dict[str, Any]:
        return {
            "conversation_id": self.conversation["id"],
            "turn_id": turn_id,
            "position": position,
            "kind": kind,
            "ref": ref,
            "before": before,
            "after": after,
            "actor": "contact",
            "created_at": moment,
        }

    def _why(self, intent: str | None, confidence: float | None, ruled: bool, why: str) -> str:
        if intent is None or ruled:
            return f"{why[0].upper()}{why[1:]}." if ruled and why != "answered" else "Read by rule."
        return f"Read as {intent}, {100 * (confidence or 0):.0f} %; {why}."

    def _ranking(self, intent: str, confidence: float) -> list[dict[str, Any]]:
        rest = 1 - confidence
        near = [name for name in (*_NEAR.get(intent, ()), *_ELSE) if name != intent]
        others = zip(near, (0.6, 0.25, 0.1), strict=False)
        return [
            {"name": intent, "confidence": confidence},
            *({"name": name, "confidence": round(rest * share, 4)} for name, share in others),
        ]

    def _steps(self, ruled: bool) -> dict[str, float]:
        steps = {"load": self.rng.uniform(2.5, 6), "time": self.rng.uniform(2, 5), "write": self.rng.uniform(4, 9)}
        if not ruled:
            steps["rasa"] = self.rng.uniform(17, 48)
        return {name: round(ms, 2) for name, ms in steps.items()}

    def _sid(self) -> str:
        return f"SM{self.rng.getrandbits(128):032x}"


def _placed(words: str, entity: dict[str, Any]) -> dict[str, Any]:
    """An entity with where it stands in the text, where it does."""
    spoken = str(entity.get("said") or entity["value"])
    start = words.lower().find(spoken.lower())
    found = {"entity": entity["entity"], "value": entity["value"]}
    return found | ({"start": start, "end": start + len(spoken)} if start >= 0 else {})


#: Who says what: it is told to a story; the day is None for what happens now.
Scene = Callable[[Story, date | None], None]
