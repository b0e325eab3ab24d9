"""Speech over HTTP, spoken by the real voices of the engine process."""

import hashlib
import io
import json
import wave
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import av
import httpx
import openai
import pytest

from sunriza_assets.service.auth.keys import make_key
from sunriza_assets.service.engine_socket import EngineSocket
from sunriza_assets.service.engine_wire import engine_socket
from sunriza_assets.service.languages import guessed_language
from sunriza_assets.service.outputs import OutputFolder
from sunriza_assets.service.policies import policy_of
from sunriza_assets.studio.marks.reading import read_mark_in_process
from sunriza_assets_tests.service.engine.conftest import RunningEngine
from sunriza_assets_tests.service.serving import Served, make_service, serving

ANSWER = {
    "audio_url", "audio_id", "duration_ms", "sample_rate", "cached", "engine", "why", "voice",
    "licence", "language", "consent_id",
}  # fmt: skip
CONSENT = {"who": "Ada Lovelace", "when": "2026-01-31", "statement": "My voice may be imitated."}


@pytest.fixture(scope="module")
def served(engine: RunningEngine) -> Iterator[Served]:
    """A service with identity beside the engine process, on the same home."""
    service = make_service(engine.home, open_mode=False, SUNRIZA_AUTH="required")
    service.engine = EngineSocket(engine_socket(engine.home))
    with serving(service) as running:
        yield running


def key_of(served: Served, user: str, *scopes: str) -> str:
    text, key = make_key(user, scopes or ("render", "jobs"), "test")
    served.service.orders.add_key(key)
    return text


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client(Authorization=f"Bearer {key_of(served, 'ada')}") as client:
        yield client


@pytest.fixture(scope="module")
def stranger(served: Served) -> Iterator[httpx.Client]:
    with served.client(Authorization=f"Bearer {key_of(served, 'ben')}") as client:
        yield client


def spoken(client: httpx.Client, text: str, **fields: Any) -> dict[str, Any]:
    """The answer to a text that can be spoken."""
    answer = client.post("/tts", json={"text": text, **fields})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def wav_of(data: bytes) -> tuple[int, float, bytes]:
    """Rate, seconds and samples of a WAV file of 16 bits, mono."""
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        samples = file.readframes(file.getnframes())
        return file.getframerate(), file.getnframes() / file.getframerate(), samples


def test_a_text_is_spoken_fetched_and_deleted(client: httpx.Client, stranger: httpx.Client) -> None:
    answer = spoken(client, "Guten Morgen, mein Lieber.")
    assert set(answer) == ANSWER
    assert (answer["language"], answer["cached"], answer["consent_id"]) == ("de", False, None)
    sound = client.get(answer["audio_url"])
    assert (sound.status_code, sound.headers["content-type"]) == (200, "audio/wav")
    rate, seconds, samples = wav_of(sound.content)
    assert rate == answer["sample_rate"]
    assert round(seconds * 1000) == pytest.approx(answer["duration_ms"], abs=1)
    assert 1 < seconds < 4
    assert any(samples), "silence"
    path = f"/audio/{answer['audio_id']}"
    times = client.get(f"{path}.json").json()
    phones = times["phones"]
    assert len(phones) > 10
    assert all(0 <= one["start"] <= one["end"] <= seconds + 0.05 for one in phones)
    assert any(one["viseme"] == "MBP" for one in times["visemes"])
    head = client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(sound.content))
    part = client.get(path, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, sound.content[10:20])
    known = client.get(path, headers={"If-None-Match": sound.headers["etag"]})
    assert known.status_code == 304
    foreign = [stranger.get(path), stranger.get(f"{path}.json"), stranger.delete(path)]
    nobodys = client.get(f"/audio/{'0' * 32}")
    assert [one.status_code for one in (*foreign, nobodys)] == [404] * 4
    assert len({one.json()["detail"] for one in (*foreign, nobodys)}) == 1
    assert client.delete(path).status_code == 204
    for gone in (client.delete, client.get, client.head):
        assert gone(path).status_code == 404
    assert client.get(f"{path}.json").status_code == 404


def test_a_repeat_is_the_same_to_the_byte_and_others_is_not_shown(
    client: httpx.Client, stranger: httpx.Client
) -> None:
    first = spoken(client, "Wiederholung.")
    again = spoken(client, "Wiederholung.")
    others = spoken(stranger, "Wiederholung.")
    assert (first["cached"], again["cached"], others["cached"]) == (False, True, True)
    assert len({one["audio_id"] for one in (first, again, others)}) == 3
    data = {client.get(one["audio_url"]).content for one in (first, again)}
    assert data == {stranger.get(others["audio_url"]).content}
    assert client.get(others["audio_url"]).status_code == 404
    by_times = f"/audio/{again['audio_id']}.json"
    assert [client.delete(by_times).status_code for _ in range(2)] == [204, 404]
    assert client.get(again["audio_url"]).status_code == 404
    slower = spoken(client, "Wiederholung.", speed=0.5)
    assert slower["cached"] is False
    assert slower["duration_ms"] > 1.4 * first["duration_ms"]


def test_eight_equal_requests_at_once_are_one(client: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: spoken(client, "Alle auf einmal."), range(8)))
    assert len({client.get(one["audio_url"]).content for one in answers}) == 1
    assert [one["cached"] for one in answers].count(False) >= 1
    # Whoever came while it was spoken has the very same answer.
    first = next(one for one in answers if not one["cached"])
    assert all(one == first for one in answers if not one["cached"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"text": "Saluton", "lang": "xx"}, 422, "speech.language"),
        ({"text": "Hallo", "lang": "de or en"}, 422, "request.invalid"),
        ({"text": ""}, 422, "speech.empty"),
        ({"text": "😀😀😀"}, 422, "speech.empty"),
        ({}, 422, "request.invalid"),
        ({"text": "a" * 10_000}, 422, "speech.too_long"),
        ({"text": "<speak>Hallo</speak>"}, 422, "speech.markup"),
        ({"text": "Hallo", "speed": 9}, 422, "request.invalid"),
        ({"text": "Hallo", "engine": "loudhailer"}, 422, "speech.engine"),
        ({"text": "Hallo", "voice": "nobody"}, 422, "speech.voice"),
        ({"text": "Hallo", "webhook_url": "http://127.0.0.1/"}, 400, "parameter.webhook"),
        ({"text": "Hallo", "pitch": 3}, 422, "request.invalid"),
        ([], 422, "request.invalid"),
    ],
)
def test_what_cannot_be_spoken_is_said(
    client: httpx.Client, body: Any, status: int, code: str
) -> None:
    answer = client.post("/tts", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_raw_phonemes_and_pictures_are_spoken_as_plain_text(client: httpx.Client) -> None:
    plain = spoken(client, "Hallo h@l'oU Welt")
    marked = spoken(client, "Hallo [[h@l'oU]] 😀 Welt")
    assert marked["cached"] is True
    assert marked["duration_ms"] == plain["duration_ms"]


def test_a_key_speaks_once(client: httpx.Client) -> None:
    headers = {"Idempotency-Key": "speak-once"}
    first = client.post("/tts", json={"text": "Einmal."}, headers=headers)
    again = client.post("/tts", json={"text": "Einmal."}, headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = client.post("/tts", json={"text": "Zweimal."}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency.mismatch")
    form = client.post("/tts", files={"text": (None, "Einmal.")}, headers=headers)
    assert form.status_code == 422, "a form is another request"


def test_a_form_says_the_same(client: httpx.Client) -> None:
    by_form = client.post(
        "/tts",
        files={"text": (None, "Als Formular."), "speed": (None, "1.5"), "lang": (None, "de")},
    )
    assert by_form.status_code == 200, by_form.text
    assert spoken(client, "Als Formular.", speed=1.5)["cached"] is True


def test_whoever_does_not_wait_gets_a_job(client: httpx.Client, stranger: httpx.Client) -> None:
    body, prefer = {"text": "Später, bitte."}, {"Prefer": "respond-async"}
    answer = client.post("/tts", json=body, headers={**prefer, "Idempotency-Key": "later"})
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["kind"], job["status"], job["result"]) == ("tts", "queued", {})
    assert job["eta_seconds"] < 20
    assert answer.headers["location"] == f"/jobs/{job['job_id']}"
    again = client.post("/tts", json=body, headers={**prefer, "Idempotency-Key": "later"})
    assert again.json()["job_id"] == job["job_id"]
    assert again.headers["idempotency-replayed"] == "true"
    same = client.post("/tts", json=body, headers=prefer)
    assert same.json()["job_id"] == job["job_id"], "an equal unfinished job is taken"
    assert stranger.get(f"/jobs/{job['job_id']}").status_code == 404
    refused = client.post("/tts", json={"text": "x", "lang": "xx"}, headers=prefer)
    assert (refused.status_code, refused.json()["code"]) == (422, "speech.language")
    assert client.post(f"/jobs/{job['job_id']}/cancel").status_code == 202
    retried = client.post(f"/jobs/{job['job_id']}/retry").json()
    assert (retried["kind"], retried["retry_of"]) == ("tts", job["job_id"])
    client.post(f"/jobs/{retried['job_id']}/cancel")


def test_what_will_take_long_becomes_a_job_unless_it_was_spoken_before(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken(client, "Schon bekannt.")
    monkeypatch.setattr("sunriza_assets.service.routes.speech.PATIENCE_S", 0.0)
    headers = {"Idempotency-Key": "long"}
    answers = [
        client.post("/tts", json={"text": "Noch nie gehört."}, headers=headers) for _ in range(2)
    ]
    assert [one.status_code for one in answers] == [202, 202]
    assert answers[0].json()["job_id"] == answers[1].json()["job_id"]
    assert answers[0].json()["eta_seconds"] >= 0
    assert spoken(client, "Schon bekannt.")["cached"] is True
    client.post(f"/jobs/{answers[0].json()['job_id']}/cancel")


def test_speech_counts_as_pictures_do() -> None:
    for path in ("/tts", "/v1/audio/speech"):
        policy = policy_of("POST", path)
        assert (policy.rate, policy.scope, policy.public) == ("render", "render", False)


def test_a_voice_is_imitated_only_with_consent(
    client: httpx.Client, stranger: httpx.Client, served: Served
) -> None:
    sample = client.get(spoken(client, "Drei Sekunden einer Stimme, die es gibt.")["audio_url"])

    def imitate(**fields: str) -> httpx.Response:
        return client.post(
            "/tts", files={"voice_clone_wav": ("voice.wav", sample.content)},
            data={"text": "Ich bin es.", **fields},
        )  # fmt: skip

    assert (imitate().status_code, imitate().json()["code"]) == (422, "speech.consent")
    for wrong in ("yes", "[]"):
        assert imitate(consent=wrong).json()["code"] == "parameter.consent"
    tomorrow = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    for field, value in (("who", ""), ("when", "soon"), ("when", tomorrow), ("statement", " . ")):
        answer = imitate(consent=json.dumps({**CONSENT, field: value}))
        assert (answer.status_code, answer.json()["code"]) == (422, "request.invalid")
    foreign = imitate(consent=json.dumps(CONSENT), avatar_id="nobodys")
    assert (foreign.status_code, foreign.json()["code"]) == (404, "avatar.missing")
    assert client.get("/consents").json() == {"consents": []}, (
        "nothing is stored of what is refused"
    )
    # No engine of this installation clones; what may be imitated was declared, but nothing was.
    able = imitate(consent=json.dumps(CONSENT))
    assert (able.status_code, able.json()["code"]) == (501, "model.cloning")
    assert "sunriza models pull pocket --voice de-reference" in able.json()["detail"]
    digest = hashlib.sha256(sample.content).hexdigest()
    said = served.service.orders.add_consent(
        "ada", sample_sha256=digest, who="Ada", given_on="2026-01-31", statement="Yes."
    )
    (shown,) = client.get("/consents").json()["consents"]
    assert (shown["consent_id"], shown["sample_sha256"]) == (said.consent_id, digest)
    path = f"/consents/{said.consent_id}"
    assert stranger.get("/consents").json() == {"consents": []}
    assert stranger.delete(path).status_code == 404
    assert [client.delete(path).status_code for _ in range(2)] == [204, 404]


def test_voices_are_listed(client: httpx.Client) -> None:
    voices = client.get("/voices").json()["voices"]
    here = [voice for voice in voices if voice["installed"]]
    assert {"de", "en"} <= {tag.partition("-")[0] for one in here for tag in one["languages"]}
    for voice in voices:
        assert voice["licence"]
        assert bool(voice["how_to_install"]) != voice["installed"]


def test_sounds_go_after_their_time(client: httpx.Client, served: Served) -> None:
    answer = spoken(client, "Nicht für immer.")
    names = [f"{answer['audio_id']}.{suffix}" for suffix in ("wav", "json")]
    folder, orders = OutputFolder(served.service.outputs_folder), served.service.orders
    kept = orders.output(names[0])
    assert kept is not None
    assert timedelta(hours=23) < kept.expires_at - datetime.now(UTC) < timedelta(hours=25)
    for name in names:
        orders.add_output(name, "ada", order_id=None, expires_at=datetime.now(UTC))
    folder.sweep(orders, storage=served.service.stores.storage)
    assert not any((folder.folder / name).exists() for name in names)
    assert client.get(answer["audio_url"]).status_code == 404


# OpenAI's shape


@pytest.fixture(scope="module")
def official(served: Served) -> Iterator[openai.OpenAI]:
    """The official package."""
    with openai.OpenAI(
        base_url=f"{served.url}/v1", api_key=key_of(served, "ada"), max_retries=0,
        http_client=openai.DefaultHttpxClient(trust_env=False),
    ) as client:  # fmt: skip
        yield client


@pytest.mark.parametrize("form", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_the_official_client_speaks_in_every_format(
    official: openai.OpenAI, form: Any, tmp_path: Path
) -> None:
    with official.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input="Good morning, my dear.", response_format=form
    ) as response:
        assert response.headers["transfer-encoding"] == "chunked"
        data = b"".join(response.iter_bytes())
    if form == "pcm":
        seconds = len(data) / 2 / 24_000
    elif form == "wav":
        _, seconds, _ = wav_of(data)
    else:
        with av.open(io.BytesIO(data)) as container:
            seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert 1 < seconds < 4
    (tmp_path / "speech").write_bytes(data)
    mark = read_mark_in_process(tmp_path / "speech", roots="")
    if form in ("mp3", "flac", "wav"):
        assert mark.state == "valid"
        assert mark.source in ("algorithmicMedia", "trainedAlgorithmicMedia")
        assert [name for name, _ in mark.inputs] == ["text"]
    else:
        assert mark.state == "absent"


def test_the_official_client_asks_for_voices_and_languages(
    official: openai.OpenAI, client: httpx.Client
) -> None:
    voice = spoken(client, "Guten Morgen, liebe Leute.", speed=1.25)
    sound = official.audio.speech.create(
        model=voice["engine"], voice=voice["voice"], input="Guten Morgen, liebe Leute.",
        response_format="wav", speed=1.25, instructions="cheerfully", extra_body={"lang": "de"},
    )  # fmt: skip
    assert sound.content == client.get(voice["audio_url"]).content
    assert sound.response.headers["x-sunriza-cached"] == "true"


def test_errors_have_openais_shape(official: openai.OpenAI, served: Served) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as markup:
        official.audio.speech.create(model="tts-1", voice="alloy", input="<b>x</b>")
    assert (markup.value.code, markup.value.type) == ("speech.markup", "invalid_request_error")
    with pytest.raises(openai.UnprocessableEntityError) as form:
        official.audio.speech.create(
            model="tts-1",
            voice="alloy",
            input="x",
            response_format="midi",  # type: ignore[arg-type]
        )
    assert form.value.code == "request.invalid"
    nobody = official.with_options(api_key="sk-nobody")
    with pytest.raises(openai.AuthenticationError) as unknown:
        nobody.audio.speech.create(model="tts-1", voice="alloy", input="x")
    assert unknown.value.type == "authentication_error"
    with pytest.raises(openai.NotFoundError):
        official.models.list()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Good morning, how are you today?", "en"), ("Guten Morgen, wie geht es dir?", "de"),
        ("Bonjour, comment ça va ?", "fr"), ("Buenos días, ¿cómo está usted?", "es"),
        ("Buongiorno, come sono i ragazzi?", "it"), ("Bom dia, você não está em casa?", "pt"),
        ("Goedemorgen, hoe gaat het met jou?", "nl"), ("42", "en"),
    ],
)  # fmt: skip
def test_a_language_is_guessed(text: str, language: str) -> None:
    assert guessed_language(text) == language
