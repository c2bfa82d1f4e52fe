#!/usr/bin/env python3
"""Where the bits go that SVT-AV1 does not need, by the place of frames in the pyramid.

    tools/frame_budget.py ../shared/corpus/eval/blender-bunny.mkv --frames 65 --crf 24,34

Frames are of the class of the largest power of two that divides their number, 32 at most; both
encoders have pyramids of 32. Take 33, 65 or 97 frames: a last pyramid that is shorter has others in
its middle. SVT-AV1's stream is split into its frames; bytes and PSNR of each
class, at all its qualities, are read off at the mean PSNR that vqcodec has. PSNR is (6Y + U + V) /
8, the mean over frames. docs/design/results.md quotes it.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vqcodec.bench.anchors import parse_anchor
from vqcodec.encoding.gop_encoder import encode_gop
from vqcodec.encoding.model import load_model
from vqcodec.picture import Picture
from vqcodec.psnr import psnr
from vqcodec.training.pictures import picture_of, read_clip

MOST = 128  # frames: numbers in SVT-AV1's frames begin again there
PYRAMID = 32
_SEQUENCE, _HEADER, _TILES, _FRAME = 1, 3, 4, 6  # kinds of parts of an AV1 stream
_SELECTED = 2  # a frame says it itself
_KEY, _SWITCH = 0, 3  # kinds of frames


class Frames(NamedTuple):
    """An encode: of each frame its bytes and its PSNR."""

    bytes: np.ndarray  # (n,)
    psnr: np.ndarray  # (n,)


class Bits:
    """Reads numbers of some bits, the highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> int:
        """The number of the next bits."""
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._at >> 3] >> 7 - (self._at & 7) & 1
            self._at += 1
        return value

    def flag(self) -> bool:
        """The next bit."""
        return bool(self.take(1))


class Sequence(NamedTuple):
    """What must be known of an AV1 stream to find the numbers of its frames."""

    screen_tools: int
    whole_vectors: int
    number_bits: int


def main() -> None:
    """Encode with both and print the tables."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("clips", nargs="+", type=Path)
    ap.add_argument("--frames", type=int, default=65, help=f"of each clip, at most {MOST}")
    ap.add_argument("--crf", default="24,34")
    ap.add_argument("--weights")
    a = ap.parse_args()
    torch.set_num_threads(1)
    codec = load_model(a.weights)
    for clip in a.clips:
        pictures = read_clip(clip, limit=min(a.frames, MOST))
        anchor = parse_anchor("svtav1")
        theirs = [svt(pictures, anchor.all_options(crf, 1)) for crf in anchor.crfs]
        for crf in map(float, a.crf.split(",")):
            rows = encode_gop(codec, pictures, crf).stats
            error = [np.average(np.array(row["psnr"], float), weights=(6, 1, 1)) for row in rows]
            ours = Frames(np.array([row["bytes"] for row in rows], float), np.array(error))
            print(f"{clip.stem}, crf {crf:g}", *table(ours, theirs), sep="\n", flush=True)


def table(ours: Frames, theirs: list[Frames]) -> Iterator[str]:
    """Lines: a class, its frames, bytes and PSNR of both, and its share of what is too much."""
    aim = ours.psnr.mean()
    points = sorted(theirs, key=lambda frames: float(frames.psnr.mean()))
    means = [float(point.psnr.mean()) for point in points]
    where = [place(n) for n in range(len(ours.bytes))]
    rows = []
    for name in sorted(set(where), reverse=True):
        own = np.array([w == name for w in where])
        sizes = [float(np.log(point.bytes[own].sum())) for point in points]
        size = float(np.exp(_at(aim, means, sizes)))
        quality = _at(aim, means, [float(point.psnr[own].mean()) for point in points])
        rows.append((name, own, size, quality))
    total, other = ours.bytes.sum(), sum(row[2] for row in rows)
    beyond = "" if means[0] <= aim <= means[-1] else ", its line continued"
    more = 100 * (total / other - 1)
    yield f"{aim:.2f} dB: {total:.0f} bytes, SVT-AV1 {other:.0f} ({more:+.1f} %){beyond}"
    for name, own, size, quality in rows:
        mine, error = ours.bytes[own].sum(), ours.psnr[own].mean()
        yield (
            f"| {'I' if name > PYRAMID else name} | {own.sum()} | {mine:.0f}, {error:.2f} "
            f"| {size:.0f}, {quality:.2f} | {100 * (mine - size) / (total - other):+.0f} % |"
        )


def _at(aim: float, means: list[float], values: list[float]) -> float:
    """A value between two points of a line, or beyond its last ones."""
    k = int(np.clip(np.searchsorted(means, aim), 1, len(means) - 1))
    share = (aim - means[k - 1]) / (means[k] - means[k - 1])
    return values[k - 1] + share * (values[k] - values[k - 1])


def place(number: int) -> int:
    """The class of a frame; that of the first one is above all."""
    return min(PYRAMID, number & -number) if number else 2 * PYRAMID


def svt(pictures: list[Picture], options: dict[str, str]) -> Frames:
    """SVT-AV1's encode of pictures of 8 bits."""
    target, parts = io.BytesIO(), []
    height, width = pictures[0].y.shape
    with av.open(target, "w", format="matroska") as out:
        stream: Any = out.add_stream("libsvtav1", rate=Fraction(25), options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        frames: list[Any] = [_av_frame(p.to8(), n) for n, p in enumerate(pictures)]
        for frame in [*frames, None]:
            for packet in stream.encode(frame):
                parts.append(bytes(packet))
                out.mux(packet)
    target.seek(0)
    with av.open(target, "r") as file:
        shown = [picture_of(frame) for frame in file.decode(video=0)]
    error = [_psnr(a.to8(), b.to8()) for a, b in zip(pictures, shown, strict=True)]
    return Frames(split(parts, len(pictures)), np.array(error))


def split(parts: list[bytes], count: int) -> np.ndarray:
    """(count,) bytes of each frame of an AV1 stream, by the order in which they are shown."""
    sizes, known, number = np.zeros(count), Sequence(0, 0, 0), 0
    for shown, part in enumerate(parts):
        for kind, body, size in _obus(part):
            if kind == _SEQUENCE:
                known = _sequence(Bits(body))
            elif kind in (_FRAME, _HEADER):
                said = _number(Bits(body), known)
                number = shown if said is None else said
            if kind in (_FRAME, _HEADER, _TILES):
                sizes[number] += size
            else:
                sizes[0] += size
    return sizes


def _obus(part: bytes) -> Iterator[tuple[int, bytes, int]]:
    """The parts of a packet: their kinds, what is in them, and all their bytes."""
    at = 0
    while at < len(part):
        begin, head = at, part[at]
        at += 2 if head & 4 else 1
        size = shift = 0
        while True:
            size |= (part[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if part[at - 1] < 128:
                break
        yield head >> 3 & 15, part[at : at + size], at + size - begin
        at += size


def _sequence(bits: Bits) -> Sequence:
    """The sequence header, AV1 specification 5.5.1; no stream of SVT-AV1's defaults has timing."""
    bits.take(4)
    if bits.flag() or bits.flag():
        raise SystemExit("a stream with timing, or a still picture")
    delays = bits.flag()
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delays and bits.flag():
            bits.take(4)
    sides = bits.take(4) + 1, bits.take(4) + 1
    bits.take(sum(sides))
    if bits.flag():
        raise SystemExit("a stream with numbers of frames")
    bits.take(7)
    if not bits.flag():
        raise SystemExit("a stream without an order of frames")
    bits.take(2)
    screen = _SELECTED if bits.flag() else bits.take(1)
    whole = _SELECTED
    if screen and not bits.flag():
        whole = bits.take(1)
    return Sequence(screen, whole, bits.take(3) + 1)


def _number(bits: Bits, known: Sequence) -> int | None:
    """The place at which a frame is shown, 5.9.2; None where it shows one that was coded before."""
    if bits.flag():
        return None
    kind, shown = bits.take(2), bits.flag()
    if not shown:
        bits.take(1)
    if kind != _SWITCH and not (kind == _KEY and shown):
        bits.take(1)
    bits.take(1)
    tools = bits.take(1) if known.screen_tools == _SELECTED else known.screen_tools
    if tools and known.whole_vectors == _SELECTED:
        bits.take(1)
    if kind != _SWITCH:
        bits.take(1)
    return bits.take(known.number_bits)


def _av_frame(picture: Picture, number: int) -> av.VideoFrame:
    planes = np.concatenate([plane.ravel() for plane in picture])
    height, width = picture.y.shape
    frame = av.VideoFrame.from_ndarray(planes.reshape(-1, width)[: height * 3 // 2], "yuv420p")
    frame.pts = number
    return frame


def _psnr(a: Picture, b: Picture) -> float:
    each = [
        psnr(float(np.square(x.astype(float) - y).sum()), x.size) for x, y in zip(a, b, strict=True)
    ]
    return (6 * each[0] + each[1] + each[2]) / 8


if __name__ == "__main__":
    main()
