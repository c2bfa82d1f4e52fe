"""The benchmark, with a stand-in of the networks that loses more at a higher crf.

What draws is loaded where it is used: matplotlib takes a second of each worker of the tests."""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import header, moving, picture, write
from support.paths import PYTHONPATH, SUPPORT

from vqcodec import bench
from vqcodec.bench import clip_run, encoders, measure, run, vmaf
from vqcodec.bench.anchors import parse_anchor
from vqcodec.bench.bd_rate import bd_rate
from vqcodec.bench.clips import make_reference
from vqcodec.bench.measured_process import measured
from vqcodec.bench.options import BenchOptions, find_clips, parse_anchors, parse_crfs
from vqcodec.bench.pictures import to_bgr
from vqcodec.bench.records import Point, Results, Speed, curve
from vqcodec.bench.store import Store
from vqcodec.bench.table import as_text
from vqcodec.cli import main
from vqcodec.errors import DamageError, InputError, UsageError, VqvError
from vqcodec.picture import Picture
from vqcodec.psnr import Psnr

PROGRAM = (sys.executable, str(SUPPORT / "lossy.py"))
FRAMES = 5


@pytest.fixture(scope="module", autouse=True)
def _child_path() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PYTHONPATH)
        yield


def options(**changes: Any) -> BenchOptions:
    x264 = replace(parse_anchor("x264"), crfs=(18, 34))
    return BenchOptions(
        **({"anchors": (x264,), "crfs": (4, 30), "threads": 1, "program": PROGRAM} | changes)
    )


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        write(folder / f"{name}.y4m", header(*size), moving(*size, FRAMES, seed))
        for seed, (name, size) in enumerate({"large": (192, 168), "small": (64, 48)}.items())
    ]


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def made(clips: list[Path], store: Store, said: list[str]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip_run, "TRIES", 1)
        yield run.run(clips, options(), store, matched=True, say=said.append)


@pytest.fixture(scope="module")
def results(made: Results) -> dict[str, Any]:
    return made.to_json()


def point(crf: float, bpp: float, psnr: Psnr) -> Point:
    """A point whose other figures do not matter."""
    speed = Speed(1.0, 2.0, 1.0, 1)
    return Point(
        key="", codec="x264-medium", crf=crf, bytes=1, file_bytes=1, bpp=bpp, kbps=1.0,
        psnr_mean_of_frames=psnr, psnr_of_mean_error=psnr, ms_ssim_db=None, vmaf=None,
        blocking=None, flicker=None,
        encode=speed, decode=speed, settings={}, made_by={}, clip="", frames=1, machine="",
        measured="",
    )  # fmt: skip


def test_a_point_comes_back_from_its_line_in_the_cache() -> None:
    before = point(20.5, 0.25, Psnr(30.0, 29.0, 33.0, 33.5))
    line = json.dumps(before.to_json())
    assert json.loads(line)["psnr_of_mean_error"]["(6Y+U+V)/8"] == 30.0
    assert Point.from_json(json.loads(line)) == before


def all_points(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [p for clip in results["clips"] for points in clip["points"].values() for p in points]


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in numbers(v)]
    return [value] if isinstance(value, float) else []


def test_psnr_by_another_formula(tmp_path: Path) -> None:
    """Both means of PSNR against the sums written out, with odd sizes and one frame without
    error."""
    a = [picture(31, 17, i) for i in range(3)]
    rng = np.random.default_rng(5)
    b = [
        Picture(*(np.clip(p + rng.integers(-9, 10, p.shape), 0, 255).astype(np.uint8) for p in x))
        for x in a[:2]
    ] + [a[2]]
    reference = make_reference(
        write(tmp_path / "a.y4m", header(31, 17), a), "a", tmp_path, even=False
    )
    found = measure.compare(reference, write(tmp_path / "b.y4m", header(31, 17), b), "b", keep=1)
    squares = np.array(
        [
            [np.mean((x.astype(float) - y.astype(float)) ** 2) for x, y in zip(p, q, strict=True)]
            for p, q in zip(a, b, strict=True)
        ]
    )
    each = np.array(
        [
            [20 * math.log10(255) - 10 * math.log10(v) if v else 100.0 for v in frame]
            for frame in squares
        ]
    )
    total = [20 * math.log10(255) - 10 * math.log10(v) for v in squares.mean(0)]
    for of, want in ((found.psnr_mean_of_frames, each.mean(0)), (found.psnr_of_mean_error, total)):
        assert of[1:] == pytest.approx(want, abs=1e-6)
        assert of.yuv == pytest.approx((6 * want[0] + want[1] + want[2]) / 8, abs=1e-6)
    # they are not the same thing
    assert found.psnr_mean_of_frames.y > found.psnr_of_mean_error.y + 5
    assert np.array_equal(found.picture.y, b[1].y)
    assert found.ms_ssim_db is None


def test_ten_bits_are_on_the_scale_of_eight(tmp_path: Path) -> None:
    a = picture(32, 16, 1).to10()
    b = Picture(*(p + np.uint16(2) for p in a))
    reference = make_reference(write(tmp_path / "a.y4m", header(32, 16), [a]), "a", tmp_path)
    found = measure.compare(reference, write(tmp_path / "b.y4m", header(32, 16), [b]), "b")
    assert found.psnr_of_mean_error.y == pytest.approx(20 * math.log10(1020 / 2), abs=1e-6)


def test_unequal_frame_counts_are_an_error(tmp_path: Path) -> None:
    pictures = [picture(16, 16, i) for i in range(3)]
    reference = make_reference(write(tmp_path / "a.y4m", header(), pictures), "a", tmp_path)
    for other in (pictures[:2], pictures + pictures[:1]):
        with pytest.raises(DamageError, match=f"3 frames were encoded and {len(other)} decoded"):
            measure.compare(reference, write(tmp_path / "b.y4m", header(), other), "b")
    with pytest.raises(DamageError, match="another size"):
        measure.compare(
            reference, write(tmp_path / "b.y4m", header(16, 18), [picture(16, 18)] * 3), "b"
        )


def test_bd_rate_is_the_package_s() -> None:
    from bjontegaard import bd_rate as package

    anchor, test = (
        [(0.01, 30.0), (0.03, 33.5), (0.08, 36.2), (0.2, 39.9)],
        [(0.012, 31.0), (0.03, 34.0), (0.09, 37.0), (0.25, 41.0)],
    )
    want = package(
        [r for r, _ in anchor],
        [q for _, q in anchor],
        [r for r, _ in test],
        [q for _, q in test],
        method="pchip",
        require_matching_points=False,
        min_overlap=0,
    )
    assert bd_rate(anchor[::-1], test).percent == pytest.approx(want, abs=1e-6)
    assert abs(want) > 1
    # the same curve with a tenth fewer bits, where the answer is known
    assert bd_rate(anchor, [(0.9 * r, q) for r, q in anchor]).percent == pytest.approx(
        -10, abs=1e-6
    )


def test_bd_rate_undefined() -> None:
    rising = [(0.01, 30.0), (0.03, 33.0), (0.1, 36.0)]
    for anchor, test, reason in (
        (rising, [(0.01, 40.0), (0.03, 43.0)], "too little quality in common"),
        (rising, [(0.01, 35.5), (0.03, 43.0)], "too little quality in common"),
        (rising, [(0.01, 30.0), (0.03, 29.0), (0.1, 36.0)], "doesn't rise"),
        ([(0.01, 30.0), (0.01, 31.0)], rising, "doesn't rise"),
        (rising, [(0.01, 30.0), (0.03, None)], "fewer than two points"),
    ):
        value = bd_rate(anchor, test)
        assert value.percent is None
        assert reason in value.reason


def test_anchors_reach_for_our_qualities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points are added at the ends while curves have too little in common, and no others."""

    def made(crf: float, offset: float = 0.0) -> Point:
        planes = Psnr(*(60 - 0.5 * crf + offset,) * 4)
        return point(crf=crf, bpp=2.0 ** (-crf / 6), psnr=planes)

    anchor = parse_anchor("x264")
    of_clip = object.__new__(clip_run.ClipRun)
    monkeypatch.setattr(of_clip, "anchor", lambda a, crf: made(crf), raising=False)
    points = [made(crf) for crf in anchor.crfs]
    for offset, want in (
        (0, []),
        (-12, [45, 50]),
        (-19, [45, 50, 51]),
        (14, [5, 10, 15]),
        (60, [1, 5, 10, 15]),
    ):
        ours = [made(crf, offset) for crf in (20, 30, 40)]
        found = of_clip.reaching(anchor, points, ours)
        assert sorted({p.crf for p in found} - set(anchor.crfs)) == want, offset
        assert [p.crf for p in found] == sorted(p.crf for p in found)


def test_rate_is_matched_along_the_curve() -> None:
    points = ((20, 0.8), (30, 0.2), (40, 0.05))
    curve = [clip_run.RatePoint(*p) for p in points]  # a factor of four in ten steps
    assert clip_run.crf_for_rate(curve, 0.1) == pytest.approx(35)
    assert clip_run.crf_for_rate(curve, 0.4) == pytest.approx(25)
    assert clip_run.crf_for_rate(curve, 1.6) == pytest.approx(15)
    assert clip_run.crf_for_rate(curve, 0.025) == pytest.approx(45)


def test_what_is_measured(
    clips: list[Path], made: Results, results: dict[str, Any], store: Store, said: list[str]
) -> None:
    assert [c["name"] for c in results["clips"]] == ["large", "small"]
    assert len(all_points(results)) == 8
    for clip in results["clips"]:
        pixels = clip["width"] * clip["height"] * FRAMES
        for p in clip["points"]["vqcodec"] + clip["points"]["x264-medium"]:
            assert p["bpp"] == pytest.approx(8 * p["bytes"] / pixels)
            assert p["kbps"] == pytest.approx(8 * p["bytes"] * 25 / FRAMES / 1000)
            assert p["encode"]["peak_bytes"] > 2**20
            assert p["decode"]["seconds"] > 0
            assert p["frames"] == FRAMES
            assert (p["ms_ssim_db"] is None) == (clip["name"] == "small")
            assert store.picture_path(p["key"]).is_file()
        for points in clip["points"].values():
            assert points[0]["bpp"] > points[1]["bpp"]
            assert points[0]["psnr_of_mean_error"]["Y"] > points[1]["psnr_of_mean_error"]["Y"]
        bd = clip["bd_rate"]["x264-medium"]["psnr"]["percent"]
        points = next(of.points for of in made.clips if of.name == clip["name"])
        curves = [curve(points[codec], "psnr") for codec in ("x264-medium", "vqcodec")]
        assert bd == bd_rate(*curves).percent
    assert all(math.isfinite(n) for n in numbers(results))
    json.dumps(results, allow_nan=False)
    assert sum(bool(re.match(r"\[\d+/8\]", s)) for s in said) == 8
    assert any("only 5 frames" in s for s in said)
    assert results["settings"]["anchors"][0]["options"]["tune"] == "psnr"
    assert results["versions"]["av"]


def test_bytes_are_those_on_disk(
    clips: list[Path], results: dict[str, Any], tmp_path: Path
) -> None:
    """The same commands by hand give the same sizes and the same PSNR."""
    import av

    point = results["clips"][0]["points"]["vqcodec"][1]
    coded, decoded = tmp_path / "a.vqv", tmp_path / "a.y4m"
    for args in (
        ["encode", str(clips[0]), str(coded), "-crf", "30", "-q"],
        ["decode", str(coded), str(decoded), "-q"],
    ):
        subprocess.run([*PROGRAM, *args], check=True)
    assert coded.stat().st_size == point["bytes"] == point["file_bytes"]
    planes = []
    for path in (clips[0], decoded):
        with av.open(str(path)) as c:
            planes.append(np.stack([f.to_ndarray()[:168] for f in c.decode(video=0)]).astype(float))
    assert 20 * math.log10(255) - 10 * math.log10(
        np.mean((planes[0] - planes[1]) ** 2)
    ) == pytest.approx(point["psnr_of_mean_error"]["Y"], abs=1e-6)


def test_anchor_s_bytes_and_settings(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An anchor's bytes are those of the packets in its file, which says with what settings it was
    made. (x264 doesn't give the same bytes each time.)"""
    import av

    unlink = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda self, *args: None if self.suffix == ".mkv" else unlink(self, *args)
    )
    reference = make_reference(clips[0], "large", tmp_path)
    coded = encoders.AnchorCodec(reference, parse_anchor("x264"), options(), tmp_path).run(
        18, tmp_path / "decoded.y4m"
    )
    target = tmp_path / "anchor.mkv"
    with av.open(str(target)) as c:
        packets = [p.size for p in c.demux(video=0) if p.size]
    # in Matroska each NAL unit begins with its length in 4 bytes, where x264 writes start codes of
    # 3 or 4
    assert len(packets) == FRAMES
    assert 0 <= sum(packets) - coded.bytes <= 2 * FRAMES
    assert coded.file_bytes == target.stat().st_size > sum(packets)
    data = target.read_bytes()
    assert all(
        setting in data
        for setting in (
            b"crf=18.0",
            b"subme=7",
            b"rc_lookahead=40",
            b"psy=0",
            b"aq=1:0.00",
            b"threads=1 ",
        )
    )
    # what the decoder wrote is what another reader of the file sees
    with av.open(str(target)) as c, av.open(str(tmp_path / "decoded.y4m")) as d:
        pairs = list(zip(c.decode(video=0), d.decode(video=0), strict=True))
        assert len(pairs) == FRAMES
        assert all(np.array_equal(x.to_ndarray(), y.to_ndarray()) for x, y in pairs)


def test_vmaf(clips: list[Path], results: dict[str, Any]) -> None:
    if vmaf.find_ffmpeg() is None:
        pytest.skip("no FFmpeg with libvmaf (package imageio-ffmpeg)")
    better, worse = (p["vmaf"] for p in results["clips"][0]["points"]["x264-medium"])
    assert 0 <= worse < better <= 100
    same = vmaf.vmaf(clips[0], clips[0], FRAMES, 1)
    assert same is not None
    assert same > 95
    assert vmaf.version()
    with pytest.raises(DamageError, match=f"{FRAMES} frames of 9"):
        vmaf.vmaf(clips[0], clips[0], 9, 1)


def test_second_run_measures_nothing(
    clips: list[Path], results: dict[str, Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(command: Any) -> Any:
        raise AssertionError(command)

    monkeypatch.setattr(clip_run, "TRIES", 1)
    monkeypatch.setattr(encoders, "measured", forbidden)
    monkeypatch.setattr(vmaf, "vmaf", forbidden)
    said: list[str] = []
    again = run.run(clips, options(), Store(store.folder), matched=True, say=said.append)
    assert again.to_json()["clips"] == results["clips"]
    assert sum("from the cache" in s for s in said) >= 8
    # other settings, frames, or the wish to measure anew are no hits
    for changed in (
        options(threads=2),
        options(frames=FRAMES - 1),
        options(fresh=True),
        options(anchors=(replace(parse_anchor("x264:slow"), crfs=(18, 34)),)),
    ):
        with pytest.raises(AssertionError, match="encode"):
            run.run(clips, changed, Store(store.folder))


def test_goes_on_where_it_was_stopped(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is stopped after three points measures the others only, the one whose line was cut
    off among them."""
    done: list[tuple[str, int]] = []

    def coded(self: Any, crf: int, decoded: Path) -> encoders.Coded:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append((self._reference.name, crf))
        shutil.copy(self._reference.path, decoded)
        work = Speed(1.0, 2.0, 1.0, 1)
        return encoders.Coded(1000 + crf, 1000 + crf, work, work)

    monkeypatch.setattr(encoders.VqcodecCodec, "run", coded)
    plain, cache = options(anchors=()), tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        run.run(clips, plain, Store(cache))
    lines = (cache / "points.jsonl").read_text()
    assert lines.count("\n") == 3
    assert done == [("large", 4), ("large", 30), ("small", 4)]
    (cache / "points.jsonl").write_text(lines[:-40])
    done.clear()
    found = run.run(clips, plain, Store(cache))
    assert done == [("small", 4), ("small", 30)]
    assert [p["bytes"] for p in all_points(found.to_json())] == [1004, 1030] * 2
    assert len((cache / "points.jsonl").read_text().splitlines()) == 5
    assert len(Store(cache)._records) == 4
    # points of lossless results have 100 dB, no infinity, and their curve no BD-rate
    assert all(p["psnr_of_mean_error"]["Y"] == 100 for p in all_points(found.to_json()))


def test_failures_say_which(clips: list[Path], tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    broken = options(
        anchors=(),
        program=(
            sys.executable,
            "-c",
            "import sys; print('the reason', file=sys.stderr); sys.exit(9)",
        ),
    )
    with pytest.raises(
        VqvError, match="encoding large: vqcodec at crf 4 failed with code 9: the reason"
    ):
        run.run(clips[:1], broken, store)
    unknown = replace(parse_anchor("x264"), options=(("nonsense", "1"),))
    with pytest.raises(
        VqvError, match="encoding large: x264-medium at crf 20 failed.*no option nonsense"
    ):
        run.run(clips[:1], options(anchors=(unknown,)), store)
    odd = write(tmp_path / "odd.y4m", header(15, 16), [picture(15, 16)])
    with pytest.raises(UsageError, match="even sizes"):
        run.run([odd], options(), store)


def test_memory_is_the_command_s_own() -> None:
    """A small process that a large one starts has a small peak."""
    held = np.ones(40 << 20, np.uint8)
    small = measured([sys.executable, "-S", "-c", "pass"])
    large = measured([sys.executable, "-S", "-c", "x = b'1' * (60 << 20)"])
    assert small.code == 0
    assert small.peak < 40 << 20 < held.size + 1
    assert large.peak > 60 << 20
    assert measured([sys.executable, "-c", "import sys; print('a'); sys.exit(3)"])[2:4] == (
        3,
        "a\n",
    )


def test_an_interrupt_ends_what_was_started(tmp_path: Path) -> None:
    number = tmp_path / "pid"

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    def wait(condition: Any) -> None:
        end = time.monotonic() + 30
        while not condition() and time.monotonic() < end:
            time.sleep(0.02)

    def stop_when_running() -> None:
        wait(lambda: number.exists() and number.read_text().strip())
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, stop)
    thread = threading.Thread(target=stop_when_running)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            measured(["sh", "-c", f"echo $$ > '{number}'; sleep 60"])
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)

    def gone() -> bool:
        return not Path(f"/proc/{int(number.read_text())}").exists()

    if Path("/proc/self").exists():
        wait(gone)
        assert gone()


def test_anchors_and_options() -> None:
    x264, x265, svt = parse_anchors("x264,x265:slow, svtav1:4")
    assert (x264.name, x265.name, svt.name) == ("x264-medium", "x265-slow", "svtav1-p4")
    assert x265.all_options(22.5, 3) == {
        "preset": "slow",
        "tune": "psnr",
        "x265-params": "log-level=none:pools=3",
        "crf": "22.5",
    }
    assert svt.all_options(30, 0) == {"preset": "4", "svtav1-params": "tune=1", "crf": "30"}
    assert parse_anchors("none") == ()
    assert parse_crfs("44, 14") == (14, 44)
    for text in ("x266", "x264:nice", "x264,", ""):
        with pytest.raises(UsageError, match="anchors"):
            parse_anchors(text)
    for make in (
        lambda: parse_crfs("1,a"),
        lambda: BenchOptions(crfs=(20,)),
        lambda: BenchOptions(crfs=(20, 64)),
        lambda: BenchOptions(crfs=(2, 2, 3)),
    ):
        with pytest.raises(UsageError, match="crf"):
            make()
    with pytest.raises(UsageError, match="twice"):
        BenchOptions(anchors=(x264, x264))


def test_folders_of_clips(clips: list[Path], tmp_path: Path) -> None:
    assert find_clips((str(clips[0].parent), str(clips[1]))) == clips
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match="no video in this folder"):
        find_clips((str(tmp_path),))


def call(*args: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        code = main(list(args))
    return code, out.getvalue(), err.getvalue()


def test_refusals(clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there.json"
    there.write_text("x")
    for args, code, text in (
        ([], 2, "CLIPS"),
        (["--anchors", "vp9"], 2, "allowed are x264, x265, svtav1"),
        (["--json", str(there)], 5, "exists already"),
        (["--plot", str(tmp_path / "a.gif")], 2, ".png and .svg"),
        (["--html", str(tmp_path / "a"), "--json", str(tmp_path / "a")], 2, "files of their own"),
        (["-crf", "20"], 2, "curve"),
    ):
        got, _, err = call(
            "bench", *([str(clips[0])] if args else []), *args, monkeypatch=monkeypatch
        )
        assert got == code, err
        assert text in err, err
    monkeypatch.setitem(bench._NEEDED, "no_such_module", "no-such-package")
    got, _, err = call("bench", str(clips[0]), monkeypatch=monkeypatch)
    assert got == 2
    assert "needs no-such-package: pip install 'vqcodec[bench]'" in err


def test_command(
    clips: list[Path],
    made: Results,
    results: dict[str, Any],
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command writes what the library gives, from the cache; the table goes to standard
    output."""
    monkeypatch.setattr(clip_run, "TRIES", 1)
    monkeypatch.setattr("vqcodec.bench.options.parse_anchors", lambda text: options().anchors)
    monkeypatch.setattr(
        "vqcodec.bench.options.BenchOptions",
        lambda *args: replace(BenchOptions(*args), program=PROGRAM),
    )
    html, js, plot = (tmp_path / f"report.{kind}" for kind in ("html", "json", "svg"))
    args = [
        "bench",
        *map(str, clips),
        "-crf",
        "30,4",
        "-threads",
        "1",
        "--cache",
        str(store.folder),
    ]
    code, out, err = call(
        *args, "--json", str(js), "--html", str(html), "--plot", str(plot), monkeypatch=monkeypatch
    )
    assert code == 0, err
    found = json.loads(js.read_text())
    assert found["clips"] == results["clips"]
    assert found["summary"] == results["summary"]
    assert out.strip() == as_text(made)
    assert "[1/8]" in err
    assert html.read_text().startswith("<!doctype html>")
    assert plot.read_text().startswith("<?xml")
    code, out, err = call(*args, "--json", "-", "-q", monkeypatch=monkeypatch)
    assert code == 0
    assert err == ""
    assert json.loads(out)["summary"] == results["summary"]


def test_table(made: Results, results: dict[str, Any]) -> None:
    text = as_text(made)
    p = results["clips"][0]["points"]["vqcodec"][0]
    row = next(line for line in text.splitlines() if line.startswith("vqcodec"))
    assert row.split()[1:6] == [
        "4",
        str(p["bytes"]),
        f"{p['bpp']:.4f}",
        f"{p['psnr_mean_of_frames']['(6Y+U+V)/8']:.2f}",
        f"{p['psnr_of_mean_error']['(6Y+U+V)/8']:.2f}",
    ]
    small = next(
        line for line in text.splitlines() if line.startswith("small") and "x264-medium" in line
    )
    assert small.split()[2:4] == [
        f"{results['clips'][1]['bd_rate']['x264-medium']['psnr']['percent']:+.1f}",
        "%",
    ]
    assert "undefined" in small


def test_plots(made: Results) -> None:
    from vqcodec.bench.plots import draw

    assert draw(made, "png").startswith(b"\x89PNG")
    drawn = draw(made, "svg")
    assert drawn == draw(made, "svg")
    assert drawn == draw(made.to_json(), "svg")  # as a file of --json has it
    svg = drawn.decode()
    assert all(
        name in svg for name in ("large", "small", "vqcodec", "x264-medium", "bits per pixel")
    )


def test_report_holds_everything(made: Results, results: dict[str, Any], store: Store) -> None:
    from vqcodec.bench.report import page

    html = page(made, store)
    markup = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert not re.search(r"""(?:src|href|action)\s*=\s*["']?(?!data:|#)[^"'\s>]""", markup)
    assert "@import" not in html
    assert "url(http" not in html
    text = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    bd = results["clips"][0]["bd_rate"]["x264-medium"]["psnr"]["percent"]
    for wanted in (
        "large",
        "small",
        "x264-medium",
        f"{bd:+.1f} %",
        "undefined",
        "tune=psnr",
        "preset=medium",
        results["versions"]["av"],
        results["machine"],
        "(6Y+U+V)/8",
        "mean error",
    ):
        assert wanted in text, wanted
    assert text.count("<svg") >= 3
    assert len(set(re.findall(r'<svg[^>]*aria-label="([^"]*)"', text))) >= 2
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    data = json.loads(re.search(r'id="data">(.*?)</script>', html, re.S)[1])  # type: ignore[index]
    sides = data["clips"][0]["qualities"][1]["sides"]
    assert [s["name"] for s in sides] == [
        "original",
        "vqcodec",
        "x264-medium",
    ]
    assert "% bits" in sides[2]["text"] + "% bits" * ("equal" in sides[2]["text"])
    assert all(data["pictures"][s["picture"]].startswith("data:image/webp;base64,") for s in sides)
    # the matched points are nearer to the rate than the curve's, or as near
    for clip in results["clips"]:
        for ours, others in zip(clip["points"]["vqcodec"], clip["matched"], strict=True):

            def off(p: dict[str, Any], ours: dict[str, Any] = ours) -> float:
                return abs(math.log(p["bpp"] / ours["bpp"]))

            assert off(others["x264-medium"]) <= min(map(off, clip["points"]["x264-medium"]))


@pytest.mark.parametrize(
    "width, height, tag, meant",
    [(1280, 720, 2, 1), (64, 48, 2, 6), (64, 48, 1, 1), (64, 48, 9, 9), (64, 48, 14, 6)],
)
def test_frames_are_shown_in_the_colours_that_are_meant(
    tmp_path: Path, width: int, height: int, tag: int, meant: int
) -> None:
    """Of a clip that doesn't tell its matrix too, as everywhere in the program; ICtCp has none, and
    is shown like an untagged one."""
    flat = Picture(
        *(
            np.full(shape, n, np.uint8)
            for shape, n in (
                ((height, width), 120),
                ((height // 2, width // 2), 90),
                ((height // 2, width // 2), 170),
            )
        )
    )
    clip = write(tmp_path / "a.mkv", header(width, height, matrix=tag), [flat], vcodec="ffv1")
    shown = to_bgr(flat, make_reference(clip, "a", tmp_path))
    kr, kb = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}[meant]
    y, u, v = (120 - 16) / 219, (90 - 128) / 224, (170 - 128) / 224
    r, b = y + 2 * (1 - kr) * v, y + 2 * (1 - kb) * u
    want = [255 * b, 255 * (y - kr * r - kb * b) / (1 - kr - kb), 255 * r]
    assert shown.shape == (height, width, 3)
    assert np.abs(shown[height // 2, width // 2] - want).max() < 0.52


def test_names_are_escaped(made: Results, store: Store) -> None:
    from vqcodec.bench.report import page

    odd = "</script><b>&'\""
    html = page(replace(made, clips=[replace(made.clips[0], name=odd)]), store)
    assert odd not in html
    assert "<b>&'" not in html
