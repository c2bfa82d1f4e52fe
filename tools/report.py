#!/usr/bin/env python3
"""Turn results of the judge (rd.py) into docs/benchmarks.md's table and the plot docs/rd.png.

tools/report.py rd.json [more.json ...] --plot docs/rd.png
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

from vqcodec.bench.plots import curves, legend_order

NAMES = ("x264-medium", "x265-medium", "svtav1-p6")


def cell(v: float | None) -> str:
    """A difference in percent for a cell of the table."""
    return "undefined" if v is None else f"{v:+.1f}"


def main() -> None:
    """Read the results, print the tables, and draw the plot where one is asked for."""
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("results", nargs="+", type=Path)
    ap.add_argument("--plot", type=Path)
    a = ap.parse_args()
    points: dict[str, dict[str, list[dict[str, Any]]]] = {}
    bd: dict[tuple[str, str], tuple[float | None, float | None]] = {}
    for f in a.results:
        d = json.loads(f.read_text())
        points |= d["points"]
        bd |= {(clip, name): (psnr, ssim) for clip, name, psnr, ssim in d["bd"]}
    print(
        "| clip | vqcodec, bpp / dB at crf 14, 24, 34, 44 | "
        + " | ".join(f"{n}: PSNR, MS-SSIM" for n in NAMES)
        + " |"
    )
    print("|---|---|" + "---|" * len(NAMES))
    for clip in sorted(points):
        ours = ", ".join(f"{p['bpp']:.4f} / {p['psnr']:.2f}" for p in points[clip]["vqcodec"])
        print(
            f"| {clip} | {ours} | "
            + " | ".join(", ".join(cell(v) for v in bd[clip, n]) for n in NAMES)
            + " |"
        )
    means = []
    for n in NAMES:
        for i in (0, 1):
            v = [x for clip in points if (x := bd[clip, n][i]) is not None]
            means.append(f"{sum(v) / len(v):+.1f} ({len(v)})" if v else "undefined")
    print(
        "| **mean (clips)** | | "
        + " | ".join(", ".join(means[2 * i : 2 * i + 2]) for i in range(len(NAMES)))
        + " |"
    )
    if a.plot:
        fig, axes = plt.subplots(2, (len(points) + 1) // 2, figsize=(16, 7.5))
        for ax, clip in zip(axes.flat, sorted(points), strict=False):
            of_clip = points[clip]
            curves(
                ax,
                {
                    name: [(p["bpp"], p["psnr"]) for p in of_clip[name]]
                    for name in ("vqcodec", *NAMES)
                },
            )
            ax.set_title(clip, fontsize=10)
        for ax in axes[-1]:
            ax.set_xlabel("bits per pixel")
        for ax in axes[:, 0]:
            ax.set_ylabel("PSNR (6Y+U+V)/8, dB")
        axes.flat[0].legend(*legend_order(axes.flat[0]), fontsize=9)
        fig.tight_layout()
        fig.savefig(a.plot, dpi=80)


if __name__ == "__main__":
    main()
