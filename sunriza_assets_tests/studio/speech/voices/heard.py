"""Whether the phones of a speech are where they are heard, judged by what hisses."""

import numpy as np

from sunriza_assets.studio.speech.ipa import visemes_of
from sunriza_assets.studio.speech.phones import Phone
from sunriza_assets.studio.speech.speech import Speech


def _hiss(speech: Speech, phone: Phone) -> float:
    """Share of the energy in the middle of a phone that is above 3 kHz, 0-1."""
    rate = speech.sound.rate
    middle = int((phone.start + phone.end) / 2 * rate)
    piece = speech.sound.samples[max(0, middle - 220) : middle + 220]
    power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))) ** 2
    above = np.fft.rfftfreq(len(piece), 1 / rate) > 3000
    return float(power[above].sum() / (power.sum() + 1e-9))


def hissing_apart(speech: Speech, late: float = 0.0) -> float:
    """Median hiss of s and ʃ minus that of vowels, with phone times moved by so many seconds."""
    moved = [
        Phone(one.ipa, one.start + late, one.end + late)
        for one in speech.phones
        if one.end + late < speech.sound.seconds - 0.05
    ]
    sharp = [_hiss(speech, one) for one in moved if one.ipa[:1] in {"s", "ʃ"}]
    vowels = {"AI", "O", "U"}
    open_ = [_hiss(speech, one) for one in moved if visemes_of(one.ipa)[0].viseme in vowels]
    return float(np.median(sharp) - np.median(open_))
