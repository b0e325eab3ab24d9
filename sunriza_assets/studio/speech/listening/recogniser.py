"""The optional phone recogniser hama: trained on real speech, for whole files.

Apache-2.0; the weights come in its wheel. It is a Conformer that writes phones by CTC: it tells
which phones come in which order, but shows each for a single frame and says little about when.
"""

from functools import lru_cache
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.speech.ipa import visemes_of
from sunriza_assets.studio.speech.mouth import NAMES
from sunriza_assets.studio.speech.sound import ANALYSIS_RATE, Samples

__all__ = ["EMISSIONS", "PhoneRecogniser", "recogniser_installed"]

EMISSIONS: Final = len(NAMES) + 1
"""Columns of what it tells: the visemes, then nothing."""
_RATE: Final = 50
_PIECE_S: Final = 20.0
_OVERLAP_S: Final = 1.0
_SILENT: Final = frozenset({"<wb>", "<blank>", "<pad>", "<sos>", "<eos>", "<unk>", " ", "%", ","})


def recogniser_installed() -> bool:
    """Whether hama can be imported."""
    return find_spec("hama") is not None


class PhoneRecogniser:
    """Holds the model; use it from one thread at a time.

    Raises:
        ModelError: hama is not installed, or has nothing for this processor.
    """

    def __init__(self) -> None:
        try:
            from hama import _engine, asr
        except ImportError as error:
            raise ModelError(
                "The phone recogniser is not installed",
                remedy="Install it with: pip install hama",
                code="missing",
            ) from error
        if not _engine.available():
            raise ModelError("The phone recogniser has no library for this processor")
        self._model: Any = asr.ASRModel()
        self._groups = _groups(tuple(self._model.decoder_tokens))

    def emissions(self, samples: Samples) -> NDArray[np.float32]:
        """(n, 13) at 100 Hz: chance that a phone of each viseme is written in this frame.

        The last column is the chance of none; `Rest` is the end of a word. Long sound is heard in
        overlapping pieces of 20 s.

        Args:
            samples: (m,) at 16 kHz; n = m // 160.
        """
        count = len(samples) // (ANALYSIS_RATE // _RATE)
        rows = np.zeros((count + 1, EMISSIONS), np.float32)
        rows[:, -1] = 1.0
        hop = int((_PIECE_S - _OVERLAP_S) * _RATE)
        margin = int(_OVERLAP_S / 2.0 * _RATE)
        for first in range(0, max(count, 1), hop):
            begin = max(first - margin, 0)
            end = min(first + hop + margin, count + 1)
            piece = samples[begin * 320 : end * 320]
            if len(piece) < ANALYSIS_RATE // 10:
                continue
            heard = self._piece(piece)[first - begin :]
            room = min(len(heard), hop, len(rows) - first)
            rows[first : first + room] = heard[:room]
        return np.repeat(rows, 2, axis=0)[: len(samples) // 160]

    def _piece(self, samples: Samples) -> NDArray[np.float32]:
        model = self._model
        outputs, lengths = model.session.run(
            [model._log_probs_output_name, model._out_lengths_output_name],
            {
                model._waveform_input_name: np.ascontiguousarray(samples[None], np.float32),
                model._waveform_lengths_input_name: np.array([len(samples)], np.int64),
            },
        )
        chances = np.exp(outputs[0][: int(lengths[0])])
        return np.asarray(chances @ self._groups, np.float32)


@lru_cache(maxsize=1)
def _groups(tokens: tuple[str, ...]) -> NDArray[np.float32]:
    """(tokens, 13) which viseme each of the recogniser's symbols begins with."""
    groups = np.zeros((len(tokens), EMISSIONS), np.float32)
    for k, token in enumerate(tokens):
        if token == "<wb>":  # noqa: S105 -- a word's boundary
            groups[k, NAMES.index("Rest")] = 1.0
        elif token in _SILENT:
            groups[k, -1] = 1.0
        else:
            groups[k, NAMES.index(visemes_of(token)[0].viseme)] = 1.0
    return groups
