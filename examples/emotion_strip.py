"""A portrait with each of the emotions, side by side in one picture."""

import argparse
import tempfile
from pathlib import Path

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.expression.emotions import EMOTIONS
from sunriza_assets.studio.media.picture import read_picture, write_picture
from sunriza_assets.studio.media.sheet import contact_sheet
from sunriza_assets.studio.parameters import resolve
from sunriza_assets.studio.sample.clip import sample_portrait, write_sample


def main() -> None:
    """Read the arguments and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    parser.add_argument("--portrait", type=Path)
    parser.add_argument("--strength", type=float, default=1.0, help="0-1")
    parser.add_argument("--out", type=Path, default=Path("emotions.jpg"))
    asked = parser.parse_args()

    engine = MeshEngine(asked.models)
    portrait = read_picture(asked.portrait) if asked.portrait else sample_portrait()
    with tempfile.TemporaryDirectory() as folder:
        template = engine.extract(write_sample(Path(folder), asked.models).clip)
    sheet_frames: list[Image] = []
    for emotion in EMOTIONS:
        parameters = resolve(
            {
                "driving_multiplier": 0.0,  # the emotion alone, without the clip's motion
                "emotion": emotion,
                "emotion_strength": asked.strength,
                "loop": False,
            }
        )
        frames = engine.render(portrait, template, parameters).frames()
        sheet_frames.append(next(frames))
    sheet = contact_sheet(sheet_frames, columns=4, cell_width=384, labels=list(EMOTIONS))
    write_picture(sheet, asked.out)
    print(f"{asked.out}: {', '.join(EMOTIONS)}")


if __name__ == "__main__":
    main()
