"""Pronounce a text in a process of its own: eSpeak NG is loaded nowhere else.

python -m sunriza_assets_tests.studio.speech.voices.pronouncing '{"texts": [["…", "de"]]}'
"""

import json
import sys

from sunriza_assets.studio.speech.voices.espeak import Espeak
from sunriza_assets.studio.speech.voices.pronunciation import sentences_of


def main() -> None:
    told = json.loads(sys.argv[1])
    espeak = Espeak()
    answers = [
        [
            {
                "text": sentence.text,
                "symbols": sentence.symbols,
                "words": [
                    [word, sentence.symbols[first:end]] for word, first, end in sentence.words
                ],
            }
            for sentence in sentences_of(espeak, text, language)
        ]
        for text, language in told["texts"]
    ]
    sys.stdout.write(json.dumps({"answers": answers}))


if __name__ == "__main__":
    main()
