"""Runs that turn out not to be needed: two were requested for the same inputs at the same moment.

Who requests a run, a sensor or the dispatcher of the service, looks for one that is under way, and
still two may look at once. So each run looks again before it claims its avatar, and the later one
ends without work. Runs that an operator starts carry no version of inputs and are always made.
"""

from typing import Final

import dagster as dg

from resources.avatars.document import AvatarDocument
from resources.process_names import is_gone
from sunriza_assets.errors import ConflictError
from sunriza_assets.graph.tags import FORCE_TAG, INPUTS_TAG, ORDER_TAG, PROCESS_TAG

__all__ = ["needless_run"]

_REMEDY: Final = "Nothing is to be done."


def needless_run(
    instance: dg.DagsterInstance, run: dg.DagsterRun, document: AvatarDocument
) -> ConflictError | None:
    """Why a run that has not claimed its avatar yet need not be made; None if it is needed.

    `conflict.duplicate`: another run that is under way has claimed the same inputs.
    `conflict.published`: the inputs are published already. An order of the service is made all
    the same: its assets are compared one by one, with the present code and engine.
    """
    record, wanted = document.record, run.tags.get(INPUTS_TAG)
    if wanted is None or wanted != document.inputs_version or record.run_id == run.run_id:
        return None
    forced = run.tags.get(FORCE_TAG) == "true"
    if record.state == "generating" and record.last_run_covers(wanted):
        other = instance.get_run_by_id(record.run_id or "")
        if other is not None and _does_the_same(other, wanted, forced=forced):
            return ConflictError(
                f"Run {other.run_id} makes this avatar of the same inputs",
                where=document.avatar_id,
                remedy=_REMEDY,
                code="duplicate",
            )
    if not forced and ORDER_TAG not in run.tags and record.results_cover(wanted):
        return ConflictError(
            "These inputs are published already",
            where=document.avatar_id,
            remedy=_REMEDY,
            code="published",
        )
    return None


def _does_the_same(run: dg.DagsterRun, wanted: str, *, forced: bool) -> bool:
    """Whether a run is under way and makes what is wanted of these inputs."""
    same = run.tags.get(INPUTS_TAG) == wanted
    enough = not forced or run.tags.get(FORCE_TAG) == "true"
    return same and enough and not run.is_finished and not is_gone(run.tags.get(PROCESS_TAG, ""))
