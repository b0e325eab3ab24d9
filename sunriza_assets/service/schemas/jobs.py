"""Jobs as HTTP answers, streams and webhooks show them (`resources/orders/order_json.py`)."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from resources.orders.order import Kind, State, Status

__all__ = ["EXAMPLE_JOB", "Delivery", "DeliveryList", "Job", "JobCost", "JobError", "JobPage"]

EXAMPLE_JOB: Final[dict[str, Any]] = {
    "job_id": "job_01kb9y3c2v8h6q4m7n5r0t1w2x",
    "id": "job_01kb9y3c2v8h6q4m7n5r0t1w2x",
    "kind": "dynamics",
    "status": "running",
    "state": "running",
    "progress": 42,
    "step": "idle_video",
    "eta_seconds": 17.5,
    "queue_position": None,
    "created_at": "2026-11-30T18:52:28.001Z",
    "started_at": "2026-11-30T18:52:28.610Z",
    "finished_at": None,
    "expires_at": None,
    "revision": 12,
    "avatar_id": "anna",
    "run_id": "7b0e2f1c-5a63-4c0e-9d0a-3f2a1b4c5d6e",
    "attempt": 1,
    "retry_of": None,
    "result": {},
    "video_url": None,
    "audio_url": None,
    "error": None,
    "log_tail": "motion_template: done",
    "cost": None,
    "links": {
        "self": "/jobs/job_01kb9y3c2v8h6q4m7n5r0t1w2x",
        "events": "/jobs/job_01kb9y3c2v8h6q4m7n5r0t1w2x/events",
        "ws": "/ws/jobs/job_01kb9y3c2v8h6q4m7n5r0t1w2x",
        "cancel": "/jobs/job_01kb9y3c2v8h6q4m7n5r0t1w2x/cancel",
        "result": None,
    },
}
"""A running job."""


class JobError(BaseModel):
    """Why a job did not succeed."""

    code: str = Field(description="Dotted code; `run.cancelled` for a cancelled job.")
    message: str = Field(description="What a user may read.")
    retryable: bool = Field(description="Whether the same job may succeed later.")


class JobCost(BaseModel):
    """What a job cost; equal to its manifest's total."""

    seconds: float = Field(description="Seconds of its steps.")
    amount: float = Field(description="Price of those seconds.")
    currency: str = Field(description="ISO 4217 code.")


class JobLinks(BaseModel):
    """Where more of a job is found."""

    self: str
    events: str = Field(description="Server-sent events.")
    ws: str = Field(description="WebSocket.")
    cancel: str = Field(description="POST here to cancel it.")
    result: str | None = Field(description="What it has made, once it is done.")


class Job(BaseModel):
    """One job."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_JOB]})

    job_id: str = Field(description="`job_` and 26 characters; text order is time order.")
    id: str = Field(description="The same.")
    kind: Kind
    status: Status = Field(
        description="The stable word. A client asks again while it is `queued` or `running`."
    )
    state: State = Field(description="The finer word. New ones may come.")
    progress: int = Field(ge=0, le=100, description="Percent; never falls.")
    step: str | None = Field(description="What is being made.")
    eta_seconds: float | None = Field(description="Seconds of work left, as forecast.")
    queue_position: int | None = Field(
        description="How many jobs come before it; 0: it is next; null: it does not wait."
    )
    created_at: str = Field(description="RFC 3339, UTC, milliseconds; as all times here.")
    started_at: str | None
    finished_at: str | None
    expires_at: str | None = Field(description="When it is removed.")
    revision: int = Field(ge=1, description='Grows with every change; the ETag is `"<revision>"`.')
    avatar_id: str | None
    run_id: str | None = Field(description="The run that works for it.")
    attempt: int = Field(ge=1, description="More than 1 after the loss of a run.")
    retry_of: str | None = Field(description="The job that it repeats.")
    result: dict[str, Any] = Field(description="What the kind makes; empty before it is done.")
    video_url: str | None = Field(description="`result.video_url`.")
    audio_url: str | None = Field(description="`result.audio_url`.")
    error: JobError | None
    log_tail: str = Field(description="Its newest lines, at most 20.")
    cost: JobCost | None = Field(description="Once it is done.")
    links: JobLinks


class JobPage(BaseModel):
    """A page of a caller's jobs."""

    jobs: list[Job] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="For the next page; null on the last one.")


class Delivery(BaseModel):
    """One try to deliver a webhook message."""

    number: int = Field(description="1, 2, … within the job.")
    webhook_id: str = Field(description="The message's `webhook-id`; equal for all its tries.")
    event: str = Field(description="`job.done`, `job.error` or `job.running`.")
    at: str = Field(description="When it was tried.")
    status: int | None = Field(description="The receiver's HTTP status; null without an answer.")
    ms: int = Field(description="Milliseconds that it took.")
    outcome: str = Field(description="`delivered`, `refused` or `failed`.")


class DeliveryList(BaseModel):
    """All tries of a job's messages."""

    deliveries: list[Delivery] = Field(description="Oldest first.")
