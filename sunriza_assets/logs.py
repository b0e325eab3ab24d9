"""Logs of the service's processes: one JSON object a line.

`ts, level, part, event` and what belongs to it: `request_id, job_id, run_id, uid_hash, route, ms`.
A line that is logged while something is done for a job carries `job_id` and `request_id`, whoever
logs it, libraries included: `lines_about`, `bound_lines`. JSON escapes line ends, so a caller's
text cannot begin a line of its own. Credentials and the signatures of addresses are taken out of
every value, tracebacks included.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, TextIO

import structlog

__all__ = ["bound_lines", "configure_logging", "ensure_logging", "lines_about", "redacted"]

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
_facts_of_process: dict[str, Any] = {}
"""What every line of this process carries."""


def configure_logging(
    stream: TextIO | None = None, *, level: int = logging.INFO, part: str | None = None
) -> None:
    """Let this process log JSON lines, its libraries too.

    Args:
        stream: where to; standard error by default.
        level: lowest level that is written.
        part: of the service: `api`, `dispatcher`, `worker`, `engine`.
    """
    target = stream or sys.stderr
    if part is not None:
        _facts_of_process["part"] = part
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _merge_facts_of_process,
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


def ensure_logging(part: str) -> None:
    """Configure logging unless somebody has."""
    if not structlog.is_configured():
        configure_logging(part=part)


@contextmanager
def lines_about(**facts: str | None) -> Iterator[None]:
    """Let every line of this process carry these facts inside the block, whichever thread logs it.

    For processes that do one thing at a time, in threads of libraries, too.
    """
    former = {name: _facts_of_process.get(name) for name in facts}
    _note(facts)
    try:
        yield
    finally:
        _note(former)


def bound_lines(**facts: str | None) -> AbstractContextManager[Any]:
    """Let the lines of this thread or task carry these facts inside the block."""
    known = {name: fact for name, fact in facts.items() if fact is not None}
    return structlog.contextvars.bound_contextvars(**known)


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


def _note(facts: Mapping[str, Any]) -> None:
    for name, fact in facts.items():
        if fact is None:
            _facts_of_process.pop(name, None)
        else:
            _facts_of_process[name] = fact


def _merge_facts_of_process(logger: object, method: str, event: _Event) -> _Event:
    del logger, method
    for name, fact in _facts_of_process.items():
        event.setdefault(name, fact)
    return event


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
