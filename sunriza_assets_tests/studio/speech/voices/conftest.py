"""One worker that speaks with eSpeak NG, for all tests of a process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sunriza_assets.studio.speech.voices.worker import VoiceWorker


@pytest.fixture(scope="session")
def espeak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VoiceWorker]:
    with VoiceWorker("espeak", Path(tmp_path_factory.mktemp("models"))) as worker:
        yield worker
