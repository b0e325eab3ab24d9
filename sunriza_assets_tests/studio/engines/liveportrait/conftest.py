"""Networks with stand-in weights and the inputs of the recorded runs, made once."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sunriza_assets.studio.engines.liveportrait import network_loader as loader_module
from sunriza_assets.studio.engines.liveportrait.driving import Ratios
from sunriza_assets.studio.engines.liveportrait.engine import LivePortraitEngine
from sunriza_assets.studio.engines.liveportrait.faces import FaceReader
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.fast.warping import FastWarping
from sunriza_assets.studio.engines.liveportrait.keypoints import Motion, rotation_matrices
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.portrait import Portrait
from sunriza_assets.studio.engines.liveportrait.reader import to_input
from sunriza_assets.studio.media.encode import encode
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.picture import read_picture
from sunriza_assets.studio.motion.template import MotionTemplate
from sunriza_assets.studio.sample.clip import Sample
from sunriza_assets_tests.studio.engines.liveportrait import recorded
from sunriza_assets_tests.studio.engines.liveportrait.number_painter import (
    FRAMES,
    FeaturelessReader,
    NumberPainter,
)


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Test files run two at a time: threads that wait for each other would burn the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="package")
def modules() -> Iterator[Modules]:
    """All networks, seeded: half a gigabyte, given back when this package's tests are done."""
    yield Modules.seeded()


@pytest.fixture(scope="package")
def narrow() -> Modules:
    """Networks whose W and G have a few channels: a twentieth of the work, on any processor."""
    return Modules.narrow()


@pytest.fixture(scope="package")
def volume(modules: Modules) -> Tensor:
    """(1, 32, 16, 64, 64) features of the formula picture `source`."""
    with torch.inference_mode():
        return modules.appearance(to_input([recorded.picture("source")]))


@pytest.fixture(scope="package")
def keypoints() -> dict[str, Tensor]:
    """Recorded keypoints (1, 21, 3) of the cases: A moves, B does not, C is A stitched."""
    found = recorded.arrays("readers.npz")
    return {
        "source": torch.from_numpy(found["x/source"]),
        "A": torch.from_numpy(found["x/driving1"]),
        "B": torch.from_numpy(found["x/source"]),
        "C": torch.from_numpy(found["stitch/x_d"]),
    }


@pytest.fixture(scope="package")
def warped(modules: Modules, volume: Tensor, keypoints: dict[str, Tensor]) -> dict[str, Tensor]:
    """Case -> (1, 256, 64, 64) what the fast warping makes of all cases at once, float32."""
    with torch.inference_mode():
        fast = FastWarping(modules.warping, Placement(torch.device("cpu"), torch.float32))
        source = fast.prepare(volume, keypoints["source"])
        out = fast(source, torch.cat([keypoints[case] for case in "ABC"]))
    return dict(zip("ABC", out.split(1), strict=True))


@pytest.fixture(scope="package")
def portrait(models_root: Path, sample: Sample) -> Portrait:
    """The sample's face with a recorded motion; there is nothing in it to paint from."""
    found = recorded.arrays("motion.npz")
    image = read_picture(sample.portrait)
    face = FaceReader(models_root).portrait(image)
    angles = [torch.from_numpy(found[f"motion/src/{a}"][:1, 0]) for a in ("pitch", "yaw", "roll")]
    named = {
        name: torch.from_numpy(found[f"motion/src/{name}"][:1])
        for name in ("scale", "exp", "t", "kp")
    }
    eyes, lip = face.ratios()
    return Portrait(
        motion=Motion(rotation=rotation_matrices(*angles), **named),
        ratios=Ratios(torch.from_numpy(eyes[None]), torch.from_numpy(lip[None])),
        source=None,  # type: ignore[arg-type]
        paste=None,
        mesh=face.mesh,
        to_shown=np.array([[120.0, 30.0, 250.0], [-30.0, 120.0, 200.0]]),
        size=(512, 512),
    )


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def clip(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of the sample clip."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    encode(islice(read_frames(sample.clip), FRAMES), path, rate=Fraction(25))
    return path


@pytest.fixture(scope="module")
def picture(sample: Sample) -> np.ndarray:
    return read_picture(sample.portrait)


@pytest.fixture(scope="module")
def engine(models_root: Path, narrow: Modules) -> LivePortraitEngine:
    return LivePortraitEngine(models_root, device="cpu", modules=narrow)


@pytest.fixture(scope="module")
def progress_calls() -> list[tuple[int, int]]:
    return []


@pytest.fixture(scope="module")
def template(
    engine: LivePortraitEngine, clip: Path, progress_calls: list[tuple[int, int]]
) -> MotionTemplate:
    return engine.extract(clip, progress=lambda done, total: progress_calls.append((done, total)))


@pytest.fixture
def numbering(
    models_root: Path, modules: Modules, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., LivePortraitEngine]:
    """Makes engines that paint numbers."""
    monkeypatch.setattr(loader_module, "Painter", NumberPainter)
    monkeypatch.setattr(loader_module, "Reader", FeaturelessReader)

    def made(**settings: Any) -> LivePortraitEngine:
        return LivePortraitEngine(models_root, device="cpu", modules=modules, **settings)

    return made
