"""The report: one HTML page that needs nothing else."""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2

from .measure import WEIGHTED
from .plots import STYLES, chart
from .records import MEASURES, OURS, ClipResult, Json, Point, Results
from .store import Store
from .table import cell, megabytes, number, signed

ORIGINAL = "original"


def page(results: Results, store: Store) -> str:
    """The page of ``results``, with the pictures that ``store`` keeps of their points."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "cell": cell,
        "megabytes": megabytes,
        "number": number,
        "signed": signed,
    }
    drawn = [name for name, measure in MEASURES.items() if measure.caption is not None]
    charts = [[svg for svg in (chart(clip, m) for m in drawn) if svg] for clip in results.clips]
    names = sorted(results.summary.speed, key=lambda name: name != OURS)
    colours = {name: STYLES[i % len(STYLES)][1] for i, name in enumerate(names)}
    return environment.get_template("report.html.j2").render(
        results=results.to_json(),
        charts=charts,
        colours=colours,
        weighted=WEIGHTED,
        comparison=_Comparison(store).of(results),
        ours=OURS,
    )


class _Comparison:
    """What the comparison of frames shows: clips, each with qualities, each with a picture and its
    figures for every encoder; pictures by their keys."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pictures: dict[str, str] = {}

    def of(self, results: Results) -> Json:
        """As an object that the page's script reads."""
        return {"clips": [self._clip(clip) for clip in results.clips], "pictures": self._pictures}

    def _picture(self, key: str) -> str:
        """Keep a picture for the page; its key."""
        if key not in self._pictures:
            data = base64.b64encode(self._store.picture_path(key).read_bytes())
            self._pictures[key] = "data:image/webp;base64," + data.decode()
        return key

    def _clip(self, clip: ClipResult) -> Json:
        ours = clip.points[OURS]
        matched = clip.matched or [{} for _ in ours]
        qualities = [
            {
                "label": f"vqcodec crf {point.crf:g}: {point.bpp:.4f} bits per pixel",
                "sides": [self._original(clip)]
                + [self._side(name, side, point) for name, side in {OURS: point, **others}.items()],
            }
            for point, others in zip(ours, matched, strict=True)
        ]
        return {"name": clip.name, "frame": clip.shown_frame, "qualities": qualities}

    def _original(self, clip: ClipResult) -> Json:
        text = "the source's frame"
        return {"name": ORIGINAL, "text": text, "picture": self._picture(clip.original)}

    def _side(self, name: str, point: Point, ours: Point) -> Json:
        figures = [
            f"crf {point.crf:g}",
            f"{point.kbps:.1f} kbit/s{'' if name == OURS else _difference(point, ours)}",
        ]
        for measure in MEASURES.values():
            value = measure.quality(point)
            if measure.caption is not None and value is not None:
                figures.append(measure.caption.format(value))
        if point.blocking is not None:
            figures.append(f"blocking {point.blocking:.2f}")
        return {"name": name, "text": ", ".join(figures), "picture": self._picture(point.key)}


def _difference(point: Point, ours: Point) -> str:
    """In bits."""
    ratio = point.bpp / ours.bpp
    if abs(ratio - 1) < 0.0005:
        return " (equal bits)"
    return f" ({100 * (ratio - 1):+.1f} % bits)"
