"""Encode and decode a clip with the installed program, measure the decoded file, and show both side
by side: ``make demo``."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vqcodec.media.source import VideoSource
from vqcodec.metrics import squared_error
from vqcodec.psnr import psnr_yuv
from vqcodec.system.progress import size

ROOT = Path(__file__).resolve().parents[1]
CROP = (400, 300)  # width and height of each half of the picture, at most


def program() -> list[str]:
    """The program installed beside this Python, else the module."""
    installed = Path(sys.executable).with_name("vqcodec")
    return [str(installed)] if installed.is_file() else [sys.executable, "-m", "vqcodec"]


def run(*args: str | Path) -> float:
    """Run a command of the program in a process of its own; its seconds. The program ends with its
    exit code on failure."""
    command = program() + [str(a) for a in args]
    print("$ vqcodec " + " ".join(str(a) for a in args), flush=True)
    begin = time.perf_counter()
    code = subprocess.run(command).returncode
    if code:
        raise SystemExit(code)
    return time.perf_counter() - begin


def compare(
    source: Path, decoded: Path
) -> tuple[tuple[float, float, float, float], float, int, int, int]:
    """PSNR of the mean error (weighted, Y, U, V), mean of the weighted PSNR of each frame, frames,
    width, height."""
    sse, each = np.zeros(3), []
    with VideoSource(source) as a, VideoSource(decoded) as b:
        for (_, x), (_, y) in zip(a, b, strict=True):
            error = squared_error(y, x)
            sse += error
            each.append(psnr_yuv(list(error), a.width, a.height, 1)[0])
        return (
            psnr_yuv(list(sse), a.width, a.height, len(each)),
            float(np.mean(each)),
            len(each),
            a.width,
            a.height,
        )


def picture(path: Path, number: int) -> np.ndarray:
    """The middle of a frame of a video as RGB."""
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i == number:
                image = frame.to_ndarray(format="rgb24")
                h, w = image.shape[:2]
                cw, ch = min(w, CROP[0]), min(h, CROP[1])
                top, left = (h - ch) // 2, (w - cw) // 2
                return image[top : top + ch, left : left + cw]
    raise SystemExit(f"{path}: no frame {number}")


def labelled(image: np.ndarray, text: str) -> np.ndarray:
    """A picture with its name on a dark strip above it; (height, width, 3) samples of 8 bits."""
    strip = Image.new("RGB", (image.shape[1], 26), (32, 32, 32))
    font = ImageFont.load_default(14)
    ImageDraw.Draw(strip).text((8, 5), text, fill=(240, 240, 240), font=font)
    return np.vstack([np.asarray(strip), image])


def speed(frames: int, seconds: float) -> str:
    """How fast a command was, for people."""
    rate = f"{frames / seconds:.2f} frames per second"
    return f"{rate} ({seconds:.1f} s, start of the program included)"


def main() -> None:
    """Code the clip, read it back, and print sizes, times and PSNR."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "input",
        nargs="?",
        type=Path,
        default=ROOT / "tests/data/flower.mp4",
        help="video file, default: the bundled clip",
    )
    parser.add_argument("--crf", type=int, default=28, help="quality, 0 (best) to 63 (smallest)")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder of the results")
    args = parser.parse_args()
    source: Path = args.input
    if not source.is_file():
        raise SystemExit(f"{source}: no such file")
    args.out.mkdir(parents=True, exist_ok=True)
    coded, decoded, image = (
        args.out / "demo.vqv",
        args.out / "decoded.mkv",
        args.out / "side-by-side.png",
    )
    encoding = run("encode", source, coded, "-crf", str(args.crf), "-y")
    decoding = run("decode", coded, decoded, "--vcodec", "ffv1", "-y")
    (all_, y, u, v), mean, frames, width, height = compare(source, decoded)
    coded_bytes = coded.stat().st_size
    bpp = coded_bytes * 8 / (frames * width * height)
    rows = [
        (
            "source",
            f"{size(source.stat().st_size)} ({source.name}, {width}x{height}, {frames} frames)",
        ),
        (".vqv", f"{size(coded_bytes)} ({coded_bytes} bytes)"),
        ("bits per pixel", f"{bpp:.4f}"),
        ("PSNR Y, U, V", f"{y:.2f}, {u:.2f}, {v:.2f} dB"),
        ("(6Y + U + V) / 8", f"{all_:.2f} dB of the mean error; mean over frames {mean:.2f} dB"),
        ("encode", speed(frames, encoding)),
        ("decode", speed(frames, decoding)),
    ]
    columns = min(100, shutil.get_terminal_size().columns)
    print("\n" + "-" * columns)
    for name, value in rows:
        print(f"{name:<18}{value}")
    print("-" * columns + "\n", flush=True)
    run("verify", coded)
    middle = frames // 2
    left = labelled(picture(source, middle), f"source, {size(source.stat().st_size)}")
    right = labelled(
        picture(decoded, middle), f"vqcodec, {size(coded_bytes)}, {bpp:.3f} bpp, {all_:.1f} dB"
    )
    gap = np.full((left.shape[0], 4, 3), 32, np.uint8)
    try:
        Image.fromarray(np.hstack([left, gap, right])).save(image)
    except OSError as exc:
        raise SystemExit(f"{image}: cannot be written: {exc.strerror or exc}") from exc
    print(f"\n{coded}\n{decoded} (lossless)\n{image} (frame {middle})")


if __name__ == "__main__":
    main()
