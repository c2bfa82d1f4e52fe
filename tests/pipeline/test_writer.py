"""Frames in memory to .vqv: the bytes of an encode of the same pictures, errors, giving up."""

from __future__ import annotations

import threading
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from support.clips import moving, same

import vqcodec
from vqcodec.errors import OutputError, UsageError
from vqcodec.media.source import VideoSource
from vqcodec.picture import Picture

fake = pytest.mark.usefixtures("fake_network")
W, H, N = 50, 38, 21


def y4m(path: Path, first: bytes, pictures: list[Picture]) -> Path:
    """By hand, without the program's own writer."""
    body = b"".join(b"FRAME\n" + b"".join(p.tobytes() for p in picture) for picture in pictures)
    path.write_bytes(b"YUV4MPEG2 " + first + b"\n" + body)
    return path


def stacked(pictures: list[Picture]) -> list[np.ndarray]:
    return [np.stack([p[i] for p in pictures]) for i in range(3)]


@pytest.mark.parametrize("ten_bit", [False, True])
@fake
def test_planes_have_the_bytes_of_an_encode_of_y4m(ten_bit: bool, tmp_path: Path) -> None:
    pictures = moving(W, H, N, ten_bit=ten_bit)
    first = f"W{W} H{H} F30000:1001 Ip A4:3".encode() + (b" C420p10" if ten_bit else b"")
    source = y4m(tmp_path / "in.y4m", first, pictures)
    options = vqcodec.EncodeOptions(crf=30, gop=8)
    report = vqcodec.encode(source, tmp_path / "want.vqv", options)
    y, u, v = stacked(pictures)
    parts: list[Any] = [(y[:5], u[:5], v[:5]), (y[5], u[5], v[5]), (y[6:], u[6:], v[6:])]
    if ten_bit:  # as a reader gives them
        parts[0] = vqcodec.Planes(*(torch.from_numpy(p.view(np.int16)) for p in parts[0]))
    else:
        parts[0] = vqcodec.Planes(*(torch.from_numpy(p) for p in parts[0]))
    out = tmp_path / "got.vqv"
    rate = 30000 / 1001
    with vqcodec.Writer(out, rate, options, pixel_aspect_ratio=Fraction(4, 3)) as writer:
        for part in parts:
            writer.write(part)
        assert writer.frames == N
        assert writer.report is None
        assert not out.exists()
    assert writer.report is not None
    assert writer.report.frames == N == report.frames
    assert out.read_bytes() == (tmp_path / "want.vqv").read_bytes()
    assert writer.close() is writer.report
    assert writer.report.psnr == report.psnr


@pytest.mark.parametrize(("ten_bit", "size"), [(False, (W, H)), (True, (W, H)), (False, (64, 720))])
@fake
def test_rgb_is_what_an_encode_of_rgb_is(
    ten_bit: bool, size: tuple[int, int], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    dtype = np.uint16 if ten_bit else np.uint8
    frames = rng.integers(0, np.iinfo(dtype).max, (4, size[1], size[0], 3)).astype(dtype)
    with av.open(str(tmp_path / "in.mov"), "w") as c:
        stream: Any = c.add_stream("png", rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "rgb48be" if ten_bit else "rgb24"
        for i, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, stream.pix_fmt)
            frame.pts = i
            c.mux(stream.encode(frame))
        c.mux(stream.encode(None))
    vqcodec.encode(tmp_path / "in.mov", tmp_path / "want.vqv")
    nchw = np.ascontiguousarray(frames.transpose(0, 3, 1, 2))
    given = nchw if ten_bit else torch.from_numpy(nchw)
    for name, order, data in (("a", "NCHW", given), ("b", "NHWC", frames)):
        with vqcodec.Writer(tmp_path / f"{name}.vqv", "25", dimension_order=order) as w:  # type: ignore[arg-type]
            w.write(data[:3])
            w.write(data[3])
    assert (tmp_path / "a.vqv").read_bytes() == (tmp_path / "b.vqv").read_bytes()
    shown = []
    for name in ("want", "a"):
        vqcodec.decode(tmp_path / f"{name}.vqv", tmp_path / f"{name}.y4m")
        with VideoSource(tmp_path / f"{name}.y4m") as source:
            shown.append([p for _, p in source])
    assert len(shown[0]) == 4
    assert all(same(a, b) for a, b in zip(*shown, strict=True))
    want, got = (vqcodec.info(tmp_path / f"{name}.vqv") for name in ("want", "a"))
    for key in ("colour", "width", "height", "frames", "rate", "psnr", "seconds"):
        assert getattr(got, key) == getattr(want, key), key


@fake
def test_tags_of_planes(tmp_path: Path) -> None:
    pictures = moving(W, H, 2, ten_bit=True)
    tags = {
        "color_primaries": "bt2020",
        "color_transfer": "smpte2084",
        "color_matrix": "bt2020nc",
        "color_range": "tv",
        "chroma_location": "topleft",
    }
    with vqcodec.Writer(tmp_path / "a.vqv", 24, **tags) as w:  # type: ignore[arg-type]
        w.write(stacked(pictures))
    assert list(vqcodec.info(tmp_path / "a.vqv").colour_names.values()) == list(tags.values())
    with pytest.raises(UsageError, match="color_matrix: 'bt0' is unknown, allowed are bt709"):
        vqcodec.Writer(tmp_path / "b.vqv", 24, color_matrix="bt0")


RGB = np.zeros((2, 3, H, W), np.uint8)
PLANES = stacked(moving(W, H, 2))


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (np.zeros((2, H, W), np.uint8), "(N, 3, H, W) is needed for RGB"),
        (np.zeros((2, H, W, 3), np.uint8), "(N, 3, H, W) is needed for RGB"),
        (torch.zeros(2, 3, H, W), "uint8 or uint16 is needed for RGB, not float32"),
        (torch.zeros(2, 3, H, W, dtype=torch.bfloat16), "numpy makes no array of what was given"),
        (torch.zeros(3, H, W, dtype=torch.uint8).to_sparse(), "numpy makes no array"),
        (torch.zeros(3, H, W, dtype=torch.uint8, device="meta"), "numpy makes no array"),
        (([[1, 2], [3]], [[1]], [[1]]), "numpy makes no array"),
        (np.zeros((0, 3, H, W), np.uint8), "(N, 3, H, W) is needed for RGB"),
        ((PLANES[0], PLANES[1]), "three are needed"),
        ((PLANES[0], PLANES[0], PLANES[0]), "none of 4:2:0"),
        (PLANES[0], "(N, 3, H, W) is needed for RGB"),
        ([p.astype(np.int32) for p in PLANES], "not int32"),
        ([PLANES[0], PLANES[1].astype(np.uint16), PLANES[2]], "not uint16, uint8"),
        ([p.astype(np.uint16) + 1000 for p in PLANES], "from 0 to 1023"),
        (RGB[..., :-2], "48x38 RGB of 8 bits behind 50x38 RGB of 8 bits"),
        (RGB.astype(np.uint16), "RGB of more than 8 bits behind"),
        (PLANES, "planes of 8 bits behind 50x38 RGB"),
    ],
)
@fake
def test_frames_that_are_none(frames: Any, text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught, vqcodec.Writer(tmp_path / "a.vqv", 25) as w:
        w.write(RGB)
        w.write(frames)
    assert text in str(caught.value)
    assert not list(tmp_path.iterdir())  # leaving by an error writes nothing


@fake
def test_refused_at_once(tmp_path: Path) -> None:
    taken = tmp_path / "taken.vqv"
    taken.write_bytes(b"mine")
    for changes, error, text in (
        ({"fps": 0}, UsageError, "fps: 0 is out of range"),
        ({"fps": float("nan")}, UsageError, "no frame rate"),
        ({"fps": "fast"}, UsageError, "no frame rate"),
        ({"crf": 99}, UsageError, "crf: 99"),
        ({"resume": True}, UsageError, "cannot be read again"),
        ({"dimension_order": "HWC"}, UsageError, "NCHW, NHWC"),
        ({"pixel_aspect_ratio": 1.5}, UsageError, "1.5 is none, allowed are Fractions"),
        ({"pixel_aspect_ratio": "4:3"}, UsageError, "'4:3' is none, allowed are Fractions"),
        ({"pixel_aspect_ratio": Fraction(-4, 3)}, UsageError, "-4/3 is out of range"),
        ({"pixel_aspect_ratio": Fraction(1 << 31, 3)}, UsageError, "2147483648/3 is out of range"),
        ({"path": ""}, OutputError, "'': no name for a file"),
        ({"path": taken}, OutputError, "exists already"),
        ({"path": tmp_path / "no" / "a.vqv"}, OutputError, "no folder"),
    ):
        given: dict[str, Any] = {"path": tmp_path / "a.vqv", "fps": 25} | changes
        with pytest.raises(error, match=text):
            vqcodec.Writer(**given)
    assert taken.read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 1


@fake
def test_the_widest_aspect_ratio_is_kept(tmp_path: Path) -> None:
    widest = Fraction((1 << 31) - 1, 2)
    with vqcodec.Writer(tmp_path / "a.vqv", 25, pixel_aspect_ratio=widest) as w:
        w.write(RGB)
    with vqcodec.open(tmp_path / "a.vqv") as video:
        assert video.metadata.pixel_aspect_ratio == widest


@fake
def test_values_in_the_other_byte_order(tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 65536, (2, 3, H, W), dtype=np.uint16)
    for name, dtype in (("little", "<u2"), ("big", ">u2")):
        with vqcodec.Writer(tmp_path / name, 25) as w:
            w.write(frames.astype(dtype))
    assert (tmp_path / "little").read_bytes() == (tmp_path / "big").read_bytes()


@fake
def test_nothing_is_left_where_the_caller_gives_up(tmp_path: Path) -> None:
    threads = threading.active_count()
    with pytest.raises(ZeroDivisionError), vqcodec.Writer(tmp_path / "a.vqv", 25, gop=4) as w:
        for _ in range(30):
            w.write(RGB)
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    assert threading.active_count() == threads
    with pytest.raises(UsageError, match="is closed"):
        w.write(RGB)
    with pytest.raises(UsageError, match="nothing was written"):
        w.close()
    with (
        pytest.raises(UsageError, match="no frame was written"),
        vqcodec.Writer(tmp_path / "a.vqv", 25),
    ):
        pass


@fake
def test_an_error_of_the_encode_comes_out_of_write(tmp_path: Path) -> None:
    def stop(event: vqcodec.ProgressEvent) -> None:
        raise RuntimeError("enough")

    with (
        pytest.raises(RuntimeError, match="enough"),
        vqcodec.Writer(tmp_path / "a.vqv", 25, gop=4, progress=stop) as w,
    ):
        for _ in range(1000):
            w.write(RGB)
    assert w.frames < 2000
    assert not list(tmp_path.iterdir())


@fake
def test_an_encode_that_wants_no_more_frames(tmp_path: Path) -> None:
    """It ends before the writer does, which is no error."""
    with vqcodec.Writer(tmp_path / "a.vqv", 25, gop=4, duration=vqcodec.Time(frames=6)) as w:
        for _ in range(200):
            w.write(RGB)
    assert w.report is not None
    assert w.report.frames == 6


def test_a_target_reads_the_frames_several_times(tmp_path: Path, tiny_weights: Path) -> None:
    pictures = moving(W, H, 20)
    given: dict[str, Any] = {"weights": tiny_weights, "device": "cpu", "preset": "fast", "gop": 8}
    given |= {"threads": 1, "target_psnr": 35}
    with vqcodec.Writer(tmp_path / "b.vqv", 25, **given) as w:
        w.write(stacked(pictures))
    y4m(tmp_path / "in.y4m", f"W{W} H{H} F25:1 Ip A0:0".encode(), pictures)
    vqcodec.encode(tmp_path / "in.y4m", tmp_path / "c.vqv", **given)
    assert (tmp_path / "b.vqv").read_bytes() == (tmp_path / "c.vqv").read_bytes()
