"""Output of `sunriza avatar show`: the avatar's state, then what differs from the defaults."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from sunriza_assets.errors import AvatarError, ParameterError

if TYPE_CHECKING:
    from rich.console import Console

    from resources.avatars.document import AvatarDocument

__all__ = ["age", "print_avatar"]

_STYLES: Final[Mapping[str, str]] = {
    "ready": "green",
    "generating": "cyan",
    "waiting": "yellow",
    "stale": "yellow",
    "incomplete": "yellow",
    "error": "red",
}
_LINKS: Final = {"idle": "idleVideoUrl", "poster": "posterUrl", "manifest": "manifestUrl"}
"""Files that a person opens; the others are in the same folder."""


def print_avatar(console: "Console", document: "AvatarDocument", *, verbose: bool) -> None:
    """One line that says where the avatar stands; then its inputs, results and parameters."""
    from rich.pretty import Pretty

    from resources.avatars.standing import standing_of

    standing = standing_of(document)
    console.print(
        f"{document.avatar_id}: {_verdict(document)}",
        style=_STYLES[standing.state],
        highlight=False,
        markup=False,
    )
    for name, value in _facts(document):
        console.print(f"  {name:<9} {value}", soft_wrap=True, highlight=False, markup=False)
    _print_parameters(console, document, verbose=verbose)
    if verbose:
        console.print(Pretty(document.plain, expand_all=True))
    else:
        console.print("The whole document: --verbose", style="dim")


def _print_parameters(console: "Console", document: "AvatarDocument", *, verbose: bool) -> None:
    from rich.table import Table

    table = Table("parameter", "value", "from")
    try:
        for name, value, layer in _parameters(document):
            if verbose or layer != "default":
                table.add_row(name, str(value), layer)
    except ParameterError as error:
        console.print(
            f"  its parameters cannot be used: {error.message}", style="red", markup=False
        )
        return
    if table.row_count:
        console.print(table)
    if not verbose:
        rest = "All other parameters" if table.row_count else "All parameters"
        console.print(f"{rest} are at their defaults.", style="dim")


def age(since: str | None) -> str:
    """How long ago, in the largest unit that fits."""
    if since is None:
        return ""
    seconds = max(0.0, (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _verdict(document: "AvatarDocument") -> str:
    from resources.avatars.standing import standing_of

    standing = standing_of(document)
    ago = f"for {age(standing.since.isoformat())}"
    reason = f": {standing.reason}" if standing.reason else ""
    remedies = {
        "waiting": f". Render it with: sunriza render {document.avatar_id}",
        "stale": f". Render it with: sunriza render {document.avatar_id}",
        "error": f" Try again with: sunriza render {document.avatar_id}",
        "ready": ", published as wanted",
    }
    return f"{standing.state} {ago}{reason}{remedies.get(standing.state, '')}"


def _facts(document: "AvatarDocument") -> Iterator[tuple[str, str]]:
    name = document.data.get("name")
    if isinstance(name, str) and name:
        yield "name", name
    for label, read in (("portrait", "hero_image_url"), ("clip", "hero_video_url")):
        try:
            yield label, _place(getattr(document, read))
        except AvatarError:
            yield label, "none yet"
    basic = document.basic
    if document.record.current is not None:
        yield "version", document.record.current.version
    for label, key in _LINKS.items():
        if isinstance(basic.get(key), str):
            yield label, _place(basic[key])


def _place(url: str) -> str:
    """A file's address as the path that a shell takes; others as they are."""
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url


def _parameters(document: "AvatarDocument") -> Iterator[tuple[str, Any, str]]:
    """(name, value, source) of every parameter, and values that only the last run had."""
    from sunriza_assets.studio.parameters import DEFAULTS, camel_name, resolve

    usual = DEFAULTS.to_dict()
    published = document.basic.get("parameters")
    for name, value in resolve(document.wishes).to_dict().items():
        yield name, value, "default" if value == usual[name] else "document"
        made_with = (
            published.get(camel_name(name), value) if isinstance(published, Mapping) else value
        )
        if made_with != value:
            yield name, made_with, "last run only"
