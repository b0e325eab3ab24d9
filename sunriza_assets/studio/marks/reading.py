"""Reading marks out of files, and verifying them."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from sunriza_assets.studio.marks.mark import INPUTS

__all__ = ["FoundMark", "read_mark_in_process"]

_ABSENT: Final = ("ManifestNotFound", "NotSupported")
"""Errors of the library for a file without a mark, or of a kind that bears none."""
_UNKNOWN_SIGNER: Final = "signingCredential.untrusted"
_TEXT: Final = 200
"""Longest text that is taken out of a mark: it may be anybody's."""

_MOST: Final = 100
"""Most entries of a list that are looked at."""


@dataclass(frozen=True, slots=True)
class FoundMark:
    """What a file's mark says, and whether it holds."""

    state: Literal["valid", "invalid", "absent", "unavailable"]
    """invalid: the file or its mark was changed; unavailable: the C2PA library is missing here."""
    own: bool = False
    """Whether a key of this installation has signed it, the present one or a former."""
    signer: str = ""
    """Name in the certificate; says nothing unless `own`, for anybody may use any name."""
    software: str = ""
    """Name and version of what made it."""
    source: str = ""
    """IPTC's digital source type: `compositeSynthetic`."""
    inputs: tuple[tuple[str, str], ...] = ()
    """(name, SHA-256) of what it was made from."""
    problems: tuple[str, ...] = ()
    """Codes of C2PA for what is wrong."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            **asdict(self),
            "inputs": [{"name": name, "sha256": digest} for name, digest in self.inputs],
            "problems": list(self.problems),
        }

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "FoundMark":
        """From what `to_dict` gave."""
        inputs = tuple((one["name"], one["sha256"]) for one in fields["inputs"])
        return cls(**{**fields, "inputs": inputs, "problems": tuple(fields["problems"])})


def read_mark_in_process(path: Path, *, roots: str) -> FoundMark:
    """Read and verify the mark of a file in this process.

    Args:
        path: a file of any kind, from anywhere.
        roots: certificates whose marks are `own`, PEM; may be empty.
    """
    try:
        from c2pa import C2paError, Context, Reader
    except ImportError:
        return FoundMark("unavailable")
    settings = {
        "verify": {"verify_trust": True, "ocsp_fetch": False, "remote_manifest_fetch": False},
        **({"trust": {"trust_anchors": roots}} if roots else {}),
    }
    try:
        with (
            path.open("rb") as file,
            Context.from_dict(settings) as context,
            Reader(None, file, context=context) as reader,
        ):
            return _found(json.loads(reader.json()))
    except C2paError as problem:
        kind = str(problem).partition(":")[0]
        return FoundMark("absent") if kind in _ABSENT else FoundMark("invalid", problems=(kind,))


def _found(store: object) -> FoundMark:
    """The active manifest of a manifest store, as the library shows it; it may be anybody's."""
    manifest = _map(_map(_map(store).get("manifests")).get(_map(store).get("active_manifest")))
    results = _map(_map(_map(store).get("validation_results")).get("activeManifest"))
    state = _map(store).get("validation_state")
    failures = tuple(_text(_map(one).get("code")) for one in _list(results.get("failure")))
    problems = tuple(code for code in failures if code != _UNKNOWN_SIGNER)
    whole = state in ("Valid", "Trusted") and not problems
    data = {
        _text(_map(one).get("label")): _map(_map(one).get("data"))
        for one in _list(manifest.get("assertions"))
    }
    created = data.get("c2pa.actions.v2", data.get("c2pa.actions", {})).get("actions")
    actions = [_map(one) for one in _list(created)]
    agents = [_map(one.get("softwareAgent")) for one in actions]
    generators = [_map(one) for one in _list(manifest.get("claim_generator_info"))]
    agent = next((one for one in (*agents, *generators) if one), {})
    sources = [_text(one.get("digitalSourceType")) for one in actions]
    signature = _map(manifest.get("signature_info"))
    inputs = [_map(one) for one in _list(data.get(INPUTS, {}).get("inputs"))]
    return FoundMark(
        "valid" if whole else "invalid",
        own=whole and state == "Trusted",
        signer=_text(signature.get("common_name") or signature.get("issuer")),
        software=f"{_text(agent.get('name'))} {_text(agent.get('version'))}".strip(),
        source=next((one.rpartition("/")[2] for one in sources if one), ""),
        inputs=tuple((_text(one.get("name")), _text(one.get("hash"))) for one in inputs),
        problems=problems,
    )


def _map(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value[:_MOST] if isinstance(value, list) else []


def _text(value: object) -> str:
    """A short printable text."""
    text = "" if value is None else str(value)
    return "".join(letter for letter in text if letter.isprintable())[:_TEXT].strip()
