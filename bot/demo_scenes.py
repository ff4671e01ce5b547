"""What the demo shop's people and the shop say to each other; what comes of it is in bot.demo_month."""

from datetime import date, timedelta
from typing import Any, Literal

from bot import consent
from bot.demo_month import DAYS, WAITS, Choice, Scene, Story, new_id
from bot.shop.shopfile import Preference
from bot.tables import PURPOSES
from bot.values import at as instant

# -- everyday scenes -----------------------------------------------------------------------------------------------


def _asks_hours(story: Story, day: date | None) -> None:
    asked = story.rng.choice(
        ["what time do u open sat", "are you open on saturday?", "when do you close saturday", "sat hours?"]
    )
    today = story.at.astimezone(story.month.shop.zone).date()
    saturday = today + timedelta(days=(5 - today.weekday()) % 7 or 7)
    says = f"Saturday, {saturday:%b} {saturday.day}: {story.month.shop.open_words(saturday)}."
    story.hears(asked, "ask_hours", says=says)
    if story.rng.random() < 0.4:
        _says_thanks(story, day)


def _asks_shop(story: Story, day: date | None) -> None:
    answers = story.month.shop.content.answers
    asked, intent, says = story.rng.choice(
        [
            ("how long does shipping take", "ask_shipping", answers.shipping),
            ("do u ship for free", "ask_shipping", answers.shipping),
            ("can i return shoes i wore once", "ask_returns", answers.returns),
            ("whats your return policy", "ask_returns", answers.returns),
            ("do you take paypal", "ask_payment", answers.payment),
            ("what do you do with my number", "ask_privacy", answers.privacy),
            ("any student discount?", "ask_discount", answers.discounts),
            *((f"quick question about {topic.about[-1]}", "ask_shop", topic.answer) for topic in answers.topics),
        ]
    )
    story.hears(asked, intent, says=says)


def _asks_order(story: Story, day: date | None) -> None:
    order = story.month.order_of(story.person)
    if order is None or order["placed_at"] > story.at - timedelta(hours=6):
        return _asks_shop(story, day)
    asked = story.rng.choice(["where is my order", "wheres order {number}", "has {number} shipped yet?"])
    number = {"entity": "order_number", "value": order["number"]}
    name = f"Order {order['number']} ({order['items'][0]['name']})"
    old = story.at - order["placed_at"] > timedelta(days=4)
    says = (
        f"{name} was delivered with UPS, tracking {order['tracking_number']}."
        if old and order["status"] == "delivered"
        else f"{name} is placed and not yet shipped."
    )
    named = "{number}" in asked
    story.hears(asked.format(number=order["number"]), "order_status", says=says, entities=[number] if named else [])
    return None


def _says_thanks(story: Story, day: date | None) -> None:
    words = story.rng.choice(["thx!", "thank you so much", "great thanks", "ty"])
    story.hears(words, "thank", says="You're welcome.")


def _praises(story: Story, day: date | None) -> None:
    words = story.rng.choice(["love the new shop btw", "rosa was wonderful today", "best fitting i ever had"])
    story.hears(words, "praise", says="Thank you, that makes our day. I pass it on.")


def _mumbles(story: Story, day: date | None) -> None:
    words = story.rng.choice(["the thing from before", "still no?", "same as him", "ok but the other one", "??"])
    says = "I am not sure I understand. Do you mean\n1 your booking\n2 your order\n3 something else?"
    story.hears(words, "out_of_scope", "clarify", says, why="not sure enough, asked which was meant", sure=0.41)
    if story.rng.random() < 0.6:
        says = "OK. Which order do you mean? Text its number, such as 1012."
        story.hears("2", "order_status", "answer", says, why="read as the answer 2 to our question")


def _asks_strange_things(story: Story, day: date | None) -> None:
    words = story.rng.choice(["can you lend me 50 bucks", "who won the game last night", "write me a poem"])
    says = "I can't help with that by text. I can look after bookings and orders here."
    story.hears(words, "out_of_scope", "clarify", says, why="nothing the shop does by text, said so once", sure=0.9)


def _taps_back(story: Story, day: date | None) -> None:
    _asks_hours(story, day)
    words = 'Loved "Saturday: Elm Street 10:00 AM-4:00 PM"'
    story.hears(words, None, "silent", why="a tapback; nothing to answer")


def _asks_help(story: Story, day: date | None) -> None:
    facts = story.month.shop.facts
    says = f"{story.month.shop.brand}: {facts['about']} Help: {facts['phone']}. Reply STOP to opt out."
    story.hears("HELP", None, "keyword", says, why="answered HELP by rule; Rasa was not asked", purpose="keyword")


def _visits(story: Story, day: date | None) -> None:
    """A booking that took place or not: confirmed by the shop, then confirmed, moved, cancelled or left alone."""
    visit = story.month.visit(story.person, day, days=1) if day is not None else None
    if visit is None:
        return _asks_shop(story, day)
    row, choice = visit
    place = story.month.shop.location(choice.resource.location_id).name
    words = (
        f"Confirmed: Your booking at {place} on {story.when(row['starts_at'])}. Reply CHANGE to reschedule or CANCEL "
        "to cancel. Reply STOP to opt-out."
    )
    about = {"asks": ("CHANGE", "CANCEL"), "booking": row, "waits": "booking"}
    question = story.shop("booking_confirmation", words, payload={"booking_id": str(row["id"])}, **about)  # type: ignore[arg-type]  # as declared
    story.wait(25)
    facts = _booked(row)
    named = f"your {choice.service.name}, {story.when(row['starts_at'])}"
    chance = story.rng.random()
    if chance < 0.4:
        story.settle(question)
        row["status"] = "confirmed"
        effect = ("booking.confirmed", row["id"], facts, _booked(row))
        says = f"Thank you, {named}, is confirmed."
        words = story.rng.choice(["Yes", "yes!", "ok see you then"])
        story.hears(
            words, "confirm_booking", "answer", says, why="read as the answer yes to our question", effects=[effect]
        )
    elif chance < 0.62:
        _moves(story, row, choice, facts)
    elif chance < 0.75:
        story.settle(question)
        row["status"] = "cancelled"
        effect = ("booking.cancelled", row["id"], facts, _booked(row))
        says = f"{named[0].upper()}{named[1:]} is cancelled. To get it back, reply 1. To stop all texts, reply STOP."
        story.hears(
            "CANCEL",
            "cancel_booking",
            "keyword",
            says,
            why="read CANCEL by rule as the answer to the booking text; cancelled at once",
            effects=[effect],
        )
    return None


def _moves(story: Story, row: dict[str, Any], choice: Choice, facts: dict[str, Any]) -> None:
    hours = story.month.shop.hours_at(choice.resource.location_id)
    length = row["ends_at"] - row["starts_at"]
    later = (row["starts_at"] + timedelta(days=days) for days in range(1, 15))
    times = [start for start in later if hours.fits(start, start + length)][:3]
    if len(times) < 3:
        return
    offers = "\n".join(f"{number} {story.when(start)}" for number, start in enumerate(times, start=1))
    says = f"For your {choice.service.name} these times are free:\n{offers}\nReply 1, 2 or 3 to move it."
    held = ("booking.held", row["id"], None, {"slots": [instant(start) for start in times]})
    words = story.rng.choice(["can we do another day", "need to move my appt", "cant make it, later this week?"])
    story.hears(words, "reschedule_booking", says=says, why="asked to choose from 3", effects=[held])
    if times[1] + length > story.month.now:
        return
    row.update(starts_at=times[1], ends_at=times[1] + length)
    moved = ("booking.rescheduled", row["id"], facts, _booked(row))
    says = f"Done: your {choice.service.name} is now on {story.when(times[1])}."
    story.hears("2", "reschedule_booking", "answer", says, why="read as the answer 2 to our question", effects=[moved])


def _booked(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "booking_id": str(row["id"]),
        "start": instant(row["starts_at"]),
        "status": row["status"],
        "resource": row["resource_id"],
    }


def _rates_visit(story: Story, day: date | None) -> None:
    """CSAT, better towards the end of the month."""
    order = story.month.order_of(story.person)
    bought = order is not None and order["placed_at"] < story.at - timedelta(days=2)
    product = order["items"][0]["name"] if bought and order is not None else None
    about = f"recent {product} purchase" if product else "last visit"
    words = f"Hi {story.person.first}, how would you rate your {about}? Reply on a scale of 1-5. Text STOP to opt-out."
    question = story.shop("rating", words, waits="survey", payload={"scale": 5, "product": product})
    if story.rng.random() < 0.2:
        return
    story.wait(40)
    late = 1 - (story.month.now - story.at).days / DAYS
    score = story.rng.choices((3, 4, 5), (3 - 2 * late, 4, 3 + 3 * late))[0]
    comments = {3: "took a while to arrive", 4: "but shipping was slow", 5: "love them"}
    comment = comments[score] if story.rng.random() < 0.5 else None
    words = f"{score} {comment}" if comment else story.rng.choice([str(score), f"{score}/5", f"{score}!"])
    story.rates(words, score, 5, question, comment)


def _recommends(story: Story, day: date | None) -> None:
    """NPS."""
    words = (
        f"Hi {story.person.first}, how likely are you to recommend {story.month.shop.brand} to a friend? Reply 0 (not "
        "at all) to 10 (very). Text STOP to opt-out."
    )
    question = story.shop("nps", words, waits="survey", payload={"scale": 10})
    if story.rng.random() < 0.15:
        return
    story.wait(60)
    score = story.rng.choices((7, 8, 9, 10), (2, 3, 4, 4))[0]
    story.rates(str(score), score, 10, question, None)


# -- scenes that happen once or twice ------------------------------------------------------------------------------


def _rates_badly(story: Story, day: date | None) -> None:
    words = f"Hi {story.person.first}, how would you rate your visit? Reply on a scale of 1-5. Text STOP to opt-out."
    question = story.shop("rating", words, waits="survey", payload={"scale": 5})
    story.wait(15)
    story.rates("1. heel broke on day two", 1, 5, question, "heel broke on day two")
    story.agent(f"So sorry, {story.person.first}. A new pair goes out today, no charge.", 11)
    story.hears("oh wow thank you", "thank", "silent")
    story.close()


def _recommends_not(story: Story, day: date | None) -> None:
    words = f"How likely are you to recommend {story.month.shop.brand}? Reply 0 to 10. Text STOP to opt-out."
    question = story.shop("nps", words, waits="survey", payload={"scale": 10})
    story.wait(35)
    story.rates("4 waited 20 min for my fitting", 4, 10, question, "waited 20 min for my fitting")
    story.agent("Sorry about the wait. Your next fitting is on us; just say when.", 24)
    story.close()


def _complains(story: Story, day: date | None) -> None:
    says = "I am sorry about that. A person takes a look right away."
    story.hands_over("the zipper on my raincoat is broken already", "complain", "complaint", says)
    story.agent("That should not happen after a week. Shall I send a new one or refund it?", 8)
    story.hears("a new one please", "affirm", "silent")
    story.agent("It ships today; keep the old one.", 6)
    story.close()


def _threatens(story: Story, day: date | None) -> None:
    says = "I am passing this to a person at once."
    note = "Names a lawyer."
    story.hands_over(
        "charge me twice again and you hear from my lawyer", "serious_matter", "serious_matter", says, note=note
    )
    story.agent("I see both charges. The second is refunded as of now, and I am sorry.", 4)
    story.hears("ok. thanks for being quick", "thank", "silent")
    story.close(20)


def _wants_a_person(story: Story, day: date | None) -> None:
    story.hands_over("can i talk to someone real", "ask_human", "asked_for_person", "OK, a person takes over here.")
    story.agent("Hi, what can I do for you?", 6)
    story.hears("do you alter jackets too", "ask_shop", "silent")
    story.agent("We do, from $25. Come by Harbor Point any afternoon.", 4)
    story.close()


def _is_not_understood(story: Story, day: date | None) -> None:
    says = "I am not sure I understand. Do you mean\n1 your booking\n2 your order?"
    story.hears("the blue from the window", "out_of_scope", "clarify", says, why="asked which was meant", sure=0.38)
    told = "I am still not sure what you mean, so a person takes over here."
    story.hands_over("no the window one", "deny", "unclear", told, sure=0.44)
    story.agent("The blue scarf in the window? It is $39, and I can put one aside.", 14)
    story.hears("yes pls!", "affirm", "silent")
    story.close()


def _goes_too_far(story: Story, day: date | None) -> None:
    _asks_strange_things(story, day)
    told = "I can't settle that by text, so a person takes over here."
    story.hands_over("are you hiring a DJ for the party", "out_of_scope", "out_of_scope", told)
    story.agent("Not this year, but thank you for asking.", 31)
    story.close()


def _fails(story: Story, day: date | None) -> None:
    told = "I could not get that done, so a person takes over here."
    story.hands_over("move my fitting to 4", "reschedule_booking", "failed_action", told, note="The slot kept going.")
    story.agent("4 PM just went; I have put you at 4:30 instead. OK?", 9)
    story.hears("works", "affirm", "silent")
    story.close()


def _meets_an_outage(story: Story, day: date | None) -> None:
    told = "Something on our side is not working right now, so a person takes over here."
    note = "Rasa could not be reached for too long."
    story.hands_over("is the linen shirt in stock in L", "ask_product", "engine_down", told, note=note)
    story.agent("Two left in white. Shall I hold one for you?", 17)
    story.close()


def _is_taken_over(story: Story, day: date | None) -> None:
    story.hears("my parcel says delivered but its not here", "order_status", says="Your order was delivered with UPS.")
    story.taken_over()
    story.agent("Maya here. I asked UPS to look; if it is not there by Friday we send another.", 2)
    story.hears("thank you maya", "thank", "silent")
    story.close(30)


def _joins_contest(story: Story, day: date | None) -> None:
    contests = story.month.shop.content.contests
    if not contests:
        return _asks_shop(story, day)
    contest = contests[0]
    words = f"Win {contest.prize}: text {contest.keyword} to enter. Rules: {contest.rules}. Reply STOP to opt out."
    question = story.shop(
        "contest",
        words,
        purpose="marketing",
        asks=[contest.keyword],
        waits="contest",
        payload={"contest": contest.keyword},
    )
    story.wait(30)
    story.settle(question)
    entry = {"id": new_id(story.rng), "contest": contest.keyword, "contact_id": story.person.id}
    story.month.entries.append({**entry, "entered_at": story.at, "left_at": None})
    entered = ("contest.entered", contest.keyword, None, {"contest": contest.keyword})
    says = f"You are in for {contest.prize}. Good luck. Rules: {contest.rules}."
    story.hears(contest.keyword.title(), "join_contest", "flow", says, why="entered by keyword", effects=[entered])
    return None


def _states_preference(story: Story, day: date | None) -> None:
    preferences = story.month.shop.content.preferences
    if not preferences:
        return _asks_shop(story, day)
    preference: Preference = preferences[0]
    listed = " or ".join(choice.word for choice in preference.choices)
    words = f"{preference.question} Reply {listed}. Reply STOP to opt out."
    payload = {"preference": preference.key}
    asks = [choice.word for choice in preference.choices]
    question = story.shop("preference", words, purpose="marketing", asks=asks, waits="preference", payload=payload)
    story.wait(20)
    story.settle(question)
    choice = story.rng.choice(preference.choices)
    story.month.profiles.setdefault(story.person.id, {})[preference.key] = choice.word
    effects: list[Any] = [("preference.set", preference.key, {"value": None}, {"value": choice.word})]
    says = f"Noted: {choice.word.lower()}."
    pool = story.month.shop.content.code_pool(preference.code)
    code = next((row for row in story.month.codes if pool and row.pool == pool.key and row.contact_id is None), None)
    if pool is not None and code is not None:
        code.contact_id, code.issued_at = story.person.id, story.at
        effects.append(("code.issued", pool.key, None, {"pool": pool.key, "code": code.code}))
        says = f"{says} Your code for {pool.worth}: {code.code}. {pool.rules}"
    story.hears(
        choice.word.lower(), "state_preference", "flow", says, why="read as the preference we asked", effects=effects
    )
    return None


def _exchanges(story: Story, day: date | None) -> None:
    _asks_for(story, day, "exchange")


def _returns(story: Story, day: date | None) -> None:
    _asks_for(story, day, "return")


def _asks_for(story: Story, day: date | None, kind: Literal["exchange", "return"]) -> None:
    order = story.month.order_of(story.person)
    if order is None or order["placed_at"] > story.at:
        return _asks_shop(story, day)
    item = order["items"][0]
    words = (
        f"can i swap {order['number']} for another size"
        if kind == "exchange"
        else f"i want to return {order['number']}"
    )
    number = {"entity": "order_number", "value": order["number"]}
    asks = (
        f"Shall I start {'an exchange' if kind == 'exchange' else 'a return'} for your {item['name']}? Reply 1 for yes."
    )
    story.hears(words, f"{kind}_item", says=asks, why="asked to choose from 2", entities=[number])
    request = {"id": new_id(story.rng), "order_id": order["id"], "contact_id": story.person.id, "kind": kind, "item": 0}
    wish = {"product": item["product"], "size": item["size"] if kind == "exchange" else None, "color": None}
    story.month.requests.append({**request, **wish, "reason": None, "created_at": story.at, "withdrawn_at": None})
    after = {"order_id": str(order["id"]), "request_id": str(request["id"]), "item": 0}
    says = f"Done: you get a label for {item['name']} by email."
    story.hears(
        "1",
        f"{kind}_item",
        "answer",
        says,
        why="read as the answer 1 to our question",
        effects=[(f"order.{kind}_requested", order["number"], None, after)],
    )
    return None


def _stops(story: Story, day: date | None) -> None:
    words = story.rng.choice(["STOP", "Stop. Thank you", "please stop texting me"])
    says = consent.CONFIRMATION.format(brand=story.month.shop.brand)
    effect = ("consent.opted_out", "all", {"consent": "in"}, {"consent": "out"})
    why = "read STOP as an opt-out before anything else; Rasa was not asked"
    moment = story.at
    message = story.hears(words, "opt_out", "keyword", says, why=why, effects=[effect], state="out", purpose="keyword")
    story.month.agree(story.person, PURPOSES, "opted_out", "keyword", "STOP", moment, message)


def _starts_again(story: Story, day: date | None) -> None:
    says = consent.WELCOME_BACK.format(brand=story.month.shop.brand)
    purposes = ("transactional", "conversational", "marketing")
    effect = ("consent.opted_in", ",".join(purposes), {"consent": "out"}, {"consent": "in"})
    why = "read START as the end of the opt-out; Rasa was not asked"
    moment = story.at
    message = story.hears("START", "opt_in", "keyword", says, why=why, effects=[effect], purpose="keyword")
    story.month.agree(story.person, purposes, "opted_in", "keyword", f"START: {says}", moment, message)


# -- the two that wait ---------------------------------------------------------------------------------------------


def _heel_broke(story: Story, day: date | None) -> None:
    order = story.month.order_of(story.person)
    about = order["items"][0]["name"] if order is not None else "last order"
    says = "I am sorry about that. A person takes a look right away."
    story.hands_over(f"my {about} came apart after one week, not ok", "complain", "complaint", says)
    story.hears("i have pictures if you need them", None, "silent", why="added to the ticket; a person answers")


def _allergy(story: Story, day: date | None) -> None:
    words = "could someone of you text me back, it's about the latex in the soles"
    story.hands_over(words, "ask_human", "asked_for_person", "OK, a person takes over here.")


#: How many days ago what happened to whom.
SCENES: tuple[tuple[int, int, Scene], ...] = (
    (27, 6, _rates_badly),
    (24, 7, _complains),
    (21, 8, _threatens),
    (26, 10, _wants_a_person),
    (12, 11, _wants_a_person),
    (23, 12, _is_not_understood),
    (9, 13, _is_not_understood),
    (18, 14, _goes_too_far),
    (16, 15, _fails),
    (15, 10, _meets_an_outage),
    (15, 11, _meets_an_outage),
    (11, 12, _is_taken_over),
    (8, 7, _recommends_not),
    (20, 14, _recommends_not),
    (5, 15, _complains),
    (4, 18, _rates_badly),
    (22, 9, _asks_shop),
    (19, 9, _rates_visit),
    (14, 9, _stops),
    (12, 9, _starts_again),
    (6, 9, _asks_hours),
    (6, 16, _stops),
    (5, 17, _stops),
    *(
        (day, position, _joins_contest)
        for day, position in ((25, 6), (22, 7), (17, 8), (13, 10), (10, 11), (7, 12), (3, 13))
    ),
    *((day, position, _states_preference) for day, position in ((19, 6), (14, 8), (10, 12), (6, 13), (3, 10))),
    (13, 14, _exchanges),
    (7, 6, _exchanges),
    (9, 19, _returns),
)
#: What happens to anybody on any day, and how often in the month.
EVERYDAY: tuple[tuple[Scene, int], ...] = (
    (_visits, 30),
    (_rates_visit, 34),
    (_recommends, 20),
    (_asks_hours, 14),
    (_asks_shop, 20),
    (_asks_order, 14),
    (_mumbles, 8),
    (_asks_strange_things, 4),
    (_praises, 5),
    (_says_thanks, 4),
    (_taps_back, 3),
    (_asks_help, 2),
)
#: What waits for an answer: minutes ago, whose, what.
WAITING: tuple[tuple[int, int, Scene], ...] = ((130, WAITS[0], _heel_broke), (12, WAITS[1], _allergy))
