"""A detail is read out of the text that answers a question for it, and out of no other."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.shop import details

NAMES = sorted(details.READERS)
TEXTS = st.text(max_size=400) | st.text(alphabet="0123456789#.,-/ @aszxlpmo'’?½\n", max_size=60)
QUESTIONS = (
    "what size do I need",
    "where are you?",
    "why do you need my postcode",
    "do you have it in 9?",
    "how long does 12 Oak St take?",
    "when does order 1043 arrive?",
    "is 9 a good size for me",
    "can I get a refund to ann@mail.example?",
    "should I take 10 or 11",
    "what's 11201",
)


@pytest.mark.parametrize("name", NAMES)
@given(text=TEXTS)
@example(text="0" * 300)
@example(text="9 " * 200)
@example(text="12 a a a a a a a a a a a a a a a a a a a a a a a")
@example(text="a@" * 100 + ".com")
@example(text="²")
@example(text="٣٤٥٦٧")
def test_no_text_breaks_a_reader_and_what_it_reads_is_clean(name: str, text: str) -> None:
    """None or one line that reads as itself again."""
    found = details.read(name, text)

    if found is not None:
        assert re.fullmatch(r"\S|\S.{0,318}\S", found)
        if name != "address":
            assert found.isascii()
            assert found == details.read(name, found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question_is_no_answer(name: str, text: str) -> None:
    """It goes to whoever answers questions."""
    assert details.read(name, text) is None


@pytest.mark.parametrize("name", [*NAMES, "mood"])
@pytest.mark.parametrize(
    "text", ["yes", "no thanks", "keep it", "that one", "", "1", "2", "the second one", "thursday"]
)
def test_an_answer_to_another_question_is_none(name: str, text: str) -> None:
    """Yes, no and the number of a choice are read before; a lone number can only be a size."""
    assert details.read(name, text) is None or (name == "size" and text in ("1", "2"))


@pytest.mark.parametrize(
    "text, size",
    [
        ("9", "9"),
        ("9?", "9"),
        ("size 9 please", "9"),
        ("a nine", "9"),
        ("the 9 one", "9"),
        ("I'd like a 9 instead", "9"),
        ("make it 9.5", "9.5"),
        ("9 1/2", "9.5"),
        ("nine and a half", "9.5"),
        ("9½", "9.5"),
        ("9 in black please", "9"),
        ("no, actually size 10", "10"),
        ("9 not 8", "9"),
        ("not 8, 9 please", "9"),
        ("9 instead of the 8", "9"),
        ("m", "M"),
        ("medium", "M"),
        ("a small one", "S"),
        ("XL", "XL"),
        ("2xl", "XXL"),
        ("extra large", "XL"),
        ("x-large", "XL"),
        ("xsmall", "XS"),
        ("it's fine", None),
        ("I'm good", None),
        ("too small", None),
        ("8 or 9", None),
        ("10 pm", None),
        ("give me 5 minutes", None),
        ("2 pairs of those", None),
        ("$9", None),
        ("11201", None),
        ("#1043", None),
        ("my order is 9 days late", None),
        ("let's do thursday", None),
    ],
)
def test_a_size_as_people_tell_it(text: str, size: str | None) -> None:
    """As shop.yml writes sizes; two sizes or another matter are none."""
    assert size == details.size(text)


@given(size=st.integers(2, 48).map(str) | st.sampled_from(["S", "M", "L", "XS", "XL", "XXL"]), half=st.booleans())
def test_every_size_is_read_in_every_phrase(size: str, half: bool) -> None:
    """Digits, halves and letters."""
    told = f"{size}.5" if half and size.isdigit() else size

    for phrase in ("{}", "size {}", "a {} please", "no, {}", "I need {} actually", "{} thanks"):
        assert told == details.size(phrase.format(told.lower())), phrase


@pytest.mark.parametrize(
    "text, address",
    [
        ("12 Oak St Apt 4, Brooklyn NY 11201", "12 Oak St Apt 4, Brooklyn NY 11201"),
        ("to my office: 5 Main Street", "5 Main Street"),
        ("no, 12 Oak St", "12 Oak St"),
        ("sorry, it's 12 Oak St please", "12 Oak St"),
        ("12 Oak St\nApt 4\nBrooklyn NY 11201", "12 Oak St, Apt 4, Brooklyn NY 11201"),
        ("Ann Becker, 12 Oak St, Brooklyn", "Ann Becker, 12 Oak St, Brooklyn"),
        ("c/o Bob Smith, 12 Oak St", "c/o Bob Smith, 12 Oak St"),
        ("can you send it to 12 Oak St?", "12 Oak St"),
        ("please change the address of #1043 to 5 Main Street, Albany NY 12207", "5 Main Street, Albany NY 12207"),
        ("send order 1043 to 12 Oak St", "12 Oak St"),
        ("I moved to a new place, its 221B Baker Street now", "221B Baker Street"),
        ("PO Box 12, Springfield IL 62701", "PO Box 12, Springfield IL 62701"),
        ("350 W 42nd, New York NY 10036", "350 W 42nd, New York NY 10036"),
        ("1221 Avenue of the Americas, New York", "1221 Avenue of the Americas, New York"),
        ("1 Dr Martin Luther King Jr Blvd", "1 Dr Martin Luther King Jr Blvd"),
        ("7 Sunset Way Apt 3", "7 Sunset Way Apt 3"),
        ("12 1/2 Oak Ave", "12 1/2 Oak Ave"),
        ("don't send it to 12 Oak St", None),
        ("not 12 Oak St", None),
        ("Brooklyn", None),
        ("11201", None),
        ("12 days ago I ordered", None),
        ("3 shirts arrived broken", None),
        ("in 2 hours I drive home", None),
        ("also 2 trail runners", None),
        ("my 2 orders are on the way", None),
        ("thursday at 3 on Elm Street", None),
        ("I ordered 2 shirts and my zip is 11201", None),
    ],
)
def test_an_address_as_people_tell_it(text: str, address: str | None) -> None:
    """Their own words on one line, without what leads up to it."""
    assert address == details.address(text)


@given(
    house=st.integers(1, 99999),
    street=st.sampled_from(["Oak St", "W 3rd Ave", "Martin Luther King Blvd", "Sunset Dr", "Broadway"]),
    unit=st.sampled_from(["", " Apt 4", " #12B", ", Unit 3"]),
    city=st.sampled_from(["", ", Brooklyn NY 11201", ", New York, NY 10013-1234"]),
    lead=st.sampled_from(["", "to ", "it's ", "my new address is ", "no, ", "Please send it to ", "to my office: "]),
)
def test_every_usual_address_is_read_whole(house: int, street: str, unit: str, city: str, lead: str) -> None:
    """House, street, unit, city, state and postcode."""
    address = f"{house} {street}{unit}{city}"

    assert address == details.address(lead + address)
    assert address == details.address((lead + address).lower() + " thanks") or address.lower() == details.address(
        (lead + address).lower() + " thanks"
    )


@pytest.mark.parametrize(
    "place, postcode",
    [
        ("12345 Main St", None),
        ("12 Oak St, Brooklyn NY 11201", "11201"),
        ("12 Oak St, Brooklyn NY 11201-1234, USA", "11201"),
        ("12345 Main St, Albany 12207", "12207"),
        ("", None),
    ],
)
def test_the_postcode_of_an_address_is_at_its_end(place: str, postcode: str | None) -> None:
    """A house number of five digits is none."""
    assert postcode == details.postcode_of(place)


@pytest.mark.parametrize(
    "text, proof",
    [
        ("11201", "11201"),
        ("my zip is 11201-1234", "11201"),
        ("order 10423, zip 11201", "11201"),
        ("zip code: 10003, order 10423", "10003"),
        ("#10423", None),
        ("It's Ann.Becker+shop@Mail.Example.com.", "ann.becker+shop@mail.example.com"),
        ("ann@mail.example or 11201", "ann@mail.example"),
        ("ann@mail", None),
        ("112011", None),
        ("$11201", None),
        ("no idea", None),
    ],
)
def test_a_proof_is_an_email_or_a_postcode(text: str, proof: str | None) -> None:
    """The email where both are told."""
    assert proof == details.proof(text)


@pytest.mark.parametrize(
    "text, number",
    [
        ("1043", "1043"),
        ("#1043", "1043"),
        ("#1043?", "1043"),
        ("it's 1043, not #1042", "1043"),
        ("not 1042, 1043", "1043"),
        ("1043 from 11201", "11201"),
        ("#1043 from 11201", "1043"),
        ("the 2nd", None),
        ("12", None),
        ("$1043", None),
        ("call 202-555-0100", None),
    ],
)
def test_an_order_number_has_four_digits_or_more(text: str, number: str | None) -> None:
    """The marked one, else the last that is not refused."""
    assert number == details.order_number(text)


def test_reading_a_long_text_is_quick() -> None:
    """No pattern runs away on 1,600 characters."""
    for text in ("12 a " * 320, "1" * 1600, "a@a." * 400, "zip code " * 170, "not a the size " * 100):
        for name in NAMES:
            assert re.fullmatch(r".*", details.read(name, text) or "")
