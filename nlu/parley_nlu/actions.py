"""How Rasa calls the engine's actions, with two mends: answers are checked cheaply, and failures are not swallowed.

It decides nothing about what an action may answer, and its errors never quote an answer: there is customer text in it.
"""

from __future__ import annotations

import logging
from typing import Any

from jsonschema.validators import validator_for
from rasa.core.actions.action import RemoteAction
from rasa.shared.core.events import Event
from rasa.shared.exceptions import RasaException

from parley_nlu.store import this_turn


class ActionAnswerRefused(RasaException):
    """An action answered something that is not events and responses."""


_rasas_run = RemoteAction.run


def install() -> None:
    """Put both mends in place for this process; Rasa builds its RemoteActions by itself, so the class is changed."""
    schema = RemoteAction.action_response_format_spec()
    # Rasa compiles this schema anew for every answer, which was half of a turn's processor time.
    validator = validator_for(schema)(schema)

    def check(_: RemoteAction, answer: dict[str, Any]) -> bool:
        error = next(validator.iter_errors(answer), None)
        if error is not None:
            raise ActionAnswerRefused(f"an action's answer breaks its schema at {error.json_path}")
        return True

    RemoteAction._validate_action_result = check
    RemoteAction.run = _run
    # It would quote the answer of an action that refused; the turn that fails for it has a line of its own.
    logging.getLogger(RemoteAction.__module__).disabled = True


async def _run(action: RemoteAction, *args: Any, **kwargs: Any) -> list[Event]:
    """Run the action as Rasa does and note a failure on the turn, which then comes to nothing.

    Rasa by itself would go on as if nothing had happened, and ask an action that refuses to run again for ever.
    """
    try:
        return await _rasas_run(action, *args, **kwargs)
    except Exception as error:
        cause = error.__cause__ or error
        status = getattr(cause, "status", None)
        this_turn().failed.append(f"{action.name()} ({type(cause).__name__ if status is None else f'HTTP {status}'})")
        return []
