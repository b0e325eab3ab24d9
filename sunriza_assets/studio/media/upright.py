"""From decoded frames to what a viewer sees: upright, square pixels, progressive, SDR bt709.

One FFmpeg filter graph per frame format; it is built anew when a stream changes size or format
midway. Frames come out one for one and in order.
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

from av.error import BlockingIOError as FFmpegAgain
from av.error import EOFError as FFmpegEnd
from av.filter import Graph
from av.video.frame import VideoFrame

from sunriza_assets.studio.media.colour import MATRICES, TRANSFERS, UNKNOWN, matrix_for
from sunriza_assets.studio.media.orientation import Orientation
from sunriza_assets.studio.media.source import reading

__all__ = ["Upright", "even", "shown_size"]

_FULL_RANGE: Final = 2
"""AVCOL_RANGE_JPEG"""
_SCALER: Final = "lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"


def shown_size(
    coded: tuple[int, int], aspect: Fraction, orientation: Orientation
) -> tuple[int, int]:
    """(width, height) in square pixels of a stored frame as a viewer sees it.

    The side that loses nothing is kept: wide pixels widen the picture, tall ones heighten it.
    """
    width, height = coded
    if aspect > 1:
        width = max(1, round(width * aspect))
    elif aspect < 1:
        height = max(1, round(height / aspect))
    return (height, width) if orientation.turns_side else (width, height)


def even(size: tuple[int, int], max_side: int | None = None) -> tuple[int, int]:
    """The nearest even size, shrunk in proportion to `max_side` if it is larger.

    4:2:0 chroma needs even sides; rounding to the nearest keeps the aspect best.
    """
    shrink = min(Fraction(1), Fraction(max_side, max(size))) if max_side else Fraction(1)
    width, height = (max(2, 2 * round(side * shrink / 2)) for side in size)
    return width, height


class Upright:
    """Converts a clip's decoded frames, in order.

    Args:
        path: the clip, for error messages.
        size: (width, height) of the frames that come out.
        orientation: how the stored frames lie.
        deinterlace: whether they consist of two fields.
        pixel_format: rgb24, or yuv420p with bt709 in limited range.
    """

    def __init__(
        self,
        path: Path,
        size: tuple[int, int],
        orientation: Orientation,
        *,
        deinterlace: bool,
        pixel_format: Literal["rgb24", "yuv420p"],
    ) -> None:
        self._path = path
        self._size = size
        self._orientation = orientation
        self._deinterlace = deinterlace
        self._pixel_format = pixel_format
        self._graph: Graph | None = None
        self._layout: tuple[object, ...] = ()
        self._pushed = 0

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Give a decoded frame; yields the converted ones that are ready, none or more."""
        layout = _layout(frame)
        if layout != self._layout:
            yield from self.finish()
            self._graph, self._layout = self._build(frame), layout
        frame.pts, frame.time_base = self._pushed, Fraction(1, 25)  # only their order matters
        self._pushed += 1
        if self._graph is not None:
            with reading(self._path):
                self._graph.vpush(frame)
                yield from self._pull(self._graph)

    def finish(self) -> Iterator[VideoFrame]:
        """Yield what is still held back."""
        if self._graph is not None:
            with reading(self._path):
                self._graph.vpush(None)
                yield from self._pull(self._graph)
        self._graph, self._layout = None, ()

    @staticmethod
    def _pull(graph: Graph) -> Iterator[VideoFrame]:
        while True:
            try:
                yield graph.vpull()
            except (FFmpegAgain, FFmpegEnd):
                return

    def _build(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        nodes = [
            graph.add(
                "buffer",
                f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
                f":time_base=1/25:colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
            )
        ]
        if self._deinterlace:
            nodes.append(graph.add("bwdif", "mode=send_frame:deint=all"))
        nodes += [graph.add(name, args or None) for name, args in self._orientation.filters]
        width, height = self._size
        matrix = matrix_for(
            MATRICES.get(int(frame.colorspace), UNKNOWN),
            short_side=min(frame.width, frame.height),
        )
        yuv = self._pixel_format == "yuv420p"
        source = "" if frame.format.is_rgb else f":in_color_matrix={matrix}"
        nodes.append(
            graph.add(
                "scale",
                f"w={width}:h={height}:flags={_SCALER}{source}"
                + (":out_color_matrix=bt709:out_range=limited" if yuv else ":out_range=full"),
            )
        )
        nodes.append(graph.add("format", f"pix_fmts={self._pixel_format}"))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes)
        with reading(self._path):
            graph.configure()
        return graph


def _layout(frame: VideoFrame) -> tuple[object, ...]:
    return (
        frame.width, frame.height, frame.format.name, int(frame.colorspace),
        int(frame.color_range), TRANSFERS.get(int(frame.color_trc), UNKNOWN),
    )  # fmt: skip
