#!/usr/bin/env python3
"""How near targets of bitrate, size and PSNR are met, and at what cost: ``tools/targets.py
a.mkv+b.mkv+c.mkv d.mkv+e.mkv``.

Each argument is a film: shots of at most six seconds from these clips in turn, scaled to one size,
until it is as long as asked for. It is encoded at a crf, then for a higher bitrate, a smaller size
and a better PSNR than came of that. Prints the rows of a Markdown table; costs are processor time
relative to the encode at a crf.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import vqcodec

RATE, SHOT = 25, 150


def film(clips: list[str], path: Path, width: int, height: int, frames: int) -> None:
    """Write the film without loss."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        n = 0
        while n < frames:
            for clip in clips:
                with av.open(clip) as file:
                    for _, frame in zip(
                        range(min(SHOT, frames - n)), file.decode(video=0), strict=False
                    ):
                        small = frame.reformat(width, height, "yuv420p")
                        small.pts, small.time_base, n = n, Fraction(1, RATE), n + 1
                        out.mux(stream.encode(small))
        out.mux(stream.encode(None))


def main() -> None:
    """Encode the films for several sizes, and print how far each result is from its target."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("films", nargs="+", metavar="CLIP+CLIP..")
    ap.add_argument("--size", default="320x180")
    ap.add_argument("--seconds", type=int, default=30)
    ap.add_argument("--crf", type=float, default=32)
    ap.add_argument("--preset", default="medium")
    a = ap.parse_args()
    width, height = map(int, a.size.split("x"))
    print("| film | asked | reached | mean crf | cost |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        source, coded = Path(name) / "in.mkv", Path(name) / "out.vqv"
        for number, clips in enumerate(a.films, 1):
            film(clips.split("+"), source, width, height, a.seconds * RATE)
            plain = 0.0

            def encode(asked: str, number: int = number, **target: Any) -> vqcodec.EncodeReport:
                nonlocal plain
                begin, stages = time.process_time(), set[str | None]()
                r = vqcodec.encode(
                    source,
                    coded,
                    preset=a.preset,
                    threads=1,
                    device="cpu",
                    overwrite=True,
                    progress=lambda e: stages.add(e.stage),
                    **target,
                )
                cost = time.process_time() - begin
                plain = plain or cost
                how = "" if len(stages) < 2 else f", {sum('pass' in s for s in stages if s)} passes"
                print(
                    f"| {number} | {asked} | {r.picture_kbps:.2f} kbps, {r.bytes} bytes, "
                    f"{r.psnr.yuv:.2f} dB | {r.crf:.2f} | {cost / plain:.2f}{how} |",
                    flush=True,
                )
                return r

            encode("18 frames, to warm up", duration=vqcodec.Time(frames=18))
            plain = 0.0
            at = encode(f"crf {a.crf:g}", crf=a.crf)
            kbps, size, psnr = (
                round(at.picture_kbps * 1.6),
                round(at.bytes * 0.6 / 1000) * 1000,
                round(at.psnr.yuv) + 2,
            )
            encode(f"{kbps} kbps", bitrate=kbps * 1000)
            encode(f"{size} bytes", max_size=size)
            encode(f"{psnr} dB", target_psnr=psnr)


if __name__ == "__main__":
    main()
