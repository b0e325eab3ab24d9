"""The cache keeps whole sounds, within its bound, whatever happens to whoever writes them."""

import os
import time
from pathlib import Path

from resources.speech.sound_cache import SoundCache
from sunriza_assets_tests.processes import ask_module
from sunriza_assets_tests.resources.speech import killed_puts


def key(number: int) -> str:
    return f"{number:064x}"


def fill(cache: SoundCache, numbers: range, size: int = 10_000) -> None:
    """Entries of so many bytes, each last used a minute after the one before, long ago."""
    for number in numbers:
        stored = cache.put(key(number), bytes(size), {"number": number})
        used = time.time() - 100_000 + 60 * number
        os.utime(stored.wav.parent, (used, used))


def test_a_kill_at_any_sync_leaves_a_whole_entry_or_none(tmp_path: Path) -> None:
    told = ask_module(killed_puts.__name__, {"folder": str(tmp_path)})
    states = told["states"]
    assert len(states) > 4, "it was killed at several places"
    assert not states[-1]["killed"]
    assert states[-1]["whole"]
    assert all(state["there"] == state["whole"] for state in states)
    assert not states[0]["there"]
    left = [path for path in tmp_path.rglob(".*.part") if path.is_dir()]
    assert left, "what was killed leaves something behind"
    for path in left:
        os.utime(path, (1, 1))
    SoundCache(tmp_path, 10**9).evict()
    assert not [path for path in left if path.exists()]


def test_the_least_recently_used_go_first_and_the_bound_holds(tmp_path: Path) -> None:
    cache = SoundCache(tmp_path, 55_000)
    fill(cache, range(5))
    assert cache.get(key(0)) is not None  # used now
    stored = cache.put(key(9), bytes(10_000), {})
    assert stored.wav.is_file()
    there = [number for number in (0, 1, 2, 3, 4, 9) if cache.has(key(number))]
    assert there == [0, 2, 3, 4, 9]
    everything = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert everything <= 55_000


def test_what_was_used_a_moment_ago_stays_beyond_the_bound(tmp_path: Path) -> None:
    cache = SoundCache(tmp_path, 5_000)
    first = cache.put(key(1), bytes(10_000), {})
    cache.put(key(2), bytes(10_000), {})
    assert first.wav.is_file()
    assert SoundCache(tmp_path, 5_000, grace_s=0).evict() > 10_000
    assert not first.wav.exists()


def test_a_damaged_entry_counts_as_none_and_goes(tmp_path: Path) -> None:
    cache = SoundCache(tmp_path, 10**9)
    for number, name in enumerate(("audio.wav", "audio.json")):
        stored = cache.put(key(number), bytes(1000), {})
        (stored.wav.parent / name).write_bytes(b"{}")
        assert cache.get(key(number)) is None
        assert not stored.wav.parent.exists()
        removed = cache.put(key(number), bytes(1000), {})
        (removed.wav.parent / name).unlink()
        assert cache.get(key(number)) is None


def test_sounds_of_one_reference_are_removed_together(tmp_path: Path) -> None:
    cache = SoundCache(tmp_path, 10**9)
    for number in range(4):
        cache.put(key(number), bytes(1000), {"reference_sha256": "ab"[number % 2]})
    assert cache.discard("reference_sha256", "a") == 2
    assert [cache.has(key(number)) for number in range(4)] == [False, True, False, True]
