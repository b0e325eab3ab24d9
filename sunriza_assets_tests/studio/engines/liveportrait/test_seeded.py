"""Stand-in weights and formula pictures are bit for bit those of the recording."""

import hashlib

import numpy as np
import pytest

from sunriza_assets.studio.engines.liveportrait.manifest import NETS, manifest
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.seeded import standard_numbers
from sunriza_assets_tests.studio.engines.liveportrait import recorded


def _states(modules: Modules) -> dict[str, dict[str, np.ndarray]]:
    nets = {
        "appearance_feature_extractor": modules.appearance,
        "motion_extractor": modules.motion,
        "warping_module": modules.warping,
        "spade_generator": modules.generator,
        "stitching": modules.retargeting.stitching,
        "eye": modules.retargeting.eye,
        "lip": modules.retargeting.lip,
    }
    return {
        name: {key: tensor.numpy() for key, tensor in net.state_dict().items()}
        for name, net in nets.items()
    }


def test_every_weight_is_the_recorded_one(modules: Modules) -> None:
    for net, state in _states(modules).items():
        digest = hashlib.sha256()
        for key in sorted(state):
            digest.update(np.ascontiguousarray(state[key]).data)
        assert digest.hexdigest() == recorded.facts()["weights_sha256"][net], net


def test_the_networks_hold_what_the_manifest_says_and_nothing_else(modules: Modules) -> None:
    states = _states(modules)
    assert set(states) == set(NETS)
    for net, state in states.items():
        assert {key: value.shape for key, value in state.items()} == dict(manifest()[net])
        for key, value in state.items():
            assert value.dtype == (np.int64 if key.endswith("num_batches_tracked") else np.float32)


def test_numbers_are_standard_and_belong_to_their_name() -> None:
    numbers = standard_numbers("some/name", 100_000)
    assert abs(numbers.mean()) < 0.01
    assert abs(numbers.std() - 1) < 0.01
    assert np.abs(numbers).max() < 3.47
    assert np.array_equal(numbers[:10], standard_numbers("some/name", 10))
    assert not np.array_equal(numbers[:10], standard_numbers("other/name", 10))


@pytest.mark.parametrize("name", ["source", "driving0", "driving1"])
def test_pictures_are_the_recorded_ones(name: str) -> None:
    digest = hashlib.sha256(recorded.picture(name).tobytes()).hexdigest()
    assert digest == recorded.facts()["pictures_sha256"][name]
