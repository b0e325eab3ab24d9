"""The engine process's part of speaking, in this process: what is made, shared and booked."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resources.orders.spoken import SpeechWish
from resources.speech.sound_cache import SoundCache
from resources.speech.speaker import Speaker
from sunriza_assets.costs.calls import CallBook
from sunriza_assets.costs.devices import cpu
from sunriza_assets.costs.ledger import Ledger
from sunriza_assets.costs.prices import price_book
from sunriza_assets.costs.reports import COST_COLUMNS, cost_report
from sunriza_assets.errors import LimitError, MediaError, ModelError, SpeechError
from sunriza_assets.service.engine.speaking import Speaking
from sunriza_assets.service.engine.work import Work
from sunriza_assets.service.monitor.metrics import REGISTRY
from sunriza_assets.studio.media import sandbox
from sunriza_assets.studio.speech.sound import Sound
from sunriza_assets.studio.speech.wav import write_wav


@contextmanager
def speaking_in(folder: Path) -> Iterator[tuple[Speaking, CallBook]]:
    book = CallBook(folder / "calls", price_book())
    with sandbox.fork_server() as decoders:
        work = Work(book, decoders, engine=("", ""), device=cpu())
        speaker = Speaker(folder / "models", SoundCache(folder / "cache", 10_000_000))
        speaking = Speaking(speaker, book, work, folder / "outputs")
        try:
            yield speaking, book
        finally:
            speaking.close()
            work.close()


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_one_synthesis_for_all_who_ask_and_nothing_is_paid_twice(tmp_path: Path) -> None:
    wish = SpeechWish("Einmal für alle.", "de").to_dict()
    asked: dict[str, Any] = {"wish": wish, "reference": None}
    before = [counted("sunriza_speech_total", result=result) for result in ("miss", "hit")]

    async def work(speaking: Speaking) -> None:
        expected = await speaking.speech_forecast(wish=wish)
        assert (expected["engine"], expected["cached"]) == ("espeak", False)
        assert expected["seconds"] > 0
        declined = await speaking.speak(**asked, owner="ada", patience_s=0.0)
        assert declined == expected
        first, *others = await asyncio.gather(
            *(speaking.speak(**asked, owner="ada", patience_s=20.0) for _ in range(8))
        )
        assert all(one == first for one in others)
        assert first["cached"] is False
        files = sorted(path.name for path in (tmp_path / "outputs").iterdir())
        assert files == [f"{first['audio_id']}.json", f"{first['audio_id']}.wav"]
        kept = await speaking.speak(**asked, owner="ben", patience_s=0.0)
        assert (kept["cached"], kept["audio_id"] == first["audio_id"]) == (True, False)
        sounds = {path.read_bytes() for path in (tmp_path / "outputs").glob("*.wav")}
        assert len(sounds) == 1
        await speaking.speak_to(
            wish=wish, destination=str(tmp_path / "a.mp3"), audio_format="mp3", owner="ben"
        )

    with speaking_in(tmp_path) as (speaking, book):
        asyncio.run(work(speaking))
        book.flush()
    ledger = Ledger(tmp_path / "ledger")
    ledger.add_calls(tmp_path / "calls")
    rows = ledger.frame().query("kind == 'tts' and cache.notna()").set_index("owner")
    assert list(rows.index.astype(str)) == ["ada", "ben"]
    assert list(rows["cache"]) == ["miss", "hit"]
    assert list(rows["calls"]) == [1, 2]
    assert rows["cost"].astype(float).gt(0).tolist() == [True, False]
    assert (rows.loc["ada", "characters"], rows.loc["ben", "characters"]) == (16, 32)
    assert rows.loc["ada", "voice"]
    assert rows.loc["ada", "licence"].startswith("GPL-3.0")
    assert rows.loc["ada", "sound_s"] > 0.5
    assert rows.loc["ada", "cpu_s"] > 0
    table = cost_report(ledger.frame(COST_COLUMNS), price_book(), by="kind").rows
    assert list(table["kind"]) == ["tts"]
    assert table["cache_hits"].iloc[0] == 2
    after = [counted("sunriza_speech_total", result=result) for result in ("miss", "hit")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 2]
    assert counted("sunriza_speech_sound_seconds_total", engine="espeak") > 0.5


def test_who_leaves_takes_nothing_from_the_others_and_too_many_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sunriza_assets.service.engine.speaking._MOST_PENDING", 1)
    asked: dict[str, Any] = {"owner": "ada", "reference": None, "patience_s": None}

    async def work(speaking: Speaking) -> None:
        wish = SpeechWish("Wer geht, geht allein.", "de").to_dict()
        leaver, stayer = (
            asyncio.ensure_future(speaking.speak(wish=wish, **asked)) for _ in range(2)
        )
        await asyncio.sleep(0)
        leaver.cancel()
        with pytest.raises(LimitError) as full:
            await speaking.speak(wish=SpeechWish("Noch einer.", "de").to_dict(), **asked)
        assert full.value.code == "limit.speech"
        assert (await stayer)["audio_id"]
        assert leaver.cancelled()

    with speaking_in(tmp_path) as (speaking, _):
        asyncio.run(work(speaking))


def test_samples_are_decoded_and_measured_before_anything_is_imitated(tmp_path: Path) -> None:
    tone = np.sin(np.arange(16_000 * 4) / 8).astype(np.float32) / 4
    samples = {name: tmp_path / name for name in ("short", "good", "hostile")}
    write_wav(samples["short"], Sound(tone[:16_000], 16_000))
    write_wav(samples["good"], Sound(tone, 16_000))
    samples["hostile"].write_bytes(b"RIFF\xff\xff\xff\xffWAVEfmt " + b"\xff" * 400)
    wish = SpeechWish("Ich bin es.", "de").to_dict()

    async def work(speaking: Speaking, name: str) -> None:
        await speaking.speak(wish=wish, owner="ada", reference=str(samples[name]), patience_s=None)

    with speaking_in(tmp_path) as (speaking, _):
        with pytest.raises(SpeechError) as short:
            asyncio.run(work(speaking, "short"))
        assert short.value.code == "speech.sample"
        with pytest.raises(MediaError):
            asyncio.run(work(speaking, "hostile"))
        with pytest.raises(ModelError) as missing:
            asyncio.run(work(speaking, "good"))
        assert "sunriza models pull" in str(missing.value)
    assert not (tmp_path / "cache").exists(), "nothing of a sample is kept"
