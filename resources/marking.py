"""The signing key and the marker of this process, as the settings say; see `studio.marks`."""

import logging
from functools import lru_cache
from pathlib import Path
from typing import Final

from resources.home import Home
from resources.settings import current_settings
from sunriza_assets.atomic import store_errors
from sunriza_assets.studio.marks.key import (
    KEY_NAME,
    SigningKey,
    ensure_key,
    expires_soon,
    key_from_pem,
    known_roots,
    load_key,
)
from sunriza_assets.studio.marks.mark import Marker, Source, is_available

__all__ = [
    "current_marker",
    "given_key",
    "installation_roots",
    "marks_wanted",
    "signing_key",
    "source_of",
]

_log = logging.getLogger(__name__)

_BY_PROGRAM: Final = frozenset({"mesh"})
"""Engines that follow rules; others have learned to paint."""


def source_of(engine: str) -> Source:
    """How media that an engine paints came to be, by the engine's name."""
    return Source.COMPOSITE if engine in _BY_PROGRAM else Source.COMPOSITE_TRAINED


def current_marker(home: Home | None = None) -> Marker | None:
    """What marks files here; None if marks are off or the C2PA library is missing.

    The key is made where there is none, unless a setting gives one.

    Args:
        home: SUNRIZA_HOME; the environment's if not given.

    Raises:
        StoreError: the key cannot be read or made.
    """
    return _marker_of(signing_key(home)) if marks_wanted() else None


def marks_wanted() -> bool:
    """Whether files are marked here: marks are not off, and the C2PA library is installed."""
    if current_settings().marks == "off":
        return False
    if not is_available():
        _warn_once()
        return False
    return True


def signing_key(home: Home | None = None) -> SigningKey:
    """The key of this installation; made where there is none.

    Args:
        home: SUNRIZA_HOME; the environment's if not given.

    Raises:
        StoreError: it cannot be read or made.
    """
    given = given_key()
    if given is not None:
        return given
    home = home or Home.from_environment()
    path = home.keys / KEY_NAME
    if path.exists() and not expires_soon(key := _read(path, _state_of(path))):
        return key
    home.make()
    return ensure_key(home.keys)


def given_key() -> SigningKey | None:
    """The key of SUNRIZA_SIGNING_KEY or SUNRIZA_SIGNING_KEY_FILE; None if neither is set.

    Raises:
        StoreError: it is no key, or cannot be read.
    """
    settings = current_settings()
    if settings.signing_key is not None:
        return _parsed(settings.signing_key.get_secret_value())
    path = settings.signing_key_file
    return None if path is None else _read(path, _state_of(path))


def installation_roots() -> bytes:
    """Root certificates of this installation's keys, present and former, PEM; makes none.

    Raises:
        StoreError: one cannot be read.
    """
    return known_roots(Home.from_environment().keys, given_key())


def _state_of(path: Path) -> tuple[int, ...]:
    """What changes with a file's content."""
    with store_errors("read", path):
        status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


@lru_cache(maxsize=4)
def _read(path: Path, state: tuple[int, ...]) -> SigningKey:
    """A key from its file, checked once for each state of the file."""
    del state
    return load_key(path)


@lru_cache(maxsize=1)
def _parsed(text: str) -> SigningKey:
    return key_from_pem(text.encode(), where="SUNRIZA_SIGNING_KEY")


@lru_cache(maxsize=2)
def _marker_of(key: SigningKey) -> Marker:
    return Marker(key)


@lru_cache(maxsize=1)
def _warn_once() -> None:
    _log.warning(
        "Files are published without marks: c2pa-python is not installed. `sunriza doctor` tells"
        " more."
    )
