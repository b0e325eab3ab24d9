"""Archive of all manifests, searchable by the hash of a file.

The bucket holds only the current publications; the archive also keeps replaced manifests.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sunriza_assets.atomic import make_folder, replaced, store_errors
from sunriza_assets.costs.manifest import Manifest, checked_sha256

__all__ = ["ARCHIVE_FOLDER", "ManifestArchive"]

ARCHIVE_FOLDER: Final = "lineage"
"""Its place below the reports folder."""
_ROLES: Final = ("output", "input")


class ManifestArchive:
    """Every manifest by its content, and an index from file hashes to manifests.

    `manifests/<sha256>.json`, and `files/<ab>/<sha256>/<manifest>.<role>` as empty files: adding is
    idempotent and needs no lock, and finding a hash reads one folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, manifest: Manifest) -> None:
        """Add a manifest.

        Raises:
            StoreError: the folder cannot be written.
        """
        content = manifest.to_bytes()
        name = hashlib.sha256(content).hexdigest()
        stored = self._folder / "manifests" / f"{name}.json"
        if not stored.exists():
            make_folder(stored.parent)
            with replaced(stored) as part:
                part.write_bytes(content)
        for role, items in zip(_ROLES, (manifest.outputs, manifest.inputs), strict=True):
            contents = {item.mark.content for item in items if item.mark is not None}
            for digest in {item.sha256 for item in items} | contents:
                entry = self._index_folder(digest) / f"{name}.{role}"
                make_folder(entry.parent)
                with store_errors("write", entry):
                    entry.touch()

    def find(self, sha256: str) -> list[tuple[str, Manifest]]:
        """(role, manifest) of every avatar that has the file as output, marked or not, or as input.

        Outputs come first, the newest first among them.

        Raises:
            CostError: this is no sha256, or a kept manifest is damaged.
        """
        folder = self._index_folder(checked_sha256(sha256))
        found = [
            (entry.suffix[1:], Manifest.load(self._folder / "manifests" / f"{entry.stem}.json"))
            for entry in (folder.iterdir() if folder.is_dir() else ())
            if entry.suffix[1:] in _ROLES
        ]
        return sorted(found, key=lambda hit: (_ROLES.index(hit[0]), -hit[1].made_at.timestamp()))

    def __iter__(self) -> Iterator[Manifest]:
        for path in sorted((self._folder / "manifests").glob("*.json")):
            yield Manifest.load(path)

    def _index_folder(self, sha256: str) -> Path:
        return self._folder / "files" / sha256[:2] / sha256
