"""Who may call which route, how often, and how long the answer may take: one table.

A route that the table does not name gets the strictest policy that fits its method: a caller with
scope `jobs`, the rate of making jobs for POST and that of reads for anything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from sunriza_assets.service.auth.principals import Scope

__all__ = ["Policy", "Rate", "policy_of"]

Rate = Literal["reads", "render", "orders"]
"""Which rate a request counts against; all count against that of reads."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for a method of a route."""

    public: bool = False
    """Whether it answers without a credential; no rate holds then."""
    scope: Scope | None = "jobs"
    """What the caller's credential must allow; None: any credential will do."""
    rate: Rate = "reads"
    """What it counts against."""
    replays: bool = False
    """Whether it takes an Idempotency-Key, and counts what is no repetition by itself then."""
    anonymous: bool = False
    """Whether `SUNRIZA_AUTH=anonymous-until` opens it."""
    loopback: bool = False
    """Whether callers on this machine need no credential."""
    answer_s: float | None = 30.0
    """Seconds for the answer once the request is received; None for a stream."""


_PUBLIC: Final = Policy(public=True)
_HEALTH: Final = Policy(public=True, answer_s=40.0)
_WORK: Final = Policy(rate="orders")
_OLD_APP: Final = Policy(rate="orders", anonymous=True, replays=True)
_TRIM: Final = Policy(rate="orders", anonymous=True, answer_s=180.0)
_RENDER: Final = Policy(scope="render", rate="render", answer_s=180.0)
_OUTPUT: Final = Policy(scope="render")
_STREAM: Final = Policy(answer_s=None)
_CHANGE: Final = Policy()
_LONG: Final = Policy(rate="orders", answer_s=180.0)

_POLICIES: Final[Mapping[tuple[str, str], Policy]] = {
    ("GET", "/health"): _HEALTH,
    ("GET", "/health/live"): _HEALTH,
    ("GET", "/health/ready"): _HEALTH,
    ("GET", "/v2/health/live"): _HEALTH,
    ("GET", "/v2/health/ready"): _HEALTH,
    ("GET", "/openapi.json"): _PUBLIC,
    ("GET", "/"): _PUBLIC,
    ("GET", "/docs"): _PUBLIC,
    ("GET", "/emotions"): _PUBLIC,
    ("GET", "/metrics"): Policy(scope="metrics", loopback=True),
    ("GET", "/me"): Policy(scope=None),
    ("POST", "/"): _OLD_APP,
    ("POST", "/generate-dynamics"): _OLD_APP,
    ("POST", "/trimVideo"): _TRIM,
    ("POST", "/trim-video"): _TRIM,
    ("POST", "/render"): replace(_RENDER, replays=True),
    ("POST", "/render/batch"): replace(_RENDER, replays=True),
    ("GET", "/output/{filename}"): replace(_OUTPUT, answer_s=None),
    ("DELETE", "/output/{filename}"): _OUTPUT,
    ("POST", "/tts"): replace(_RENDER, replays=True),
    ("POST", "/v1/audio/speech"): _RENDER,
    ("GET", "/voices"): replace(_OUTPUT, scope=None),
    ("GET", "/audio/{audio_id}"): replace(_OUTPUT, answer_s=None),
    ("DELETE", "/audio/{audio_id}"): _OUTPUT,
    ("POST", "/inspect"): replace(_RENDER, scope="jobs"),
    ("POST", "/avatars"): replace(_LONG, replays=True),
    ("PATCH", "/avatars/{avatar_id}"): _LONG,
    ("DELETE", "/avatars/{avatar_id}"): Policy(answer_s=180.0),
    ("GET", "/jobs/events"): _STREAM,
    ("GET", "/jobs/{job_id}"): Policy(answer_s=90.0),
    ("GET", "/jobs/{job_id}/events"): _STREAM,
    ("POST", "/jobs/{job_id}/cancel"): _CHANGE,
    ("POST", "/jobs/{job_id}/retry"): replace(_WORK, replays=True),
    ("POST", "/keys"): _CHANGE,
    ("POST", "/webhooks/secret/rotate"): _CHANGE,
}
# A preview still is a picture drawn by the engine; a zip and a file take what their size takes.
_ENDINGS: Final[Mapping[tuple[str, str], Policy]] = {
    ("POST", "/preview"): replace(_RENDER, scope="jobs"),
    ("POST", "/publish"): replace(_CHANGE, answer_s=180.0),
    ("POST", "/redeliver"): _CHANGE,
    ("GET", "/zip"): _STREAM,
    ("GET", "/{name:path}"): _STREAM,
    ("GET", "/{kind}"): _STREAM,
    ("GET", "/{audio_id}.json"): replace(_OUTPUT, answer_s=None),
}
_READ: Final = Policy()
_PREFER_WAIT_S: Final = 65.0


def policy_of(method: str, template: str, *, waits: bool = False) -> Policy:
    """The policy of a method of a route.

    Args:
        method: of the request; HEAD is as GET.
        template: the route's path, `/jobs/{job_id}`.
        waits: whether the request carries `Prefer: wait`, which asks for a slower answer.
    """
    if method == "HEAD":
        method = "GET"
    found = _POLICIES.get((method, template))
    if found is None:
        ending = (method, template[template.rfind("/") :])
        found = _ENDINGS.get(ending, _WORK if method == "POST" else _READ)
    if waits and found.answer_s is not None:
        return replace(found, answer_s=found.answer_s + _PREFER_WAIT_S)
    return found
