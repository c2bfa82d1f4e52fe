from __future__ import annotations

from collections.abc import Callable

import pytest

from vqcodec.errors import DamageError
from vqcodec.fields import Reader, Writer, crc32

EDGES = [0, 1, 127, 128, 16383, 16384, (1 << 32) - 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


def test_round_trip() -> None:
    w = Writer().u8(255).u16(65535).u32(0xDEADBEEF).u64((1 << 64) - 1).raw(b"xyz")
    r = Reader(w.getvalue())
    assert (r.u8(), r.u16(), r.u32(), r.u64(), bytes(r.take(3))) == (
        255,
        65535,
        0xDEADBEEF,
        (1 << 64) - 1,
        b"xyz",
    )
    r.done()


@pytest.mark.parametrize("value", EDGES)
def test_varint(value: int) -> None:
    data = Writer().varint(value).getvalue()
    assert Reader(data).varint() == value
    for cut in range(len(data)):
        with pytest.raises(DamageError):
            Reader(data[:cut]).varint()


@pytest.mark.parametrize("value", [0, -1, 1, 63, -64, 64, -65, (1 << 63) - 1, -(1 << 63)])
def test_svarint(value: int) -> None:
    data = Writer().svarint(value).getvalue()
    assert Reader(data).svarint() == value
    assert len(data) == 1 or abs(value) >= 64


@pytest.mark.parametrize("data", [b"\x80" * 11, b"\x80\x00", b"\xff" * 9 + b"\x02", b"\x80" * 9])
def test_bad_varints(data: bytes) -> None:
    with pytest.raises(DamageError):
        Reader(data).varint()


def test_bounds_and_positions() -> None:
    r = Reader(b"abc", "thing", base=100)
    assert bytes(r.take(2)) == b"ab"
    assert r.remaining == 1
    assert r.position == 2
    with pytest.raises(DamageError, match="thing at byte 102: 4 bytes needed, 1 left"):
        r.u32()
    with pytest.raises(DamageError, match="1 bytes too many"):
        r.done()
    with pytest.raises(DamageError):
        r.take(-1)
    with pytest.raises(DamageError, match="above 3"):
        Reader(b"\x04").varint(3)


@pytest.mark.parametrize(
    "call",
    [
        lambda w: w.u8(256),
        lambda w: w.u8(-1),
        lambda w: w.varint(-1),
        lambda w: w.varint(1 << 64),
        lambda w: w.svarint(1 << 63),
    ],
)
def test_writer_refuses(call: Callable[[Writer], object]) -> None:
    with pytest.raises(ValueError):
        call(Writer())


def test_crc() -> None:
    assert crc32(b"123456789") == 0xCBF43926 == crc32(b"1234", b"", b"56789")
