"""Which stores are in use, by configuration alone.

SUNRIZA_STORE=local        (default) files below SUNRIZA_HOME; no account anywhere
SUNRIZA_STORE=firebase     Firestore and Firebase Storage; see `firebase.py` for its settings
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from resources.avatars import AvatarStore
from resources.avatars_local import LocalAvatars
from resources.home import Home
from resources.storage import MediaStorage
from resources.storage_local import LocalStorage
from sunriza_assets.errors import StoreError

__all__ = ["STORE_KINDS", "OpenStores", "describe_stores", "open_stores"]

STORE_KINDS: Final = ("local", "firebase")


@dataclass(frozen=True, slots=True)
class OpenStores:
    """Documents and objects of one installation."""

    avatars: AvatarStore
    """The avatar documents."""
    storage: MediaStorage
    """The bucket."""
    shared: bool
    """Whether other machines see the same stores."""


def open_stores(settings: Mapping[str, str] | None = None) -> OpenStores:
    """The stores that the settings (default: the environment) name.

    Raises:
        StoreError: an unknown kind of store, or a setting that it needs is missing.
    """
    said = os.environ if settings is None else settings
    kind = said.get("SUNRIZA_STORE") or "local"
    if kind == "local":
        return _local(Home.from_environment())
    raise StoreError(
        f"SUNRIZA_STORE is {kind!r}", remedy=f"Known are: {', '.join(STORE_KINDS)}.", code="kind"
    )


@lru_cache(maxsize=8)  # one object per process: it knows when it last told of progress
def _local(home: Home) -> OpenStores:
    return OpenStores(LocalAvatars(home), LocalStorage(home), shared=False)


def describe_stores(settings: Mapping[str, str] | None = None) -> str:
    """One line for `sunriza doctor`: which store is reached and with what rights.

    Raises:
        StoreError: it cannot be reached, or the rights do not suffice.
    """
    open_stores(settings)
    return f"local files below {Home.from_environment().root}"
