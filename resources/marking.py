"""The signing key and the marker of this process, as the settings say; see `studio.marks`."""

import logging
from functools import lru_cache
from pathlib import Path

from resources.home import Home
from resources.settings import current_settings
from sunriza_assets.studio.marks.key import SigningKey, ensure_key, known_roots, load_key
from sunriza_assets.studio.marks.mark import Marker, is_available

__all__ = ["current_marker", "installation_roots", "signing_key"]

_log = logging.getLogger(__name__)


def current_marker() -> Marker | None:
    """What marks files here; None if marks are off or the C2PA library is missing.

    The key is made where there is none, unless SUNRIZA_SIGNING_KEY names its file.

    Raises:
        StoreError: the key cannot be read or made.
    """
    if current_settings().marks == "off":
        return None
    if not is_available():
        _warn_once()
        return None
    return _marker_of(signing_key())


def signing_key() -> SigningKey:
    """The key of this installation; made where there is none.

    Raises:
        StoreError: it cannot be read or made.
    """
    given = current_settings().signing_key
    if given is not None:
        return load_key(given)
    home = Home.from_environment()
    home.make()
    return ensure_key(home.keys)


def installation_roots() -> bytes:
    """Root certificates of this installation's keys, present and former, PEM; makes none.

    Raises:
        StoreError: one cannot be read.
    """
    given = current_settings().signing_key
    return known_roots(_keys_folder(), None if given is None else load_key(given))


def _keys_folder() -> Path:
    return Home.from_environment().keys


@lru_cache(maxsize=2)
def _marker_of(key: SigningKey) -> Marker:
    return Marker(key)


@lru_cache(maxsize=1)
def _warn_once() -> None:
    _log.warning(
        "Files are published without marks: c2pa-python is not installed. `sunriza doctor` tells"
        " more."
    )
