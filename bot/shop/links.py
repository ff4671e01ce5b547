"""Signed links to one booking: whoever has the text has the link, nobody can make one up; it looks nothing up."""

import base64
import binascii
import hashlib
import hmac
from uuid import UUID

#: 96 bits: far beyond guessing over HTTP, short enough for a text.
TAG_BYTES = 12


def booking_link(booking_id: UUID, base_url: str, key: str) -> str:
    """The address of the page of this booking."""
    return f"{base_url}/b/{_token(booking_id, key)}"


def booking_of(token: str, key: str) -> UUID | None:
    """The booking a link's token stands for; None where we did not make it."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    if len(raw) != 16 + TAG_BYTES:
        return None
    booking_id = UUID(bytes=raw[:16])
    # Compared as text: base64 has several spellings of the same bytes, and only ours is ours.
    return booking_id if hmac.compare_digest(token.encode(), _token(booking_id, key).encode()) else None


def _token(booking_id: UUID, key: str) -> str:
    tag = hmac.new(key.encode(), b"booking " + booking_id.bytes, hashlib.sha256).digest()[:TAG_BYTES]
    return base64.urlsafe_b64encode(booking_id.bytes + tag).decode().rstrip("=")
