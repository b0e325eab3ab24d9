"""The engine's networks: loaded once, in a precision that fits, with a batch that memory allows.

What is read and painted with them is in `engine.py`; the networks themselves are in `networks`.
"""

import logging
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sunriza_assets.errors import EngineError
from sunriza_assets.studio.engines.liveportrait.cuda import current_device, outside_capture
from sunriza_assets.studio.engines.liveportrait.device import BATCH, device_name, wider_placement
from sunriza_assets.studio.engines.liveportrait.fast.convolution import Placement
from sunriza_assets.studio.engines.liveportrait.fast.overflow import Unfit
from sunriza_assets.studio.engines.liveportrait.memory import run_with_shrinking_batch
from sunriza_assets.studio.engines.liveportrait.modules import Modules, Retargeting
from sunriza_assets.studio.engines.liveportrait.painter import Painter
from sunriza_assets.studio.engines.liveportrait.reader import Reader

__all__ = ["LoadedNetworks", "NetworkLoader"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedNetworks:
    """The networks on their device."""

    reader: Reader
    """Reads motion and appearance."""
    painter: Painter
    """Paints poses."""
    retargeting: Retargeting
    """Moves lips and lids to given ratios."""
    placement: Placement
    """Device and precision of the painter."""


class NetworkLoader:
    """Loads the networks when they are first needed, and again in a wider precision on overflow.

    May be used from several threads.
    """

    painting: threading.Lock
    """Held while the painter works: the device takes one batch at a time."""

    def __init__(
        self,
        models_root: Path,
        modules: Modules | None,
        placement: Placement,
        *,
        precision_note: str | None,
        batch: int | None,
    ) -> None:
        """Set the loader up; nothing is loaded yet.

        Args:
            models_root: the models folder.
            modules: networks to use instead of those in the models folder.
            placement: device and precision to begin with.
            precision_note: why this precision is not the requested one.
            batch: poses painted at once; None takes what suits the device.
        """
        self._root = models_root
        self._modules = modules
        self._placement = placement
        self._precision_note = precision_note
        self._batch = batch or BATCH[placement.device.type]
        self._loading = threading.Lock()
        self.painting = threading.Lock()
        self._loaded: LoadedNetworks | None = None

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self._placement.device

    @property
    def first_batch(self) -> int:
        """Poses painted at once when the networks were last loaded."""
        return self._batch

    def loaded(self) -> LoadedNetworks:
        """The networks, loaded now if they are not yet.

        Raises:
            EngineError: `out_of_memory`, or `not_finite`: even float32 overflows.
            ModelError: weights are missing or damaged.
        """
        with self._loading:
            if self._loaded is None:
                self._loaded = self._load(self._placement)
            return self._loaded

    def batch_size(self) -> int:
        """Poses painted at once, as memory has allowed until now."""
        return self.loaded().painter.batch

    def shrink_batch(self, batch: int) -> None:
        """Paint so many poses at once from now on."""
        networks = self.loaded()
        with self.painting:
            networks.painter.resize(batch)

    def facts(self) -> dict[str, Any]:
        """Device, precision and batch size in use, for `Rendering.facts`."""
        networks = self.loaded()
        note = self._precision_note
        return {
            "device": device_name(networks.placement.device),
            "precision": _name(networks.placement.dtype),
            **({} if note is None else {"precision_note": note}),
            "batch": networks.painter.batch,
        }

    def rebuild_wider(self, networks: LoadedNetworks) -> None:
        """Rebuild the painting networks in the next wider precision, for the rest of the process.

        Does nothing where another thread has rebuilt them already.

        Raises:
            EngineError: `not_finite`: there is no wider precision.
        """
        with self._loading:
            if self._loaded is not networks:
                return
            placement = self._widen(networks.placement, "numbers that are not finite")
            with self.painting:
                self._batch = networks.painter.batch
                networks.painter.release()
            self._loaded = None
            self._loaded = self._load(placement)

    def _load(self, placement: Placement) -> LoadedNetworks:
        """The networks on their device, in a precision that their weights fit."""
        while True:
            try:
                return run_with_shrinking_batch(
                    placement.device,
                    partial(self._build, placement),
                    size=lambda: 1,
                    shrink=lambda _: None,
                )
            except Unfit as error:
                placement = self._widen(placement, str(error))

    def _build(self, placement: Placement) -> LoadedNetworks:
        modules = self._modules or Modules.load(self._root)
        with current_device(placement.device), outside_capture(placement.device):
            return LoadedNetworks(
                reader=Reader(modules, placement.device),
                painter=Painter(modules, placement, self._batch),
                retargeting=modules.retargeting,
                placement=placement,
            )

    def _widen(self, placement: Placement, why: str) -> Placement:
        """The placement in the next wider precision; logs the change.

        Raises:
            EngineError: `not_finite`: there is none.
        """
        following = wider_placement(placement)
        if following is None:
            raise EngineError(
                "The networks give numbers that are not finite, even in float32",
                remedy="Check the weight files with `sunriza doctor`.",
                code="not_finite",
            )
        before, after = _name(placement.dtype), _name(following.dtype)
        self._precision_note = f"{before} overflows with these weights: {after} is used"
        _log.warning("%s (%s)", self._precision_note, why)
        self._placement = following
        return following


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
