"""What `sunriza doctor` says of onnxruntime, asked in processes that find other installations."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def onnxruntime_finding(home: Path, *before: Path) -> tuple[dict[str, Any], int]:
    """The doctor's finding and exit code where these folders come first on the import path."""
    told = subprocess.run(
        [sys.executable, "-c", "from sunriza_assets.cli import main; main()", "doctor", "--json"],
        env={
            **os.environ,
            "SUNRIZA_HOME": str(home),
            "PYTHONPATH": os.pathsep.join(map(str, before)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    content = json.loads(told.stdout)
    found = [item for item in content["findings"] if item["name"] == "onnxruntime"]
    assert len(found) == 1
    return found[0], told.returncode


def installed(folder: Path, package: str) -> Path:
    """What pip leaves of an installed package, without its files."""
    info = folder / f"{package.replace('-', '_')}-1.31.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.31.1\n")
    return folder


def test_one_build_is_well_and_named(tmp_path: Path) -> None:
    found, _ = onnxruntime_finding(tmp_path)
    assert found["state"] == "ok"
    assert "onnxruntime" in found["detail"]
    assert "CPUExecutionProvider" in found["detail"] or "CUDA" in found["detail"]


@pytest.mark.parametrize("broken", ["both builds", "neither", "half removed"])
def test_a_mixture_or_a_lack_is_found_with_the_way_out(tmp_path: Path, broken: str) -> None:
    site = tmp_path / "site"
    if broken == "both builds":
        installed(site, "onnxruntime")
        installed(site, "onnxruntime-gpu")
    elif broken == "neither":
        site.mkdir()
        (site / "onnxruntime.py").write_text("raise ModuleNotFoundError('onnxruntime')\n")
    else:
        (site / "onnxruntime").mkdir(parents=True)
        (site / "onnxruntime" / "__init__.py").touch()
    found, code = onnxruntime_finding(tmp_path, site)
    assert found["state"] == "missing"
    assert code == 1
    assert "make install" in found["remedy"]
    assert "[gpu]" in found["remedy"]


def test_a_gpu_without_its_build_is_told(tmp_path: Path) -> None:
    """A driver that came after the installation: everything works, on the CPU."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'Tesla T4, 15360 MiB, 580.00'\n")
    tool.chmod(0o755)
    site = tmp_path / "site"
    site.mkdir()
    (site / "onnxruntime.py").write_text(
        "InferenceSession = object\n"
        "def get_available_providers(): return ['CPUExecutionProvider']\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
        found, _ = onnxruntime_finding(tmp_path, site)
    assert found["state"] == "optional"
    assert "without CUDA" in found["remedy"] or "make install" in found["remedy"]
