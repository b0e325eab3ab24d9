"""Hears a mouth in a whole sound, as well as it can be heard without its text.

Where the phone recogniser is installed, its opinion and the network's are joined; otherwise the
network hears alone. The result is the same kind of thing that a live listener tells.
"""

from fractions import Fraction
from functools import lru_cache
from typing import Final

import av
import numpy as np

from sunriza_assets.studio.speech.coarticulation import LEAD_S
from sunriza_assets.studio.speech.level import levels
from sunriza_assets.studio.speech.listening.features import mel_frames
from sunriza_assets.studio.speech.listening.following import ClosureRule, mouth_of_heard
from sunriza_assets.studio.speech.listening.fusion import Fusion, fusion_inputs, packaged_fusion
from sunriza_assets.studio.speech.listening.heard import PER_FRAME, Heard, heard_of_outputs
from sunriza_assets.studio.speech.listening.network import (
    LOOK_AHEADS,
    Array,
    Network,
    packaged_network,
)
from sunriza_assets.studio.speech.listening.recogniser import (
    PhoneRecogniser,
    recogniser_installed,
)
from sunriza_assets.studio.speech.mouth import NAMES, MouthCurves
from sunriza_assets.studio.speech.sound import ANALYSIS_RATE, Samples, Sound

__all__ = ["at_analysis_rate", "fused_outputs", "listen", "mouth_of_sound", "outputs_in_time"]

_FUSION_SHARE: Final = 0.65
"""Of the fusion in the logits; the network has the rest. It doubts what only one of them hears."""


def mouth_of_sound(
    sound: Sound, rate: Fraction, *, lead: float = LEAD_S, rule: ClosureRule | None = None
) -> MouthCurves:
    """The curves of the mouth that makes this sound; for sound whose phones are not known.

    Args:
        sound: any rate.
        rate: frames per second of the curves.
        lead: seconds that the mouth is ahead of the sound.
        rule: when closures are believed.
    """
    return mouth_of_heard(listen(sound), rate, lead=lead, rule=rule)


def listen(sound: Sound, *, with_recogniser: bool | None = None) -> Heard:
    """What is heard of the mouth in a whole sound.

    Args:
        sound: any rate.
        with_recogniser: whether the phone recogniser helps; default: where it is installed.

    Raises:
        ModelError: the recogniser is asked for and missing, or the package is damaged.
    """
    samples = at_analysis_rate(sound)
    frames = -(-len(samples) // (ANALYSIS_RATE // 50))
    samples = np.pad(samples, (0, frames * ANALYSIS_RATE // 50 - len(samples)))
    if with_recogniser is None:
        with_recogniser = recogniser_installed()
    if with_recogniser:
        outputs = fused_outputs(samples, packaged_network(), packaged_fusion(), _recogniser())
    else:
        outputs = outputs_in_time(samples, packaged_network())
    level = levels(Sound(samples, ANALYSIS_RATE))[: frames * PER_FRAME]
    power = np.power(10.0, level / 10.0).reshape(-1, PER_FRAME).mean(axis=1)
    none = np.zeros(len(NAMES), np.float32)
    return heard_of_outputs(outputs, none, 10.0 * np.log10(power), 0)


def at_analysis_rate(sound: Sound) -> Samples:
    """(n,) the sound at 16 kHz."""
    if sound.rate == ANALYSIS_RATE:
        return sound.samples
    resampler = av.AudioResampler(format="flt", layout="mono", rate=ANALYSIS_RATE)
    frames = []
    if len(sound.samples):
        samples = np.ascontiguousarray(sound.samples[None])
        frame = av.AudioFrame.from_ndarray(samples, "flt", "mono")
        frame.sample_rate = sound.rate
        frames = [*resampler.resample(frame), *resampler.resample(None)]
    parts = [frame.to_ndarray()[0] for frame in frames]
    return np.concatenate([*parts, np.zeros(0, np.float32)])


def outputs_in_time(samples: Samples, network: Network, look_ahead: int = LOOK_AHEADS[-1]) -> Array:
    """(n, 15) one head's outputs with their prior, frame by frame of the sound itself.

    Args:
        samples: (m,) at 16 kHz; n = m // 160.
        network: what hears.
        look_ahead: frames, one of `LOOK_AHEADS`.
    """
    padded = np.pad(samples, (0, look_ahead * 160 + 280))
    outputs = network.run(mel_frames(padded))[:, LOOK_AHEADS.index(look_ahead)]
    outputs = outputs[look_ahead : look_ahead + len(samples) // 160].copy()
    outputs[:, : len(NAMES)] += network.parameters["prior"]
    return outputs


def fused_outputs(
    samples: Samples, network: Network, fusion: Fusion, recogniser: PhoneRecogniser
) -> Array:
    """(n, 15) the same, of both who hear.

    Args:
        samples: (m,) at 16 kHz; n = m // 160.
        network: what knows when.
        fusion: what joins them.
        recogniser: what knows which phones.
    """
    mel = mel_frames(samples)
    alone = outputs_in_time(samples, network)
    if not len(mel):
        return alone
    joined = fusion.run(fusion_inputs(alone, recogniser.emissions(samples), mel))
    return blended(joined, alone)


def blended(joined: Array, alone: Array) -> Array:
    """(n, 15) weighted mean of logarithmic probabilities and of curves."""

    def logs(outputs: Array) -> Array:
        logits = outputs[:, : len(NAMES)]
        logits = logits - logits.max(axis=1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))

    share = np.float32(_FUSION_SHARE)
    return np.concatenate(
        [
            share * logs(joined) + (1 - share) * logs(alone),
            share * joined[:, len(NAMES) :] + (1 - share) * alone[:, len(NAMES) :],
        ],
        axis=1,
    )


@lru_cache(maxsize=1)
def _recogniser() -> PhoneRecogniser:
    return PhoneRecogniser()
