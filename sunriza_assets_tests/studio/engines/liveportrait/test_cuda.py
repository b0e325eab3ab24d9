"""The CUDA calls that are made, noted by a stand-in for `torch.cuda`: there is no GPU in CI."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from sunriza_assets.studio.capture_gate import GATE
from sunriza_assets.studio.engines.liveportrait import cuda as module
from sunriza_assets.studio.engines.liveportrait.cuda import Capture, Readback

SECOND = torch.device("cuda:1")


class _Recorder:
    """Notes each call with the device that is current then."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.now = torch.device("cuda:0")
        self.streams: dict[torch.device, str] = {}

    def note(self, name: str) -> None:
        self.calls.append((name, self.now))

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        before, self.now = self.now, device
        yield
        self.now = before

    def current_stream(self, device: torch.device) -> "_Stream":
        return _Stream(self, self.streams.get(device, f"default of {device}"))

    def Stream(self, device: torch.device) -> "_Stream":  # noqa: N802 - torch's name
        self.note("stream")
        return _Stream(self, f"new on {device}")

    def set_stream(self, stream: "_Stream") -> None:
        self.streams[self.now] = stream.name

    @contextmanager
    def stream(self, stream: "_Stream") -> Iterator[None]:
        before = self.streams.get(self.now)
        self.streams[self.now] = stream.name
        yield
        self.streams.pop(self.now)
        if before is not None:
            self.streams[self.now] = before

    def CUDAGraph(self) -> "_CudaGraph":  # noqa: N802 - torch's name
        self.note("graph")
        return _CudaGraph(self)

    @contextmanager
    def graph(self, graph: Any, *, stream: "_Stream", capture_error_mode: str) -> Iterator[None]:
        self.note(f"capture {capture_error_mode} on {stream.name}")
        self.streams[self.now] = stream.name
        yield  # like torch, which leaves the stream current when the work fails
        self.streams.pop(self.now)
        self.note("captured")

    def empty_cache(self) -> None:
        self.note("empty")


class _Stream:
    def __init__(self, recorder: _Recorder, name: str) -> None:
        self.recorder, self.name = recorder, name

    def wait_stream(self, other: "_Stream") -> None:
        self.recorder.note(f"{self.name} waits for {other.name}")


class _CudaGraph:
    def __init__(self, recorder: _Recorder) -> None:
        self.recorder = recorder

    def replay(self) -> None:
        self.recorder.note("replay")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> _Recorder:
    made = _Recorder()
    monkeypatch.setattr(module, "cuda", made)
    return made


def test_everything_is_made_on_the_device_asked_for(recorder: _Recorder) -> None:
    def work() -> int:
        recorder.note(f"work on {recorder.streams[recorder.now]}")
        return 7

    capture = Capture(SECOND, work)
    assert capture.replay() == 7
    own, default = "new on cuda:1", "default of cuda:1"
    assert [name for name, _ in recorder.calls] == [
        "stream",
        f"{own} waits for {default}",
        f"work on {own}",
        f"work on {own}",
        f"{default} waits for {own}",
        "empty",
        "graph",
        f"capture thread_local on {own}",
        f"work on {own}",
        "captured",
        "replay",
    ]
    assert {device for _, device in recorder.calls} == {SECOND}
    assert recorder.now == torch.device("cuda:0")


def test_nobody_else_uses_the_gpu_during_a_capture(recorder: _Recorder) -> None:
    entered = threading.Event()
    seen: list[bool] = []

    def use() -> None:
        with GATE.using():
            entered.set()

    def work() -> None:
        if any(name.startswith("capture ") for name, _ in recorder.calls):
            user = threading.Thread(target=use, daemon=True)
            user.start()
            user.join(0.05)
            seen.append(entered.is_set())

    Capture(SECOND, work)
    assert seen == [False]
    assert entered.wait(30)


def test_a_capture_that_fails_leaves_stream_and_gate_as_they_were(recorder: _Recorder) -> None:
    def work() -> None:
        if any(name.startswith("capture ") for name, _ in recorder.calls):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        Capture(SECOND, work)
    assert recorder.streams[SECOND] == "default of cuda:1"
    with GATE.capturing():
        pass


def test_a_tensor_that_is_here_already_needs_no_journey() -> None:
    tensor = torch.arange(6).reshape(2, 3)
    assert Readback.of(tensor).wait() is tensor
