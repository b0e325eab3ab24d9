"""Damage the corpus at random and let only named errors come out: `make fuzz`.

    python -m sunriza_assets_tests.fuzz_media --seconds 60 --seed 1

A batch process reads mutants one after another, because starting a child for each would take
nearly all the time. Where it dies or hangs, the same mutant goes through the public functions,
which must turn that into a named error. A mutant that brings anything else to light is kept.
Everything follows from the seed.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from sunriza_assets.errors import SunrizaError
from sunriza_assets.studio.media.conform import conform_in_process
from sunriza_assets.studio.media.inspect import inspect
from sunriza_assets.studio.media.limits import Limits
from sunriza_assets.studio.media.picture import read_picture, read_picture_in_process
from sunriza_assets.studio.media.probe import probe_in_process
from sunriza_assets.studio.media.sniff import Medium, sniff
from sunriza_assets.studio.media.sound_file import read_samples, read_samples_in_process
from sunriza_assets.studio.media.trim import MAX_SIDE, trim, trim_in_process
from sunriza_assets_tests.studio.media.cases import Case, Shown
from sunriza_assets_tests.studio.media.clip_corpus import SHOWN
from sunriza_assets_tests.studio.media.picture_corpus import GOOD
from sunriza_assets_tests.studio.media.sound_corpus import SPOKEN

LIMITS: Final = Limits(pixels=4_000_000, decode_seconds=20, picture_seconds=10)
"""Smaller than in use, so that a mutant that claims much costs little time."""
STALLED_S: Final = 20
"""Seconds without a word from the batch process after which it counts as hanging."""
INTERESTING: Final = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000,
                      0xFFFFFFFF, 0xFFFFFFFE)  # fmt: skip


def seeds(folder: Path) -> list[Path]:
    """Small files of every kind the corpus knows, without those that need ffmpeg to be made."""
    made = []
    for case in (*SHOWN, *GOOD):
        if isinstance(case, Case) and isinstance(case.outcome, Shown) and len(made) % 2:
            continue  # every second clip: many differ in their timestamps only
        path = folder / case.name
        case.build(path)
        made.append(path)
    for sound in SPOKEN:
        path = folder / sound.name
        replace(sound, seconds=0.2).build(path)
        made.append(path)
    return [path for path in made if path.stat().st_size < 60_000]


def mutant(pool: Sequence[bytes], seed: int) -> bytes:
    """One damaged file; the same for the same pool and seed."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable choice, not a secret
    data = bytearray(dice.choice(pool))
    for _ in range(1 << dice.randrange(4)):
        at = dice.randrange(len(data))
        if dice.random() < 0.3:  # headers are small and decide most
            at = dice.randrange(min(len(data), 1500))
        kind = dice.randrange(7)
        if kind == 0:
            data[at] ^= 1 << dice.randrange(8)
        elif kind == 1:
            data[at] = dice.randrange(256)
        elif kind == 2:
            size = dice.choice((1, 2, 4, 8))
            value = dice.choice(INTERESTING) & ((1 << 8 * size) - 1)
            data[at : at + size] = value.to_bytes(size, "big")
        elif kind == 3 and len(data) > 64:
            del data[at : at + dice.randrange(1, 64)]
        elif kind == 4:
            data[at:at] = data[at : at + dice.randrange(1, 256)]
        elif kind == 5:
            other = dice.choice(pool)
            begin = dice.randrange(len(other))
            piece = other[begin : begin + dice.randrange(1, 512)]
            data[at : at + len(piece)] = piece
        elif len(data) > 200 and dice.random() < 0.3:
            del data[at:]
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


def read_here(path: Path, scratch: Path) -> None:
    """All that the child does with a file, in this process."""
    medium = sniff(path.read_bytes()[:4096]).medium
    if medium is Medium.PICTURE:
        probe_in_process(path, LIMITS)
        read_picture_in_process(path, max_size=None, limits=LIMITS, accept=lambda: None)
        return
    if medium is Medium.SOUND:
        samples, _ = read_samples_in_process(path, rate=16_000, limits=LIMITS)
        if not (np.isfinite(samples).all() and np.abs(samples).max() <= 1):
            raise ValueError("the sound is not clean")
        return
    probe_in_process(path, LIMITS)
    conform_in_process(
        path, frame_count=None, rate=None, sound=True, limits=LIMITS, accept=lambda: None
    )
    trim_in_process(path, scratch / "cut.mp4", start="0", max_seconds="1", keep_audio=True,
        max_side=MAX_SIDE, limits=LIMITS, accept=lambda: None,
        progress=lambda done, total: None)  # fmt: skip


def read_in_child(path: Path, scratch: Path) -> str:
    """The public functions; the code of the named error, or ok."""
    try:
        medium = sniff(path.read_bytes()[:4096]).medium
        if medium is Medium.PICTURE:
            read_picture(path, limits=LIMITS)
        elif medium is Medium.SOUND:
            read_samples(path, limits=LIMITS)
        else:
            inspect(path, limits=LIMITS)
            trim(path, scratch / "cut.mp4", max_seconds=1, limits=LIMITS)
    except SunrizaError as error:
        return error.code
    return "ok"


def batch(folder: Path, first: int) -> None:
    """Read mutant after mutant; says which, then what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMITS.memory_bytes, LIMITS.memory_bytes))
    pool = [path.read_bytes() for path in sorted((folder / "seeds").iterdir())]
    path, scratch = folder / "mutant", folder / "scratch"
    scratch.mkdir(exist_ok=True)
    seed = first
    while True:
        _say({"seed": seed})
        path.write_bytes(mutant(pool, seed))
        try:
            read_here(path, scratch)
            told = {"code": "ok"}
        except SunrizaError as error:
            told = {"code": error.code}
        except MemoryError:
            told = {"code": "media.memory"}
        except Exception:  # noqa: BLE001 - anything else is what is looked for
            told = {"code": "UNNAMED", "trace": traceback.format_exc()}
        if list(scratch.glob(".*")):
            told = {"code": "UNNAMED", "trace": f"left behind: {list(scratch.glob('.*'))}"}
        _say(told)
        seed += 1


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def run(seconds: float, seed: int, kept: Path | None) -> tuple[Counter[str], list[str]]:
    """Fuzz for a while.

    Returns:
        How often each code came out, and the failures, one line each.
    """
    counts: Counter[str] = Counter()
    failures: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "seeds").mkdir()
        seeds(folder / "seeds")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            last, died = _supervise(folder, seed, end, counts, failures, kept)
            seed = last + 1
            if died is not None:
                counts[f"batch died ({died})"] += 1
                told = read_in_child(folder / "mutant", folder / "scratch")
                counts[f"in child: {told}"] += 1
    return counts, failures


def _supervise(
    folder: Path, seed: int, end: float, counts: Counter[str], failures: list[str],
    kept: Path | None,
) -> tuple[int, str | None]:  # fmt: skip
    """Watch one batch process; the last seed it began, and how it died if it did."""
    import selectors

    command = [sys.executable, "-m", "sunriza_assets_tests.fuzz_media", "--batch", str(folder)]
    child = subprocess.Popen(
        [*command, "--seed", str(seed)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert child.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while time.monotonic() < end:
                if not selector.select(STALLED_S):
                    return seed, "hangs"
                line = child.stdout.readline()
                if not line:
                    return seed, f"status {child.wait()}"
                told = json.loads(line)
                seed = told.get("seed", seed)
                if "code" in told:
                    counts[told["code"]] += 1
                    if told["code"] == "UNNAMED":
                        failures.append(f"seed {seed}: {told['trace'].splitlines()[-1]}")
                        if kept is not None:
                            kept.mkdir(parents=True, exist_ok=True)
                            (kept / f"seed_{seed}").write_bytes((folder / "mutant").read_bytes())
                            (kept / f"seed_{seed}.txt").write_text(told["trace"])
    finally:
        child.kill()
        child.wait()
    return seed, None


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for mutants that fail")
    parser.add_argument("--batch", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.batch:
        batch(asked.batch, asked.seed)
    counts, failures = run(asked.seconds, asked.seed, asked.keep)
    for code, count in counts.most_common():
        sys.stdout.write(f"{count:7d}  {code}\n")
    for failure in failures:
        sys.stdout.write(f"FAILED  {failure}\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
