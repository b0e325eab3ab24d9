"""Drawing stills of portraits: emotion pictures, and previews with all render parameters."""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, cast
from weakref import WeakValueDictionary

import cv2
import numpy as np

from resources.engines.choice import choose_engine
from sunriza_assets.errors import ParameterError
from sunriza_assets.service.emotions import bounds_of, check_picture
from sunriza_assets.service.engine.pictures import (
    Output,
    PictureCache,
    encode,
    marked,
    picture_mark,
)
from sunriza_assets.service.engine.portraits import PreparedPortraits, ReadyPortrait
from sunriza_assets.service.engine.work import Work, all_or_none
from sunriza_assets.service.engine_client import RenderedPicture
from sunriza_assets.studio.contracts.engine import Expression, ExpressionEngine, Image
from sunriza_assets.studio.marks.mark import Mark
from sunriza_assets.studio.media.picture import fit, read_picture
from sunriza_assets.studio.parameters import (
    STILL_PARAMETERS,
    Feeling,
    RenderParameters,
    canonical,
    resolve,
)

__all__ = ["Drawing"]

_SMALLEST: Final = 512
"""A portrait is prepared at no less than this, however small the picture asked for: a face has to
be found in it, and the portraits of all small sizes are one."""
_LARGEST: Final = 2048
_MOST_PENDING: Final = 64
"""Pictures at work and waiting; more are refused."""
_PREVIEW_SIDES: Final = (64, 1024)
_PLAIN: Final = RenderParameters(stitching_retargeting_eyes_width=_LARGEST)
"""How portraits are prepared for emotion pictures: they are decoded at their final size."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What all pictures of one request have in common."""

    portrait: Path
    digest: str
    bounds: tuple[int, int]
    intensity: float
    output_format: str
    owner: str
    started: float


class Drawing:
    """Draws stills, each portrait prepared once and each picture drawn once.

    To be used from one event loop.

    Args:
        engine: draws expressions.
        work: the threads to do it in.
        cache: of finished pictures.
        models: the folder of model files.
    """

    def __init__(
        self, engine: ExpressionEngine, work: Work, cache: PictureCache, *, models: Path
    ) -> None:
        cv2.setNumThreads(1)  # the threads here are for requests
        self._engine = engine
        self._work = work
        self._cache = cache
        self._models = models
        self._portraits = PreparedPortraits()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def render(
        self,
        *,
        portrait: str,
        emotions: Sequence[str],
        intensity: float,
        output_format: str,
        width: int | None,
        height: int | None,
        owner: str,
        request_id: str,
    ) -> list[dict[str, Any]]:
        """Draw emotions of a portrait, all or none; `RenderedPicture` as JSON values."""
        check_picture(
            emotions, intensity=intensity, output_format=output_format, width=width, height=height
        )
        started = time.perf_counter()
        source = Path(portrait)
        with self._room(len(emotions)):
            digest, _ = await self._work.run(
                self._work.any, "render", owner, lambda: _sha256(source)
            )
            wish = _Wish(
                source, digest, bounds_of(width, height), intensity, output_format, owner, started
            )
            pictures = await all_or_none(
                (self._picture(wish, emotion) for emotion in emotions),
                undo=lambda picture: picture.path.unlink(missing_ok=True),
            )
        return [{**asdict(picture), "path": str(picture.path)} for picture in pictures]

    async def preview(
        self, *, portrait: str, parameters: Mapping[str, Any], size: int, owner: str | None
    ) -> str:
        """Draw a portrait as render parameters say; the path of a JPEG among the outputs."""
        if not _PREVIEW_SIDES[0] <= size <= _PREVIEW_SIDES[1]:
            raise ParameterError(
                f"size is {size}",
                remedy=f"Give {_PREVIEW_SIDES[0]} to {_PREVIEW_SIDES[1]} pixels.",
                code="out_of_range",
            )
        wishes = resolve(parameters)
        asked = {name: value for name, value in canonical(parameters).items() if name in _PREPARED}
        source = Path(portrait)
        with self._room(1):
            digest, _ = await self._work.run(
                self._work.any, "preview", owner, lambda: _sha256(source)
            )
            side = max(size, _SMALLEST)
            engine = await self._engine_for(wishes.engine)
            ready, _ = await self._ready(
                "preview", source, digest, (side, side), resolve(asked), owner, engine=engine
            )
            expression = Expression(wishes.emotion, wishes.emotion_strength)

            def draw() -> Path:
                image = _shrunk(ready.portrait.draw(expression), (size, size))
                mark = picture_mark(engine.name, engine.version, digest)
                return self._cache.write_output(marked(encode(image, "jpg"), "jpg", mark), "jpg")

            path, _ = await self._work.run(self._work.draw, "preview", owner, draw, calls=1)
        return str(path)

    def _room(self, pictures: int) -> AbstractContextManager[None]:
        return self._work.room(
            "queue", _MOST_PENDING, what="pictures", units=pictures, retry_after_s=1.0
        )

    async def _picture(self, wish: _Wish, emotion: str) -> RenderedPicture:
        """One emotion picture: found in the cache, or drawn."""
        strength = 0.0 if emotion == "neutral" else wish.intensity
        shown = emotion if strength > 0 else "neutral"
        mark = picture_mark(self._engine.name, self._engine.version, wish.digest)
        facts = {
            "portrait": wish.digest,
            "emotion": shown,
            "strength": strength,
            "bounds": wish.bounds,
            "engine": self._engine.name,
            "version": self._engine.version,
            "mark": None if mark is None else mark.digest,
        }
        name = self._cache.name_of(facts, wish.output_format)
        stages: dict[str, float] = {}
        lock = self._locks.setdefault(name, asyncio.Lock())  # two that ask for one draw it once
        async with lock:
            found, _ = await self._work.run(
                self._work.any, "render", wish.owner, lambda: self._cache.publish(name)
            )
            cached = found is not None
            if found is None:
                expression = Expression(cast(Feeling, shown), strength)
                found = await self._drawn(wish, expression, mark, name, stages)
        return RenderedPicture(
            path=found.path,
            emotion=emotion,
            intensity=wish.intensity,
            width=found.width,
            height=found.height,
            latency_ms=round((time.perf_counter() - wish.started) * 1000, 2),
            cached=cached,
            stages=stages,
            engine=self._engine.name,
            version=self._engine.version,
            gpu_used=self._work.has_accelerator,
        )

    async def _drawn(
        self,
        wish: _Wish,
        expression: Expression,
        mark: Mark | None,
        name: str,
        stages: dict[str, float],
    ) -> Output:
        """Draw a picture and store it; the seconds of each stage are written down."""
        work, owner = self._work, wish.owner
        ready, waited = await self._ready(
            "render", wish.portrait, wish.digest, _working(wish.bounds), _PLAIN, owner,
            engine=self._engine,
        )  # fmt: skip
        stages |= waited
        image, stages["draw"] = await work.run(
            work.draw, "render", owner,
            lambda: _shrunk(ready.portrait.draw(expression), wish.bounds),
        )  # fmt: skip
        output, stages["encode"] = await work.run(
            work.any, "render", owner,
            lambda: self._cache.add(
                name, marked(encode(image, wish.output_format), wish.output_format, mark)
            ),
            calls=1,
        )  # fmt: skip
        return output

    async def _ready(
        self,
        kind: str,
        source: Path,
        digest: str,
        bounds: tuple[int, int],
        parameters: RenderParameters,
        owner: str | None,
        *,
        engine: ExpressionEngine,
    ) -> tuple[ReadyPortrait, dict[str, float]]:
        """A prepared portrait, and the seconds of what had to be done for it."""
        work = self._work

        async def prepare() -> ReadyPortrait:
            image, decode_s = await work.run(
                work.any, kind, owner, lambda: read_picture(source, max_size=bounds)
            )
            identity = (digest, image.shape, parameters, engine.name, engine.version)
            if (same := self._portraits.find(identity)) is not None:
                return replace(same, decode_s=decode_s, prepare_s=0.0)
            portrait, prepare_s = await work.run(
                work.draw, kind, owner, lambda: engine.prepare(image, parameters)
            )
            pixels = image.shape[0] * image.shape[1]
            return ReadyPortrait(portrait, identity, pixels, decode_s, prepare_s)

        key = (digest, bounds, parameters, engine.name, engine.version)
        ready, known = await self._portraits.get(key, prepare)
        return ready, {} if known else {"decode": ready.decode_s, "prepare": ready.prepare_s}

    async def _engine_for(self, wanted: str) -> ExpressionEngine:
        """The engine of a render parameter.

        Raises:
            ModelError: its weights are missing.
        """
        if wanted in ("auto", self._engine.name):
            return self._engine
        chosen = await asyncio.to_thread(choose_engine, wanted, self._models)
        return cast(ExpressionEngine, chosen.engine)


_PREPARED: Final = STILL_PARAMETERS - {"emotion", "emotion_strength"}
"""Parameters that preparing a portrait depends on."""


def _working(bounds: tuple[int, int]) -> tuple[int, int]:
    """The bounds at which a portrait is prepared for a picture in these."""
    return max(bounds[0], _SMALLEST), max(bounds[1], _SMALLEST)


def _shrunk(image: Image, bounds: tuple[int, int]) -> Image:
    """The picture within bounds; never enlarged."""
    height, width = image.shape[:2]
    scale = fit((width, height), bounds)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
