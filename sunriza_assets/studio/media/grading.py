"""Grades a clip in a thread of its own while it is being encoded.

Decoding what was encoded and comparing it takes as long as half of the encoding. In the thread that
feeds the encoder it would come on top; here it overlaps. What is found does not depend on how the
threads are scheduled: a clip is given up on by the same comparison whenever that is made.
"""

import queue
import threading
from contextlib import suppress
from typing import Final

from av.packet import Packet
from av.video.frame import VideoFrame

from sunriza_assets.studio.media.quality import Likeness

__all__ = ["Grader"]

_AHEAD: Final = 32
"""Packets that may wait to be graded; an encoder that is further ahead waits."""
_ENOUGH: Final = 10
"""Comparisons after which a clip may be given up on."""
_PATIENCE_S: Final = 0.1


class Grader:
    """Takes what goes into an encoder and what comes out, and compares one frame of some.

    Args:
        extradata: the encoder's parameter sets.
        every: one frame of so many is compared.
        hopeless: mean similarity below which a clip is given up on early.
    """

    def __init__(self, extradata: bytes | None, every: int, hopeless: float) -> None:
        self.likeness = Likeness(extradata, every)
        """What has been found; to be read after `finish`, or once `given_up` is set."""
        self.given_up = threading.Event()
        """Set when enough comparisons have been bad enough."""
        self._hopeless = hopeless
        self._packets: queue.Queue[Packet | None] = queue.Queue(_AHEAD)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._grade, name="grade", daemon=True)
        self._thread.start()

    def given(self, number: int, frame: VideoFrame) -> None:
        """A frame goes into the encoder; its pixels may not change from now on."""
        self.likeness.given(number, frame)

    def encoded(self, packet: Packet) -> None:
        """A packet came out; it is copied, for writing it changes it.

        Raises:
            Exception: what went wrong while grading earlier ones.
        """
        copy = Packet(bytes(packet))
        copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
        self._put(copy)

    def finish(self) -> Likeness:
        """Grade what waits; all that was found.

        Raises:
            Exception: what went wrong while grading.
        """
        self._put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self.likeness

    def stop(self) -> None:
        """End the thread without grading what waits; may be called at any time."""
        self._stopped.set()
        self._thread.join()

    def _put(self, packet: Packet | None) -> None:
        while self._error is None and not self.given_up.is_set():
            with suppress(queue.Full):
                self._packets.put(packet, timeout=_PATIENCE_S)
                return
        if self._error is not None:
            raise self._error

    def _grade(self) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    packet = self._packets.get(timeout=_PATIENCE_S)
                except queue.Empty:
                    continue
                for compared in self.likeness.encoded(packet):
                    if compared >= _ENOUGH and self.likeness.mean < self._hopeless:
                        self.given_up.set()
                        return
                if packet is None:
                    return
        except Exception as error:  # noqa: BLE001 - raised anew where packets are handed over
            self._error = error
