"""Errors of a step as Dagster failures: never retried, with metadata, and noted on the document."""

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from resources.accounting.step_watch import priced
from resources.services import Stores
from sunriza_assets.costs.stopwatch import Stopwatch
from sunriza_assets.errors import ConflictError, StoreError, SunrizaError

__all__ = ["errors_as_failures"]


@contextmanager
def errors_as_failures(
    stores: Stores, avatar_id: str, run_id: str, watch: Stopwatch, *, owner: bool
) -> Iterator[None]:
    """Raise every error but an interruption as `dg.Failure`; a run that owns the avatar notes it.

    Raises:
        Failure: for every error but an interruption, never retried, with what the step took.
    """

    def record(code: str, message: str) -> None:
        if owner:
            _record_error(stores, avatar_id, run_id, code, message)

    def failure(message: str, details: Mapping[str, Any]) -> dg.Failure:
        metadata = {**details, **_costs(watch)}
        return dg.Failure(message, metadata=metadata, allow_retries=False)

    try:
        yield
    except ConflictError as error:  # a newer run owns the avatar, so its document is not ours
        raise failure(error.message, _details(error)) from error
    except SunrizaError as error:
        record(error.code, error.public)
        raise failure(error.message, _details(error)) from error
    except OSError as error:
        named = StoreError(
            "The disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error),
            where=error.filename,
            remedy="Make room and render again." if error.errno == errno.ENOSPC else None,
            code="disk_full" if error.errno == errno.ENOSPC else "io",
        )
        record(named.code, named.public)
        raise failure(named.message, _details(named)) from error
    except dg.Failure as error:
        record("failure", error.description or "The run failed")
        raise failure(error.description or "The run failed", error.metadata) from error
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        record("run.cancelled", "The run was cancelled.")
        raise
    except Exception as error:
        # A bug: the app's user gets a plain sentence, the operator the traceback in the run.
        record("internal", "Something went wrong on our side; the operators can see what")
        raise failure(f"{type(error).__name__}: {error}", {"code": "internal"}) from error


def _record_error(stores: Stores, avatar_id: str, run_id: str, code: str, message: str) -> None:
    try:
        stores.avatars.fail(avatar_id, run_id, code=code, message=message)
    except SunrizaError as error:  # the first error is the one to report
        dg.get_dagster_logger().error("The error is not on the document: %s", error)


def _costs(watch: Stopwatch) -> dict[str, Any]:
    """What a failed step took; an invalid price book must not hide why the step failed."""
    try:
        return priced(watch.record())
    except SunrizaError as error:
        return {**watch.record().to_dict(), "cost_warning": error.message}


def _details(error: SunrizaError) -> dict[str, Any]:
    """The parts of an error as metadata."""
    return {"code": error.code, "where": error.where or "", "remedy": error.remedy or ""}
