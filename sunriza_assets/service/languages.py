"""Which language a text is probably in, by its most frequent words."""

import re
from collections.abc import Mapping
from typing import Final

__all__ = ["guessed_language"]

# Words of one language alone, or nearly so, are what tells it from its neighbours.
_WORDS: Final[Mapping[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "en": "the and of to is that it you was for are with his they this have from not what were"
        " your there an she which do how if will up about out then them would like him has hello",
        "de": "der die das und ist nicht ich du sie es ein eine einen mit auf den dem des zu von im"
        " auch sich wie aber wir ihr für war hat bei wenn dass guten morgen hallo bitte danke",
        "fr": "le la les et est une des du que qui dans pour pas sur au avec ce il elle je vous"
        " nous mais ont été cette bonjour merci sont plus tout fait",
        "es": "el los las y es una del que por para con no se su al lo como pero más está este hola"
        " yo muy gracias también hay son buenos días",
        "it": "il lo gli e è una della che di per con non si sono come ma anche questo più ciao"
        " buongiorno grazie sei ho hai nel alla",
        "pt": "o os as é uma da do que para com não se por mais como mas foi ao ele tem olá"
        " obrigado está você bom dia isso muito",
        "nl": "de het een en van is dat niet ik je hij zij met voor op aan ook maar wij goedemorgen"
        " hallo dank naar bij wordt deze",
    }.items()
}
_LETTERS: Final[Mapping[str, str]] = {"ß": "de", "ñ": "es", "¿": "es", "ã": "pt", "õ": "pt"}
_WORD: Final = re.compile(r"[^\W\d_]+")
_MOST: Final = 400
"""Words that are looked at."""


def guessed_language(text: str, *, default: str = "en") -> str:
    """The language with the most of its frequent words in a text; the default where none has any.

    Args:
        text: any text.
        default: what counts where nothing speaks for a language, or as much for another.
    """
    low = text.lower()
    words = _WORD.findall(low)[:_MOST]
    scores = {language: sum(word in known for word in words) for language, known in _WORDS.items()}
    for letter, language in _LETTERS.items():
        scores[language] += 2 * (letter in low)
    best = max(scores.values())
    return default if scores[default] == best else max(scores, key=lambda name: scores[name])
