"""Rate-distortion curves, drawn with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ..system.text import printable
from .measure import WEIGHTED
from .records import MEASURES, OURS, ClipResult, Curve, Json, Results, curve

# (colour, its name in a page's style sheet, marker) of vqcodec, then of the anchors in turn
STYLES = [
    ("#c2410c", "--line-0", "o"),
    ("#1d4ed8", "--line-1", "s"),
    ("#15803d", "--line-2", "^"),
    ("#7e22ce", "--line-3", "D"),
    ("#525252", "--line-4", "v"),
    ("#0e7490", "--line-5", "P"),
]
_TEXT, _GRID = "#010203", "#040506"  # stand for colours of the page's style sheet
_AXES: Any = {
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "vqcodec",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": False,
}


def curves(
    ax: Axes,
    drawn: Mapping[str, Curve],
    text: str = "black",
    grid: str = "0.85",
) -> None:
    """Draw the curve of each encoder, quality over the logarithm of bits per pixel. A point
    without quality is left out."""
    names = sorted(drawn, key=lambda name: name != OURS)
    for name, (colour, _, marker) in reversed(
        list(zip(names, (STYLES[i % len(STYLES)] for i in range(len(names))), strict=True))
    ):
        xy = sorted((bpp, quality) for bpp, quality in drawn[name] if quality is not None)
        if xy:
            ours = name == OURS
            ax.plot(
                *zip(*xy, strict=True),
                color=colour,
                marker=marker,
                markersize=5 if ours else 4,
                linewidth=2.2 if ours else 1.3,
                label=name,
            )
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(color=grid, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(colors=text)
    for spine in ax.spines.values():
        spine.set_color(grid)


def legend_order(ax: Axes) -> tuple[list[Artist], list[str]]:
    """Handles and labels with vqcodec first."""
    handles, labels = ax.get_legend_handles_labels()
    return handles[::-1], labels[::-1]


def _curves(clip: ClipResult, measure: str) -> dict[str, Curve]:
    return {name: curve(points, measure) for name, points in clip.points.items()}


def _saved_curves(clip: Json) -> dict[str, Curve]:
    """Curves of PSNR of a clip as :meth:`ClipResult.to_json` gives it."""
    return {
        name: [(point["bpp"], point["psnr_mean_of_frames"][WEIGHTED]) for point in points]
        for name, points in clip["points"].items()
    }


def draw(results: Results | Json, kind: str) -> bytes:
    """All clips' curves of PSNR in one picture, "png" or "svg"; of a run, or of what its
    ``--json`` wrote."""
    if isinstance(results, Mapping):
        clips = [(clip["name"], _saved_curves(clip)) for clip in results["clips"]]
    else:
        clips = [(clip.name, _curves(clip, "psnr")) for clip in results.clips]
    columns = min(4, len(clips))
    rows = -(-len(clips) // columns)
    with plt.rc_context(_AXES):
        fig, axes = plt.subplots(
            rows, columns, figsize=(4.6 * columns, 3.6 * rows), squeeze=False, layout="constrained"
        )
        for ax in axes.flat[len(clips) :]:
            ax.set_axis_off()
        for ax, (name, drawn) in zip(axes.flat, clips, strict=False):
            curves(ax, drawn)
            ax.set_title(printable(name), fontsize=10, parse_math=False)
            ax.set_xlabel("bits per pixel")
        for row in axes:
            row[0].set_ylabel(MEASURES["psnr"].axis)
        axes.flat[0].legend(*legend_order(axes.flat[0]), fontsize=8, frameon=False)
        return _saved(fig, kind)


def chart(clip: ClipResult, measure: str) -> str:
    """One clip's curves as an SVG element whose colours are those of the page's style sheet; empty
    where nothing was measured."""
    drawn = _curves(clip, measure)
    if all(quality is None for points in drawn.values() for _, quality in points):
        return ""
    with plt.rc_context(_AXES):
        fig, ax = plt.subplots(figsize=(4.3, 3.1), layout="constrained")
        curves(ax, drawn, _TEXT, _GRID)
        ax.set_xlabel("bits per pixel", color=_TEXT)
        ax.set_ylabel(MEASURES[measure].axis, color=_TEXT)
        text = _saved(fig, "svg", transparent=True).decode()
    for colour, name in [(_TEXT, "--text"), (_GRID, "--rule"), *((c, v) for c, v, _ in STYLES)]:
        text = text.replace(colour, f"var({name})")
    # names of parts are those of one document, and the page holds many
    unique = f"{clip.digest[:8]}-{measure}-"
    for form in ('id="{}', 'href="#{}', "url(#{}"):
        text = text.replace(form.format(""), form.format(unique))
    begin = text.index("<svg")
    return text[begin:].replace(
        "<svg ", f'<svg role="img" aria-label="{MEASURES[measure].title} over bits per pixel" ', 1
    )


def _saved(fig: Figure, kind: str, transparent: bool = False) -> bytes:
    buffer = io.BytesIO()
    fig.savefig(
        buffer,
        format=kind,
        dpi=110,
        transparent=transparent,
        metadata={"Date": None} if kind == "svg" else None,
    )
    plt.close(fig)
    return buffer.getvalue()
