"""The client of a remote engine: uploads inputs, calls a remote function, fetches its results.

To the assets it is an engine like any other. The server is `remote_server.serve`; on Modal it is a
deployed class (`modal_call`). Objects of a call are deleted from the bucket when it ends.
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
"""Runs `remote_server.serve` remotely with a request."""

_FOLDER: Final = "remote"


class RemoteEngine:
    """An engine that runs behind a remote function call.

    Progress within a call is not reported.

    Args:
        call: runs `remote_server.serve` remotely.
        storage: a bucket that client and server share.
        wanted: which engine the server is to choose: auto, mesh or liveportrait.

    Raises:
        SunrizaError: from every method, if the server raised it.
    """

    def __init__(self, call: Call, storage: MediaStorage, wanted: str = "auto") -> None:
        self._call = call
        self._storage = storage
        self._wanted = wanted

    @cached_property
    def name(self) -> str:
        """Name of the engine on the server."""
        return str(self._remote["metrics"]["engine"])

    @cached_property
    def version(self) -> str:
        """Its version."""
        return str(self._remote["metrics"]["engine_version"])

    @cached_property
    def billed_device(self) -> Device:
        """The device of the server, by which calls are billed."""
        metrics = self._remote["metrics"]
        return Device(metrics["device"], metrics["device_kind"])

    def extraction_identity(self) -> Mapping[str, str]:
        """Extractor, version and model hashes of the engine on the server."""
        return dict(self._remote["identity"])

    def extract(self, clip: Path, *, progress: "Progress | None" = None) -> "MotionTemplate":
        """Read the motion of a trimmed clip; see `Engine.extract`."""
        from sunriza_assets.studio.motion.template import MotionTemplate

        with self._exchange() as exchange:
            answer = self._request("extract", into=exchange.name, clip=exchange.put(clip))
            template = MotionTemplate.load(exchange.fetch(answer["template"]))
        if progress is not None:
            progress(template.frame_count, template.frame_count)
        return template

    def perform(self, script: "MotionScript") -> "MotionTemplate":
        """Write the template of a motion script; see `Engine.perform`."""
        from sunriza_assets.studio.motion.template import MotionTemplate

        with self._exchange() as exchange:
            answer = self._request(
                "perform", into=exchange.name, script=exchange.put_script(script)
            )
            return MotionTemplate.load(exchange.fetch(answer["template"]))

    def render(
        self, portrait: "Image", template: "MotionTemplate", parameters: "RenderParameters"
    ) -> "Rendering":
        """Render the whole idle remotely; frames are decoded while iterating."""
        import numpy as np

        from sunriza_assets.studio.contracts.engine import Rendering

        with self._exchange() as exchange:
            answer = self._request(
                "render",
                into=exchange.name,
                portrait=exchange.put_picture(portrait),
                template=exchange.put_template(template),
                parameters=parameters.to_document(),
            )
            frame_file = _FrameFile(exchange.fetch(answer["frames"]))
        return Rendering(
            size=(answer["size"][0], answer["size"][1]),
            rate=Fraction(*answer["rate"]),
            frame_count=answer["frame_count"],
            frames=frame_file.frames,
            track=np.asarray(answer["track"], dtype=np.float64),
            facts={**answer["facts"], "remote": answer["metrics"]},
        )

    def visemes(self, portrait: "Image", parameters: "RenderParameters") -> "VisemeCells":
        """Render the mouth at rest in each of the visemes; see `Engine.visemes`."""
        import numpy as np

        from sunriza_assets.studio.contracts.engine import VisemeCells
        from sunriza_assets.studio.contracts.roi import Roi

        with self._exchange() as exchange:
            answer = self._request(
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
    def _remote(self) -> Mapping[str, Any]:
        """Identity and metrics of the server, requested once per process."""
        return self._request("identity")

    def _request(self, what: str, **more: Any) -> Mapping[str, Any]:
        answer = self._call({"do": what, "engine": self._wanted, **more})
        if "error" in answer:
            raise _remote_error(answer["error"])
        return answer

    @contextmanager
    def _exchange(self) -> Iterator["_Exchange"]:
        exchange = _Exchange(self._storage)
        try:
            yield exchange
        finally:
            exchange.clear()


class _Exchange:
    """A folder of objects by which client and server of one call exchange files."""

    def __init__(self, storage: MediaStorage) -> None:
        self._storage = storage
        self._local_folder = Path(tempfile.mkdtemp(prefix="sunriza-"))
        # The day comes first, so that a lifecycle rule of the bucket can remove leftovers.
        self.name = f"{_FOLDER}/{time.strftime('%Y%m%d', time.gmtime())}/{secrets.token_hex(8)}"

    def put(self, file: Path) -> str:
        """Upload a file; its object name."""
        return self._storage.put(file, f"{self.name}/{file.name}", private=True).name

    def put_picture(self, picture: "Image") -> str:
        """Upload RGB pixels without loss."""
        from sunriza_assets.studio.media.picture import write_picture

        file = self._local_folder / "portrait.png"
        write_picture(picture, file)
        return self.put(file)

    def put_template(self, template: "MotionTemplate") -> str:
        """Upload a motion template."""
        file = self._local_folder / "motion.npz"
        template.save(file)
        return self.put(file)

    def put_script(self, script: "MotionScript") -> str:
        """Upload a motion script."""
        file = self._local_folder / "performance.json"
        script.save(file)
        return self.put(file)

    def fetch(self, name: str) -> Path:
        """A local copy of a result; deleted with the exchange unless it is moved away."""
        fetched = self._storage.fetch(name, self._local_folder / "fetched")
        copy = self._local_folder / f"result-{fetched.name}"
        shutil.copyfile(fetched, copy)  # a local store returns its own file
        return copy

    def clear(self) -> None:
        """Delete the objects of client and server and the local copies."""
        shutil.rmtree(self._local_folder, ignore_errors=True)
        for stored in list(self._storage.list(f"{self.name}/")):
            self._storage.delete(stored.name)


class _FrameFile:
    """Frames in a local file that is deleted when this object is."""

    def __init__(self, file: Path) -> None:
        folder = Path(tempfile.mkdtemp(prefix="sunriza-frames-"))
        self._file = Path(shutil.move(file, folder / file.name))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def frames(self) -> Iterator["Image"]:
        """Decode the frames; may be called repeatedly."""
        import av
        import numpy as np

        with av.open(str(self._file)) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)


@lru_cache(maxsize=4)
def choose_remote(app: str, wanted: str) -> Choice:
    """The remote engine of a Modal app; one instance per process, so its identity is cached.

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
    """A `Call` to the deployed class of `deploy/modal/app.py`.

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


def _remote_error(error: Mapping[str, Any]) -> SunrizaError:
    """The server's error, of the same class and with the same message."""
    known: dict[str, type[SunrizaError]] = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, SunrizaError)
    }
    kind = known.get(str(error["class"]), EngineError)
    _, _, code = str(error["code"]).partition(".")
    return kind(str(error["what"]), remedy=error["remedy"], code=code or None)
