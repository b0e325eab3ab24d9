"""Clips of broken recorders, broken uploads and hostile people: each is refused by name."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from sunriza_assets_tests.studio.media import surgery
from sunriza_assets_tests.studio.media.cases import Case, Refused, copied, cut, film, raw
from sunriza_assets_tests.studio.media.clip_corpus import B_FRAMES, CLICK, PLAIN
from sunriza_assets_tests.studio.media.films import Film, Sound, write

__all__ = ["REFUSED"]

_MS = Fraction(1, 1000)
_FAST = {"movflags": "+faststart"}
_SOUND_ONLY = replace(CLICK, count=2)


def _sparse(path: Path) -> None:
    write(path, PLAIN)
    with path.open("r+b") as file:
        file.truncate(50_000_001)


REFUSED = [
    raw("empty.mp4", b"", "empty"),
    raw("one_byte.mp4", b"\0", "unsupported"),
    raw("text.mp4", b"This is not a clip.\n" * 40, "unsupported"),
    raw("noise.mp4", bytes((i * i * 31 + 7) & 0xFF for i in range(5000)), "unsupported"),
    raw("svg.mp4", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "unsupported"),
    raw("page.mp4", b"<!DOCTYPE html><html><body>404</body></html>", "unsupported"),
    raw("playlist.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "unsupported"),
    raw("playlist.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "unsupported"),
    raw("concat.mp4", b"ffconcat version 1.0\nfile /etc/hostname\n", "unsupported"),
    raw("session.mp4", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "unsupported"),
    raw("dash.mp4", b'<?xml version="1.0"?><MPD><BaseURL>http://127.0.0.1:9/</BaseURL></MPD>',
        "unsupported"),
    raw("only_ftyp.mp4", b"\0\0\0\x14ftypisom\0\0\0\0isom", "truncated"),
    raw("box_of_size_0.mp4", b"\0\0\0\x14ftypisom\0\0\0\0isom\0\0\0\0moov", "no_video"),
    raw("ebml_only.mkv", b"\x1aE\xdf\xa3\x93B\x82\x88matroska", "unreadable"),
    *(cut(f"cut_at_{share}.mp4", PLAIN, lambda path, s=share: surgery.keep(path, s / 100),
          Refused("truncated")) for share in (1, 10, 50, 90, 99)),
    *(cut(f"faststart_cut_at_{share}.mp4", replace(PLAIN, container=_FAST),
          lambda path, s=share: surgery.keep(path, s / 100), Refused("truncated"))
      for share in (50, 99)),
    *(cut(f"cut_at_{share}.mkv", PLAIN, lambda path, s=share: surgery.keep(path, s / 100),
          Refused("truncated")) for share in (50, 90)),
    cut("without_index.mp4", PLAIN, lambda path: surgery.rename_boxes(path, b"moov"),
        Refused("truncated")),
    cut("zeroed_media.mp4", PLAIN, lambda path: surgery.damage_media(path, 0.0, 1.0),
        Refused("unreadable")),
    cut("damaged_in_the_middle.mp4", Film(count=24), lambda path: surgery.damage_media(
        path, 0.4, 0.6), Refused("damaged")),
    cut("damaged_b_frames.mp4", replace(B_FRAMES, size=(192, 128)),
        lambda path: surgery.damage_media(path, 0.5, 0.7), Refused("damaged")),
    cut("stamps_reach_61_minutes.mp4", PLAIN, lambda path: surgery.stretch(path, 350),
        Refused("too_long")),
    film("really_61_minutes.mkv", Film(rate=Fraction(1), count=37, tick=_MS, stamps=[
        100_000 * i for i in range(37)]), Refused("too_long")),
    Case("fifty_megabytes.mp4", _sparse, Refused("too_large")),
    film("sound_only.m4a", Film(count=0, sound=Sound()), Refused("no_video")),
    copied("sound_only.mp4", _SOUND_ONLY, Refused("no_video"), "-vn", "-c", "copy"),
    copied("sound_only.mkv", _SOUND_ONLY, Refused("no_video"), "-vn", "-c", "copy"),
    copied("ffv1.mkv", PLAIN, Refused("unsupported"), "-c:v", "ffv1"),
    copied("mpeg2.mkv", PLAIN, Refused("unsupported"), "-c:v", "mpeg2video"),
    copied("theora.mkv", PLAIN, Refused("unsupported"), "-c:v", "libtheora"),
    copied("raw.mkv", PLAIN, Refused("unsupported"), "-c:v", "rawvideo"),
    copied("encrypted.mp4", PLAIN, Refused("unsupported"), "-c", "copy",
           "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "00" * 16,
           "-encryption_kid", "11" * 16),
    copied("foreign.avi", PLAIN, Refused("unsupported"), "-c", "copy"),
    copied("foreign.flv", PLAIN, Refused("unsupported"), "-c", "copy"),
    copied("foreign.ts", PLAIN, Refused("unsupported"), "-c", "copy"),
    copied("foreign.ogv", PLAIN, Refused("unsupported"), "-c:v", "libtheora"),
    copied("foreign.gif", PLAIN, Refused("unsupported")),
    cut("points_to_address.mp4", PLAIN,
        lambda path: surgery.point_outside(path, b"http://127.0.0.1:9/clip.mp4"),
        Refused("unsupported")),
    cut("points_to_itself_and_away.mp4", PLAIN, lambda path: surgery.point_outside(
        path, b"http://127.0.0.1:9/", itself=1), Refused("unsupported")),
    cut("points_away_at_last.mp4", PLAIN, lambda path: surgery.point_outside(
        path, b"http://127.0.0.1:9/", itself=6000), Refused("unsupported")),
    cut("packed_index.mov", PLAIN, surgery.pack_index, Refused("unsupported")),
    cut("packed_index_points_away.mov", PLAIN, lambda path: surgery.pack_index(
        surgery.point_outside(path, b"http://127.0.0.1:9/")), Refused("unsupported")),
    cut("media_without_an_end_cut.mp4", replace(PLAIN, container=_FAST),
        lambda path: surgery.keep(surgery.open_media(path), 0.7), Refused("damaged")),
    cut("points_to_file.mov", PLAIN,
        lambda path: surgery.point_outside(path, b"file:///etc/hostname"), Refused("unsupported")),
]  # fmt: skip
