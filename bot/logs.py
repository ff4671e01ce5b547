"""Logs as one JSON object a line: one decision each, past tense, ids as fields; never a number or a body.

Query parameters and exception texts of the database driver can carry both, so a traceback is cut to its frames and the
exception's class.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

_FIELDS = ("conversation_id", "message_id", "ticket_id", "turn_id", "child")


class JsonLines(logging.Formatter):
    """One log record as one line of JSON."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The record; of an exception only frames and class."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: getattr(record, name) for name in _FIELDS if hasattr(record, name)})
        if record.exc_info and record.exc_info[0] is not None:
            kind, _, trace = record.exc_info
            line["error"] = kind.__name__
            line["frames"] = " < ".join(
                f"{frame.name} {frame.filename.rpartition('/')[2]}:{frame.lineno}"
                for frame in reversed(traceback.extract_tb(trace))
            )
        return json.dumps(line, ensure_ascii=False)


def start(level: str, process: str) -> None:
    """Log to standard error from here on; chatty libraries only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in ("httpx", "httpcore", "uvicorn.access", "rasa_sdk", "sqlalchemy.engine"):
        logging.getLogger(name).setLevel(logging.WARNING)
