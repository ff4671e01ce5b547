"""Every error the engine raises on purpose; it names what failed and says what to do, never a vendor's words alone.

BotError
├── SettingsError
├── ConsentRefused
├── Stale                      the facts moved between deciding and committing: read the turn again
├── LeaseLost                  another worker or sender owns this row now
├── RasaError
│   ├── RasaUnavailable        retryable
│   └── RasaRefused
└── CarrierError(retryable)
    ├── CarrierDown            retryable: nothing was handed over
    ├── Throttled              retryable, later
    ├── Rejected               the carrier will never take this one
    │   └── Unsubscribed       the carrier has blocked this contact
    └── OutcomeUnknown         handed over or not: only receipts and the carrier's log can tell
"""


class BotError(Exception):
    """Anything the engine raises on purpose."""


class SettingsError(BotError):
    """A setting or a file the operator edits is missing or wrong; the message names it and the mend."""


class ConsentRefused(BotError):
    """Nobody may text this contact for this purpose now; the message is the rule that says so."""


class Stale(BotError):
    """A fact the turn relied on has changed since it was read; nothing of the turn was kept."""


class LeaseLost(BotError):
    """The lease ran out and somebody else has the work; whatever was computed is thrown away."""


class RasaError(BotError):
    """Rasa gave no usable answer."""


class RasaUnavailable(RasaError):
    """Rasa is down, too slow, or failed inside; the same turn may be asked again."""


class RasaRefused(RasaError):
    """Rasa said the request itself is wrong; asking again gives the same answer."""


class CarrierError(BotError):
    """The carrier did not take a message; `retryable` is the whole policy, `code` the carrier's own number."""

    retryable = False

    def __init__(self, reason: str, code: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class CarrierDown(CarrierError):
    """The carrier could not be reached or answered 5xx before taking the message."""

    retryable = True


class Throttled(CarrierError):
    """The carrier asks us to slow down."""

    retryable = True


class Rejected(CarrierError):
    """The carrier refused this message for good."""


class Unsubscribed(Rejected):
    """The carrier blocks this contact: they opted out with the carrier itself."""


class OutcomeUnknown(CarrierError):
    """The request left and no answer came; it must not be sent again until proven never taken."""
