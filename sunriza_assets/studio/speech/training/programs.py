"""The speech programs flite and Festival of Debian, with the phone times that they write.

    apt-get install flite festival festvox-kdlpc16k festvox-italp16k festvox-itapc16k \\
        festvox-czech-dita festvox-czech-machac festvox-czech-krb festvox-suopuhe-lj \\
        festvox-suopuhe-mv festvox-ca-ona-hts festvox-us-slt-hts
"""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Final

from sunriza_assets.studio.speech.listening.whole import at_analysis_rate
from sunriza_assets.studio.speech.training.corpus import Utterance
from sunriza_assets.studio.speech.wav import read_wav

__all__ = ["FESTIVAL_VOICES", "FLITE_TEST_VOICE", "FLITE_VOICES", "by_festival", "by_flite"]

FLITE_VOICES: Final = ("slt", "awb", "kal16")
FLITE_TEST_VOICE: Final = "rms"
"""Never trained on."""
FESTIVAL_VOICES: Final = MappingProxyType(
    {
        "ked_diphone": "en",
        "cmu_us_slt_arctic_hts": "en",
        "lp_diphone": "it",
        "pc_diphone": "it",
        "czech_dita": "cs",
        "czech_machac": "cs",
        "czech_krb": "cs",
        "suo_fi_lj_diphone": "fi",
        "hy_fi_mv_diphone": "fi",
        "upc_ca_ona_hts": "ca",
    }
)
"""Voice -> language of its sentences."""
_ENCODINGS: Final = MappingProxyType({"cs": "iso-8859-2", "ca": "iso-8859-15"})
_ARPABET: Final = frozenset({"ked_diphone", "cmu_us_slt_arctic_hts"})
_PATIENCE_S: Final = 900.0


def by_flite(voice: str, texts: Sequence[str], stretch: float = 1.0) -> Iterator[Utterance]:
    """Texts in English, spoken by a voice of flite; nothing if it is not installed.

    Args:
        voice: one of flite's.
        texts: sentences.
        stretch: factor of all durations.
    """
    program = shutil.which("flite")
    if program is None:
        return
    with TemporaryDirectory() as folder:
        wav = Path(folder) / "spoken.wav"
        for text in texts:
            command = [program, "-voice", voice, "-psdur", "--setf", f"duration_stretch={stretch}"]
            done = subprocess.run(
                [*command, "-t", text, "-o", str(wav)],
                capture_output=True,
                text=True,
                check=True,
                timeout=_PATIENCE_S,
            )
            pairs = [entry.rsplit(":", 1) for entry in done.stdout.split() if ":" in entry]
            ends = [float(end) for _, end in pairs]
            yield Utterance(
                samples=at_analysis_rate(read_wav(wav)),
                phones=tuple(
                    (name, begin, end)
                    for (name, _), begin, end in zip(pairs, [0.0, *ends], ends, strict=False)
                ),
                alphabet="arpabet",
                voice=voice,
                language="en",
                text=text,
            )


def by_festival(voice: str, texts: Sequence[str]) -> Iterator[Utterance]:
    """Texts spoken by a voice of Festival; nothing if it is not installed.

    Args:
        voice: a key of `FESTIVAL_VOICES`.
        texts: sentences in its language.
    """
    program = shutil.which("festival")
    if program is None:
        return
    language = FESTIVAL_VOICES[voice]
    encoding = _ENCODINGS.get(language, "iso-8859-1")
    with TemporaryDirectory() as name:
        folder = Path(name)
        script = [f"(voice_{voice})".encode()]
        for number, text in enumerate(texts):
            plain = text.replace('"', "").replace("\\", "").encode(encoding, "ignore")
            script.append(b'(set! u (utt.synth (Utterance Text "' + plain + b'")))')
            script.append(f'(utt.save.wave u "{folder}/{number}.wav")'.encode())
            script.append(f'(utt.save.segs u "{folder}/{number}.seg")'.encode())
        (folder / "script.scm").write_bytes(b"\n".join(script))
        # It ends with an error when a word has no pronunciation; what was made until then is good.
        subprocess.run(
            [program, "-b", str(folder / "script.scm")],
            capture_output=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        for number, text in enumerate(texts):
            wav, times = folder / f"{number}.wav", folder / f"{number}.seg"
            if not (wav.is_file() and times.is_file()):
                continue
            rows = [line.split() for line in times.read_text("utf-8", "replace").splitlines()]
            rows = [row for row in rows if len(row) == 3]
            ends = [float(row[0]) for row in rows]
            yield Utterance(
                samples=at_analysis_rate(read_wav(wav)),
                phones=tuple(
                    (row[2], begin, end)
                    for row, begin, end in zip(rows, [0.0, *ends], ends, strict=False)
                ),
                alphabet="arpabet" if voice in _ARPABET else "festival",
                voice=voice,
                language=language,
                text=text,
            )
