"""The journal of an encode: its finished GOPs in a hidden file beside the output, from which a killed encode goes on.

A journal is the file header and GOP packets of the container in the order in which they were finished. The output is put together
from it at the end. An encode with a target codes GOPs several times: before each packet stands one with a label that says which of them it is.
Its name, ``.OUT.SOURCE-OPTIONS-MODEL.part``, holds checksums of what the bytes depend on, so that an encode goes on from
nothing but its own work. While a process writes a journal it holds a lock on it, which a kill releases.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from .bits import crc32, u32
from .container import FILE_PREFIX, GOP, MAGIC, MAX_HEADER, PACKET_HEADER_MAX, GopPayload, PacketHeader, StreamHeader, file_header, packet
from .errors import DamageError, OutputError, UsageError, VqvError
from .files import check_input, guarded, output_folder, output_target

_LABEL = 0xFF  # type of the packet before a GOP that has a label
_SAMPLES, _SAMPLE = 64, 1 << 16
_PARTS = ("source", "options", "model")
_TAG = re.compile(r"\.([0-9a-f]{8})-([0-9a-f]{8})-([0-9a-f]{8})\.part")
_LONGEST_NAME = 200  # bytes of the output's name, so that the journal's name fits into 255


def _digest(*parts: bytes) -> str:
    h = hashlib.sha256()
    for part in parts:
        h.update(len(part).to_bytes(8, "little") + part)
    return h.hexdigest()[:8]


def source_digest(path: str) -> str:
    """Of size, time of change, and 64 samples of 64 KiB of a file; of chance for a pipe, which nothing can go on with."""
    with check_input(path).open("rb") as f:
        info = os.fstat(f.fileno())
        if not stat.S_ISREG(info.st_mode):
            return secrets.token_hex(4)
        parts = [f"{info.st_size} {info.st_mtime_ns}".encode()]
        for i in range(_SAMPLES):
            f.seek(max(0, info.st_size - _SAMPLE) * i // (_SAMPLES - 1))
            parts.append(f.read(_SAMPLE))
    return _digest(*parts)


def tag(source: str, options: Sequence[object], model: Sequence[str]) -> str:
    """What the bytes of an encode depend on: the source file, its options, and the model with its encoder."""
    return "-".join((source_digest(source), _digest(*(repr(o).encode() for o in options)), _digest(*(m.encode() for m in model))))


def _prefix(target: Path) -> str:
    name = target.name
    return "." + (name if len(os.fsencode(name)) <= _LONGEST_NAME else _digest(os.fsencode(name)))


def journals(output: str | os.PathLike[str]) -> dict[str, Path]:
    """Journals that lie beside an output, by tag."""
    target = output_target(output)
    prefix = _prefix(target)
    found = {}
    folder = output_folder(output)
    for name in os.listdir(folder):
        if name.startswith(prefix) and (match := _TAG.fullmatch(name[len(prefix) :])):
            found["-".join(match.groups())] = folder / name
    return found


def _lock(file: BinaryIO) -> bool:
    """False if another process holds the lock of this very file."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        pass
    return True


def _packets(file: BinaryIO, start: int, stream_id: int) -> Iterator[tuple[int, PacketHeader, str]]:
    """Offset, head and label of the sound GOP packets one behind the other from ``start`` on."""
    label = ""
    while True:
        file.seek(start)
        try:
            head = PacketHeader.parse(file.read(PACKET_HEADER_MAX), stream_id, start)
            file.seek(start + head.size)
            data = file.read(head.length + 4)
            if head.type not in (GOP, _LABEL) or len(data) != head.length + 4 or crc32(u32(stream_id), head.raw, data[:-4]) != int.from_bytes(data[-4:], "little"):
                return
        except VqvError:
            return
        if head.type == GOP:
            yield start, head, label
        label = "" if head.type == GOP else data[:-4].decode(errors="replace")
        start += head.total


def holds_work(path: Path) -> bool:
    """Whether a journal, of whatever encode, has a finished GOP."""
    with path.open("rb") as f:
        prefix = f.read(FILE_PREFIX)
        length = int.from_bytes(prefix[-4:], "little")
        if prefix[:8] != MAGIC or len(prefix) != FILE_PREFIX or length > MAX_HEADER:
            return False
        return next(_packets(f, FILE_PREFIX + length + 4, crc32(f.read(length))), None) is not None


class Journal:
    """Finished GOPs of one encode, each known by the number of its first frame and its label. Made by :func:`open_journal`."""

    def __init__(self, file: BinaryIO, path: Path, output: str) -> None:
        self._file, self.output = guarded(file, output), output
        self.temporary = _temporary(path)  # name for what is put together from the journal, until it is complete
        self._packets: dict[tuple[int, str], tuple[int, PacketHeader]] = {}
        self._earlier = 0  # end of what an earlier encode left
        self._end = self._stream_id = 0
        self.header: StreamHeader | None = None
        self.keep = False  # whether the file stays when the encode ends before its time

    def begin(self, header: StreamHeader) -> None:
        """Say which stream is coded: sound GOPs of it that the file holds already are taken over, all else is cut off."""
        raw = header.to_bytes()
        head = file_header(raw)
        self.header, self._stream_id = header, crc32(raw)
        self._file.seek(0)
        if self._file.read(len(head)) == head:
            self._end = len(head)
            for offset, found, label in _packets(self._file, len(head), self._stream_id):
                self._packets[found.first_frame, label] = offset, found
                self._end = self._earlier = offset + found.total
        self._file.truncate(self._end)
        self._file.seek(self._end)
        if not self._end:
            self._append(head)

    def _append(self, data: bytes) -> None:
        self._file.write(data)
        self._file.flush()
        self._end += len(data)

    def has(self, first_frame: int, label: str = "") -> bool:
        """Whether the GOP is finished."""
        return (first_frame, label) in self._packets

    def is_earlier(self, first_frame: int, label: str = "") -> bool:
        """Whether it was finished by the encode that is gone on with."""
        return self.has(first_frame, label) and self._packets[first_frame, label][0] < self._earlier

    def __len__(self) -> int:
        return len(self._packets)

    def add(self, first_frame: int, gop: GopPayload, label: str = "") -> None:
        """Append a GOP; GOPs may come in any order."""
        before = packet(_LABEL, self._stream_id, first_frame, 0, label.encode()) if label else b""
        data = packet(GOP, self._stream_id, first_frame, len(gop.pts), gop.to_bytes())
        self._packets[first_frame, label] = self._end + len(before), PacketHeader.parse(data[:PACKET_HEADER_MAX], self._stream_id)
        self._append(before + data)

    def packet_size(self, first_frame: int, label: str = "") -> int:
        """Bytes that the GOP has in a file."""
        return self._packets[first_frame, label][1].total

    def read(self, first_frame: int, label: str = "") -> GopPayload:
        """The GOP that begins with this frame."""
        offset, head = self._packets[first_frame, label]
        self._file.seek(offset + head.size)
        data = self._file.read(head.length + 4)
        self._file.seek(self._end)
        if crc32(u32(self._stream_id), head.raw, data[:-4]) != int.from_bytes(data[-4:], "little"):
            raise DamageError(f"{self.output}: its unfinished file was changed or damaged at byte {offset}")
        return GopPayload.from_bytes(data[:-4], head.frames, offset + head.size)

    def gops(self, labels: Mapping[int, str]) -> Iterator[GopPayload]:
        """GOPs from frame 0 on in the order of display, those with the ``labels`` (by first frame, else none), up to the first that isn't there."""
        frame = 0
        while self.has(frame, label := labels.get(frame, "")):
            gop = self.read(frame, label)
            yield gop
            frame += len(gop.pts)


def _temporary(path: Path) -> Path:
    return path.with_suffix(".out")


def _discard(path: Path) -> None:
    for p in (_temporary(path), path):  # the journal last: while it is there, the other one is found
        with suppress(OSError):
            p.unlink()


def _others(output: str, mine: str, resume: bool, overwrite: bool) -> None:
    """See to what earlier encodes left beside the output: OutputError where it is worth something or still being written."""
    there = journals(output)
    for found, path in there.items():
        with suppress(FileNotFoundError), path.open("r+b") as file:
            if not _lock(file):
                raise OutputError(f"{output}: another process is encoding to it: wait for it, or choose another name")
            if resume and mine in there:
                continue
            if holds_work(path) and not overwrite:
                if not resume:
                    raise OutputError(f"{output}: an earlier encode of it was cut off: --resume goes on with that one, -y begins anew")
                other = [name for name, a, b in zip(_PARTS, found.split("-"), mine.split("-"), strict=True) if a != b]
                raise UsageError(f"{output}: the encode that was cut off has another {' and other '.join(other)}: it cannot be gone on with; -y begins anew")
            _discard(path)


@contextmanager
def open_journal(output: str, mine: str, *, resume: bool = False, overwrite: bool = False) -> Iterator[Journal]:
    """The journal of an encode to ``output`` whose :func:`tag` is ``mine``; it is deleted at the end unless ``keep`` is set and it holds work.

    With ``resume`` an earlier one is gone on with. Without it, or where one is of another encode, OutputError or UsageError say so, unless ``overwrite``
    throws it away. OutputError too while another process encodes to the same output.
    """
    path = output_folder(output) / f"{_prefix(output_target(output))}.{mine}.part"
    try:
        _others(output, mine, resume, overwrite)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        file = os.fdopen(fd, "r+b")
    except OSError as exc:
        raise OutputError(f"{output}: cannot be written: {exc.strerror or exc}") from exc
    with file:
        try:
            same = os.path.samestat(os.fstat(fd), os.stat(path))
        except OSError:
            same = False
        if not _lock(file) or not same:
            raise OutputError(f"{output}: another process is encoding to it: wait for it, or choose another name")
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
