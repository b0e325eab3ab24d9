"""`sunriza demo`: a sample portrait and clip become an avatar, end to end, on this machine."""

import shutil
import sys
from pathlib import Path
from typing import Any, Final

import click

from sunriza_assets.cli.options import as_json, print_json

__all__ = ["demo"]

DEMO_ID: Final = "demo"


@click.command()
@as_json
def demo(as_json: bool) -> None:
    """Make the avatar `demo` from scikit-image's astronaut and a clip that this project renders."""
    from resources.home import Home
    from sunriza_assets.cli.avatar import add_avatar
    from sunriza_assets.cli.models import pull_models
    from sunriza_assets.cli.render import render_avatars, result_folders, results_table
    from sunriza_assets.studio.sample.clip import write_sample

    home = Home.from_environment()
    home.make()
    pull_models()
    folder = home.root / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    sample = write_sample(folder, home.models)
    add_avatar(DEMO_ID, sample.portrait, sample.clip, name="Demo")
    result = render_avatars((DEMO_ID,), quiet=as_json)[DEMO_ID]
    preview = None if result["error"] else _contact_sheet(folder, result)
    if as_json:
        print_json({"avatars": {DEMO_ID: result}, "preview": str(preview) if preview else None})
    elif result["error"]:
        click.echo(f"error: {result['error']['message']}", err=True)
    else:
        from rich.console import Console

        console = Console()
        console.print(results_table(DEMO_ID, result))
        for place in result_folders(result):
            console.print(f"results  {place}", soft_wrap=True, highlight=False)
        console.print(f"preview  {preview}", soft_wrap=True, highlight=False)
        for page in result["assets"]["preview_page"]["files"]:
            console.print(f"open     {page}", soft_wrap=True, highlight=False)
        console.print(f"Look around in the UI with: {_open_the_ui()}", highlight=False)
    if result["error"]:
        raise click.exceptions.Exit(1)


def _open_the_ui() -> str:
    """The command that opens the UI in this installation."""
    checkout = Path(__file__).parents[2]
    if Path.cwd() == checkout and (checkout / "Makefile").is_file():
        return "make dev"
    command = "sunriza" if shutil.which("sunriza") else Path(sys.executable).with_name("sunriza")
    return f"{command} dev"


def _contact_sheet(folder: Path, result: dict[str, Any]) -> Path:
    """Sixteen evenly spread frames of the idle, as a picture."""
    from sunriza_assets.studio.media.frames import read_frames
    from sunriza_assets.studio.media.picture import write_picture
    from sunriza_assets.studio.media.sheet import contact_sheet

    files = result["assets"]["idle_video"]["files"]
    idle = next(Path(name) for name in files if name.endswith("idle.mp4"))
    count = result["assets"]["idle_video"]["metadata"]["frame_count"]
    shown = {round(i * (count - 1) / 15) for i in range(16)}
    frames = [frame for index, frame in enumerate(read_frames(idle)) if index in shown]
    preview = folder / "contact-sheet.jpg"
    write_picture(contact_sheet(frames, columns=4, cell_width=320), preview)
    return preview
