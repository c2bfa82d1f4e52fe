"""The report: one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import jinja2

from .measure import WEIGHTED
from .plots import STYLES, chart
from .run import OURS
from .store import Store
from .table import cell, megabytes, number

ORIGINAL = "original"


def page(results: dict[str, Any], store: Store) -> str:
    """The page of ``results``, with the pictures that ``store`` keeps of their points."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"cell": cell, "megabytes": megabytes, "number": number}
    charts = [
        [c for c in (chart(clip, m) for m in ("psnr", "ms_ssim", "vmaf")) if c]
        for clip in results["clips"]
    ]
    colours = {
        name: STYLES[i % len(STYLES)][1]
        for i, name in enumerate(sorted(results["summary"]["speed"], key=lambda n: n != OURS))
    }
    return environment.get_template("report.html.j2").render(
        results=results,
        charts=charts,
        colours=colours,
        weighted=WEIGHTED,
        comparison=_comparison(results, store),
        ours=OURS,
    )


def _comparison(results: dict[str, Any], store: Store) -> dict[str, Any]:
    """What the comparison of frames shows: clips, each with qualities, each with a picture and its figures for every encoder; pictures by their keys."""
    pictures: dict[str, str] = {}

    def picture(key: str) -> str:
        if key not in pictures:
            pictures[key] = (
                "data:image/webp;base64,"
                + base64.b64encode(store.picture_path(key).read_bytes()).decode()
            )
        return key

    clips = []
    for clip in results["clips"]:
        matched = clip.get("matched") or [{} for _ in clip["points"][OURS]]
        qualities = []
        for ours, others in zip(clip["points"][OURS], matched, strict=True):
            sides = [
                {
                    "name": ORIGINAL,
                    "text": "the source's frame",
                    "picture": picture(clip["original"]),
                }
            ]
            for name, point in [(OURS, ours), *others.items()]:
                ratio = point["bpp"] / ours["bpp"]
                rate = (
                    ""
                    if name == OURS
                    else f" ({100 * (ratio - 1):+.1f} % bits)"
                    if abs(ratio - 1) >= 0.0005
                    else " (equal bits)"
                )
                quality = [f"PSNR {point['psnr_mean_of_frames'][WEIGHTED]:.2f} dB"]
                quality += (
                    [f"MS-SSIM {point['ms_ssim_db']:.2f} dB"]
                    if point["ms_ssim_db"] is not None
                    else []
                )
                quality += [f"VMAF {point['vmaf']:.1f}"] if point["vmaf"] is not None else []
                sides.append(
                    {
                        "name": name,
                        "text": f"crf {point['crf']:g}, {point['kbps']:.1f} kbit/s{rate}, "
                        + ", ".join(quality),
                        "picture": picture(point["key"]),
                    }
                )
            qualities.append(
                {
                    "label": f"vqcodec crf {ours['crf']:g}: {ours['bpp']:.4f} bits per pixel",
                    "sides": sides,
                }
            )
        clips.append({"name": clip["name"], "frame": clip["shown_frame"], "qualities": qualities})
    return {"clips": clips, "pictures": pictures}
