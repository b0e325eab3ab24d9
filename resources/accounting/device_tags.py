"""The device a run is at work on, as tags of the run: what a step that is killed is billed for.

A step that ends, well or by an error, carries its own record. One that is killed leaves no word, so
its run says beforehand what it is on. Tags are written when the device changes: once for a run on a
CPU. Where the steps of a run work at the same time, the tags are those of the step that began last.
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
"""Run tag: the device in its maker's words."""
DEVICE_KIND_TAG: Final = "sunriza/device-kind"
"""Run tag: cpu, cuda or mps."""

_tagged: dict[str, Device] = {}
"""By run; only of the run at work, or a long-lived worker would grow."""


def tag_device(instance: dg.DagsterInstance, run_id: str, device: Device) -> None:
    """Tag a run with the device that it is at work on from now on."""
    if _tagged.get(run_id) == device:
        return
    instance.add_run_tags(run_id, {DEVICE_TAG: device.name, DEVICE_KIND_TAG: device.kind})
    _tagged.clear()
    _tagged[run_id] = device


def killed_step_facts(tags: Mapping[str, str], elapsed_s: float) -> dict[str, Any]:
    """Device and cost of a step that left no record, by its run's tags; nothing without them.

    The price is that of the book in use now, for the seconds of the log.
    """
    if DEVICE_TAG not in tags or DEVICE_KIND_TAG not in tags:
        return {}
    record = StepRecord(elapsed_s, tags[DEVICE_TAG], tags[DEVICE_KIND_TAG])
    facts: dict[str, Any] = {"device": record.device, "device_kind": record.device_kind}
    try:
        return facts | cost_of(record, current_price_book()).to_dict()
    except CostError:  # a setting that names no book; whoever reports costs is told
        return facts
