"""A portrait's mouth in twelve visemes: atlas.jpg, atlas.json and the mask that blends them."""

import argparse
from pathlib import Path

from sunriza_assets.studio.engines.mesh.engine import MeshEngine
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.overlay.atlas import write_atlas
from sunriza_assets.studio.overlay.mask import write_mask
from sunriza_assets.studio.parameters import RenderParameters
from sunriza_assets.studio.sample.clip import sample_portrait


def main() -> None:
    """Read the arguments and write the atlas."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    parser.add_argument("--portrait", type=Path)
    parser.add_argument("--out", type=Path, default=Path("atlas"))
    asked = parser.parse_args()

    portrait = read_picture(asked.portrait) if asked.portrait else sample_portrait()
    visemes = MeshEngine(asked.models).visemes(portrait, RenderParameters())
    asked.out.mkdir(parents=True, exist_ok=True)
    write_atlas(visemes, asked.out)
    write_mask(visemes, asked.out / "mask.png")
    place = visemes.roi
    print(f"{asked.out}: {', '.join(visemes.cells)}; {place.w}x{place.h} pixels each")


if __name__ == "__main__":
    main()
