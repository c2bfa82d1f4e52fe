"""Makes a whole file of a damaged one: header and index anew, undamaged packets as they are, lost
frames named in the index."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..container.packets import IndexEntry
from ..container.reader import ContainerReader
from ..container.writer import ContainerWriter
from ..errors import DamageError, DamageLog, LimitError
from ..options import Limits
from ..reading.lost_frames import lost_gop_times
from ..reading.opening import open_reader
from ..reading.sequence import frame_step
from ..system.stdio import check_source, check_target, target_file


@dataclass
class RepairReport:
    """What was saved. ``lost`` counts frames that the file is known to have had and that are in no
    undamaged packet."""

    frames: int = 0
    gops: int = 0
    lost: int = 0
    bytes: int = 0
    complete: bool = True  # an index was found: no frames can be missing behind the last
    damage: DamageLog = field(default_factory=DamageLog)

    @property
    def ok(self) -> bool:
        """True when every frame of the damaged file is in the new one."""
        return self.complete and not self.lost


def _undamaged(reader: ContainerReader, report: RepairReport) -> list[IndexEntry]:
    """The entries, those that can't be read with offset -1, each with the time of its first
    frame."""
    entries: list[IndexEntry] = []
    lost: list[IndexEntry] = []
    last: int | None = None
    step = frame_step(reader)

    def fill(pts: int | None) -> None:
        """Times of lost entries, now that the time behind them is known; the decoder chooses the
        same."""
        nonlocal last
        behind: list[tuple[int, int | None]] = (
            [(lost[-1].first_frame + lost[-1].count, pts)] if lost else []
        )
        for e in reversed(lost[1:]):
            behind.append((e.first_frame, e.first_pts) if e.first_pts is not None else behind[-1])
        following: int | None = None
        for e, (number, before) in zip(lost, reversed(behind), strict=True):
            start = following if e.first_pts is None else e.first_pts
            times, following = lost_gop_times(
                e.count, start, last, before, step, number - e.first_frame
            )
            entries.append(IndexEntry(-1, e.first_frame, e.count, times[0]))
            last = times[-1]
        lost.clear()

    for i, e in enumerate(reader.gops):
        try:
            gop = reader.read_gop(i, last)
            fill(gop.pts[0])
            if last is not None and gop.pts[0] <= last:
                raise DamageError(
                    f"time {gop.pts[0]} after {last}",
                    part="packet",
                    byte=e.offset,
                    frames=e.frames,
                )
        except DamageError as exc:
            report.damage.note(exc)
            report.lost += e.count
            if report.lost > reader.limits.concealed:  # before a list of as many times is made
                raise LimitError(
                    f"{report.lost} frames are lost, over the limit of {reader.limits.concealed}",
                    option="concealed",
                ) from exc
            lost.append(IndexEntry(-1, e.first_frame, e.count, e.first_pts))
            continue
        entries.append(IndexEntry(e.offset, e.first_frame, e.count, gop.pts[0]))
        last = gop.pts[-1]
    fill(None)
    return entries


def repair(
    src: str, dst: str, *, overwrite: bool = False, limits: Limits | None = None
) -> RepairReport:
    """Write what is undamaged in ``src`` to a new file: the same packets, a new header, index and
    trailer.

    Frames keep their numbers and times; lost ones have entries in the index that name no packet.
    Nothing is decoded. Raises UsageError, InputError, OutputError, LimitError, and DamageError
    where no header or no GOP can be saved.
    """
    check_source(src)
    check_target(dst, [src], overwrite)
    report = RepairReport()
    with ExitStack() as stack:
        reader = open_reader(stack, src, limits)
        report.complete = reader.indexed
        report.damage.extend(reader.damaged)
        entries = _undamaged(reader, report)
        report.frames = reader.frames
        report.gops = sum(e.offset >= 0 for e in entries)
        if not report.gops and report.damage:
            raise DamageError(f"no GOP could be saved: {report.damage[0]}", file=src)
        writer = ContainerWriter(
            stack.enter_context(target_file(dst, overwrite)), reader.raw_header
        )
        # tracks lie before the GOP in whose time they begin: GOPs that were exchanged take theirs
        # along
        extras = deque(sorted(reader.extras, key=lambda extra: extra.first_frame))

        def copy_extras(until: int) -> None:
            while extras and extras[0].first_frame <= until:
                try:
                    writer.copy(reader.packet(extras.popleft().offset))
                except DamageError as exc:
                    report.damage.note(exc)

        for e in entries:
            if e.offset < 0:
                writer.lost(e.count, e.first_pts or 0)
            else:
                copy_extras(e.first_frame)
                writer.copy(reader.packet(e.offset), e.count, e.first_pts or 0)
        if extras:
            copy_extras(extras[-1].first_frame)
        report.bytes = writer.finish()
    return report
