#!/usr/bin/env python3
"""A frame of a clip beside the same frame from x264 and from vqcodec at the same size: ``make
compare``.

x264 (preset medium, tune psnr as in docs/benchmarks.md) is run at finer and finer crf until its
packets have as many bytes as the .vqv file, container and all.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import av
import numpy as np
from demo import ROOT, compare, labelled, run
from PIL import Image

from vqcodec.system.progress import size

STEP = 1 / 16  # of x264's crf


def x264(source: Path, crf: float, frames: int, target: Path) -> int:
    """Encode the first frames of a video to ``target``; bytes of the packets."""
    total = 0
    out: Any
    with av.open(str(source)) as a, av.open(str(target), "w") as b:
        video = a.streams.video[0]
        out = b.add_stream(
            "libx264",
            rate=video.average_rate,
            options={"preset": "medium", "tune": "psnr", "crf": str(crf)},
        )
        out.width, out.height, out.pix_fmt = video.width, video.height, "yuv420p"
        out.codec_context.time_base = video.time_base
        packets = []
        for i, frame in enumerate(a.decode(video)):
            if i == frames:
                break
            frame.pict_type = 0
            packets += out.encode(frame)
        for packet in packets + out.encode(None):
            total += packet.size
            b.mux(packet)
    return total


def nearest(source: Path, frames: int, wanted: int, target: Path) -> tuple[float, int]:
    """The crf at which x264 writes the number of bytes nearest to ``wanted``, and that number; its
    file is ``target``."""
    low, high, tried = 0, round(51 / STEP), {}
    while high - low > 1:  # bytes fall with crf
        middle = (low + high) // 2
        tried[middle] = x264(source, middle * STEP, frames, target)
        low, high = (middle, high) if tried[middle] > wanted else (low, middle)
    best = min(tried, key=lambda k: abs(tried[k] - wanted))
    if abs(tried[best] - wanted) > wanted * 0.03:
        raise SystemExit(
            f"x264 writes {tried[best]} bytes at crf {best * STEP:g} and nothing nearer to "
            f"{wanted}: choose another --crf"
        )
    return best * STEP, x264(source, best * STEP, frames, target)


def frame(path: Path, number: int) -> np.ndarray:
    """Frame ``number`` of a video as (height, width, 3) RGB samples; SystemExit where there is
    none."""
    with av.open(str(path)) as container:
        for i, f in enumerate(container.decode(video=0)):
            if i == number:
                return f.to_ndarray(format="rgb24")
    raise SystemExit(f"{path}: no frame {number}")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "input",
        nargs="?",
        type=Path,
        default=ROOT / "tests/data/flower.mp4",
        help="video file, default: the bundled clip",
    )
    parser.add_argument(
        "--crf", type=int, default=32, help="quality of vqcodec, 0 (best) to 63 (smallest)"
    )
    parser.add_argument(
        "--frames", type=int, default=96, help="frames to encode from the beginning"
    )
    parser.add_argument("--show", type=int, help="frame to show, default: the middle one")
    parser.add_argument(
        "--crop", default="300x270", help="size of what is shown of it, from its middle"
    )
    parser.add_argument(
        "--zoom", type=int, default=1, help="samples of the picture for each of the video"
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder of the results")
    return parser.parse_args()


def panel(image: np.ndarray, crop: str, zoom: int, text: str) -> np.ndarray:
    """The middle of a picture, ``crop`` WxH samples of it, each shown ``zoom`` times as wide and
    high, under a text."""
    width, height = (int(n) for n in crop.split("x"))
    top, left = max(0, (image.shape[0] - height) // 2), max(0, (image.shape[1] - width) // 2)
    shown = image[top : top + height, left : left + width]
    return labelled(np.repeat(np.repeat(shown, zoom, 0), zoom, 1), text)


def main() -> None:
    """Code a clip with both codecs, and write the picture that shows them side by side."""
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    names = ("compare-source.mkv", "compare.vqv", "compare-vqcodec.mkv", "compare-x264.mkv")
    source, coded, decoded, other = (args.out / name for name in names)
    with av.open(str(args.input)) as a:  # what both encode, without loss
        first = a.streams.video[0]
        if first.codec_context.pix_fmt not in ("yuv420p", "yuvj420p"):
            raise SystemExit(
                f"{args.input}: pictures of {first.codec_context.pix_fmt}; "
                "the comparison takes 8-bit 4:2:0"
            )
    quality = ("-crf", str(args.crf), "-t", f"{args.frames}f")
    run("encode", args.input, coded, *quality, "-map", "v", "-y")
    run("decode", coded, decoded, "--vcodec", "ffv1", "-y")
    crf, packets = nearest(args.input, args.frames, coded.stat().st_size, other)
    shorten(args.input, args.frames, source)
    rows: list[tuple[str, Path, int, float]] = []
    for name, path, n in (
        (f"x264 medium, crf {crf:g}", other, packets),
        (f"vqcodec, crf {args.crf}", decoded, coded.stat().st_size),
    ):
        figures, _, frames, _, _ = compare(source, path)
        rows.append((name, path, n, figures[0]))
        print(
            f"{name}: {n} bytes, {frames} frames, "
            f"PSNR {figures[0]:.2f} dB of the mean error, (6Y + U + V) / 8"
        )
    number = args.frames // 2 if args.show is None else args.show
    panels: list[np.ndarray] = []
    for name, path, n, psnr in [("source", source, 0, 0.0), *rows]:
        text = f"{name}, {size(n)}, {psnr:.2f} dB" if n else name
        shown = panel(frame(path, number), args.crop, args.zoom, text)
        panels += [shown, np.full((shown.shape[0], 4, 3), 32, np.uint8)]
    picture = args.out / "compare.png"
    try:
        Image.fromarray(np.hstack(panels[:-1])).save(picture)
    except OSError as exc:
        raise SystemExit(f"{picture}: cannot be written: {exc.strerror or exc}") from exc
    print(f"{picture} (frame {number})")


def shorten(source: Path, frames: int, target: Path) -> None:
    """The first frames of a video, without loss."""
    out: Any
    with av.open(str(source)) as a, av.open(str(target), "w") as b:
        video = a.streams.video[0]
        out = b.add_stream("ffv1", rate=video.average_rate)
        out.width, out.height, out.pix_fmt = video.width, video.height, "yuv420p"
        out.codec_context.time_base = video.time_base
        for i, f in enumerate(a.decode(video)):
            if i == frames:
                break
            b.mux(out.encode(f))
        b.mux(out.encode(None))


if __name__ == "__main__":
    main()
