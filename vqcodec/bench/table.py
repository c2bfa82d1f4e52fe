"""Results as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from ..system.columns import columns
from ..system.text import printable
from .records import MEASURES, ClipResult, MeanBdRate, Point, Results

_QUALITY = ("PSNR", "of mean error", "Y", "U", "V", "MS-SSIM dB", "VMAF", "blocking", "flicker")
_POINT = ("", "crf", "bytes", "bpp", *_QUALITY, "encode fps", "decode fps")
_SPEED = ("", "encode fps", "decode fps", "encode memory", "decode memory")
_EXPLAINED = (
    "PSNR is (6Y+U+V)/8, mean of the frames, and beside it that of the mean error; Y, U, V: means"
    " of the frames. Blocking: steps over an 8x8 grid against those inside it, 1 is none; flicker:"
    " change of still parts less that of the source. BD-rate below: negative: vqcodec needs fewer"
    " bits."
)


def as_text(results: Results) -> str:
    """Points, BD-rates, speed and memory."""
    lines: list[str] = []
    for clip in results.clips:
        lines += ["", *_points(clip)]
    lines += ["", _EXPLAINED]
    if bd_rates := list(_bd_rates(results)):
        lines += ["", *columns([("clip", "against", *MEASURES), *bd_rates], (0, 1))]
    lines += ["", *columns([_SPEED, *_speeds(results)])]
    return "\n".join(map(printable, lines)).lstrip("\n")


def _points(clip: ClipResult) -> list[str]:
    """The points of a clip, below its name."""
    rows = [_row(codec, point) for codec, points in clip.points.items() for point in points]
    about = f"{clip.name}: {clip.width}x{clip.height}, {clip.frames} frames, {clip.bit_depth} bits"
    return [about, *columns([_POINT, *rows])]


def _row(codec: str, point: Point) -> tuple[str, ...]:
    frames = point.psnr_mean_of_frames
    return (
        codec,
        f"{point.crf:g}",
        str(point.bytes),
        f"{point.bpp:.4f}",
        f"{frames.yuv:.2f}",
        f"{point.psnr_of_mean_error.yuv:.2f}",
        f"{frames.y:.2f}",
        f"{frames.u:.2f}",
        f"{frames.v:.2f}",
        number(point.ms_ssim_db, 2),
        number(point.vmaf, 1),
        number(point.blocking, 2),
        signed(point.flicker),
        number(point.encode.fps, 1),
        number(point.decode.fps, 1),
    )


def _bd_rates(results: Results) -> Iterator[tuple[str, ...]]:
    """BD-rates of each clip, and their means."""
    for clip in results.clips:
        for anchor, bd_rates in clip.bd_rate.items():
            yield clip.name, anchor, *(cell(bd_rates[m].percent) for m in MEASURES)
    for anchor, means in results.summary.bd_rate.items():
        yield "mean", anchor, *(_mean_cell(means[m]) for m in MEASURES)


def _mean_cell(mean: MeanBdRate) -> str:
    of = f" ({mean.clips} of {mean.clips + mean.undefined})" if mean.undefined else ""
    return cell(mean.percent) + of


def _speeds(results: Results) -> Iterator[tuple[str, ...]]:
    for codec, speed in results.summary.speed.items():
        encode, decode = speed["encode"], speed["decode"]
        yield (
            codec,
            number(encode.fps, 1),
            number(decode.fps, 1),
            megabytes(encode.peak_bytes),
            megabytes(decode.peak_bytes),
        )


def cell(percent: float | None) -> str:
    """A BD-rate as people read it."""
    return "undefined" if percent is None else f"{percent:+.1f} %"


def number(value: float | None, digits: int) -> str:
    """A value, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference, or a dash where there is none."""
    return "-" if value is None else f"{value:+.2f}"


def megabytes(size: int) -> str:
    """Memory in steps of 1024."""
    return f"{size / 2**20:.0f} MiB"
