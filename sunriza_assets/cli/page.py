"""`sunriza page`: an avatar's preview page with everything in it, to be sent or kept."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import click

from sunriza_assets.cli.options import as_json, print_json
from sunriza_assets.errors import AvatarError

__all__ = ["export_page", "page"]

_NEEDED: Final = ("idle_video", "atlas", "mask", "roi", "trimmed_video")


@click.command()
@click.argument("avatar_id", metavar="ID")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@as_json
def page(avatar_id: str, file: Path, as_json: bool) -> None:
    """Write the avatar's preview page to FILE, videos and pictures inside.

    The page that a render makes links to the files beside it; this one travels alone.
    """
    size = export_page(avatar_id, file)
    if as_json:
        print_json({"file": str(file), "size": size})
    else:
        click.echo(f"{file} written, {size / 1e6:.1f} MB")


def export_page(avatar_id: str, file: Path) -> int:
    """Write the page; returns its size in bytes.

    Raises:
        AvatarError: there is no such avatar, or it has not been rendered.
        StoreError: something cannot be read or written.
    """
    import json

    import dagster as dg

    from resources.home import Home
    from resources.storage.pipeline_files import current_run, pipeline_folder, stored_files
    from resources.stores import open_stores
    from sunriza_assets.studio.overlay.player import write_player

    stores, home = open_stores(), Home.from_environment()
    name = stores.avatars.get(avatar_id).data.get("name")
    with TemporaryDirectory(prefix="sunriza-") as scratch:
        places: dict[str, list[Path]] = {}
        for asset in _NEEDED:
            folder = pipeline_folder(avatar_id, dg.AssetKey(asset))
            run = current_run(stores.storage, folder, home)
            names = stored_files(stores.storage, folder, [run], home)
            if names is None:
                raise AvatarError(
                    f"{avatar_id} has no {asset} yet",
                    remedy=f"sunriza render {avatar_id}",
                    code="not_rendered",
                )
            places[asset] = [
                stores.storage.fetch(name, Path(scratch, asset)) for name in sorted(names)
            ]
        idle = places["idle_video"][0].parent
        sheet = json.loads((idle / "idle.json").read_text("utf-8"))
        return write_player(
            file,
            title=name if isinstance(name, str) and name else avatar_id,
            idle=idle / "idle.mp4",
            atlas=places["atlas"][0].parent,
            mask=places["mask"][0],
            roi=places["roi"][0],
            clip=places["trimmed_video"][0],
            tables={"Made with": {**sheet["parameters"], "engine": sheet["engine"]}},
        )
