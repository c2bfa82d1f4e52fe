"""The reader of a source and the decoder choose the same frames, one at a time or by GOPs."""

from __future__ import annotations

import random
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vqcodec.container.packets import IndexEntry
from vqcodec.container.reader import ContainerReader
from vqcodec.media.stretch import Stretch
from vqcodec.options import DecodeOptions
from vqcodec.reading.chosen_frames import _Progress, chosen_stretch
from vqcodec.reading.decode_report import DecodeReport
from vqcodec.span import Span, Time

BASE, STEP = Fraction(1, 1000), 40


def some_time(rng: random.Random) -> Time | None:
    kind = rng.randrange(3)
    if kind == 0:
        return None
    if kind == 1:
        return Time(frames=rng.randrange(40))
    return Time(seconds=Fraction(rng.randrange(1600), 1000))


def by_stretch(start: Time | None, duration: Time | None, pts: list[int]) -> tuple[list[int], Any]:
    stretch, chosen = Stretch(start, duration), list[int]()
    for number, time in enumerate(pts):
        seconds = (time - pts[0]) * BASE
        if stretch.is_full(len(chosen)):
            break
        if stretch.has_begun(number, seconds):
            if not chosen:
                stretch.begin(time, pts[0], STEP, BASE)
            if stretch.has_ended(seconds):
                break
            chosen.append(number)
    return chosen, stretch


def by_progress(start: Time | None, duration: Time | None, pts: list[int], gop: int) -> list[int]:
    """Frames that are taken; each of them was chosen for its GOP as well, and no other was."""
    progress, taken = _Progress(Span(start, duration), BASE, pts[0]), list[int]()
    for first in range(0, len(pts), gop):
        times = pts[first : first + gop]
        progress.number = first
        wanted = [first + i for i in progress.choose(times)]
        here = list[int]()
        for number, time in enumerate(times, first):
            chosen = progress.take(time)
            if chosen is None:
                assert here == wanted
                return taken + here
            if chosen:
                here.append(number)
        assert here == wanted
        taken += here
    return taken


@pytest.mark.parametrize("seed", range(300))
def test_all_who_choose_agree(seed: int) -> None:
    rng = random.Random(seed)
    start, duration = some_time(rng), some_time(rng)
    begin = rng.randrange(-500, 500)
    pts = [begin]
    for _ in range(rng.randrange(1, 50)):
        pts.append(pts[-1] + rng.choice((STEP, STEP, 1, 3 * STEP)))
    want, stretch = by_stretch(start, duration, pts)
    for gop in (1, 7, len(pts)):
        assert by_progress(start, duration, pts, gop) == want
    if not want:
        return
    gops = [IndexEntry(0, 0, len(pts), pts[0])]
    header = SimpleNamespace(time_base=BASE, rate=Fraction(25))
    reader = cast(ContainerReader, SimpleNamespace(header=header, gops=gops))
    options = DecodeOptions(start=start, duration=duration)
    report = DecodeReport(shift=pts[want[0]] if start else 0)
    assert chosen_stretch(reader, options, report)[1] == stretch.stop
