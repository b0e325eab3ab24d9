"""The HTML page of all avatars at the root of the local file server.

Names and documents are untrusted, so everything is escaped, the page may run no scripts and load
only pictures of this server, and only published files and preview pages are linked, no uploads. All
links are relative, so they work at any address of the server.
"""

import base64
import hashlib
import html
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final
from urllib.parse import quote

from resources.avatars.local import LocalAvatars
from resources.home import Home
from resources.publishing.publication import folder_of
from resources.storage.local import LocalStorage
from resources.storage.objects import MediaStorage
from sunriza_assets.errors import AvatarError, StoreError

__all__ = ["LIST_HEADERS", "PAGE_SIZE", "ListedAvatar", "avatar_list", "list_page"]

PAGE_SIZE: Final = 100
"""Avatars on a page."""
_NAME_LENGTH: Final = 120
"""Characters of a name that are shown."""
_PREVIEW: Final = "preview.html"
_PICTURES: Final = ("thumbnail.jpg", "poster.jpg")
_STYLE: Final = """
:root {
  color-scheme: light dark;
  --ground: #f5f4f1; --card: #fff; --line: #d9d5cd;
  --text: #1d1f23; --quiet: #565b64; --link: #7d4a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14161a; --card: #1d2026; --line: #31363f;
    --text: #e8e6e3; --quiet: #9aa0a8; --link: #f0b35a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 1200px; padding: 1.25rem;
  background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
}
h1 { font-size: 1.25rem; margin: 0 0 1rem; }
ul {
  list-style: none; margin: 0; padding: 0;
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr));
}
li {
  background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: .75rem; overflow-wrap: anywhere;
}
img, .none {
  display: block; width: 100%; aspect-ratio: 1; object-fit: cover;
  border-radius: 6px; background: var(--line); margin-bottom: .5rem;
}
h2 { font-size: 1rem; margin: 0; }
p { margin: .1rem 0 0; color: var(--quiet); font-size: .9rem; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
nav { margin-top: 1rem; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
LIST_HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; img-src 'self'; style-src 'sha256-{_STYLE_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}
"""Headers that go with the page."""


@dataclass(frozen=True, slots=True)
class ListedAvatar:
    """One entry of the page."""

    avatar_id: str
    """Its id."""
    name: str
    """Its name as in the document, or its id."""
    state: str
    """pending, generating, ready, error, new, or what is wrong with its document."""
    picture: str | None = None
    """Object name of its published thumbnail or poster."""
    preview: str | None = None
    """Object name of its preview page."""
    idle: str | None = None
    """Object name of its published idle."""


def avatar_list(home: Home, *, after: str = "") -> Iterator[ListedAvatar]:
    """The avatars of a home after an id, in order of their ids."""
    avatars, storage = LocalAvatars(home), LocalStorage(home)
    for avatar_id in avatars.ids():
        if avatar_id > after:
            yield _listed(avatars, storage, home, avatar_id)


def list_page(home: Home, *, after: str = "") -> str:
    """The page of up to `PAGE_SIZE` avatars after an id, as HTML."""
    shown = list(islice(avatar_list(home, after=after), PAGE_SIZE + 1))
    more = len(shown) > PAGE_SIZE
    shown = shown[:PAGE_SIZE]
    items = "\n".join(map(_item, shown))
    body = f"<ul>\n{items}\n</ul>" if shown else "<p>There is no avatar here yet.</p>"
    if more:
        body += f'\n<nav><a href="?after={quote(shown[-1].avatar_id)}">More avatars</a></nav>'
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Avatars</title>\n<style>{_STYLE}</style>\n"
        f"<main>\n<h1>Avatars</h1>\n{body}\n</main>\n</html>\n"
    )


def _listed(
    avatars: LocalAvatars, storage: MediaStorage, home: Home, avatar_id: str
) -> ListedAvatar:
    try:
        document = avatars.get(avatar_id)
    except (AvatarError, StoreError) as problem:  # a bad document must not hide other avatars
        return ListedAvatar(avatar_id, avatar_id, f"{problem.code}: its document cannot be read")
    name = document.data.get("name")
    folder = folder_of(avatar_id)
    pictures = (f"{folder}/{picture}" for picture in _PICTURES)
    return ListedAvatar(
        avatar_id,
        name.strip() if isinstance(name, str) and name.strip() else avatar_id,
        document.status or "new",
        picture=next(filter(None, (_name_if_stored(storage, one) for one in pictures)), None),
        preview=_preview(storage, home, avatar_id),
        idle=_name_if_stored(storage, f"{folder}/idle.mp4"),
    )


def _name_if_stored(storage: MediaStorage, name: str) -> str | None:
    """The name, if there is such an object, else None."""
    try:
        return name if storage.stat(name) is not None else None
    except StoreError:  # a link that leaves the store
        return None


def _preview(storage: MediaStorage, home: Home, avatar_id: str) -> str | None:
    """Object name of the current preview page, as the IO manager stores it."""
    folder = f"pipeline/{avatar_id}/preview_page"
    current = f"{folder}/current.json"
    if _name_if_stored(storage, current) is None:
        return None
    try:
        run = json.loads(storage.fetch(current, home.cache).read_bytes())["run"]
    except (StoreError, ValueError, KeyError, TypeError):  # damaged, or replaced meanwhile
        return None
    return _name_if_stored(storage, f"{folder}/{run}/{_PREVIEW}") if isinstance(run, str) else None


def _item(avatar: ListedAvatar) -> str:
    name = avatar.name if len(avatar.name) <= _NAME_LENGTH else f"{avatar.name[:_NAME_LENGTH]}…"
    shown = html.escape(name)
    picture = (
        f'<img src="{quote(avatar.picture)}" alt="" loading="lazy">'
        if avatar.picture
        else '<div class="none"></div>'
    )
    # bdi isolates right-to-left names from the text after them
    heading = f"<bdi>{shown}</bdi>"
    if avatar.preview:
        heading = f'<a href="{quote(avatar.preview)}">{heading}</a>'
    lines = [f"<p>{html.escape(avatar.state)}</p>"]
    if avatar.name != avatar.avatar_id:
        lines.append(f"<p>{html.escape(avatar.avatar_id)}</p>")
    if avatar.idle:
        lines.append(f'<p><a href="{quote(avatar.idle)}">idle.mp4</a></p>')
    return f"<li>{picture}<h2>{heading}</h2>{''.join(lines)}</li>"
