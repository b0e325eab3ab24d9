"""Logs of the service: one JSON object a line.

`ts, level, event, request_id, job, run, uid_hash, route, ms` and what else belongs to an event.
JSON escapes line ends, so a caller's text cannot begin a line of its own. Credentials and the
signatures of addresses are taken out of every value, tracebacks included.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, Final, TextIO

import structlog

__all__ = ["configure_logging", "ensure_logging", "redacted"]

_TEXT_CHARACTERS: Final = 8000
_SECRETS: Final = (
    # API keys, JWTs, webhook secrets, whatever follows `Bearer`.
    (re.compile(r"snz_([a-z2-7]{12})_[A-Za-z0-9_-]+"), r"snz_\1_..."),
    (re.compile(r"eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "(token)"),
    (re.compile(r"whsec_[A-Za-z0-9+/=_-]+"), "whsec_..."),
    (re.compile(r"(?i)(bearer[ .])[A-Za-z0-9._~+/=-]+"), r"\1(token)"),
    # Signed addresses of Cloud Storage, tokens of Firebase Storage, passwords in addresses.
    (
        re.compile(
            r"(?i)([?&](?:token|signature|sig|key|x-goog-[a-z-]+|googleaccessid)=)[^&\s\"']+"
        ),
        r"\1...",
    ),
    (re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s/:@]+:)[^\s/@]+@"), r"\1...@"),
)
_SECRET_NAMES: Final = frozenset(("authorization", "token", "x-api-key", "secret", "password"))
# Every secret holds one of these; most texts hold none, and are not searched for six patterns.
_MARKS: Final = ("snz_", "eyj", "whsec_", "bearer", "?", "&", "://")
_MARKS_OF_LINES: Final = (*_MARKS, *(f'"{name}":' for name in _SECRET_NAMES))
_LIBRARIES: Final = {
    "httpx": logging.WARNING,  # every address that is asked
    "python_multipart": logging.ERROR,  # every broken form; it is answered with a problem
}
_DOUBLED: Final = frozenset(("message", "color_message"))  # the standard library's own copies
_Event = MutableMapping[str, Any]


def configure_logging(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Let this process log JSON lines, its libraries too.

    Args:
        stream: where to; standard error by default.
        level: lowest level that is written.
    """
    target = stream or sys.stderr
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    ending: list[Any] = [
        structlog.processors.format_exc_info,
        _line,
    ]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    for former in [one for one in root.handlers if getattr(one, "of_service", False)]:
        root.removeHandler(former)
    handler.of_service = True  # type: ignore[attr-defined]  # to find it again
    root.addHandler(handler)
    root.setLevel(level)
    for name, quiet in _LIBRARIES.items():
        logging.getLogger(name).setLevel(max(level, quiet))


def ensure_logging() -> None:
    """Configure logging unless somebody has."""
    if not structlog.is_configured():
        configure_logging()


def redacted(text: str) -> str:
    """A text without credentials and signatures, at most 8000 characters of it: both ends."""
    if len(text) > _TEXT_CHARACTERS:
        half = _TEXT_CHARACTERS // 2
        text = f"{text[:half]} ... {text[-half:]}"
    if not _holds(text, _MARKS):
        return text
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def _line(logger: object, method: str, event: _Event) -> str:
    """The line of an event, without secrets."""
    del logger, method
    kept = {name: value for name, value in event.items() if name not in _DOUBLED}
    line = _json(kept)
    if len(line) <= _TEXT_CHARACTERS and not _holds(line, _MARKS_OF_LINES):
        return line
    return _json({name: _clean(name, value) for name, value in kept.items()})


def _holds(text: str, marks: Iterable[str]) -> bool:
    lowered = text.lower()
    return any(mark in lowered for mark in marks)


def _clean(name: str, value: Any) -> Any:
    if name.lower() in _SECRET_NAMES:
        return "..."
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {str(key): _clean(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", one) for one in value]
    return value


def _json(value: Any) -> str:
    """ASCII JSON: no line separators, no lone surrogates."""
    return json.dumps(value, default=lambda one: redacted(str(one)))
