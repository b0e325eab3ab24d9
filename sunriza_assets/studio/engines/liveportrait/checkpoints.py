"""Reading weight files: no code is run, every tensor is checked against the manifest.

Two layouts are read: torch's own `.pth` through `weights_only=True`, which unpickles tensors and
plain containers alone, and `.safetensors`, which has nothing to unpickle.
"""

import pickle
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sunriza_assets.errors import ModelError
from sunriza_assets.studio.engines.liveportrait.manifest import manifest
from sunriza_assets.studio.engines.liveportrait.weights import (
    PULL_COMMAND,
    recorded_hashes,
    sha256_of,
    weight_path,
)

__all__ = ["State", "read_state", "read_states"]

State = Mapping[str, Tensor]
"""A state dict: key -> tensor."""

_GROUPS: Final = {
    "stitching": "retarget_shoulder",
    "lip": "retarget_mouth",
    "eye": "retarget_eye",
}
"""Under what name the common file holds each of the small networks."""
_KEY_PREFIX: Final = "module."
"""What data-parallel training put before every key."""


def read_state(root: Path, net: str) -> State:
    """The weights of one network, float32 on the CPU.

    Args:
        root: the models folder.
        net: a key of the manifest.

    Raises:
        ModelError: the file is missing, damaged, not LivePortrait's, or not the one that was
            pulled.
    """
    path = weight_path(root, net)
    recorded = recorded_hashes(root).get(path.relative_to(root).as_posix())
    if recorded is not None and sha256_of(path) != recorded:
        raise ModelError(
            "The weight file is not the one that was pulled",
            where=path,
            remedy=f"Delete it and run: {PULL_COMMAND}",
            code="damaged",
        )
    return read_states(path, (net,))[net]


def read_states(path: Path, nets: Iterable[str]) -> dict[str, State]:
    """The weights of some networks out of one file, every key, shape and kind of number checked.

    Raises:
        ModelError: damaged, or not LivePortrait's.
    """
    content = _content(path)
    return {net: _validated(_section(content, net), net, path) for net in nets}


def _content(path: Path) -> Mapping[str, Any]:
    try:
        content: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except (
        OSError, EOFError, KeyError, ValueError, RuntimeError,
        pickle.UnpicklingError, zipfile.BadZipFile, SafetensorError,
    ) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"The weight file cannot be read: {reason[:200]}",
            where=path,
            remedy=f"Delete it and run: {PULL_COMMAND}",
            code="damaged",
        ) from error
    return content if isinstance(content, Mapping) else {}


def _section(content: Mapping[str, Any], net: str) -> Mapping[str, Any]:
    """A network's own state dict, its keys without wrappers."""
    group = _GROUPS.get(net)
    if group is not None:
        prefix = group + "."
        flat = {k.removeprefix(prefix): v for k, v in content.items() if k.startswith(prefix)}
        nested = content.get(group, flat)
        content = nested if isinstance(nested, Mapping) else {}
    return {str(key).replace(_KEY_PREFIX, ""): value for key, value in content.items()}


def _validated(state: Mapping[str, Any], net: str, path: Path) -> State:
    wanted = manifest()[net]
    missing = [key for key in wanted if key not in state]
    foreign = [key for key in state if key not in wanted]
    misshapen = [
        key
        for key, shape in wanted.items()
        if key in state
        and not (isinstance(state[key], Tensor) and tuple(state[key].shape) == shape)
    ]
    faults = [
        f"{len(keys)} {fault} (first: {keys[0]})"
        for keys, fault in (
            (missing, "missing"),
            (foreign, "unknown"),
            (misshapen, "of another shape"),
        )
        if keys
    ]
    if faults:
        raise ModelError(
            f"The file does not hold LivePortrait's {net}: of its {len(wanted)} tensors, "
            + ", ".join(faults),
            where=path,
            remedy=f"Delete it and run: {PULL_COMMAND}",
            code="foreign",
        )
    return {key: _in_float32(key, state[key]) for key in wanted}


def _in_float32(key: str, tensor: Tensor) -> Tensor:
    return tensor if key.endswith("num_batches_tracked") else tensor.to(torch.float32)
