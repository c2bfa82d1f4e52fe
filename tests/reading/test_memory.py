"""What reading takes: measured in processes of their own, because the peak of a process never
sinks."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from support.peak_memory import peak

from vqcodec.cli import main
from vqcodec.codec.decoder_memory import decoder_memory
from vqcodec.codec.gop_structure import LEVELS
from vqcodec.codec.weights import read_model_id
from vqcodec.container import packets, writer
from vqcodec.container.index import index_payload
from vqcodec.container.reader import ContainerReader
from vqcodec.errors import LimitError, VqvError
from vqcodec.fields import Writer, crc32, u32
from vqcodec.options import Limits


def coded(path: Path, width: int, height: int, frames: int) -> Path:
    """A file of one GOP whose streams are empty: they are decoded as any others, with zeros for
    bits."""
    with path.open("wb") as f:
        w = writer.ContainerWriter(
            f, packets.StreamHeader(width, height, Fraction(1, 25), model_id=read_model_id())
        )
        w.gop(packets.GopPayload(tuple(range(frames)), 1, 0, (0, 0, 0), bytes(LEVELS + 1 + frames)))
        w.finish()
    return path


@pytest.mark.parametrize(
    ("width", "height", "batch", "threads"),
    [
        (640, 360, 2, 1),
        (640, 360, 2, 2),
        *(
            pytest.param(*given, marks=pytest.mark.slow)
            for given in (
                (64, 64, 8, 1),
                (640, 360, 8, 1),
                (1280, 720, 4, 1),
                (1280, 720, 1, 2),
                (1920, 1080, 1, 1),
                (1920, 1080, 1, 2),
                (2560, 1440, 1, 1),
                (3840, 2160, 1, 1),
                (3840, 2160, 1, 2),
            )
        ),
    ],
)
def test_the_decoder_takes_no_more_than_estimated(
    tmp_path: Path, width: int, height: int, batch: int, threads: int
) -> None:
    path, estimate, peaks = (
        coded(tmp_path / "a.vqv", width, height, 40),
        decoder_memory(width, height, batch, threads),
        list[int](),
    )
    # a busy system takes back pages of libraries that weren't used for a while: a peak can be lower
    # than what was taken, never higher
    while len(peaks) < 3 and max(peaks, default=0) <= 0.6 * estimate:
        how = ("--max-memory", "8G", "-threads", str(threads), "--batch", str(batch))
        code, used = peak("verify", "-q", *how, str(path))
        assert code == 4  # decoded, and the pixels are not those of the checksum
        peaks.append(used)
    assert 0.6 * estimate < max(peaks) <= estimate, ([p >> 20 for p in peaks], estimate >> 20)


def test_a_picture_over_the_limit_of_memory_is_refused(tmp_path: Path) -> None:
    path = str(coded(tmp_path / "a.vqv", 4096, 4096, 1))
    for command in (["verify", "-q", path], ["decode", "-q", path, str(tmp_path / "a.y4m")]):
        code, used = peak(*command, "--max-memory", "1G")
        assert code == 6
        assert used < 160 << 20
    assert main(["info", "--json", path]) == 0  # needs no pictures


def bombs() -> dict[str, Callable[[], bytes]]:
    """Small files that claim to be large, with every checksum right."""
    header = packets.StreamHeader(16, 16, Fraction(1, 25))
    raw = header.to_bytes()
    sid = crc32(raw)
    start = packets.file_header(raw)

    def closed(middle: bytes, index: bytes, frames: int) -> bytes:
        offset = (len(start) + len(middle)).to_bytes(8, "little")
        return (
            start
            + middle
            + packets.packet(packets.INDEX, sid, frames, 0, index)
            + offset
            + u32(crc32(offset, packets.TAIL_MAGIC))
            + packets.TAIL_MAGIC
        )

    def varint(n: int) -> bytes:
        return Writer().varint(n).getvalue()

    def head(length: int, first: int, frames: int, type_: int = packets.GOP) -> bytes:
        data = packets.SYNC + bytes([type_]) + varint(length) + varint(first) + varint(frames)
        return start + data + u32(crc32(u32(sid), data)) + bytes(40)

    gop = packets.GopPayload((0,), 1, 0, (0, 0, 0), b"").to_bytes()
    huge_runs = b"\x00" + varint(1 << 60) + b"\x01" * 9
    return {
        "width and height": lambda: packets.file_header(varint(16384) + varint(16384) + raw[2:]),
        "length of the header": lambda: packets.MAGIC + b"\0\0" + u32((1 << 32) - 1) + raw,
        "length of a packet": lambda: head(1 << 40, 0, 1),
        "packet of 64 MiB": lambda: head(64 << 20, 0, 1),
        "packet of another type": lambda: head(1 << 62, 0, 0, 0x80),
        "frames of a GOP": lambda: head(0, 0, 1 << 62),
        "number of the first frame": lambda: (
            start + packets.packet(packets.GOP, sid, (1 << 62) - 200, 1, gop)
        ),
        "runs of times": lambda: start + packets.packet(packets.GOP, sid, 0, 128, huge_runs),
        "entries of the index": lambda: closed(b"", varint(len(raw)) + raw + varint(1 << 62), 0),
        "many entries of the index": lambda: closed(
            b"", varint(len(raw)) + raw + varint(21_000_000) + b"\0\1\2" * 21_000_000, 21_000_000
        ),
        "frames of an entry": lambda: closed(
            b"", varint(len(raw)) + raw + b"\x01\x00" + varint(1 << 61) + b"\0", 1 << 61
        ),
        "length of the index": lambda: closed(b"", varint(1 << 62) + raw, 0),
    }


@pytest.mark.parametrize("name", list(bombs()))
def test_bombs_are_refused_before_memory_is_taken(name: str, tmp_path: Path) -> None:
    data = bombs()[name]()
    tracemalloc.start()
    try:
        r = ContainerReader.open(io.BytesIO(data))
        assert r.damaged, name
        assert all(e.offset < 0 for e in r.gops), name
    except VqvError:
        pass
    finally:
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert used < (4 << 20) + 3 * min(len(data), 64 << 20), (name, used)


@pytest.mark.parametrize("index", [True, False])
def test_an_entry_of_the_index_takes_no_more_than_counted(index: bool) -> None:
    n, f = 5_000, io.BytesIO()
    w = writer.ContainerWriter(f, packets.StreamHeader(16, 16, Fraction(1, 25)))
    for i in range(n):
        w.gop(packets.GopPayload((10**12 + i,), 1, 0, (0, 0, 0), b""))
    end = w.position
    w.finish()
    data = f.getvalue() if index else f.getvalue()[:end]
    tracemalloc.start()
    try:
        r = ContainerReader.open(io.BytesIO(data))
        used = tracemalloc.get_traced_memory()[1] - 2 * len(data)
    finally:
        tracemalloc.stop()
    assert len(r.gops) == n
    assert 0.3 * packets.ENTRY_MEMORY < used / n < packets.ENTRY_MEMORY
    with pytest.raises(LimitError, match="memory"):
        ContainerReader.open(io.BytesIO(data), Limits(memory=n * packets.ENTRY_MEMORY - 1000))


def test_limits_are_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(coded(tmp_path / "a.vqv", 100, 80, 20))
    assert main(["info", path]) == 0
    r = ContainerReader.open(io.BytesIO(Path(path).read_bytes()))
    largest = max(len(r.read_gop(0).to_bytes()), len(index_payload(r.raw_header, r.gops)))
    for option, least in (
        ("--max-pixels", 8000),
        ("--max-packet", largest),
        ("--max-metadata", len(r.raw_header)),
        ("--max-frames", 20),
    ):
        for command in (
            ["info"],
            ["verify", "--fast"],
            ["repair", "-y", "-o", str(tmp_path / "b.vqv")],
            ["decode", "-y", "-o", str(tmp_path / "b.y4m")],
        ):
            capsys.readouterr()
            assert main([*command, option, str(least - 1), path]) == 6, (command, option)
            assert "over the limit" in capsys.readouterr().err, (command, option)
            assert command[0] == "decode" or main([*command, option, str(least), path]) == 0, (
                command,
                option,
            )
    assert main(["info", "--max-memory", "500", path]) == 6
    assert main(["verify", "--max-memory", "64M", path]) == 6
    assert (
        main(["info", "--max-pixels", "x", path]) == main(["info", "--max-pixels", "0", path]) == 2
    )
    with pytest.raises(LimitError):
        ContainerReader.open(io.BytesIO(Path(path).read_bytes()), Limits(pixels=7999))
