"""Files from the Hugging Face hub: resumed where they were cut off, checked against their hashes.

What a file is, and where it belongs, is known to whoever asks for it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sunriza_assets.errors import ModelError

__all__ = ["FetchedFile", "HubFile", "fetch", "hub_errors"]


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository."""

    repository: str
    path: str
    revision: str = "main"
    """A branch, tag or commit."""


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file that was fetched and is what the hub says it is."""

    path: Path
    sha256: str
    size: int
    """Bytes."""
    commit: str
    """The revision's commit."""


def fetch(file: HubFile, destination: Path, *, command: str, endpoint: str | None) -> FetchedFile:
    """Put a file of the hub in its place; nothing is there before it is whole and checked.

    Whoever is logged in to the hub (`hf auth login`, or HF_TOKEN) also gets files behind terms that
    they have accepted.

    Args:
        file: which one.
        destination: its place.
        command: of ours, to be run again after an error.
        endpoint: the hub's address; None for the official one.

    Raises:
        ModelError: it cannot be had, or what came has another hash.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    with hub_errors(file.repository, file.path, command=command):
        url = hf_hub_url(file.repository, file.path, revision=file.revision, endpoint=endpoint)
        facts = get_hf_file_metadata(url, endpoint=endpoint)
        commit = facts.commit_hash or file.revision
        part = Path(
            hf_hub_download(
                file.repository,
                file.path,
                revision=commit,
                local_dir=destination.parent / ".hub",
                endpoint=endpoint,
            )
        )
    sha256, git = _hashes(part)
    if facts.etag not in {sha256, git}:
        part.unlink()
        raise ModelError(
            "A file of the hub came damaged",
            where=f"{file.repository}: {file.path}",
            remedy=f"Run again: {command}",
            code="damaged",
        )
    size = part.stat().st_size
    part.replace(destination)
    return FetchedFile(destination, sha256, size, commit)


def _hashes(path: Path) -> tuple[str, str]:
    """SHA-256, which the hub tells of large files, and the hash that git gives the small ones."""
    sha256, git = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    git.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
            git.update(block)
    return sha256.hexdigest(), git.hexdigest()


@contextmanager
def hub_errors(repository: str, requested: str, *, command: str) -> Iterator[None]:
    """Convert the hub's errors into a ModelError with a remedy.

    Args:
        repository: owner and name on the hub.
        requested: the file, or what else is asked for.
        command: of ours, to be run again after an error.
    """
    from huggingface_hub import errors

    # The base of its client's errors; which client that is differs between the hub's versions.
    network_error = errors.HTTPError  # type: ignore[attr-defined]
    where = f"{repository}: {requested}"
    try:
        yield
    except errors.GatedRepoError as error:
        raise ModelError(
            "The hub gives these weights only to those who have accepted their terms",
            where=where,
            remedy=f"Accept them at https://huggingface.co/{repository}, log in with"
            f" `hf auth login` or HF_TOKEN, and run: {command}",
            code="gated",
        ) from error
    except errors.EntryNotFoundError as error:
        raise ModelError(
            "The hub has no such file", where=where, remedy="Look for its name there.", code="name"
        ) from error
    except (network_error, errors.LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"A file cannot be downloaded from the hub: {error}",
            where=where,
            remedy=f"Run again, it goes on where it stopped: {command}",
            code="unreachable",
        ) from error
