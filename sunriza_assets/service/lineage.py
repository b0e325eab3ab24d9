"""A manifest as an answer about lineage."""

from resources.orders.order_json import rfc3339
from sunriza_assets.costs.lineage import lineage_text
from sunriza_assets.costs.manifest import FileFact, Manifest, ManifestStep
from sunriza_assets.service.schemas.lineage import (
    Lineage,
    LineageFile,
    LineageModel,
    LineageStep,
)

__all__ = ["lineage_of"]


def lineage_of(manifest: Manifest, version: str) -> Lineage:
    """What a version was made of."""
    total = manifest.total
    return Lineage(
        avatar_id=manifest.avatar_id,
        version=version,
        run_id=manifest.run_id,
        made_at=rfc3339(manifest.made_at),
        engine=manifest.engine,
        engine_version=manifest.engine_version,
        package_version=manifest.package_version,
        devices=manifest.devices,
        performance=manifest.performance,
        seconds=round(total.seconds, 6),
        cost=total.cost,
        currency=total.currency or None,
        steps=[_step(step, manifest.run_id) for step in manifest.steps],
        inputs=[_file(one) for one in manifest.inputs],
        outputs=[_file(one) for one in manifest.outputs],
        models=[
            LineageModel(name=one.name, sha256=one.sha256, licence=one.licence)
            for one in manifest.models
        ],
        parameters=dict(manifest.parameters),
        requested=dict(manifest.requested),
        text=lineage_text(manifest),
    )


def _file(one: FileFact) -> LineageFile:
    return LineageFile(name=one.name, sha256=one.sha256, size=one.size)


def _step(step: ManifestStep, run_id: str) -> LineageStep:
    facts = step.facts
    seconds = facts.get("wall_s")
    return LineageStep(
        asset=step.asset,
        upstream=list(step.upstream),
        run_id=step.run_id,
        reused=step.run_id != run_id,
        seconds=seconds if isinstance(seconds, int | float) else None,
        cost=step.cost,
        currency=_text(facts.get("cost_currency")),
        device=_text(facts.get("device")),
        cache=_text(facts.get("cache")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
