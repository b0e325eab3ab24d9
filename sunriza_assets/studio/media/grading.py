"""Measures the quality of a clip in a separate thread while it is encoded.

Decoding and comparing takes half as long as encoding; in a thread of its own it overlaps with it.
The result does not depend on thread scheduling: a clip is rejected early at the same comparison,
whenever that comparison is made.
"""

import queue
import threading
from contextlib import suppress
from typing import Final

from av.packet import Packet
from av.video.frame import VideoFrame

from sunriza_assets.studio.media.quality import Likeness

__all__ = ["Grader"]

_MAX_QUEUED_PACKETS: Final = 32
"""Length of the packet queue; a faster encoder blocks."""
_MIN_COMPARISONS: Final = 10
"""Comparisons before a clip may be rejected early."""
_POLL_S: Final = 0.1


class Grader:
    """Compares every n-th frame of an encoder's input with its output.

    Args:
        extradata: the encoder's parameter sets.
        every: one frame of so many is compared.
        give_up_below: mean SSIM below which a clip is rejected early.
    """

    def __init__(self, extradata: bytes | None, every: int, give_up_below: float) -> None:
        self.likeness = Likeness(extradata, every)
        """The result; read it after `finish`, or once `given_up` is set."""
        self.given_up = threading.Event()
        """Set when the mean SSIM of enough comparisons is too low."""
        self._give_up_below = give_up_below
        self._packets: queue.Queue[Packet | None] = queue.Queue(_MAX_QUEUED_PACKETS)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._grade, name="grade", daemon=True)
        self._thread.start()

    def add_frame(self, number: int, frame: VideoFrame) -> None:
        """Register a source frame; its pixels must not change afterwards."""
        self.likeness.add_frame(number, frame)

    def add_packet(self, packet: Packet) -> None:
        """Queue a copy of an encoded packet, since muxing changes the packet.

        Raises:
            Exception: what went wrong while grading earlier ones.
        """
        copy = Packet(bytes(packet))
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        self._enqueue(copy)

    def finish(self) -> Likeness:
        """Compare the queued frames and return the result.

        Raises:
            Exception: what went wrong while grading.
        """
        self._enqueue(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self.likeness

    def stop(self) -> None:
        """End the thread and discard the queue; may be called at any time."""
        self._stopped.set()
        self._thread.join()

    def _enqueue(self, packet: Packet | None) -> None:
        while self._error is None and not self.given_up.is_set():
            with suppress(queue.Full):
                self._packets.put(packet, timeout=_POLL_S)
                return
        if self._error is not None:
            raise self._error

    def _grade(self) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    packet = self._packets.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                for compared in self.likeness.add_packet(packet):
                    if compared >= _MIN_COMPARISONS and self.likeness.mean < self._give_up_below:
                        self.given_up.set()
                        return
                if packet is None:
                    return
        except Exception as error:  # noqa: BLE001 - raised anew where packets are handed over
            self._error = error
