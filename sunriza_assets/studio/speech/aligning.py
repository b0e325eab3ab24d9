"""Phone times of English sound whose text is known, by forced alignment with PocketSphinx."""

from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from sunriza_assets.errors import ModelError, SpeechError
from sunriza_assets.studio.speech.listening.whole import at_analysis_rate
from sunriza_assets.studio.speech.phones import Phone
from sunriza_assets.studio.speech.sound import ANALYSIS_RATE, Sound

__all__ = ["aligned_phones", "aligner_installed"]

_STEP_S: Final = 0.01
_IPA: Final = MappingProxyType(
    {
        "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ",
        "D": "d", "DH": "ð", "EH": "ɛ", "ER": "ɝ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h",
        "IH": "ɪ", "IY": "i", "JH": "dʒ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ",
        "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ", "T": "t", "TH": "θ",
        "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
    }
)  # fmt: skip
"""ARPAbet -> IPA; everything else is silence or noise."""


def aligner_installed() -> bool:
    """Whether PocketSphinx can be imported."""
    return find_spec("pocketsphinx") is not None


def aligned_phones(sound: Sound, text: str) -> tuple[Phone, ...]:
    """When each phone of a text is said in a sound.

    Args:
        sound: speech of these words and no others, any rate.
        text: English.

    Raises:
        ModelError: PocketSphinx is not installed.
        SpeechError: a word is not in its dictionary, or the sound does not say the text.
    """
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise ModelError(
            "The aligner is not installed",
            remedy="Install it with: pip install pocketsphinx",
            code="missing",
        ) from error
    decoder: Any = Decoder(lm=None, samprate=float(ANALYSIS_RATE), loglevel="FATAL")
    words = _words(text)
    unknown = [word for word in words if decoder.lookup_word(word) is None]
    if unknown or not words:
        raise SpeechError(
            f"The aligner does not know {', '.join(unknown[:5]) or 'a text without words'}",
            remedy="Leave the text out: the mouth is then heard in the sound.",
            code="alignment",
        )
    samples = np.rint(np.clip(at_analysis_rate(sound), -1.0, 1.0) * 32_767.0).astype(np.int16)
    try:
        decoder.set_align_text(" ".join(words))
        _decode(decoder, samples.tobytes())
        decoder.set_alignment()
        _decode(decoder, samples.tobytes())
        entries = [phone for word in decoder.get_alignment() for phone in word]
    except (RuntimeError, TypeError) as error:
        raise SpeechError(
            "The sound does not say this text",
            remedy="Check the text, or leave it out: the mouth is then heard in the sound.",
            code="alignment",
        ) from error
    return tuple(
        Phone(
            _IPA.get(entry.name, ""),
            entry.start * _STEP_S,
            (entry.start + entry.duration) * _STEP_S,
        )
        for entry in entries
    )


def _words(text: str) -> list[str]:
    plain = text.lower().replace("’", "'")
    kept = "".join(sign if sign.isalnum() or sign == "'" else " " for sign in plain)
    return [word.strip("'") for word in kept.split() if word.strip("'")]


def _decode(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
