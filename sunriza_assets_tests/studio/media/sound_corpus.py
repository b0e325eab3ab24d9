"""Sounds of honest recorders, and of broken ones and hostile people: heard, or refused by name."""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from sunriza_assets_tests.studio.media import surgery
from sunriza_assets_tests.studio.media.films import Film, Sound, write
from sunriza_assets_tests.studio.media.sounds import chunk, encode, signal, wav

__all__ = ["HOSTILE", "SPOKEN", "Encoded", "Heard", "HostileSound", "silent_flac"]


@dataclass(frozen=True)
class Encoded:
    """A sound as honest recorders write it."""

    name: str
    rate: int
    codec: str
    sample_format: str
    container: str | None = None
    layout: str = "mono"
    seconds: float = 1.0
    correlation: float = 0.95
    """With the original, at least."""

    def build(self, path: Path) -> Path:
        """Write it."""
        return encode(
            path,
            signal(self.rate, self.seconds),
            self.rate,
            self.codec,
            self.sample_format,
            container=self.container,
            layout=self.layout,
        )


SPOKEN = [
    Encoded("bytes.wav", 8_000, "pcm_u8", "u8"),
    Encoded("plain.wav", 44_100, "pcm_s16le", "s16", layout="stereo"),
    Encoded("studio.wav", 96_000, "pcm_s24le", "s32"),
    Encoded("float.wav", 48_000, "pcm_f32le", "flt"),
    Encoded("double.wav", 16_000, "pcm_f64le", "dbl"),
    Encoded("eight_channels.wav", 48_000, "pcm_s16le", "s16", layout="7.1"),
    Encoded("telephone.wav", 8_000, "pcm_alaw", "s16"),
    Encoded("plain.mp3", 44_100, "libmp3lame", "fltp", layout="stereo"),
    Encoded("half_rate.mp3", 24_000, "libmp3lame", "fltp", correlation=0.93),
    Encoded("low_rate.mp3", 16_000, "libmp3lame", "fltp", correlation=0.9),
    Encoded("vorbis.ogg", 44_100, "vorbis", "fltp", layout="stereo"),
    Encoded("voice.opus", 48_000, "libopus", "flt", container="ogg"),
    Encoded("plain.flac", 22_050, "flac", "s16"),
    Encoded("phone.m4a", 44_100, "aac", "fltp", container="ipod"),
    Encoded("lossless.m4a", 48_000, "alac", "s16p", container="ipod"),
    Encoded("browser.webm", 48_000, "libopus", "flt"),
    Encoded("plain.mkv", 32_000, "flac", "s16", container="matroska"),
    Encoded("sound.mp4", 24_000, "aac", "fltp"),
]


@dataclass(frozen=True)
class Heard:
    """Clean sound comes out."""

    seconds: tuple[float, float]
    """At least, at most."""
    silent: bool = False


@dataclass(frozen=True)
class HostileSound:
    """One file, and the code of its error or what is heard."""

    name: str
    build: Callable[[Path], object]
    outcome: str | Heard


def _raw(name: str, content: bytes, outcome: str | Heard) -> HostileSound:
    return HostileSound(name, lambda path: path.write_bytes(content), outcome)


def _cut(base: Encoded, name: str, edit: Callable[[bytes], bytes], outcome: str | Heard
         ) -> HostileSound:  # fmt: skip
    """An encoded sound, its bytes edited."""

    def build(path: Path) -> None:
        base.build(path)
        path.write_bytes(edit(path.read_bytes()))

    return HostileSound(name, build, outcome)


def _garbage(data: bytes, start: float, end: float) -> bytes:
    first, last = int(len(data) * start), int(len(data) * end)
    return data[:first] + bytes((i * 37 + 11) & 0xFF for i in range(last - first)) + data[last:]


_WAV, _MP3, _VORBIS, _OPUS = SPOKEN[1], SPOKEN[7], SPOKEN[10], SPOKEN[11]
_FLAC, _M4A, _WEBM = SPOKEN[12], SPOKEN[13], SPOKEN[15]
_LONG = Encoded("long.ogg", 44_100, "vorbis", "fltp", layout="stereo", seconds=3.0)
_ADTS = Encoded("raw.aac", 44_100, "aac", "fltp", container="adts")
_PCM = (signal(16_000) * 32767).astype("<i2").tobytes()
_SECOND = Heard((0.99, 1.01))
_MOST = Heard((0.4, 1.06))


def _floats(*values: float) -> bytes:
    """A second of signal with these values strewn in."""
    samples = signal(16_000).copy()
    samples[100 :: 16_000 // len(values)][: len(values)] = values
    return samples.astype("<f4").tobytes()


def _id3(claimed: int, body: bytes = b"") -> bytes:
    return b"ID3\x04\0\0" + bytes(claimed >> 7 * i & 0x7F for i in (3, 2, 1, 0)) + body


def _flac_claims(data: bytes) -> bytes:
    """STREAMINFO says 2**36 - 1 samples, and a checksum of others."""
    return data[:21] + bytes([data[21] | 0x0F]) + b"\xff" * 20 + data[42:]


def _ogg_page(serial: int, number: int, flags: int, packets: list[bytes]) -> bytes:
    lacing = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    head = struct.pack(
        "<4sBBqIIIB", b"OggS", 0, flags, number * 960, serial, number, 0, len(lacing)
    )
    page = head + lacing + b"".join(packets)
    return page[:22] + struct.pack("<I", _ogg_crc(page)) + page[26:]


def _ogg_crc(page: bytes) -> int:
    """CRC-32 of RFC 3533: polynomial 0x04C11DB7, not reflected, from 0."""
    crc = 0
    for byte in page:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1
        crc &= 0xFFFFFFFF
    return crc


def _ogg_opus(packets: int, packet: bytes) -> bytes:
    """So many equal packets, 255 to a page."""
    head = b"OpusHead\x01\x01" + struct.pack("<HIhB", 0, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages = [_ogg_page(7, 0, 2, [head]), _ogg_page(7, 1, 0, [tags])]
    pages += [_ogg_page(7, 2 + i, 0, [packet] * 255) for i in range(-(-packets // 255))]
    return b"".join(pages)


def _sparse(path: Path) -> None:
    path.write_bytes(wav(_PCM))
    with path.open("r+b") as file:
        file.truncate(25_000_001)


def _chained(path: Path) -> None:
    first = _OPUS.build(path).read_bytes()
    path.write_bytes(first + first)


def silent_flac(path: Path, rate: int, layout: str, seconds: int) -> Path:
    """FLAC of digital silence: one frame, told over and over."""
    encode(path, np.zeros(rate, np.float32), rate, "flac", "s16", layout=layout)
    data = path.read_bytes()
    block = int.from_bytes(data[8:10], "big")
    at = data.index(b"\xff\xf8", 42)
    frame = data[at : data.index(b"\xff\xf8", at + 2)]
    path.write_bytes(data[:at] + frame * (seconds * rate // block))
    return path


def _film(name: str, film: Film, outcome: str | Heard, *edits: Callable[[Path], object]
          ) -> HostileSound:  # fmt: skip
    def build(path: Path) -> None:
        write(path, film)
        for edit in edits:
            edit(path)

    return HostileSound(name, build, outcome)


_SPOKEN_FILM = Film(count=4, sound=Sound(seconds=1.0))
_EXTENSIBLE = struct.pack("<HHI", 16, 0, 0) + b"\x01\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"

HOSTILE = [
    _raw("empty.wav", b"", "empty"),
    _raw("one_byte.wav", b"R", "unsupported"),
    _raw("text.mp3", b"This is not a sound.\n" * 40, "unsupported"),
    _raw("noise.mp3", bytes((i * i * 31 + 7) & 0xFF for i in range(5000)), "unsupported"),
    _raw("playlist.mp3", b"#EXTM3U\nhttp://127.0.0.1:9/a.mp3\n", "unsupported"),
    _raw("concat.wav", b"ffconcat version 1.0\nfile /etc/hostname\n", "unsupported"),
    _raw("midi.mid", b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0", "unsupported"),
    _raw("foreign.aiff", b"FORM\0\0\0\4AIFF", "unsupported"),
    HostileSound("huge.wav", _sparse, "too_large"),
    # WAV
    _raw("riff_only.wav", b"RIFF\4\0\0\0WAVE", "unreadable"),
    _raw("without_data.wav", wav(b"")[:-8], "unreadable"),
    _raw("no_samples.wav", wav(b""), "no_samples"),
    _raw("claims_4_gigabytes.wav", wav(_PCM, claimed=0xFFFFFFFF), _SECOND),
    _raw("claims_nothing.wav", wav(_PCM, claimed=0), _SECOND),
    _raw("odd_bytes.wav", wav(_PCM[:-1]), _SECOND),
    _raw("chunk_without_end.wav", wav(_PCM, between=[chunk(b"LIST", b"abcd", 0xFFFFFFF0)]),
         "unreadable"),
    _raw("no_channels.wav", wav(_PCM, channels=0), "too_many_channels"),
    _raw("nine_channels.wav", wav(_PCM, channels=9), "too_many_channels"),
    _raw("crowd.wav", wav(_PCM, channels=65535, align=2), "too_many_channels"),
    _raw("five_without_a_mask.wav", wav(_PCM, channels=5), Heard((0.19, 0.21))),
    _raw("mask_of_another_count.wav", b"RIFF\xff\xff\0\0WAVE" + chunk(b"fmt ", struct.pack(
        "<HHIIHHHHI", 0xFFFE, 3, 16_000, 96_000, 6, 16, 22, 16, 0x3F) + _EXTENSIBLE[8:])
        + chunk(b"data", _PCM), Heard((0.3, 0.35))),
    _raw("one_hertz.wav", wav(_PCM, rate=1), "rate"),
    _raw("just_too_slow.wav", wav(_PCM, rate=7_999), "rate"),
    _raw("four_gigahertz.wav", wav(_PCM, rate=0xFFFFFFFF), "unreadable"),
    _raw("no_alignment.wav", wav(_PCM, align=0), _SECOND),
    _raw("no_bits.wav", wav(_PCM, bits=0), "unsupported"),
    _raw("tag_of_nothing.wav", wav(_PCM, tag=0x7777), "unsupported"),
    _raw("old_compression.wav", wav(_PCM, tag=2, bits=4), "unsupported"),
    _raw("not_numbers.wav", wav(_floats(np.nan, np.inf, -np.inf, np.nan), bits=32, tag=3), _SECOND),
    _raw("all_nan.wav", wav(np.full(16_000, np.nan, "<f4").tobytes(), bits=32, tag=3),
         Heard((0.99, 1.01), silent=True)),
    _raw("astronomical.wav", wav(_floats(1e30, -3e38, 1e-40), bits=32, tag=3), _SECOND),
    _raw("silence.wav", wav(bytes(32_000)), Heard((0.99, 1.01), silent=True)),
    _raw("only_a_constant.wav", wav(b"\0\x60" * 16_000), Heard((0.99, 1.01), silent=True)),
    _raw("one_sample.wav", wav(b"\0\x60"), Heard((0, 0.001), silent=True)),
    _raw("five_minutes_and_a_bit.wav", wav(b"\x80" * (8_000 * 302), rate=8_000, bits=8),
         "too_long"),
    # MP3 and what claims to be
    HostileSound("raw.aac", _ADTS.build, "unsupported"),
    _cut(_ADTS, "raw_behind_a_tag.aac", lambda data: _id3(0) + data, "unsupported"),
    _raw("tag_only.mp3", _id3(10, bytes(10)), "unreadable"),
    _cut(_MP3, "tag_of_256_megabytes.mp3", lambda data: _id3(0x0FFFFFFF) + data, "unreadable"),
    _cut(_MP3, "tag_and_sound.mp3", lambda data: _id3(3000, bytes(3000)) + data, _MOST),
    _cut(_MP3, "header_and_zeros.mp3", lambda data: data[:4] + bytes(5000), "unreadable"),
    _cut(_MP3, "cut.mp3", lambda data: data[: len(data) * 6 // 10 + 7], _MOST),
    _cut(_MP3, "damaged.mp3", lambda data: _garbage(data, 0.4, 0.6), _MOST),
    _cut(_MP3, "claims_ten_hours.mp3", lambda data: data.replace(
        b"Info\0\0\0\x0f" + data[data.index(b"Info") + 8:][:4], b"Info\0\0\0\x0f\0\x15\0\0", 1),
        _MOST),
    # Ogg
    _cut(_LONG, "cut.ogg", lambda data: data[: len(data) * 7 // 10], Heard((0.9, 2.9))),
    _cut(_LONG, "damaged.ogg", lambda data: _garbage(data, 0.5, 0.6), Heard((0.9, 3.1))),
    _cut(_VORBIS, "cut_in_the_first_page.ogg", lambda data: data[: len(data) * 8 // 10],
         "unreadable"),
    _cut(_VORBIS, "damaged_books.ogg", lambda data: _garbage(data, 0.1, 0.3), "unreadable"),
    HostileSound("chained.opus", _chained, Heard((1.98, 2.04))),
    _raw("empty_frames.opus", _ogg_opus(500, b"\x80"), Heard((1.2, 1.3), silent=True)),
    _raw("invalid_frames.opus", _ogg_opus(500, b"\x83\0"), "no_samples"),
    _raw("head_only.opus", _ogg_opus(0, b""), "unreadable"),
    # FLAC
    _cut(_FLAC, "claims_an_age.flac", _flac_claims, _MOST),
    _cut(_FLAC, "damaged.flac", lambda data: _garbage(data, 0.4, 0.5), _MOST),
    _cut(_FLAC, "head_only.flac", lambda data: data[:42], "unreadable"),
    HostileSound("two_hours_of_nothing.flac", lambda path: silent_flac(path, 8_000, "mono", 7_200),
                 "too_long"),
    # MP4 and WebM
    _cut(_M4A, "cut.m4a", lambda data: data[: len(data) * 6 // 10], "truncated"),
    HostileSound("claims_a_month.m4a", lambda path: surgery.claim_duration(
        _M4A.build(path), 2_000_000), _MOST),
    HostileSound("points_outside.m4a", lambda path: surgery.point_outside(
        _M4A.build(path), b"http://127.0.0.1:9/"), "unsupported"),
    HostileSound("zeroed.m4a", lambda path: surgery.damage_media(_M4A.build(path), 0, 1),
                 "no_samples"),
    HostileSound("mostly_zeroed.m4a", lambda path: surgery.damage_media(
        _M4A.build(path), 0.05, 0.95), "damaged"),
    _film("pictures_only.mp4", Film(count=4), "no_sound"),
    _film("clip.mp4", _SPOKEN_FILM, _MOST),
    _film("late_sound.mkv", Film(count=4, tick=Fraction(1, 1000), sound=Sound(
        seconds=1.0, start=0.5)), _MOST),
    _cut(_WEBM, "cut.webm", lambda data: data[: len(data) * 6 // 10], "truncated"),
    _raw("ebml_only.webm", b"\x1aE\xdf\xa3\x93B\x82\x84webm", "unreadable"),
]  # fmt: skip
