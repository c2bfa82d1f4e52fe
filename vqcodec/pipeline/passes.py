"""The passes of an encode: one over the video, or several for a target, and the file that is
put together of what they left in the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import BinaryIO

from ..container.packets import GopPayload, StreamHeader
from ..encoding.target_search import Measure, Pass, PassOutcome, from_start
from ..picture import Picture
from .coding_pass import CodingPass, GopWork, Pictures
from .output import EncodeReport, Nowhere, Output, SourceExtras


class Passes:
    """The passes of one encode in the order in which they are made."""

    def __init__(self, work: GopWork) -> None:
        self._work = work
        self._made: list[CodingPass] = []
        self._chosen: Pass | None = None

    @property
    def _header(self) -> StreamHeader:
        assert self._work.journal.header is not None
        return self._work.journal.header

    def run(self, plan: Pass, frames: Iterable[tuple[int, Picture]], source: Pictures) -> bool:
        """Make a pass over the frames, all those of the source; False where it was interrupted."""
        self._made.append(CodingPass(self._work, plan))
        if self._work.meter is not None and self._work.several:
            number = Counter(made.plan.probe for made in self._made)[plan.probe]
            self._work.meter.begin(f"{'probe' if plan.probe else 'pass'} {number}")
        self._made[-1].run(frames, source)
        return self._made[-1].finished

    def choose(self, plan: Pass) -> None:
        """Take the GOPs of an earlier pass for the file."""
        self._chosen = plan

    def outcome(self, other: int) -> PassOutcome:
        """What came of the last pass; ``other``: bytes of the file that are no pictures'."""
        spans = self._work.spans
        measures = {first: self._measure(first) for first in spans}
        last = spans[max(spans)]
        ticks = last.last + last.duration - spans[0].first
        return PassOutcome(
            {first: span.frames for first, span in spans.items()},
            {first: measure for first, measure in measures.items() if measure is not None},
            float(ticks * self._header.time_base),
            other,
        )

    def _measure(self, first: int) -> Measure | None:
        """What the last pass measured of a GOP, or of its start; None where it did not code it."""
        from ..codec.gop_body import parse_body

        journal, frames = self._work.journal, self._work.spans[first].frames
        label = self._work.label(first, self._made[-1].plan)
        if not journal.has(first, label):
            return None
        gop, size = journal.read(first, label), journal.packet_size(first, label)
        coded = len(gop.pts)
        if coded == frames:
            return Measure(frames, size, gop.sse)
        later = sum(map(len, parse_body(gop.body, coded)[1][1:]))  # bytes behind the I frame
        return from_start(frames, coded, size - later, size, gop.sse)

    def other_bytes(self, extras: SourceExtras) -> int:
        """Bytes of the whole file but for the GOPs, at most: it is written as if, to nowhere, with
        bodies of about the right size."""
        made = self._work.report
        rough = made.picture_bytes // max(1, made.frames)
        report = EncodeReport()
        out = Output(Nowhere(), self._header, self._work.step, report, extras)
        for span in self._work.spans.values():
            # times between the first and the last matter within the GOP only
            times = (span.first, *range(span.last - span.frames + 2, span.last + 1))
            body = bytes(rough * span.frames)
            out.put(GopPayload(times, span.duration, 0, (0, 0, 0), body), (0.0, 0.0, 0.0))
        out.finish(True)
        # the index says the distance of GOPs in 7 bits a byte: two more are 16,384 times as far
        return report.bytes - report.picture_bytes + 2 * report.gops

    def _version(self, first: int) -> Pass:
        """The pass whose GOP goes into the file: the one that was interrupted as far as it got,
        then the one before."""
        last, *before = (made.plan for made in reversed(self._made[-2:]))
        plans = [self._chosen or last]
        if before and self._made[-2].finished and not before[0].probe:
            plans += before
        there = (p for p in plans if self._work.journal.has(first, self._work.label(first, p)))
        return next(there, plans[0])

    def write(self, file: BinaryIO, extras: SourceExtras) -> None:
        """Write the finished GOPs, in order, as a .vqv file, and report on them. After an interrupt
        a GOP that is missing ends where it is; if that is whole, others follow."""
        work, last = self._work, self._made[-1]
        firsts = list(work.spans) or [0]
        versions = {first: self._version(first) for first in firsts}
        frames = {first: work.spans[first].frames if work.spans else 1 for first in firsts}
        coded = sum(n * versions[first].of(first) for first, n in frames.items())
        work.report.crf = coded / sum(frames.values())
        labels = {first: work.label(first, version) for first, version in versions.items()}
        header = replace(self._header, crf=round(work.report.crf))
        out = Output(file, header, work.step, work.report, extras)
        # a sum as measured is exact; of GOPs that several passes coded, the journal's is
        sse = {} if work.several else last.sse
        while True:
            for gop in work.journal.gops(labels, out.frames):
                out.put(gop, sse.get(out.frames, gop.sse))
            if (ended := last.cut(out.frames)) is None:
                break
            out.put(*ended)
        out.finish(work.complete)
