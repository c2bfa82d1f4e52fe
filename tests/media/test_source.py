from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from support.clips import header, picture, same, write

from vqcodec.errors import InputError, LimitError, OutputError, UsageError
from vqcodec.media.output_formats import choose_codec
from vqcodec.media.sink import OutputChoice, open_sink
from vqcodec.media.source import VideoSource
from vqcodec.media.source_choice import SourceChoice
from vqcodec.options import Limits, Time
from vqcodec.picture import Picture

VFR = [0, 40, 80, 95, 200, 201, 260, 1000]


def seconds(source: VideoSource, frames: list[tuple[int, Picture]]) -> list[Fraction]:
    return [pts * source.time_base for pts, _ in frames]


@pytest.mark.parametrize(("name", "codec"), [("a.y4m", None), ("a.mkv", "ffv1")])
@pytest.mark.parametrize("size", [(16, 16), (17, 9), (1, 1), (2, 3), (130, 70)])
@pytest.mark.parametrize("ten_bit", [False, True])
def test_lossless_planes(
    tmp_path: Path, name: str, codec: str | None, size: tuple[int, int], ten_bit: bool
) -> None:
    want = [picture(*size, seed=i, ten_bit=ten_bit) for i in range(4)]
    path = write(tmp_path / name, header(*size), want, vcodec=codec)
    with VideoSource(path) as source:
        assert (source.width, source.height, source.ten_bit) == (*size, ten_bit)
        got = list(source)
        assert len(got) == 4
        assert all(same(a, b) for (_, a), b in zip(got, want, strict=True))
        assert seconds(source, got) == [Fraction(i, 25) for i in range(4)]
        assert source.corrupt == 0
        assert source.warnings == []
        assert source.bit_depth == (10 if ten_bit else 8)
        assert source.total in (None, 4)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov"])
@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_variable_times(tmp_path: Path, name: str, codec: str) -> None:
    if codec == "ffv1" and name != "a.mkv":
        pytest.skip("not in mp4 and mov")
    pictures = [picture(64, 48, i) for i in range(len(VFR))]
    path = write(tmp_path / name, header(64, 48), pictures, VFR, vcodec=codec)
    with VideoSource(path) as source:
        got = list(source)
        assert seconds(source, got) == [Fraction(t, 1000) for t in VFR]
        assert source.corrupt == 0, source.warnings


@pytest.mark.parametrize("base", [Fraction(1, 90000), Fraction(1001, 30000), Fraction(1, 25)])
@pytest.mark.parametrize("first", [0, 7])
def test_mp4_times_are_exact(tmp_path: Path, base: Fraction, first: int) -> None:
    rate = (
        Fraction(30000, 1001) if base.numerator > 1 or base.denominator == 90000 else Fraction(25)
    )
    step = max(1, round(1 / (rate * base)))
    times = [first + step * i for i in range(12)]
    path = write(
        tmp_path / "a.mp4",
        header(32, 32, time_base=base, rate=rate),
        [picture(32, 32, i) for i in range(12)],
        times,
    )
    with VideoSource(path) as source:
        assert seconds(source, list(source)) == [t * base for t in times]


def test_mkv_rounds_times_to_milliseconds(tmp_path: Path) -> None:
    base = Fraction(1001, 30000)
    path = write(
        tmp_path / "a.mkv",
        header(32, 32, time_base=base, rate=1 / base),
        [picture(32, 32, i) for i in range(9)],
        list(range(9)),
    )
    with VideoSource(path) as source:
        got = seconds(source, list(source))
        assert max(abs(a - i * base) for i, a in enumerate(got)) <= Fraction(1, 2000)
        assert source.warnings == []


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_tags(tmp_path: Path, name: str, rotation: int) -> None:
    head = header(
        32, 16, sar=Fraction(4, 3), rotation=rotation, primaries=9, transfer=16, matrix=9, range=1
    )
    path = write(tmp_path / name, head, [picture(32, 16, i) for i in range(3)])
    with VideoSource(path) as source:
        assert (source.sar, source.rotation) == (Fraction(4, 3), rotation)
        assert (source.primaries, source.transfer, source.matrix, source.range) == (9, 16, 9, 1)


def test_x264_is_close(tmp_path: Path) -> None:
    flat = Picture(
        np.full((32, 32), 90, np.uint8),
        np.full((16, 16), 100, np.uint8),
        np.full((16, 16), 140, np.uint8),
    )
    path = write(tmp_path / "a.mkv", header(32, 32), [flat] * 3)
    with VideoSource(path) as source:
        for _, p in source:
            assert (
                max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(p, flat, strict=True)) <= 2
            )


@pytest.mark.parametrize(
    ("fmt", "ten_bit", "depth"),
    [
        ("yuv444p", False, 8),
        ("yuv422p10le", True, 10),
        ("yuv420p12le", True, 12),
        ("gray", False, 8),
        ("gray10le", True, 10),
        ("bgr0", False, 8),
        ("yuv420p16le", True, 16),
    ],
)
def test_conversions(tmp_path: Path, fmt: str, ten_bit: bool, depth: int) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 34, 22, fmt
        frame = av.VideoFrame(34, 22, "gray")
        frame.planes[0].update(bytes([100]) * frame.planes[0].buffer_size)
        grey = (
            frame.reformat(format=fmt, src_color_range=1, dst_color_range=1)
            if not fmt.startswith("gray")
            else frame
        )
        if fmt == "gray10le":
            grey = av.VideoFrame(34, 22, fmt)
            grey.planes[0].update(
                np.full(grey.planes[0].buffer_size // 2, 400, np.uint16).tobytes()
            )
        out.mux(stream.encode(grey))
        out.mux(stream.encode(None))
    with VideoSource(path) as source:
        ((_, got),) = list(source)
        assert got.ten_bit == ten_bit == source.ten_bit
        assert source.bit_depth == depth
        assert got.y.shape == (22, 34)
        assert got.u.shape == (11, 17)
        assert source.corrupt == 0
        scale = 4 if ten_bit else 1
        if fmt.startswith("gray"):
            assert (got.y == 100 * scale).all()
        assert abs(float(got.u.mean()) / scale - 128) < 1.5


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.y4m"])
@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (Time(frames=30), None, range(30, 60)),
        (Time(seconds=Fraction(1)), None, range(25, 60)),
        (Time(seconds=Fraction(1)), Time(seconds=Fraction(1, 5)), range(25, 30)),
        (Time(frames=7), Time(seconds=Fraction(1, 5)), range(7, 12)),
        (None, Time(frames=5), range(5)),
        (None, Time(seconds=Fraction(2, 5)), range(10)),
        (Time(seconds=Fraction(11, 10)), Time(frames=3), range(28, 31)),
        (Time(frames=58), Time(frames=9), range(58, 60)),
        (Time(frames=99), None, range(0)),
    ],
)
def test_span(
    tmp_path: Path, name: str, start: Time | None, length: Time | None, expected: range
) -> None:
    pictures = [
        Picture(
            np.full((16, 16), 16 + 3 * i, np.uint8),
            np.full((8, 8), 128, np.uint8),
            np.full((8, 8), 128, np.uint8),
        )
        for i in range(60)
    ]
    opts = {} if name == "a.y4m" else {"vcodec_opts": {"g": "10"}}
    path = write(tmp_path / name, header(16, 16), pictures, **opts)
    with VideoSource(path, SourceChoice(start, length)) as source:
        got = list(source)
        assert [round((float(p.y.mean()) - 16) / 3) for _, p in got] == list(expected)
        assert seconds(source, got) == [Fraction(i, 25) for i in range(len(expected))]
        assert source.corrupt == 0, source.warnings


@pytest.mark.parametrize("name", ["a.mkv", "a.y4m", "a.ts"])
def test_cut_source_is_noticed(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, header(64, 48), [picture(64, 48, i) for i in range(40)])
    if name == "a.ts":
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 1000] = bytes(1000)
        path.write_bytes(bytes(data))
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10 + 11])
    with VideoSource(path) as source:
        n = len(list(source))
        assert 1 <= n <= 40
        assert source.corrupt >= 1
        assert source.warnings


def test_an_mkv_that_starts_late_is_not_taken_for_cut(tmp_path: Path) -> None:
    """Matroska's durations count from zero: the start of the pictures was once added to them."""
    path = tmp_path / "late.mkv"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        for i in range(4):
            frame = av.VideoFrame(32, 16, "yuv420p")
            for p in frame.planes:
                p.update(bytes([60 + i]) * p.buffer_size)
            frame.pts, frame.time_base = 13 + i, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with VideoSource(path) as source:
        assert len(list(source)) == 4
        assert source.corrupt == 0
        assert not source.warnings


def test_refused_inputs(tmp_path: Path) -> None:
    def bad(name: str, data: bytes, match: str) -> None:
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(InputError, match=match):
            VideoSource(path)

    with pytest.raises(InputError, match="no such file"):
        VideoSource(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="directory"):
        VideoSource(tmp_path)
    bad("empty.mkv", b"", "empty")
    bad("text.mkv", b"hello, this is no video\n" * 50, "no video")
    bad("text.txt", b"hello, this is no video\n" * 50, "no video")
    bad("a.y4m", b"YUV4MPEG2 W16 H16 F25:1 Ip A0:0 C420jpeg\n", "no picture|no video")
    bad("cut.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "no video|no picture")


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(InputError, match="no video stream"):
        VideoSource(path)


def test_size_change(tmp_path: Path) -> None:
    parts = [
        write(
            tmp_path / f"{n}.ts",
            header(n, 32, time_base=Fraction(1, 90000)),
            [picture(n, 32, i) for i in range(3)],
        )
        for n in (32, 64)
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(p.read_bytes() for p in parts))
    with VideoSource(path) as source, pytest.raises(InputError, match="size changes"):
        list(source)


def test_limit(tmp_path: Path) -> None:
    path = write(tmp_path / "a.y4m", header(64, 64), [picture(64, 64)])
    with pytest.raises(LimitError):
        VideoSource(path, limits=Limits(pixels=1000))


def test_output_choices(tmp_path: Path) -> None:
    assert choose_codec("a.mkv", 15, 9)[0] == "ffv1"
    assert choose_codec("a.mkv", 15, 9)[1]
    assert choose_codec("a.mp4", 16, 16) == ("libx264", None)
    for arguments in (
        ("a.mp4", 15, 9),
        ("a.mkv", 15, 9, "libx264"),
        ("a.xyz", 16, 16),
        ("a", 16, 16),
        ("a.mkv", 16, 16, "nonsense"),
        ("a.y4m", 16, 16, "libx264"),
    ):
        with pytest.raises(UsageError):
            choose_codec(*arguments)
    with pytest.raises(OutputError):
        open_sink(tmp_path / "none" / "a.mkv", header())
    with pytest.raises(UsageError):
        choice = OutputChoice(vcodec="libx264", vcodec_opts={"preset": "nonsense"})
        open_sink(tmp_path / "a.mkv", header(), choice=choice)


def test_y4m_header(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.y4m",
        header(5, 3, sar=Fraction(4, 3), rate=Fraction(30000, 1001), range=2),
        [picture(5, 3)],
    )
    line, rest = path.read_bytes().split(b"\n", 1)
    assert line == b"YUV4MPEG2 W5 H3 F30000:1001 Ip A4:3 C420jpeg XCOLORRANGE=FULL"
    assert len(rest) == 6 + 15 + 12
    with VideoSource(path) as source:
        assert source.range == 2
        assert source.sar == Fraction(4, 3)
        assert source.rate == Fraction(30000, 1001)


def test_raw_output(tmp_path: Path) -> None:
    want = picture(5, 3)
    assert write(tmp_path / "a.yuv", header(5, 3), [want]).read_bytes() == b"".join(
        p.tobytes() for p in want
    )
