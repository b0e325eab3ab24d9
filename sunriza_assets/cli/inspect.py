"""`sunriza inspect`: what a media file is, whether a phone would play it, and its mark."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sunriza_assets.cli.options import as_json, print_json, verbose_option

if TYPE_CHECKING:
    from rich.table import Table

    from sunriza_assets.studio.marks.reading import FoundMark

__all__ = ["inspect"]


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@verbose_option
@as_json
def inspect(file: Path, verbose: bool, as_json: bool) -> None:
    """Say whether a phone would play FILE, what it is, and whether it is marked as synthetic.

    Codec, exact rate, colour and duration; of the mark (C2PA), whether it is whole, who signed it,
    and what the file was made by and from.
    """
    from resources.marking import installation_roots
    from sunriza_assets.studio.media import inspect as media
    from sunriza_assets.studio.media.mark import read_mark

    content = media.inspect(file)
    mark = read_mark(file, roots=installation_roots())
    content["mark"] = mark.to_dict()
    if as_json:
        print_json(content)
        return
    from rich.console import Console

    console = Console()
    style, verdict = _verdict(content)
    console.print(f"{file.name}: {verdict}", style=style, highlight=False, markup=False)
    console.print(_rows(content["info"].items() if verbose else _facts(content["info"])))
    console.print(_rows(_mark_rows(mark, verbose)))
    findings = content.get("findings", [])
    shown = [finding for finding in findings if verbose or not finding["ok"]]
    if shown:
        console.print(_findings(shown))
    if not verbose:
        hidden = f", all {len(findings)} findings" if findings else ""
        console.print(f"All {len(content['info'])} facts{hidden}: --verbose", style="dim")


def _verdict(content: Mapping[str, Any]) -> tuple[str, str]:
    """(style, sentence) that answers what was asked."""
    if content["kind"] == "picture":
        shown = "every phone shows it" if content["playable"] else "not every phone shows it"
        return ("green" if content["playable"] else "yellow", f"{shown}; it can be a portrait")
    if content["kind"] == "sound":
        played = "every phone plays it" if content["playable"] else "not every phone plays it"
        return ("green" if content["playable"] else "yellow"), played
    if not content["playable"]:
        return "red", "a phone would not play it; as an avatar's clip it is converted"
    if not content["conforms"]:
        count = len(content["problems"])
        what = "1 problem" if count == 1 else f"{count} problems"
        return "yellow", f"a phone plays it, but {what} keep it from being published as it is"
    return "green", "a phone plays it, and it may be published as it is"


def _mark_rows(mark: "FoundMark", verbose: bool) -> Iterator[tuple[str, str]]:
    """What the file says of how it was made, and whether that can be believed."""
    if mark.state in ("absent", "unavailable"):
        missing = "unknown: c2pa-python is not installed"
        yield "mark", "none" if mark.state == "absent" else missing
        return
    if mark.state == "invalid":
        yield "mark", f"INVALID, the file or its mark was changed: {', '.join(mark.problems)}"
    else:
        signer = "this installation" if mark.own else f"somebody unknown here ({mark.signer})"
        yield "mark", f"valid, signed by {signer}"
    yield "made", f"{mark.source}, by {mark.software}"
    for name, digest in mark.inputs:
        yield "from", f"{name} {digest if verbose else digest[:16]}"


def _facts(info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What most people ask for, in their units."""
    if "seconds" in info:
        yield "sound", f"{info['codec']}, {info['format']}"
        yield "length", f"{info['seconds']:.2f} s"
        yield "rate", f"{info['rate']} samples/s, channels: {info['channels']}"
        yield "bytes", f"{info['size_bytes']:,}"
        return
    size = f"{info['width']} x {info['height']}"
    if "rate" not in info:
        turned = f", orientation {info['orientation']}" if info["orientation"] != 1 else ""
        yield "picture", f"{info['format'].upper()}, {info['mode']}, {info['bit_depth']} bits"
        yield "size", f"{size}{turned}"
        yield "bytes", f"{info['size_bytes']:,}"
        return
    turned = f", turned by {info['rotation']}°" if info["rotation"] else ""
    rate = Fraction(info["rate"])
    exact = "" if rate.denominator == 1 else f" ({rate})"
    steady = "" if info["constant_rate"] else ", varying"
    profile = " ".join(str(info[key]) for key in ("codec", "profile") if info[key])
    yield "clip", f"{profile}, {info['pixel_format']}, in {info['container']}"
    yield "size", f"{size}{turned}"
    yield "length", f"{float(Fraction(info['duration'])):.2f} s, {info['frame_count']} frames"
    yield "rate", f"{float(rate):.6g} frames/s{exact}{steady}"
    yield "colour", f"{info['colour_primaries']}, {'full' if info['full_range'] else 'limited'}"
    yield (
        "sound",
        f"{info['audio_codec']}, {info['audio_rate']} Hz" if info["audio_codec"] else "none",
    )
    yield "bytes", f"{info['size_bytes']:,}"


def _rows(facts: Any) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, value in facts:
        table.add_row(f"  {name}", str(value))
    return table


def _findings(findings: list[dict[str, Any]]) -> "Table":
    from rich.table import Table

    table = Table("", "finding", "found")
    for finding in findings:
        weight = "no" if finding["prevents_playing"] else "--"
        mark = "[green]ok[/]" if finding["ok"] else f"[red]{weight}[/]"
        table.add_row(mark, finding["name"], finding["detail"])
    return table
