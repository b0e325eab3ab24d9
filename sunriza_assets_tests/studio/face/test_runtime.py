"""Loading graphs: which provider, and that falling back is said aloud."""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.face import runtime
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.face.runtime import CPU, CUDA, Graph


@pytest.fixture
def undecided() -> Iterator[None]:
    """The choice of provider is made anew in the test and after it."""
    runtime.usable_provider.cache_clear()
    runtime._warn_of_fallback.cache_clear()
    yield
    runtime.usable_provider.cache_clear()
    runtime._warn_of_fallback.cache_clear()


@pytest.mark.usefixtures("undecided")
def test_without_a_gpu_the_cpu_is_no_fallback(
    models: ModelStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    graph = Graph(models.path("face_landmark"))
    assert graph.provider == CPU
    assert caplog.records == []


@pytest.mark.usefixtures("undecided")
def test_a_gpu_that_cannot_be_used_is_reported_once(
    models: ModelStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runtime, "has_nvidia_gpu", lambda: True)
    providers = {Graph(models.path("face_landmark")).provider for _ in range(2)}
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    if providers == {CUDA}:  # there is one, and it works
        assert warnings == []
    else:
        assert providers == {CPU}
        (warning,) = warnings
        reason = runtime.usable_provider()[1] or "no CUDA device"
        assert reason in warning.getMessage()
    assert capfd.readouterr().out == ""  # stdout belongs to the JSON of the command line


def test_outputs_come_by_name(models: ModelStore) -> None:
    graph = Graph(models.path("face_landmark"))
    outputs = graph.run(np.zeros((1, 192, 192, 3), np.float32))
    assert {name: output.shape for name, output in outputs.items()} == {
        "mesh": (1, 1, 1, 1404),
        "flag": (1, 1, 1, 1),
    }


def test_a_damaged_file_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"bad\.onnx"):
        Graph(path)


def test_the_catalogue_loads_no_heavy_library() -> None:
    import subprocess

    code = (
        "import sys; import sunriza_assets.studio.face.model_store;"
        "print([m for m in ('onnx', 'onnxruntime', 'cv2', 'scipy', 'numpy') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_library_keeps_to_itself(models: ModelStore, tmp_path: Path) -> None:
    """Where onnxruntime may report, it leaves an identifier of the machine in these folders."""
    folders = {name: str(tmp_path / name) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for folder in folders.values():
        Path(folder).mkdir()
    program = (
        "from pathlib import Path; from sunriza_assets.studio.face.runtime import Graph;"
        f"Graph(Path({str(models.path('face_landmark'))!r}))"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment | folders)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
