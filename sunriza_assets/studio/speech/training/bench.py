"""Measures the listener: `python -m sunriza_assets.studio.speech.training.bench FOLDER`.

FOLDER holds the corpora test_A to test_D of `training`. With `--speech`, a folder of recordings of
real people with texts in English beside them (name.wav, name.txt) is measured against forced
alignment; with `--clips`, videos of people who talk, with their own sound, against their tracked
mouth. Each comes with a control that must fail: the truth moved by some seconds.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.studio.face.landmarks import FaceMesh
from sunriza_assets.studio.face.measures import mouth_aperture
from sunriza_assets.studio.face.model_store import ModelStore
from sunriza_assets.studio.media.frames import read_frames
from sunriza_assets.studio.media.probe import describe_own
from sunriza_assets.studio.speech.aligning import aligned_phones
from sunriza_assets.studio.speech.coarticulation import sampled
from sunriza_assets.studio.speech.ipa import segments_of
from sunriza_assets.studio.speech.level import levels
from sunriza_assets.studio.speech.listening.following import Follower
from sunriza_assets.studio.speech.listening.heard import HEARD_RATE, Heard
from sunriza_assets.studio.speech.listening.listener import Listener
from sunriza_assets.studio.speech.listening.recogniser import recogniser_installed
from sunriza_assets.studio.speech.listening.whole import listen, mouth_of_sound
from sunriza_assets.studio.speech.mouth import LIPS
from sunriza_assets.studio.speech.sound import ANALYSIS_RATE, Samples, Sound
from sunriza_assets.studio.speech.sound_file import read_sound
from sunriza_assets.studio.speech.training.corpus import read_corpus
from sunriza_assets.studio.speech.training.labels import Labels, labels_of_segments
from sunriza_assets.studio.speech.training.measure import Guess, correlation, measured
from sunriza_assets.studio.speech.training.speaking import TESTS

_CHUNK: Final = 320
_SHIFTS_S: Final = (0.8, 1.3, 1.9, 2.6)
"""By which the control's truth is moved."""


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _live(samples: Samples) -> Heard:
    """By a live listener in chunks of 20 ms."""
    listener = Listener()
    pieces = [listener.push(samples[k : k + _CHUNK]) for k in range(0, len(samples), _CHUNK)]
    pieces.append(listener.finish())
    names = ("weights", "opening", "width", "rounding", "level")
    return Heard(0, *(np.concatenate([getattr(p, name) for p in pieces]) for name in names))


def _whole(samples: Samples, *, with_recogniser: bool) -> Heard:
    return listen(Sound(samples, ANALYSIS_RATE), with_recogniser=with_recogniser)


def _listeners() -> Iterator[tuple[str, Callable[[Samples], Heard]]]:
    yield "live, 60 ms", _live
    yield "whole, network", lambda samples: _whole(samples, with_recogniser=False)
    if recogniser_installed():
        yield "whole, both", lambda samples: _whole(samples, with_recogniser=True)


def _guesser(hear: Callable[[Samples], Heard]) -> Callable[[Samples], Guess]:
    return lambda samples: _guess(hear(samples))


def _guess(heard: Heard) -> Guess:
    """At 100 Hz, read between the frames as a mouth is; closures as the mouth shows them."""
    closed = Follower().push(heard)[4] == LIPS
    times = (np.arange(2 * len(heard)) + 0.5) / (2 * HEARD_RATE)
    return Guess(
        sampled(heard.weights, times, HEARD_RATE).argmax(axis=1),
        sampled(heard.opening, times, HEARD_RATE),
        np.repeat(closed, 2),
    )


def _loudness(samples: Samples) -> Guess:
    """The control: how loud it is, taken for the opening."""
    level = levels(Sound(samples, ANALYSIS_RATE), 0.06)
    nothing = np.zeros(len(level), np.int64)
    return Guess(nothing, np.maximum(level, -60.0), nothing > 0)


def _shifted(labels: Labels, seconds: float) -> Labels:
    frames = round(seconds * 100)
    return Labels(np.roll(labels.shares, frames, axis=0), np.roll(labels.curves, frames, axis=0))


def _show(title: str, sounds: list[tuple[Samples, Labels]]) -> None:
    _write(f"\n{title}: {sum(len(s) for s, _ in sounds) / ANALYSIS_RATE:.0f} s")
    moved = [(samples, _shifted(labels, _SHIFTS_S[1])) for samples, labels in sounds]
    for name, listener in _listeners():
        begin = time.process_time()
        figures = measured(_guesser(listener), sounds)
        cost = (time.process_time() - begin) / figures.seconds
        _write(f"  {name:15} {figures}  {1000.0 * cost:.0f} CPU ms/s")
    name, listener = list(_listeners())[-1]
    control = measured(_guesser(listener), moved).opening_r
    alone = measured(_loudness, sounds).opening_r
    _write(f"  opening r: loudness alone {alone:.3f}, truth moved {control:.3f}")


def _real_speech(folder: Path) -> list[tuple[Samples, Labels]]:
    result = []
    for path in sorted(folder.glob("*.wav")):
        text = path.with_suffix(".txt")
        if text.exists():
            sound = read_sound(path, rate=ANALYSIS_RATE)
            phones = aligned_phones(sound, text.read_text("utf-8"))
            count = len(sound.samples) // 160
            result.append((sound.samples, labels_of_segments(segments_of(phones), count)))
    return result


def _show_clip(path: Path, models: Path) -> None:
    """The opening that is heard in a clip's sound, against the mouth in its pictures."""
    sound = read_sound(path)
    rate = describe_own(path).rate
    apertures: list[float] = []
    for face in FaceMesh(ModelStore(models)).track(read_frames(path)):
        seen = float(mouth_aperture(face.points[None])[0]) if face else float("nan")
        apertures.append(seen)
    truth = np.array(apertures)
    heard = mouth_of_sound(sound, rate, lead=0.0).opening
    level = np.maximum(levels(sound, 0.06), -60.0)
    times = (np.arange(len(truth)) + 0.5) / float(rate)
    loud = np.interp(times, (np.arange(len(level)) + 0.5) / 100.0, level)
    count = min(len(truth), len(heard))
    known = np.isfinite(truth[:count])

    def r(guess: NDArray[np.float64], shift: int = 0) -> float:
        return correlation(np.roll(guess[:count], shift)[known], truth[:count][known])

    control = np.mean([r(heard, round(s * float(rate))) for s in _SHIFTS_S])
    _write(
        f"\n{path.name}: opening r {r(heard):.3f}, moved {control:.3f}, "
        f"loudness alone {r(loud):.3f}"
    )


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure the listener.")
    parser.add_argument("folder", type=Path, help="with test_A.npz to test_D.npz")
    parser.add_argument("--speech", type=Path, help="folder with name.wav and name.txt")
    parser.add_argument("--clips", type=Path, help="folder with videos of talking people")
    parser.add_argument("--models", type=Path, help="models folder with the face models")
    arguments = parser.parse_args()
    for name in TESTS:
        path = arguments.folder / f"{name}.npz"
        if path.exists():
            _show(name, [(u.samples, u.labels) for u in read_corpus(path)])
    if arguments.speech:
        _show("real speech", _real_speech(arguments.speech))
    if arguments.clips and arguments.models:
        for path in sorted(arguments.clips.glob("*.mp4")):
            _show_clip(path, arguments.models)


if __name__ == "__main__":
    main()
