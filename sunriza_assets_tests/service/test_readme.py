"""The README's `curl` lines, run against `sunriza serve` as they stand, but for less time."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sunriza_assets_tests.fuzz_api import serving

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^    (curl .*)$", re.M)


def lines() -> list[str]:
    section = (ROOT / "README.md").read_text("utf-8").partition("## Over HTTP")[2]
    return LINE.findall(section.partition("\n## ")[0])


def test_the_readme_shows_four_lines_for_the_port_that_is_the_default() -> None:
    from sunriza_assets.cli.serve import serve

    (port,) = (option.default for option in serve.params if option.name == "port")
    assert len(lines()) == 4
    assert all(f"http://127.0.0.1:{port}/" in line for line in lines())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_they_do_what_they_say(
    models_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sunriza_assets.studio.media.picture import write_picture
    from sunriza_assets.studio.sample.clip import sample_portrait

    monkeypatch.setenv("SUNRIZA_MODELS", str(models_root))
    write_picture(sample_portrait(), tmp_path / "portrait.jpg")
    home = tmp_path / "home"
    with serving(home) as url:
        add = [sys.executable, "-c", "from sunriza_assets.cli import main; main()", "avatar", "add"]
        environment = {"SUNRIZA_HOME": str(home), "SUNRIZA_MODELS": str(models_root)}
        portrait = tmp_path / "portrait.jpg"
        subprocess.run(
            [*add, "ada", "--image", portrait, "--set", "stitching_retargeting_eyes_width=256"],
            env={"PATH": "/usr/bin:/bin", **environment},
            check=True,
        )
        # The port of the lines leads to the one that was free.
        port = url.rpartition(":")[2]
        (tmp_path / ".curlrc").write_text(f'connect-to = "127.0.0.1:8080:127.0.0.1:{port}"\n')
        said = [_run(line.replace("--max-time 60", "--max-time 10"), tmp_path) for line in lines()]
    picture, spoken, accepted, events = said
    assert json.loads(picture)["emotion"] == "happy"
    assert json.loads(spoken)["language"] == "de"
    answer = json.loads(accepted)
    assert (answer["status"], answer["avatar_id"]) == ("generating", "ada")
    jobs = [
        json.loads(data)
        for data in re.findall(r"^event: job\r?\n(?:id: .*\r?\n)?data: (.*)$", events, re.M)
    ]
    assert {job["job_id"] for job in jobs} == {answer["job_id"]}
    assert jobs[-1]["status"] in ("queued", "running", "done")
    progress = [job["progress"] for job in jobs]
    assert progress == sorted(progress)


def _run(line: str, folder: Path) -> str:
    """What a line prints; a stream that is cut by its time limit ends with code 28."""
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode in (0, 28), done.stderr
    return done.stdout
