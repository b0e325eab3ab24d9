"""Sentences to be spoken: the operating system's message catalogues, and random English words.

Catalogues of gettext hold thousands of sentences in any language, on every machine with some
programs installed. Other machines have other ones, so a training there differs a little.
"""

import gettext
import random
import re
import struct
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

__all__ = ["HELD_BACK", "random_words", "sentences"]

HELD_BACK: Final = 60
"""Sentences of each language that are for measuring and never trained on."""
_CATALOGUES: Final = Path("/usr/share/locale")
_LENGTHS: Final = range(25, 91)
_NO_SENTENCE: Final = re.compile(r"[%<>{}\\/_@#|=*\[\]0-9:()\"“”«»`~&$^+…]|--|\b[A-Z]{2,}\b")


@lru_cache(maxsize=32)
def sentences(language: str) -> tuple[str, ...]:
    """Sentences in a fixed random order; of those, the first `HELD_BACK` are for measuring.

    Args:
        language: as the system's folders name it: `de`, `pt_BR`; `en` takes the originals.
    """
    found: set[str] = set()
    folder = "*" if language == "en" else language
    for path in sorted(_CATALOGUES.glob(f"{folder}/LC_MESSAGES/*.mo")):
        try:
            with path.open("rb") as file:
                messages = gettext.GNUTranslations(file)._catalog.items()  # type: ignore[attr-defined]
        except (OSError, ValueError, LookupError, struct.error):
            continue  # a damaged catalogue of some program
        for original, translated in messages:
            text = original if language == "en" else translated
            text = text[0] if isinstance(text, tuple) else text
            if isinstance(text, str) and _is_sentence(" ".join(text.split()), language):
                found.add(" ".join(text.split()).rstrip(".!?") + ".")
    result = sorted(found)
    random.Random(1).shuffle(result)  # noqa: S311 -- a fixed order
    return tuple(result)


def _is_sentence(text: str, language: str) -> bool:
    return (
        len(text) in _LENGTHS
        and text[0].isupper()
        and text.count(" ") >= 3
        and not _NO_SENTENCE.search(text)
        and (language != "en" or text.isascii())
    )


def random_words(draw: random.Random, count: int) -> str:
    """Words of PocketSphinx's dictionary: sounds that catalogues are short of; `` without it."""
    words = _dictionary()
    return " ".join(draw.sample(words, count)).capitalize() + "." if words else ""


@lru_cache(maxsize=1)
def _dictionary() -> tuple[str, ...]:
    spec = find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        return ()
    path = Path(spec.origin).parent / "model" / "en-us" / "cmudict-en-us.dict"
    return tuple(re.findall(r"^([a-z]{3,10}) ", path.read_text("utf-8"), re.MULTILINE))
