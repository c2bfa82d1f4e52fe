from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import media
from support.clips import header, picture, same, write
from support.coded_clips import flip, frames, reader, scene
from support.paths import files_in

from vqcodec.cli import main
from vqcodec.cli.info_text import as_text, curve
from vqcodec.encoding.scene_cuts import GopCutter, SceneDetector
from vqcodec.errors import DamageError, InputError, OutputError, UsageError, WeightsError
from vqcodec.options import DecodeOptions, EncodeOptions, Time
from vqcodec.picture import Picture, gray
from vqcodec.pipeline.decode import decode
from vqcodec.pipeline.encode import encode
from vqcodec.reading.bit_budget import Budget, as_lines, by_level, frame_line
from vqcodec.reading.file_info import FileInfo
from vqcodec.reading.gop_times import lost_times
from vqcodec.reading.info import describe
from vqcodec.reading.lost_frames import blend
from vqcodec.reading.verify import verify
from vqcodec.system.ahead import read_ahead

pytestmark = pytest.mark.usefixtures("fake_network")


def test_gops_end_at_scene_cuts(tmp_path: Path, scene_clip: Path, fake_network: Any) -> None:
    report = encode(str(scene_clip), str(tmp_path / "a.vqv"))
    assert fake_network.log == [[1, 19], [1, 29], [1, 4]]
    assert report.frames == 55
    assert report.gops == 3
    assert report.corrupt == 0
    assert report.bytes == (tmp_path / "a.vqv").stat().st_size
    assert report.sse[0] == pytest.approx(55 * 100.4)
    assert [e.count for e in reader(tmp_path / "a.vqv").gops] == [20, 30, 5]


def test_a_gop_lasts_until_the_next_begins(
    tmp_path: Path, scene_clip: Path, fake_network: Any
) -> None:
    """Also where the cutter looks ahead: the picture behind a GOP is not the one that came last."""
    encode(scene_clip, tmp_path / "a.vqv", EncodeOptions(gop=10))
    there = reader(tmp_path / "a.vqv")
    gops = [there.read_gop(i) for i in range(len(there.gops))]
    assert len(gops) > 3
    assert [g.pts[-1] + g.duration for g in gops[:-1]] == [g.pts[0] for g in gops[1:]]


@pytest.mark.parametrize(
    ("longest", "counts"),
    [(1, [1] * 55), (10, [10, 10, 10, 10, 10, 5]), (17, [17, 3, 17, 13, 5]), (20, [20, 20, 10, 5])],
)
def test_longest_gop(
    tmp_path: Path,
    scene_clip: Path,
    fake_network: Any,
    longest: int,
    counts: list[int],
) -> None:
    encode(str(scene_clip), str(tmp_path / "a.vqv"), EncodeOptions(gop=longest))
    assert [sum(g) for g in fake_network.log] == counts
    assert all(g[0] == 1 and all(1 <= m <= 32 for m in g) for g in fake_network.log)


@pytest.mark.parametrize("total", [1, 2, 16, 17, 18, 33, 34, 128, 129, 130])
def test_cutter_gives_every_frame_once(total: int) -> None:
    cutter = GopCutter(128)
    out = [item for i in range(total) for item in cutter.push(i, gray(4, 4))] + cutter.flush()
    assert [pts for pictures, _ in out for pts, _ in pictures] == list(range(total))
    assert out[-1][1]
    assert sum(ends for _, ends in out) == (total + 127) // 128


def test_cuts_keep_their_distance_and_noise_is_no_cut() -> None:
    flicker = [
        Picture(np.full((20, 20), 255 * (i % 2), np.uint8), *gray(20, 20, False)[1:])
        for i in range(60)
    ]
    cuts = cuts_of(flicker)
    assert all(b - a >= 4 for a, b in pairwise(cuts))
    assert len(cuts) <= 1
    assert not cuts_of([picture(64, 64, i) for i in range(30)])
    assert not cuts_of(scene(1, 60))


def cuts_of(pictures: list[Picture]) -> list[int]:
    detector = SceneDetector()
    verdicts = [v for p in pictures for v in detector.push(p)] + detector.flush()
    return [i for i, v in enumerate(verdicts) if v.cut]


def test_round_trip(tmp_path: Path, scene_clip: Path, scene_coded: Path) -> None:
    report = decode(str(scene_coded), str(tmp_path / "out.mkv"), DecodeOptions(vcodec="ffv1"))
    assert report.ok
    assert report.frames == 55
    assert report.concealed == 0
    want, got = frames(scene_clip), frames(tmp_path / "out.mkv")
    assert [t for t, _ in got] == [t for t, _ in want]
    assert all(same(a, b) for (_, a), (_, b) in zip(want, got, strict=True))
    assert verify(str(scene_coded)).ok
    assert verify(str(scene_coded), fast=True).ok


@pytest.mark.parametrize("size", [(1, 1), (3, 5)])
def test_small_and_ten_bit(tmp_path: Path, size: tuple[int, int]) -> None:
    source = write(
        tmp_path / "in.y4m", header(*size), [picture(*size, i, ten_bit=True) for i in range(3)]
    )
    encode(str(source), str(tmp_path / "a.vqv"))
    decode(str(tmp_path / "a.vqv"), str(tmp_path / "out.y4m"))
    assert all(
        same(a, b)
        for (_, a), (_, b) in zip(frames(source), frames(tmp_path / "out.y4m"), strict=True)
    )


def test_variable_times_are_kept(tmp_path: Path) -> None:
    times = [0, 40, 45, 300, 301, 1000]
    source = write(
        tmp_path / "in.mkv",
        header(16, 16),
        [picture(16, 16, i) for i in range(6)],
        times,
        vcodec="ffv1",
    )
    encode(str(source), str(tmp_path / "a.vqv"))
    decode(str(tmp_path / "a.vqv"), str(tmp_path / "out.mp4"))
    assert [t for t, _ in frames(tmp_path / "out.mp4")] == [Fraction(t, 1000) for t in times]


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (Time(frames=25), None, range(25, 55)),
        (Time(seconds=Fraction(1)), Time(frames=3), range(25, 28)),
        (Time(seconds=Fraction(1)), Time(seconds=Fraction(1)), range(25, 50)),
        (None, Time(seconds=Fraction(1, 5)), range(5)),
        (Time(frames=54), Time(frames=1), range(54, 55)),
    ],
)
def test_decode_span(
    tmp_path: Path,
    scene_clip: Path,
    scene_coded: Path,
    start: Time | None,
    length: Time | None,
    expected: range,
) -> None:
    flip(scene_coded, 0)  # a GOP before the chosen frames is not looked at
    report = decode(
        str(scene_coded),
        str(tmp_path / "out.mkv"),
        DecodeOptions(vcodec="ffv1", start=start, duration=length),
    )
    want, got = frames(scene_clip), frames(tmp_path / "out.mkv")
    assert len(got) == len(expected)
    assert [t for t, _ in got] == [Fraction(i, 25) for i in range(len(expected))]
    if start is not None:
        assert report.ok
        assert all(same(p, want[i][1]) for (_, p), i in zip(got, expected, strict=True))


def test_encode_span(tmp_path: Path, scene_clip: Path) -> None:
    assert (
        encode(
            str(scene_clip),
            str(tmp_path / "a.vqv"),
            EncodeOptions(start=Time(frames=10), duration=Time(frames=4)),
        ).frames
        == 4
    )
    with pytest.raises(UsageError, match="no frame"):
        encode(str(scene_clip), str(tmp_path / "b.vqv"), EncodeOptions(start=Time(frames=1000)))
    assert not (tmp_path / "b.vqv").exists()


@pytest.mark.parametrize("bad", [0, 1, 3])
def test_damage_is_contained_and_concealed(
    tmp_path: Path, scene_clip: Path, scene_coded: Path, bad: int
) -> None:
    entries = reader(scene_coded).gops
    flip(scene_coded, bad)
    report = decode(str(scene_coded), str(tmp_path / "out.mkv"), DecodeOptions(vcodec="ffv1"))
    lost = range(entries[bad].first_frame, entries[bad].first_frame + entries[bad].count)
    assert not report.ok
    assert report.concealed == len(lost)
    assert report.frames == 55
    assert len(report.damage) == 1
    want, got = frames(scene_clip), frames(tmp_path / "out.mkv")
    assert [t for t, _ in got] == [t for t, _ in want]
    before = want[lost.start - 1][1].to10() if lost.start else None
    behind = want[lost.stop][1].to10() if lost.stop < 55 else None
    for i, (_, p) in enumerate(got):
        if i not in lost:
            assert same(p, want[i][1])
        elif before and behind:
            assert same(p, blend(before, behind, i - lost.start + 1, len(lost) + 1).to8())
        else:
            assert same(p, (before or behind or gray(32, 24)).to8())
    with pytest.raises(DamageError):
        decode(str(scene_coded), str(tmp_path / "strict.mkv"), DecodeOptions(strict=True))
    assert not (tmp_path / "strict.mkv").exists()
    assert (
        verify(str(scene_coded)).damaged_gops
        == verify(str(scene_coded), fast=True).damaged_gops
        == 1
    )
    assert main(["decode", "-q", str(scene_coded), str(tmp_path / "cli.y4m")]) == 4
    assert (tmp_path / "cli.y4m").exists()


@pytest.mark.parametrize("bad", [(0, 1), (1, 2), (2, 3), (0, 1, 2), (0, 2), (0, 1, 2, 3)])
def test_a_gap_of_many_gops_is_blended_as_one(
    tmp_path: Path, scene_clip: Path, scene_coded: Path, bad: tuple[int, ...]
) -> None:
    entries = reader(scene_coded).gops
    for i in bad:
        flip(scene_coded, i)
    if len(bad) == len(entries):
        report = decode(str(scene_coded), str(tmp_path / "out.mkv"), DecodeOptions(vcodec="ffv1"))
        assert report.concealed == 55
        assert report.damaged_gops == 4
        assert all(same(p, gray(32, 24).to8()) for _, p in frames(tmp_path / "out.mkv"))
        return
    report = decode(str(scene_coded), str(tmp_path / "out.mkv"), DecodeOptions(vcodec="ffv1"))
    want, got = frames(scene_clip), frames(tmp_path / "out.mkv")
    lost = {
        i
        for b in bad
        for i in range(entries[b].first_frame, entries[b].first_frame + entries[b].count)
    }
    assert report.concealed == len(lost)
    assert [t for t, _ in got] == [t for t, _ in want]
    for i, (_, p) in enumerate(got):
        if i not in lost:
            assert same(p, want[i][1])
            continue
        before = next((k for k in range(i, -1, -1) if k not in lost), None)
        behind = next((k for k in range(i, 55) if k not in lost), None)
        if before is None or behind is None:
            assert same(p, want[behind if before is None else before][1])  # type: ignore[index]
        else:
            assert same(
                p,
                blend(
                    want[before][1].to10(), want[behind][1].to10(), i - before, behind - before
                ).to8(),
            )


@pytest.mark.parametrize("bad", [(1,), (1, 2), (2, 3), (0, 1), (0, 1, 2)])
def test_a_decode_that_begins_among_lost_frames_is_the_rest_of_a_whole_one(
    tmp_path: Path, scene_coded: Path, bad: tuple[int, ...]
) -> None:
    entries = reader(scene_coded).gops
    for i in bad:
        flip(scene_coded, i)
    decode(str(scene_coded), str(tmp_path / "whole.mkv"), DecodeOptions(vcodec="ffv1"))
    whole = frames(tmp_path / "whole.mkv")
    for start in {
        e.first_frame + k for i in bad for e in (entries[i],) for k in (0, 1, e.count - 1)
    }:
        report = decode(
            str(scene_coded),
            str(tmp_path / "part.mkv"),
            DecodeOptions(vcodec="ffv1", start=Time(frames=start)),
            overwrite=True,
        )
        part = frames(tmp_path / "part.mkv")
        assert len(part) == 55 - start == report.frames
        assert all(
            t == u - whole[start][0] and same(p, q)
            for (t, p), (u, q) in zip(part, whole[start:], strict=True)
        )


def test_blending_stays_between_the_two_pictures() -> None:
    a, b = picture(9, 7, 1, ten_bit=True), picture(9, 7, 2, ten_bit=True)
    assert same(blend(a, b, 0, 5), a)
    assert same(blend(a, b, 5, 5), b)
    for k in range(1, 300):
        for p, q, r in zip(a, b, blend(a, b, k, 300), strict=True):
            exact = p + (q.astype(float) - p) * k / 300
            assert r.dtype == np.uint16
            assert abs(r - exact).max() <= 0.53


def test_what_stands_in_for_lost_frames_has_a_limit(tmp_path: Path, scene_coded: Path) -> None:
    flip(scene_coded, 1)
    assert (
        main(["decode", "-q", "--max-concealed", "19", str(scene_coded), str(tmp_path / "out.y4m")])
        == 6
    )
    assert not (tmp_path / "out.y4m").exists()
    assert (
        main(["decode", "-q", "--max-concealed", "20", str(scene_coded), str(tmp_path / "out.y4m")])
        == 4
    )


def test_lost_packet_without_an_index(tmp_path: Path, scene_clip: Path, scene_coded: Path) -> None:
    entries = reader(scene_coded).gops
    data = scene_coded.read_bytes()
    scene_coded.write_bytes(
        data[: entries[1].offset] + data[entries[2].offset : entries[3].offset + 20]
    )
    report = decode(str(scene_coded), str(tmp_path / "out.mkv"), DecodeOptions(vcodec="ffv1"))
    assert report.frames == 50
    assert report.concealed == 20
    assert not report.complete
    assert [t for t, _ in frames(tmp_path / "out.mkv")] == [t for t, _ in frames(scene_clip)][:50]
    assert any("frames 20 to 39 are missing" in text for text in report.damage)
    assert any("frames 50 to 54): cut after 20 of" in text for text in report.damage)


def test_wrong_pixels_are_reported(tmp_path: Path, scene_clip: Path, fake_network: Any) -> None:
    fake_network.wrong_checksum = True
    encode(str(scene_clip), str(tmp_path / "a.vqv"))
    report = decode(str(tmp_path / "a.vqv"), str(tmp_path / "out.y4m"))
    assert len(report.damage) == 3
    assert "pixels differ" in report.damage[0]
    assert report.concealed == 0
    assert verify(str(tmp_path / "a.vqv")).damaged_gops == 3
    assert verify(str(tmp_path / "a.vqv"), fast=True).ok


@pytest.mark.parametrize(
    ("after", "before", "start"),
    [
        (None, None, None),
        (100, None, None),
        (None, 50, None),
        (100, 500, None),
        (100, 103, None),
        (100, 500, 140),
        (100, None, 20),
    ],
)
def test_lost_times_increase(after: int | None, before: int | None, start: int | None) -> None:
    times = lost_times(9, start, after, before, 40)
    assert len(times) == 9
    assert lost_times(4, start, after, before, 40, 9) == times[:4]
    assert all(b > a for a, b in pairwise(times))
    assert after is None or times[0] > after


def test_other_weights(tmp_path: Path, scene_coded: Path) -> None:
    with pytest.raises(
        WeightsError,
        match=f"needs model {b'fakemode'.hex()}, these weights are {b'othermod'.hex()}",
    ):
        decode(str(scene_coded), str(tmp_path / "out.y4m"), weights="other")
    assert not (tmp_path / "out.y4m").exists()


def test_failure_leaves_nothing(tmp_path: Path, scene_clip: Path, fake_network: Any) -> None:
    old = tmp_path / "old.vqv"
    old.write_bytes(b"old")
    before = files_in(tmp_path)
    fake_network.fail_after = 30
    with pytest.raises(RuntimeError):
        encode(
            str(scene_clip),
            str(old),
            EncodeOptions(stats=str(tmp_path / "stats.json")),
            overwrite=True,
        )
    assert old.read_bytes() == b"old"
    assert files_in(tmp_path) == before
    with pytest.raises(OutputError):
        encode(str(scene_clip), str(old))


def test_damaged_source(tmp_path: Path, scene_clip: Path) -> None:
    scene_clip.write_bytes(scene_clip.read_bytes()[: scene_clip.stat().st_size * 6 // 10])
    report = encode(str(scene_clip), str(tmp_path / "a.vqv"))
    assert 0 < report.frames < 55
    assert report.corrupt > 0
    assert report.warnings
    assert main(["encode", "-q", str(scene_clip), str(tmp_path / "b.vqv")]) == 4
    assert (tmp_path / "b.vqv").exists()
    assert main(["encode", "-q", "--strict", str(scene_clip), str(tmp_path / "c.vqv")]) == 4
    assert not (tmp_path / "c.vqv").exists()


def check_budget(info: FileInfo) -> None:
    """Every byte of a file is counted once, by level and element, and so it leaves as JSON."""
    d = json.loads(json.dumps(info.to_json(), allow_nan=False))
    b = d["bits"]
    frames = sum(line["bytes"] for line in b["levels"])
    assert (
        frames + b["gop_headers"] + b["tracks"] + b["file"]
        == b["total"]
        == d["bytes"]
        == Path(d["file"]).stat().st_size
    )
    assert frames == sum(p["bytes"] for g in d["gops"] for p in g["pictures"])
    assert min(b["gop_headers"], b["file"]) > 0 <= b["tracks"]
    assert sum(line["frames"] for line in b["levels"]) == sum(g["frames"] for g in d["gops"])
    for line in b["levels"]:
        assert sum(line["bits"].values()) == pytest.approx(
            8 * line["bytes"], abs=0.1 * line["frames"]
        )


def test_budget_of_a_damaged_file(
    tmp_path: Path, scene_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.vqv"
    assert main(["encode", "-q", str(scene_clip), str(out), "-g", "1s"]) == 0
    whole = describe(str(out), bits=True)
    data = bytearray(out.read_bytes())
    data[whole.gops[1].offset + 60] ^= 1
    out.write_bytes(bytes(data))
    d = describe(str(out), bits=True)
    check_budget(d)
    assert d.bits
    assert whole.bits
    assert len(d.gops) == len(whole.gops) - 1
    assert d.bits.file > whole.bits.file
    assert main(["info", "--bits", str(out)]) == 4
    assert "100.0 %" in capsys.readouterr().out


def test_budget_shows_no_minus_zero() -> None:
    """A stream can be a bit shorter than the sum of its elements."""
    row = {"frame": 0, "type": "I", "level": 0, "bytes": 99, "bits": {"latent": 792.2, "end": -0.2}}
    shown = "\n".join(
        [
            *as_lines(Budget(by_level([row]), gop_headers=1, tracks=0, file=900, total=1000)),
            frame_line(row),
        ]
    )
    assert "-0" not in shown
    assert "792 bits (latent 792, end 0)" in shown


def test_budget_counts_other_tracks(tmp_path: Path) -> None:
    source = media.make(tmp_path / "a.mkv", sounds=(media.Sound(),))
    out = tmp_path / "a.vqv"
    assert main(["encode", "-q", str(source), str(out)]) == 0
    d = describe(str(out), bits=True)
    check_budget(d)
    assert d.bits
    assert d.bits.tracks > 500


def test_the_curve_follows_the_numbers() -> None:
    assert curve([30.0, 37.0, 33.5]) == "\u2581\u2588\u2585"
    assert curve([35.0] * 3) == "\u2588" * 3
    long = curve([float(i) for i in range(1000)])
    assert len(long) == 80
    assert list(long) == sorted(long)
    assert len(set(long)) == 8
    assert len(curve([1.0] * 79 + [2.0] * 2)) == 80


def test_stats_and_info(
    tmp_path: Path, scene_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.vqv"
    assert (
        main(
            [
                "encode",
                str(scene_clip),
                str(out),
                "--stats",
                str(tmp_path / "s.jsonl"),
                "-crf",
                "20",
                "-g",
                "1s",
            ]
        )
        == 0
    )
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert len(lines) == 55
    assert lines[1]["pts"] == 40
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "55 frames" in captured.err
    assert "dB" in captured.err
    d = describe(str(out), bits=True)
    assert d.frames == 55
    assert d.crf == 20
    assert d.seconds == pytest.approx(2.2)
    assert d.ok
    assert "GOP 0" in as_text(d)
    assert d.gops[0].pictures
    bars = next(line for line in as_text(d).splitlines() if "PSNR of the GOPs" in line).split()[0]
    assert len(bars) == len(d.gops) == 4
    assert set(bars) <= set("\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588")
    check_budget(d)
    assert main(["info", "--bits", str(out)]) == 0
    text = capsys.readouterr().out
    assert "frame 0" not in text
    assert f"file {out.stat().st_size}" in " ".join(text.split())
    assert "100.0 %" in text
    assert main(["info", "--frames", str(out)]) == 0
    assert capsys.readouterr().out.count("\n    frame ") == 55
    assert main(["info", "--json", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == out.stat().st_size
    assert main(["verify", "--json", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]


def test_same_bytes_for_every_thread_count(tmp_path: Path, scene_clip: Path) -> None:
    files = []
    for n in (1, 2):
        encode(str(scene_clip), str(tmp_path / f"{n}.vqv"), EncodeOptions(threads=n))
        files.append((tmp_path / f"{n}.vqv").read_bytes())
    assert files[0] == files[1]


def test_read_ahead() -> None:
    assert list(read_ahead(range(100))) == list(range(100))

    def failing() -> Iterator[int]:
        yield 1
        raise InputError("broken")

    items = read_ahead(failing())
    assert next(items) == 1
    with pytest.raises(InputError):
        next(items)
    endless = read_ahead(iter(int, 1))
    assert next(endless) == 0
    endless.close()
