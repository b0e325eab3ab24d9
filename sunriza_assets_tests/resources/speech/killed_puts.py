"""Kill a process with -9 at each sync of `SoundCache.put`; writes what the cache then holds.

python -m sunriza_assets_tests.resources.speech.killed_puts '{"folder": "…"}'
"""

import json
import os
import signal
import sys
from pathlib import Path

from resources.speech.sound_cache import SoundCache

SOUND = b"RIFF" + bytes(100_000)
MOST_SYNCS = 20


def put_and_die(cache: SoundCache, key: str, last: int) -> None:
    """Store an entry; the kernel ends this process before the sync of this number."""
    sync, count = os.fsync, 0

    def counted(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
        sync(descriptor)

    os.fsync = counted
    cache.put(key, SOUND, {"number": last})
    os._exit(0)


def main() -> None:
    folder = Path(json.loads(sys.argv[1])["folder"])
    cache = SoundCache(folder, 10**9)
    states = []
    for last in range(1, MOST_SYNCS):
        key = f"{last:064x}"
        child = os.fork()
        if child == 0:
            put_and_die(cache, key, last)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        found = cache.get(key)
        whole = found is not None and found.wav.read_bytes() == SOUND
        states.append({"killed": killed, "there": found is not None, "whole": whole})
        if not killed:
            break
    sys.stdout.write(json.dumps({"states": states}))


if __name__ == "__main__":
    main()
