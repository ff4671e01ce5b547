"""Rasa's command line as Parley runs it: `python -m parley_nlu run …` takes what `rasa run` takes; it adds no command.

It never loads TensorFlow, never reports home, and keeps deprecation notices of Rasa's dependencies out of the log.
"""

import os
import warnings
from typing import Any

from parley_nlu import lean


def main() -> None:
    """Run Rasa's own command line on this process's arguments."""
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    os.environ["SQLALCHEMY_SILENCE_UBER_WARNING"] = "1"
    _hush()
    lean.install()
    from rasa.__main__ import main as rasa_main

    rasa_main()


def _hush() -> None:
    # Filters would not do: several of these packages reset them while they are imported.
    show = warnings.showwarning

    def show_all_but_deprecations(message: Any, category: Any, *place: Any, **more: Any) -> None:
        if not issubclass(category, DeprecationWarning):
            show(message, category, *place, **more)

    warnings.showwarning = show_all_but_deprecations


if __name__ == "__main__":
    main()
