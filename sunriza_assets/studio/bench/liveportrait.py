"""How fast the engine is on this machine, beside a faithful loop over single frames.

Speed needs no trained weights, so stand-in weights are used and nothing has to be downloaded. Every
figure of one report is from one process; rounds of both ways alternate, and the best one of each
counts, since whatever else a machine does only makes it slower.

The loop is what the published code does for each frame: batch one, the plain networks, eager, in
autocast float16 on a GPU (its default) and float32 on a CPU; picture to the host as floats, paste
back over the whole frame with OpenCV.
"""

import resource
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sunriza_assets.studio.contracts.engine import Image
from sunriza_assets.studio.engines.liveportrait.crop import FaceSquare
from sunriza_assets.studio.engines.liveportrait.cuda import Readback
from sunriza_assets.studio.engines.liveportrait.device import (
    BATCH,
    Precision,
    device_name,
    pick_device,
    place,
    precision_note,
)
from sunriza_assets.studio.engines.liveportrait.driving import stitched
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.fast.warping import WarpSource
from sunriza_assets.studio.engines.liveportrait.keypoints import motion_of
from sunriza_assets.studio.engines.liveportrait.modules import Modules
from sunriza_assets.studio.engines.liveportrait.networks.appearance import (
    CROP_SIZE,
    FEATURE_SHAPE,
    AppearanceFeatureExtractor,
)
from sunriza_assets.studio.engines.liveportrait.networks.generator import SpadeGenerator
from sunriza_assets.studio.engines.liveportrait.networks.motion import KEYPOINTS, MotionExtractor
from sunriza_assets.studio.engines.liveportrait.networks.warping import WarpingModule
from sunriza_assets.studio.engines.liveportrait.painter import PAINTED_SIZE, Painter
from sunriza_assets.studio.engines.liveportrait.paste import PasteBack, soft_square
from sunriza_assets.studio.engines.liveportrait.reader import Reader, to_input

__all__ = ["Scene", "matmul_rate", "measure", "network_flop"]

_PICTURE: Final = (960, 1280)
"""Rows and columns of the portrait that is pasted into."""
_SQUARE: Final = FaceSquare(640.0, 440.0, 582.0, 0.05)
_ROUNDS: Final = {"cuda": 20, "cpu": 3}
_MATRIX: Final = {"cuda": 8192, "cpu": 2048}
"""Side of the square matrices whose product shows what the device can do."""

Report = Callable[[str], None]


def measure(
    *,
    device: str | None = None,
    precision: Precision = "auto",
    batch: int | None = None,
    baseline: bool = False,
    rounds: int | None = None,
    modules: Modules | None = None,
    matrix: int | None = None,
    report: Report = lambda line: None,
) -> dict[str, Any]:
    """Measure the engine stage by stage.

    Args:
        device: cpu or cuda; None takes a CUDA device where there is one.
        precision: of the painting networks.
        batch: poses at a time; None takes what suits the device.
        baseline: also run the loop, and compare speed and pictures.
        rounds: how often each way is run; None takes what suits the device.
        modules: networks to measure; None makes stand-in weights. With a baseline they are moved to
            the device. Rates take their work for that of the published sizes.
        matrix: side of the matrices of `matmul_tflops`; None takes what suits the device.
        report: told what is being done.

    Returns:
        JSON values: `device`, `precision`, `precision_note` where it is not the one asked for,
        `batch`, `matmul_tflops`, `stages` (name -> `ms` a
        frame, and `gflop`, `tflops` where a network runs), `frame_ms`, `frames_per_second`,
        `network_ms`, `network_tflops`, `share_of_matmul`, `memory_mb`, and with a baseline
        `baseline` (`stages`, `frame_ms`), `ratio` and `difference`: `max` and `mean` between both
        ways' `picture` (0-1), and between their networks on the same input: `warp` (features of
        standard deviation 0.5) and `paint` (a picture, 0-1).

    Raises:
        EngineError: there is no such device.
    """
    where = pick_device(device)
    placement, note = place(where, precision), precision_note(where, precision)
    if note is not None:
        report(f"Note: {note}")
    count = batch or BATCH[where.type]
    repeats = rounds or _ROUNDS[where.type]
    if modules is None:
        report("Making stand-in weights")
        modules = Modules.seeded()
    scene = Scene.made(modules)
    batched = _Batched(modules, placement, count, scene)
    loop = _Loop(modules, where, scene) if baseline else None
    ways: list[_Way] = [batched] if loop is None else [batched, loop]
    for turn in range(repeats + 1):  # the first warms up
        for way in ways:
            report(f"{way.name}: round {turn} of {repeats}" if turn else f"{way.name}: warming up")
            way.run(count=turn > 0)
    rate = matmul_rate(where, placement.dtype, matrix)
    result = _report_of(batched, rate, placement, count)
    if note is not None:
        result["precision_note"] = note
    if loop is not None:
        result |= _compared(batched, loop)
    return result


def network_flop() -> dict[str, int]:
    """Network -> floating-point operations of one call in its plain form, two a multiply-add."""
    with torch.device("meta"):
        crop = torch.empty(1, 3, CROP_SIZE, CROP_SIZE)
        volume, points = torch.empty(1, *FEATURE_SHAPE), torch.empty(1, KEYPOINTS, 3)
        calls: Mapping[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
            "features": (AppearanceFeatureExtractor(), (crop,)),
            "motion": (MotionExtractor(), (crop,)),
            "warp": (WarpingModule(), (volume, points, points)),
            "paint": (SpadeGenerator(), (torch.empty(1, 256, 64, 64),)),
        }
    counted = {}
    for name, (module, inputs) in calls.items():
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module.eval()(*inputs)
        counted[name] = int(counter.get_total_flops())
    return counted


def matmul_rate(device: torch.device, dtype: torch.dtype, side: int | None = None) -> float:
    """Operations a second of a large square matrix product: what the device can do at best."""
    side = side or _MATRIX[device.type]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = min(_timed(device, lambda: left @ right) for _ in range(10))
    return 2 * side**3 / best


@dataclass(frozen=True)
class Scene:
    """A portrait, its features, and crops of a clip."""

    picture: Image
    crops: list[Image]
    volume: Tensor
    """(1, 32, 16, 64, 64) float32 on the CPU."""
    keypoints: Tensor
    """(1, 21, 3)."""

    @classmethod
    def made(cls, modules: Modules) -> "Scene":
        """Of formula pictures, read where the networks are."""
        random = np.random.default_rng(0)
        coarse = random.integers(0, 255, (16, 16, 16, 3), dtype=np.uint8)
        crops = [cv2.resize(one, (CROP_SIZE, CROP_SIZE)).astype(np.uint8) for one in coarse]
        picture = cv2.resize(coarse[0], _PICTURE[::-1]).astype(np.uint8)
        with torch.inference_mode():
            first = to_input(crops[:1])
            volume = modules.appearance(_beside(modules.appearance, first)).float().cpu()
            keypoints = motion_of(modules.motion(_beside(modules.motion, first))).keypoints
        return cls(picture, crops[1:], volume, keypoints)

    def poses(self, modules: Modules, crops: Tensor) -> Tensor:
        """(n, 3, 256, 256) -> (n, 21, 3) stitched keypoints on the CPU."""
        moved = motion_of(modules.motion(_beside(modules.motion, crops))).keypoints
        return stitched(self.keypoints, moved, modules.retargeting)


@dataclass
class _Way:
    """One way of making frames, and the best times of its stages."""

    name: str
    device: torch.device
    seconds: dict[str, float] = field(default_factory=dict)
    """Stage -> seconds a frame, best of all rounds."""
    frame_s: float = float("inf")
    cpu_s: float = float("inf")
    """CPU seconds a frame over all threads, best of all rounds; a busy machine spoils them less."""
    _cpu: float = 0.0

    def run(self, *, count: bool) -> None:
        """One round; `count` says whether its times do."""
        times: dict[str, float] = {}
        self._cpu = 0.0
        frames = self.round(times)
        if count:
            self.cpu_s = min(self.cpu_s, self._cpu / frames)
            for stage, seconds in times.items():
                best = self.seconds.get(stage, float("inf"))
                self.seconds[stage] = min(best, seconds / frames)
            self.frame_s = min(self.frame_s, sum(times.values()) / frames)

    def round(self, times: dict[str, float]) -> int:
        """Make frames, note each stage's seconds; how many frames."""
        raise NotImplementedError

    def staged(self, times: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
        """Run a stage to its end and note its time."""
        kept: list[Any] = []
        start = time.process_time()
        times[name] = _timed(self.device, lambda: kept.append(work()))
        self._cpu += time.process_time() - start
        return kept[0]


class _Batched(_Way):
    """This engine's."""

    def __init__(self, modules: Modules, placement: Placement, batch: int, scene: Scene) -> None:
        super().__init__(f"batches of {batch}", placement.device)
        self._scene, self._batch = scene, batch
        self._reader = Reader(modules, placement.device)
        self._retargeting = modules.retargeting
        self._painter = Painter(modules, placement, batch)
        self._source = self._painter.prepare(scene.volume, scene.keypoints)
        to_crop = _SQUARE.to_crop(PAINTED_SIZE)
        self._paste = PasteBack.onto(scene.picture, to_crop, PAINTED_SIZE, placement.device)

    def round(self, times: dict[str, float]) -> int:
        crops = [self._scene.crops[k % len(self._scene.crops)] for k in range(self._batch)]
        with torch.inference_mode():
            motion = self.staged(times, "motion", lambda: self._reader.motion(crops))
            poses = self.staged(
                times,
                "keypoints",
                lambda: stitched(self._scene.keypoints, motion.keypoints, self._retargeting),
            )
            painted = self.staged(
                times, "warp and paint", lambda: self._painter(self._source, poses)
            )
            regions = self.staged(
                times, "paste back", lambda: self._paste.regions(painted.pictures)
            )
            self.staged(times, "to the host", lambda: self._frames_on_host(regions))
        return self._batch

    def warp(self, pose: Tensor) -> Tensor:
        """W: (1, 21, 3) -> (1, 256, 64, 64)."""
        return self._painter.warp(self._source, pose)

    def paint(self, features: Tensor) -> Tensor:
        """G: (1, 256, 64, 64) -> (1, 512, 512, 3) in [0, 1]."""
        return self._painter.paint(features)

    def _frames_on_host(self, regions: Tensor) -> list[Image]:
        return [self._paste.frame(region) for region in Readback.of(regions).wait().numpy()]


class _Loop(_Way):
    """The published code's."""

    def __init__(self, modules: Modules, device: torch.device, scene: Scene) -> None:
        super().__init__("single frames", device)
        self._scene = scene
        self._modules = modules
        modules.motion.to(device)
        modules.warping.to(device)
        modules.generator.to(device)
        self._source = WarpSource(
            scene.volume.to(device), scene.keypoints.to(device), *(torch.empty(0),) * 3
        )
        self._to_picture = np.linalg.inv(_SQUARE.to_crop(PAINTED_SIZE))[:2]
        mask = cv2.warpAffine(soft_square(PAINTED_SIZE), self._to_picture, _PICTURE[::-1])
        self._mask = np.repeat(mask[..., None].astype(np.float32) / 255, 3, axis=2)

    def round(self, times: dict[str, float]) -> int:
        source, modules = self._source, self._modules
        crop = to_input(self._scene.crops[:1]).to(self.device)
        with torch.inference_mode(), self._precision():
            raw = self.staged(times, "motion", lambda: modules.motion(crop))
            moved = motion_of(raw).keypoints
            pose = self.staged(
                times,
                "keypoints",
                lambda: stitched(self._scene.keypoints, moved, modules.retargeting),
            ).to(self.device)
            warped = self.staged(
                times, "warp", lambda: modules.warping(source.volume, pose, source.keypoints)
            )
            painted = self.staged(times, "paint", lambda: modules.generator(warped))
        picture = self.staged(times, "to the host", lambda: painted.float().cpu().numpy())
        self.staged(times, "paste back", lambda: self._pasted(picture[0].transpose(1, 2, 0)))
        return 1

    def differences(self, other: _Batched) -> dict[str, dict[str, float]]:
        """What the plain networks and the other way's make of the first crop, side by side."""
        modules, scene, source = self._modules, self._scene, self._source
        with torch.inference_mode(), self._precision():
            pose = scene.poses(modules, to_input(scene.crops[:1]).to(self.device)).to(self.device)
            warped = modules.warping(source.volume, pose, source.keypoints)
            painted = modules.generator(warped).movedim(1, -1)
        pairs = {
            "warp": (warped, other.warp(pose)),
            "paint": (painted, other.paint(warped)),
            "picture": (painted, other.paint(other.warp(pose))),
        }
        off = {name: (mine.float() - its.float()).abs() for name, (mine, its) in pairs.items()}
        return {name: {"max": float(d.max()), "mean": float(d.mean())} for name, d in off.items()}

    def _precision(self) -> AbstractContextManager[Any]:
        if self.device.type == "cuda":
            return torch.autocast("cuda", torch.float16)
        return nullcontext()

    def _pasted(self, picture: NDArray[np.float32]) -> Image:
        crop = (np.clip(picture, 0, 1) * 255).astype(np.uint8)
        turned = cv2.warpAffine(crop, self._to_picture, _PICTURE[::-1])
        mixed = self._mask * turned + (1 - self._mask) * self._scene.picture
        return np.clip(mixed, 0, 255).astype(np.uint8)


def _beside(module: nn.Module, tensor: Tensor) -> Tensor:
    """The tensor on the module's device."""
    return tensor.to(next(module.parameters()).device)


def _report_of(way: _Way, rate: float, placement: Placement, batch: int) -> dict[str, Any]:
    flop = network_flop()
    work = {"motion": flop["motion"], "warp and paint": flop["warp"] + flop["paint"]}
    stages: dict[str, dict[str, float]] = {}
    for name, seconds in way.seconds.items():
        stages[name] = {"ms": _rounded(1e3 * seconds)}
        if name in work:
            stages[name]["gflop"] = round(work[name] / 1e9, 1)
            stages[name]["tflops"] = _rounded(work[name] / seconds / 1e12)
    network_s = sum(way.seconds[name] for name in work)
    network_rate = sum(work.values()) / network_s
    return {
        "device": device_name(placement.device),
        "torch": torch.__version__,
        "precision": str(placement.dtype).removeprefix("torch."),
        "batch": batch,
        "matmul_tflops": _rounded(rate / 1e12),
        "stages": stages,
        "frame_ms": _rounded(1e3 * way.frame_s),
        "frame_cpu_ms": _rounded(1e3 * way.cpu_s),
        "frames_per_second": _rounded(1 / way.frame_s),
        "network_ms": _rounded(1e3 * network_s),
        "network_tflops": _rounded(network_rate / 1e12),
        "share_of_matmul": _rounded(network_rate / rate),
        "memory_mb": _memory(placement.device),
    }


def _compared(fast: _Batched, loop: _Loop) -> dict[str, Any]:
    return {
        "baseline": {
            "stages": {name: {"ms": _rounded(1e3 * s)} for name, s in loop.seconds.items()},
            "frame_ms": _rounded(1e3 * loop.frame_s),
            "frame_cpu_ms": _rounded(1e3 * loop.cpu_s),
        },
        "ratio": _rounded(loop.frame_s / fast.frame_s),
        "cpu_ratio": _rounded(loop.cpu_s / fast.cpu_s),
        "difference": loop.differences(fast),
    }


def _memory(device: torch.device) -> dict[str, int]:
    """Most memory that has been in use, megabytes."""
    memory = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}
    if device.type == "cuda":
        memory["gpu"] = torch.cuda.max_memory_reserved(device) >> 20
    return memory


def _timed(device: torch.device, work: Callable[[], Any]) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")
