"""Frame rates and colour tags that the user gives: -r of encode and decode, -color_primaries and
its kin."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.filter
import numpy as np
import pytest
from support.clips import header, picture, same, write
from support.media import Sound, make
from support.paths import PYTHONPATH

from vqcodec import colour
from vqcodec.cli import main
from vqcodec.errors import LimitError, UsageError
from vqcodec.media.source import VideoSource
from vqcodec.options import DecodeOptions, EncodeOptions
from vqcodec.parsing import parse_rate
from vqcodec.picture import Picture
from vqcodec.pipeline.constant_rate import at_rate

pytestmark = pytest.mark.usefixtures("fake_network")
PICTURES = [picture(16, 16, i) for i in range(10)]


def described(path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert main(["info", "--json", str(path)]) == 0
    return json.loads(capsys.readouterr().out)


def shown(path: Path) -> list[tuple[Fraction, int]]:
    """Times in seconds, and which of PICTURES each frame is."""
    with VideoSource(path) as source:
        return [
            (pts * source.time_base, next(i for i, q in enumerate(PICTURES) if same(p, q)))
            for pts, p in source
        ]


@pytest.mark.parametrize(
    "text, rate",
    [
        ("25", 25),
        ("29.97", Fraction(2997, 100)),
        ("30000/1001", Fraction(30000, 1001)),
        ("24000:1001", Fraction(24000, 1001)),
        ("ntsc", Fraction(30000, 1001)),
        ("0.5", Fraction(1, 2)),
    ],
)
def test_rates_are_exact(text: str, rate: Any) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    "text", ["", "0", "-25", "25/0", "0/5", "x", "1e3", "25 fps", "9" * 30, "nan"]
)
def test_other_rates_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="allowed"):
        parse_rate(text)
    for make_options in (EncodeOptions, DecodeOptions):
        with pytest.raises(UsageError, match="allowed"):
            make_options(rate=Fraction(10**6))


def test_encode_replaces_a_wrong_rate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "a.y4m", header(16, 16), PICTURES)
    for name, args in (
        ("whole", []),
        ("cut", ["-ss", "3f", "-t", "4f"]),
        ("seconds", ["-ss", "0.1"]),
    ):
        assert (
            main(["encode", str(source), str(tmp_path / f"{name}.vqv"), "-r", "30000/1001", *args])
            == 0
        )
        assert (
            main(
                [
                    "decode",
                    str(tmp_path / f"{name}.vqv"),
                    str(tmp_path / f"{name}.mkv"),
                    "--vcodec",
                    "ffv1",
                ]
            )
            == 0
        )
    d = described(tmp_path / "whole.vqv", capsys)
    assert d["rate"] == "30000/1001"
    assert d["time_base"] == "1001/30000"
    assert d["frames"] == 10
    assert d["seconds"] == pytest.approx(10 * 1001 / 30000, abs=1e-6)
    times = shown(tmp_path / "whole.mkv")
    assert [i for _, i in times] == list(range(10))
    assert all(abs(t - i * Fraction(1001, 30000)) <= Fraction(1, 1000) for t, i in times)
    assert [i for _, i in shown(tmp_path / "cut.mkv")] == [3, 4, 5, 6]
    assert [i for _, i in shown(tmp_path / "seconds.mkv")] == [
        3,
        4,
        5,
        6,
        7,
        8,
        9,
    ]  # frame 3 is the first at or behind 0.1 s


def test_encode_replaces_the_rate_of_a_pipe(tmp_path: Path) -> None:
    source = write(tmp_path / "a.y4m", header(16, 16), PICTURES)
    code = (
        "import sys\nfrom support import fakes\nfakes.install(fakes.Lasting())\n"
        "from vqcodec.cli import main\nsys.exit(main())\n"
    )
    out = tmp_path / "a.vqv"
    subprocess.run(
        [sys.executable, "-c", code, "encode", "-q", "-", str(out), "-r", "10"],
        input=source.read_bytes(),
        check=True,
        env={"PYTHONPATH": PYTHONPATH},
    )
    assert main(["decode", "-q", str(out), str(tmp_path / "b.mkv"), "--vcodec", "ffv1"]) == 0
    assert shown(tmp_path / "b.mkv") == [(Fraction(i, 10), i) for i in range(10)]


def test_encode_gives_uneven_times_a_rate(tmp_path: Path) -> None:
    uneven = [0, 40, 90, 700, 710, 720, 900, 901, 902, 2000]
    source = write(tmp_path / "a.mkv", header(16, 16), PICTURES, uneven, vcodec="ffv1")
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv"), "-r", "20"]) == 0
    assert (
        main(["decode", "-q", str(tmp_path / "a.vqv"), str(tmp_path / "b.mkv"), "--vcodec", "ffv1"])
        == 0
    )
    assert shown(tmp_path / "b.mkv") == [(Fraction(i, 20), i) for i in range(10)]


def test_another_rate_does_not_part_sound_from_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make(tmp_path / "a.mkv", sounds=(Sound(),), chapters=True)
    assert main(["encode", str(source), str(tmp_path / "a.vqv"), "-r", "30"]) == 2
    assert "-map v" in capsys.readouterr().err
    assert not (tmp_path / "a.vqv").exists()
    for i, args in enumerate((["-an"], ["-map", "v"])):
        assert main(["encode", str(source), str(tmp_path / f"{i}.vqv"), "-r", "30", *args]) == 0
        assert "chapters are left out" in capsys.readouterr().err
        d = described(tmp_path / f"{i}.vqv", capsys)
        assert d["rate"] == "30/1"
        assert not d["chapters"]
        assert not d["tracks"]


@pytest.mark.parametrize(
    "rate, want",
    [
        ("50", [i // 2 for i in range(20)]),
        ("25", list(range(10))),
        ("12.5", [0, 2, 4, 6, 8]),
        ("5", [2, 7]),
    ],
)
def test_decode_at_a_rate(
    tmp_path: Path, rate: str, want: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "a.mkv", header(16, 16), PICTURES, vcodec="ffv1")
    assert main(["encode", "-q", str(source), str(tmp_path / "a.vqv")]) == 0
    assert main(["decode", str(tmp_path / "a.vqv"), str(tmp_path / "b.y4m"), "-r", rate]) == 0
    assert (" became " in capsys.readouterr().err) == (len(want) != 10)
    got = shown(tmp_path / "b.y4m")
    assert [t for t, _ in got] == [k / Fraction(rate) for k in range(len(want))]
    assert [i for _, i in got] == want


def ffmpegs(name: str, options: str, fmt: str) -> av.filter.Graph:
    """A filter of FFmpeg's, for pictures of 16x16 with times in milliseconds."""
    graph = av.filter.Graph()
    source = graph.add_buffer(
        width=16, height=16, format=av.VideoFormat(fmt), time_base=Fraction(1, 1000)
    )
    graph.link_nodes(source, graph.add(name, options), graph.add("buffersink")).configure()
    return graph


def ticks(times: list[int], rate: Fraction, base: Fraction, step: int) -> list[tuple[int, int]]:
    frames: Iterator[tuple[int, int, Picture]] = ((t, 0, PICTURES[i]) for i, t in enumerate(times))
    return [
        (pts, next(i for i, q in enumerate(PICTURES) if p is q))
        for pts, _, p in at_rate(frames, base, rate, step, 1000)
    ]


def test_frames_move_to_the_nearest_tick_as_with_ffmpeg() -> None:
    rng = np.random.default_rng(5)
    for rate in (Fraction(25), Fraction(10), Fraction(60), Fraction(30000, 1001), Fraction(7, 3)):
        times = [0, *np.cumsum(rng.integers(5, 200, 9)).tolist()]
        graph = ffmpegs("fps", f"{rate.numerator}/{rate.denominator}", "gray")
        for i, t in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16), i, np.uint8), "gray")
            frame.pts, frame.time_base = t, Fraction(1, 1000)
            graph.push(frame)
        graph.push(None)
        want = []
        while True:
            try:
                out: Any = graph.pull()
            except (EOFError, BlockingIOError, av.FFmpegError):
                break
            want.append((out.pts, int(out.to_ndarray()[0, 0])))
        got = ticks(times, rate, Fraction(1, 1000), 40)
        assert got[: len(want) - 1] == want[:-1]
        assert len(want) >= 2


def test_a_gap_does_not_become_endless_frames() -> None:
    with pytest.raises(LimitError, match="`rate`"):
        ticks([0, 1 << 60], Fraction(25), Fraction(1, 1000), 40)
    assert len(ticks([0], Fraction(25), Fraction(1, 1000), 1 << 60)) == 1000


def test_colour_tags_of_y4m(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = write(tmp_path / "a.y4m", header(16, 16), PICTURES), tmp_path / "a.vqv"
    tags = [
        "-color_primaries",
        "bt2020",
        "-color_trc",
        "smpte2084",
        "-colorspace",
        "bt2020nc",
        "-color_range",
        "limited",
    ]
    assert main(["encode", "-q", str(source), str(out), *tags]) == 0
    got = described(out, capsys)["colour"]
    assert (got["primaries"], got["transfer"], got["matrix"], got["range"]) == (9, 16, 9, 1)
    assert main(["info", str(out)]) == 0
    assert (
        "primaries bt2020, transfer smpte2084, matrix bt2020nc, range tv" in capsys.readouterr().out
    )
    assert main(["decode", "-q", str(out), str(tmp_path / "b.mkv")]) == 0
    with VideoSource(tmp_path / "b.mkv") as decoded:
        assert (decoded.primaries, decoded.transfer, decoded.matrix, decoded.range) == (9, 16, 9, 1)


def test_colour_tags_replace_only_what_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = make(tmp_path / "a.mkv", colour=(1, 1, 1, 1)), tmp_path / "a.vqv"
    assert main(["encode", "-q", str(source), str(out), "-color_trc", "hlg"]) == 0
    got = described(out, capsys)["colour"]
    assert (got["primaries"], got["transfer"], got["matrix"], got["range"]) == (1, 18, 1, 1)
    assert main(["encode", str(source), str(out), "-y", "-color_trc", "bt7"]) == 2
    assert "allowed are bt709" in capsys.readouterr().err


def test_colour_tags_of_rgb_are_those_of_the_conversion(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = make(tmp_path / "a.mkv", codec="ffv1", fmt="bgr0"), tmp_path / "a.vqv"
    assert main(["encode", str(source), str(out), "-colorspace", "bt709"]) == 2
    assert "leave out -colorspace" in capsys.readouterr().err
    assert main(["encode", "-q", str(source), str(out), "-color_primaries", "bt709"]) == 0


def test_names_of_colours_are_those_of_this_ffmpeg() -> None:
    """Each name is accepted by FFmpeg's own setparams filter, and stands for the same number
    there."""
    for names, option, attribute in (
        (colour.PRIMARIES, "color_primaries", "color_primaries"),
        (colour.TRANSFERS, "color_trc", "color_trc"),
        (colour.MATRICES, "colorspace", "colorspace"),
        (colour.RANGES, "range", "color_range"),
    ):
        for name, number in names.items():
            graph = ffmpegs(
                "setparams",
                f"{option}={ {'gamma22': 'bt470m', 'gamma28': 'bt470bg'}.get(name, name) }",
                "yuv420p",
            )
            frame = av.VideoFrame(16, 16, "yuv420p")
            frame.pts = 0
            graph.push(frame)
            out: Any = graph.pull()
            assert int(getattr(out, attribute)) == number, (option, name)
            assert colour.number(names, name, "-x") == number
            assert colour.name(names, number) == name
