"""The journal of an encode: its finished GOPs in a hidden file beside the output, from which a
killed encode goes on.

A journal is the file header and GOP packets of the container in the order in which they were
finished. The output is put together from it at the end. Behind each stands a packet with a checksum
of the pictures that the GOP was coded from, so that it is used for no others, and with a label: an
encode with a target codes GOPs several times, and it says which of them this is. Its name says
which encode it is of (:mod:`.journal_name`). While a process writes a journal it holds a lock on
it, which a kill releases.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ..container.packet_file import PacketFile
from ..container.packets import (
    FILE_PREFIX,
    GOP,
    MAGIC,
    MAX_HEADER,
    PACKET_HEADER_MAX,
    GopPayload,
    PacketHeader,
    StreamHeader,
    file_header,
    packet,
)
from ..errors import DamageError, OutputError, UsageError, VqvError
from ..fields import Reader, crc32, u32
from ..system.files import guarded
from .journal_name import arithmetic, differences, journal_path, journals

_NOTE = 0xFF  # type of the packet behind a GOP: u32 checksum of its source, then its label


def _lock(file: BinaryIO) -> bool:
    """False if another process holds the lock of this very file."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


class _Stored(NamedTuple):
    """A GOP of a journal: where its packet lies, checksum of its pictures, label, and where what
    belongs to it ends."""

    offset: int
    head: PacketHeader
    source: int
    label: str
    end: int


def _packet(packets: PacketFile, start: int, type_: int) -> tuple[PacketHeader, memoryview] | None:
    """Head and payload of the packet at ``start``; None unless it is undamaged and of that type."""
    try:
        head = packets.head(start)
        return (head, packets.payload(head, start)) if head.type == type_ else None
    except VqvError:
        return None


def _stored(packets: PacketFile, start: int) -> Iterator[_Stored]:
    """The undamaged GOPs one behind the other from ``start`` on."""
    while (gop := _packet(packets, start, GOP)) and (
        note := _packet(packets, start + gop[0].total, _NOTE)
    ):
        end = start + gop[0].total + note[0].total
        reader = Reader(note[1], "note")
        if len(note[1]) < 4:
            return
        yield _Stored(
            start,
            gop[0],
            reader.u32(),
            bytes(reader.take(reader.remaining)).decode(errors="replace"),
            end,
        )
        start = end


def holds_work(path: Path) -> bool:
    """Whether a journal, of whatever encode, has a finished GOP."""
    with path.open("rb") as file:
        prefix = file.read(FILE_PREFIX)
        length = int.from_bytes(prefix[-4:], "little")
        if prefix[:8] != MAGIC or len(prefix) != FILE_PREFIX or length > MAX_HEADER:
            return False
        packets = PacketFile.open(file, stream_id=crc32(file.read(length)))
        return next(_stored(packets, FILE_PREFIX + length + 4), None) is not None


class Journal:
    """Finished GOPs of one encode, each known by the number of its first frame and its label. Made
    by :func:`open_journal`."""

    def __init__(self, file: BinaryIO, path: Path, output: str) -> None:
        self._file, self.output = guarded(file, output), output
        # name for what is put together from the journal, until it is complete
        self.temporary = _temporary(path)
        self._path = path
        self._gops: dict[tuple[int, str], _Stored] = {}
        self._earlier = 0  # end of what an earlier encode left
        self._end = self._stream_id = 0
        self.header: StreamHeader | None = None
        self.keep = False  # whether the file stays when the encode ends before its time

    def begin(self, header: StreamHeader) -> None:
        """Say which stream is coded: its undamaged GOPs that the file has already are taken over,
        all else is cut off. UsageError where they are of another stream."""
        raw = header.to_bytes()
        head = file_header(raw)
        self._file.seek(0)
        there = self._file.read(len(head))
        if there != head and holds_work(self._path):
            raise self.other_frames(0)
        self.header, self._stream_id = header, crc32(raw)
        if there == head:
            self._end = len(head)
            packets = PacketFile.open(self._file, stream_id=self._stream_id)
            for gop in _stored(packets, len(head)):
                self._gops[gop.head.first_frame, gop.label] = gop
                self._end = self._earlier = gop.end
        self._file.truncate(self._end)
        self._file.seek(self._end)
        if not self._end:
            self._append(head)

    def other_frames(self, first_frame: int) -> UsageError:
        """What to raise where the source has other frames from this one on than the GOPs here were
        coded from."""
        return UsageError(
            f"the encode that was cut off has other frames from {first_frame} on than the "
            "source: it cannot be continued",
            file=self.output,
            advice="`overwrite=True` without `resume` begins again",
        )

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        self._end += len(data)

    def has(self, first_frame: int, label: str = "") -> bool:
        """Whether the GOP is finished."""
        return (first_frame, label) in self._gops

    def is_earlier(self, first_frame: int, label: str = "") -> bool:
        """Whether it was finished by the encode that is gone on with."""
        return (
            self.has(first_frame, label) and self._gops[first_frame, label].offset < self._earlier
        )

    def __len__(self) -> int:
        return len(self._gops)

    def add(self, first_frame: int, gop: GopPayload, source: int, label: str = "") -> None:
        """Append a GOP coded from pictures of the checksum ``source``; GOPs may come in any
        order."""
        data = packet(GOP, self._stream_id, first_frame, len(gop.pts), gop.to_bytes())
        head = PacketHeader.parse(data[:PACKET_HEADER_MAX], self._stream_id)
        data += packet(_NOTE, self._stream_id, first_frame, 0, u32(source) + label.encode())
        self._gops[first_frame, label] = _Stored(
            self._end, head, source, label, self._end + len(data)
        )
        self._append(data)

    def source(self, first_frame: int, label: str = "") -> int:
        """Checksum of the pictures that the GOP was coded from."""
        return self._gops[first_frame, label].source

    def packet_size(self, first_frame: int, label: str = "") -> int:
        """Bytes that the GOP has in a file."""
        return self._gops[first_frame, label].head.total

    def read(self, first_frame: int, label: str = "") -> GopPayload:
        """The GOP that begins with this frame."""
        offset, head, *_ = self._gops[first_frame, label]
        try:
            payload = PacketFile(self._file, self._end, stream_id=self._stream_id).payload(
                head, offset
            )
        except DamageError as exc:
            raise DamageError(
                f"its unfinished file was changed or damaged at byte {offset}", file=self.output
            ) from exc
        finally:
            self._file.seek(self._end)
        return GopPayload.from_bytes(payload, head.frames, offset + head.size)

    def gops(self, labels: Mapping[int, str], frame: int = 0) -> Iterator[GopPayload]:
        """GOPs from a frame on in the order of display, those with the ``labels`` (by first frame,
        else none), up to the first that isn't there."""
        while self.has(frame, label := labels.get(frame, "")):
            gop = self.read(frame, label)
            yield gop
            frame += len(gop.pts)


def _temporary(path: Path) -> Path:
    return path.with_suffix(".out")


def _discard(path: Path) -> None:
    # the journal last: while it is there, the other one is found
    for file in (_temporary(path), path):
        with suppress(OSError):
            file.unlink()


def _busy(output: str) -> OutputError:
    return OutputError(
        "another process is encoding to it: wait for it, or choose another name", file=output
    )


def _worth_keeping(output: str, theirs: str, mine: str, resume: bool) -> VqvError:
    """What to raise where an earlier encode has left work beside the output."""
    if not resume:
        return OutputError(
            "an earlier encode of it was cut off",
            file=output,
            advice="`resume=True` continues that one, `overwrite=True` begins again",
        )
    other = differences(theirs, mine)
    if other == ["arithmetic"]:  # of a processor that is fast at something else
        return UsageError(
            "the encode that was cut off was made with another arithmetic",
            file=output,
            advice=f"`arithmetic={arithmetic(theirs)}` continues it, `overwrite=True` begins again",
        )
    words = {"source": "of another source", "options": "with other options"}
    made = " and ".join(words.get(name, f"with another {name}") for name in other)
    return UsageError(
        f"the encode that was cut off was made {made}: it cannot be continued",
        file=output,
        advice="`overwrite=True` begins again",
    )


def _others(output: str, mine: str, resume: bool, overwrite: bool) -> None:
    """See to what earlier encodes left beside the output: OutputError where it is worth something
    or still being written."""
    there = journals(output)
    for theirs, path in there.items():
        with suppress(FileNotFoundError), path.open("r+b") as file:
            if not _lock(file):
                raise _busy(output)
            if resume and mine in there:
                continue
            if holds_work(path) and not overwrite:
                raise _worth_keeping(output, theirs, mine, resume)
            _discard(path)


@contextmanager
def open_journal(
    output: str, mine: str, *, resume: bool = False, overwrite: bool = False
) -> Iterator[Journal]:
    """The journal of an encode to ``output`` whose tag is ``mine``: see :func:`.journal_name.tag`.
    It is deleted at the end unless ``keep`` is set and it holds work.

    With ``resume`` an earlier one is gone on with. Without it, or where one is of another encode,
    OutputError or UsageError say so, unless ``overwrite`` throws it away. OutputError too while
    another process encodes to the same output.
    """
    path = journal_path(output, mine)
    try:
        _others(output, mine, resume, overwrite)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        file = os.fdopen(fd, "r+b")
    except OSError as exc:
        raise OutputError(f"cannot be written: {exc.strerror or exc}", file=output) from exc
    with file:
        try:
            same = os.path.samestat(os.fstat(fd), path.stat())
        except OSError:
            same = False
        if not _lock(file) or not same:
            raise _busy(output)
        journal = Journal(file, path, output)
        try:
            yield journal
        finally:
            # a run that ended before it began its stream leaves the journal as it found it
            if not journal.keep or not (len(journal) if journal.header else holds_work(path)):
                _discard(path)
            # what a failed write left in the buffer must not fail once more
            with suppress(OSError):
                file.close()
