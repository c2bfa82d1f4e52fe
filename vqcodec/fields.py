"""Bounded reader and writer of little-endian integers, varints and byte strings, and the CRC-32 of
the format.

A varint is an unsigned LEB128 number below 2^64 in its shortest form (at most 10 bytes); a svarint
is a signed number from -2^63 to 2^63 - 1 in zigzag order (0, -1, 1, -2, ...) written as a varint.
"""

from __future__ import annotations

import zlib

from .errors import DamageError

MAX_VARINT_BYTES = 10
_U64 = 1 << 64


def crc32(*parts: bytes | bytearray | memoryview) -> int:
    """CRC-32 (IEEE 802.3, as in zlib and PNG) of the parts one after the other."""
    value = 0
    for part in parts:
        value = zlib.crc32(part, value)
    return value


def u32(value: int) -> bytes:
    """Four little-endian bytes."""
    return value.to_bytes(4, "little")


class Reader:
    """Reads forward through bytes and never beyond them.

    Every failure is a :class:`DamageError` that names ``what`` is read and the position (``base``
    is added to it, so that positions can be those of the whole file).
    """

    def __init__(
        self, data: bytes | bytearray | memoryview, what: str = "data", base: int = 0
    ) -> None:
        self._data = memoryview(data).cast("B")
        self._pos = 0
        self.what = what
        self.base = base

    @property
    def position(self) -> int:
        """Bytes read so far."""
        return self._pos

    @property
    def remaining(self) -> int:
        """Bytes left."""
        return len(self._data) - self._pos

    def error(self, text: str) -> DamageError:
        """A DamageError with subject and position, for the caller to raise."""
        return DamageError(text, part=self.what, byte=self.base + self._pos)

    def take(self, count: int) -> memoryview:
        """The next ``count`` bytes, without a copy."""
        if count < 0 or count > self.remaining:
            raise self.error(f"{count} bytes needed, {self.remaining} left")
        self._pos += count
        return self._data[self._pos - count : self._pos]

    def _uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def u8(self) -> int:
        """One byte as an unsigned number."""
        try:
            value = self._data[self._pos]  # most fields have one: no slice is made of it
        except IndexError:
            raise self.error("1 bytes needed, 0 left") from None
        self._pos += 1
        return value

    def u16(self) -> int:
        """Two bytes as an unsigned number."""
        return self._uint(2)

    def u32(self) -> int:
        """Four bytes as an unsigned number."""
        return self._uint(4)

    def u64(self) -> int:
        """Eight bytes as an unsigned number."""
        return self._uint(8)

    def varint(self, maximum: int = _U64 - 1) -> int:
        """An unsigned LEB128 number of at most ``maximum``; longer forms than needed are damage."""
        value = 0
        for i in range(MAX_VARINT_BYTES):
            byte = self.u8()
            value |= (byte & 0x7F) << (7 * i)
            if byte < 0x80:
                if i and not byte:
                    raise self.error("number longer than needed")
                if value > maximum:
                    raise self.error(f"number {value} above {maximum}")
                return value
        raise self.error("number without an end")

    def svarint(self) -> int:
        """A signed number in zigzag order."""
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def done(self) -> None:
        """Raise DamageError when bytes are left."""
        if self.remaining:
            raise self.error(f"{self.remaining} bytes too many")


class Writer:
    """Collects bytes; counterpart of :class:`Reader`. Values out of range raise ValueError (a fault
    of the caller).
    """

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def getvalue(self) -> bytes:
        """All bytes written yet."""
        return bytes(self._data)

    def raw(self, data: bytes | bytearray | memoryview) -> Writer:
        """Append bytes as they are."""
        self._data += data
        return self

    def _uint(self, value: int, size: int) -> Writer:
        if not 0 <= value < 1 << (8 * size):
            raise ValueError(f"{value} doesn't fit in {size} bytes")
        return self.raw(value.to_bytes(size, "little"))

    def u8(self, value: int) -> Writer:
        """Append one byte."""
        return self._uint(value, 1)

    def u16(self, value: int) -> Writer:
        """Append an unsigned number as two bytes."""
        return self._uint(value, 2)

    def u32(self, value: int) -> Writer:
        """Append an unsigned number as four bytes."""
        return self._uint(value, 4)

    def u64(self, value: int) -> Writer:
        """Append an unsigned number as eight bytes."""
        return self._uint(value, 8)

    def varint(self, value: int) -> Writer:
        """Append an unsigned LEB128 number below 2^64, in its shortest form."""
        if not 0 <= value < _U64:
            raise ValueError(f"{value} doesn't fit in a varint")
        while value >= 0x80:
            self._data.append(value & 0x7F | 0x80)
            value >>= 7
        self._data.append(value)
        return self

    def svarint(self, value: int) -> Writer:
        """Append a signed number of 64 bits in zigzag order, as a varint."""
        if not -(1 << 63) <= value < 1 << 63:
            raise ValueError(f"{value} doesn't fit in a signed varint")
        return self.varint(value << 1 if value >= 0 else (-value << 1) - 1)
