"""What all pages share: their frame, their look, and the policy that lets a browser show no more.

Light or dark as the reader's system is, and readable on a phone.
"""

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

__all__ = ["page"]

_STYLE: Final = """
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 25%,transparent)}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:2.5rem}
details{border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}
summary code{font-weight:600;overflow-wrap:anywhere}
.method{display:inline-block;min-width:4.5rem;font-weight:700}
table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;overflow-wrap:anywhere}
pre{overflow:auto;padding:.6rem;background:color-mix(in srgb,currentColor 8%,transparent)}
nav{display:grid;grid-template-columns:repeat(auto-fill,minmax(16rem,1fr));gap:.8rem}
nav a{border:1px solid var(--line);border-radius:.6rem;padding:.8rem 1rem;text-decoration:none;
color:inherit}
nav a:hover,nav a:focus-visible{background:color-mix(in srgb,currentColor 6%,transparent)}
nav b{display:block}
"""
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
}


def page(title: str, body: Iterable[str]) -> HTMLResponse:
    """A whole page.

    Args:
        title: plain text; its heading, too.
        body: HTML after the heading.
    """
    heading = escape(title)
    head = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{heading}</title>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<style>{_STYLE}</style><h1>{heading}</h1>"
    )
    return HTMLResponse(head + "".join(body), headers=_HEADERS)
