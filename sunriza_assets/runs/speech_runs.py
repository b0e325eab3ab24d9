"""Runs that speak the text of an order, in this process."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from resources.process_names import this_process
from sunriza_assets.definitions import build_defs
from sunriza_assets.graph.assets.orders import speech_config
from sunriza_assets.graph.jobs import SPEAK_ORDER
from sunriza_assets.graph.tags import PROCESS_TAG
from sunriza_assets.runs.run_results import (
    assets_of,
    error_of,
    failure_status,
    total_of,
    was_interrupted,
)
from sunriza_assets.runs.step_lines import LOGGED, with_step_lines

__all__ = ["SpeechRuns"]


class SpeechRuns:
    """Runs of the job that speaks, logged; one object keeps its voices warm.

    Args:
        instance: where runs and events are kept.
    """

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._job = with_step_lines(build_defs().resolve_job_def(SPEAK_ORDER.name))

    def speak(self, order_id: str, *, tags: Mapping[str, str], run_id: str) -> dict[str, Any]:
        """Speak the text of an order.

        Args:
            order_id: the order.
            tags: of the run, beside the job's own.
            run_id: id of the run.

        Returns:
            status (`ready`, `error`, or `cancelled` after a request to cancel it), error, total.

        Raises:
            KeyboardInterrupt: the run was interrupted and has ended as a failure.
        """
        result = self._job.execute_in_process(
            run_config={**speech_config(order_id), **LOGGED},
            instance=self._instance,
            tags={**tags, PROCESS_TAG: this_process()},
            raise_on_error=False,
            run_id=run_id,
        )
        if was_interrupted(result):
            raise KeyboardInterrupt
        return {
            "status": "ready" if result.success else failure_status(result),
            "error": None if result.success else error_of(result),
            "total": total_of(assets_of(result)).to_dict(),
        }
