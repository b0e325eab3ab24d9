"""Four sentences of flite's voice rms, on which nothing was trained, with its own phone times."""

import json
from pathlib import Path

import av
import numpy as np

from sunriza_assets.studio.speech.ipa import Segment, visemes_of_arpabet
from sunriza_assets.studio.speech.sound import Samples
from sunriza_assets.studio.speech.training.labels import Labels, labels_of_segments

_FOLDER = Path(__file__).parent
_FACTS = json.loads((_FOLDER / "rms.json").read_text())

RMS_TEXTS: list[str] = _FACTS["texts"]


def rms_speech() -> tuple[Samples, Labels]:
    """(n,) at 16 kHz and its labels."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    with av.open(_FOLDER / "rms.opus") as container:
        frames = [f for frame in container.decode(audio=0) for f in resampler.resample(frame)]
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    segments = []
    for name, start, end in _FACTS["phones"]:
        at = start
        for shown in visemes_of_arpabet("SIL" if name == "pau" else name):
            segments.append(Segment(shown.viseme, at, at + shown.share * (end - start)))
            at = segments[-1].end
    return samples, labels_of_segments(segments, len(samples) // 160)
