"""Makes a whole file of a damaged one: header and index anew, undamaged packets as they are, lost
frames named in the index."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..container.packets import IndexEntry
from ..container.reader import ContainerReader
from ..container.writer import ContainerWriter
from ..errors import DamageError, DamageLog
from ..options import Limits
from ..reading.checks import open_reader
from ..reading.gop_times import timed_gops
from ..system.stdio import check_source, check_target, target_file


@dataclass
class RepairReport:
    """What was saved. ``lost`` counts frames that the file is known to have had and that are in no
    undamaged packet, ``lost_packets`` damaged packets of other tracks, tags and attachments."""

    frames: int = 0
    gops: int = 0
    lost: int = 0
    lost_packets: int = 0
    bytes: int = 0
    complete: bool = True  # an index was found: no frames can be missing behind the last
    damage: DamageLog = field(default_factory=DamageLog)

    @property
    def ok(self) -> bool:
        """True when all that was in the damaged file is in the new one, as far as is known."""
        return self.complete and not self.lost and not self.lost_packets


def _undamaged(reader: ContainerReader, report: RepairReport) -> list[IndexEntry]:
    """The entries, those that can't be read with offset -1, each with the time of its first
    frame."""
    entries: list[IndexEntry] = []
    for gop in timed_gops(reader, report.damage):
        entry = gop.entry
        report.lost += entry.count if gop.lost else 0
        offset = -1 if gop.lost else entry.offset
        entries.append(IndexEntry(offset, entry.first_frame, entry.count, gop.pts[0]))
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
        report.lost_packets = reader.lost_extras
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
                    report.lost_packets += 1

        for entry in entries:
            if entry.offset < 0:
                writer.lost(entry.count, entry.first_pts or 0)
            else:
                copy_extras(entry.first_frame)
                writer.copy(reader.packet(entry.offset), entry.count, entry.first_pts or 0)
        if extras:
            copy_extras(extras[-1].first_frame)
        report.bytes = writer.finish()
    return report
