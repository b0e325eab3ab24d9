"""`python -m sunriza_assets.studio.quality [FOLDER]`: render, grade, write FOLDER/quality.html.

The sample is always graded. Portraits and clips of one's own lie in the folder that
`--media` names; every portrait is driven by every clip. Ends with 1 if a bar is
missed. The figures stand in FOLDER/quality.json, too.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import FaceError, MediaError, SunrizaError
from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.files import write_json
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.media.trim import trim
from sunriza_assets.studio.quality.bars import judge
from sunriza_assets.studio.quality.report import render_figures, render_report, verdict_lines
from sunriza_assets.studio.quality.trials import Bench, Clip, Trial
from sunriza_assets.studio.sample.clip import write_sample

_PICTURES: Final = frozenset({".jpg", ".jpeg", ".png", ".webp"})
_CLIPS: Final = frozenset({".mp4", ".mov", ".webm", ".mkv"})
_PORTRAIT_SIDE: Final = 768
"""Portraits are graded at this longest side: landmarks are no finer than that."""
_CLIP_SIDE: Final = 768


def main(arguments: list[str] | None = None) -> int:
    """Run the suite; returns the exit code."""
    parser = argparse.ArgumentParser(prog="quality", description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("data/quality"))
    parser.add_argument("--models", type=Path, default=Path("data/models"), help="face models")
    parser.add_argument("--media", type=Path, help="portraits and clips besides the sample")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each clip; default 5")
    options = parser.parse_args(arguments)
    try:
        trials = list(_run_trials(options.models, options.media, options.seconds))
        verdicts = judge(trial.figures for trial in trials)
        options.folder.mkdir(parents=True, exist_ok=True)
        page = options.folder / "quality.html"
        with replacing(page) as file:
            file.write(render_report(trials, verdicts).encode())
    except SunrizaError as error:
        _print_lines(f"error: {error.message}")
        return 2
    write_json(options.folder / "quality.json", render_figures(trials, verdicts))
    _print_lines(*verdict_lines(verdicts), f"report  {page}")
    return int(any(verdict.holds is False for verdict in verdicts))


def _run_trials(models: Path, media: Path | None, seconds: float) -> Iterator[Trial]:
    bench = Bench(models)
    with TemporaryDirectory() as folder:
        sample = write_sample(Path(folder) / "sample", models)
        portraits: dict[str, Image] = {"astronaut": read_picture(sample.portrait)}
        files = {"sample": sample.clip}
        for path in sorted(media.iterdir()) if media else []:
            if path.suffix.lower() in _PICTURES:
                portraits[path.stem] = read_picture(path, max_side=_PORTRAIT_SIDE)
            elif path.suffix.lower() in _CLIPS:
                files[path.stem] = path
        for name, file in files.items():
            trimmed = Path(folder) / f"{name}.mp4"
            try:
                trim(file, trimmed, max_seconds=seconds, keep_audio=False, max_side=_CLIP_SIDE)
                clip = bench.read_clip(name, trimmed)
            except (MediaError, FaceError) as error:
                yield Trial.refusal(name, error)
                continue
            yield from _trials_of_clip(bench, clip, portraits)


def _trials_of_clip(bench: Bench, clip: Clip, portraits: dict[str, Image]) -> Iterator[Trial]:
    _print_lines(f"{clip.name}: {clip.template.frame_count} frames, {len(clip.seen.blinks)} blinks")
    yield bench.self_trial(clip)
    for name, portrait in portraits.items():
        try:
            yield bench.cross_trial(name, portrait, clip)
            yield bench.loop_trial(name, portrait, clip)
            yield bench.overlay_trial(name, portrait, clip)
        except FaceError as error:
            yield Trial.refusal(f"{name} by {clip.name}", error)
        _print_lines(f"  {name}")


def _print_lines(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
