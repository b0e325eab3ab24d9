"""Draw docs/architecture.md from the code's own imports: `make docs`; a test compares.

One arrow per pair of packages in which one imports the other, read by the library that checks the
import contracts. Prose stays in this file, so that the page is never edited by hand.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import grimp

PAGE: Final = Path(__file__).with_name("architecture.md")
_ROOTS: Final = ("sunriza_assets", "resources")
_INTRODUCTION: Final = """\
# Architecture

Made by `make docs` from the code's own imports. An arrow says "imports"; all of them point down.
import-linter's contracts in `pyproject.toml` hold the floors, and CI fails when a package stands in
no contract. Reasons for what is not obvious are in [decisions](decisions).

A request comes in through a door (`cli`), becomes a run (`runs`) of the graph that `definitions`
joins, and the graph's assets call on `resources`, which adapt settings to the plain objects of
`studio` (the craft) and `costs` (what it took). Neither `studio` nor `costs` knows Dagster.
"""
_FOUNDATION: Final = frozenset(
    {"sunriza_assets.atomic", "sunriza_assets.cores", "sunriza_assets.errors"}
)
"""Imported by nearly everything; arrows to them would hide the others."""
_ABOVE_OPERATIONS: Final = frozenset(
    {"sunriza_assets.graph.sensors", "sunriza_assets.graph.schedules"}
)
"""Modules of `graph` that start runs and so stand above `operations`; all others stand below."""


def page() -> str:
    """The whole page, as Markdown with Mermaid graphs."""
    graph = grimp.build_graph(*_ROOTS, include_external_packages=False)
    top = _children(graph, "sunriza_assets") | {"resources", *_ABOVE_OPERATIONS}
    sections = [
        ("The floors", top),
        ("Inside `resources`", _children(graph, "resources")),
        ("Inside `studio`", _studio(graph)),
    ]
    parts = [_INTRODUCTION]
    for title, packages in sections:
        parts += [f"## {title}\n", _mermaid(graph, packages - _FOUNDATION)]
    return "\n".join(parts)


def _children(graph: grimp.ImportGraph, package: str) -> set[str]:
    return set(graph.find_children(package))


def _studio(graph: grimp.ImportGraph) -> set[str]:
    """The packages of the craft, with each engine for itself."""
    studio = "sunriza_assets.studio"
    packages = {one for one in _children(graph, studio) if _children(graph, one)}
    engines = f"{studio}.engines"
    return (packages - {engines}) | _children(graph, engines)


def _mermaid(graph: grimp.ImportGraph, packages: Iterable[str]) -> str:
    """One graph; a package's modules count as the package."""
    ordered = sorted(packages)
    members = {
        name: {name, *graph.find_descendants(name)} - (_ABOVE_OPERATIONS - {name})
        for name in ordered
    }
    lines = ["```mermaid", "graph TD"]
    lines += [f'  {_key(name)}["{name.split(".")[-1]}"]' for name in ordered]
    for importer in ordered:
        lines += [
            f"  {_key(importer)} --> {_key(imported)}"
            for imported in ordered
            if imported != importer and _imports(graph, members[importer], members[imported])
        ]
    return "\n".join([*lines, "```", ""])


def _imports(graph: grimp.ImportGraph, importers: set[str], imported: set[str]) -> bool:
    return any(graph.find_modules_directly_imported_by(one) & imported for one in importers)


def _key(name: str) -> str:
    return name.replace(".", "_")


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
