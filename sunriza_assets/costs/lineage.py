"""A manifest as a tree: from what was published back to what it was made from."""

import io
from typing import TYPE_CHECKING, Any, Final

from sunriza_assets.costs.manifest import FileFact, Manifest, ManifestStep

if TYPE_CHECKING:
    from rich.tree import Tree

__all__ = ["lineage_text"]

_SHORT: Final = 12
_WIDE: Final = 400


def lineage_text(manifest: Manifest, *, width: int | None = None) -> str:
    """The tree as plain text: facts, files, models, parameters, and the steps by descent."""
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(_printable(f"{manifest.avatar_id}  {_summary(manifest)}")))
    made = tree.add("made by")
    for line in _engine_lines(manifest):
        made.add(Text(_printable(line)))
    for title, items in (("published", manifest.outputs), ("from", manifest.inputs)):
        branch = tree.add(title)
        for item in items:
            branch.add(Text(_printable(_file(item))))
    models = tree.add("models")
    for model in manifest.models:
        models.add(
            Text(_printable(f"{model.name}  sha256 {model.sha256[:_SHORT]}  {model.licence}"))
        )
    parameters = tree.add("parameters")
    for name, value in sorted(manifest.parameters.items()):
        parameters.add(Text(_printable(f"{name} = {value}")))
    steps = {step.asset: step for step in manifest.steps}
    used = {asset for step in manifest.steps for asset in step.upstream}
    branch = tree.add("steps, each below what was made from it")
    seen: set[str] = set()
    for asset in steps:
        if asset not in used:
            _add_step(branch, asset, steps, manifest.run_id, seen)
    out = io.StringIO()
    console = Console(file=out, width=width or _WIDE, color_system=None, highlight=False)
    console.print(tree)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _add_step(
    branch: "Tree", asset: str, steps: dict[str, ManifestStep], run_id: str, seen: set[str]
) -> None:
    from rich.text import Text

    step = steps.get(asset)
    if step is None:
        branch.add(Text(_printable(f"{asset}  (not in this manifest)")))
        return
    if asset in seen:
        branch.add(Text(_printable(f"{asset}  (above)")))
        return
    seen.add(asset)
    node = branch.add(Text(_printable(_step(step, run_id))))
    for upstream in step.upstream:
        _add_step(node, upstream, steps, run_id, seen)


def _summary(manifest: Manifest) -> str:
    parts = [
        f"run {manifest.run_id[:_SHORT]}",
        f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC",
        f"{manifest.seconds:.1f} s",
        _money(manifest.cost, [f"{code} by {book}" for book, code in manifest.price_books]),
    ]
    return ", ".join(parts)


def _engine_lines(manifest: Manifest) -> list[str]:
    performance_lines = (
        [] if manifest.performance is None else [f"performance {manifest.performance}"]
    )
    return [
        f"engine {manifest.engine} {manifest.engine_version}",
        *performance_lines,
        f"on {', '.join(manifest.devices) or 'an unknown device'}",
        f"sunriza-assets {manifest.package_version}",
    ]


def _file(item: FileFact) -> str:
    return f"{item.name}  {item.size} bytes  sha256 {item.sha256}"


def _step(step: ManifestStep, run_id: str) -> str:
    facts = step.facts
    parts = [step.asset, f"version {step.data_version[:_SHORT]}"]
    if isinstance(facts.get("wall_s"), int | float):
        parts.append(f"{facts['wall_s']:.2f} s")
    if facts.get("price_book"):
        parts.append(_money(step.cost, [str(facts.get("cost_currency", ""))]))
    if facts.get("device"):
        parts.append(f"on {facts['device']}")
    if facts.get("cache"):
        parts.append(_cache(facts))
    if step.run_id != run_id:
        parts.append(f"reused from run {step.run_id[:_SHORT]}")
    return "  ".join(parts)


def _cache(facts: Any) -> str:
    saved = facts.get("cache_saved_s")
    return f"cache {facts['cache']}" + (f", {saved:.1f} s saved" if saved else "")


def _money(amount: float | None, units: list[str]) -> str:
    return "cost not known" if amount is None else f"{amount:.6f} {', '.join(units)}"


def _printable(text: str) -> str:
    """Text with control characters replaced, which a terminal would obey."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
