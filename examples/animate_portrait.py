"""A portrait and a talking clip become a looping idle video: trim, extract, render, encode."""

import argparse
import tempfile
from pathlib import Path

from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.media.trim import trim
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.sample.clip import write_sample


def main() -> None:
    """Read the arguments and write the idle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    parser.add_argument("--portrait", type=Path)
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0, help="of the clip")
    parser.add_argument("--out", type=Path, default=Path("idle.mp4"))
    asked = parser.parse_args()

    engine = MeshEngine(asked.models)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        portrait, clip = asked.portrait, asked.clip
        if portrait is None or clip is None:
            sample = write_sample(folder, asked.models)
            portrait, clip = portrait or sample.portrait, clip or sample.clip
        trim(clip, folder / "trimmed.mp4", max_seconds=asked.seconds)
        # A template belongs to the clip alone: keep it, and the next portrait needs no extraction.
        template = engine.extract(folder / "trimmed.mp4")
        rendering = engine.render(
            read_picture(portrait), template, RenderParameters(driving_multiplier=1.2)
        )
        info = encode(rendering.frames(), asked.out, rate=rendering.rate)
    print(f"{asked.out}: {info.width}x{info.height}, {info.frame_count} frames at {info.rate}/s")


if __name__ == "__main__":
    main()
