"""Whether a new model is better than the one of the program: both encode the held-out clips."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from ..bench.bd_rate import bd_rate
from ..options import Time
from ..pipeline.encode import encode

CRFS = (18, 28, 38, 48)
FRAMES = 33
CLIPS = 4  # at most


def _curve(clip: Path, weights: Path, folder: Path, threads: int) -> list[tuple[float, float]]:
    points = []
    for crf in CRFS:
        report = encode(
            clip,
            folder / "a.vqv",
            weights=weights,
            overwrite=True,
            crf=crf,
            preset="fast",
            duration=Time(frames=FRAMES),
            threads=threads,
            tracks="v",
        )
        points.append((report.picture_bpp, report.psnr.yuv))
    return points


def verdict(
    new: Path, old: Path, clips: list[Path], threads: int, log: Callable[[str], None]
) -> str:
    """A sentence on the bits that ``new`` needs at equal PSNR, against ``old``."""
    found = []
    step = max(1, len(clips) // CLIPS)
    with tempfile.TemporaryDirectory(prefix="vqcodec-verdict-") as name:
        for clip in clips[::step][:CLIPS]:
            curves = [_curve(clip, weights, Path(name), threads) for weights in (old, new)]
            result = bd_rate(*curves)
            if result.percent is None:
                log(f"{clip.stem}: no comparison: {result.reason}")
                continue
            log(f"{clip.stem}: {result.percent:+.1f} % bits")
            found.append(result.percent)
    if not found:
        return (
            "held-out clips: none, or none that could be compared, so nothing says whether the "
            "model got better"
        )
    mean = sum(found) / len(found)
    word = "better" if mean < -0.5 else "worse" if mean > 0.5 else "about as good"
    return (
        f"held-out clips ({len(found)}): {mean:+.1f} % bits at equal PSNR against the model that "
        f"came with the program: {word}"
    )
