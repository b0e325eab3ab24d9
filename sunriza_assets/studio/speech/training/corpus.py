"""Utterances with labels, as files that a training reads: one npz for each source of speech."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.atomic import replaced
from sunriza_assets.studio.speech.ipa import (
    Segment,
    ShownViseme,
    visemes_of,
    visemes_of_arpabet,
)
from sunriza_assets.studio.speech.sound import Samples
from sunriza_assets.studio.speech.training.labels import Labels, labels_of_segments

__all__ = ["Utterance", "read_corpus", "write_corpus"]

_SILENCES: Final = frozenset({"", "#", "##", "pau", "_", "h#", "sil"})
_FESTIVAL: Final = MappingProxyType(
    {
        "S": "ʃ", "Z": "ʒ", "tS": "tʃ", "dZ": "dʒ", "J": "ɲ", "L": "ʎ", "N": "ŋ", "ng": "ŋ",
        "nf": "ɱ", "E": "ɛ", "O": "ɔ", "rr": "r", "ax": "ə",
        "s~": "ʃ", "z~": "ʒ", "c~": "tʃ", "dz~": "dʒ", "c": "ts", "ch": "x", "r~": "ʒ",
        "n~": "ɲ", "d~": "ɟ", "t~": "c", "7": "ø", "@": "æ",
    }
)  # fmt: skip
"""Names of Festival's Italian, Catalan, Czech and Finnish phones, where they are not the IPA's."""


@dataclass(frozen=True)
class Utterance:
    """Something that was said."""

    samples: Samples
    """(n,) at 16 kHz."""
    phones: tuple[tuple[str, float, float], ...]
    """(name, start s, end s)."""
    alphabet: str
    """Of the names: `ipa`, `arpabet` or `festival`."""
    voice: str
    language: str
    text: str

    @property
    def segments(self) -> list[Segment]:
        """Its visemes in time."""
        segments: list[Segment] = []
        for name, start, end in self.phones:
            at = start
            for shown in _shown(name, self.alphabet):
                stop = at + shown.share * (end - start)
                segments.append(Segment(shown.viseme, at, stop, shown.neutral))
                at = stop
        return segments

    @property
    def labels(self) -> Labels:
        """At 100 Hz, one row for each complete 160 samples."""
        return labels_of_segments(self.segments, len(self.samples) // 160)


def _shown(name: str, alphabet: str) -> tuple[ShownViseme, ...]:
    if name in _SILENCES:
        return visemes_of("")
    if alphabet == "arpabet":
        return visemes_of_arpabet(name)
    if alphabet == "festival":
        plain = name.rstrip("1*").rstrip(":")
        return visemes_of(_FESTIVAL.get(plain, plain))
    return visemes_of(name)


def read_corpus(path: Path) -> Iterator[Utterance]:
    """The utterances of a file."""
    with np.load(path, allow_pickle=False) as stored:
        pcm: NDArray[np.int16] = stored["pcm"]
        ends = stored["ends"].tolist()
        rows = json.loads(stored["meta"].tobytes())
    for begin, end, row in zip([0, *ends], ends, rows, strict=False):
        yield Utterance(
            samples=pcm[begin:end].astype(np.float32) / 32_768.0,
            phones=tuple(
                (str(name), float(start), float(stop)) for name, start, stop in row["phones"]
            ),
            alphabet=_alphabet(row),
            voice=row["voice"],
            language=row["lang"],
            text=row["text"],
        )


def _alphabet(row: dict[str, object]) -> str:
    voice = str(row["voice"])
    if row.get("arpabet") or voice in {"ked_diphone", "cmu_us_slt_arctic_hts"}:
        return "arpabet"
    return "festival" if row.get("festival") else str(row.get("alphabet", "ipa"))


def write_corpus(path: Path, utterances: list[Utterance]) -> None:
    """Write utterances beside `path`, sync, rename."""
    pcm = [
        np.clip(np.rint(u.samples * 32_767.0), -32_768, 32_767).astype(np.int16) for u in utterances
    ]
    rows = [
        {
            "phones": u.phones,
            "alphabet": u.alphabet,
            "voice": u.voice,
            "lang": u.language,
            "text": u.text,
        }
        for u in utterances
    ]
    with replaced(path) as part, part.open("wb") as file:
        np.savez(
            file,
            pcm=np.concatenate(pcm),
            ends=np.cumsum([len(x) for x in pcm]),
            meta=np.frombuffer(json.dumps(rows).encode(), np.uint8),
        )
