"""What a mark says, and marking files and bytes with it.

Synthetic media carry a C2PA manifest (https://spec.c2pa.org): one action `c2pa.created` with the
IPTC's digital source type, the software, and `org.sunriza.inputs`, the SHA-256 of what the file was
made from. Nothing in it names a person, an avatar or a machine.
"""

import importlib.util
import io
import json
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sunriza_assets.atomic import replacing
from sunriza_assets.errors import StoreError
from sunriza_assets.studio.marks.key import SigningKey

if TYPE_CHECKING:
    from c2pa import Context

__all__ = ["INPUTS", "MEDIA_TYPES", "SOFTWARE", "Mark", "Marker", "Source", "is_available"]

SOFTWARE: Final = "Sunriza Assets"
"""Name of the software in every mark."""
INPUTS: Final = "org.sunriza.inputs"
"""Label of the assertion that holds the hashes of the inputs."""
MEDIA_TYPES: Final[Mapping[str, str]] = MappingProxyType({
    ".mp4": "video/mp4", ".m4a": "audio/mp4", ".mp3": "audio/mpeg", ".wav": "audio/wav",
    ".flac": "audio/flac", ".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp",
    ".avif": "image/avif",
})  # fmt: skip
"""Suffix -> media type of what can be marked; not JSON, Ogg or WebM."""
_IPTC: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_SETTINGS: Final = {
    "verify": {"verify_after_sign": False, "ocsp_fetch": False, "remote_manifest_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
"""No thumbnails, which would double small pictures; nothing is fetched from anywhere."""


class Source(Enum):
    """The IPTC's digital source type: how media came to be."""

    COMPOSITE = "compositeSynthetic"
    """Photographs, moved or completed by a program."""
    COMPOSITE_TRAINED = "compositeWithTrainedAlgorithmicMedia"
    """Photographs, moved or completed by a trained generator."""
    TRAINED = "trainedAlgorithmicMedia"
    """Made by a trained generator alone: neural voices."""
    ALGORITHM = "algorithmicMedia"
    """Made by a program alone: voices by rule, masks."""

    @property
    def uri(self) -> str:
        """As it is written in a mark."""
        return _IPTC + self.value


@dataclass(frozen=True, slots=True)
class Mark:
    """What a file says of itself."""

    source: Source
    """How it came to be."""
    version: str
    """Version of this software."""
    engine: str
    """What drew or spoke it, with its version: `mesh 12`."""
    inputs: tuple[tuple[str, str], ...] = ()
    """(name, SHA-256) of what it was made from."""

    @property
    def digest(self) -> str:
        """64 hex digits; equal for equal marks."""
        content = [self.source.value, self.version, self.engine, self.inputs]
        return sha256(json.dumps(content).encode()).hexdigest()

    def to_manifest(self, title: str, media_type: str) -> dict[str, Any]:
        """The manifest's definition for the C2PA library."""
        agent = {"name": f"{SOFTWARE}, {self.engine}", "version": self.version}
        action = {
            "action": "c2pa.created",
            "digitalSourceType": self.source.uri,
            "softwareAgent": agent,
        }
        inputs = [{"name": name, "alg": "sha256", "hash": digest} for name, digest in self.inputs]
        assertions = [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]
        if inputs:
            assertions.append({"label": INPUTS, "data": {"inputs": inputs}})
        return {
            "claim_generator_info": [{"name": SOFTWARE, "version": self.version}],
            "title": title,
            "format": media_type,
            "assertions": assertions,
        }


def is_available() -> bool:
    """Whether the C2PA library is installed here; it has no wheels for some platforms."""
    return importlib.util.find_spec("c2pa") is not None


class Marker:
    """Marks files with one key. Thread-safe.

    Args:
        key: signs.
    """

    def __init__(self, key: SigningKey) -> None:
        self.key = key
        """The key that signs."""
        self._guard = threading.Lock()
        self._context: Context | None = None

    def mark_file(self, source: Path, destination: Path, mark: Mark, *, title: str) -> None:
        """Write a marked copy of a file; its suffix says what it is.

        Args:
            source: a file of a format in `MEDIA_TYPES`, or a .zip of such files.
            destination: the copy; what is there is replaced.
            mark: what it says.
            title: the file's name in the mark.

        Raises:
            StoreError: `store.mark`: it is not of that format or is damaged; or it cannot be
                written.
        """
        content = source.read_bytes()
        marked = (
            self._marked_zip(content, mark)
            if source.suffix == ".zip"
            else self.marked(content, MEDIA_TYPES[source.suffix], mark, title=title)
        )
        with replacing(destination) as file:
            file.write(marked)

    def marked(self, content: bytes, media_type: str, mark: Mark, *, title: str) -> bytes:
        """The content with a mark in it.

        Args:
            content: a whole file.
            media_type: what it is, a value of `MEDIA_TYPES`.
            mark: what it says.
            title: the file's name in the mark.

        Raises:
            StoreError: `store.mark`: it is not of that type, or is damaged.
        """
        from c2pa import Builder, C2paError

        output = io.BytesIO()
        definition = mark.to_manifest(title, media_type)
        try:
            with self._guard, Builder(definition, context=self._opened()) as builder:
                builder.sign(media_type, io.BytesIO(content), output)
        except C2paError as problem:
            raise StoreError(
                f"It cannot be marked as synthetic: {problem}",
                where=title,
                remedy="SUNRIZA_MARKS=off publishes files without marks.",
                code="mark",
            ) from problem
        return output.getvalue()

    def _marked_zip(self, content: bytes, mark: Mark) -> bytes:
        """An archive whose members of known formats are marked, each by itself."""
        output = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(content)) as given,
            zipfile.ZipFile(output, "w", zipfile.ZIP_STORED) as archive,
        ):
            for member in given.infolist():
                data = given.read(member)
                media_type = MEDIA_TYPES.get(Path(member.filename).suffix)
                if media_type is not None:
                    data = self.marked(data, media_type, mark, title=member.filename)
                archive.writestr(member, data)
        return output.getvalue()

    def _opened(self) -> "Context":
        """The library's context with the signer in it."""
        if self._context is None:
            from c2pa import C2paSignerInfo, C2paSigningAlg, Context, Signer

            info = C2paSignerInfo(
                C2paSigningAlg.ES256, self.key.chain_pem, self.key.private_pem, None
            )
            self._context = Context.from_dict(_SETTINGS, signer=Signer.from_info(info))
        return self._context
