"""One pass over the pictures of a source: what it codes goes into the journal, GOP by GOP."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..container.packets import GopPayload
from ..encoding import horizon
from ..encoding.target_search import PROBE_SHARE, Pass
from ..errors import InputError
from ..fields import crc32, u32
from ..picture import Picture
from ..system.interrupt import Interrupt
from ..system.progress import Meter
from .frame_stats import FrameStats
from .gop_coders import Coder, Result
from .journal import Journal
from .output import EncodeReport

if TYPE_CHECKING:
    from ..encoding.scene_cuts import MiniGopPictures

_WAIT = 0.2  # seconds until an interrupt is looked for again


class Pictures(Protocol):
    """What a pass needs of a source behind its pictures."""

    following: int | None  # time of the frame behind the last one given; None at the end


@dataclass(frozen=True)
class GopSpan:
    """What is known of a GOP of the source before it is coded; times in ticks."""

    frames: int
    first: int  # time of the first frame
    last: int  # time of the last one
    duration: int  # of the last frame


@dataclass
class GopWork:
    """What all passes of an encode share."""

    coder: Coder
    journal: Journal
    longest: int  # most frames of a GOP
    step: int  # ticks that a frame lasts which nothing follows
    report: EncodeReport
    interrupt: Interrupt
    meter: Meter | None = None
    stats: FrameStats | None = None
    several: bool = False  # passes: a GOP of the journal is known by its crf too
    spans: dict[int, GopSpan] = field(default_factory=dict)  # of the source, by first frame
    all_spans: bool = False  # whether these are all of the source
    complete: bool = False  # whether a pass has coded all frames of the source

    def label(self, first: int, plan: Pass) -> str:
        """What the journal calls this GOP as that pass codes it."""
        return ("probe " if plan.probe else "") + f"{plan.of(first):g}" if self.several else ""

    def changed(self) -> InputError:
        """What to raise where the source is not what it was."""
        return InputError("the source was changed while it was encoded", file=self.journal.output)


@dataclass
class _Gop:
    """A GOP between the cutter and the journal."""

    first: int
    label: str = ""  # in the journal
    coded: bool = True  # by this pass: the journal has it, or a probe does without
    pts: list[int] = field(default_factory=list)
    following: int | None = None  # time of the frame behind it, as far as it is known
    lengths: list[int] = field(default_factory=list)  # of the mini-GOPs that this pass looks at
    taken: int = 0  # frames that this pass looks at, of those that came
    wanted: int = 0  # frames that it codes, of those
    closed: bool = False  # all that is coded in this pass has come
    source: int = 0  # checksum of the pictures of these frames

    def times(self, count: int, step: int) -> tuple[tuple[int, ...], int]:
        """Times of the first n frames, and how long the last of them lasts. Where the GOP was cut
        short, the time of the frame behind is known."""
        if not 0 < count <= len(self.pts):
            raise RuntimeError(f"{len(self.pts)} pictures went into a GOP and {count} were coded")
        following = self.pts[count] if count < len(self.pts) else self.following
        return tuple(self.pts[:count]), step if following is None else following - self.pts[
            count - 1
        ]

    def payload(self, result: Result, step: int) -> GopPayload:
        """The packet's content."""
        y, u, v = (round(e) for e in result.sse)
        return GopPayload(*self.times(result.frames, step), result.checksum, (y, u, v), result.body)


class CodingPass:
    """One pass. After :meth:`run` its GOPs are in the journal, but for those that an interrupt
    left open."""

    def __init__(self, work: GopWork, plan: Pass) -> None:
        from ..encoding.scene_cuts import GopCutter  # compiled: not for what is refused

        self.plan = plan
        self.finished = False  # whether all that was asked for is done
        self.sse: dict[int, tuple[float, float, float]] = {}  # as measured, by first frame
        self._work, self._coder, self._journal = work, work.coder, work.journal
        self._cutter = GopCutter(work.longest)
        self._held: deque[int] = deque()  # times of the pictures that the cutter holds
        self._gop: _Gop | None = None  # that takes pictures
        self._next = 0  # first frame of the GOP that begins next
        self._open: dict[int, _Gop] = {}  # that are being coded, by first frame
        self._probed = 0  # frames coded or found in the journal, at most

    def run(self, frames: Iterable[tuple[int, Picture]], source: Pictures) -> None:
        """Code what is asked for of the frames, all those of the source, until an interrupt."""
        work = self._work
        work.coder.tell = self._show
        work.report.resumed = 0
        work.report.clear()
        flushed = False
        for pts, picture in frames:
            self._held.append(pts)
            for mini in self._cutter.push(pts, picture):
                self._take(mini, source)
            self._collect()
        if not work.interrupt.requested:
            for mini in self._cutter.flush():
                self._take(mini, source)
            flushed = True
        while self._open and not work.interrupt.requested:
            self._collect(_WAIT)
        self._collect()
        self.finished = flushed and not self._open
        work.all_spans |= self.finished
        work.complete |= self.finished and not self.plan.probe

    def cut(self, first: int) -> tuple[GopPayload, tuple[float, float, float]] | None:
        """End a GOP that is open with the frames coded so far; its packet and error, None where
        there are none."""
        gop = self._open.get(first)
        result = self._coder.cut(first) if gop else None
        if gop is None or result is None:
            return None
        self._note(gop, result)
        return gop.payload(result, self._work.step), result.sse

    def _take(self, mini: MiniGopPictures, source: Pictures) -> None:
        """Take the next mini-GOP."""
        gop = self._gop = self._gop or self._begun()
        pictures = [picture for _, picture in mini.pictures]
        gop.pts += [self._held.popleft() for _ in pictures]
        gop.following = self._held[0] if self._held else source.following
        if not gop.closed:
            self._look_at(gop, pictures, mini.ends)
            if gop.coded:
                self._code(gop, pictures, mini.ends)
        if mini.ends:
            self._gop, self._next = None, gop.first + len(gop.pts)
            self._end(gop)

    def _look_at(self, gop: _Gop, pictures: list[Picture], ends: bool) -> None:
        """Count what this pass takes of a GOP: all of it, or the start that does for a probe.

        That is the I frame, the first mini-GOP, and what the look-ahead sees behind them.
        """
        planes = (plane.tobytes() for picture in pictures for plane in picture)
        gop.source = crc32(u32(gop.source), *planes)
        gop.lengths.append(len(pictures))
        gop.taken += len(pictures)
        ready = horizon.ready(gop.lengths)
        if not self.plan.probe or ends:
            gop.wanted, gop.closed = gop.taken, ends
        elif ready >= 2:
            gop.wanted, gop.closed = sum(gop.lengths[:ready]), True

    def _begun(self) -> _Gop:
        """The next GOP of the source."""
        first = self._next
        if self._work.all_spans and first not in self._work.spans:
            raise self._work.changed()
        label = self._work.label(first, self.plan)
        wanted = not self.plan.probe or self._probed <= PROBE_SHARE * first
        return _Gop(first, label, wanted and not self._journal.has(first, label))

    def _end(self, gop: _Gop) -> None:
        """All pictures of the GOP have come."""
        _, duration = gop.times(len(gop.pts), self._work.step)
        self._work.spans[gop.first] = GopSpan(len(gop.pts), gop.pts[0], gop.pts[-1], duration)
        there = self._journal.has(gop.first, gop.label)
        if there or gop.coded:
            self._probed += gop.wanted
        if there and not gop.coded:
            self._check(gop)

    def _code(self, gop: _Gop, pictures: list[Picture], ends: bool) -> None:
        """Give pictures to the coder, when it has room for another GOP if one begins."""
        if len(gop.lengths) == 1:
            while not self._coder.ready(_WAIT):
                self._collect()
                if self._work.interrupt.requested:
                    return
            self._open[gop.first] = gop
            self._coder.begin(gop.first, self.plan.of(gop.first))
        self._coder.add(gop.first, pictures, ends)
        if gop.closed and not ends:
            self._coder.add(gop.first, [], True)

    def _check(self, gop: _Gop) -> None:
        """Raise unless a GOP of the journal is the one that the source has there."""
        journal, report = self._journal, self._work.report
        there = journal.read(gop.first, gop.label)
        earlier = journal.is_earlier(gop.first, gop.label)
        if (
            len(there.pts) != gop.wanted
            or (there.pts, there.duration) != gop.times(gop.wanted, self._work.step)
            or journal.source(gop.first, gop.label) != gop.source
        ):
            raise journal.other_frames(gop.first) if earlier else self._work.changed()
        if earlier:
            report.resumed += gop.wanted
        report.add(gop.wanted, journal.packet_size(gop.first, gop.label), there.sse)

    def _collect(self, timeout: float = 0.0) -> None:
        """Journal what is finished, and show how far the work is."""
        work = self._work
        for first, result in self._coder.finished(timeout):
            gop = self._open.pop(first)
            if result.frames != gop.wanted:
                raise RuntimeError(
                    f"{gop.wanted} pictures went into a GOP and {result.frames} were coded"
                )
            self._journal.add(first, gop.payload(result, work.step), gop.source, gop.label)
            self.sse[first] = result.sse
            work.report.add(result.frames, self._journal.packet_size(first, gop.label), result.sse)
            self._note(gop, result)
        begun = self._journal.has(0, work.label(0, self.plan)) or self._coder.coded(0)
        if work.complete or (begun and not self.plan.probe):
            work.interrupt.worth = True
        self._show()

    def _note(self, gop: _Gop, result: Result) -> None:
        if self._work.stats is not None:
            self._work.stats.add(gop.first, gop.pts, result.stats)

    def _show(self) -> None:
        """Show how far the work is."""
        report, meter, pending = self._work.report, self._work.meter, self._coder.pending
        if meter is None:
            return
        if self.plan.probe:
            meter.update(self._next + (len(self._gop.pts) if self._gop else 0))
        elif report.frames:
            frames = report.frames + pending
            meter.update(frames, report.picture_bytes * frames // report.frames, report.psnr.yuv)
        else:
            meter.update(pending)
