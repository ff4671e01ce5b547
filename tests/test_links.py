"""Signed links to one booking."""

from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from bot.shop import links

BASE = "https://shop.example"


@given(st.uuids())
def test_a_link_leads_to_its_booking(booking_id: UUID) -> None:
    """What was signed is read back."""
    link = links.booking_link(booking_id, BASE, "key")

    assert booking_id == links.booking_of(link.removeprefix(f"{BASE}/b/"), "key")


def test_a_link_of_another_key_leads_nowhere() -> None:
    """Only the shop can make one."""
    token = links.booking_link(uuid4(), BASE, "key").rpartition("/")[2]

    assert links.booking_of(token, "other") is None


@given(st.integers(0, 27), st.integers(1, 255))
def test_a_changed_link_leads_nowhere(place: int, change: int) -> None:
    """Any byte of it counts."""
    import base64

    token = links.booking_link(UUID(int=7), BASE, "key").rpartition("/")[2]
    raw = bytearray(base64.urlsafe_b64decode(token + "=="))
    raw[place] ^= change

    assert links.booking_of(base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("="), "key") is None


def test_another_spelling_of_the_same_bytes_leads_nowhere() -> None:
    """The last character has spare bits; a link is the text we wrote and no other."""
    token = links.booking_link(UUID(int=7), BASE, "key").rpartition("/")[2]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [token[:-1] + letter for letter in alphabet if letter != token[-1]]

    assert {None} == {links.booking_of(other, "key") for other in others}


@given(st.text(max_size=80))
def test_any_text_as_a_token_leads_nowhere(token: str) -> None:
    """Nothing but a signed link opens a page, and nothing breaks."""
    assert links.booking_of(token, "key") is None
