"""The whole loop with PARLEY_CARRIER=twilio: the engine's processes on one side, Twilio's stand-in on the other."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from bot import clock
from bot.tables import Order
from tests.conftest import create_database, database_url, drop_database
from tests.engine import NUMBER, Engine
from tests.twilio_server import Callbacks, TwilioServer

pytestmark = pytest.mark.xdist_group("twilio")

PUBLIC = "https://texts.shop.example"


class Clock:
    """The carrier's clock: the engine's, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta(0)

    def now(self) -> datetime:
        """The instant at the carrier."""
        return clock.now() + self.ahead


@pytest.fixture(scope="module")
def carrier_clock() -> Clock:
    """The carrier's clock."""
    return Clock()


@pytest.fixture(scope="module")
def server(carrier_clock: Clock) -> Iterator[TwilioServer]:
    """Twilio's side; where the public address leads is told once the engine has a port."""
    with TwilioServer([NUMBER], webhook=f"{PUBLIC}/webhooks/twilio/sms", now=carrier_clock.now) as server:
        yield server


@pytest.fixture(scope="module")
def shop(server: TwilioServer) -> Iterator[Engine]:
    """An engine that has never heard of a simulator."""
    name = f"twilio_{uuid4().hex[:12]}"
    create_database(name, "parley_template")
    ahead = clock.now() - datetime.now(UTC)
    running = Engine(
        database_url(os.environ["PARLEY_TEST_OWNER_URL"], name),
        database_url(os.environ["PARLEY_TEST_APP_URL"], name),
        os.environ["PARLEY_TEST_REDIS_URL"],
        carrier="twilio",
        twilio_api_url=server.url,
        twilio_account_sid=server.account_sid,
        twilio_auth_token=server.auth_token,
        public_url=PUBLIC,
    )
    server.reach[PUBLIC] = running.base_url
    try:
        running.start()
        yield running
    finally:
        running.stop()
        drop_database(name)
        clock.start(ahead.total_seconds())


@pytest.fixture(autouse=True)
def healthy(server: TwilioServer) -> Iterator[None]:
    """No fault outlives its test."""
    yield
    server.heal()
    server.callbacks = "normal"
    server.ends.clear()


def outbound(shop: Engine, phone: str) -> list[dict[str, object]]:
    """Our texts to a contact, as their rows stand."""
    return shop.rows(
        "SELECT m.id, m.body, m.status, m.carrier_id, m.error_code, m.attempts FROM messages m"
        " JOIN conversations c ON c.id = m.conversation_id JOIN contacts k ON k.id = c.contact_id"
        " WHERE k.phone = %s AND m.direction = 'outbound' ORDER BY m.seq",
        phone,
    )


def until(shop: Engine, phone: str, status: str, seconds: float = 20) -> dict[str, object]:
    """Our only text to a contact, once it stands so."""

    def there() -> dict[str, object] | None:
        rows = outbound(shop, phone)
        return rows[0] if len(rows) == 1 and rows[0]["status"] == status else None

    try:
        return shop.eventually(there, seconds, "")
    except AssertionError:
        raise AssertionError(f"{outbound(shop, phone)}\n{shop.log('sender')}") from None


def consent_of(shop: Engine, phone: str) -> set[str]:
    """The last word of the ledger on each purpose."""
    rows = shop.rows(
        "SELECT DISTINCT ON (e.purpose) e.action FROM consent_events e JOIN contacts k ON k.phone_hash = e.phone_hash"
        " WHERE k.phone = %s ORDER BY e.purpose, e.id DESC",
        phone,
    )
    return {str(row["action"]) for row in rows}


def look_now(shop: Engine, phone: str, handed_over: timedelta = timedelta(0)) -> None:
    """The time to look at the carrier's list has come; the text was handed over so long ago."""
    shop.run_sql(
        "UPDATE messages SET send_after = %s, handed_over_at = %s WHERE status = 'unknown' AND conversation_id IN"
        " (SELECT c.id FROM conversations c JOIN contacts k ON k.id = c.contact_id WHERE k.phone = %s)",
        clock.now(),
        clock.now() - handed_over,
        phone,
    )


# -- sending -------------------------------------------------------------------------------------------------------


def test_a_question_about_an_order_is_answered_over_the_messages_api(shop: Engine, server: TwilioServer) -> None:
    """One create call with the documented parameters and no others; receipts move the row to delivered."""
    contact_id, phone = shop.new_contact("Ann")

    async def bought(session: AsyncSession) -> None:
        items = [{"name": "Trail Runner sneakers", "quantity": 1}]
        placed_at = clock.now() - timedelta(days=3)
        session.add(Order(number="7042", contact_id=contact_id, status="shipped", items=items, placed_at=placed_at))

    shop.run(bought)

    turn = shop.turn(server.text(phone, "where is my order #7042?"))

    row = until(shop, phone, "delivered")
    (taken,) = server.sent(phone)
    (form,) = [form for form in server.forms if form.get("To") == phone]
    assert ("order_status", [taken.body]) == (turn["intent"], turn["replies"])
    assert "7042" in taken.body
    assert {
        "To": phone,
        "From": NUMBER,
        "Body": taken.body,
        "StatusCallback": f"{PUBLIC}/webhooks/twilio/status?m={row['id']}",
        "ValidityPeriod": form["ValidityPeriod"],
    } == form
    assert 1 <= int(form["ValidityPeriod"]) <= 36_000
    assert set() == server.ignored
    assert taken.sid == row["carrier_id"]


@pytest.mark.parametrize("callbacks", ["normal", "duplicated", "reversed", "early"])
def test_receipts_settle_a_text_in_whatever_order_they_come(
    shop: Engine, server: TwilioServer, callbacks: Callbacks
) -> None:
    """Twice, backwards, or before the create call is answered: one text, delivered, each receipt kept once."""
    server.callbacks = callbacks
    _, phone = shop.new_contact()

    server.text(phone, "what are your hours")

    row = until(shop, phone, "delivered")
    shop.eventually(lambda: server.settled() or None, 10, "callbacks still under way")
    (taken,) = server.sent(phone)
    receipts = shop.rows("SELECT status FROM receipts WHERE carrier_id = %s ORDER BY status", taken.sid)
    assert taken.sid == row["carrier_id"]
    assert ["delivered", "sent"] == [receipt["status"] for receipt in receipts]
    assert "delivered" == until(shop, phone, "delivered")["status"]


@pytest.mark.parametrize("end, code", [("undelivered", "30003"), ("failed", "30007")])
def test_a_text_that_did_not_arrive_says_why(shop: Engine, server: TwilioServer, end: str, code: str) -> None:
    """The carrier's error stays with the message."""
    _, phone = shop.new_contact()
    server.ends[phone] = (end, code)

    server.text(phone, "what are your hours")

    assert code == until(shop, phone, end)["error_code"]


def test_receipts_alone_settle_a_text_whose_answer_was_lost(shop: Engine, server: TwilioServer) -> None:
    """Our own id in the callback address names the text; it is not sent again."""
    _, phone = shop.new_contact()
    server.fault("lost_after", to=phone)

    server.text(phone, "what are your hours")

    row = until(shop, phone, "delivered")
    assert [row["carrier_id"]] == [taken.sid for taken in server.sent(phone)]


@pytest.mark.parametrize("kind", ["lost_after", "fails_after"])
def test_the_list_settles_a_text_that_got_neither_answer_nor_receipt(
    shop: Engine, server: TwilioServer, kind: str
) -> None:
    """Found there by number, words and time."""
    server.callbacks = "never"
    _, phone = shop.new_contact()
    server.fault("lost_after" if kind == "lost_after" else "fails_after", to=phone)
    server.text(phone, "what are your hours")
    until(shop, phone, "unknown")

    look_now(shop, phone)

    row = until(shop, phone, "sent")
    assert [row["carrier_id"]] == [taken.sid for taken in server.sent(phone)]


def test_a_text_that_was_never_taken_is_sent_again_only_when_that_is_proven(shop: Engine, server: TwilioServer) -> None:
    """Not in the list at first: unknown still. Not after five minutes either: sent again, once."""
    _, phone = shop.new_contact()
    server.fault("lost_before", to=phone)
    server.text(phone, "what are your hours")
    until(shop, phone, "unknown")

    look_now(shop, phone)
    reads = len(server.lists)
    shop.eventually(lambda: len(server.lists) > reads or None, 10, "the list was not asked")
    assert [] == server.sent(phone)
    look_now(shop, phone, timedelta(minutes=6))

    until(shop, phone, "delivered")
    assert 1 == len(server.sent(phone))


@pytest.mark.parametrize("code", [20429, 21611])
def test_a_carrier_that_asks_to_slow_down_gets_the_text_later(shop: Engine, server: TwilioServer, code: int) -> None:
    """Refused twice, taken the third time, once."""
    _, phone = shop.new_contact()
    server.fault("refused", times=2, to=phone, code=code)

    server.text(phone, "what are your hours")

    assert 3 == until(shop, phone, "delivered", 30)["attempts"]
    assert 1 == len(server.sent(phone))


def test_a_carrier_that_is_down_gets_the_text_when_it_is_back(shop: Engine, server: TwilioServer) -> None:
    """Nothing was handed over, so nothing is unknown."""
    _, phone = shop.new_contact()
    with server.down():
        form = shop.inbound(phone, "what are your hours")
        assert 200 == shop.webhook("/webhooks/twilio/sms", form).status_code
        shop.eventually(
            lambda: [row for row in outbound(shop, phone) if row["attempts"]] or None, 20, "the text was not tried"
        )

    until(shop, phone, "delivered", 30)
    assert 1 == len(server.sent(phone))


def test_a_slow_carrier_gets_each_text_once(shop: Engine, server: TwilioServer) -> None:
    """Its receipts may be here before its answer, and other contacts do not wait for it."""
    _, slow = shop.new_contact()
    _, quick = shop.new_contact()
    server.fault("slow", to=slow, seconds=2.0)

    server.text(slow, "what are your hours")
    server.text(quick, "what are your hours")

    until(shop, quick, "delivered")
    until(shop, slow, "delivered")
    assert [1, 1] == [len(server.sent(phone)) for phone in (slow, quick)]


def test_a_number_the_carrier_refuses_fails_by_name(shop: Engine, server: TwilioServer) -> None:
    """A landline takes no texts, and trying again would not help."""
    _, phone = shop.new_contact()
    server.landlines.add(phone)

    server.text(phone, "what are your hours")

    row = until(shop, phone, "failed")
    assert ("21614", 1) == (row["error_code"], row["attempts"])


def test_a_block_at_the_carrier_is_an_opt_out_here(shop: Engine, server: TwilioServer) -> None:
    """Error 21610: the ledger follows."""
    _, phone = shop.new_contact()
    server.blocked.add((NUMBER, phone))

    server.text(phone, "what are your hours")

    assert "21610" == until(shop, phone, "failed")["error_code"]
    assert {"opted_out"} == consent_of(shop, phone)


# -- receiving -----------------------------------------------------------------------------------------------------


def test_a_stop_is_answered_by_the_carrier_alone(shop: Engine, server: TwilioServer) -> None:
    """A long code's carrier confirms it by itself, so we say nothing; nothing more leaves."""
    _, phone = shop.new_contact()

    turn = shop.turn(server.text(phone, "STOP"))

    assert ("keyword", "out", []) == (turn["decision"], turn["consent"], turn["replies"])
    assert [] == server.sent(phone)


def test_a_webhook_that_comes_again_changes_nothing(shop: Engine, server: TwilioServer) -> None:
    """Twilio repeats a call it got no answer to; five at once are one text and one reply."""
    _, phone = shop.new_contact()
    (sid,) = server.missed((phone, "what are your hours", clock.now()))

    with ThreadPoolExecutor(5) as pool:
        assert [200] * 5 == list(pool.map(lambda _: server.deliver(sid), range(5)))

    until(shop, phone, "delivered")
    assert 1 == len(server.sent(phone))


def test_what_came_while_the_web_process_was_down_is_caught_up_without_it(shop: Engine, server: TwilioServer) -> None:
    """The sender takes it in from the carrier's list; the opt-out holds while the door is still shut, and the question
    is answered as soon as actions can be asked again.
    """
    _, asker = shop.new_contact()
    _, leaver = shop.new_contact()
    shop.kill("web")
    try:
        at = clock.now() - timedelta(minutes=2)
        (question, _) = server.missed((asker, "what are your hours", at), (leaver, "stop please", at))
        shop.restart("sender", PARLEY_CATCHUP_SECONDS="1")
        shop.eventually(lambda: consent_of(shop, leaver) == {"opted_out"} or None, 30, "the opt-out was not taken in")
        shop.eventually(
            lambda: shop.rows("SELECT 1 FROM messages WHERE carrier_id = %s", question) or None, 10, "nor the question"
        )
    finally:
        shop.start_child("web")
        shop.restart("sender")
        shop.wait_ready()

    until(shop, asker, "delivered", 30)
    assert 1 == len(server.sent(asker))


def test_an_hour_of_texts_is_caught_up_once_opt_outs_first(
    shop: Engine, server: TwilioServer, carrier_clock: Clock
) -> None:
    """The machine was off for an hour: every text is taken in once, STOPs before anything else, each with the time it
    came; who left is not answered any more, who asked is answered once, and Twilio's repeated calls change nothing.
    """
    _, asker = shop.new_contact("Ann")
    others = [shop.new_contact()[1] for _ in range(6)]
    _, leaver = shop.new_contact()
    _, quitter = shop.new_contact()
    _, undecided = shop.new_contact()
    went_off = clock.now().replace(microsecond=0)
    for name in ("web", "worker", "sender"):
        shop.kill(name)

    def at(minutes: int) -> datetime:
        return went_off + timedelta(minutes=minutes)

    sids = server.missed(
        (others[0], "hi there", at(3)),
        (quitter, "what are your hours", at(5)),
        (asker, "what are your hours", at(20)),
        *((phone, "where are you located", at(22)) for phone in others[1:]),
        (undecided, "STOP", at(25)),
        (leaver, "STOP", at(30)),
        (undecided, "START", at(35)),
        (quitter, "please stop texting me", at(50)),
        (others[0], "thanks", at(55)),
    )
    carrier_clock.ahead = timedelta(hours=1)
    later = {"PARLEY_CLOCK_OFFSET_SECONDS": str(shop.offset + 3600)}
    try:
        for name in ("web", "worker", "sender"):
            shop.start_child(name, **later)
        shop.wait_ready()
        for sid in sids:
            shop.turn(sid, 60)
        with ThreadPoolExecutor(4) as pool:
            assert {200} == set(pool.map(server.deliver, sids))
        shop.restart("sender", **later)  # and catches up again
        shop.wait_ready()
        turns = [shop.turn(sid, 30) for sid in sids]

        rows = shop.rows(
            "SELECT m.carrier_id, m.body, m.created_at FROM messages m WHERE m.carrier_id = ANY(%s) ORDER BY m.seq",
            sids,
        )
        assert sorted(sids) == sorted(str(row["carrier_id"]) for row in rows)
        assert ["STOP", "STOP", "START", "please stop texting me"] == [row["body"] for row in rows[:4]]
        assert [row["created_at"] for row in rows[4:]] == sorted(row["created_at"] for row in rows[4:])
        assert at(30) in {row["created_at"] for row in rows}
        assert [[], []] == [server.sent(phone) for phone in (leaver, undecided)]  # the carrier answered these
        assert 1 == len(server.bodies(quitter))  # no answer to the question, one confirmation of the opt-out
        assert "opted out" in server.bodies(quitter)[0]
        assert [1] * 6 == [len(server.sent(phone)) for phone in (asker, *others[1:])]
        assert 2 == len(server.sent(others[0]))
        assert ["out", "in"] == [
            turn["consent"] for turn, sid in zip(turns, sids, strict=True) if sid in _of(server, undecided)
        ]
        assert {"opted_out"} == consent_of(shop, leaver) == consent_of(shop, quitter)
        assert "opted_in" in consent_of(shop, undecided)
    finally:
        carrier_clock.ahead = timedelta(0)
        for name in ("web", "worker", "sender"):
            shop.restart(name)
        shop.wait_ready()


def _of(server: TwilioServer, phone: str) -> set[str]:
    """The texts of a contact."""
    return {text.sid for text in server.texts if text.sender == phone}


def test_a_text_from_long_ago_goes_to_a_person(shop: Engine, server: TwilioServer) -> None:
    """The machine was off for two days: what somebody asked then is for a person to weigh; a STOP holds as ever."""
    _, asker = shop.new_contact()
    _, leaver = shop.new_contact()
    long_ago = clock.now() - timedelta(hours=30)
    question, _ = server.missed((asker, "what are your hours", long_ago), (leaver, "STOP", long_ago))
    shop.run_sql("UPDATE sender_numbers SET caught_up_to = %s", clock.now() - timedelta(days=2))

    shop.restart("sender")
    turn = shop.turn(question, 60)

    assert "ticket" == turn["decision"]
    (ticket,) = shop.rows("SELECT reason FROM tickets WHERE id = %s", UUID(turn["ticket"]))
    assert "engine_down" == ticket["reason"]
    assert {"opted_out"} == consent_of(shop, leaver)
