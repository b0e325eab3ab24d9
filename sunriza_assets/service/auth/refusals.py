"""The error of a credential that is refused."""

from sunriza_assets.errors import AccessError
from sunriza_assets.service.monitor import metrics

__all__ = ["refused"]


def refused(
    reason: str, what: str, remedy: str = "Sign in again, or use another key."
) -> AccessError:
    """The error of a credential that is missing, broken or nobody's; it is counted.

    Args:
        reason: one of the values of the label `reason` of `metrics.AUTH_FAILURES`.
        what: what is wrong, for users.
        remedy: what to do about it.
    """
    metrics.AUTH_FAILURES.labels(reason=reason).inc()
    return AccessError(what, remedy=remedy, code="token")
