"""Clips as phones and editors make them: each can be trimmed, and shows exactly its frames.

Clips are tiny (96x64, mostly twelve frames) and are built in milliseconds; see `films` for how a
frame carries its number. Add a case by adding a row.
"""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from sunriza_assets_tests.studio.media import surgery
from sunriza_assets_tests.studio.media.cases import Case, Refused, Shown, all_of, copied, cut, film
from sunriza_assets_tests.studio.media.films import Film, Sound, ffmpeg, picture, write

__all__ = ["B_FRAMES", "CLICK", "PLAIN", "SHOWN"]

NTSC = Fraction(1000, 1001)
PLAIN = Film()
B_FRAMES = Film(count=24, options={"preset": "medium", "bf": "3", "x264-params": "b-pyramid=2"})

RATES = [
    film(f"rate_{name}.mp4", Film(rate=rate, count=count))
    for name, rate, count in (
        ("10", Fraction(10), 6), ("12_5", Fraction(25, 2), 8), ("15", Fraction(15), 8),
        ("23_976", 24 * NTSC, 12), ("24", Fraction(24), 12), ("25", Fraction(25), 12),
        ("29_97", 30 * NTSC, 15), ("30", Fraction(30), 15), ("48", Fraction(48), 20),
        ("50", Fraction(50), 20), ("59_94", 60 * NTSC, 24), ("60", Fraction(60), 24),
        ("14_8", Fraction(74, 5), 8),
    )
]  # fmt: skip
FAST_RATES = [
    film("rate_120.mp4", Film(rate=Fraction(120), count=24), Shown(Fraction(60), all_of(24)[::2])),
    film("rate_119_88.mp4", Film(rate=120 * NTSC, count=24), Shown(60 * NTSC, all_of(24)[::2])),
    film("rate_240.mp4", Film(rate=Fraction(240), count=32), Shown(Fraction(60), all_of(32)[::4])),
    film("rate_300.mp4", Film(rate=Fraction(300), count=32), Refused("too_fast")),
    film("rate_1000.mkv", Film(rate=Fraction(1000), count=32), Refused("too_fast")),
]
CONTAINERS = [
    film("h264.mov", PLAIN),
    film("h264.mkv", PLAIN),
    film("mkv_23_976.mkv", Film(rate=24 * NTSC, count=48)),
    film("mkv_29_97.mkv", Film(rate=30 * NTSC, count=60)),
    film("mkv_59_94.mkv", Film(rate=60 * NTSC, count=90)),
    film("mkv_30.mkv", Film(rate=Fraction(30), count=30)),
    film("vp8.webm", Film(codec="libvpx", colour=(6, 6, 6))),
    film("vp8_hidden_frames.webm", Film(
        codec="libvpx", colour=(6, 6, 6), count=40,
        options={"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "16"})),
    film("vp9.webm", Film(codec="libvpx-vp9")),
    film("vp9_hidden_frames.webm", Film(
        codec="libvpx-vp9", count=40,
        options={"deadline": "good", "auto-alt-ref": "1", "lag-in-frames": "16"})),
    film("vp9.mp4", Film(codec="libvpx-vp9")),
    film("av1.mp4", Film(codec="libsvtav1", count=8)),
    film("av1.webm", Film(codec="libsvtav1", count=8)),
    film("hevc.mp4", Film(codec="libx265", count=8)),
    film("hevc.mkv", Film(codec="libx265", count=8)),
    film("mpeg4.mp4", Film(codec="mpeg4")),
    film("mpeg4_b.mp4", Film(codec="mpeg4", options={"bf": "2"})),
    film("mjpeg.mov", Film(
        codec="mjpeg", pixel_format="yuvj420p", full_range=True, colour=(5, 5, 5))),
    film("prores.mov", Film(codec="prores_ks", pixel_format="yuv422p10le")),
    film("faststart.mp4", replace(PLAIN, container={"movflags": "+faststart"})),
    film("fragmented.mp4", replace(
        PLAIN, container={"movflags": "+frag_keyframe+empty_moov+default_base_moof"},
        options={"g": "4"})),
    film("timescale_600.mov", Film(rate=30 * NTSC, count=40, container={
        "video_track_timescale": "600"}), Shown(30 * NTSC, all_of(40))),
    film("timescale_1000.mp4", Film(rate=Fraction(30), count=40, container={
        "video_track_timescale": "1000"})),
    film("one_frame.mp4", Film(count=1)),
    cut("one_frame_of_350_s.mp4", Film(count=1), lambda path: surgery.stretch(path, 350),
        Shown(Fraction(1), [0] * 10)),
    film("one_a_second.mp4", Film(rate=Fraction(1), count=4)),
    film("two_frames.mp4", Film(count=2)),
    cut("without_ftyp.mov", PLAIN, lambda path: surgery.rename_boxes(path, b"ftyp", b"wide"),
        Shown(Fraction(25), all_of(12))),
    cut("claims_61_minutes.mp4", PLAIN, lambda path: surgery.claim_duration(path, 3660),
        Shown(Fraction(25), all_of(12))),
    cut("junk_behind.mp4", PLAIN, lambda path: path.open("ab").write(b"\0" * 3),
        Shown(Fraction(25), all_of(12))),
]  # fmt: skip

_30 = Fraction(30)
_MS = Fraction(1, 1000)
_90K = Fraction(1, 90000)
_JITTER = (0, 3, -4, 2, 5, -3, 1, -5, 4, 0, 2, -2)
TIME = [
    film("b_frames.mp4", B_FRAMES),
    film("b_frames.mkv", B_FRAMES),
    film("open_gop.mp4", replace(
        B_FRAMES, options={"preset": "medium", "bf": "2", "g": "8", "x264-params": "open-gop=1"})),
    film("jitter.mp4", Film(rate=_30, count=60, tick=_90K, stamps=[
        3000 * i + 90 * _JITTER[i % 12] + 450 for i in range(60)])),
    film("jitter.mkv", Film(rate=_30, count=60, tick=_MS, stamps=[
        round(1000 * i / 30) + _JITTER[i % 12] + 5 for i in range(60)])),
    film("dropped_frames.mp4", Film(count=12, tick=_90K, stamps=[
        3600 * i for i in (0, 1, 2, 3, 6, 7, 8, 9, 10, 13, 14, 15)]),
        Shown(Fraction(25), [0, 1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 8, 8, 9, 10, 11])),
    film("alternating_20_40_ms.mp4", Film(count=20, tick=_MS, stamps=[
        30 * i + (10 if i % 2 else 0) - (20 if i % 2 else 0) for i in range(20)]),
        Shown(Fraction(50), [n for i in range(0, 20, 2) for n in (i, i + 1, i + 1)])),
    film("low_light_30_to_15.mp4", Film(rate=_30, count=30, tick=_90K, stamps=[
        3000 * i if i < 20 else 3000 * (20 + 2 * (i - 20)) for i in range(30)]),
        Shown(_30, [*range(20), *(n for n in range(20, 30) for _ in range(2))][:-1])),
    film("a_second_of_29_97.mkv", Film(rate=30 * NTSC, count=24, tick=_MS, stamps=[
        10**6 + round(i * 1001 / 30) for i in range(24)])),
    film("starts_at_5_s.mkv", Film(count=12, tick=_MS, stamps=[5000 + 40 * i for i in range(12)])),
    film("long_pause.mp4", Film(count=4, tick=_MS, stamps=[0, 40, 80, 1080]),
        Shown(Fraction(25), [0, 1, *([2] * 25), 3])),
    cut("without_composition_times.mp4", B_FRAMES,
        lambda path: surgery.rename_boxes(surgery.rename_boxes(path, b"ctts"), b"edts"),
        Shown(Fraction(25), all_of(24))),
    copied("edit_list_hides_lead.mp4", Film(count=24, options={"g": "12"}),
        Shown(Fraction(25), list(range(5, 24))), "-c", "copy", before=("-ss", "0.2")),
    copied("edit_list_b_frames.mp4", B_FRAMES,
        Shown(Fraction(25), list(range(5, 24))), "-c", "copy", before=("-ss", "0.2")),
    film("late_pictures.mp4", Film(count=12, tick=_90K, stamps=[
        9000 + 3600 * i for i in range(12)], sound=Sound(clicks=(0.3,))),
        Shown(Fraction(25), all_of(12), clicks=[0.2])),
    film("cut_short.mp4", Film(count=30), Shown(Fraction(25), all_of(20)), seconds=0.8),
    film("cut_start.mp4", Film(count=30), Shown(Fraction(25), list(range(10, 25))),
        seconds=0.6, start=0.4),
    film("cut_start_b_frames.mp4", replace(B_FRAMES, count=40, options={
        "preset": "medium", "bf": "3", "g": "12"}),
        Shown(Fraction(25), list(range(30, 40))), start=1.2),
    film("cut_29_97.mp4", Film(rate=30 * NTSC, count=40), Shown(30 * NTSC, all_of(30)), seconds=1),
    film("cut_vp9.webm", Film(codec="libvpx-vp9", count=30, options={"g": "10"}),
        Shown(Fraction(25), list(range(15, 30))), start=0.6),
    film("start_behind_end.mp4", PLAIN, Refused("no_frames"), start=3.0),
    film("interlaced_tff.mp4", Film(options={"x264-params": "tff=1"}), Shown(
        Fraction(25), all_of(12), colour=20)),
    film("interlaced_bff.mkv", Film(options={"x264-params": "bff=1"}), Shown(
        Fraction(25), all_of(12), colour=20)),
]  # fmt: skip

_ONE = 1 << 16
_W = 1 << 30
_MATRICES = {  # (a, b, c, d): a point (x, y) is shown at (ax + cy, bx + dy)
    "90": (0, 1, -1, 0), "180": (-1, 0, 0, -1), "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1), "mirrored_90": (0, -1, -1, 0), "mirrored_180": (1, 0, 0, -1),
    "mirrored_270": (0, 1, 1, 0),
}  # fmt: skip
_STORED = {  # how the upright frame must be stored for it: (quarter turns ccw, then flipped)
    "90": (1, False), "180": (2, False), "270": (3, False), "mirrored": (0, True),
    "mirrored_90": (1, True), "mirrored_180": (2, True), "mirrored_270": (3, True),
}  # fmt: skip


def _matrix(name: str) -> list[int]:
    a, b, c, d = _MATRICES[name]
    return [a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, 0, 0, _W]


def _shown_in(width: int, height: int) -> Shown:
    return Shown(Fraction(25), all_of(12), (width, height))


ORIENTATION = [
    film(f"turned_{name}.mp4", Film(turn=turn, flip=flip, matrix=_matrix(name)))
    for name, (turn, flip) in _STORED.items()
] + [
    film("turned_90.mov", Film(turn=1, matrix=_matrix("90"), codec="libx265", count=6)),
    film("turned_45.mp4", Film(matrix=[46341, 46341, 0, -46341, 46341, 0, 0, 0, _W]),
         Refused("unsupported")),
    film("wide_pixels.mp4", Film(aspect=Fraction(4, 3)), _shown_in(128, 64)),
    film("tall_pixels.mp4", Film(aspect=Fraction(1, 2)), _shown_in(96, 128)),
    copied("wide_pixels.webm", Film(aspect=Fraction(4, 3)),
           Shown(Fraction(25), all_of(12), (128, 64)),
           "-c:v", "libvpx-vp9", "-b:v", "2M", "-deadline", "realtime"),
    film("wide_pixels_mirrored_90_10_bits.mp4", Film(
        turn=1, flip=True, matrix=_matrix("mirrored_90"), aspect=Fraction(4, 3), count=6,
        codec="libx265", pixel_format="yuv420p10le"),
        Shown(Fraction(25), all_of(6), (96, 86))),
    film("wide_pixels_turned.mp4", Film(turn=1, matrix=_matrix("90"), aspect=Fraction(4, 3)),
         Shown(Fraction(25), all_of(12), (96, 86))),
    film("odd_size.mp4", Film(size=(97, 65), pixel_format="yuv444p"),
         Shown(Fraction(25), all_of(12), (96, 64))),
]  # fmt: skip

COLOUR = [
    film("bt601.mp4", Film(colour=(6, 6, 6))),
    film("pal.mp4", Film(colour=(5, 5, 5))),
    film("untagged.mp4", Film(colour=(2, 2, 2))),
    film("full_range.mp4", Film(full_range=True, pixel_format="yuvj420p")),
    film("yuv422.mp4", Film(pixel_format="yuv422p")),
    film("yuv444.mp4", Film(pixel_format="yuv444p")),
    film("ten_bit.mp4", Film(pixel_format="yuv420p10le")),
    film("ten_bit_422.mp4", Film(pixel_format="yuv422p10le")),
    film("ten_bit_hevc.mp4", Film(codec="libx265", pixel_format="yuv420p10le", count=6)),
    film("twelve_bit_hevc.mp4", Film(codec="libx265", pixel_format="yuv420p12le", count=6)),
    film("grey.mp4", Film(pixel_format="gray"), Shown(Fraction(25), all_of(12), colour=255)),
    film("rgb.mp4", Film(codec="libx264rgb", pixel_format="rgb24", colour=(1, 1, 0))),
    film("bt2020_sdr.mp4", Film(colour=(9, 14, 9), pixel_format="yuv420p10le"),
         Shown(Fraction(25), all_of(12), colour=120)),
    film("p3.mp4", Film(colour=(12, 1, 1)), Shown(Fraction(25), all_of(12), colour=60)),
    film("pq.mp4", Film(codec="libx265", pixel_format="yuv420p10le", colour=(9, 16, 9), count=6),
         Shown(Fraction(25), all_of(6), colour=255)),
    film("hlg.mp4", Film(codec="libx265", pixel_format="yuv420p10le", colour=(9, 18, 9), count=6),
         Shown(Fraction(25), all_of(6), colour=255)),
    copied("alpha_prores.mov", PLAIN, Shown(Fraction(25), all_of(12)),
           "-c:v", "prores_ks", "-profile:v", "4444", "-pix_fmt", "yuva444p10le"),
    copied("alpha_vp9.webm", PLAIN, Shown(Fraction(25), all_of(12)),
           "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-b:v", "2M", "-deadline", "realtime"),
]  # fmt: skip

CLICK = replace(PLAIN, count=25, sound=Sound(seconds=1.0, clicks=(0.2, 0.6)))
_HEARD = Shown(Fraction(25), all_of(25), clicks=[0.2, 0.6])
SOUND = [
    film("aac.mp4", CLICK, _HEARD),
    film("opus.webm", replace(CLICK, codec="libvpx-vp9", sound=replace(
        CLICK.sound, codec="libopus")), _HEARD),
    copied("vorbis.mkv", CLICK, _HEARD, "-c:v", "copy", "-c:a", "libvorbis"),
    film("mp3.mp4", replace(CLICK, sound=replace(CLICK.sound, codec="mp3")), _HEARD),
    film("pcm.mov", replace(CLICK, sound=replace(CLICK.sound, codec="pcm_s16le")), _HEARD),
    film("alac.mov", replace(CLICK, sound=replace(CLICK.sound, codec="alac")), _HEARD),
    film("flac.mkv", replace(CLICK, sound=replace(CLICK.sound, codec="flac")), _HEARD),
    film("stereo_44100.mp4", replace(CLICK, sound=replace(
        CLICK.sound, rate=44100, channels=2)), _HEARD),
    film("telephone_8000.mov", replace(CLICK, sound=replace(
        CLICK.sound, codec="pcm_s16le", rate=8000)), _HEARD),
    film("late_sound.mkv", replace(CLICK, sound=replace(
        CLICK.sound, start=0.4, seconds=0.6, clicks=(0.6,))), replace(_HEARD, clicks=[0.6])),
    film("short_sound.mp4", replace(CLICK, sound=replace(
        CLICK.sound, seconds=0.4, clicks=(0.2,))), replace(_HEARD, clicks=[0.2])),
    film("long_sound.mp4", replace(CLICK, sound=replace(
        CLICK.sound, seconds=3.0, clicks=(0.2, 0.6, 2.5))), _HEARD),
    film("sound_from_the_middle.mp4", CLICK, Shown(
        Fraction(25), list(range(10, 25)), clicks=[0.2]), start=0.4),
    copied("surround.mp4", CLICK, _HEARD, "-c:v", "copy", "-c:a", "aac", "-ac", "6"),
]  # fmt: skip


def _with_cover(path: Path) -> None:
    from PIL import Image

    clip, cover = path.with_name("clip.mp4"), path.with_name("cover.png")
    write(clip, PLAIN)
    Image.fromarray(picture(77)).save(cover)
    ffmpeg("-i", cover, "-i", clip, "-map", "0", "-map", "1", "-c", "copy",
           "-disposition:v:0", "attached_pic", path)  # fmt: skip


def _resized_midway(path: Path) -> None:
    parts = [path.with_name(f"{name}.h264") for name in ("a", "b")]
    write(parts[0], PLAIN)
    write(parts[1], Film(size=(192, 128)))
    whole = path.with_name("whole.h264")
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    ffmpeg("-f", "h264", "-r", "25", "-i", whole, "-c", "copy", "-bsf:v",
           "setts=pts=N:dts=N:time_base=1/25", path)  # fmt: skip


def _second_is_marked(path: Path) -> None:
    other, clip = path.with_name("other.mp4"), path.with_name("clip.mp4")
    write(other, Film(count=3, size=(64, 96)))
    write(clip, PLAIN)
    ffmpeg("-i", other, "-i", clip, "-map", "0", "-map", "1", "-c", "copy",
           "-disposition:v:0", "0", "-disposition:v:1", "default", path)  # fmt: skip


STREAMS = [
    Case("cover_picture.mp4", _with_cover, Shown(Fraction(25), all_of(12))),
    Case("resized_midway.mkv", _resized_midway, Shown(Fraction(25), [*range(12), *range(12)])),
    Case("second_video_is_the_one.mp4", _second_is_marked, Shown(Fraction(25), all_of(12))),
    copied("two_videos.mkv", PLAIN, Shown(Fraction(25), all_of(12)),
           "-map", "0", "-map", "0", "-c", "copy"),
]  # fmt: skip

SHOWN = (
    *RATES, *FAST_RATES, *CONTAINERS, *TIME, *ORIENTATION, *COLOUR, *SOUND, *STREAMS,
)  # fmt: skip
