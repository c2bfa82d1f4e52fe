"""Where chroma samples lie: read of sources, stored, and written, as FFmpeg's own program sees
it."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from support.clips import header, picture, write
from support.media import make

from vqcodec.cli import main
from vqcodec.colour import LOCATIONS
from vqcodec.container.reader import ContainerReader
from vqcodec.media import chroma_siting
from vqcodec.media.source import VideoSource

pytestmark = pytest.mark.usefixtures("fake_network")
NAMES = ["left", "center", "topleft", "top"]
X265 = {"x265-params": "log-level=error"}


def stored(path: Path) -> int:
    return ContainerReader.open(io.BytesIO(path.read_bytes())).header.chroma_location


def around(source: Path, out: Path, *options: str) -> int:
    """Encode and decode by the command line; what the coded file says."""
    coded = out.with_suffix(".vqv")
    assert main(["encode", "-q", str(source), str(coded)]) == 0
    assert main(["decode", "-q", str(coded), str(out), *options]) == 0
    return stored(coded)


def probed(path: Path) -> str:
    """What ffprobe says."""
    run = subprocess.run(
        [
            "ffprobe",
            "-v",
            "error",
            "-select_streams",
            "v",
            "-show_entries",
            "stream=chroma_location",
            "-of",
            "json",
            str(path),
        ],
        capture_output=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(run.stdout)
    return str(result["streams"][0].get("chroma_location", "unspecified"))


@pytest.mark.parametrize(
    "kind, codec, options, name",
    [
        *(
            (*f, n)
            for f in [
                ("a.mkv", "libx264", {}),
                ("a.mp4", "libx265", X265),
                ("a.mkv", "ffv1", {}),
                ("a.webm", "libvpx-vp9", {}),
            ]
            for n in NAMES
        ),
        *(("a.mp4", "libsvtav1", {}, n) for n in ("left", "topleft")),  # AV1 has no others
    ],
)
def test_the_location_comes_back(
    tmp_path: Path, kind: str, codec: str, options: dict[str, str], name: str
) -> None:
    source = make(
        tmp_path / kind, frames=3, codec=codec, options=options | {"chroma_sample_location": name}
    )
    out = tmp_path / f"out{source.suffix}"
    more = ["--vcodec-opts", ":".join(f"{k}={v}" for k, v in options.items())] if options else []
    assert around(source, out, "--vcodec", codec, *more) == LOCATIONS[name]
    with VideoSource(out) as back:
        assert back.chroma_location == LOCATIONS[name]
    if shutil.which("ffprobe") is not None:
        assert probed(source) == probed(out) == name


@pytest.mark.parametrize(
    "tag, location", [("420jpeg", "center"), ("420mpeg2", "left"), ("420paldv", "topleft")]
)
def test_y4m_says_it_in_its_first_line(tmp_path: Path, tag: str, location: str) -> None:
    write(
        tmp_path / "a.y4m",
        header(16, 16, chroma_location=LOCATIONS[location]),
        [picture(16, 16)] * 2,
    )
    assert (tmp_path / "a.y4m").read_bytes().splitlines()[0].endswith(f" C{tag}".encode())
    assert around(tmp_path / "a.y4m", tmp_path / "b.y4m") == LOCATIONS[location]
    assert (tmp_path / "b.y4m").read_bytes() == (tmp_path / "a.y4m").read_bytes()
    around(tmp_path / "a.y4m", tmp_path / "c.mkv")
    if shutil.which("ffprobe") is not None:
        assert probed(tmp_path / "b.y4m") == probed(tmp_path / "c.mkv") == location


def test_what_is_not_told_is_not_made_up(tmp_path: Path) -> None:
    assert (
        around(
            make(tmp_path / "a.mkv", frames=2, codec="ffv1"), tmp_path / "b.mkv", "--vcodec", "ffv1"
        )
        == 0
    )
    with VideoSource(tmp_path / "b.mkv") as back:
        assert back.chroma_location == 0
    # raw pictures have no place in Matroska for it, and names no place at all
    assert (
        chroma_siting.of_y4m(b"YUV4MPEG2 W2 H2 C420p10\nFRAME\n")
        == chroma_siting.of_y4m(b"YUV4MPEG2 W2 H2\n")
        == chroma_siting.of_y4m(b"")
        == 0
    )
    write(tmp_path / "a.y4m", header(16, 16, chroma_location=77), [picture(16, 16)])
    assert b" C420jpeg\n" in (tmp_path / "a.y4m").read_bytes()
    write(tmp_path / "c.mkv", header(16, 16, chroma_location=77), [picture(16, 16)])


@pytest.mark.parametrize(
    "fmt, location",
    [
        ("yuv444p", "center"),
        ("rgb24", "center"),
        ("yuv422p", "left"),
        ("gray", "unknown"),
        ("nv12", "topleft"),
    ],
)
def test_conversions_say_where_they_put_chroma(fmt: str, location: str) -> None:
    told = LOCATIONS["topleft"]
    assert chroma_siting.after_conversion(told, av.VideoFormat(fmt, 16, 16)) == LOCATIONS[location]
    assert chroma_siting.after_conversion(0, av.VideoFormat(fmt, 16, 16)) == (
        LOCATIONS["center"] if location == "center" else 0
    )


@pytest.mark.parametrize("fmt, column", [("yuv444p", 0.5), ("yuv422p", 0)])
def test_swscale_puts_chroma_there(fmt: str, column: float) -> None:
    """Ramps of chroma from left to right and from top to bottom, read where the samples are said to
    be."""
    frame = av.VideoFrame(64, 64, fmt)
    for number, plane in enumerate(frame.planes):
        y, x = np.mgrid[0 : plane.height, 0 : plane.line_size]
        plane.update(
            (x * (64 // plane.width) * 2 if number == 1 else 2 * y).astype(np.uint8).tobytes()
        )
    u, v = (
        np.frombuffer(p, np.uint8).reshape(32, -1)[:, :32].astype(int)
        for p in frame.reformat(format="yuv420p").planes[1:]
    )
    inside = np.arange(4, 28)
    assert np.array_equal(u[16, inside] / 2, 2 * inside + column)
    assert np.array_equal(v[inside, 16] / 2, 2 * inside + 0.5)
