"""Frames by number and by time from .vqv files, against what `decode` gives; a tiny network, three
GOPs of unequal times."""

from __future__ import annotations

import gc
import io
import os
import pickle
import threading
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.clips import header, moving, write
from support.paths import files_in

import vqcodec
from vqcodec.codec.frame_decoder import FrameCoder
from vqcodec.codec.weights import load_codec
from vqcodec.container.packets import IndexEntry
from vqcodec.container.reader import ContainerReader
from vqcodec.errors import DamageError, InputError, LimitError, RangeError, UsageError, WeightsError
from vqcodec.options import DecodeOptions, EncodeOptions, Limits
from vqcodec.picture import Picture
from vqcodec.reading import random_access
from vqcodec.reading.decode_report import DecodeReport
from vqcodec.reading.sequence import ConcealingDecoder

pytestmark = pytest.mark.usefixtures("one_thread")
W, H, GOP, FRAMES = 50, 38, 20, 45
TIMES = [
    40 * i + (13 if i > 30 else 0) + (400 if i > 41 else 0) for i in range(FRAMES)
]  # milliseconds


@pytest.fixture(scope="module")
def coded(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("coded")
    write(folder / "in.mkv", header(W, H), moving(W, H, FRAMES, seed=4), TIMES, vcodec="ffv1")
    vqcodec.encode(
        folder / "in.mkv",
        folder / "a.vqv",
        gop=GOP,
        crf=30,
        threads=1,
        device="cpu",
        preset="fast",
        weights=tiny_weights,
    )
    return folder / "a.vqv"


def decoded(path: Path, weights: Path) -> list[tuple[int, int, Picture]]:
    """All frames as `decode` has them: time, duration (of the last of a GOP), 10-bit picture."""
    with path.open("rb") as file:
        reader = ContainerReader.open(file)
        codec = load_codec(weights, "cpu", 1)
        decoder = ConcealingDecoder(reader, codec, DecodeOptions(), DecodeReport())
        return [frame for i in range(len(reader.gops)) for frame in decoder.pictures(i)]


@pytest.fixture(scope="module")
def want(coded: Path, tiny_weights: Path) -> list[torch.Tensor]:
    """The luma of all frames."""
    return [torch.from_numpy(p.to8().y.copy()) for _, _, p in decoded(coded, tiny_weights)]


@pytest.fixture
def video(coded: Path, tiny_weights: Path) -> Any:
    with vqcodec.open(coded, output="yuv", weights=tiny_weights) as v:
        yield v


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers (in their GOPs) of the frames that go through the synthesis."""
    seen: list[int] = []
    real = FrameCoder.finish

    def finish(self: FrameCoder, run: Any, stats: Any = None) -> Any:
        seen.append(run.number)
        return real(self, run, stats)

    monkeypatch.setattr(FrameCoder, "finish", finish)
    return seen


def test_metadata(video: Any, coded: Path) -> None:
    m = video.metadata
    assert len(video) == m.num_frames == FRAMES
    assert (
        m.width,
        m.height,
        m.codec,
        m.crf,
        m.bit_depth,
    ) == (W, H, "vqcodec", 30, 8)
    assert (m.begin_stream_seconds, m.end_stream_seconds) == (
        0,
        (TIMES[-1] + 40) / 1000,
    )
    assert m.duration_seconds == m.end_stream_seconds
    assert m.average_fps == pytest.approx(FRAMES / m.duration_seconds)
    assert m.bit_rate == pytest.approx(8 * coded.stat().st_size / m.duration_seconds)
    assert m.time_base == Fraction(1, 1000)
    assert video.gop_starts == [0, 20, 40]
    assert "50x38, 45 frames" in repr(video)


def test_frames_by_number(video: Any, want: list[torch.Tensor]) -> None:
    for i in (0, 44, 7, 20, 19, 41, -1, -45, np.int64(3), torch.tensor(5)):
        f = video.get_frame_at(i)
        assert f.data.y.dtype == torch.uint8
        assert torch.equal(f.data.y, want[i])
        assert torch.equal(video[i].y, want[i])
        assert not f.concealed
        assert f.pts_seconds == TIMES[i] / 1000
        assert f.data.u.shape == f.data.v.shape == (19, 25)
        assert [type(x) for x in f] == [vqcodec.Planes, float, float]
    for i in (45, -46):
        with pytest.raises(RangeError, match=f"there is no frame {i}, it has 45"):
            video[i]
    with pytest.raises(IndexError):
        video.get_frames_at([0, 45])
    with pytest.raises(TypeError):
        video["1"]


def test_durations_add_up(video: Any) -> None:
    batch = video.get_frames_in_range(0, FRAMES)
    for a, b in pairwise(batch):
        assert a.pts_seconds + a.duration_seconds == pytest.approx(b.pts_seconds, abs=1e-12)
    assert batch[-1].duration_seconds == pytest.approx(0.04)
    assert batch.pts_seconds.dtype == torch.float64
    with pytest.raises(RangeError):
        batch[FRAMES]


@pytest.mark.parametrize(
    "key",
    [
        slice(None),
        slice(18, 22),
        slice(3, 40, 7),
        slice(None, None, -9),
        slice(-3, None),
        slice(30, 10),
        slice(0, 1000, 44),
    ],
)
def test_slices(video: Any, want: list[torch.Tensor], key: slice) -> None:
    expected = want[key]
    got = video[key].y
    assert got.shape == (len(expected), H, W)
    assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_batches_of_numbers(video: Any, want: list[torch.Tensor], decodes: list[int]) -> None:
    """In any order, with repetitions, and no frame is decoded twice."""
    numbers = [41, 3, 3, 20, 0, -1, 44, 3]
    batch = video.get_frames_at(numbers)
    assert len(batch) == 8
    assert all(torch.equal(f.data.y, want[n]) for f, n in zip(batch, numbers, strict=True))
    assert batch.pts_seconds.tolist() == [TIMES[n] / 1000 for n in numbers]
    assert not batch.concealed.any()
    # GOP 0: frame 3 and its ancestors 0 19 9 4 2, GOP 1: 0, GOP 2: 1 and its ancestors 0 4 2
    assert sorted(decodes) == sorted([0, 19, 9, 4, 2, 3, 0, 0, 4, 2, 1])


def test_iteration_decodes_each_frame_once(
    video: Any, want: list[torch.Tensor], decodes: list[int]
) -> None:
    assert all(torch.equal(a.y, b) for a, b in zip(video, want, strict=True))
    assert len(decodes) == FRAMES
    assert all(torch.equal(video[i].y, want[i]) for i in range(12, 16))
    assert len(decodes) == FRAMES


@pytest.mark.parametrize("cache_bytes", [0, 60_000, 200_000])
def test_the_cache_is_bounded(
    coded: Path, tiny_weights: Path, want: list[torch.Tensor], cache_bytes: int
) -> None:
    with vqcodec.open(coded, output="yuv", weights=tiny_weights, cache_bytes=cache_bytes) as v:
        for i in (5, 6, 7, 33, 44, 2, 6, 19):
            assert torch.equal(v[i].y, want[i])
            assert 0 <= v._access.cache.bytes <= cache_bytes
        assert all(torch.equal(a, b) for a, b in zip(v[:].y, want, strict=True))
        assert v._access.cache.bytes <= cache_bytes
    with vqcodec.open(coded, weights=tiny_weights, limits=Limits(memory=400 << 20)) as v:
        v[0]
        assert v._access.cache.limit < 256 << 20


def test_frames_by_time(video: Any) -> None:
    assert video.at(0).pts_seconds == 0
    assert video.at(0.0399).pts_seconds == 0
    assert video.at(0.04).pts_seconds == 0.04
    assert all(
        video._number_at(t / 1000) == i for i, t in enumerate(TIMES)
    )  # what a frame is given with finds it
    assert video.at(1.84).pts_seconds == TIMES[41] / 1000  # within the long frame
    assert video.get_frames_played_at([1.7, 0.1]).pts_seconds.tolist() == [TIMES[41] / 1000, 0.08]
    for bad in (-0.001, video.metadata.end_stream_seconds, float("nan")):
        with pytest.raises(RangeError, match="nothing is shown at"):
            video.at(bad)


def test_ranges_of_time(video: Any) -> None:
    def shown(a: float, b: float) -> list[int]:
        return [
            TIMES.index(round(1000 * t))
            for t in video.get_frames_played_in_range(a, b).pts_seconds.tolist()
        ]

    assert shown(0.02, 0.1) == [0, 1, 2]
    assert shown(0.04, 0.08) == [1]
    assert shown(0.1, 0.1) == []
    assert shown(0.79, 0.81) == [19, 20]
    assert shown(1.7, 99) == [41, 42, 43, 44]
    assert shown(0, 99) == list(range(FRAMES))
    with pytest.raises(RangeError, match="ends before it begins"):
        video.get_frames_played_in_range(1, 0)


def test_a_reader_is_shared_by_threads_and_pickled(video: Any, want: list[torch.Tensor]) -> None:
    wrong: list[int] = []

    def work(seed: int) -> None:
        for i in np.random.default_rng(seed).integers(0, FRAMES, 12).tolist():
            if not torch.equal(video[i].y, want[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    with pickle.loads(pickle.dumps(video)) as other:
        assert torch.equal(other[7].y, want[7])
        assert other.metadata == video.metadata


def test_models_are_loaded_once(
    coded: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random_access._codec.cache_clear()
    a, b = (vqcodec.open(coded, weights=tiny_weights) for _ in range(2))
    assert a._made is None
    assert a.metadata.width == W
    a[0], b[0]
    assert a._access.codec is b._access.codec
    a.close()
    assert b[1].shape == (3, H, W)
    b.close()


def test_closed(video: Any) -> None:
    video[0]
    video.close()
    video.close()
    for use in (
        lambda: video[0],
        lambda: video[:],
        lambda: video.at(0),
        lambda: video.tokens(),
        lambda: next(iter(video)),
    ):
        with pytest.raises(UsageError, match="the reader is closed"):
            use()


def test_readers_that_nobody_closes_close_their_files(coded: Path, tiny_weights: Path) -> None:
    gc.collect()
    before = len(files_in("/dev/fd"))
    for _ in range(3):
        vqcodec.open(coded, weights=tiny_weights)
    gc.collect()
    assert len(files_in("/dev/fd")) == before


def test_refusals(coded: Path, tiny_weights: Path, tmp_path: Path) -> None:
    for options, text in (
        ({"output": "bgr"}, "output: 'bgr' is unknown, allowed are rgb, float, yuv"),
        ({"on_damage": "hide"}, "on_damage: 'hide' is unknown, allowed are raise, conceal"),
        ({"cache_bytes": -1}, "cache_bytes: -1 is out of range"),
        ({"device": "tpu"}, "device: 'tpu' is unknown"),
    ):
        with pytest.raises(UsageError, match=text):
            vqcodec.open(coded, **options)  # type: ignore[call-overload]
    with pytest.raises(vqcodec.InputError, match="no such file"):
        vqcodec.open(tmp_path / "none.vqv")
    with pytest.raises(vqcodec.InputError, match="a.txt: not a .vqv file"):
        (tmp_path / "a.txt").write_text("text " * 20)
        vqcodec.open(tmp_path / "a.txt")
    with pytest.raises(WeightsError, match="file needs model"):
        vqcodec.open(coded)
    with (
        vqcodec.open(coded, weights=tiny_weights, limits=Limits(memory=1 << 20)) as v,
        pytest.raises(LimitError, match="needs about"),
    ):
        v[0]


# -- damage


def broken(coded: Path, tmp_path: Path, *gops: int) -> Path:
    """A byte in the middle of the bodies of these GOPs is changed."""
    data = bytearray(coded.read_bytes())
    with coded.open("rb") as file:
        entries: list[IndexEntry] = ContainerReader.open(file).gops
    for g in gops:
        data[entries[g].offset + 100] ^= 1
    (tmp_path / "broken.vqv").write_bytes(data)
    return tmp_path / "broken.vqv"


def test_damage_is_raised_where_it_lies(
    coded: Path, tiny_weights: Path, want: list[torch.Tensor], tmp_path: Path
) -> None:
    path = broken(coded, tmp_path, 1)
    with vqcodec.open(path, output="yuv", weights=tiny_weights) as v:
        assert torch.equal(v[5].y, want[5])
        assert torch.equal(v[41].y, want[41])
        for use in (lambda: v[20], lambda: v[0:30], lambda: v.tokens(0, 30)):
            with pytest.raises(
                DamageError,
                match=(
                    r"broken.vqv: packet at byte \d+ \(frames 20 to 39\): checksum mismatch; "
                    r"on_damage='conceal' fills in"
                ),
            ):
                use()
    path.write_bytes(coded.read_bytes()[:-30])
    with pytest.raises(
        DamageError, match=r"broken.vqv: packet at byte .*: cut after .*on_damage='conceal'"
    ):
        vqcodec.open(path, weights=tiny_weights)


@pytest.mark.parametrize("gops", [(0,), (1,), (2,), (0, 1), (1, 2)])
def test_concealed_as_decode_does(
    coded: Path, tiny_weights: Path, tmp_path: Path, gops: tuple[int, ...]
) -> None:
    path = broken(coded, tmp_path, *gops)
    expected = decoded(path, tiny_weights)
    with vqcodec.open(path, output="yuv", on_damage="conceal", weights=tiny_weights) as v:
        assert len(v.damage) == len(gops)
        assert "checksum mismatch" in v.damage[0]
        batch = v.get_frames_at(range(FRAMES))
        assert (batch.pts_seconds * 1000).round().int().tolist() == [pts for pts, _, _ in expected]
        for f, (_, _, p) in zip(batch, expected, strict=True):
            assert torch.equal(f.data.y, torch.from_numpy(p.to8().y.copy()))
        assert batch.concealed.tolist() == [
            g in gops for g in range(3) for _ in range(min(20, FRAMES - 20 * g))
        ]
        f = v.get_frame_at(sum(v.gop_starts[g] for g in gops[:1]) + 3)
        assert f.concealed
        assert v.at(f.pts_seconds).pts_seconds == f.pts_seconds
        assert {t.frame // 20 for t in v.tokens()} == set(range(3)) - set(gops)


def test_wrong_bodies_and_wrong_pixels(
    coded: Path, tiny_weights: Path, want: list[torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Damage that no checksum of the file tells of."""
    real = ContainerReader.read_gop

    def read_gop(self: ContainerReader, i: int, after: int | None = None) -> Any:
        from dataclasses import replace

        gop = real(self, i, after)
        return (
            replace(gop, body=b"\xff" * len(gop.body))
            if i == 1
            else replace(gop, checksum=gop.checksum ^ 1)
            if i == 2
            else gop
        )

    monkeypatch.setattr(ContainerReader, "read_gop", read_gop)
    with vqcodec.open(coded, output="yuv", weights=tiny_weights) as v:
        with pytest.raises(DamageError, match="a.vqv: GOP body"):
            v[25]
        assert torch.equal(v[41].y, want[41])  # a part of a GOP has no checksum
        with pytest.raises(
            DamageError,
            match=r"GOP 2 at byte \d+ \(frames 40 to 44\): decoded pixels differ.*; on_damage",
        ):
            v[40:]
    with vqcodec.open(coded, output="yuv", on_damage="conceal", weights=tiny_weights) as v:
        batch = v.get_frames_in_range(0, FRAMES)
        assert batch.concealed.tolist() == [20 <= i < 40 for i in range(FRAMES)]
        assert torch.equal(batch[44].data.y, want[44])
        assert len(v.damage) == 2
        assert "GOP body" in v.damage[0]
        assert "differ" in v.damage[1]


def test_there_is_a_limit_to_what_is_concealed(
    coded: Path, tiny_weights: Path, tmp_path: Path
) -> None:
    with pytest.raises(LimitError, match="20 frames are lost, over the limit of 19"):
        vqcodec.open(
            broken(coded, tmp_path, 1),
            on_damage="conceal",
            weights=tiny_weights,
            limits=Limits(concealed=19),
        )


# -- depth and colour


def test_ten_bits(tiny_weights: Path, tmp_path: Path) -> None:
    write(
        tmp_path / "in.mkv",
        header(W, H, bit_depth=10),
        moving(W, H, 3, ten_bit=True),
        vcodec="ffv1",
    )
    vqcodec.encode(
        tmp_path / "in.mkv",
        tmp_path / "a.vqv",
        EncodeOptions(threads=1, device="cpu", preset="fast"),
        weights=str(tiny_weights),
    )
    picture = decoded(tmp_path / "a.vqv", tiny_weights)[1][2]
    with vqcodec.open(tmp_path / "a.vqv", output="yuv", weights=tiny_weights) as v:
        assert v.metadata.bit_depth == 10
        assert v[1].y.dtype == torch.int16
        assert v[:].u.dtype == torch.int16
        assert all(np.array_equal(a.numpy(), b) for a, b in zip(v[1], picture, strict=True))
    with (
        vqcodec.open(tmp_path / "a.vqv", output="float", weights=tiny_weights) as f,
        vqcodec.open(tmp_path / "a.vqv", weights=tiny_weights) as rgb,
    ):
        assert f[1].dtype == torch.float32
        assert f[1].shape == (3, H, W)
        assert f[:].shape == (3, 3, H, W)
        assert f[1].min() >= 0
        assert f[1].max() <= 1
        assert rgb[1].dtype == torch.uint8
        assert (f[1] * 255 - rgb[1]).abs().max() <= 0.5 + 1e-4
        assert len(torch.unique(f[1])) > 256


def test_processes_do_not_disturb_each_others_reading(coded: Path) -> None:
    """The position in the file belongs to the process, though the open file is shared after a
    fork."""

    from vqcodec.container.byte_source import PathFile

    fd = os.open(coded, os.O_RDONLY)
    try:
        a, b = PathFile(fd), PathFile(fd)
        assert a.seek(0, os.SEEK_END) == coded.stat().st_size
        assert a.read(1) == b""
        assert b.read(8) == coded.read_bytes()[:8]
        assert a.seek(1) == 1
        assert b.read(2) == coded.read_bytes()[8:10]
        assert a.read(7) == coded.read_bytes()[1:8]
    finally:
        os.close(fd)


# -- sources other than paths


def _picture(source: Any, weights: Path) -> torch.Tensor:
    with vqcodec.open(source, output="yuv", weights=weights) as v:
        return v[21].y


def test_bytes_and_file_objects(coded: Path, tiny_weights: Path, want: list[torch.Tensor]) -> None:
    data = coded.read_bytes()
    for source in (data, bytearray(data), memoryview(data), io.BytesIO(data)):
        assert torch.equal(_picture(source, tiny_weights), want[21])
    with coded.open("rb") as file, coded.open("rb", buffering=0) as raw:
        for source in (file, raw, _Slow(data)):
            assert torch.equal(_picture(source, tiny_weights), want[21])
        assert not file.closed
        assert not raw.closed
    with vqcodec.open(data, weights=tiny_weights) as v:
        assert v.path == "<bytes>"
        assert v.metadata.bytes == len(data)
        assert torch.equal(pickle.loads(pickle.dumps(v))[3], v[3])


class _Slow(io.BytesIO):
    """Gives a few bytes at a time, as sockets and object stores do."""

    def read(self, n: int | None = -1) -> bytes:
        return super().read(min(7, n) if n is not None and n > 0 else n)


class _Broken(io.BytesIO):
    def read(self, n: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error")


class _NoSeek(io.BytesIO):
    def seekable(self) -> bool:
        return False


def test_sources_that_cannot_be_read(coded: Path, tiny_weights: Path) -> None:
    data = coded.read_bytes()
    closed = io.BytesIO(data)
    closed.close()
    for source, error, text in (
        (3, UsageError, "a path, bytes or a file object is needed, not int"),
        (io.StringIO("text"), UsageError, "gives text: open it with mode 'rb'"),
        (_NoSeek(data), UsageError, "cannot seek"),
        (_Broken(data), InputError, "cannot be read: Input/output error"),
        (closed, InputError, "closed file"),
        (b"not a video", InputError, "<bytes>: "),
        (data[:-9], DamageError, "<bytes>: "),
    ):
        with pytest.raises(error, match=text):
            vqcodec.open(source, weights=tiny_weights)


def test_a_device_that_is_not_there_is_told_at_open(coded: Path, tiny_weights: Path) -> None:
    """It was found at the first frame."""
    with pytest.raises(UsageError, match="device: cuda:99 can't be used"):
        vqcodec.open(coded, "cuda:99", weights=tiny_weights)


def test_colours_have_names(coded: Path, tiny_weights: Path, tmp_path: Path) -> None:
    head = header(W, H, primaries=9, transfer=16, matrix=9, range=1, chroma_location=3)
    write(tmp_path / "in.mkv", head, moving(W, H, 1), vcodec="ffv1")
    vqcodec.encode(tmp_path / "in.mkv", tmp_path / "a.vqv", weights=tiny_weights, device="cpu")
    with vqcodec.open(tmp_path / "a.vqv", weights=tiny_weights) as v:
        m = v.metadata
    got = (m.color_primaries, m.color_transfer, m.color_matrix, m.color_range, m.chroma_location)
    assert got == ("bt2020", "smpte2084", "bt2020nc", "tv", "topleft")
    told = vqcodec.info(tmp_path / "a.vqv")
    assert tuple(told.colour_names.values()) == got
    assert told.colour["transfer"] == 16
