"""The whole benchmark: every clip through every encoder at every quality, and what follows from
it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import fmean

from ..codec.weights import read_metadata
from .bd_rate import bd_rate
from .clip_run import ClipRun, Say, silent
from .clips import clip_names, make_reference
from .machine import machine, versions
from .options import BenchOptions
from .records import (
    MEASURES,
    OURS,
    ClipResult,
    Json,
    MeanBdRate,
    MeanSpeed,
    Results,
    Speed,
    Summary,
    curve,
)
from .store import Store


def run(
    clips: Sequence[Path],
    options: BenchOptions,
    store: Store,
    matched: bool = False,
    say: Say = silent,
) -> Results:
    """Measure all.

    With ``matched``, each quality of vqcodec is joined by points of the anchors at about the same
    rate. Each finished point is in ``store`` at once. ``say`` gets a sentence for each. Raises
    VqvErrors.
    """
    begin = time.monotonic()
    points = len(options.crfs) + sum(len(anchor.crfs) for anchor in options.anchors)
    numbered = _numbered(say, len(clips) * points)
    found = [
        _clip(clip, name, options, store, matched, say, numbered)
        for clip, name in zip(clips, clip_names(clips), strict=True)
    ]
    model = read_metadata(options.weights).get("model_id", "unknown")
    return Results(
        made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        seconds=time.monotonic() - begin,
        machine=machine(),
        versions=versions() | {"model": model},
        settings=_settings(options),
        clips=found,
        summary=summary(found, options),
    )


def _settings(options: BenchOptions) -> Json:
    return {
        "crf": list(options.crfs),
        "preset": options.preset,
        "threads": options.threads,
        "device": options.device,
        "frames": options.frames,
        "anchors": [asdict(a) | {"options": dict(a.options)} for a in options.anchors],
    }


def _numbered(say: Say, total: int) -> Say:
    """``say`` with the number of each sentence, and the time that is left."""
    number, begin = 0, time.monotonic()

    def said(text: str) -> None:
        nonlocal number
        number += 1
        left = (time.monotonic() - begin) / number * (total - number)
        rest = f", about {left / 60:.0f} min left" if left > 90 else ""
        say(f"[{number}/{total}] {text}{rest}")

    return said


def _about(say: Say, what: str) -> Say:
    """``say`` with a word on what each sentence is about."""

    def said(text: str) -> None:
        say(f"{what}: {text}")

    return said


def _clip(
    clip: Path,
    name: str,
    options: BenchOptions,
    store: Store,
    matched: bool,
    say: Say,
    numbered: Say,
) -> ClipResult:
    """All of one clip."""
    with tempfile.TemporaryDirectory(prefix="vqcodec-bench-") as folder:
        even = bool(options.anchors)
        reference = make_reference(clip, name, Path(folder), options.frames, even=even)
        for note in reference.notes:
            say(f"{name}: note: {note}")
        of_clip = ClipRun(reference, options, store, Path(folder), numbered)
        of_clip.keep_original()
        points = {a.name: [of_clip.anchor(a, crf) for crf in a.crfs] for a in options.anchors}
        ours = [of_clip.ours(crf) for crf in options.crfs]
        of_clip.say = _about(say, "to reach vqcodec's qualities")
        for a in options.anchors:
            points[a.name] = of_clip.reaching(a, points[a.name], ours)
        of_clip.say = _about(say, "for the comparison of frames")
        at_equal_rate = [
            {a.name: of_clip.matched(a, points[a.name], point.bpp) for a in options.anchors}
            for point in ours
            if matched
        ]
        bd_rates = {
            anchor: {m: bd_rate(curve(theirs, m), curve(ours, m)) for m in MEASURES}
            for anchor, theirs in points.items()
        }
        return ClipResult(
            name=name,
            width=reference.width,
            height=reference.height,
            frames=reference.frames,
            rate=str(reference.rate),
            bit_depth=10 if reference.ten_bit else 8,
            digest=reference.digest,
            notes=list(reference.notes),
            shown_frame=of_clip.shown,
            original=of_clip.original,
            points=points | {OURS: ours},
            bd_rate=bd_rates,
            matched=at_equal_rate if matched else None,
        )


def summary(clips: Sequence[ClipResult], options: BenchOptions) -> Summary:
    """Mean BD-rate with the number of clips behind it, and speed and memory of each encoder."""
    names = [anchor.name for anchor in options.anchors]
    bd_rates = {
        name: {
            m: _mean_bd_rate([clip.bd_rate[name][m].percent for clip in clips]) for m in MEASURES
        }
        for name in names
    }
    speeds = {}
    for codec in (OURS, *names):
        points = [point for clip in clips for point in clip.points[codec]]
        speeds[codec] = {
            "encode": _mean_speed([point.encode for point in points]),
            "decode": _mean_speed([point.decode for point in points]),
        }
    return Summary(bd_rates, speeds)


def _mean_bd_rate(percents: Sequence[float | None]) -> MeanBdRate:
    known = [percent for percent in percents if percent is not None]
    best, worst = (min(known), max(known)) if known else (None, None)
    return MeanBdRate(_mean(percents), best, worst, len(known), len(percents) - len(known))


def _mean_speed(speeds: Sequence[Speed]) -> MeanSpeed:
    return MeanSpeed(
        _mean(speed.fps for speed in speeds),
        _mean(speed.start_seconds for speed in speeds),
        max(speed.peak_bytes for speed in speeds),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
