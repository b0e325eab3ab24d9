"""The stores in use, chosen by configuration alone.

    SUNRIZA_STORE=local        (default) files below SUNRIZA_HOME; no account anywhere
    SUNRIZA_STORE=firebase     Firestore and Firebase Storage; `firebase.py` lists its settings
    SUNRIZA_ALLOWED_HOSTS      hosts that inputs may be fetched from, by commas; none by default

Google's libraries are loaded only when they are used.
"""

import os
from dataclasses import dataclass
from functools import lru_cache

from resources.avatars.store import AvatarStore
from resources.home import Home
from resources.settings import Settings, current_settings
from resources.storage.objects import MediaStorage
from sunriza_assets.errors import StoreError

__all__ = ["OpenStores", "describe_stores", "open_stores"]


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
    """The stores that the settings name; the same objects for the same settings.

    Raises:
        ParameterError: a setting is wrong.
        StoreError: a setting that the store needs is missing.
    """
    # Clients hold connections and threads, which do not survive into a forked process.
    return _opened(current_settings(), os.getpid())


def describe_stores() -> str:
    """One line for `sunriza doctor`: which store is reached and with what rights.

    Raises:
        StoreError: it cannot be reached, or the rights do not suffice.
    """
    settings = current_settings()
    if settings.store == "firebase":
        from resources.firebase import Firebase, FirebaseSettings

        return Firebase(FirebaseSettings.of(settings)).describe()
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
def _opened(settings: Settings, process: int) -> OpenStores:
    del process  # part of the key only
    from resources.downloads.public_download import PublicDownload

    if settings.store == "firebase":
        from resources.firebase import Firebase, FirebaseSettings

        firebase = Firebase(FirebaseSettings.of(settings))
        return OpenStores(firebase.avatars(), firebase.storage(), shared=True)
    from resources.avatars.local import LocalAvatars
    from resources.storage.local import LocalStorage

    home = Home(settings.home)
    downloads = PublicDownload(settings.allowed_hosts)
    return OpenStores(LocalAvatars(home), LocalStorage(home, downloads), shared=False)
