"""Lengths as carriers bill them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.text import clean, measure, plain


@pytest.mark.parametrize(
    "text, encoding, units, parts",
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("a" * 152 + "€" + "a" * 10, "GSM-7", 164, 2),
        ("é" * 160, "GSM-7", 160, 1),
        ("ê" * 70, "UCS-2", 70, 1),
        ("ê" * 71, "UCS-2", 71, 2),
        ("👍" * 35, "UCS-2", 70, 1),
        ("a" * 66 + "👍" + "a" * 66, "UCS-2", 134, 3),
    ],
)
def test_parts_are_counted_as_carriers_do(text: str, encoding: str, units: int, parts: int) -> None:
    """160 and 153 septets, 70 and 67 units; an escape or a surrogate pair is never split over two parts."""
    assert (encoding, units, parts) == tuple(measure(text))


@given(st.text(max_size=600))
def test_more_text_never_costs_less(text: str) -> None:
    """Adding a plain letter adds a unit and never removes a part."""
    before, after = measure(text), measure(text + "a")

    assert after.units == before.units + 1
    assert before.parts <= after.parts <= before.parts + 1


@given(st.text())
def test_cleaned_text_can_be_stored_and_is_clean_already(text: str) -> None:
    """No NUL or control character is left, and cleaning twice changes nothing more."""
    cleaned = clean(text)

    assert "\x00" not in cleaned
    assert cleaned == clean(cleaned)


def test_typographic_marks_are_made_plain() -> None:
    """One curly quote would make every part half as long."""
    assert "GSM-7" == measure(plain("“It’s” – fine…")).encoding
