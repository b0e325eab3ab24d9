"""H.264 levels and NAL units of packets (ITU-T H.264)."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

__all__ = ["IDR", "LEVELS", "Level", "fits_level", "lowest_level", "unit_types"]

IDR: Final = 5
"""nal_unit_type of a slice of an instantaneous decoding refresh: nothing before it is needed."""


@dataclass(frozen=True, slots=True)
class Level:
    """One row of table A-1, for High profile."""

    number: int
    """level_idc: ten times the level."""
    macroblocks_per_second: int
    """MaxMBPS."""
    macroblocks: int
    """MaxFS, of a frame."""
    bits_per_second: int
    """MaxBR times cpbBrVclFactor of High profile, 1250."""


LEVELS: Final = tuple(
    Level(number, speed, size, rate * 1250)
    for number, speed, size, rate in (
        (10, 1485, 99, 64), (11, 3000, 396, 192), (12, 6000, 396, 384), (13, 11880, 396, 768),
        (20, 11880, 396, 2000), (21, 19800, 792, 4000), (22, 20250, 1620, 4000),
        (30, 40500, 1620, 10000), (31, 108000, 3600, 14000), (32, 216000, 5120, 20000),
        (40, 245760, 8192, 20000), (41, 245760, 8192, 50000), (42, 522240, 8704, 50000),
        (50, 589824, 22080, 135000), (51, 983040, 36864, 240000), (52, 2073600, 36864, 240000),
        (60, 4177920, 139264, 240000), (61, 8355840, 139264, 480000),
        (62, 16711680, 139264, 800000),
    )
)  # fmt: skip


def fits_level(level: Level, size: tuple[int, int], rate: Fraction) -> bool:
    """Whether frames of (width, height) at `rate` stay within a level (A.3.1 f, g, h; A.3.3.2)."""
    wide, high = (-(-side // 16) for side in size)
    longest_squared = 8 * level.macroblocks
    return (
        wide * high <= level.macroblocks
        and wide * wide <= longest_squared
        and high * high <= longest_squared
        and wide * high * rate <= level.macroblocks_per_second
    )


def lowest_level(size: tuple[int, int], rate: Fraction) -> Level | None:
    """The lowest level that frames of (width, height) at `rate` fit into, if any."""
    return next((level for level in LEVELS if fits_level(level, size, rate)), None)


def unit_types(packet: bytes, length_size: int = 4) -> Iterator[int]:
    """nal_unit_type of each unit of an MP4 packet, whose units carry their length before them.

    A length that runs over the packet's end stops the walk.
    """
    at = 0
    while at + length_size < len(packet):
        length = int.from_bytes(packet[at : at + length_size], "big")
        if length == 0 or at + length_size + length > len(packet):
            return
        yield packet[at + length_size] & 0x1F
        at += length_size + length
