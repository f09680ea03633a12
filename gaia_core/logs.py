"""How Gaia logs: a constant message and its data as fields; JSON lines unless a person is watching."""

import json
import logging
import sys
from typing import Any, Final, TextIO

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(level: int = logging.INFO, stream: TextIO = sys.stderr) -> None:
    """Send all logs to stream: readable on a terminal, JSON otherwise. Called once, by a composition root."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Readable() if stream.isatty() else _Json())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("docker", "urllib3", "uvicorn", "asyncio"):  # what they warn of reaches us as an error, or is retried
        logging.getLogger(noisy).setLevel(logging.ERROR)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _Readable(logging.Formatter):
    """Time, level where it matters, message and fields."""

    def format(self, record: logging.LogRecord) -> str:
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        data = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{self.formatTime(record, '%H:%M:%S')} {level}{record.getMessage()}"
        line = f"{line}  {data}" if data else line
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
