"""`sunriza lineage`: what an avatar, or any file of one, was made of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sunriza_assets.cli.options import as_json, print_json
from sunriza_assets.errors import AvatarError, CostError

if TYPE_CHECKING:
    from sunriza_assets.costs.archive import ManifestArchive
    from sunriza_assets.costs.manifest import Manifest

__all__ = ["lineage"]


@click.command()
@click.argument("avatar_id", required=False, metavar="[ID]")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What made this file? It is known by its content, whatever its name.",
)
@click.option("--sha256", help="The same from a file's hash alone.")
@as_json
def lineage(avatar_id: str | None, file: Path | None, sha256: str | None, as_json: bool) -> None:
    """Print what made an avatar, as a tree: inputs, models, parameters, steps, seconds and costs.

    Give an avatar's ID, a file, or a file's hash.
    """
    if sum(given is not None for given in (avatar_id, file, sha256)) != 1:
        raise click.UsageError("Give one of ID, --file or --sha256.")
    from sunriza_assets.costs.lineage import lineage_text

    found = _makers(file, sha256) if avatar_id is None else [("output", _published(avatar_id))]
    if as_json:
        documents = [
            {"role": role, "manifest": json.loads(manifest.to_bytes())} for role, manifest in found
        ]
        print_json({"found": documents})
        return
    for role, manifest in found:
        if role == "input":
            click.echo("This file went into:")
        click.echo(lineage_text(manifest), nl=False)


def _published(avatar_id: str) -> "Manifest":
    """The manifest that is in place for an avatar."""
    import tempfile

    from resources.publishing.publication import folder_of
    from resources.stores import open_stores
    from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest

    name = f"{folder_of(avatar_id)}/{MANIFEST_NAME}"
    storage = open_stores().storage
    if storage.stat(name) is None:
        raise AvatarError(
            "No manifest is published for this avatar",
            where=avatar_id,
            remedy=f"Publish it with: sunriza render {avatar_id}",
            code="no_manifest",
        )
    with tempfile.TemporaryDirectory() as folder:
        return Manifest.load(storage.fetch(name, Path(folder)))


def _makers(file: Path | None, sha256: str | None) -> "list[tuple[str, Manifest]]":
    """(role, manifest) of all that made the file or were made from it, the makers first."""
    from sunriza_assets.costs.manifest import checked_sha256, sha256_of

    digest = checked_sha256((sha256 or "").strip().lower()) if file is None else sha256_of(file)
    found = _archive().find(digest) or list(_search_bucket(digest))
    if not found:
        raise CostError(
            f"No avatar has the file with sha256 {digest}",
            where=file,
            remedy="A file that was changed or encoded again after publishing has another hash.",
            code="unknown_file",
        )
    return found


def _archive() -> "ManifestArchive":
    from resources.home import Home
    from sunriza_assets.costs.archive import ARCHIVE_FOLDER, ManifestArchive

    return ManifestArchive(Home.from_environment().reports / ARCHIVE_FOLDER)


def _search_bucket(digest: str) -> "Iterator[tuple[str, Manifest]]":
    """Look through all published manifests: for avatars that another machine made."""
    import tempfile

    from resources.stores import open_stores
    from sunriza_assets.costs.manifest import MANIFEST_NAME, Manifest

    storage = open_stores().storage
    seen: set[str] = set()
    for stored in storage.list("avatars/"):
        if not stored.name.endswith(f"/{MANIFEST_NAME}") or stored.md5 in seen:
            continue
        seen.add(stored.md5)
        with tempfile.TemporaryDirectory() as folder:
            manifest = Manifest.load(storage.fetch(stored.name, Path(folder)))
        for role, items in (("output", manifest.outputs), ("input", manifest.inputs)):
            if any(item.sha256 == digest for item in items):
                yield role, manifest
