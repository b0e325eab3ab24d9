"""One self-contained HTML page with verdicts, figures, contact sheets and curves."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.media.sheet import webp_data_uri
from sunriza_assets.studio.quality.bars import BARS, Verdict
from sunriza_assets.studio.quality.trials import Trial

__all__ = ["render_figures", "render_report", "verdict_lines"]

_SHEET_BYTES: Final = 160_000
_PLOT: Final = (460, 90)
_STYLE: Final = """
body { margin: 2rem auto; max-width: 1500px; padding: 0 1.5rem; background: #fafaf8; color: #222;
  font: 14px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin: 2.2rem 0 .5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; border-bottom: 1px solid #e4e2dc; }
th:first-child, td:first-child { text-align: left; }
.good { color: #1c7c3c; } .bad { color: #b3261e; font-weight: 600; } .none { color: #999; }
img { max-width: 100%; display: block; border-radius: 6px; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; margin: .6rem 0; }
figure { margin: 0; } figcaption { color: #666; font-size: .85rem; }
svg { background: #fff; border: 1px solid #e4e2dc; border-radius: 6px; }
polyline { fill: none; stroke-width: 1.4; }
.driver { stroke: #9a9a94; } .output { stroke: #c2571a; }
"""


def render_report(trials: Sequence[Trial], verdicts: Sequence[Verdict]) -> str:
    """The page."""
    missed = sum(verdict.holds is False for verdict in verdicts)
    state = f"{missed} of {len(verdicts)} bars missed" if missed else "all bars hold"
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Quality</title>",
        f"<style>{_STYLE}</style><h1>Quality: {len(trials)} trials, {state}</h1>",
        _verdict_table(verdicts),
        "<h2>Every trial</h2>",
        _figure_table(trials),
        *(_trial_section(trial) for trial in trials),
        "</html>",
    ]
    return "\n".join(parts)


def render_figures(trials: Sequence[Trial], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The same figures as JSON values."""
    return {
        "bars": [
            {
                "figure": verdict.bar.figure,
                "bar": str(verdict.bar),
                "value": verdict.value,
                "trials": verdict.trials,
                "holds": verdict.holds,
            }
            for verdict in verdicts
        ],
        "trials": {trial.name: dict(trial.figures) for trial in trials},
        "refused": {trial.name: trial.refused for trial in trials if trial.refused},
    }


def verdict_lines(verdicts: Iterable[Verdict]) -> list[str]:
    """The verdicts as aligned lines of text."""
    return [
        f"{_sign(verdict):<4} {verdict.bar.figure:<38} {_number(verdict.value):>8}"
        f"   {verdict.bar!s:<14} {verdict.trials} trials"
        for verdict in verdicts
    ]


def _verdict_table(verdicts: Iterable[Verdict]) -> str:
    rows = "".join(
        f"<tr><td>{escape(verdict.bar.figure)}<td>{escape(str(verdict.bar))}"
        f"<td class='{_class(verdict.holds)}'>{_number(verdict.value)}<td>{verdict.trials}"
        for verdict in verdicts
    )
    return f"<table><tr><th>figure<th>bar<th>found<th>trials{rows}</table>"


def _figure_table(trials: Sequence[Trial]) -> str:
    names = list(dict.fromkeys(bar.figure for bar in BARS))
    head = "".join(f"<th>{escape(name)}" for name in names)
    rows = "".join(
        f"<tr><td>{escape(trial.name)}"
        + "".join(f"<td>{_number(trial.figures.get(name))}" for name in names)
        for trial in trials
    )
    return f"<table><tr><th>trial{head}{rows}</table>"


def _trial_section(trial: Trial) -> str:
    if trial.refused:
        return f"<h2>{escape(trial.name)}</h2><p class='bad'>{escape(trial.refused)}"
    plots = "".join(_plot(name, *pair) for name, pair in trial.curves.items())
    return (
        f"<h2>{escape(trial.name)}</h2>"
        f"<img alt='' src='{webp_data_uri(trial.sheet, _SHEET_BYTES)}'>"
        f"<div class='plots'>{plots}</div>"
    )


def _plot(name: str, driver: NDArray[np.float64], output: NDArray[np.float64]) -> str:
    """Both curves in one frame, each about its own mean: people differ, their motion should not."""
    width, height = _PLOT
    curves = {"driver": driver - np.mean(driver), "output": output - np.mean(output)}
    reach = max(float(np.abs(curve).max()) for curve in curves.values()) or 1.0

    def line(kind: str, curve: NDArray[np.float64]) -> str:
        x = np.linspace(0, width, len(curve))
        y = height / 2 * (1.0 - 0.95 * curve / reach)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        return f"<polyline class='{kind}' points='{points}'/>"

    lines = "".join(line(kind, curve) for kind, curve in curves.items())
    return (
        f"<figure><svg viewBox='0 0 {width} {height}' width='{width}' height='{height}'>{lines}"
        f"</svg><figcaption>{escape(name)}: clip grey, idle orange, ± {reach:.3g}</figcaption>"
        "</figure>"
    )


def _sign(verdict: Verdict) -> str:
    return {True: "ok", False: "MISS", None: "-"}[verdict.holds]


def _class(holds: bool | None) -> str:
    return {True: "good", False: "bad", None: "none"}[holds]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
