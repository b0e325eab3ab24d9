"""The media IO manager: an asset's value is a path, its content is kept in the media storage.

`pipeline_files` defines the object names. A run reads what it has made itself or found unchanged,
and otherwise the current version, so two runs for one avatar never mix, and a process killed at any
line leaves the former version in place. A path may be a file or a folder of files.

Fetching and storing are part of the step: both are timed with the step's own stopwatch, which stops
when the result is stored, and the record is written here as metadata.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from resources.accounting.step_watch import priced, step_watch, stop_step
from resources.home import Home
from resources.publishing.reuse import REUSED_FROM, source_run
from resources.serving.media_server import link
from resources.storage.logged_urls import logged_url
from resources.storage.objects import MediaStorage, StoredObject
from resources.storage.pipeline_files import current_run, listing_of, pipeline_folder, stored_files
from resources.storage.scratch import discard, new_folder
from sunriza_assets.costs.stopwatch import Stopwatch
from sunriza_assets.errors import StoreError

__all__ = ["MediaIOManager", "run_of_files"]


class MediaIOManager(dg.IOManager):
    """Moves files and folders between steps and the media storage."""

    def __init__(self, storage: MediaStorage, home: Home) -> None:
        self._storage = storage
        self._home = home

    def handle_output(self, context: dg.OutputContext, obj: Path) -> None:
        """Store a file or a folder of files and make it current; this ends the step.

        A result that was found unchanged is stored already.

        Raises:
            Failure: the storage refuses it (a full disk, too).
        """
        if REUSED_FROM in (context.output_metadata or {}):
            return
        step = context.step_context
        watch = step_watch(step.instance, step.run_id, step.step.key)
        try:
            with _as_step_failure(watch), watch.stage("upload"):
                stored = self._store(_folder(context), context.run_id, obj)
            size = sum(item.size for item in stored)
            watch.count(bytes_out=size)
        finally:
            discard(self._home, obj)
            stop_step(watch)
        context.add_output_metadata(
            {
                "size_bytes": dg.MetadataValue.int(size),
                "files": dg.MetadataValue.json([logged_url(item.url) for item in stored]),
                "open": dg.MetadataValue.url(link(logged_url(_main_file(stored).url))),
                **priced(watch.record()),
            }
        )

    def load_input(self, context: dg.InputContext) -> Path:
        """A local path with what the upstream asset made, each file checked.

        Raises:
            Failure: it was never made, or a file is gone or damaged; never retried.
        """
        step = context.step_context
        if not step.is_sda_step:  # a check: the ledger has no row for it
            with _as_step_failure():
                return self._load(context)[0]
        watch = step_watch(step.instance, step.run_id, step.step.key)
        with _as_step_failure(watch), watch.stage("fetch"):
            path, size = self._load(context)
        watch.count(bytes_in=size)
        return path

    def _load(self, context: dg.InputContext) -> tuple[Path, int]:
        """The local path, and its size in bytes."""
        names = self._object_names(context, _folder(context))
        paths = [self._storage.fetch(name, self._download_folder(name)) for name in names]
        listing = listing_of(self._storage, names[0].rpartition("/")[0], self._home) or {}
        path = paths[0].parent if listing.get("kind") == "folder" else paths[0]
        return path, sum(file.stat().st_size for file in paths)

    def _store(self, folder: str, run_id: str, obj: Path) -> list[StoredObject]:
        """Store the files of a run, then make them current."""
        version = f"{folder}/{run_id}"
        files = sorted(obj.iterdir()) if obj.is_dir() else [obj]
        stored = [self._storage.put(file, f"{version}/{file.name}", private=True) for file in files]
        listing = {
            "kind": "folder" if obj.is_dir() else "file",
            "files": [
                {"name": Path(item.name).name, "size": item.size, "md5": item.md5}
                for item in stored
            ],
        }
        self._put_json(listing, f"{version}/files.json")
        before = current_run(self._storage, folder, self._home)
        self._put_json({"run": run_id}, f"{folder}/current.json")
        self._delete_old_versions(folder, keep={run_id, before})
        return stored

    def _object_names(self, context: dg.InputContext, folder: str) -> list[str]:
        names = stored_files(
            self._storage, folder, self._candidate_runs(context, folder), self._home
        )
        if names is None:
            raise StoreError(
                f"{folder} is not there",
                remedy=f"Materialize {context.asset_key.to_user_string()} for this avatar.",
                code="missing",
            )
        return names

    def _candidate_runs(self, context: dg.InputContext, folder: str) -> Iterator[str | None]:
        """Runs whose files this run may read, best first; computed lazily."""
        step = context.step_context
        yield step.run_id
        yield source_run(step.instance, context.asset_key, context.asset_partition_key, step.run_id)
        yield current_run(self._storage, folder, self._home)

    def _download_folder(self, name: str) -> Path:
        """Downloads keep their object name, so one object is fetched once a process."""
        return self._home.cache / "downloads" / Path(name).parent

    def _put_json(self, content: dict[str, Any], name: str) -> None:
        scratch = new_folder(self._home)
        try:
            file = scratch / Path(name).name
            file.write_text(json.dumps(content, indent=1))
            self._storage.put(file, name, content_type="application/json", private=True)
        finally:
            discard(self._home, file)

    def _delete_old_versions(self, folder: str, keep: set[str | None]) -> None:
        """Delete all versions but these; a run that still reads an older one is superseded."""
        for item in self._storage.list(f"{folder}/"):
            run, _, file = item.name.removeprefix(f"{folder}/").partition("/")
            if file and run not in keep:
                self._storage.delete(item.name)


@contextmanager
def _as_step_failure(watch: Stopwatch | None = None) -> Iterator[None]:
    """Turn a `StoreError` into a `Failure` without retries that carries the step's record."""
    try:
        yield
    except StoreError as error:
        metadata = {"code": error.code, **(priced(watch.record()) if watch else {})}
        raise dg.Failure(error.message, metadata=metadata, allow_retries=False) from error


def run_of_files(loaded: Path) -> str:
    """The run that made a loaded input, which is a run's folder or a file in it."""
    return (loaded if loaded.is_dir() else loaded.parent).name


def _main_file(stored: Sequence[StoredObject]) -> StoredObject:
    """The file that the UI links to: the first video, else the first image, else the first."""
    for kind in ("video/", "image/"):
        for item in stored:
            if item.content_type.startswith(kind):
                return item
    return stored[0]


def _folder(context: dg.OutputContext | dg.InputContext) -> str:
    return pipeline_folder(context.asset_partition_key, context.asset_key)
