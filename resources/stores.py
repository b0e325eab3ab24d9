"""Which stores are in use, by configuration alone.

    SUNRIZA_STORE=local        (default) files below SUNRIZA_HOME; no account anywhere
    SUNRIZA_STORE=firebase     Firestore and Firebase Storage; `firebase.py` lists its settings
    SUNRIZA_ALLOWED_HOSTS      hosts that inputs may be fetched from, by commas; none by default

Google's libraries are loaded only when they are used.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from resources.avatars.store import AvatarStore
from resources.home import Home
from resources.storage.objects import MediaStorage
from sunriza_assets.errors import StoreError

__all__ = ["STORE_KINDS", "OpenStores", "describe_stores", "open_stores"]

STORE_KINDS: Final = ("local", "firebase")
_SETTINGS: Final = (
    "SUNRIZA_HOME",
    "SUNRIZA_STORE",
    "SUNRIZA_ALLOWED_HOSTS",
    "SUNRIZA_FIREBASE_PROJECT",
    "SUNRIZA_FIREBASE_BUCKET",
    "SUNRIZA_FIRESTORE_DATABASE",
    "GOOGLE_CLOUD_PROJECT",
    "FIREBASE_CREDENTIALS",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "FIRESTORE_EMULATOR_HOST",
    "STORAGE_EMULATOR_HOST",
)


@dataclass(frozen=True, slots=True)
class OpenStores:
    """Documents and objects of one installation."""

    avatars: AvatarStore
    """The avatar documents."""
    storage: MediaStorage
    """The bucket."""
    shared: bool
    """Whether other machines see the same stores."""


def open_stores() -> OpenStores:
    """The stores that the environment names; the same objects for the same environment.

    Raises:
        StoreError: an unknown kind of store, or a setting that it needs is missing or wrong.
    """
    settings = tuple((name, os.environ[name]) for name in _SETTINGS if os.environ.get(name))
    # Clients hold connections and threads, which do not survive into a forked process.
    return _opened(settings, os.getpid(), Home.from_environment())


def describe_stores() -> str:
    """One line for `sunriza doctor`: which store is reached and with what rights.

    Raises:
        StoreError: it cannot be reached, or the rights do not suffice.
    """
    if store_kind() == "firebase":
        from resources.firebase import Firebase, FirebaseSettings

        return Firebase(FirebaseSettings.from_environment(os.environ)).describe()
    root = Home.from_environment().root
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise StoreError(
            "The local store cannot be written",
            where=root,
            remedy="Set SUNRIZA_HOME to a folder of yours.",
            code="rights",
        )
    return f"local files below {root}, read and write"


@lru_cache(maxsize=8)
def _opened(settings: tuple[tuple[str, str], ...], process: int, home: Home) -> OpenStores:
    del process  # part of the key only
    from resources.downloads.public_download import PublicDownload

    if store_kind() == "firebase":
        from resources.firebase import Firebase, FirebaseSettings

        firebase = Firebase(FirebaseSettings.from_environment(dict(settings)))
        return OpenStores(firebase.avatars(), firebase.storage(), shared=True)
    from resources.avatars.local import LocalAvatars
    from resources.storage.local import LocalStorage

    hosts = dict(settings).get("SUNRIZA_ALLOWED_HOSTS", "").split(",")
    downloads = PublicDownload([host for host in hosts if host.strip()])
    return OpenStores(LocalAvatars(home), LocalStorage(home, downloads), shared=False)


def store_kind() -> str:
    """SUNRIZA_STORE: `local` (default) or `firebase`.

    Raises:
        StoreError: it is neither.
    """
    kind = os.environ.get("SUNRIZA_STORE") or "local"
    if kind not in STORE_KINDS:
        raise StoreError(
            f"SUNRIZA_STORE is {kind!r}",
            remedy=f"Known are: {', '.join(STORE_KINDS)}.",
            code="kind",
        )
    return kind
