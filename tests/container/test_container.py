from __future__ import annotations

import io
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from support.clips import undamaged
from support.paths import ROOT
from support.tails import tail, with_tail

from vqcodec.container import packets as packets_module
from vqcodec.container import writer
from vqcodec.container.index import parse_index
from vqcodec.container.reader import ContainerReader
from vqcodec.errors import DamageError, InputError, LimitError, VqvError
from vqcodec.fields import crc32, u32

HEADER = packets_module.StreamHeader(
    16,
    9,
    Fraction(1, 1000),
    Fraction(25),
    Fraction(1),
    0,
    1,
    1,
    1,
    1,
    0,
    8,
    28,
    0x01020304,
    bytes(range(0xA0, 0xA8)),
)


def gops(n: int = 4, seed: int = 0) -> list[packets_module.GopPayload]:
    rng = np.random.default_rng(seed)
    result, t = [], -40
    for _ in range(n):
        frames = int(rng.integers(1, 9))
        pts = []
        for _ in range(frames):
            pts.append(t)
            t += int(rng.choice([40, 40, 41]))
        result.append(
            packets_module.GopPayload(
                tuple(pts),
                40,
                int(rng.integers(1 << 32)),
                (int(rng.integers(1 << 40)), 5, 0),
                rng.bytes(int(rng.integers(1, 60))),
            )
        )
    return result


def build(
    payloads: list[packets_module.GopPayload], header: packets_module.StreamHeader = HEADER
) -> tuple[bytes, list[int]]:
    f = io.BytesIO()
    w = writer.ContainerWriter(f, header)
    offsets = []
    for g in payloads:
        offsets.append(w.position)
        w.gop(g)
    offsets.append(w.position)
    assert w.finish() == len(f.getvalue())
    return f.getvalue(), offsets


def by_frame(payloads: list[packets_module.GopPayload]) -> dict[int, packets_module.GopPayload]:
    result, n = {}, 0
    for g in payloads:
        result[n] = g
        n += len(g.pts)
    return result


def test_round_trip() -> None:
    want = gops(20)
    data, _ = build(want)
    r = ContainerReader.open(io.BytesIO(data))
    assert r.complete
    assert not r.damaged
    assert r.header == HEADER
    assert [r.read_gop(i) for i in range(len(r.gops))] == want
    assert r.frames == sum(len(g.pts) for g in want)
    assert [e.first_pts for e in r.gops] == [g.pts[0] for g in want]


def test_empty_stream() -> None:
    data, _ = build([])
    r = ContainerReader.open(io.BytesIO(data))
    assert r.complete
    assert not r.gops
    assert r.frames == 0


@pytest.mark.parametrize(
    "change",
    [
        {"rate": None},
        {"sar": None},
        {"rotation": 270},
        {"width": 1, "height": 1},
        {"width": 16384, "height": 4096},
        {"bit_depth": 10},
    ],
)
def test_header_values(change: dict) -> None:
    header = packets_module.StreamHeader(**(HEADER.__dict__ | change))
    assert packets_module.StreamHeader.from_bytes(header.to_bytes()) == header


@pytest.mark.parametrize("change", [{"width": 16385}, {"width": 16384, "height": 16384}])
def test_header_limits(change: dict) -> None:
    with pytest.raises(LimitError):
        packets_module.StreamHeader(**(HEADER.__dict__ | change)).to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"crf": 64},
        {"rotation": 360},
        {"range": 3},
        {"bit_depth": 7},
        {"bit_depth": 17},
    ],
)
def test_header_damage(change: dict) -> None:
    with pytest.raises(DamageError):
        packets_module.StreamHeader(**(HEADER.__dict__ | change)).to_bytes()


def test_every_bit_flip_is_detected_and_contained() -> None:
    want = gops(3)
    data, offsets = build(want)
    expected = by_frame(want)
    firsts = list(expected)
    for bit in range(len(data) * 8):
        bad = bytearray(data)
        bad[bit // 8] ^= 1 << bit % 8
        try:
            r = ContainerReader.open(io.BytesIO(bytes(bad)))
        except InputError:
            assert 8 <= bit // 8 < 10  # version
            continue
        got = undamaged(bytes(bad))
        noticed = bool(r.damaged) or not r.complete or len(got) < len(want)
        assert noticed, f"bit {bit}"
        hit = {
            f for f, a, b in zip(firsts, offsets, offsets[1:], strict=False) if a <= bit // 8 < b
        }
        assert {f: g for f, g in expected.items() if f not in hit} == {
            f: g for f, g in got.items() if f not in hit
        }, f"bit {bit}"
        assert r.frames == sum(len(g.pts) for g in want), f"bit {bit}"


def test_truncation_at_every_byte() -> None:
    want = gops(4)
    data, offsets = build(want)
    expected = by_frame(want)
    for n in range(len(data)):
        whole = [f for f, end in zip(expected, offsets[1:], strict=True) if end <= n]
        try:
            r = ContainerReader.open(io.BytesIO(data[:n]))
        except VqvError:
            assert n < offsets[0]
            continue
        assert n >= offsets[0]
        assert not r.complete
        assert r.damaged
        assert undamaged(data[:n]) == {f: expected[f] for f in whole}
        assert r.frames == sum(len(expected[f].pts) for f in whole)


def test_splice_from_another_stream_is_noticed() -> None:
    want, other = gops(4, 0), gops(4, 0)
    data, o = build(want)
    alien, _ = build(other, packets_module.StreamHeader(**(HEADER.__dict__ | {"content_id": 7})))
    spliced = data[: o[1]] + alien[o[1] : o[2]] + data[o[2] :]
    r = ContainerReader.open(io.BytesIO(spliced))
    assert r.damaged
    assert r.complete
    expected = by_frame(want)
    del expected[list(expected)[1]]
    assert undamaged(spliced) == expected


def test_an_index_of_other_packets_costs_no_frame() -> None:
    """Of another stream, or of another encode of the same source, which has the same stream id: all
    frames once counted as lost."""
    want = gops(8)[:6]
    data, o = build(want)
    packets = data[: o[-1]]
    stranger = build(want, packets_module.StreamHeader(**(HEADER.__dict__ | {"content_id": 7})))[0]
    for other in (
        stranger,
        build(gops(6, 5))[0],
        build(want[:4])[0],
        build(want[2:])[0],
        build([])[0],
    ):
        for bad in (with_tail(packets, other), packets + tail(other), data + other):
            r = ContainerReader.open(io.BytesIO(bad))
            assert undamaged(bad) == by_frame(want)
            assert r.damaged
            assert r.frames == sum(len(g.pts) for g in want)
            assert not r.complete
            assert not r.indexed or bad.startswith(data)
    longer = build(gops(8))[0]  # which may be right: the last frames are lost
    r = ContainerReader.open(io.BytesIO(with_tail(packets, longer)))
    assert r.complete
    assert undamaged(with_tail(packets, longer)) == by_frame(want)
    assert r.frames == sum(len(g.pts) for g in gops(8))


def test_packets_of_another_structure_displace_none_that_the_index_names() -> None:
    """They have the stream id of the file, and the number of a frame where a GOP of it begins."""
    want, other = gops(6), gops(6, 5)
    data, o = build(want)
    alien, p = build(other)
    for i, (a, b) in enumerate(pairwise(p)):
        for at in o:
            bad = with_tail(data[:at] + alien[a:b] + data[at : o[-1]], data)
            r = ContainerReader.open(io.BytesIO(bad))
            assert r.damaged, (i, at)
            assert r.complete, (i, at)
            assert undamaged(bad) == by_frame(want), (i, at)


def test_insert_delete_duplicate_swap() -> None:
    want = gops(6)
    data, o = build(want)
    expected = by_frame(want)
    firsts = list(expected)
    parts = [data[a:b] for a, b in pairwise(o)]

    def joined(*order: bytes) -> bytes:
        return data[: o[0]] + b"".join(order) + data[o[-1] :]

    for changed, lost in (
        (joined(*parts[:2], b"junk" + packets_module.SYNC + b"junk", *parts[2:]), None),
        (joined(*parts[:2], *parts[3:]), 2),
        (joined(*parts[:3], parts[1], *parts[3:]), None),
        (joined(parts[0], parts[2], parts[1], *parts[3:]), None),
        (joined(parts[0], parts[1][:-5] + parts[1][-4:], *parts[2:]), 1),
    ):
        r = ContainerReader.open(io.BytesIO(changed))
        assert r.damaged
        assert undamaged(changed) == {
            f: g for i, (f, g) in enumerate(expected.items()) if i != lost
        }
        assert [e.first_frame for e in r.gops] == firsts


def test_lost_packet_without_index_leaves_a_gap_entry() -> None:
    want = gops(4)
    data, o = build(want)
    cut = data[: o[1]] + data[o[2] : o[4]]
    r = ContainerReader.open(io.BytesIO(cut))
    assert not r.complete
    assert [e.offset < 0 for e in r.gops] == [False, True, False, False]
    assert r.gops[1].count == len(want[1].pts)
    assert r.frames == sum(len(g.pts) for g in want)


def test_a_packet_longer_than_the_file_ends_no_search() -> None:
    """A head that claimed 64 MiB once used up what may be searched, and the GOPs behind it were not
    found."""
    want = gops(4)
    data, o = build(want)
    raw = packets_module.SYNC + b"\x01" + b"\x80\x80\x80\x20" + b"\x7f\x01"  # 64 MiB
    head = raw + u32(crc32(u32(crc32(HEADER.to_bytes())), raw))
    bad = data[: o[1]] + head + data[o[1] :]
    assert undamaged(bad) == by_frame(want)


def test_bytes_behind_the_end() -> None:
    want = gops(3)
    data, _ = build(want)
    r = ContainerReader.open(io.BytesIO(data + b"tail"))
    assert not r.complete
    assert r.damaged
    assert undamaged(data + b"tail") == by_frame(want)


def test_lost_file_header_is_read_from_its_copy() -> None:
    want = gops(3)
    data, _ = build(want)
    bad = bytes(40) + data[40:]
    r = ContainerReader.open(io.BytesIO(bad))
    assert r.header == HEADER
    assert r.damaged
    assert undamaged(bad) == by_frame(want)


@pytest.mark.parametrize(
    "data", [b"", b"V", b"hello world, this is text", b"\x89PNG\r\n\x1a\n" + bytes(50)]
)
def test_not_a_vqv(data: bytes) -> None:
    with pytest.raises(InputError):
        ContainerReader.open(io.BytesIO(data))


def test_what_cannot_be_read_is_named() -> None:
    class Broken(io.BytesIO):
        def read(self, n: int | None = -1, /) -> bytes:
            if self.tell() > 100:
                raise OSError(5, "Input/output error")
            return super().read(n)

    class Pipe(io.BytesIO):
        def seek(self, *args: int) -> int:
            raise io.UnsupportedOperation("seek")

    with pytest.raises(InputError, match="byte \\d+: cannot be read: Input/output error"):
        ContainerReader.open(Broken(build(gops(9))[0]))
    with pytest.raises(InputError, match="no regular file"):
        ContainerReader.open(Pipe())


def test_threads_that_read_one_file_get_what_they_ask_for() -> None:
    """As pictures that are decoded ahead, and tracks that are written beside them."""

    class Slow(io.BytesIO):
        def seek(self, *args: int) -> int:
            position = super().seek(*args)
            time.sleep(1e-4)  # another thread's turn
            return position

    want = gops(20)
    r = ContainerReader.open(Slow(build(want)[0]))
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(r.read_gop, [*range(20)] * 4)) == want * 4


def test_cut_within_the_file_header() -> None:
    for n in range(1, 47):
        with pytest.raises(DamageError):
            ContainerReader.open(io.BytesIO(build(gops(1))[0][:n]))


def test_other_version_is_named() -> None:
    data = bytearray(build(gops(1))[0])
    mine = packets_module.version_name()
    for version, draft, called in [(7, 0, "7"), (0, 1, "0, draft 1"), (0, 200, "0, draft 200")]:
        data[8:10] = bytes((version, draft))
        message = f"format version {called}; this program reads {mine}"
        with pytest.raises(InputError, match=message):
            ContainerReader.open(io.BytesIO(bytes(data)))


def with_packet(raw: bytes) -> bytes:
    data, o = build(gops(1))
    return data[: o[1]] + raw


def test_packet_types() -> None:
    sid = crc32(HEADER.to_bytes())
    with pytest.raises(InputError, match="unknown type 5"):
        ContainerReader.open(io.BytesIO(with_packet(packets_module.packet(5, sid, 0, 0, b""))))
    assert (
        len(
            ContainerReader.open(
                io.BytesIO(with_packet(packets_module.packet(0x85, sid, 0, 0, b"future")))
            ).gops
        )
        == 1
    )


def test_bombs() -> None:
    sid = crc32(HEADER.to_bytes())
    head = packets_module.PacketHeader(packets_module.GOP, 0, 0, 0)
    assert head.total == 4
    raw = packets_module.SYNC + b"\x01" + b"\xff\xff\xff\xff\x7f" + b"\x00\x01"
    with pytest.raises(LimitError):
        ContainerReader.open(io.BytesIO(with_packet(raw + u32(crc32(u32(sid), raw)))))
    for frames in (0, 129):
        r = ContainerReader.open(
            io.BytesIO(with_packet(packets_module.packet(packets_module.GOP, sid, 0, frames, b"x")))
        )
        assert r.damaged
        assert len(r.gops) == 1
    with pytest.raises(DamageError):
        parse_index(b"\x00" + b"\xff\xff\xff\xff\x0f")
    with pytest.raises(LimitError):
        packets_module.PacketHeader.build(packets_module.GOP, packets_module.MAX_PAYLOAD + 1, 0, 1)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00\x01\x00\x01\x00",
        b"\x00\x01\x01\x00\x00",
        b"\x00\x00\x00\x00\x00\x00\x00",
        b"\x00\x05\x01\x01",
    ],
)
def test_bad_gop_payloads(payload: bytes) -> None:
    with pytest.raises(DamageError):
        packets_module.GopPayload.from_bytes(payload, 2)


def test_random_changes_give_only_our_errors() -> None:
    rng = np.random.default_rng(1)
    data, _ = build(gops(5))
    for _ in range(500):
        bad = bytearray(data)
        for _ in range(int(rng.integers(1, 4))):
            a, n = int(rng.integers(len(bad))), int(rng.integers(0, 12))
            kind = rng.integers(3)
            if kind == 0:
                bad[a : a + n] = rng.bytes(n)
            elif kind == 1:
                del bad[a : a + n]
            else:
                bad[a:a] = rng.bytes(n)
        with suppress(VqvError):
            undamaged(bytes(bad))


def test_worked_example_of_the_documentation() -> None:
    text = (ROOT / "docs" / "format.md").read_text()
    block = re.search(r"```hex\n(.*?)```", text, re.S)
    assert block is not None
    data = bytes.fromhex("".join(re.split(r"   ", line)[0] for line in block[1].splitlines()))
    r = ContainerReader.open(io.BytesIO(data))
    assert r.complete
    assert not r.damaged
    assert r.header == HEADER
    first, second = (r.read_gop(i) for i in range(2))
    assert first == packets_module.GopPayload(
        (0, 40, 80, 125), 35, 0xCAFEF00D, (300, 20, 7), b"abc"
    )
    assert second == packets_module.GopPayload((160,), 40, 0x12345678, (90, 5, 2), b"de")
    assert build([first, second])[0] == data


def test_many_false_sync_words_are_scanned_in_linear_time() -> None:
    """4 MiB of sync words once took minutes: each was searched for in a megabyte read anew."""
    raw, offsets = build(gops(2))
    data = raw[: offsets[1]] + packets_module.SYNC * (1 << 18)
    begin = time.process_time()  # the machine may be busy
    reader = ContainerReader.open(io.BytesIO(data))
    assert time.process_time() - begin < 10
    assert len(reader.gops) == 1
    assert not reader.complete
