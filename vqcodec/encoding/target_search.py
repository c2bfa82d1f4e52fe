"""The search for a target of bitrate, size or PSNR.

It says at which crf GOPs are coded next, from what was measured of those coded before. Nothing is
coded or read here.

A given size has the least error when all GOPs are coded with one lambda. So all get one crf, or
crfs at most BAND from it. Coding takes long, so the search goes in few passes over the video:

1. two *probes*, the first frames of some of the GOPs at two crfs, tell how size and error depend on
   the crf;
2. all GOPs are coded at the crf that the probes promise;
3. while the target is missed, as few GOPs as it takes are coded again at a crf within BAND, or all
   of them at another one.

What comes next depends on complete passes only, not on the order in which GOPs are finished. Sizes
are fitted in their logarithm, errors in dB, both as straight lines over
:func:`vqcodec.encoding.rate_distortion.key_quality`.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..container.packets import MAX_CRF
from ..psnr import psnr_yuv
from .rate_distortion import key_quality
from .target import Goal, Target

# crfs of a search are multiples of 1 / GRID: about the steps in which the levels' qualities change
GRID = 8
BAND = 1.0  # farthest crf of a GOP from the others'
MAX_PASSES = 8  # over the whole video, at most
PROBE_SHARE = 0.2  # of the frames, at most, are coded by a probe (but for the first GOP's)
_FIRST_PROBE = 30.0  # crf
_PROBE_DISTANCE = 6.0  # crfs from it to the second probe, at least
_LEAST_STEP = 0.9  # of quality: measures nearer each other tell no slope, the lines aren't straight
_MOST_CHANGE = 3.0  # times that one measurement changes a slope


@dataclass(frozen=True)
class Measure:
    """Bytes and summed squared error of Y, U, V of a GOP, or of many."""

    frames: int
    bytes: float
    sse: tuple[float, ...]

    def __add__(self, other: Measure) -> Measure:
        return Measure(
            self.frames + other.frames,
            self.bytes + other.bytes,
            tuple(a + b for a, b in zip(self.sse, other.sse, strict=True)),
        )

    def scaled(self, factor: float) -> Measure:
        """As if all had cost ``factor`` times as much, in bytes and in error."""
        return Measure(self.frames, self.bytes * factor, tuple(e * factor for e in self.sse))


def from_start(frames: int, coded: int, first: int, size: int, sse: Sequence[float]) -> Measure:
    """What a GOP of so many frames will come to.

    ``coded`` frames at its start have ``size`` bytes, ``first`` of them in the I frame.
    """
    rest = (size - first) * (frames - 1) / (coded - 1) if coded > 1 else 0
    return Measure(frames, first + rest, tuple(e * frames / coded for e in sse))


@dataclass(frozen=True)
class Pass:
    """What is coded next: all GOPs at one crf, or each (by its first frame) at its own.

    Of a ``probe`` only the first frames of some are coded.
    """

    crf: float | Mapping[int, float]
    probe: bool = False

    def of(self, first_frame: int) -> float:
        """The crf of the GOP that begins with this frame."""
        return self.crf[first_frame] if isinstance(self.crf, Mapping) else self.crf


@dataclass(frozen=True)
class PassOutcome:
    """What came of a pass, by the first frames of GOPs."""

    frames: dict[int, int]  # of all GOPs
    measures: dict[int, Measure]  # of those coded; of a probe: extrapolated to the GOP
    seconds: float = 0.0  # that the pictures last
    other: int = 0  # bytes of the file that are not the pictures'


Passes = Generator[Pass, PassOutcome, Pass]


def _nearest(quality: float) -> float:
    """The crf of the grid whose key frames have this quality."""
    return min(
        (n / GRID for n in range(MAX_CRF * GRID + 1)),
        key=lambda crf: abs(key_quality(crf) - quality),
    )


def _within(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))


@dataclass(frozen=True)
class _Slopes:
    """Of the logarithm of bytes and of the PSNR in dB over the quality, first of a usual video."""

    log_bytes: float = 0.065
    db: float = 0.29

    def learned(self, log_bytes: float, db: float) -> _Slopes:
        """After a measurement, which may be a bad one."""
        old = self
        return _Slopes(
            _within(log_bytes, old.log_bytes / _MOST_CHANGE, old.log_bytes * _MOST_CHANGE),
            _within(db, old.db / _MOST_CHANGE, old.db * _MOST_CHANGE),
        )


class _Search:
    def __init__(self, target: Target, width: int, height: int) -> None:
        self._target, self._size = target, (width, height)
        self._slopes = _Slopes()
        self._goal = Goal(0, 0, 0)
        # measures of whole GOPs, by first frame and crf
        self._known: dict[int, dict[float, Measure]] = {}
        self._crf: dict[int, float] = {}  # of the GOPs in the last pass
        self._base = 0.0  # the crf from which none is farther than BAND

    def _value(self, measure: Measure) -> float:
        """What falls with the crf: the logarithm of bytes, or the PSNR in dB."""
        return (
            psnr_yuv(measure.sse, *self._size, measure.frames).yuv
            if self._target.kind == "psnr"
            else math.log(max(1.0, measure.bytes))
        )

    def _slope(self) -> float:
        return self._slopes.db if self._target.kind == "psnr" else self._slopes.log_bytes

    def _learn(self, old: Measure, new: Measure, step: float) -> None:
        """From the same pictures, measured anew at qualities ``step`` higher on average."""
        if abs(step) < _LEAST_STEP:
            return
        db = (
            psnr_yuv(new.sse, *self._size, new.frames).yuv
            - psnr_yuv(old.sse, *self._size, old.frames).yuv
        ) / step
        self._slopes = self._slopes.learned(
            math.log(max(1.0, new.bytes) / max(1.0, old.bytes)) / step, db
        )

    def run(self) -> Passes:
        """The passes, and in the end the one of all GOPs that came nearest."""
        crf = yield from self._probe()
        self._base, best = crf, self._crf
        least: tuple[bool, float] | None = None
        seen = []
        for _ in range(MAX_PASSES):
            seen.append(self._crf)
            outcome = yield Pass(self._crf)
            for key, m in outcome.measures.items():
                self._known.setdefault(key, {})[self._crf[key]] = m
            value = self._value(_sum(outcome.measures.values()))
            if least is None or self._goal.miss(value) < least:
                least, best = self._goal.miss(value), self._crf
            if self._goal.low <= value <= self._goal.high:
                break
            self._learn_from_last(seen)
            self._crf = self._better(value)
            if self._crf in seen:
                self._crf = self._untried(best, seen)
            if self._crf in seen:
                break
        return Pass(best)

    def _probe(self) -> Generator[Pass, PassOutcome, float]:
        """Two probes; the crf that they promise to meet the goal."""
        one = yield Pass(_FIRST_PROBE, probe=True)
        self._goal = self._target.goal(one.seconds, one.other)
        first = self._whole(one)
        second = self._promising(_FIRST_PROBE, first)
        if abs(second - _FIRST_PROBE) < _PROBE_DISTANCE:
            second = _FIRST_PROBE + math.copysign(_PROBE_DISTANCE, second - _FIRST_PROBE)
        two = yield Pass(second, probe=True)
        other = self._whole(two)
        self._learn(first, other, key_quality(second) - key_quality(_FIRST_PROBE))
        crf = min(
            (self._promising(_FIRST_PROBE, first), self._promising(second, other)),
            key=lambda c: min(abs(c - _FIRST_PROBE), abs(c - second)),
        )
        self._crf = dict.fromkeys(one.frames, crf)
        return crf

    @staticmethod
    def _whole(probe: PassOutcome) -> Measure:
        """The whole video, as far as a probe can tell."""
        total = _sum(probe.measures.values())
        frames = sum(probe.frames.values())
        return replace(total.scaled(frames / total.frames), frames=frames)

    def _promising(self, crf: float, measure: Measure) -> float:
        """The crf that meets the goal, seen from one at which the video comes to ``measure``."""
        return _nearest(key_quality(crf) + (self._goal.aim - self._value(measure)) / self._slope())

    def _learn_from_last(self, seen: list[dict[int, float]]) -> None:
        """From the GOPs whose crf the last pass changed."""
        if len(seen) < 2:
            return
        changed = [k for k, crf in seen[-1].items() if crf != seen[-2][k]]
        old, new = (_sum(self._known[k][crfs[k]] for k in changed) for crfs in seen[-2:])
        step = (
            sum(
                self._known[k][seen[-1][k]].frames
                * (key_quality(seen[-1][k]) - key_quality(seen[-2][k]))
                for k in changed
            )
            / new.frames
        )
        self._learn(old, new, step)

    def _expected(self, key: int, crf: float) -> Measure:
        """A GOP at a crf, from the nearest one that it was coded at."""
        quality = key_quality(crf)
        near = min(self._known[key], key=lambda c: abs(key_quality(c) - quality))
        known, step = self._known[key][near], quality - key_quality(near)
        return Measure(
            known.frames,
            known.bytes * math.exp(self._slopes.log_bytes * step),
            tuple(e * 10 ** (-self._slopes.db * step / 10) for e in known.sse),
        )

    def _at(self, crfs: Mapping[int, float]) -> float:
        return self._value(_sum(self._expected(k, crf) for k, crf in crfs.items()))

    def _better(self, value: float) -> dict[int, float]:
        """The crfs to try after those of the last pass, which came to ``value``.

        The same ones where none are better.
        """
        aim, now = self._goal.aim, self._crf
        even = self._search(now, list(now), 0.0, float(MAX_CRF))
        if abs(even - self._base) > BAND:
            self._base = even
            return dict.fromkeys(now, even)
        end = _within(self._base + math.copysign(BAND, value - aim), 0.0, float(MAX_CRF))
        movable = [k for k in now if (end - now[k]) * (value - aim) > 0]
        if not movable:
            return now
        # as few frames as it takes: first those where the most is to gain for each
        total = _sum(self._expected(k, crf) for k, crf in now.items())
        gains = {k: (self._expected(k, now[k]), self._expected(k, end)) for k in movable}
        order = sorted(
            movable,
            key=lambda k: (
                -abs(self._value(total + _less(*gains[k])) - value) / gains[k][0].frames,
                k,
            ),
        )
        chosen: list[int] = []
        for key in order:
            chosen.append(key)
            total += _less(*gains[key])
            if (self._value(total) - aim) * (value - aim) <= 0:
                break
        others = [now[k] for k in chosen]
        crf = self._search(now, chosen, min(end, *others), max(end, *others))
        better = now | dict.fromkeys(chosen, crf)
        # a prediction that sees no better one doesn't know it to the last step
        return (
            better
            if better != now
            else now | {chosen[0]: now[chosen[0]] + math.copysign(1 / GRID, value - aim)}
        )

    def _untried(
        self, nearest: Mapping[int, float], seen: list[dict[int, float]]
    ) -> dict[int, float]:
        """The crfs beside the ``nearest`` ones so far that no pass had; these where there are none.

        Of a very small video single steps change the size by more than the lines can tell, up and
        down: there trying is all that helps, and costs little. A goal beyond all there is ends it.
        """
        if set(nearest.values()) <= {0.0, float(MAX_CRF)}:
            return dict(nearest)
        for n in range(1, round(BAND * GRID) + 1):
            for step in (n / GRID, -n / GRID):
                moved = {k: _within(crf + step, 0.0, MAX_CRF) for k, crf in nearest.items()}
                if moved not in seen:
                    return moved
        return dict(nearest)

    def _search(self, now: dict[int, float], chosen: list[int], low: float, high: float) -> float:
        """The crf of the grid for the chosen GOPs that promises to come nearest to the goal.

        It lies between ``low`` and ``high``; the crfs of all other GOPs stay.
        """
        moved = set(chosen)
        rest = [self._expected(k, crf) for k, crf in now.items() if k not in moved]
        start = _sum(rest) if rest else Measure(0, 0.0, (0.0, 0.0, 0.0))

        def value(point: int) -> float:
            return self._value(start + _sum(self._expected(k, point / GRID) for k in chosen))

        below, above = round(low * GRID), round(high * GRID)
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (middle, above) if value(middle) > self._goal.aim else (below, middle)
        return min((below, above), key=lambda place: abs(value(place) - self._goal.aim)) / GRID


def _sum(measures: Iterable[Measure]) -> Measure:
    return functools.reduce(operator.add, measures)


def _less(old: Measure, new: Measure) -> Measure:
    """What changes when a GOP becomes another."""
    return Measure(
        0, new.bytes - old.bytes, tuple(b - a for a, b in zip(old.sse, new.sse, strict=True))
    )


def search(target: Target, width: int, height: int) -> Passes:
    """The passes of an encode that is to meet a target, for pictures of a size.

    The generator returns the best one.
    """
    return _Search(target, width, height).run()
