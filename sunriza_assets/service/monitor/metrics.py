"""All metrics of the service, and the text in which Prometheus reads them.

Counters and histograms are updated where things happen, in whatever process; with
`PROMETHEUS_MULTIPROC_DIR` set (the supervisor sets it for all its children) the processes share
them through files. What the store knows (jobs, queue, lease) is read when it is asked for.
Labels come from fixed sets; a path that no route knows is counted as `other`.
"""

from functools import lru_cache
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)

__all__ = [
    "AUTH_FAILURES",
    "COST",
    "ERRORS",
    "JOB_DURATION",
    "REGISTRY",
    "RENDER_STAGE",
    "REQUESTS",
    "REQUEST_DURATION",
    "SPEECH",
    "SPEECH_FACTOR",
    "SPEECH_SOUND",
    "STREAM_CONNECTIONS",
    "WEBHOOK_DELIVERIES",
    "count_request",
    "count_speech",
]

disable_created_metrics()  # a second series for each, which no query of ours reads
REGISTRY: Final = CollectorRegistry()
"""Registry of what one process counts itself."""

_REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FACTOR_BUCKETS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_JOB_BUCKETS: Final = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)

REQUESTS: Final = Counter(
    "liveportrait_requests",
    "Answered requests.",
    ("route", "method", "status"),
    registry=REGISTRY,
)
"""`route` is a path template."""
REQUEST_DURATION: Final = Histogram(
    "liveportrait_request_duration_seconds",
    "Seconds from a request's head to the end of its answer.",
    ("route",),
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
"""Streams are counted when they end."""
ERRORS: Final = Counter(
    "liveportrait_errors",
    "Requests answered with a problem, by its code.",
    ("route", "code"),
    registry=REGISTRY,
)
"""`code` is a problem's code."""
JOB_DURATION: Final = Histogram(
    "sunriza_job_duration_seconds",
    "Seconds from a job's acceptance to its end.",
    ("kind",),
    buckets=_JOB_BUCKETS,
    registry=REGISTRY,
)
"""Observed by the dispatcher."""
RENDER_STAGE: Final = Histogram(
    "sunriza_render_stage_seconds",
    "Seconds of the stages of an emotion picture: prepare, draw, encode.",
    ("stage",),
    buckets=_REQUEST_BUCKETS,
    registry=REGISTRY,
)
"""Observed by the engine process."""
SPEECH: Final = Counter(
    "sunriza_speech",
    "Spoken sounds: hit, where the same had been spoken before, or miss.",
    ("result",),
    registry=REGISTRY,
)
"""Counted by the engine process, and by the dispatcher for jobs; so are the next two."""
SPEECH_SOUND: Final = Counter(
    "sunriza_speech_sound_seconds",
    "Seconds of sound that were spoken anew.",
    ("engine",),
    registry=REGISTRY,
)
"""`engine` is the name of a voice engine."""
SPEECH_FACTOR: Final = Histogram(
    "sunriza_speech_realtime_factor",
    "Seconds that speaking took for each second of sound.",
    ("engine",),
    buckets=_FACTOR_BUCKETS,
    registry=REGISTRY,
)
"""Below 1 a voice is faster than it is listened to."""
STREAM_CONNECTIONS: Final = Gauge(
    "sunriza_stream_connections",
    "Open streams: websocket, sse, long_poll.",
    ("kind",),
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
"""Changed by the routes that stream."""
WEBHOOK_DELIVERIES: Final = Counter(
    "sunriza_webhook_deliveries",
    "Tries to deliver a webhook: delivered, refused, failed.",
    ("result",),
    registry=REGISTRY,
)
"""Counted by the dispatcher."""
COST: Final = Counter(
    "sunriza_cost",
    "What finished work has cost, in the price book's currency.",
    ("kind", "currency"),
    registry=REGISTRY,
)
"""Counted by the dispatcher and by the booking of direct calls."""
AUTH_FAILURES: Final = Counter(
    "sunriza_auth_failures",
    "Requests whose credential was refused.",
    ("reason",),
    registry=REGISTRY,
)
"""`reason` is one of those in `_FIXED` below."""

_VOICE_ENGINES: Final = ("espeak", "piper", "kokoro", "pocket", "xtts")
_FIXED: Final = (
    (SPEECH, ("hit", "miss")),
    (SPEECH_SOUND, _VOICE_ENGINES),
    (SPEECH_FACTOR, _VOICE_ENGINES),
    (JOB_DURATION, ("dynamics", "animate", "refine", "tts", "trim", "render_batch")),
    (RENDER_STAGE, ("prepare", "draw", "encode")),
    (STREAM_CONNECTIONS, ("websocket", "sse", "long_poll")),
    (WEBHOOK_DELIVERIES, ("delivered", "refused", "failed")),
    (
        AUTH_FAILURES,
        (
            "missing",
            "several",
            "malformed",
            "signature",
            "expired",
            "claims",
            "key",
            "origin",
            "scope",
        ),
    ),
)


def count_request(route: str, method: str, status: int, seconds: float) -> None:
    """Count an answered request.

    Args:
        route: its path template.
        method: one that routes have, or `OTHER`.
        status: of the answer.
        seconds: from its head to the end of its answer.
    """
    _requests(route, method, status).inc()
    _duration(route).observe(seconds)


# Looking a series up costs more than counting in it.
@lru_cache(maxsize=4096)
def _requests(route: str, method: str, status: int) -> Counter:
    return REQUESTS.labels(route=route, method=method, status=str(status))


@lru_cache(maxsize=1024)
def _duration(route: str) -> Histogram:
    return REQUEST_DURATION.labels(route=route)


def count_speech(*, engine: str, cached: bool, sound_s: float, took_s: float) -> None:
    """Count a spoken sound.

    Args:
        engine: which has spoken.
        cached: whether the same had been spoken before.
        sound_s: seconds of sound.
        took_s: seconds that speaking took.
    """
    SPEECH.labels("hit" if cached else "miss").inc()
    if not cached:
        SPEECH_SOUND.labels(engine).inc(sound_s)
        if sound_s > 0:
            SPEECH_FACTOR.labels(engine).observe(took_s / sound_s)


for _metric, _values in _FIXED:  # so that they are there, at zero, before anything happens
    for _value in _values:
        _metric.labels(_value)
