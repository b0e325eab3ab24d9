"""The audit log: one line for each request that may change something.

Who, what, which id, from where, with what outcome; no bodies, credentials or signed addresses.
"""

from typing import Any, Final

import structlog

from sunriza_assets.service.auth.principals import Principal

__all__ = ["audit", "job_of"]

_log = structlog.get_logger("sunriza.audit")
_ID_CHARACTERS: Final = 200


def job_of(scope: Any) -> str | None:
    """The job that a request has made, or is about."""
    found = scope["state"].get("made") or scope.get("path_params", {}).get("job_id")
    return None if found is None else str(found)[:_ID_CHARACTERS]


def audit(scope: Any, status: int) -> None:
    """Write the line of one request.

    Args:
        scope: its ASGI scope, after the edge middleware.
        status: HTTP status of the answer; 499 if the caller left before.
    """
    state = scope["state"]
    principal: Principal | None = state.get("principal")
    _log.info(
        "audit",
        uid=principal.uid if principal else None,
        credential=principal.credential if principal else None,
        action=f"{scope['method']} {state['route']}",
        ids={
            name: str(value)[:_ID_CHARACTERS]
            for name, value in scope.get("path_params", {}).items()
        },
        job_id=job_of(scope),
        address=state["client"].address,
        outcome=status,
        code=state.get("problem"),
    )
