"""What the API process asks of the engine process: everything that needs a face or a codec.

The engine process (`engine_process.py`) listens on a Unix socket in a folder of mode 0700 and keeps
its models warm. Files are handed over by path: both processes see the same disk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, Final, Protocol

from resources.orders.spoken import SpeechForecast, SpeechWish, SpokenSound

__all__ = ["OPERATIONS", "EngineFacts", "EngineService", "RenderedPicture"]


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """How the engine process stands."""

    ready: bool
    """Whether models are loaded and a first picture was drawn."""
    engine: str | None
    """Name of the engine that draws expressions."""
    version: str | None
    """Its version."""
    gpu_name: str | None
    """Name of the GPU; None on a CPU."""
    cuda_version: str | None
    """torch's CUDA version; None on a CPU."""
    problem: str | None = None
    """Why it is not ready, if that is known."""
    starting: bool = False
    """Whether it will probably be ready soon: it loads its models, or is being started."""


@dataclass(frozen=True, slots=True)
class RenderedPicture:
    """One emotion picture."""

    path: Path
    """The file, complete; its name fits `outputs.OUTPUT_NAME`."""
    emotion: str
    """Which of the seven, or neutral."""
    intensity: float
    """0-1."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    latency_ms: float
    """Milliseconds from asking to the finished file, inside the engine process."""
    cached: bool
    """Whether the same picture had been drawn before."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """Stage (decode, prepare, draw, encode) -> seconds, of those that this picture waited for."""
    engine: str = ""
    """Name of the engine that drew it."""
    version: str = ""
    """Its version."""
    gpu_used: bool = False
    """Whether it draws on a GPU."""


class EngineService(Protocol):
    """Operations of the engine process.

    Each raises the named errors of `sunriza_assets.errors` just as the engine process raised them
    (family, code, public text); `EngineError` with code `engine.warming` while it loads, and
    `engine.unreachable` if it does not answer.
    """

    async def facts(self) -> EngineFacts:
        """How it stands; never raises because it is warming."""
        ...

    async def render(
        self,
        portrait: Path,
        emotions: Sequence[str],
        *,
        intensity: float,
        output_format: str,
        width: int | None,
        height: int | None,
        owner: str,
        request_id: str,
    ) -> Sequence[RenderedPicture]:
        """Draw emotions of a portrait: all or none.

        Raises:
            FaceError: `face.none`, `face.several`.
            MediaError: the portrait cannot be read.
        """
        ...

    async def preview(
        self,
        portrait: Path,
        parameters: Mapping[str, Any],
        *,
        size: int = 256,
        owner: str | None = None,
    ) -> Path:
        """A JPEG still of a portrait as these render parameters draw it, longest side `size`.

        The file lies among the outputs under an output's name and is the caller's to remove or to
        register (`OrderStore.add_output`); one that nobody has registered goes after an hour.

        Args:
            portrait: the picture.
            parameters: render parameters, in either spelling.
            size: longest side in pixels.
            owner: whom the costs are booked to.

        Raises:
            FaceError: `face.none`, `face.several`.
            MediaError: the portrait cannot be read.
            ParameterError: a parameter that is unknown or out of its range.
        """
        ...

    async def inspect(
        self,
        portrait: Path | None,
        clip: Path | None,
        parameters: Mapping[str, Any],
        *,
        owner: str | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """Findings of the input coach (`studio.inspection.Finding.to_dict`), worst first.

        Of the parameters, `max_seconds` says how much of the clip is used.
        """
        ...

    async def trim(
        self,
        clip: Path,
        start_s: float,
        end_s: float,
        destination: Path,
        *,
        owner: str | None = None,
    ) -> int:
        """Cut a clip exactly to the frame, with its sound; returns the number of frames.

        An end beyond the clip's own is the clip's own.

        Raises:
            MediaError: the clip cannot be decoded, or ends before `start_s`.
            LimitError: `limit.trims`: two trims are at work already.
        """
        ...

    async def speak(
        self,
        wish: SpeechWish,
        *,
        owner: str,
        reference: Path | None = None,
        patience_s: float | None = None,
    ) -> SpokenSound | SpeechForecast:
        """Speak a text; the sound lies among the outputs, its times (`.json`) beside it.

        Equal wishes of one owner that are under way at once get the same sound. The call has no
        time limit of its own beyond that of the request that waits for it.

        Args:
            owner: whom it is booked to.
            reference: sound of the voice to imitate, in any format that is decoded here.
            patience_s: where it will probably take longer nothing is done, and the forecast is
                returned.

        Raises:
            SpeechError: the language, voice, text or reference cannot be used.
            ModelError: a package or weights are missing; `model.cloning` if it is those that
                imitate.
            LimitError: `limit.speech`: too much is being spoken already.
        """
        ...

    async def speak_to(
        self, wish: SpeechWish, destination: Path, *, audio_format: str, owner: str
    ) -> SpokenSound:
        """Speak a text into a file of its own, encoded; its `audio_id` is empty.

        Args:
            destination: the file, in a folder that exists.
            audio_format: mp3, opus, aac, flac, wav, or pcm (24 kHz, 16 bits, little-endian).

        Raises:
            SpeechError, ModelError, LimitError: as `speak`.
        """
        ...

    async def speech_forecast(self, wish: SpeechWish) -> SpeechForecast:
        """What speaking a text will probably take.

        Raises:
            SpeechError, ModelError: as `speak`.
        """
        ...

    async def voices(self) -> Sequence[Mapping[str, Any]]:
        """All voices (`studio.speech.voices.protocol.Voice` as JSON values)."""
        ...


OPERATIONS: Final = frozenset(
    name for name, one in vars(EngineService).items() if iscoroutinefunction(one)
) - {"facts"}
"""Names of what a warm engine process is called for."""
