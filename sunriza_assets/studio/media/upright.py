"""Converts decoded frames to what a viewer sees: upright, square pixels, progressive, SDR bt709.

One FFmpeg filter graph per frame format; it is built anew when a stream changes size or format
midway, or shows its first frame of two fields. Frames come out one for one and in order.
"""

import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

from av.error import BlockingIOError as FFmpegAgain
from av.error import EOFError as FFmpegEnd
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

from sunriza_assets.studio.media.colour import (
    MATRICES,
    PRIMARIES,
    TRANSFERS,
    UNKNOWN,
    Conversion,
    cube_text,
    matrix_for,
)
from sunriza_assets.studio.media.orientation import Orientation
from sunriza_assets.studio.media.source import read_errors

__all__ = ["Upright", "even"]

_SCALER: Final = "lanczos+accurate_rnd+full_chroma_int+full_chroma_inp"
_BACKGROUND: Final = "0x808080"
"""Behind transparent pixels; the same grey as behind a transparent portrait."""


def even(size: tuple[Fraction, Fraction], max_side: int) -> tuple[int, int]:
    """The nearest even size, shrunk in proportion to `max_side` if it is larger.

    4:2:0 chroma needs even sides; rounding to the nearest keeps the aspect best.
    """
    shrink = min(Fraction(1), max_side / max(size))
    width, height = (max(2, 2 * round(side * shrink / 2)) for side in size)
    return width, height


class Upright:
    """Converts a clip's decoded frames, in order.

    Args:
        path: the clip, for error messages.
        size: (width, height) of the frames that come out.
        orientation: orientation of the stored frames.
        deinterlace: whether the first of them consists of two fields; later ones say so themselves.
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
        self._deinterlace |= frame.interlaced_frame
        layout = (*_layout(frame), self._deinterlace)
        if layout != self._layout:
            yield from self.finish()
            with read_errors(self._path):
                self._graph, self._layout = self._build(frame), layout
        frame.pts, frame.time_base = self._pushed, Fraction(1, 25)  # only their order matters
        self._pushed += 1
        if self._graph is not None:
            with read_errors(self._path):
                self._graph.vpush(frame)
            yield from self._pull(self._graph)

    def finish(self) -> Iterator[VideoFrame]:
        """Yield what is still held back."""
        if self._graph is not None:
            with read_errors(self._path):
                self._graph.vpush(None)
            yield from self._pull(self._graph)
        self._graph, self._layout, self._pushed = None, (), 0

    def _pull(self, graph: Graph) -> Iterator[VideoFrame]:
        while True:
            with read_errors(self._path):
                try:
                    frame = graph.vpull()
                except (FFmpegAgain, FFmpegEnd):
                    return
            yield frame

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
            nodes.append(graph.add("bwdif", "mode=send_frame:deint=interlaced"))
        nodes += [graph.add(name, args or None) for name, args in self._orientation.filters]
        width, height = self._size
        scale = f"w={width}:h={height}:flags={_SCALER}"
        decode = "" if frame.format.is_rgb else f":in_color_matrix={_matrix(frame)}"
        if any(component.is_alpha for component in frame.format.components):
            nodes.append(graph.add("scale", f"{scale}{decode}:out_range=full"))
            nodes.append(graph.add("format", "pix_fmts=gbrap"))
            graph.link_nodes(*nodes)
            nodes = [_on_background(graph, nodes[-1], self._size)]
            decode = ""
        nodes += self._colour_nodes(graph, frame, scale, decode)
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes)
        graph.configure()
        return graph

    def _colour_nodes(
        self, graph: Graph, frame: VideoFrame, scale: str, decode: str
    ) -> list[FilterContext]:
        """Scaling and all changes of colour."""
        if self._pixel_format == "yuv420p":
            encode = ":out_color_matrix=bt709:out_range=limited"
        else:
            encode = ":out_range=full"
        last = graph.add("format", f"pix_fmts={self._pixel_format}")
        conversion = _conversion(frame)
        if conversion is None:
            return [graph.add("scale", scale + decode + encode), last]
        nodes = [
            graph.add("scale", f"{scale}{decode}:out_range=full"),
            graph.add("format", "pix_fmts=gbrp16le"),
        ]
        with tempfile.TemporaryDirectory() as folder:  # the filter reads it when it is made
            table = Path(folder) / "to_bt709.cube"
            table.write_text(cube_text(conversion), encoding="ascii")
            nodes.append(graph.add("lut3d", file=str(table), interp="tetrahedral"))
        return [*nodes, graph.add("scale", f"flags={_SCALER}{encode}"), last]


def _on_background(graph: Graph, node: FilterContext, size: tuple[int, int]) -> FilterContext:
    """What a node gives, laid over grey."""
    ground = graph.add("color", f"c={_BACKGROUND}:s={size[0]}x{size[1]}:r=25")
    plain = graph.add("format", "pix_fmts=gbrp")
    ground.link_to(plain)
    overlay = graph.add("overlay", "format=gbrp:shortest=1")
    plain.link_to(overlay, 0, 0)
    node.link_to(overlay, 0, 1)
    return overlay


def _matrix(frame: VideoFrame) -> str:
    name = MATRICES.get(int(frame.colorspace), UNKNOWN)
    return matrix_for(name, short_side=min(frame.width, frame.height))


def _conversion(frame: VideoFrame) -> Conversion | None:
    return Conversion.of(
        TRANSFERS.get(int(frame.color_trc), UNKNOWN),
        PRIMARIES.get(int(frame.color_primaries), UNKNOWN),
    )


def _layout(frame: VideoFrame) -> tuple[object, ...]:
    """All that a graph is built for."""
    return (
        frame.width, frame.height, frame.format.name, int(frame.colorspace),
        int(frame.color_range), int(frame.color_trc), int(frame.color_primaries),
    )  # fmt: skip
