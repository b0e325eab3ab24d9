"""The files of a publication with their marks: equal content keeps its mark.

A signature differs each time it is made. The manifest therefore says of each marked file what it
was without the mark. A later run, on any machine, finds by it that it would publish the same, and
publishes unchanged files of a changed publication with the mark that they had.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from resources.avatars.record import RunRecord
from resources.marking import current_marker, marks_wanted, source_of
from resources.publishing.publication import folder_of
from resources.publishing.versions import manifest_of
from resources.storage.objects import MediaStorage
from sunriza_assets import __version__
from sunriza_assets.atomic import make_folder
from sunriza_assets.costs.manifest import FileFact, MarkFact, file_fact, sha256_of
from sunriza_assets.errors import StoreError
from sunriza_assets.studio.marks.mark import MEDIA_TYPES, Mark, Source

__all__ = ["Former", "MarkedFiles", "are_marked_as_wanted", "former_publication", "mark_of"]

_log = logging.getLogger(__name__)

_ALGORITHMIC: Final = frozenset({"mask.png"})
"""Files that show nobody."""
_LARGEST_FETCHED: Final = 4_000_000
"""Bytes of a published file that is worth fetching for its mark: signing takes milliseconds."""


def mark_of(name: str, engine: str, engine_version: str, inputs: Iterable[FileFact]) -> Mark:
    """What a published file says of itself.

    Args:
        name: documented name.
        engine: what painted it.
        engine_version: its version.
        inputs: what it was made from; their hashes are told.
    """
    return Mark(
        Source.ALGORITHM if name in _ALGORITHMIC else source_of(engine),
        __version__,
        f"{engine} {engine_version}",
        tuple((fact.name, fact.sha256) for fact in inputs),
    )


def are_marked_as_wanted(outputs: Iterable[FileFact]) -> bool:
    """Whether published files have marks where marks are made here, and none otherwise."""
    return all((fact.mark is not None) == _is_marked(fact.name) for fact in outputs)


def _is_marked(name: str) -> bool:
    """Whether files of this name get a mark: those of formats that bear one, and archives."""
    return Path(name).suffix in (*MEDIA_TYPES, ".zip") and marks_wanted()


@dataclass(frozen=True, slots=True)
class Former:
    """The publication in place, as far as its marks may be used again."""

    facts: Mapping[str, FileFact] = field(default_factory=dict)
    """Its files by documented name."""
    fetch: Callable[[str], Path] | None = None
    """Gives one of them by name."""


def former_publication(
    storage: MediaStorage, avatar_id: str, record: RunRecord, folder: Path
) -> Former:
    """The publication in place; an empty one if there is none, or it cannot be read.

    Args:
        storage: where it is.
        avatar_id: whose it is.
        record: names it.
        folder: for downloads.
    """
    current = record.current
    if current is None:
        return Former()
    place = f"{folder_of(avatar_id)}/{current.version}"
    try:
        manifest = manifest_of(storage, avatar_id, current.version, folder)
    except StoreError as problem:
        _log.warning("Marks of %s are made anew: %s", avatar_id, problem)
        return Former()
    facts = {} if manifest is None else {fact.name: fact for fact in manifest.outputs}
    return Former(facts, lambda name: storage.fetch(f"{place}/{name}", folder / current.version))


class MarkedFiles:
    """What a run publishes, marked when it is first asked for.

    Args:
        files: unmarked files by documented name.
        mark_for: what each says; called when something is marked.
        former: the publication in place; called when something is marked.
        folder: for marked copies.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        mark_for: Callable[[str], Mark],
        former: Callable[[], Former],
        folder: Path,
    ) -> None:
        self._files = files
        self._mark_for = mark_for
        self._former = former
        self._folder = folder
        self._marks: dict[str, MarkFact] = {}

    @cached_property
    def paths(self) -> dict[str, Path]:
        """Files to publish, by documented name.

        Raises:
            StoreError: one cannot be marked or written.
        """
        former = self._former() if any(map(_is_marked, self._files)) else Former()
        return {name: self._marked(name, path, former) for name, path in self._files.items()}

    @cached_property
    def facts(self) -> list[FileFact]:
        """What the manifest says of them."""
        return [
            FileFact(fact.name, fact.sha256, fact.size, self._marks.get(name))
            for name, path in self.paths.items()
            for fact in (self._plain[name] if name not in self._marks else file_fact(path, name),)
        ]

    def published_md5(self, outputs: Sequence[FileFact]) -> dict[str, str] | None:
        """MD5 by name that published files must have to be what this run would publish.

        Args:
            outputs: the publication's files, as its manifest says.

        Returns:
            None if the publication holds something else, or with marks where there should be none.
        """
        contents = [
            (fact.name, fact.mark.content if fact.mark else fact.sha256) for fact in outputs
        ]
        if contents != [(name, fact.sha256) for name, fact in self._plain.items()]:
            return None
        if not are_marked_as_wanted(outputs):
            return None
        return {
            fact.name: _md5(self._files[fact.name]) if fact.mark is None else fact.mark.md5
            for fact in outputs
        }

    @cached_property
    def _plain(self) -> dict[str, FileFact]:
        return {name: file_fact(path, name) for name, path in self._files.items()}

    def _marked(self, name: str, path: Path, former: Former) -> Path:
        marker = current_marker() if _is_marked(name) else None
        if marker is None:
            return path
        mark, content = self._mark_for(name), self._plain[name].sha256
        found = _marked_before(former, name, (content, marker.key.fingerprint, mark.digest))
        if found is not None:
            target, self._marks[name] = found
            return target
        target = self._folder / name
        make_folder(target.parent)
        marker.mark_file(path, target, mark, title=name)
        self._marks[name] = MarkFact(content, marker.key.fingerprint, mark.digest, _md5(target))
        return target


def _marked_before(
    former: Former, name: str, wanted: tuple[str, str, str]
) -> tuple[Path, MarkFact] | None:
    """The published file of this content, key and mark, with what the manifest says of its mark."""
    fact = former.facts.get(name)
    if fact is None or fact.mark is None or former.fetch is None or fact.size > _LARGEST_FETCHED:
        return None
    if (fact.mark.content, fact.mark.key, fact.mark.says) != wanted:
        return None
    try:
        path = former.fetch(name)
        whole = sha256_of(path) == fact.sha256
    except StoreError as problem:
        _log.warning("%s is marked anew: %s", name, problem)
        return None
    return (path, fact.mark) if whole else None


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
