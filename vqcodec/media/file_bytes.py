"""The bytes of a file by their positions."""

from __future__ import annotations

from typing import BinaryIO, overload

CHUNK = 1 << 20  # bytes read together where all are looked at
WINDOW = 1 << 16  # elsewhere


class FileBytes:
    """The bytes of a file by their positions; zeros and empty slices behind its end, should it be
    cut meanwhile.

    A mapping into memory would count as memory of the process, with the length of the file, and end
    the process where the file is cut or cannot be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._at, self._window = 0, b""

    def _read(self, start: int, stop: int) -> bytes:
        if stop - start > WINDOW:
            self._file.seek(start)
            return self._file.read(stop - start)
        if not self._at <= start <= stop <= self._at + len(self._window):
            self._file.seek(start)
            self._at, self._window = start, self._file.read(WINDOW)
        return self._window[start - self._at : stop - self._at]

    @overload
    def __getitem__(self, key: int) -> int: ...
    @overload
    def __getitem__(self, key: slice) -> bytes: ...
    def __getitem__(self, key: int | slice) -> int | bytes:
        if isinstance(key, slice):
            return self._read(key.start, key.stop)
        return int.from_bytes(self._read(key, key + 1), "big")

    def find(self, word: bytes, start: int, end: int) -> int:
        """Position of the next such word that lies within ``start`` to ``end``, or -1."""
        for at in range(start, end, CHUNK):
            found = self._read(at, min(end, at + CHUNK + len(word) - 1)).find(word)
            if found >= 0:
                return at + found
        return -1
