"""Speak one text with several threads at once; writes what each was given.

python -m sunriza_assets_tests.resources.speech.speaking '{"home": "…", "text": "…", "go": "…"}'
"""

import hashlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from resources.speech.sound_cache import SoundCache
from resources.speech.speaker import Speaker
from sunriza_assets.studio.speech.voices.protocol import SpeakRequest

THREADS = 4


def main() -> None:
    told = json.loads(sys.argv[1])
    home = Path(told["home"])
    request = SpeakRequest(told["text"], "de")
    go = Path(told["go"])
    with Speaker(home / "models", SoundCache(home / "cache", 10**9)) as speaker:
        go.with_name(f"ready-{told['name']}").touch()
        while not go.exists():
            time.sleep(0.01)
        with ThreadPoolExecutor(THREADS) as threads:
            each = list(threads.map(lambda _: speaker.speak(request, "espeak"), range(THREADS)))
    answers = [
        [stored.cached, hashlib.sha256(stored.wav.read_bytes()).hexdigest()] for stored in each
    ]
    sys.stdout.write(json.dumps({"answers": answers}))


if __name__ == "__main__":
    main()
