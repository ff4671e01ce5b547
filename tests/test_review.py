"""What is worth a designer's look, who may say what it means, and that a label is one line of the training data."""

import asyncio
import itertools
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import event, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from bot import accounts, clock, effects
from bot.app import create_app
from bot.db import Database
from bot.insight import examples, neighbours, review
from bot.insight.review import Wanted
from bot.settings import ROOT, Settings
from bot.tables import Contact, Conversation, Message, SenderNumber, Ticket, Turn
from bot.values import Changed

PASSWORD = "a long enough password"
BASE = "http://127.0.0.1:8080"
_phones = (f"+1202555{number:04d}" for number in itertools.count())


@dataclass
class Desk:
    """A shop whose contacts' turns a test writes down."""

    session: AsyncSession
    now: datetime = field(default_factory=clock.now)

    async def contact(self, name: str | None = None) -> Conversation:
        """A conversation with a new contact."""
        phone = next(_phones)
        contact = Contact(phone=phone, phone_hash=phone, name=name, created_at=self.now)
        self.session.add(contact)
        await self.session.flush()
        number = await self.session.scalar(select(SenderNumber.id))
        conversation = Conversation(contact_id=contact.id, sender_number_id=number)
        self.session.add(conversation)
        await self.session.flush()
        return conversation

    async def hears(
        self,
        body: str,
        intent: str | None = "order_status",
        confidence: float = 0.97,
        *,
        decision: str = "bot",
        minutes_ago: float = 60,
        conversation: Conversation | None = None,
        second: float = 0.01,
        changed: Sequence[Changed] = (),
    ) -> UUID:
        """A text and its turn."""
        conversation = conversation or await self.contact()
        at = self.now - timedelta(minutes=minutes_ago)
        message = Message(
            conversation_id=conversation.id,
            direction="inbound",
            author="contact",
            body=body,
            status="received",
            created_at=at,
        )
        self.session.add(message)
        await self.session.flush()
        ranking = (
            [{"name": intent, "confidence": confidence}, {"name": "greet", "confidence": second}] if intent else []
        )
        turn = Turn(
            id=message.id,
            conversation_id=conversation.id,
            decision=decision,
            why=f"Read as {intent}.",
            intent=intent,
            confidence=confidence if intent else None,
            ranking=ranking,
            consent="in",
            ended_at=at,
        )
        self.session.add(turn)
        message.turn_id = message.id
        await self.session.flush()
        await effects.record(
            self.session, changed, conversation_id=conversation.id, turn_id=turn.id, actor="contact", now=at
        )
        return message.id

    async def found(self, **wanted: Any) -> dict[str, tuple[str, ...]]:
        """The texts of the queue, in order, each with why it is there."""
        return {line.body: line.whys for line in (await self.queue(**wanted)).lines}

    async def queue(self, **wanted: Any) -> review.Queue:
        """The queue as it stands."""
        return await review.queue(self.session, Wanted(**wanted), self.now)


@pytest.fixture
async def desk(db: Database) -> AsyncIterator[Desk]:
    """An empty desk in one transaction."""
    async with db.begin() as session:
        yield Desk(session)


# -- what is worth a look ------------------------------------------------------------------------------------------


async def test_what_was_read_well_is_not_in_the_queue(desk: Desk) -> None:
    """A sure reading that was acted on, an answer by rule and a keyword need no designer."""
    await desk.hears("where is my order")
    await desk.hears("5", "give_rating", 0.4, decision="answer")
    await desk.hears("STOP", "opt_out", 1.0, decision="keyword")
    await desk.hears("", "greet", 0.1, decision="clarify")

    assert {} == await desk.found()


@pytest.mark.parametrize(
    "text_, more, why",
    [
        ("gibberish", {"decision": "clarify", "confidence": 0.9}, "unclear"),
        ("do u sell cars", {"intent": "out_of_scope", "confidence": 0.9}, "unclear"),
        ("the thing", {"confidence": 0.55}, "unsure"),
        ("that or this", {"confidence": 0.62, "second": 0.5}, "unsure"),
    ],
)
async def test_an_unsure_or_misunderstood_text_is_in_the_queue(
    desk: Desk, text_: str, more: dict[str, Any], why: str
) -> None:
    """Asked back, out of scope, below the line or nearly a toss: each is named."""
    await desk.hears(text_, **more)

    assert {text_: (why,)} == await desk.found()


@pytest.mark.parametrize("answer", ["deny", "undo"])
async def test_a_reading_the_contact_took_back_is_in_the_queue(desk: Desk, answer: str) -> None:
    """A "no" or "undo" right after it says that it was wrong; a day later it says nothing."""
    ann, bob = await desk.contact(), await desk.contact()
    await desk.hears("move it", "reschedule_booking", minutes_ago=30, conversation=ann)
    await desk.hears("no that's wrong", answer, minutes_ago=29, conversation=ann)
    await desk.hears("cancel it", "cancel_booking", minutes_ago=300, conversation=bob)
    await desk.hears("no", answer, minutes_ago=29, conversation=bob)

    assert {"move it": ("corrected",)} == await desk.found()


async def test_a_rephrased_request_is_in_the_queue(desk: Desk) -> None:
    """The same words again, read otherwise, within minutes."""
    ann, bob = await desk.contact(), await desk.contact()
    await desk.hears("can my blue jacket come back", "ask_returns", minutes_ago=30, conversation=ann)
    await desk.hears("I want to send the blue jacket back to you", "return_item", minutes_ago=28, conversation=ann)
    await desk.hears("when are you open", "ask_hours", minutes_ago=30, conversation=bob)
    await desk.hears("and where is my parcel", "order_status", minutes_ago=29, conversation=bob)

    assert {"can my blue jacket come back": ("corrected",)} == await desk.found()


async def test_an_undone_change_is_in_the_queue(desk: Desk) -> None:
    """An effect that was taken back was not what was meant."""
    await desk.hears("cancel order", "cancel_order", changed=[Changed(kind="order.cancelled", ref="1043")])
    await desk.session.execute(text("UPDATE effects SET undone_at = now()"))

    assert {"cancel order": ("corrected",)} == await desk.found()


@pytest.mark.parametrize("reason, whys", [("unclear", {"help??": ("escalated",)}), ("complaint", {})])
async def test_what_a_person_got_for_want_of_understanding_is_in_the_queue(
    desk: Desk, reason: str, whys: dict[str, tuple[str, ...]]
) -> None:
    """A ticket for a complaint was understood; one for an unclear text was not."""
    id_ = await desk.hears("help??", decision="ticket")
    turn = await desk.session.get_one(Turn, id_)
    ticket = Ticket(
        conversation_id=turn.conversation_id, reason=reason, tags=[], note="", understood={}, opened_at=desk.now
    )
    desk.session.add(ticket)
    await desk.session.flush()
    turn.ticket_id = ticket.id
    await desk.session.flush()

    assert whys == await desk.found()


async def test_a_text_that_comes_again_is_one_line(desk: Desk) -> None:
    """Case, blanks and closing punctuation make no other text; how often it came is said, the most frequent first."""
    for body in ("Gift wrap", "gift  wrap?", "gift wrap!!"):
        await desk.hears(body, confidence=0.5)
    await desk.hears("once", confidence=0.3)
    queue = await desk.queue()

    assert [(3, "gift wrap"), (1, "once")] == [(line.times, examples.normal(line.body)) for line in queue.lines]
    assert (2, {"open": 2, "labelled": 0, "skipped": 0}) == (queue.total, queue.states)


async def test_a_burst_is_one_text(desk: Desk) -> None:
    """What was read as one is labelled as one."""
    id_ = await desk.hears("my jacket", confidence=0.3)
    turn = await desk.session.get_one(Turn, id_)
    later = Message(
        conversation_id=turn.conversation_id,
        direction="inbound",
        author="contact",
        body="does it come in red",
        status="received",
        created_at=desk.now,
        turn_id=id_,
    )
    desk.session.add(later)
    await desk.session.flush()

    assert {"my jacket does it come in red": ("unsure",)} == await desk.found()


async def test_the_queue_is_narrowed_and_paged(desk: Desk) -> None:
    """By reason, reading, words and days; page by page, with nothing twice and nothing lost."""
    for number in range(review.PAGE + 3):
        await desk.hears(f"what about {number:03d}", confidence=0.3)
    await desk.hears("100% sure", "greet", 0.5)
    await desk.hears("hm", "greet", 0.9, decision="clarify", minutes_ago=60 * 24 * 20)
    first, second = await desk.queue(), await desk.queue(page=2)

    assert ["100% sure"] == list(await desk.found(query="0% S"))
    assert ["hm"] == list(await desk.found(why="unclear"))
    assert {"100% sure", "hm"} == set(await desk.found(intent="greet"))
    assert "hm" not in await desk.found(days=7, intent="greet")
    assert review.PAGE + 5 == first.total == len({line.id for line in (*first.lines, *second.lines)})


async def test_the_queue_is_one_query(desk: Desk, db: Database) -> None:
    """However many lines it has."""
    for number in range(30):
        await desk.hears(f"what about {number}", confidence=0.3)
    seen: list[str] = []
    event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *given: seen.append(given[2]))
    await desk.queue()

    assert 1 == len(seen)


# -- what to make of it --------------------------------------------------------------------------------------------


def test_neighbours_see_through_typos() -> None:
    """The nearest example of a misspelt text is the text; what stopped being an example is none."""
    index = neighbours.Neighbours(examples.read(ROOT / "data").all)
    near = index.of("wheres my ordr")
    index.renew([each.example for each in near[1:]])

    assert ("wheres my order", True) == (near[0].example.text, near[0].same)
    assert near[1].example in [each.example for each in index.of("wheres my ordr")]
    assert near[0].example not in [each.example for each in index.of("wheres my ordr")]
    assert [] == index.of("zzqx")


def test_the_model_and_the_neighbours_are_heard_together() -> None:
    """A near example outweighs an unsure reading; without a reading neighbours decide; without both nothing is said."""
    here = examples.Example("where's my order", "order_status", "orders.yml", 1)
    near = [neighbours.Neighbour(here, 0.9, same=False)]

    assert "order_status" == neighbours.blend([("ask_shop", 0.4), ("order_status", 0.3)], near)[0][0]
    assert [("order_status", 0.9)] == neighbours.blend([], near)
    assert [] == neighbours.blend([], [])


# -- the pages -----------------------------------------------------------------------------------------------------


@dataclass
class Pages:
    """The application with a scratch copy of data/, and a browser for each role."""

    app: FastAPI
    db: Database
    data: Path
    browsers: dict[str, httpx.AsyncClient]

    async def text(self, body: str, **more: Any) -> UUID:
        """A text that waits for review."""
        async with self.db.begin() as session:
            return await Desk(session).hears(body, **{"confidence": 0.3, **more})

    async def post(self, path: str, role: str = "designer", **fields: str) -> httpx.Response:
        """Send a form of ours."""
        return await self.browsers[role].post(f"/console/{path}", data={"csrf": await self.csrf(role), **fields})

    async def csrf(self, role: str) -> str:
        """The form token of a browser."""
        page = await self.browsers[role].get("/nowhere")
        found = re.search(r'name="csrf-token" content="([^"]+)"', page.text)
        assert found is not None
        return found[1]

    async def get(self, path: str, role: str = "designer") -> str:
        """A page's HTML."""
        answer = await self.browsers[role].get(f"/console/{path}", follow_redirects=True)
        assert answer.status_code == 200, answer.text
        return answer.text

    def lines(self) -> list[tuple[str, str]]:
        """Every (intent, example) of the scratch copy."""
        return [(each.intent, each.text) for each in examples.read(self.data).all]


@pytest.fixture
async def site(app_url: str, db: Database, tmp_path: Path) -> AsyncIterator[Pages]:
    """Dee designs, Max answers, Mo markets, each logged in."""
    data = Path(shutil.copytree(ROOT / "data", tmp_path / "data"))
    app = create_app(
        Settings(data_dir=tmp_path, carrier="simulator", port=8080, database_url=app_url, examples_dir=data)
    )
    async with app.router.lifespan_context(app):
        browsers: dict[str, httpx.AsyncClient] = {}
        for role, name in (("designer", "Dee Signer"), ("agent", "Max Agent"), ("marketer", "Mo Marks")):
            async with db.begin() as session:
                user = await accounts.create(session, f"{role}@example.com", name, role, PASSWORD)
                token = await accounts.open_session(session, user.id)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            cookie = _cookie(app)
            browsers[role] = httpx.AsyncClient(transport=transport, base_url=BASE, cookies={cookie: token})
        yield Pages(app, db, data, browsers)
        for browser in browsers.values():
            await browser.aclose()


def _cookie(app: FastAPI) -> str:
    from bot.web import access

    return access.cookie_name(app.state.parley.settings)


async def test_designers_decide_agents_propose_and_marketers_do_neither(site: Pages) -> None:
    """Each page and each form answers the roles it is for, in words to the others, and wants its token."""
    id_ = await site.text("my parcel thing")
    review_pages = ["review", "review/history", "review/patch"]
    looks = {
        role: [(await browser.get(f"/console/{path}")).status_code for path in (*review_pages, f"teach/{id_}")]
        for role, browser in site.browsers.items()
    }
    acts = {
        role: [
            (await site.post(path, role, intent="greet")).status_code
            for path in (f"review/{id_}/skip", f"review/{id_}/undo", f"teach/{id_}")
        ]
        for role in site.browsers
    }
    forged = await site.browsers["designer"].post(f"/console/review/{id_}/skip", data={"csrf": "made up"})

    assert {"designer": [200, 200, 200, 403], "agent": [403, 403, 403, 200], "marketer": [403] * 4} == looks
    assert {"designer": [303, 303, 403], "agent": [403, 403, 303], "marketer": [403] * 3} == acts
    assert 403 == forged.status_code


async def test_a_label_is_one_line_of_the_data_and_can_be_taken_back(site: Pages) -> None:
    """The diff is shown; undo leaves every file as it was and the text open again."""
    before = {path.name: path.read_bytes() for path in site.data.iterdir()}
    id_ = await site.text("wheres my zonkey parcel")
    page = await site.get("review")
    labelled = await site.post(f"review/{id_}/label", intent="order_status", example="wheres my zonkey parcel")
    told = await site.get(labelled.headers["location"].removeprefix("/console/"))
    lines = site.lines()
    again = await site.post(f"review/{id_}/undo")
    reopened = await site.get(again.headers["location"].removeprefix("/console/"))

    assert "wheres my zonkey parcel" in page
    assert "Added to order status in data/orders.yml." in told
    assert '<span class="added">+      - wheres my zonkey parcel' in told
    assert ("order_status", "wheres my zonkey parcel") in lines
    assert "Taken back; the text is open again." in reopened
    assert before == {path.name: path.read_bytes() for path in site.data.iterdir()}


async def test_nobodys_number_gets_into_the_data(site: Pages) -> None:
    """The form has another number in its place; one sent with the contact's own is refused with the words to use."""
    id_ = await site.text("order 77123 never came, call 646-555-1234")
    page = await site.get(f"review?text={id_}")
    refused = await site.post(f"review/{id_}/label", intent="order_status", example="order 77123 never came")

    assert "order 28475 never came, call 202-555-0142</textarea>" in page
    assert 422 == refused.status_code
    assert "a number (77123)" in refused.text
    assert "order 28475 never came</textarea>" in refused.text
    assert not any("77123" in words for _, words in site.lines())


async def test_a_conflict_is_shown_and_moved_on_request_only(site: Pages) -> None:
    """The other place is named; moving takes the line there away, undo brings it back."""
    before = {path.name: path.read_bytes() for path in site.data.iterdir()}
    id_ = await site.text("What are your hours?", intent="ask_shop")
    page = await site.get(f"review?text={id_}")
    refused = await site.post(f"review/{id_}/label", intent="ask_shop", example="What are your hours?")
    untouched = {path.name: path.read_bytes() for path in site.data.iterdir()}
    moved = await site.post(f"review/{id_}/label", other="ask_shop", move="1", example="What are your hours?")
    told = await site.get(moved.headers["location"].removeprefix("/console/"))
    lines = site.lines()
    await site.post(f"review/{id_}/undo")

    assert "what are your hours" in page
    assert 422 == refused.status_code
    assert "Move it from ask hours to ask shop" in refused.text
    assert before == untouched
    assert "Moved to ask shop in data/shop.yml." in told
    assert ("ask_shop", "What are your hours?") in lines
    assert ("ask_hours", "what are your hours") not in lines
    assert before == {path.name: path.read_bytes() for path in site.data.iterdir()}


async def test_what_is_there_already_is_labelled_without_a_change(site: Pages) -> None:
    """The queue is emptied of it and no file is touched."""
    before = site.lines()
    id_ = await site.text("what are your hours", intent="ask_hours")
    labelled = await site.post(f"review/{id_}/label", intent="ask_hours", example="what are your hours")
    told = await site.get(labelled.headers["location"].removeprefix("/console/"))

    assert "It is an example of ask hours already; nothing had to be written." in told
    assert before == site.lines()


async def test_an_agents_correction_comes_first_and_waits_for_a_designer(site: Pages) -> None:
    """It changes no data, is marked in the thread and suggested with the agent's name."""
    sure = await site.text("the shoes I got are the wrong ones", confidence=0.99)
    await site.text("something unclear", confidence=0.2)
    before = site.lines()
    menu = await site.get(f"teach/{sure}", "agent")
    await site.post(f"teach/{sure}", "agent", intent="exchange_item")
    async with site.db.begin() as session:
        queue = await review.queue(session, Wanted(), clock.now())
        turn = await session.get_one(Turn, sure)
        marked = await review.taught(session, turn.conversation_id)
    page = await site.get("review")

    assert menu.index("order status") < menu.index("Everything else") < menu.index("leave contest")
    assert ("the shoes I got are the wrong ones", ("proposed",)) == (queue.lines[0].body, queue.lines[0].whys)
    assert {sure: "Corrected to exchange item, waits for review"} == marked
    assert 'value="exchange_item" id="suggestion-1"' in page
    assert "Max Agent says" in page
    assert before == site.lines()


async def test_an_agent_cannot_propose_what_nobody_reads(site: Pages) -> None:
    """An intent of nowhere is refused in words."""
    id_ = await site.text("hm")
    answer = await site.post(f"teach/{id_}", "agent", intent="<script>")

    assert (422, True) == (answer.status_code, "There is no such meaning." in answer.text)


async def test_where_the_data_cannot_be_written_the_label_waits_as_a_patch(
    site: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page says so, no file changes, and the patch makes of the files what writing would have made."""
    monkeypatch.setattr(examples, "writable", lambda folder: False)  # whoever runs tests as root may write anywhere
    before = site.lines()
    id_ = await site.text("wheres my zonkey parcel")
    labelled = await site.post(f"review/{id_}/label", intent="order_status", example="wheres my zonkey parcel")
    told = await site.get(labelled.headers["location"].removeprefix("/console/"))
    patch = await site.get("review/patch")

    assert "data/ cannot be written from here" in told
    assert "One label is in no file yet" in told
    assert before == site.lines()
    process = await asyncio.create_subprocess_exec(
        "git", "apply", "-", cwd=site.data.parent, stdin=asyncio.subprocess.PIPE
    )
    await process.communicate(patch.encode())
    assert 0 == process.returncode
    assert {("order_status", "wheres my zonkey parcel")} == set(site.lines()) - set(before)


async def test_without_the_data_folder_labels_are_taken_along_as_a_file(site: Pages) -> None:
    """A console on another machine says where examples would be, and gives a file of Rasa's own format."""
    shutil.rmtree(site.data)
    id_ = await site.text("wheres my zonkey parcel")
    page = await site.get("review")
    await site.post(f"review/{id_}/label", other="order_status", example="wheres my zonkey parcel")
    taken = await site.get("review/patch")

    assert "PARLEY_EXAMPLES_DIR says where examples are" in page
    assert (
        'version: "3.1"\n\nnlu:\n  - intent: order_status\n    examples: |\n      - wheres my zonkey parcel\n' == taken
    )


async def test_two_labels_at_once_are_two_lines(site: Pages) -> None:
    """Neither is lost, whoever is faster."""
    ids = [await site.text(f"wheres my zonkey {word}") for word in ("parcel", "hat", "coat")]
    before = site.lines()
    answers = await asyncio.gather(
        *(site.post(f"review/{id_}/label", intent="order_status", example=f"zonkey {id_.hex[:3]} zz") for id_ in ids)
    )

    assert [303, 303, 303] == [answer.status_code for answer in answers]
    assert 3 == len(set(site.lines()) - set(before))


async def test_history_says_who_did_what(site: Pages) -> None:
    """Every correction, label, skip and undo, the latest first, even where the text is gone."""
    id_, other = await site.text("wheres my zonkey parcel"), await site.text("hm hm")
    await site.post(f"teach/{id_}", "agent", intent="ask_shop")
    await site.post(f"review/{id_}/label", intent="order_status", example="wheres my zonkey parcel")
    await site.post(f"review/{other}/skip")
    await site.post(f"review/{other}/undo")
    async with site.db.begin() as session:
        entries, total = await review.history(session, 1)
        await session.execute(text("DELETE FROM contacts"))
    page = await site.get("review/history")

    assert [
        ("reopened", None, "Dee Signer"),
        ("skipped", None, "Dee Signer"),
        ("labelled", "order_status", "Dee Signer"),
        ("proposed", "ask_shop", "Max Agent"),
    ] == [(entry.action, entry.intent, entry.by) for entry in entries]
    assert 4 == total
    assert "wheres my zonkey parcel" in page
    assert "Text removed" in page


async def test_skipped_and_labelled_texts_leave_the_queue_and_come_back(site: Pages) -> None:
    """A text skipped once stays away however often it comes, until it is taken back."""
    id_ = await site.text("hm hm")
    skipped = await site.post(f"review/{id_}/skip", next="")
    await site.text("Hm hm!")
    page = await site.get(skipped.headers["location"].removeprefix("/console/"))
    listed = await site.get("review?state=skipped")
    await site.post(f"review/{id_}/undo")

    assert "Skipped; it is not for training." in page
    assert "Nothing to review" in page
    assert "Hm hm!" in listed
    assert "hm hm" in (await site.get("review")).lower()
