"""From pictures to the packets of the journal, in one round over the video, or in several for a target, and from there into the file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from ..container.packets import GopPayload, StreamHeader
from ..encoding.scene_cuts import MINI_GOP, GopCutter
from ..encoding.target_search import PROBE_SHARE, Measure, Outcome, Round, from_start
from ..errors import InputError
from ..fields import crc32, u32
from ..picture import Picture
from ..system.interrupt import Interrupt
from ..system.progress import Meter
from .gop_coders import Coder, Result
from .journal import Journal
from .output import EncodeReport, Extras, Nowhere, Output


@dataclass
class _Gop:
    """A GOP between the cutter and the journal."""

    first: int
    pts: list[int] = field(default_factory=list)
    following: int | None = None  # time of the frame behind it, as far as it is known
    label: str = ""  # in the journal
    coded: bool = True  # whether this round codes it: the journal has it, or a probe does without
    closed: bool = False  # all that is coded in this round has come
    source: int = 0  # checksum of that

    def times(self, n: int, step: int) -> tuple[tuple[int, ...], int]:
        """Times of the first n frames, and how long the last of them lasts. Where the GOP was cut short, the time of the frame behind is known."""
        if not 0 < n <= len(self.pts):
            raise RuntimeError(f"{len(self.pts)} pictures went into a GOP and {n} were coded")
        following = self.pts[n] if n < len(self.pts) else self.following
        return tuple(self.pts[:n]), step if following is None else following - self.pts[n - 1]

    def payload(self, result: Result, step: int) -> GopPayload:
        """The packet's content."""
        y, u, v = (round(e) for e in result.sse)
        return GopPayload(*self.times(result.frames, step), result.checksum, (y, u, v), result.body)


class Pipeline:
    """State of one encode: from pictures to the packets of the journal, in one round over the video or in several."""

    def __init__(
        self,
        coder: Coder,
        journal: Journal,
        longest: int,
        step: int,
        report: EncodeReport,
        stats: Any,
        progress: Meter | None,
        interrupt: Interrupt,
        labels: bool,
    ) -> None:
        self._coder, self._journal, self._longest, self._labels = coder, journal, longest, labels
        coder.tell = self._show
        self._report, self._stats, self._step, self._progress, self._interrupt = (
            report,
            stats,
            step,
            progress,
            interrupt,
        )
        self._open: dict[int, _Gop] = {}  # GOPs that are being coded, by first frame
        self._rows: dict[
            int, tuple[_Gop, list[dict[str, Any]]]
        ] = {}  # lines of --stats that wait for those of a GOP before them
        self._rows_at = self._rows_gop = 0
        self._sse: dict[int, tuple[float, float, float]] = {}
        self._round, self._before = Round(0.0), None  # type: tuple[Round, Round | None]
        self._numbers = {True: 0, False: 0}  # of probes, and of other rounds
        self._spans: dict[
            int, tuple[int, int, int, int]
        ] = {}  # of all GOPs of the source: frames, times of the first and the last, duration of the last
        self._read = False  # whether these are all
        self.complete = False  # whether all frames of the source are coded

    def _label(self, key: int, of: Round) -> str:
        return ("probe " if of.probe else "") + f"{of.of(key):g}" if self._labels else ""

    def run(self, what: Round, frames: Iterator[tuple[int, Picture]], source: Any) -> bool:
        """Code what a round asks for of the frames, all those of the source; whether that was done, or interrupted."""
        if self.complete:
            self._before = self._round
        self._round, self._cutter, self._gop = what, GopCutter(self._longest), _Gop(0)
        self._probed = self._report.resumed = 0
        self._report.clear()
        self._numbers[what.probe] += 1
        if self._progress is not None and self._labels:
            self._progress.begin(f"{'probe' if what.probe else 'pass'} {self._numbers[what.probe]}")
        flushed = False
        for pts, picture in frames:
            for pictures, ends in self._cutter.push(pts, picture):
                self._take(pictures, ends, pts)
            self._collect()
        if not self._interrupt.requested:
            for pictures, ends in self._cutter.flush():
                self._take(pictures, ends, source.following)
            flushed = True
        while self._open and not self._interrupt.requested:
            self._collect(0.2)
        self._collect()
        finished = flushed and not self._open
        self._read |= finished
        self.complete |= finished and not what.probe
        return finished

    def choose(self, what: Round) -> None:
        """Take the GOPs of an earlier round for the file."""
        self._round = what

    def _take(self, pictures: list[tuple[int, Picture]], ends: bool, following: int | None) -> None:
        gop, key = self._gop, self._gop.first
        if new := not gop.pts:
            if self._read and key not in self._spans:
                raise self._changed()
            gop.label = self._label(key, self._round)
            wanted = not self._round.probe or self._probed <= PROBE_SHARE * key
            gop.coded = wanted and not self._journal.has(key, gop.label)
        gop.pts += [pts for pts, _ in pictures]
        gop.following = following
        if taken := not gop.closed:
            gop.source = crc32(
                u32(gop.source), *(plane.tobytes() for _, picture in pictures for plane in picture)
            )
            # the I frame and the first mini-GOP do for a probe
            gop.closed = ends or (self._round.probe and not new)
        if ends:
            self._gop = _Gop(key + len(gop.pts))
            self._spans[key] = (
                len(gop.pts),
                gop.pts[0],
                gop.pts[-1],
                gop.times(len(gop.pts), self._step)[1],
            )
            if self._journal.has(key, gop.label) or gop.coded:
                self._probed += min(len(gop.pts), 1 + MINI_GOP)
            if self._journal.has(key, gop.label) and not gop.coded:
                self._check(gop)
        if not gop.coded or not taken:
            return
        if new:
            while not self._coder.ready(0.2):
                self._collect()
                if self._interrupt.requested:
                    return
            self._open[key] = gop
            self._coder.begin(key, self._round.of(key))
        self._coder.add(key, [picture for _, picture in pictures], gop.closed)

    def _check(self, gop: _Gop) -> None:
        """Whether a GOP of the journal is the one that the source has there."""
        there = self._journal.read(gop.first, gop.label)
        n = self._frames_of(gop)
        earlier = self._journal.is_earlier(gop.first, gop.label)
        if (
            len(there.pts) != n
            or (there.pts, there.duration) != gop.times(n, self._step)
            or self._journal.source(gop.first, gop.label) != gop.source
        ):
            raise self._journal.other_frames(gop.first) if earlier else self._changed()
        if earlier:
            self._report.resumed += n
        self._report.add(n, self._journal.packet_size(gop.first, gop.label), there.sse)

    def _changed(self) -> InputError:
        return InputError("the source was changed while it was encoded", file=self._journal.output)

    def _frames_of(self, gop: _Gop) -> int:
        """Frames of a GOP that this round codes, as far as they have come."""
        return min(len(gop.pts), 1 + MINI_GOP) if self._round.probe else len(gop.pts)

    def _collect(self, timeout: float = 0.0) -> None:
        """Journal what is finished, and show how far the work is."""
        for key, result in self._coder.finished(timeout):
            gop = self._open.pop(key)
            if result.frames != self._frames_of(gop):
                raise RuntimeError(
                    f"{len(gop.pts)} pictures went into a GOP and {result.frames} were coded"
                )
            self._journal.add(key, gop.payload(result, self._step), gop.source, gop.label)
            if not self._labels:
                self._sse[key] = result.sse
            self._report.add(result.frames, self._journal.packet_size(key, gop.label), result.sse)
            self._write_stats(gop, result)
        if (
            self.complete
            or not self._round.probe
            and (self._journal.has(0, self._label(0, self._round)) or self._coder.coded(0))
        ):
            self._interrupt.worth = True
        self._show()

    def _show(self) -> None:
        """How far the work is."""
        report, pending = self._report, self._coder.pending
        if self._progress is None:
            return
        if self._round.probe:
            self._progress.update(self._gop.first + len(self._gop.pts))
        elif report.frames:
            self._progress.update(
                report.frames + pending,
                report.picture_bytes * (report.frames + pending) // report.frames,
                report.psnr[0],
            )
        else:
            self._progress.update(pending)

    def outcome(self, other: int) -> Outcome:
        """Of the round that was finished; ``other``: bytes of the file that are no pictures'."""
        from ..codec.gop_body import parse_body

        measures = {}
        for key, (frames, *_) in self._spans.items():
            label = self._label(key, self._round)
            if not self._journal.has(key, label):
                continue
            gop, size, coded = (
                self._journal.read(key, label),
                self._journal.packet_size(key, label),
                0,
            )
            if (coded := len(gop.pts)) == frames:
                measures[key] = Measure(frames, size, gop.sse)
            else:
                measures[key] = from_start(
                    frames,
                    coded,
                    size - sum(map(len, parse_body(gop.body, coded)[1][1:])),
                    size,
                    gop.sse,
                )
        _, _, last, duration = self._spans[max(self._spans)]
        ticks = last + duration - self._spans[0][1]
        return Outcome(
            {key: span[0] for key, span in self._spans.items()},
            measures,
            float(ticks * self._header.time_base),
            other,
        )

    def other_bytes(self, extras: Extras) -> int:
        """Bytes of the whole file but for the GOPs, at most: it is written as if, to nowhere, with bodies of about the right size."""
        report, rough = EncodeReport(), self._report.picture_bytes // max(1, self._report.frames)
        out = Output(Nowhere(), self._header, self._step, report, extras)  # type: ignore[arg-type]
        for frames, first, last, duration in self._spans.values():
            times = (
                first,
                *range(last - frames + 2, last + 1),
            )  # those between matter in the GOP only
            out.put(
                GopPayload(times, duration, 0, (0, 0, 0), bytes(rough * frames)), (0.0, 0.0, 0.0)
            )
        out.finish(True)
        return (
            report.bytes - report.picture_bytes + 4 * report.gops
        )  # numbers of the index may be a little longer

    @property
    def _header(self) -> StreamHeader:
        assert self._journal.header is not None
        return self._journal.header

    def _write_stats(self, gop: _Gop, result: Result) -> None:
        if self._stats is None:
            return
        self._rows[gop.first] = gop, result.stats
        while self._rows_at in self._rows:
            gop, rows = self._rows.pop(self._rows_at)
            for i, row in enumerate(rows):
                self._stats.write(
                    (
                        json.dumps(
                            {
                                "gop": self._rows_gop,
                                "pts": gop.pts[i] if i < len(gop.pts) else None,
                                "first": gop.first,
                            }
                            | row
                        )
                        + "\n"
                    ).encode()
                )
            self._rows_at += len(rows)  # behind a GOP that was cut short nothing follows
            self._rows_gop += 1

    def _version(self, key: int) -> Round:
        """The round whose GOP goes into the file: the one that was interrupted as far as it got, then the one before."""
        rounds = [self._round] if self._before is None else [self._round, self._before]
        return next((r for r in rounds if self._journal.has(key, self._label(key, r))), self._round)

    def write(self, file: BinaryIO, extras: Extras) -> None:
        """Write the finished GOPs, in order, as a .vqv file, and report on them. After an interrupt a GOP that is missing ends where it is; if that is whole, others follow."""
        versions = {key: self._version(key) for key in self._spans} or {0: self._round}
        frames = {key: self._spans[key][0] if key in self._spans else 1 for key in versions}
        self._report.crf = sum(n * versions[key].of(key) for key, n in frames.items()) / sum(
            frames.values()
        )
        labels = {key: self._label(key, version) for key, version in versions.items()}
        out = Output(
            file,
            replace(self._header, crf=round(self._report.crf)),
            self._step,
            self._report,
            extras,
        )
        while True:
            for gop in self._journal.gops(labels, out.frames):
                out.put(gop, self._sse.get(out.frames, gop.sse))
            last = self._open.get(out.frames)
            result = self._coder.cut(out.frames) if last else None
            if last is None or result is None:
                break
            self._write_stats(last, result)
            out.put(last.payload(result, self._step), result.sse)
        out.finish(self.complete)
