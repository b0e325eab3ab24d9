"""The examples run as they stand, and write what they say."""

import subprocess
import sys
from pathlib import Path

import pytest

from sunriza_assets.studio.media.picture import picture_info
from sunriza_assets.studio.media.probe import describe_own
from sunriza_assets.studio.overlay.atlas import read_atlas

ROOT = Path(__file__).parents[1]


def run(name: str, models_root: Path, *arguments: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / name), "--models", str(models_root)]
    done = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=300
    )
    return done.stdout


def test_every_example_is_in_the_table_and_tested() -> None:
    scripts = {path.name for path in (ROOT / "examples").glob("*.py")}
    page = (ROOT / "examples" / "README.md").read_text("utf-8")
    tests = Path(__file__).read_text("utf-8")
    assert scripts
    assert all(f"examples/{name}" in page and f'"{name}"' in tests for name in scripts)


@pytest.mark.slow
def test_animate_portrait(models_root: Path, tmp_path: Path) -> None:
    said = run("animate_portrait.py", models_root, "--out", str(tmp_path / "idle.mp4"))
    info = describe_own(tmp_path / "idle.mp4")
    assert (info.width, info.height) == (512, 512)
    assert f"{info.frame_count} frames" in said


def test_viseme_atlas(models_root: Path, tmp_path: Path) -> None:
    run("viseme_atlas.py", models_root, "--out", str(tmp_path))
    assert len(read_atlas(tmp_path).cells) == 12
    assert (tmp_path / "mask.png").exists()


@pytest.mark.slow
def test_emotion_strip(models_root: Path, tmp_path: Path) -> None:
    run("emotion_strip.py", models_root, "--out", str(tmp_path / "strip.jpg"))
    info = picture_info(tmp_path / "strip.jpg")
    assert info.width > 4 * 384
