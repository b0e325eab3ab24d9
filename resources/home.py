"""SUNRIZA_HOME: the one folder in which the embedded default keeps everything.

avatars/<id>.json   one document per avatar, the same shape as in Firestore
storage/            laid out exactly like the bucket
cache/              motion templates and scratch copies; safe to delete
models/             face models and engine weights
dagster/            DAGSTER_HOME: runs, event log, schedules
keys/               the key that signs marks; closed to others
reports/            what the report assets write

Portraits and documents are personal, so the folder is made for its owner alone (0700), and so is
what the stores make inside. One that exists keeps its mode: an operator may share it with a group.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from resources.settings import current_settings
from sunriza_assets.atomic import make_folder, store_errors

__all__ = ["MIN_FREE_BYTES", "Home"]

MIN_FREE_BYTES: Final = 64 * 1024 * 1024
"""Free space below which the disk counts as full: a run would fill it."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folders below SUNRIZA_HOME; none is made before something is written there."""

    root: Path
    """Absolute path of SUNRIZA_HOME."""

    @classmethod
    def from_environment(cls) -> "Home":
        """SUNRIZA_HOME, or `data` in the current folder."""
        return cls(current_settings().home)

    def make(self) -> None:
        """Make the folder if it is missing, readable by its owner only (0700).

        Raises:
            StoreError: it cannot be made.
        """
        if not self.root.is_dir():
            make_folder(self.root.parent)
            with store_errors("make", self.root):
                self.root.mkdir(mode=0o700, exist_ok=True)

    def is_full(self) -> bool:
        """Whether less than `MIN_FREE_BYTES` are free on its disk.

        Raises:
            StoreError: it is not there.
        """
        with store_errors("read", self.root):
            return shutil.disk_usage(self.root).free < MIN_FREE_BYTES

    @property
    def avatars(self) -> Path:
        """Avatar documents."""
        return self.root / "avatars"

    @property
    def storage(self) -> Path:
        """Published objects and the assets' own files, by object name."""
        return self.root / "storage"

    @property
    def cache(self) -> Path:
        """Content-addressed motion templates and scratch copies."""
        return self.root / "cache"

    @property
    def models(self) -> Path:
        """Model files; SUNRIZA_MODELS takes their place when it is set."""
        return current_settings().models or self.root / "models"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.root / "dagster"

    @property
    def keys(self) -> Path:
        """The key that signs marks, and the certificates of former ones."""
        return self.root / "keys"

    @property
    def reports(self) -> Path:
        """Cost and runtime reports and their ledger."""
        return self.root / "reports"
