"""Input assets: hero image and hero video of a document, and the clip trimmed from the latter."""

from pathlib import Path
from typing import Final

import dagster as dg

from resources.services import Engines, ProgressReporter, Stores
from resources.storage.objects import MediaStorage
from sunriza_assets.errors import MediaError, StoreError
from sunriza_assets.graph import tags
from sunriza_assets.graph.assets.avatar_asset import avatar_asset
from sunriza_assets.graph.assets.edge import Step, avatar_step
from sunriza_assets.graph.assets.metadata import (
    clip_facts,
    data_version,
    preview_frame_numbers,
    preview_metadata,
    script_facts,
)
from sunriza_assets.graph.assets.portraits import read_portrait
from sunriza_assets.graph.config import TRIM_CONFIG, asset_overrides
from sunriza_assets.studio.parameters import resolve

__all__ = ["hero_image", "hero_video", "trimmed_video"]

MAX_PICTURE_BYTES: Final = 50_000_000
MAX_CLIP_BYTES: Final = 50_000_000


@avatar_asset(group=tags.GROUP_INPUTS, kinds={"image"})
def hero_image(
    context: dg.AssetExecutionContext, stores: Stores, engines: Engines, board: ProgressReporter
) -> dg.MaterializeResult[Path]:
    """The portrait as it was uploaded, checked to be a picture of exactly one face.

    A portrait without a usable face fails here, before a step needs a GPU.
    """
    with avatar_step(context, stores, board) as step:
        url = step.document.hero_image_url
        with step.watch.stage("download"):
            file = _download_input(stores.storage, url, step, MAX_PICTURE_BYTES)
        reused = step.reusable_result({"picture": file}, models=engines.face_identity)
        if reused is not None:
            return reused
        with step.watch.stage("decode"):
            picture = read_portrait(file)
        with step.watch.stage("detect"):
            face = engines.faces.portrait(picture)
        return step.result(
            file,
            version=data_version(file),
            preview=preview_metadata([picture], columns=1),
            metadata={
                "width": picture.shape[1],
                "height": picture.shape[0],
                "face_iod_px": round(face.iod, 1),
            },
        )


@avatar_asset(group=tags.GROUP_INPUTS, kinds={"video"})
def hero_video(
    context: dg.AssetExecutionContext, stores: Stores, board: ProgressReporter
) -> dg.MaterializeResult[Path]:
    """What moves the portrait: the talking clip as it was uploaded, checked to be a video.

    Where the document names a built-in performance in place of a clip, it is that performance's
    motion script (performance.json).
    """
    with avatar_step(context, stores, board) as step:
        if step.document.performance is not None:
            return _motion_script_result(step, step.document.performance)
        url = step.document.hero_video_url
        with step.watch.stage("download"):
            file = _download_input(stores.storage, url, step, MAX_CLIP_BYTES)
        reused = step.reusable_result({"clip": file})
        if reused is not None:
            return reused
        from sunriza_assets.studio.media.info import VideoInfo
        from sunriza_assets.studio.media.probe import probe

        with step.watch.stage("probe"):
            info = probe(file)
        if not isinstance(info, VideoInfo):
            raise MediaError(
                "The hero video is a picture",
                where=file.name,
                remedy="Upload a talking clip of 1 to 10 seconds.",
                code="no_video",
            )
        step.set_upload(info.duration, info.rate)
        return step.result(file, version=data_version(file), metadata=clip_facts(info))


@avatar_asset(group=tags.GROUP_INPUTS, kinds={"video", "ffmpeg"}, config_schema=TRIM_CONFIG)
def trimmed_video(
    context: dg.AssetExecutionContext,
    hero_video: Path,
    stores: Stores,
    board: ProgressReporter,
) -> dg.MaterializeResult[Path]:
    """The first seconds of the clip at a constant frame rate, upright, H.264.

    Everything after this asset may count frames: frame i is at i / rate. A motion script has
    nothing to trim and is handed on as it is.
    """
    import shutil

    from sunriza_assets.studio.performances.script import MotionScript, is_script

    with avatar_step(context, stores, board) as step:
        parameters = resolve(step.document.wishes, asset_overrides(context))
        reused = step.reusable_result(
            {"hero_video": hero_video}, max_seconds=parameters.max_seconds
        )
        if reused is not None:
            return reused
        if is_script(hero_video):
            script = MotionScript.load(hero_video)
            file = step.folder / hero_video.name
            shutil.copyfile(hero_video, file)
            step.set_clip(frames=script.frame_count, rate=script.rate)
            return step.result(
                file,
                version=data_version(file),
                frames=script.frame_count,
                metadata=script_facts(script),
            )
        from sunriza_assets.studio.media.frames import read_some
        from sunriza_assets.studio.media.trim import trim

        clip = step.folder / "trimmed.mp4"
        with step.watch.stage("trim"):
            info = trim(
                hero_video, clip, max_seconds=parameters.max_seconds, progress=step.progress
            )
        step.set_clip(frames=info.frame_count, rate=info.rate)
        with step.watch.stage("preview"):
            preview = preview_metadata(read_some(clip, preview_frame_numbers(info.frame_count)))
        return step.result(
            clip,
            version=data_version(clip),
            frames=info.frame_count,
            preview=preview,
            metadata=clip_facts(info),
        )


def _motion_script_result(step: Step, name: str) -> dg.MaterializeResult[Path]:
    """The motion script of a built-in performance, as the hero video of an avatar without one."""
    from sunriza_assets.studio.performances.builtin import motion_script
    from sunriza_assets.studio.performances.script import SCRIPT_NAME

    with step.watch.stage("write"):
        script = motion_script(name)
        file = step.folder / SCRIPT_NAME
        script.save(file)
    reused = step.reusable_result({"script": file})
    if reused is not None:
        return reused
    step.set_upload(script.seconds, script.rate)
    return step.result(file, version=data_version(file), metadata=script_facts(script))


def _download_input(storage: MediaStorage, url: str, step: Step, max_bytes: int) -> Path:
    """A copy of an input in the step's own folder, named `hero_image` or `hero_video`."""
    import shutil

    try:
        fetched = storage.resolve(
            url, step.folder / "download", avatar_id=step.avatar_id, max_bytes=max_bytes
        )
    except StoreError as error:
        if error.code == "store.too_large":  # what is wrong is the file, not the store
            raise MediaError(error.what, remedy=error.remedy, code="too_large") from error
        raise
    suffix = fetched.suffix.lower()
    plain = suffix if suffix[1:].isalnum() and len(suffix) <= 6 else ""
    name = "image" if step.context.asset_key.to_user_string() == "hero_image" else "video"
    copy = step.folder / f"hero_{name}{plain}"
    shutil.copyfile(fetched, copy)
    step.watch.count(bytes_in=copy.stat().st_size)
    return copy
