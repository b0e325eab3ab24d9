"""What `make` does before anything is installed, with interpreters that only say their version."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("sh", "make", "touch", "grep", "awk", "uname", "rm", "mkdir", "cp", "dirname")
# Answers what `deploy/venv.sh` asks, notes everything else, and makes virtual environments that
# consist of itself.
INTERPRETER = """#!/bin/sh
case "$*" in
  *version_info*) echo {version}; exit 0 ;;
  *ensurepip,*) exit {no_venv} ;;
esac
echo "{name} $*" >>"$LOG"
case "$*" in
  "-m venv --clear .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *" show --quiet "*) for last; do :; done; grep -qx "$last" "$LOG.installed" ;;
esac
"""


class Checkout:
    """A copy of the files that `make` reads, and a PATH with nothing on it but tools and fakes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin, self.log = folder / "checkout", folder / "bin", folder / "log"
        self.bin.mkdir()
        (self.folder / "deploy").mkdir(parents=True)
        for name in ("Makefile", "pyproject.toml", "constraints.txt", "deploy/venv.sh"):
            shutil.copy(ROOT / name, self.folder / name)
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or pytest.skip(f"no {name}"))
        self.has_installed()

    def has(self, name: str, version: str, *, venv: bool = True) -> None:
        """Put an interpreter on PATH."""
        path = self.bin / name
        path.write_text(INTERPRETER.format(name=name, version=version, no_venv=0 if venv else 1))
        path.chmod(0o755)

    def has_installed(self, *packages: str) -> None:
        """What pip will say is installed."""
        Path(f"{self.log}.installed").write_text("".join(f"{name}\n" for name in packages))

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", *arguments],
            cwd=self.folder,
            env={"PATH": str(self.bin), "LOG": str(self.log)},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def done(self) -> list[str]:
        """What was asked of any interpreter beside its version."""
        return self.log.read_text().splitlines() if self.log.exists() else []

    @property
    def installs(self) -> list[str]:
        return [line.rpartition("-e ")[2] for line in self.done if " install " in line]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize("version", ["3.10", "3.13", "3.9"])
def test_a_python_of_another_version_is_one_line_before_anything_is_installed(
    checkout: Checkout, version: str
) -> None:
    checkout.has("python3", version)
    told = checkout.make("install")
    assert told.returncode != 0
    first, *rest = told.stderr.splitlines()
    assert first.startswith("error: Python 3.11 or 3.12 is needed; python3 is " + version)
    assert "make PYTHON=" in first
    assert all(line.startswith("make: ") for line in rest)
    assert checkout.done == []
    assert not (checkout.folder / ".venv").exists()


def test_no_python_at_all_is_one_line(checkout: Checkout) -> None:
    told = checkout.make("demo")
    assert "there is no python3 python3.11 python3.12" in told.stderr.splitlines()[0]


@pytest.mark.parametrize("name", ["python3.11", "python3.12"])
def test_a_fitting_python_beside_a_wrong_python3_is_found(checkout: Checkout, name: str) -> None:
    checkout.has("python3", "3.13")
    checkout.has(name, name.removeprefix("python"))
    told = checkout.make("install")
    assert told.returncode == 0, told.stderr
    assert "5 minutes and 3 GB" in told.stdout
    assert checkout.done[0] == f"{name} -m venv --clear .venv"


def test_a_name_that_leads_nowhere_is_passed_over(checkout: Checkout) -> None:
    """A version manager puts names on PATH for versions that are not the chosen ones."""
    checkout.has("python3", "3.13")
    shim = checkout.bin / "python3.11"
    shim.write_text("#!/bin/sh\necho 'python3.11: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    checkout.has("python3.12", "3.12")
    assert checkout.make("install").returncode == 0
    assert checkout.done[0].startswith("python3.12 ")


def test_a_python_without_venv_says_which_package_has_it(checkout: Checkout) -> None:
    checkout.has("python3", "3.11", venv=False)
    told = checkout.make("install")
    assert "apt-get install python3.11-venv" in told.stderr.splitlines()[0]
    assert checkout.done == []


def test_a_named_python_is_taken_or_refused_and_no_other_is_looked_for(checkout: Checkout) -> None:
    checkout.has("python3", "3.11")
    checkout.has("mine", "3.13")
    told = checkout.make("install", "PYTHON=mine")
    assert "mine is 3.13" in told.stderr.splitlines()[0]
    checkout.has("mine", "3.12")
    assert checkout.make("install", "PYTHON=mine").returncode == 0
    assert checkout.done[0].startswith("mine ")


def test_an_environment_of_another_version_is_made_anew(checkout: Checkout) -> None:
    checkout.has("python3", "3.12")
    (checkout.folder / ".venv/bin").mkdir(parents=True)
    old = checkout.folder / ".venv/bin/python"
    old.write_text(INTERPRETER.format(name="old", version="3.13", no_venv=0))
    old.chmod(0o755)
    assert checkout.make("install").returncode == 0
    assert checkout.done[0] == "python3 -m venv --clear .venv"


def test_running_needs_no_package_of_the_developers_and_testing_does(checkout: Checkout) -> None:
    checkout.has("python3", "3.11")
    for target in ("demo", "serve", "dev", "models", "bench", "quality"):
        assert "venv.sh dev" not in checkout.make("-n", target).stdout, target
    for target in ("test", "test-slow", "test-fleet", "test-liveportrait", "lint", "format"):
        assert "venv.sh dev" in checkout.make("-n", target).stdout, target
    assert checkout.make(".venv/.installed").returncode == 0
    assert checkout.installs == [".[cpu,speech]"]
    assert checkout.make(".venv/.installed-dev").returncode == 0
    assert checkout.installs == [".[cpu,speech]", ".[cpu,speech,dev]"]


def test_the_gpu_build_is_for_machines_with_an_nvidia_driver(checkout: Checkout) -> None:
    checkout.has("python3", "3.11")
    checkout.has("nvidia-smi", "")
    assert checkout.make("install").returncode == 0
    assert checkout.make("install", "ONNX=cpu").returncode == 0
    assert checkout.installs == [".[gpu,speech]", ".[cpu,speech]"]
    assert checkout.make("install", "ONNX=tpu").returncode != 0


def test_a_build_gives_way_to_the_other_whole(checkout: Checkout) -> None:
    """Both fill one folder: whatever is removed takes files of the other with it."""
    checkout.has("python3", "3.11")
    checkout.has_installed("onnxruntime-gpu", "onnxruntime")
    assert checkout.make("install").returncode == 0
    *_, removed, installed = checkout.done
    assert removed.endswith("uninstall --quiet --yes onnxruntime onnxruntime-gpu")
    assert installed.endswith("-e .[cpu,speech]")
    checkout.has_installed("onnxruntime")
    assert checkout.make("install").returncode == 0
    assert sum(" uninstall " in line for line in checkout.done) == 1
