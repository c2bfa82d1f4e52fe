"""Measures the library: seeks in a file of ten minutes, frames in order against `vqcodec decode`,
tokens against pictures.

    python tools/library.py [--clip tests/data/flower.mp4] [--size 320x180] [--file kept.vqv]

The file is made of the clip, shown forwards and backwards until two GOPs of 128 frames are full,
encoded once with the fast preset and joined to itself until it is long enough: GOPs are decoded
each for itself, so a repeated one costs what any costs. The bytes of the file are in the page
cache.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
FRAMES = 256


def make(clip: Path, width: int, height: int, seconds: float, folder: Path) -> Path:
    """The long file."""
    import av

    import vqcodec
    from vqcodec.container.packets import StreamHeader
    from vqcodec.media.sink import OutputChoice, open_sink
    from vqcodec.media.source import VideoSource
    from vqcodec.picture import Picture
    from vqcodec.pipeline.join import join

    with VideoSource(clip) as source:
        rate, base = source.rate or Fraction(25), source.time_base
        pictures = []
        for _, p in source:
            frame = av.VideoFrame(source.width, source.height, "yuv420p")
            for plane, data in zip(frame.planes, p, strict=True):
                padded = bytearray(plane.buffer_size)
                for y, row in enumerate(data):
                    padded[y * plane.line_size : y * plane.line_size + row.size] = row.tobytes()
                plane.update(bytes(padded))
            pictures.append(Picture(*_planes(frame.reformat(width, height))))
    there_and_back = pictures + pictures[-2:0:-1]
    head = StreamHeader(width, height, base, rate=rate)
    step = round(1 / (rate * base))
    sink = open_sink(folder / "part.mkv", head, choice=OutputChoice(vcodec="ffv1"))
    for i in range(FRAMES):
        sink.write(i * step, there_and_back[i % len(there_and_back)])
    sink.close()
    report = vqcodec.encode(folder / "part.mkv", folder / "part.vqv", preset="fast", overwrite=True)
    parts = [str(folder / "part.vqv")] * round(seconds / report.seconds_video)
    join(parts, str(folder / "long.vqv"), overwrite=True)
    return folder / "long.vqv"


def _planes(frame: object) -> list[np.ndarray]:
    planes = frame.planes  # type: ignore[attr-defined]
    return [np.frombuffer(p, np.uint8).reshape(p.height, -1)[:, : p.width].copy() for p in planes]


def clock(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and seconds of processor time of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def ways(path: Path, folder: Path) -> list[tuple[str, int, Callable[[], object]]]:
    """What is timed: its name, how many frames it reads, and what does it."""
    import vqcodec

    n, part = FRAMES // 2, vqcodec.Time(frames=FRAMES // 2)

    def in_order() -> None:
        with vqcodec.open(path) as v:
            for i in range(n):
                v[i]

    def tokens(level: int | None) -> None:
        with vqcodec.open(path) as v:
            v.tokens(0, n, max_level=level)

    def batch() -> None:
        with vqcodec.open(path) as v:
            v[:n]

    def starts(frames: bool) -> None:
        with vqcodec.open(path) as v:
            for i in v.gop_starts[:20]:
                v.tokens(i, i + 1) if frames else v[i]

    return [
        (
            "vqcodec.decode to .y4m",
            n,
            lambda: vqcodec.decode(
                path, folder / "out.y4m", device="cpu", duration=part, overwrite=True
            ),
        ),
        ("video[i] in order", n, in_order),
        ("video[a:b]", n, batch),
        ("tokens of these frames", n, lambda: tokens(None)),
        ("tokens of their I and key frames", 9, lambda: tokens(1)),
        ("20 I frames, pictures", 20, lambda: starts(False)),
        ("20 I frames, tokens", 20, lambda: starts(True)),
    ]


def main() -> None:
    """Measure the ways of reading a file, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clip", type=Path, default=ROOT / "tests/data/flower.mp4")
    parser.add_argument("--size", default="320x180")
    parser.add_argument(
        "--file", type=Path, help="a .vqv file to measure, instead of one made of the clip"
    )
    parser.add_argument("--seconds", type=float, default=600)
    args = parser.parse_args()
    import torch

    import vqcodec

    with tempfile.TemporaryDirectory() as name:
        width, height = map(int, args.size.split("x"))
        path = args.file or make(args.clip, width, height, args.seconds, Path(name))
        opened, _ = clock(lambda: vqcodec.open(path).close())
        with vqcodec.open(path) as video:
            m = video.metadata
            print(
                f"{m.num_frames} frames of {m.width}x{m.height}, {m.duration_seconds:.0f} s, "
                f"{len(video.gop_starts)} GOPs, {m.bytes} bytes; {os.cpu_count()} processors, "
                f"load {os.getloadavg()[0]:.1f}, {torch.get_num_threads()} threads"
            )
            first, _ = clock(lambda: video[0])
            print(f"open {opened:.3f} s; model and first picture {first:.2f} s")
            numbers = random.Random(1).sample(range(len(video)), 20)
            seeks = [clock(partial(video.__getitem__, i)) for i in numbers]
            for what, values in (
                ("clock", [w for w, _ in seeks]),
                ("processor", [c for _, c in seeks]),
            ):
                print(
                    f"seek to 20 random frames, {what}: "
                    f"median {statistics.median(values):.3f} s, worst {max(values):.3f} s"
                )
        for title, frames, work in ways(path, Path(name)):
            wall, cpu = clock(work)
            print(
                f"{title}: {frames / wall:.1f} frames/s by the clock, "
                f"{1000 * cpu / frames:.1f} ms of processor time a frame"
            )


if __name__ == "__main__":
    main()
