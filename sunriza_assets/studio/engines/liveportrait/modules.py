"""All seven networks with their weights, ready for inference."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import torch
from torch import nn

from sunriza_assets.studio.engines.liveportrait.checkpoints import State, read_state
from sunriza_assets.studio.engines.liveportrait.networks.appearance import (
    AppearanceFeatureExtractor,
)
from sunriza_assets.studio.engines.liveportrait.networks.generator import (
    GeneratorSizes,
    SpadeGenerator,
)
from sunriza_assets.studio.engines.liveportrait.networks.motion import MotionExtractor
from sunriza_assets.studio.engines.liveportrait.networks.retargeting import (
    EyeRetargeting,
    LipRetargeting,
    Stitching,
)
from sunriza_assets.studio.engines.liveportrait.networks.warping import (
    WarpingModule,
    WarpingSizes,
)
from sunriza_assets.studio.engines.liveportrait.seeded import seeded_state

__all__ = ["Modules", "Retargeting"]

_Module = TypeVar("_Module", bound=nn.Module)

_WARPING: Final = WarpingSizes()
_GENERATOR: Final = GeneratorSizes()
_NARROW_WARPING: Final = WarpingSizes(compressed=1, hourglass=(32,) * 5, kernel=3, features=32)
_NARROW_GENERATOR: Final = GeneratorSizes(features=32, hidden=16, channels=128)


@dataclass(frozen=True)
class Retargeting:
    """The three perceptrons; small, so they stay on the CPU in float32."""

    stitching: Stitching
    eye: EyeRetargeting
    lip: LipRetargeting


@dataclass(frozen=True)
class Modules:
    """The networks in their plain form, float32 on the CPU, for inference."""

    appearance: AppearanceFeatureExtractor
    motion: MotionExtractor
    warping: WarpingModule
    generator: SpadeGenerator
    retargeting: Retargeting

    @classmethod
    def load(cls, root: Path) -> "Modules":
        """Read the published weights below the models folder.

        Raises:
            ModelError: a file is missing, damaged or foreign.
        """
        return cls._from_states(lambda net: read_state(root, net))

    @classmethod
    def seeded(cls) -> "Modules":
        """Networks with stand-in weights (see `seeded`), for measuring and testing."""
        return cls._from_states(seeded_state)

    @classmethod
    def narrow(cls) -> "Modules":
        """Networks as `seeded` ones, but with a W and a G of a few channels.

        They do everything that wide ones do, at a twentieth of the work: for tests of the flow and
        for trying a measurement out.
        """
        return cls._from_states(_narrow_state, _NARROW_WARPING, _NARROW_GENERATOR)

    @classmethod
    def _from_states(
        cls,
        state: Callable[[str], State],
        warping: WarpingSizes = _WARPING,
        generator: GeneratorSizes = _GENERATOR,
    ) -> "Modules":
        return cls(
            appearance=_with_weights(
                AppearanceFeatureExtractor, state("appearance_feature_extractor")
            ),
            motion=_with_weights(MotionExtractor, state("motion_extractor")),
            warping=_with_weights(lambda: WarpingModule(warping), state("warping_module")),
            generator=_with_weights(lambda: SpadeGenerator(generator), state("spade_generator")),
            retargeting=Retargeting(
                stitching=_with_weights(Stitching, state("stitching")),
                eye=_with_weights(EyeRetargeting, state("eye")),
                lip=_with_weights(LipRetargeting, state("lip")),
            ),
        )


_NARROW_PERIOD: Final = 65_521
"""A prime, so that no two rows of a weight are equal; M alone has 28 million numbers."""


def _narrow_state(net: str) -> State:
    """Stand-in weights of one network of `Modules.narrow`."""
    with torch.device("meta"):
        if net == "warping_module":
            return seeded_state(net, _shapes(WarpingModule(_NARROW_WARPING)), period=_NARROW_PERIOD)
        if net == "spade_generator":
            return seeded_state(
                net, _shapes(SpadeGenerator(_NARROW_GENERATOR)), period=_NARROW_PERIOD
            )
    return seeded_state(net, period=_NARROW_PERIOD)


def _shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Key -> shape of its state dict."""
    return {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}


def _with_weights(module_type: Callable[[], _Module], state: State) -> _Module:
    """A module that holds these tensors; none is initialised only to be overwritten."""
    with torch.device("meta"):
        module = module_type()
    module.load_state_dict(state, strict=True, assign=True)
    return module.eval().requires_grad_(False)
