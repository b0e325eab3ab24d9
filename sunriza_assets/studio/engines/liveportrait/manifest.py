"""What the published weight files hold: every tensor of every network, by name and shape."""

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

__all__ = ["NETS", "manifest"]

NETS: Final = (
    "appearance_feature_extractor",
    "motion_extractor",
    "warping_module",
    "spade_generator",
    "stitching",
    "eye",
    "lip",
)
"""The networks, four large ones in files of their own and three small ones in a common file."""


@cache
def manifest() -> Mapping[str, Mapping[str, tuple[int, ...]]]:
    """Net -> key -> shape. All tensors are float32 but `num_batches_tracked`, an int64 scalar."""
    package = files("sunriza_assets.studio.engines.liveportrait")
    document = json.loads(package.joinpath("manifest.json").read_text("utf-8"))
    return {net: {key: tuple(shape) for key, shape in document[net].items()} for net in NETS}
