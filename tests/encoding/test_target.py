"""Targets of bitrate, PSNR and size: the search alone, with coders of known size and error, and
with networks."""

from __future__ import annotations

import io
import math
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from support import fakes
from support.clips import header, moving, picture, write
from support.media import make_named
from support.paths import DATA, files_in
from support.resuming import Killed

from vqcodec.cli import main
from vqcodec.codec.gop_structure import LEVELS
from vqcodec.container.reader import ContainerReader
from vqcodec.encoding.rate_distortion import LEVEL_OFFSETS, key_quality, targets
from vqcodec.encoding.target import Target
from vqcodec.encoding.target_search import (
    BAND,
    GRID,
    MAX_PASSES,
    PROBE_SHARE,
    Measure,
    Pass,
    PassOutcome,
    from_start,
    search,
)
from vqcodec.errors import UsageError
from vqcodec.options import EncodeOptions, Time
from vqcodec.parsing import parse_amount
from vqcodec.picture import Picture
from vqcodec.pipeline import journal
from vqcodec.pipeline.encode import EncodeReport, encode
from vqcodec.psnr import psnr_yuv
from vqcodec.reading.verify import verify
from vqcodec.system.interrupt import Interrupt
from vqcodec.system.progress import ProgressEvent

W, H, GOP, FRAMES = 32, 24, 20, 100


# Qualities between whole crfs.


def test_whole_crfs_have_the_qualities_they_always_had() -> None:
    for crf in range(64):
        key = round(70 - 1.12 * crf + 1.5 * max(0, 14 - crf))
        assert targets(crf) == targets(float(crf)) == [max(0, key + o) for o in LEVEL_OFFSETS]


def test_levels_change_one_by_one_between() -> None:
    rows = [targets(n / (20 * GRID)) for n in range(63 * 20 * GRID + 1)]
    steps = [[a - b for a, b in zip(old, new, strict=True)] for old, new in pairwise(rows)]
    assert all(
        sorted(s)[:-1] == [0] * (LEVELS - 1) and max(s) <= 1 for s in steps
    )  # never up, one level at a time
    per_step = [
        sum(a - b for a, b in zip(targets(n / GRID), targets((n + 1) / GRID), strict=True))
        for n in range(10 * GRID, 40 * GRID)
    ]
    assert max(per_step) <= 3  # a step of a search is a fraction of a quality of all levels


# The search alone, on GOPs whose size and error are made up: neither is a straight line, and the
# start of a GOP says little about the rest.


class World:
    def __init__(self, gops: int, seed: int, noise: float = 0.004) -> None:
        rng, key = random.Random(seed), 0
        self.noise = noise  # of the logarithm of bytes
        self.gops: dict[int, dict[str, float]] = {}
        for _ in range(gops):
            frames = rng.choice([128, 128, 64, 30])
            self.gops[key] = dict(
                frames=frames,
                size=rng.uniform(5, 7.5),
                slope=rng.uniform(0.045, 0.085),
                db=rng.uniform(0.22, 0.38),
                psnr=rng.uniform(38, 46),
                start=rng.uniform(-0.2, 0.2),
            )
            key += frames
        self.frames = key
        self.coded = 0

    def code(self, key: int, crf: float, frames: int) -> tuple[int, float, tuple[float, ...]]:
        """Bytes of the I frame and of all, and errors."""
        g, x = self.gops[key], key_quality(crf) - 40
        noise = random.Random(f"{key} {crf}").uniform(-self.noise, self.noise)
        each = math.exp(g["size"] + g["slope"] * x - 0.0004 * x * x + noise)
        mse = 65025 / 10 ** ((g["psnr"] + g["db"] * x - 0.002 * x * x) / 10)
        self.coded += frames
        rest = each * (frames - 1) * (math.exp(g["start"]) if frames < g["frames"] else 1)
        return (
            round(5 * each),
            5 * each + rest,
            tuple(mse * frames * W * H * f for f in (1, 0.1, 0.1)),
        )

    def run(self, target: Target) -> tuple[Measure, list[float], int]:
        """What the search comes to, the crfs of all GOPs, and its rounds over the video."""
        rounds, done, passes = search(target, W, H), {}, 0
        what = next(rounds)
        while True:
            measures, probed = {}, 0
            passes += not what.probe
            for key, g in self.gops.items():
                frames = int(g["frames"])
                if what.probe:
                    if probed > PROBE_SHARE * key:
                        continue
                    coded = min(17, frames)
                    probed += coded
                    first, size, sse = self.code(key, what.of(key), coded)
                    measures[key] = from_start(frames, coded, first, size, sse)
                    continue
                if (key, what.of(key)) not in done:
                    done[key, what.of(key)] = Measure(
                        frames, *self.code(key, what.of(key), frames)[1:]
                    )
                measures[key] = done[key, what.of(key)]
            try:
                what = rounds.send(
                    PassOutcome(
                        {k: int(g["frames"]) for k, g in self.gops.items()},
                        measures,
                        self.frames / 25,
                        5000,
                    )
                )
            except StopIteration as end:
                best: Pass = end.value
                break
        crfs = [best.of(k) for k in self.gops]
        total = [done[k, c] for k, c in zip(self.gops, crfs, strict=True)]
        return sum(total[1:], total[0]), crfs, passes


@pytest.mark.parametrize("gops", [1, 3, 8, 60])
@pytest.mark.parametrize("kind", ["bitrate", "psnr", "size"])
def test_the_search_meets_its_target_in_few_rounds(kind: str, gops: int) -> None:
    costs = []
    for seed in range(4 if gops < 60 else 1):
        for crf in (20, 33, 46):
            world = World(gops, seed)
            at = [
                Measure(int(g["frames"]), *world.code(k, crf, int(g["frames"]))[1:])
                for k, g in world.gops.items()
            ]
            want = sum(at[1:], at[0])
            seconds, world.coded = world.frames / 25, 0
            value = {
                "bitrate": want.bytes * 8 / seconds,
                "size": want.bytes + 5000,
                "psnr": psnr_yuv(want.sse, W, H, want.frames)[0],
            }[kind]
            target = Target(kind, value)
            got, crfs, passes = world.run(target)
            psnr = psnr_yuv(got.sse, W, H, got.frames)[0]
            assert (
                target.missed(got.bytes * 8 / seconds / 1000, psnr, round(got.bytes + 5000), 30)
                is None
            ), (seed, crf, value)
            if kind == "size":
                assert 0.97 * value <= got.bytes + 5000 <= value
            assert max(crfs) - min(crfs) <= 2 * BAND
            assert all(c * GRID % 1 == 0 for c in crfs)
            assert max(abs(c - crf) for c in crfs) < 3
            assert passes <= 5
            costs.append(world.coded / world.frames)
    assert sum(costs) / len(costs) < (3 if gops == 1 else 2.6), costs


def test_sizes_that_jump_are_searched_on() -> None:
    """The sizes of a very small video jump by several percent from one crf to the next: where the
    search comes back to a crf that it had, it tries those beside it."""
    shares = []
    for seed in range(60):
        world = World(1, seed, 0.1)
        value = world.code(0, 33, int(world.gops[0]["frames"]))[1] + 5000
        got, _, passes = world.run(Target("size", value))
        assert passes <= MAX_PASSES
        shares.append((got.bytes + 5000) / value)
    assert max(shares) <= 1  # never larger
    # 44 of them when the search ended at a crf that it had
    assert sum(share >= 0.97 for share in shares) >= 52, sorted(shares)


def test_bounds_end_the_search() -> None:
    """Targets that no crf meets end at the last crf, as a rule after one round."""
    for kind, value, crf in (
        ("bitrate", 100, 63),
        ("bitrate", 1e12, 0),
        ("psnr", 99, 0),
        ("psnr", 1, 63),
        ("size", 1, 63),
        ("size", 1e12, 0),
    ):
        got, crfs, passes = World(4, 1).run(Target(kind, value))
        assert set(crfs) == {crf}, (kind, value, crfs, passes)
        assert passes <= 2, (kind, value, crfs, passes)
        missed = Target(kind, value).missed(
            got.bytes / 1000, psnr_yuv(got.sse, W, H, got.frames)[0], round(got.bytes), crf
        )
        assert (
            missed is None
            if value == 1e12 and kind == "size"
            else missed and ("the smallest" if crf else "the best") in missed
        )


# Whole encodes, with coders of known size and error.


class Sized(fakes.GopEncoder):
    """A body whose size falls with the crf, and an error that grows: more of both where the picture
    has more contrast."""

    def __init__(self, codec: Any, width: int, height: int, crf: float, *rest: Any) -> None:
        super().__init__(codec, width, height, crf, *rest)
        self._x, self._sizes, self._errors = key_quality(crf), [], []  # type: ignore[var-annotated]

    def add(self, pictures: list[Picture]) -> None:
        super().add(pictures)
        for p in pictures:
            contrast = float(p.y.std()) + 1
            self._sizes.append(
                round(
                    contrast
                    * (1 if self._sizes else 4)
                    * math.exp(0.06 * self._x - 0.0003 * (self._x - 40) ** 2)
                )
                + 4
            )
            self._errors.append(contrast * 10 ** (-0.028 * (self._x - 60)))

    def finish(self, cut: bool = False) -> fakes.GopResult:
        n = self.coded(cut)
        del self._sizes[n:], self._errors[n:]
        error = sum(self._errors)
        body = b"".join(s.to_bytes(4, "little") for s in self._sizes) + bytes(
            sum(self._sizes) - 4 * n
        )
        return fakes.GopResult(body, n, self._crc, (error * W * H, error * 99, error * 88), [])


def parse_body(body: bytes, frames: int) -> tuple[list[int], list[bytes]]:
    return [], [bytes(int.from_bytes(body[4 * i : 4 * i + 4], "little")) for i in range(frames)]


@pytest.fixture
def sized(monkeypatch: pytest.MonkeyPatch) -> type[Sized]:
    fakes.install(monkeypatch)
    monkeypatch.setattr(sys.modules["vqcodec.encoding.gop_encoder"], "GopEncoder", Sized)
    body = sys.modules["vqcodec.codec.gop_body"]
    monkeypatch.setattr(body, "parse_body", parse_body, raising=False)
    return Sized


def film(n: int) -> Iterator[Picture]:
    for i, p in enumerate(moving(W, H, n)):
        yield Picture(p.y // (1 + i // 27), p.u, p.v)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        tmp_path_factory.mktemp("clip") / "in.y4m",
        header(W, H, time_base=Fraction(1, 25)),
        list(film(FRAMES)),
    )


OPTIONS = EncodeOptions(gop=GOP, device="cpu", threads=1)
KINDS = ("bitrate", "target_psnr", "max_size")


def at(clip: Path, out: Path, crf: float, options: EncodeOptions = OPTIONS) -> EncodeReport:
    return encode(str(clip), str(out), replace(options, crf=crf), overwrite=True)


def asked(report: EncodeReport, kind: str) -> float:
    """The target that an encode at a crf would meet."""
    return {
        "bitrate": round(report.picture_kbps * 1000),
        "target_psnr": report.psnr[0],
        "max_size": report.bytes,
    }[kind]


def check(path: Path, report: EncodeReport, kind: str, value: float) -> None:
    """The file, by its own words, meets its target."""
    reader = ContainerReader.open(io.BytesIO(path.read_bytes()))
    gops = [reader.read_gop(i) for i in range(len(reader.gops))]
    assert reader.complete
    assert not reader.damaged
    assert reader.frames == report.frames
    assert report.missed is None
    assert not report.stopped
    assert reader.header.crf == round(report.crf)
    sse = [sum(g.sse[i] for g in gops) for i in range(3)]
    size, psnr = (
        path.stat().st_size,
        psnr_yuv(sse, reader.header.width, reader.header.height, reader.frames)[0],
    )
    assert size == report.bytes
    assert psnr == pytest.approx(report.psnr[0], abs=0.001)
    if kind == "max_size":
        assert 0.97 * value <= size <= value
    elif kind == "bitrate":
        ends = [e.offset for e in reader.gops[1:]] + [size]
        packets = (
            sum(b - e.offset for e, b in zip(reader.gops, ends, strict=True)) - 400
        )  # other packets, about
        assert report.picture_kbps * 1000 == pytest.approx(value, rel=0.03)
        assert packets * 8 / report.seconds_video == pytest.approx(value, rel=0.06)
    else:
        assert psnr == pytest.approx(value, abs=0.1)


@pytest.mark.parametrize("crf", [17, 30, 44.3])
@pytest.mark.parametrize("kind", KINDS)
def test_targets_are_met(
    tmp_path: Path, clip: Path, sized: type[Sized], kind: str, crf: float
) -> None:
    value = asked(at(clip, tmp_path / "at.vqv", crf), kind)
    sized.log.clear()
    report = encode(str(clip), str(tmp_path / "a.vqv"), replace(OPTIONS, **{kind: value}))  # type: ignore[arg-type]
    check(tmp_path / "a.vqv", report, kind, value)
    assert report.frames == FRAMES
    assert abs(report.crf - crf) < 1
    assert report.gops == -(-FRAMES // GOP)
    assert sum(map(sum, sized.log)) < 4 * FRAMES
    assert files_in(tmp_path) == ["a.vqv", "at.vqv"]


@pytest.mark.parametrize(
    "options",
    [
        replace(OPTIONS, start=Time(frames=31), duration=Time(seconds=Fraction(5, 2))),
        replace(OPTIONS, gop=1),
        replace(OPTIONS, gop=128),
    ],
)
def test_stretches_and_other_gops(
    tmp_path: Path, clip: Path, sized: type[Sized], options: EncodeOptions
) -> None:
    for kind in KINDS:
        value = asked(at(clip, tmp_path / "at.vqv", 27.4, options), kind)
        report = encode(
            str(clip), str(tmp_path / "a.vqv"), replace(options, **{kind: value}), overwrite=True
        )  # type: ignore[arg-type]
        check(tmp_path / "a.vqv", report, kind, value)


def test_the_largest_size_is_that_of_the_file_with_its_tracks(
    tmp_path: Path, sized: type[Sized]
) -> None:
    source = make_named(tmp_path, "all.mkv")
    for crf in (20, 40):
        limit = at(source, tmp_path / "at.vqv", crf).bytes
        report = encode(
            str(source), str(tmp_path / "a.vqv"), replace(OPTIONS, max_size=limit), overwrite=True
        )
        size = (tmp_path / "a.vqv").stat().st_size
        assert report.tracks > 1
        assert report.missed is None
        assert report.bytes == size
        assert limit - 0.03 * report.picture_bytes - 300 <= size <= limit


def test_what_is_impossible_is_told_and_written(
    tmp_path: Path, clip: Path, sized: type[Sized], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a.vqv"
    cases = (
        (["-b", "1k"], "bitrate of 1 kbps was not reached", "crf 63, the smallest"),
        (["-b", "900M"], "bitrate of 900000 kbps", "crf 0, the best"),
        (["--target-psnr", "90"], "PSNR of 90 dB was not reached", "crf 0, the best"),
        (["--max-size", "900"], "size of 900 bytes was not reached", "crf 63, the smallest"),
    )
    for args, *texts in cases:
        assert main(["encode", "-y", str(clip), str(out), "-g", "20", *args]) == 8
        err = capsys.readouterr().err
        assert all(t in err for t in texts), err
        assert ContainerReader.open(io.BytesIO(out.read_bytes())).frames == FRAMES
    assert (
        main(["encode", "-y", str(clip), str(out), "--max-size", "1G"]) == 0
    )  # nothing is better than the best, and it is small enough


def test_exclusions(tmp_path: Path, clip: Path) -> None:
    out = str(tmp_path / "a.vqv")
    sets = (["-crf", "28"], ["-b", "800k"], ["--target-psnr", "38"], ["--max-size", "1M"])
    for i, a in enumerate(sets):
        for b in sets[i + 1 :]:
            assert main(["encode", str(clip), out, *a, *b]) == 2
    for bad in (
        ["-b", "0"],
        ["-b", "fast"],
        ["--max-size", "-1"],
        ["--target-psnr", "100"],
        ["--target-psnr", "-1"],
        ["--target-psnr", "nan"],
        ["-crf", "64"],
        ["-crf", "nan"],
    ):
        assert main(["encode", str(clip), out, *bad]) == 2, bad
    assert main(["encode", str(clip), out, "-b", "800k", "--stats", str(tmp_path / "s")]) == 2
    with pytest.raises(UsageError, match="exclude"):
        EncodeOptions(bitrate=1000, max_size=1000)
    with pytest.raises(UsageError, match="exclude"):
        EncodeOptions(crf=20, target_psnr=30)
    assert not files_in(tmp_path)


def test_amounts() -> None:
    values = {
        "800k": 800_000,
        "2M": 2_000_000,
        "1.5M": 1_500_000,
        "96000": 96_000,
        "50MB": 50_000_000,
        "50MiB": 50 << 20,
        "1 Gi": 1 << 30,
        "0.5k": 500,
    }
    assert {text: parse_amount(text, "-b") for text in values} == values
    for text in ("", "k", "-5", "0", "1e6", "5x", "Mi", "5i", "9" * 40, "٣"):
        with pytest.raises(UsageError):
            parse_amount(text, "-b")


def test_fractions_of_a_crf(tmp_path: Path, clip: Path, sized: type[Sized]) -> None:
    sizes = [at(clip, tmp_path / "a.vqv", crf).bytes for crf in (28, 28.25, 28.5, 29)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4
    assert (
        main(["encode", "-y", str(clip), str(tmp_path / "b.vqv"), "-g", "20", "-crf", "28.5"]) == 0
    )
    assert (tmp_path / "b.vqv").stat().st_size == sizes[2]


def test_the_same_bytes_after_any_kill(
    tmp_path: Path, clip: Path, sized: type[Sized], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that was cut off in a probe or in any round is gone on with; nothing that is there is
    coded again."""
    value = at(clip, tmp_path / "at.vqv", 35.4).picture_kbps * 1000
    options, out = replace(OPTIONS, bitrate=round(value * 1.05), resume=True), tmp_path / "a.vqv"
    sized.log.clear()
    encode(str(clip), str(out), options)
    want, total = out.read_bytes(), len(sized.log)
    out.unlink()
    assert total > 2 * -(-FRAMES // GOP)  # more than one round
    add, count, resumed = journal.Journal.add, 0, []

    def killing(self: journal.Journal, *args: Any) -> None:
        nonlocal count
        if not count:
            raise Killed
        count -= 1
        add(self, *args)

    for moment in range(0, total, 4):
        with monkeypatch.context() as patch:
            patch.setattr(journal.Journal, "add", killing)
            patch.setattr(journal, "_discard", lambda path: None)
            count = moment
            with pytest.raises(Killed):
                encode(str(clip), str(out), options, overwrite=True)
        sized.log.clear()
        report = encode(str(clip), str(out), options)
        assert out.read_bytes() == want
        assert len(sized.log) == total - moment
        resumed.append(report.resumed)
        out.unlink()
    assert resumed[0] == 0 < resumed[-1] <= FRAMES


def test_ctrl_c_keeps_what_there_is(tmp_path: Path, clip: Path, sized: type[Sized]) -> None:
    """In the first round the frames coded so far, later all of them; a search that is gone on with
    meets its target."""
    options = replace(
        OPTIONS, bitrate=round(at(clip, tmp_path / "at.vqv", 35.4).picture_kbps * 1050), resume=True
    )
    whole = encode(str(clip), str(tmp_path / "want.vqv"), options)
    for stage, want in (("pass 1", range(1, FRAMES)), ("pass 2", [FRAMES])):
        interrupt, out = Interrupt(), tmp_path / f"{stage}.vqv"

        def seen(
            event: ProgressEvent, stage: str = stage, interrupt: Interrupt = interrupt
        ) -> None:
            if event.stage == stage and event.frames > FRAMES // 2 and interrupt.worth:
                interrupt.requested = True

        report = encode(str(clip), str(out), options, progress=seen, interrupt=interrupt)
        reader = ContainerReader.open(io.BytesIO(out.read_bytes()))
        assert report.stopped, stage
        assert report.missed is None, stage
        assert reader.complete, stage
        assert reader.frames == report.frames, stage
        assert report.frames in want, stage
        again = encode(str(clip), str(out), options, overwrite=True)
        assert not again.stopped
        assert out.read_bytes() == (tmp_path / "want.vqv").read_bytes()
        assert again.crf == whole.crf


def test_y4m_from_a_pipe_is_kept_to_be_read_again(
    tmp_path: Path, clip: Path, sized: type[Sized]
) -> None:
    pipe, options = (
        tmp_path / "pipe",
        replace(OPTIONS, max_size=at(clip, tmp_path / "at.vqv", 31).bytes),
    )
    os.mkfifo(pipe)
    with subprocess.Popen(["cp", str(clip), str(pipe)]):
        report = encode(str(pipe), str(tmp_path / "a.vqv"), options)
    check(tmp_path / "a.vqv", report, "max_size", options.max_size or 0)
    encode(str(clip), str(tmp_path / "b.vqv"), options)
    assert (tmp_path / "a.vqv").read_bytes() == (tmp_path / "b.vqv").read_bytes()


def test_a_damaged_source_is_told(tmp_path: Path, clip: Path, sized: type[Sized]) -> None:
    cut = tmp_path / "cut.y4m"
    cut.write_bytes(clip.read_bytes()[:-100])
    size = at(clip, tmp_path / "at.vqv", 31).bytes
    assert (
        main(["encode", str(cut), str(tmp_path / "a.vqv"), "-g", "20", "--max-size", str(size)])
        == 4
    )
    assert (
        main(
            [
                "encode",
                str(cut),
                str(tmp_path / "b.vqv"),
                "-g",
                "20",
                "--max-size",
                str(size),
                "--strict",
            ]
        )
        == 4
    )
    assert files_in(tmp_path) == ["a.vqv", "at.vqv", "cut.y4m"]


# With networks.


def test_workers_make_the_same_file_and_it_decodes(
    tmp_path: Path, tiny_weights: Path, one_thread: None
) -> None:
    # frames enough for steps finer than 3 %, whatever nets another version of torch begins with
    source = write(tmp_path / "in.y4m", header(W, H, time_base=Fraction(1, 25)), moving(W, H, 32))
    options, weights = replace(OPTIONS, gop=4), str(tiny_weights)
    value = encode(
        str(source), str(tmp_path / "at.vqv"), replace(options, crf=33), weights=weights
    ).bytes
    files = []
    for jobs in (1, 2):
        report = encode(
            str(source),
            str(tmp_path / "a.vqv"),
            replace(options, max_size=value, jobs=jobs),
            weights=weights,
            overwrite=True,
        )
        files.append((tmp_path / "a.vqv").read_bytes())
        check(tmp_path / "a.vqv", report, "max_size", value)
    assert files[0] == files[1]
    assert verify(str(tmp_path / "a.vqv"), weights=weights).ok


@pytest.mark.slow
def test_the_real_weights_meet_targets_of_a_clip_of_thirty_seconds(
    tmp_path: Path, one_thread: None
) -> None:
    """Real footage and a made scene in turn, 750 frames of 96x64."""
    import av

    with av.open(str(DATA / "flower.mp4")) as file:
        real = [f.reformat(96, 64, "yuv420p").to_ndarray() for f in file.decode(video=0)][:90]
    flower = [Picture(a[:64], a[64:80].reshape(32, 48), a[80:].reshape(32, 48)) for a in real]
    shots = [
        flower,
        moving(96, 64, 60, 1),
        flower[::-1],
        moving(96, 64, 90, 2),
        [picture(96, 64, 1)] * 20,
    ]
    pictures = [p for _ in range(3) for shot in shots for p in shot][:750]
    source = write(
        tmp_path / "in.mkv", header(96, 64, time_base=Fraction(1, 1000)), pictures, vcodec="ffv1"
    )
    assert len(pictures) == 750
    options = EncodeOptions(preset="fast", device="cpu", threads=1)
    plain = encode(str(source), str(tmp_path / "at.vqv"), replace(options, crf=34))
    for kind, factor in (("bitrate", 1.3), ("max_size", 0.7), ("target_psnr", 1.03)):
        value = asked(plain, kind) * factor
        value = value if kind == "target_psnr" else round(value)
        report = encode(
            str(source), str(tmp_path / "a.vqv"), replace(options, **{kind: value}), overwrite=True
        )  # type: ignore[arg-type]
        check(tmp_path / "a.vqv", report, kind, value)
