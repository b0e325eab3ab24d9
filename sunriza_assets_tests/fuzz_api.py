"""The service against its own OpenAPI document, by a generator of requests.

    python -m sunriza_assets_tests.fuzz_api .venv-fuzz/bin/schemathesis --examples 200

schemathesis (in an environment of its own) sends valid and invalid requests to every operation of a
service that this script starts on an empty home, and checks each answer: no server error, status,
headers and body as documented, invalid input refused. The exit code is schemathesis's own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["fuzz", "main", "serving"]

CONFIG = Path(__file__).with_name("schemathesis.toml")
CLI = [sys.executable, "-c", "from sunriza_assets.cli import main; main()"]


def main() -> None:
    """Fuzz with the command line's arguments; what follows `--` is schemathesis's."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("schemathesis", type=Path, help="The program.")
    parser.add_argument("--examples", type=int, default=200, help="Requests an operation.")
    parser.add_argument("--seed", type=int, default=None, help="Repeats a run.")
    parser.add_argument("more", nargs="*", help="Options of schemathesis, after --.")
    said = parser.parse_args()
    seed = [] if said.seed is None else ["--seed", str(said.seed)]
    with tempfile.TemporaryDirectory(prefix="sunriza-fuzz-") as folder:
        sys.exit(
            fuzz(said.schemathesis.absolute(), Path(folder), said.examples, [*seed, *said.more])
        )


def fuzz(program: Path, folder: Path, examples: int, options: Sequence[str] = ()) -> int:
    """Run schemathesis with all checks against a service on an empty home; its exit code."""
    with serving(folder / "home") as url:
        command = [
            *(program, "--config-file", CONFIG, "run", f"{url}/openapi.json", "--checks", "all"),
            *("--max-examples", str(examples), "--phases", "examples,coverage,fuzzing,stateful"),
            # A stream of all jobs never ends; a long poll answers late by design.
            *("--exclude-path", "/jobs/events", "--request-timeout", "70"),
            *("--continue-on-failure", "--no-color"),
            *options,
        ]
        return subprocess.run(command, cwd=folder, check=False).returncode


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """A ready `sunriza serve` on a home of its own; its address."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SUNRIZA_")
    }
    environment.pop("DAGSTER_HOME", None)
    environment |= {"SUNRIZA_HOME": str(home), "SUNRIZA_METRICS_PORT": "0"}
    if "SUNRIZA_MODELS" in os.environ:
        environment["SUNRIZA_MODELS"] = os.environ["SUNRIZA_MODELS"]
    else:
        environment["SUNRIZA_MODELS"] = str(Path(os.environ.get("SUNRIZA_HOME", "data")) / "models")
    home.mkdir(parents=True, exist_ok=True)
    log = home / "serve.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [*CLI, "serve", "--port", "0", "--no-ui"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(60)


def _address(process: "subprocess.Popen[str]", log: Path) -> str:
    url = ""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("API "):
            url = line.split()[1]
        if line.startswith("Ready"):
            return url
    raise RuntimeError(f"The service has ended: {log.read_text()[-3000:]}")


if __name__ == "__main__":
    main()
