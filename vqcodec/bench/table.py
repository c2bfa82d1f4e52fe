"""Results as text for a terminal."""

from __future__ import annotations

from typing import Any

from ..system.columns import columns
from ..system.text import printable


def cell(percent: float | None) -> str:
    """A BD-rate as people read it."""
    return "undefined" if percent is None else f"{percent:+.1f} %"


def as_text(results: dict[str, Any]) -> str:
    """Points, BD-rates, speed and memory."""
    lines = []
    for clip in results["clips"]:
        lines += [
            "",
            f"{clip['name']}: {clip['width']}x{clip['height']}, {clip['frames']} frames, {clip['bit_depth']} bits",
        ]
        rows = [
            [
                "",
                "crf",
                "bytes",
                "bpp",
                "PSNR",
                "of mean error",
                "Y",
                "U",
                "V",
                "MS-SSIM dB",
                "VMAF",
                "encode fps",
                "decode fps",
            ]
        ]
        for codec, points in clip["points"].items():
            for p in points:
                frames, error = p["psnr_mean_of_frames"], p["psnr_of_mean_error"]
                quality = [
                    f"{frames['(6Y+U+V)/8']:.2f}",
                    f"{error['(6Y+U+V)/8']:.2f}",
                    *(f"{frames[k]:.2f}" for k in "YUV"),
                    number(p["ms_ssim_db"], 2),
                    number(p["vmaf"], 1),
                ]
                rows.append(
                    [
                        codec,
                        f"{p['crf']:g}",
                        str(p["bytes"]),
                        f"{p['bpp']:.4f}",
                        *quality,
                        number(p["encode"]["fps"], 1),
                        number(p["decode"]["fps"], 1),
                    ]
                )
        lines += columns(rows)
    lines += [
        "",
        "PSNR is (6Y+U+V)/8, mean of the frames, and beside it that of the mean error; Y, U, V: means of the frames. BD-rate below: negative: vqcodec needs fewer bits.",
    ]
    measures = list(results["measures"])
    rows = [["clip", "against", *measures]]
    for clip in results["clips"]:
        rows += [
            [clip["name"], anchor, *(cell(bd[m]["percent"]) for m in measures)]
            for anchor, bd in clip["bd_rate"].items()
        ]
    for anchor, bd in results["summary"]["bd_rate"].items():
        rows.append(
            [
                "mean",
                anchor,
                *(
                    cell(bd[m]["percent"])
                    + (
                        f" ({bd[m]['clips']} of {bd[m]['clips'] + bd[m]['undefined']})"
                        if bd[m]["undefined"]
                        else ""
                    )
                    for m in measures
                ),
            ]
        )
    if len(rows) > 1:
        lines += ["", *columns(rows, (0, 1))]
    rows = [["", "encode fps", "decode fps", "encode memory", "decode memory"]]
    for codec, speed in results["summary"]["speed"].items():
        e, d = speed["encode"], speed["decode"]
        rows.append(
            [
                codec,
                number(e["fps"], 1),
                number(d["fps"], 1),
                megabytes(e["peak_bytes"]),
                megabytes(d["peak_bytes"]),
            ]
        )
    return "\n".join(map(printable, [*lines, "", *columns(rows)])).lstrip("\n")


def number(value: float | None, digits: int) -> str:
    """A value, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def megabytes(n: int) -> str:
    """Memory in steps of 1024."""
    return f"{n / 2**20:.0f} MiB"
