"""An engine whose work is done elsewhere: objects are uploaded, a function far away is called with
their names, and what it made is fetched. To the assets it is an engine like any other.

The far end is `far_end.serve`; on Modal it is a deployed class (`modal_call`). What a call has
put into the bucket is deleted when the call is over.
"""

import secrets
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from resources.engines.choice import Choice
from resources.storage.objects import MediaStorage
from resources.stores import open_stores
from sunriza_assets import errors
from sunriza_assets.costs.devices import Device
from sunriza_assets.errors import EngineError, SunrizaError

if TYPE_CHECKING:
    from sunriza_assets.studio.contracts.engine import Image, Progress, Rendering, VisemeCells
    from sunriza_assets.studio.motion.template import MotionTemplate
    from sunriza_assets.studio.parameters import RenderParameters
    from sunriza_assets.studio.performances.script import MotionScript

__all__ = ["Call", "RemoteEngine", "choose_remote", "modal_call"]

Call = Callable[[dict[str, Any]], Mapping[str, Any]]
"""Runs `far_end.serve` with a request, wherever that is."""

_FOLDER: Final = "remote"


class RemoteEngine:
    """An engine behind a function call.

    Progress within a call is not told; every call tells its beginning and its end.

    Args:
        call: runs `far_end.serve` far away.
        storage: a bucket that both ends see.
        wanted: which engine the far end is to choose: auto, mesh or liveportrait.

    Raises:
        SunrizaError: from every method, whatever the far end has raised on purpose.
    """

    def __init__(self, call: Call, storage: MediaStorage, wanted: str = "auto") -> None:
        self._call = call
        self._storage = storage
        self._wanted = wanted

    @cached_property
    def name(self) -> str:
        """The name of the engine at the far end."""
        return str(self._far["metrics"]["engine"])

    @cached_property
    def version(self) -> str:
        """Its version."""
        return str(self._far["metrics"]["engine_version"])

    @cached_property
    def billed_device(self) -> Device:
        """What the far end runs on, where the seconds of a call are paid."""
        metrics = self._far["metrics"]
        return Device(metrics["device"], metrics["device_kind"])

    def extraction_identity(self) -> Mapping[str, str]:
        """Extractor, version and model hashes of the engine at the far end."""
        return dict(self._far["identity"])

    def extract(self, clip: Path, *, progress: "Progress | None" = None) -> "MotionTemplate":
        """Read the motion of a trimmed clip; see `Engine.extract`."""
        from sunriza_assets.studio.motion.template import MotionTemplate

        with self._exchange() as exchange:
            answer = self._ask("extract", into=exchange.name, clip=exchange.put(clip))
            template = MotionTemplate.load(exchange.fetch(answer["template"]))
        if progress is not None:
            progress(template.frame_count, template.frame_count)
        return template

    def perform(self, script: "MotionScript") -> "MotionTemplate":
        """Write the template of a motion script; see `Engine.perform`."""
        from sunriza_assets.studio.motion.template import MotionTemplate

        with self._exchange() as exchange:
            answer = self._ask("perform", into=exchange.name, script=exchange.put_script(script))
            return MotionTemplate.load(exchange.fetch(answer["template"]))

    def render(
        self, portrait: "Image", template: "MotionTemplate", parameters: "RenderParameters"
    ) -> "Rendering":
        """Render the idle far away, all of it; its frames are decoded as they are walked."""
        import numpy as np

        from sunriza_assets.studio.contracts.engine import Rendering

        with self._exchange() as exchange:
            answer = self._ask(
                "render",
                into=exchange.name,
                portrait=exchange.put_picture(portrait),
                template=exchange.put_template(template),
                parameters=parameters.to_document(),
            )
            film = _Film(exchange.fetch(answer["frames"]))
        return Rendering(
            size=(answer["size"][0], answer["size"][1]),
            rate=Fraction(*answer["rate"]),
            frame_count=answer["frame_count"],
            frames=film.frames,
            track=np.asarray(answer["track"], dtype=np.float64),
            facts={**answer["facts"], "remote": answer["metrics"]},
        )

    def visemes(self, portrait: "Image", parameters: "RenderParameters") -> "VisemeCells":
        """Render the mouth at rest in each of the visemes; see `Engine.visemes`."""
        import numpy as np

        from sunriza_assets.studio.contracts.engine import VisemeCells
        from sunriza_assets.studio.contracts.roi import Roi

        with self._exchange() as exchange:
            answer = self._ask(
                "visemes",
                into=exchange.name,
                portrait=exchange.put_picture(portrait),
                parameters=parameters.to_document(),
            )
            with np.load(exchange.fetch(answer["cells"]), allow_pickle=False) as arrays:
                cells = arrays["cells"]
        return VisemeCells(
            cells=dict(zip(answer["names"], cells, strict=True)),
            roi=Roi(**answer["roi"]),
            lips=np.asarray(answer["lips"], dtype=np.float64),
            iod=float(answer["iod"]),
        )

    @cached_property
    def _far(self) -> Mapping[str, Any]:
        """Identity and metrics of the far end, asked for once a process."""
        return self._ask("identity")

    def _ask(self, what: str, **more: Any) -> Mapping[str, Any]:
        answer = self._call({"do": what, "engine": self._wanted, **more})
        if "error" in answer:
            raise _raised_there(answer["error"])
        return answer

    @contextmanager
    def _exchange(self) -> Iterator["_Exchange"]:
        exchange = _Exchange(self._storage)
        try:
            yield exchange
        finally:
            exchange.clear()


class _Exchange:
    """A folder of objects through which the two ends of one call hand each other files."""

    def __init__(self, storage: MediaStorage) -> None:
        self._storage = storage
        self._here = Path(tempfile.mkdtemp(prefix="sunriza-"))
        # The day stands first, so that a rule of the bucket can remove what a killed call has left.
        self.name = f"{_FOLDER}/{time.strftime('%Y%m%d', time.gmtime())}/{secrets.token_hex(8)}"

    def put(self, file: Path) -> str:
        """Upload a file; its object name."""
        return self._storage.put(file, f"{self.name}/{file.name}", private=True).name

    def put_picture(self, picture: "Image") -> str:
        """Upload RGB pixels without loss."""
        from sunriza_assets.studio.media.picture import write_picture

        file = self._here / "portrait.png"
        write_picture(picture, file)
        return self.put(file)

    def put_template(self, template: "MotionTemplate") -> str:
        """Upload a motion template."""
        file = self._here / "motion.npz"
        template.save(file)
        return self.put(file)

    def put_script(self, script: "MotionScript") -> str:
        """Upload a motion script."""
        file = self._here / "performance.json"
        script.save(file)
        return self.put(file)

    def fetch(self, name: str) -> Path:
        """A local copy of a result that stays until the exchange is cleared or it is moved away."""
        fetched = self._storage.fetch(name, self._here / "fetched")
        copy = self._here / f"result-{fetched.name}"
        shutil.copyfile(fetched, copy)  # a local store returns its own file
        return copy

    def clear(self) -> None:
        """Delete the objects of both ends and the local copies."""
        shutil.rmtree(self._here, ignore_errors=True)
        for stored in list(self._storage.list(f"{self.name}/")):
            self._storage.delete(stored.name)


class _Film:
    """Frames in a local file that lives as long as somebody may still walk them."""

    def __init__(self, file: Path) -> None:
        folder = Path(tempfile.mkdtemp(prefix="sunriza-film-"))
        self._file = Path(shutil.move(file, folder / file.name))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def frames(self) -> Iterator["Image"]:
        """Decode the frames, as many times as one likes."""
        import av
        import numpy as np

        with av.open(str(self._file)) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


@lru_cache(maxsize=4)
def choose_remote(app: str, wanted: str) -> Choice:
    """The engine that a Modal app chooses at the far end; one per process, so it is asked once.

    Raises:
        EngineError: Modal could not see this installation's store, or its client is missing.
    """
    stores = open_stores()
    if not stores.shared:
        raise EngineError(
            "Modal cannot see a store on this machine",
            where=app,
            remedy="Set SUNRIZA_STORE=firebase here and in the app's secret.",
            code="remote",
        )
    return Choice(RemoteEngine(modal_call(app), stores.storage, wanted), f"runs on Modal, {app}")


def modal_call(app: str) -> Call:
    """Calls the deployed class of `deploy/modal/app.py`.

    Raises:
        EngineError: Modal's client is not installed.
    """
    try:
        import modal
    except ModuleNotFoundError as missing:
        raise EngineError(
            "GPU steps are set to run on Modal, whose client is not installed",
            remedy="pip install 'sunriza-assets[modal]'",
        ) from missing
    steps = modal.Cls.from_name(app, "Steps")()

    def call(request: dict[str, Any]) -> Mapping[str, Any]:
        try:
            answer: Mapping[str, Any] = steps.serve.remote(request)
        except modal.exception.Error as error:
            raise EngineError(
                f"Modal did not finish the step: {type(error).__name__}",
                where=app,
                remedy="Look into the app's log there, then render again.",
                code="remote",
            ) from error
        return answer

    return call


def _raised_there(said: Mapping[str, Any]) -> SunrizaError:
    """The error of the far end, of the same class and with the same words."""
    known: dict[str, type[SunrizaError]] = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, SunrizaError)
    }
    kind = known.get(str(said["class"]), EngineError)
    _, _, code = str(said["code"]).partition(".")
    return kind(str(said["what"]), remedy=said["remedy"], code=code or None)
