"""The device of a run, as run tags: by it a step that is killed is billed.

A step that succeeds or fails carries its own record. One that is killed leaves none, so its run is
tagged beforehand. Tags are written when the device changes: once for a run on a CPU. If steps of a
run execute in parallel, the tags are those of the step that began last.
"""

from collections.abc import Mapping
from typing import Any, Final

import dagster as dg

from resources.accounting.step_watch import current_price_book
from sunriza_assets.costs.devices import Device
from sunriza_assets.costs.prices import cost_of
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.errors import CostError

__all__ = ["DEVICE_KIND_TAG", "DEVICE_TAG", "killed_step_facts", "tag_device"]

DEVICE_TAG: Final = "sunriza/device"
"""Run tag: name of the device as its vendor gives it."""
DEVICE_KIND_TAG: Final = "sunriza/device-kind"
"""Run tag: cpu, cuda or mps."""

_tagged: dict[str, Device] = {}
"""Device by run id; only the current run is kept, so that it does not grow."""


def tag_device(instance: dg.DagsterInstance, run_id: str, device: Device) -> None:
    """Tag a run with the device that it uses from now on."""
    if _tagged.get(run_id) == device:
        return
    instance.add_run_tags(run_id, {DEVICE_TAG: device.name, DEVICE_KIND_TAG: device.kind})
    _tagged.clear()
    _tagged[run_id] = device


def killed_step_facts(tags: Mapping[str, str], elapsed_s: float) -> dict[str, Any]:
    """Device and cost of a step that left no record, by its run's tags; empty without tags.

    The price is that of the current price book, for the seconds in the log.
    """
    if DEVICE_TAG not in tags or DEVICE_KIND_TAG not in tags:
        return {}
    record = StepRecord(elapsed_s, tags[DEVICE_TAG], tags[DEVICE_KIND_TAG])
    facts: dict[str, Any] = {"device": record.device, "device_kind": record.device_kind}
    try:
        return facts | cost_of(record, current_price_book()).to_dict()
    except CostError:  # no such price book; the reports raise it
        return facts
