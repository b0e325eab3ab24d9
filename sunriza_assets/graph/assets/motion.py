"""The motion template of a clip, extracted once, and the idle rendered from it and a portrait."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from resources.engines.choice import Choice
from resources.services import Engines, ProgressReporter, Stores, Templates
from sunriza_assets.errors import EngineError
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.avatar_asset import avatar_asset
from sunriza_assets.graph.assets.edge import Step, avatar_step
from sunriza_assets.graph.assets.metadata import (
    data_version,
    preview_frame_numbers,
    preview_metadata,
    sha256_of,
)
from sunriza_assets.graph.assets.portraits import read_portrait
from sunriza_assets.graph.assets.progress import with_progress
from sunriza_assets.graph.config import IDLE_CONFIG, TEMPLATE_CONFIG, asset_overrides
from sunriza_assets.studio.parameters import RenderParameters, canonical, resolve

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import AnimationEngine, Image, Rendering
    from sunriza_assets.studio.media.encode import VideoWriter
    from sunriza_assets.studio.motion.template import MotionTemplate

__all__ = ["idle_video", "motion_template"]


@avatar_asset(
    group=tags.GROUP_MOTION, kinds={"numpy", "onnx"}, gpu=True, config_schema=TEMPLATE_CONFIG
)
def motion_template(
    context: dg.AssetExecutionContext,
    trimmed_video: Path,
    stores: Stores,
    engines: Engines,
    templates: Templates,
    board: ProgressReporter,
) -> dg.MaterializeResult[Path]:
    """The clip's motion: head pose, expression, eyes and mouth per frame; or a performance's.

    The cache is keyed by content, so avatars with the same clip share one extraction; the key is
    this asset's data version.
    """
    import shutil

    from sunriza_assets.studio.motion.key import template_key

    with avatar_step(context, stores, board) as step:
        parameters = resolve(step.document.wishes, asset_overrides(context))
        with step.watch.stage("load"):
            choice = engines.choose(parameters.engine)
            identity = choice.engine.extraction_identity()
        step.set_engine(choice.engine)
        key = template_key(sha256_of(trimmed_video), identity)
        reused = step.reusable_result({"trimmed_video": trimmed_video}, template=key)
        if reused is not None:
            return reused
        cache = templates.cache
        with cache.locked(key):
            templates.users.add(key, step.avatar_id)  # before it is read: a purge asks for users
            template = None if step.forced else cache.get(key)
            if template is not None:
                step.watch.cache_hit(cache.seconds(key))
            else:
                step.watch.cache_miss()
                template = _extract_template(trimmed_video, choice.engine, step)
                with step.watch.stage("store"):
                    cache.put(key, template, seconds=step.watch.elapsed_s)
        step.set_clip(frames=template.frame_count, rate=template.rate)
        _log_face_gaps(context, template.facts)
        performed = {} if template.performance is None else {"performance": template.performance}
        file = step.folder / "motion.npz"
        shutil.copyfile(cache.file(key), file)
        return step.result(
            file,
            version=dg.DataVersion(key),
            frames=template.frame_count,
            metadata={
                "engine": choice.engine.name,
                "engine_reason": choice.reason,
                **performed,
                "frame_count": template.frame_count,
                "frame_rate": f"{template.rate.numerator}/{template.rate.denominator}",
                "neutral_frame": template.neutral_frame,
                "facts": dg.MetadataValue.json(dict(template.facts)),
            },
        )


@avatar_asset(group=tags.GROUP_MOTION, kinds={"video", "onnx"}, gpu=True, config_schema=IDLE_CONFIG)
def idle_video(
    context: dg.AssetExecutionContext,
    hero_image: Path,
    motion_template: Path,
    stores: Stores,
    engines: Engines,
    board: ProgressReporter,
) -> dg.MaterializeResult[Path]:
    """The animated portrait: idle.mp4, and idle.json with its parameters and the mouth's track.

    Everything downstream reads its parameters from idle.json, so a run of a single asset can never
    mix two sets.
    """
    from sunriza_assets.studio.motion.template import MotionTemplate
    from sunriza_assets.studio.performances.named import with_performance_defaults

    with avatar_step(context, stores, board) as step:
        with step.watch.stage("decode"):
            template = MotionTemplate.load(motion_template)
        requested = canonical(step.document.wishes) | asset_overrides(context)
        parameters = resolve(with_performance_defaults(template.performance, requested))
        step.set_clip(frames=template.frame_count, rate=template.rate)
        with step.watch.stage("load"):
            choice = _choose_renderer(engines, parameters.engine, template.engine)
        step.set_engine(choice.engine)
        reused = step.reusable_result(
            {"hero_image": hero_image, "motion_template": motion_template},
            parameters=parameters.to_dict(),
            engine=engines.identity(choice.engine),
        )
        if reused is not None:
            return reused
        from sunriza_assets.studio.media.frames import read_some
        from sunriza_assets.studio.media.grain import render_with_least_denoising
        from sunriza_assets.studio.media.idle import write_idle

        with step.watch.stage("decode"):
            portrait = read_portrait(hero_image)
        folder = step.folder / "idle"
        folder.mkdir()
        video = folder / "idle.mp4"

        def make(parameters: RenderParameters) -> "tuple[Rendering, VideoWriter]":
            with step.watch.stage("plan", gpu=True):
                rendering = choice.engine.render(portrait, template, parameters)

            def frames() -> "Iterator[Image]":
                made = step.watch.iterate("render", rendering.frames(), gpu=True)
                return with_progress(made, rendering.frame_count, step.progress)

            with step.watch.stage("encode"):
                writer = write_idle(frames, video, rate=rendering.rate, loops=parameters.loop)
            return rendering, writer

        (rendering, writer), parameters = render_with_least_denoising(
            parameters, make, context.log.warning
        )
        info, quality = writer.info, writer.quality.to_dict()
        sheet = {
            "engine": choice.engine.name,
            "engine_version": choice.engine.version,
            "performance": template.performance,
            "parameters": parameters.to_dict(),
            "size": list(rendering.size),
            "rate": [rendering.rate.numerator, rendering.rate.denominator],
            "frame_count": rendering.frame_count,
            "facts": dict(rendering.facts),
            "quality": quality,
            "track": rendering.track.round(5).tolist(),
        }
        (folder / "idle.json").write_text(json.dumps(sheet, allow_nan=False))
        with step.watch.stage("preview"):
            preview = preview_metadata(read_some(video, preview_frame_numbers(info.frame_count)))
        return step.result(
            folder,
            version=data_version(video, folder / "idle.json"),
            preview=preview,
            frames=rendering.frame_count,
            metadata={
                "engine": choice.engine.name,
                "engine_reason": choice.reason,
                **({} if template.performance is None else {"performance": template.performance}),
                "duration_s": round(float(info.duration), 3),
                "frame_count": info.frame_count,
                "frame_rate": f"{info.rate.numerator}/{info.rate.denominator}",
                "width": info.width,
                "height": info.height,
                "video_bytes": info.size_bytes,
                "quality": dg.MetadataValue.json(quality),
                "parameters": dg.MetadataValue.json(parameters.to_dict()),
                "facts": dg.MetadataValue.json(dict(rendering.facts)),
            },
        )


def _extract_template(source: Path, engine: "AnimationEngine", step: Step) -> "MotionTemplate":
    """The template of a trimmed clip, or of a motion script in its place."""
    from sunriza_assets.studio.performances.script import MotionScript, is_script

    if is_script(source):
        with step.watch.stage("perform"):
            return engine.perform(MotionScript.load(source))
    with step.watch.stage("extract", gpu=True):
        return engine.extract(source, progress=step.progress)


def _log_face_gaps(context: dg.AssetExecutionContext, facts: Mapping[str, Any]) -> None:
    """Log where a clip's face was not seen, and whether the idle is shorter for that."""
    for gap in facts.get("face_gaps_filled", ()):
        context.log.info(
            "The face is not seen for %(seconds)g s from %(start_s)g s on; that is filled", gap
        )
    if "shortened_to" in facts:
        context.log.warning(
            "Of the clip's %(of_s)g s only %(seconds)g s from %(start_s)g s on show the face "
            "without a break; these are used",
            facts["shortened_to"],
        )


def _choose_renderer(engines: Engines, wanted: str, extracted_by: str) -> Choice:
    """The engine for an idle: that of the template, which no other engine can read."""
    if wanted == "auto":
        engine = engines.choose(extracted_by).engine
        return Choice(engine, f"the motion template was extracted by {extracted_by}")
    if wanted != extracted_by:
        raise EngineError(
            f"The motion template was extracted by {extracted_by}, not by {wanted}",
            remedy=f"Materialize motion_template with engine={wanted} as well.",
            code="template",
        )
    return engines.choose(wanted)
