"""What lies in `deploy/`: files that parse, agree with one another, and fit what is installed."""

import configparser
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml

from sunriza_assets.cli import COMMANDS
from sunriza_assets.platform.instance import shipped_settings
from sunriza_assets_tests.fleet.conftest import ROOT

DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
LOOKED_INTO = "1.31.1"
"""The version of onnxruntime-gpu whose wheel was seen to need CUDA 13."""


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    told = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_the_image_copies_only_what_is_there_and_what_the_builder_gets() -> None:
    copied = re.findall(r"^COPY (?!--from)(?:--chown=\S+ )?(.+)$", DOCKERFILE.read_text(), re.M)
    sources = [source for line in copied for source in line.split()[:-1]]
    allowed = (DEPLOY / "docker" / "Dockerfile.dockerignore").read_text().split()
    assert len(sources) >= 6
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in allowed, source


def test_the_image_is_not_root_asks_after_itself_and_takes_models_by_argument_or_volume() -> None:
    lines = docker_stage("runtime")
    said = {line.split()[0]: line for line in lines}
    assert said["USER"] == "USER 10001"
    assert said["HEALTHCHECK"].endswith('CMD ["healthy"]')
    assert any(line.startswith("ARG MODELS") for line in lines)
    assert any("SUNRIZA_MODELS=/models" in line for line in lines)
    # The models are pulled, and everything else runs, as that user.
    after = lines[lines.index("USER 10001") :]
    assert any('sunriza models pull "$family"' in line for line in after)
    bake = (DEPLOY / "docker" / "docker-bake.hcl").read_text()
    targets = set(re.findall(r'^target "([\w-]+)"', bake, re.M))
    assert targets == {"gpu", "cpu", "serve", "serve-cpu"}


def docker_stage(name: str) -> list[str]:
    """The instructions of one stage of the Dockerfile."""
    (stage,) = re.findall(
        rf"^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", DOCKERFILE.read_text(), re.M | re.S
    )
    return [line for line in stage.splitlines() if line and not line.startswith("#")]


def test_the_image_of_the_service_is_the_fleets_with_another_command() -> None:
    dockerfile = DOCKERFILE.read_text()
    assert "FROM runtime AS serve" in dockerfile
    assert dockerfile.rstrip().splitlines()[-2] == "FROM runtime AS fleet", "the default target"
    exposed, command = docker_stage("serve")
    assert exposed == "EXPOSE 8080 9464"
    _exists(json.loads(command.removeprefix("CMD ")))
    bake = (DEPLOY / "docker" / "docker-bake.hcl").read_text()
    assert re.findall(r'target\s+= "(\w+)"', bake) == ["fleet", "serve", "serve"]


def test_torch_brings_the_cuda_that_onnxruntime_is_built_for(tmp_path: Path) -> None:
    """The reason why the image has no CUDA base: a base of another major would only be dead weight.

    The major version stands in the names of the libraries that onnxruntime's provider needs, and
    in the names of the packages that torch from PyPI requires.
    """
    pins = (ROOT / "constraints.txt").read_text()
    (pinned,) = re.findall(r"^onnxruntime-gpu==(.+)$", pins, re.M)
    if pinned != LOOKED_INTO:
        needed = re.findall(rb"libcublas\.so\.(\d+)", _cuda_provider(tmp_path, pinned))
        assert set(needed) == {b"13"}
    assert "CUDA 13" in DOCKERFILE.read_text()
    if "+" not in version("torch"):  # wheels of another index say nothing of CUDA
        assert any("cudnn-cu13" in requirement for requirement in requires("torch") or [])


def _cuda_provider(folder: Path, pinned: str) -> bytes:
    """The library of onnxruntime-gpu's CUDA provider, out of its wheel of 200 MB."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    linux = ["--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--python-version=3.11"]
    subprocess.run([*pip, *linux, f"onnxruntime-gpu=={pinned}"], check=True, timeout=540)
    with zipfile.ZipFile(next(folder.glob("onnxruntime_gpu-*.whl"))) as wheel:
        return wheel.read("onnxruntime/capi/libonnxruntime_providers_cuda.so")


def test_one_build_of_onnxruntime_is_chosen_by_an_extra_and_both_are_pinned_alike() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not any("onnxruntime" in need for need in project["dependencies"])
    extras = project["optional-dependencies"]
    choosing = {name for name, needs in extras.items() if any("onnxruntime" in n for n in needs)}
    assert choosing == {"cpu", "gpu"}
    pins = dict(
        re.findall(r"^(onnxruntime\S*)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    )
    assert pins.keys() == {"onnxruntime", "onnxruntime-gpu"}
    assert len(set(pins.values())) == 1
    assert "gpu" in re.findall(r"EXTRAS=\"([^\"]*)", DOCKERFILE.read_text())[0].split(",")
    bake = (DEPLOY / "docker" / "docker-bake.hcl").read_text()
    assert "cpu" in re.findall(r"EXTRAS\s*=\s*\"([^\"]*)", bake)[0].split(",")


def test_units_start_commands_that_exist() -> None:
    units = sorted((DEPLOY / "celery" / "systemd").glob("*.service"))
    assert len(units) == 5
    for file in units:
        unit = configparser.ConfigParser(interpolation=None, strict=False)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(file)
        command = unit["Service"]["ExecStart"].split()
        _exists(command)
        assert unit["Service"]["User"] == "sunriza"
        assert unit["Service"]["Restart"] == "always"


def test_procfile_and_compose_start_commands_that_exist() -> None:
    for line in (DEPLOY / "celery" / "Procfile").read_text().splitlines():
        if not line.startswith("#"):
            _exists(line.partition(": ")[2].split())
    compose = yaml.safe_load((DEPLOY / "celery" / "compose.yaml").read_text())
    for name in ("api", "engine", "dispatcher", "web", "daemon", "cpu", "gpu0"):
        _exists(compose["services"][name]["command"])
    devices = compose["services"]["gpu0"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["device_ids"] == ["0"]


def test_fleet_and_laptop_agree_on_what_was_measured() -> None:
    fleet = yaml.safe_load((DEPLOY / "celery" / "dagster.yaml").read_text())
    laptop = yaml.safe_load(shipped_settings().read_text())
    for settings in (fleet, laptop):
        assert settings["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
        assert settings["run_monitoring"]["max_resume_run_attempts"] == 0
        assert settings["run_retries"]["retry_on_asset_or_op_failure"] is False
        assert settings["concurrency"]["pools"]["granularity"] == "op"
    assert fleet["run_launcher"]["class"] == "MonitoredCeleryRunLauncher"


@pytest.mark.slow
def test_the_install_script_makes_a_working_installation(tmp_path: Path) -> None:
    """The image's steps, in a virtual environment, from a copy as the builder gets it.

    The environment sees the packages of this one, so pip installs and checks what is our own and
    compares the rest with the pins; whoever runs the tests has installed the rest just before.
    """
    source = tmp_path / "build"
    source.mkdir()
    for name in ("pyproject.toml", "constraints.txt", "README.md", "dagster.yaml"):
        shutil.copy(ROOT / name, source)
    for name in ("sunriza_assets", "resources"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    (own,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    shared = sysconfig.get_path("purelib")
    (own / "shared.pth").write_text(f"import site; site.addsitedir({shared!r})\n")
    script = DEPLOY / "docker" / "install.sh"
    told = subprocess.run(
        ["sh", script, source, python, "cpu,celery,k8s"],
        capture_output=True, text=True, timeout=540, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    shown = subprocess.run(
        [python.with_name("sunriza"), "worker", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "models warm" in shown.stdout
    where = "import sunriza_assets.platform.instance as i; print(i.shipped_settings())"
    settings = subprocess.run(
        [python, "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(settings.stdout.strip()).is_relative_to(tmp_path / "venv")


def _exists(command: list[str]) -> None:
    program = Path(command[0]).name
    assert Path(sys.executable).with_name(program).exists(), program
    if program == "sunriza":
        assert command[1] in COMMANDS, command
