"""The messages that receivers of webhooks get; the section `webhooks` of the OpenAPI document.

Signed as Standard Webhooks demand: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

from sunriza_assets.service.schemas.jobs import Job

__all__ = ["WEBHOOKS", "JobEvent"]

WEBHOOKS = APIRouter()
"""Operations that receivers implement; none of them is a route of this service."""


class JobEvent(BaseModel):
    """Something has become of a job."""

    type: Literal["job.done", "job.error", "job.running"]
    timestamp: str = Field(description="When, RFC 3339.")
    data: Job = Field(description="The job as it was then.")


WebhookId = Annotated[
    str, Header(alias="webhook-id", description="Equal for all tries of one message.")
]
WebhookTimestamp = Annotated[
    int, Header(alias="webhook-timestamp", description="Seconds since 1970, of this try.")
]
WebhookSignature = Annotated[
    str,
    Header(
        alias="webhook-signature",
        description="`v1,` and the base64 of HMAC-SHA256 over `<id>.<timestamp>.<body>`; two of"
        " them, separated by a space, while the secret is being changed.",
    ),
]


@WEBHOOKS.post("job.done", status_code=204, summary="A job is done")
def job_done(
    event: JobEvent,
    webhook_id: WebhookId,
    webhook_timestamp: WebhookTimestamp,
    webhook_signature: WebhookSignature,
) -> None:
    """Any 2xx means that the message has arrived; 410 that no more shall come."""


@WEBHOOKS.post("job.error", status_code=204, summary="A job has failed or was cancelled")
def job_error(
    event: JobEvent,
    webhook_id: WebhookId,
    webhook_timestamp: WebhookTimestamp,
    webhook_signature: WebhookSignature,
) -> None:
    """As `job.done`."""


@WEBHOOKS.post("job.running", status_code=204, summary="A job has begun")
def job_running(
    event: JobEvent,
    webhook_id: WebhookId,
    webhook_timestamp: WebhookTimestamp,
    webhook_signature: WebhookSignature,
) -> None:
    """As `job.done`; only to receivers that ask for it."""
