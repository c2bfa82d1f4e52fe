"""Files of the kinds that users of other tools had trouble with: made, and how each goes through
the codec."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import av

from support.media import Sound, make, picture
from vqcodec.media.captions import insert

TICKS = Fraction(1, 90000)
UNEVEN = [0, 10, 500, 510, 540, 2000, 2040]  # milliseconds


def remade(source: Path, path: Path, change: Callable[[list[Any]], None]) -> Path:
    """The same tracks in another file, whose packets were changed."""
    with av.open(str(source)) as c, av.open(str(path), "w") as out:
        streams = {s.index: out.add_stream_from_template(s, opaque=True) for s in c.streams}
        packets = [p for p in c.demux() if p.size]
        change(packets)
        for p in packets:
            p.stream = streams[p.stream_index]
            out.mux(p)
    return path


def two_parts(path: Path, codec: str = "libx264", begin: int = 0) -> Path:
    """Two transport streams put together; the clock of the second begins at ``begin`` seconds."""

    def later(packets: list[Any]) -> None:
        for p in packets:
            p.pts, p.dts = p.pts + begin * 90000, p.dts + begin * 90000

    first = make(path.with_name("part.ts"), frames=12, codec=codec, sounds=(Sound("aac"),))
    second = remade(first, path.with_name("later.ts"), later)
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


def last_shown(
    path: Path,
    times: list[int] = UNEVEN,
    last: int = 3000,
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
) -> Path:
    """Frames at times in milliseconds, of which the last one is shown for ``last``."""

    def longer(packets: list[Any]) -> None:
        packets[-1].duration = round(last / 1000 / packets[-1].time_base)

    whole = make(
        path.with_name(f"whole{path.suffix}"),
        frames=len(times),
        base=Fraction(1, 1000),
        times=times,
        codec=codec,
        options=options,
    )
    return remade(whole, path, longer)


def repeated(path: Path) -> Path:
    """A transport stream with a packet of sound that has the time of the one before."""
    make(path, base=TICKS, sounds=(Sound("ac3", 48000),))
    data = bytearray(path.read_bytes())
    heads = [m.start() for m in re.finditer(b"\0\0\1\xbd", data)]  # of AC-3
    first, second = (at + 9 for at in heads[2:4])
    data[second : second + 5] = data[first : first + 5]
    path.write_bytes(data)
    return path


def torn(path: Path) -> Path:
    """A transport stream whose sound begins in the middle of a frame."""
    make(path, base=TICKS, sounds=(Sound("ac3", 48000, "5.1(side)"),))
    with av.open(str(path)) as c:
        position = next(p.pos for p in c.demux(audio=0))
    data = bytearray(path.read_bytes())
    at = data.index(b"\x0b\x77", position)
    data[at : at + 2] = b"\0\0"  # no more the begin of a frame
    path.write_bytes(data)
    return path


def coarse(path: Path) -> Path:
    """4 s of sound, pictures and second sound one after the other."""
    made = make(path.with_suffix(".mkv"), frames=100, sounds=(Sound(), Sound("ac3", 48000)))
    with (
        av.open(str(made)) as c,
        av.open(str(path), "w", options={"max_interleave_delta": "1"}) as o,
    ):
        order = [c.streams[1], c.streams[0], c.streams[2]]
        streams = {s.index: o.add_stream_from_template(s) for s in order}
        packets = [p for p in c.demux() if p.size]
        for s in order:
            for p in packets:
                if p.stream_index == s.index:
                    copy = av.Packet(bytes(p))
                    copy.stream, copy.time_base = streams[s.index], p.time_base
                    copy.pts, copy.dts, copy.duration = p.pts, p.dts, p.duration
                    copy.is_keyframe = p.is_keyframe
                    o.mux(copy)
    return path


def with_captions(path: Path, frames: int = 30) -> tuple[Path, list[bytes]]:
    """H.264 with captions before each second picture, put in by our own function."""
    texts = [
        bytes([0xFC, 0x80 + i, 0, 0xFD, 0, 0, 0xFF, 0, i]) if i % 2 else b"" for i in range(frames)
    ]
    with av.open(str(path), "w") as out:
        v: Any = out.add_stream("libx264", rate=25, options={"bf": "2", "g": "12"})
        v.width, v.height, v.pix_fmt = 64, 48, "yuv420p"
        packets = []
        for i in range(frames):
            frame = picture(64, 48, i, "yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            packets += v.encode(frame)
        for p in packets + v.encode(None):
            i = round(p.pts * p.time_base * 25)
            out.mux(insert(p, "libx264", texts[i]) if texts[i] else p)
    return path, texts


def fields(path: Path, order: str) -> Path:
    """Interlaced y4m with this field first: t(op) or b(ottom)."""
    make(path, size=(64, 64), frames=5, codec="wrapped_avframe")
    path.write_bytes(path.read_bytes().replace(b" Ip", f" I{order}".encode(), 1))
    return path


class Field(NamedTuple):
    """A file, how it is made, the suffix of what it is decoded to, options of the encoder."""

    name: str
    make: Callable[[Path], object]
    suffix: str
    options: dict[str, str] = {}


H264 = {"codec": "libx264", "options": {"bf": "0"}}
# tools/roundtrip.py goes through all of them
FIELD = (
    Field("torn.ts", torn, ".ts"),
    Field("concat.ts", two_parts, ".ts"),
    Field("concat1000.ts", partial(two_parts, begin=1000), ".ts"),
    Field("repeated.ts", repeated, ".ts"),
    Field("coarse.mp4", coarse, ".mp4", {"duration": "2"}),
    Field("coarse.mp4", coarse, ".mp4", {"start": "1", "duration": "0.4"}),
    Field("last.mkv", last_shown, ".mkv"),
    Field("last.mp4", partial(last_shown, **H264), ".mp4"),  # type: ignore[arg-type]
    Field("captions.mp4", with_captions, ".mp4"),
    Field("captions.ts", with_captions, ".ts"),
    Field("top.y4m", partial(fields, order="t"), ".y4m"),
    Field("bottom.y4m", partial(fields, order="b"), ".mkv"),
    Field("b_frames.avi", partial(make, frames=40, options={"bf": "3", "g": "12"}), ".mkv"),
    Field("alpha.mkv", partial(make, codec="ffv1", fmt="yuva444p10le"), ".mkv"),
)
