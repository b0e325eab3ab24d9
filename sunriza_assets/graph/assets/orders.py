"""Assets that are made for one order of the service, and belong to no avatar.

An order is no partition: one key an order would soon be more than Dagster can list. The history is
the list of materializations; the files of each lie below `orders/<order id>/`.
"""

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import dagster as dg

from resources.accounting.device_tags import tag_device
from resources.accounting.step_watch import current_price_book, priced, step_watch, stop_step
from resources.orders.open import open_orders
from resources.orders.order import Order
from resources.orders.spoken import AUDIO_SUFFIXES, SpeechWish, object_name
from resources.services import Stores
from resources.storage.objects import MediaStorage
from sunriza_assets.costs.devices import cpu
from sunriza_assets.costs.record import StepRecord
from sunriza_assets.costs.spoken import SPEECH
from sunriza_assets.costs.stopwatch import Stopwatch
from sunriza_assets.errors import ConflictError
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.failures import errors_as_failures
from sunriza_assets.graph.assets.metadata import data_version

if TYPE_CHECKING:
    from resources.speech.speaker import StoredSpeech

__all__ = ["SPEECH_ASSET", "speech_config", "spoken_audio"]

SPEECH_ASSET: Final = "spoken_audio"
"""Name of the asset that speaks."""
_ORDER: Final = "order"


def speech_config(order_id: str) -> dict[str, Any]:
    """Run configuration that speaks for an order."""
    return {"ops": {SPEECH_ASSET: {"config": {_ORDER: order_id}}}}


@dg.asset(
    group_name=tags.GROUP_ORDERS,
    kinds={"audio"},
    owners=tags.OWNERS,
    code_version="1",
    op_tags=tags.CPU_STEP,
    config_schema={_ORDER: dg.Field(str, description="Id of an order of the service.")},
)
def spoken_audio(context: dg.AssetExecutionContext, stores: Stores) -> dg.MaterializeResult[None]:
    """The text of an order as sound, with the times of its phones, visemes and words beside it."""
    run_id = context.run.run_id
    step_key = context.get_step_execution_context().step.key
    watch = step_watch(context.instance, run_id, step_key)
    tag_device(context.instance, run_id, cpu())
    try:
        with errors_as_failures(stores, "", run_id, watch, owner=False):
            current_price_book()  # an invalid setting fails the step before anything is made
            return _spoken(
                _order_to_speak(context.op_execution_context.op_config[_ORDER]),
                stores.storage,
                watch,
            )
    finally:
        stop_step(watch)


def _spoken(order: Order, storage: MediaStorage, watch: Stopwatch) -> dg.MaterializeResult[None]:
    """Speak, and store the sound below the order's folder in place of what is there."""
    from resources.speech.accounts import ledger_facts, sound_of
    from resources.speech.speaker import open_speaker

    wish = SpeechWish.from_dict(order.inputs)
    audio_id = secrets.token_hex(16)
    with open_speaker() as speaker:
        with watch.stage("speak"):
            stored = speaker.speak(wish.request(), wish.engine, wish.licences)
        watch.engine, watch.engine_version = stored.facts.engine, stored.facts.engine_version
        with watch.stage("store"):
            folder = object_name(order.order_id, "")
            for former in list(storage.list(folder)):  # of a run that was lost
                storage.delete(former.name)
            version = data_version(stored.wav)
            for suffix, path in zip(AUDIO_SUFFIXES, (stored.wav, stored.times), strict=True):
                storage.put(path, f"{folder}{audio_id}.{suffix}", private=True)
    if stored.cached:
        watch.cache_hit()
    else:
        watch.cache_miss()
    facts = {**sound_of(stored, audio_id).to_dict(), **ledger_facts(stored).to_dict()}
    about: dict[str, Any] = {"kind": SPEECH, "owner": order.owner, "calls": 1}
    return dg.MaterializeResult(
        metadata={**facts, **about, **priced(_billed(watch.record(), stored))},
        data_version=version,
    )


def _billed(record: StepRecord, stored: "StoredSpeech") -> StepRecord:
    """The record with the seconds of the engine's own process; a kept sound costs nothing."""
    if stored.cached:
        return replace(record, wall_s=0.0, stages={}, cpu_s=0.0, gpu_s=0.0)
    return replace(record, cpu_s=round((record.cpu_s or 0.0) + stored.cpu_seconds, 6))


def _order_to_speak(order_id: str) -> Order:
    """The order.

    Raises:
        ConflictError: it is gone, or asks for something else.
    """
    order = open_orders().get(order_id)
    if order is None or order.kind != "tts":
        raise ConflictError("There is no order to speak", where=order_id, code="order")
    return order
