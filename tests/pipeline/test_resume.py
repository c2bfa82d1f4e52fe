"""Encodes that were killed, and gone on with."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from support import child
from support.clips import header, picture, write
from support.clock import PATIENCE
from support.media import Sound, make
from support.paths import files_in
from support.resuming import FRAMES, GOP, OPTIONS, Killed, cut_off

from vqcodec.cli import main
from vqcodec.colour import Colour
from vqcodec.container.reader import ContainerReader
from vqcodec.errors import DamageError, OutputError, UsageError
from vqcodec.options import EncodeOptions, Time, TrackChoice
from vqcodec.pipeline import journal_name
from vqcodec.pipeline.encode import encode

pytestmark = pytest.mark.usefixtures("fake_network")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(tmp_path / "in.y4m", header(16, 16), [picture(16, 16, i) for i in range(FRAMES)])


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "a.vqv"


@pytest.fixture
def want(tmp_path: Path, clip: Path) -> bytes:
    """The bytes of an encode that nobody disturbed."""
    encode(str(clip), str(tmp_path / "want.vqv"), replace(OPTIONS, resume=False))
    return (tmp_path / "want.vqv").read_bytes()


@pytest.mark.parametrize("moments", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_any_moment(
    clip: Path,
    out: Path,
    want: bytes,
    fake_network: Any,
    moments: int,
) -> None:
    """No half file; going on gives the bytes of an undisturbed encode and codes at most one GOP
    again."""
    rng = random.Random(5)
    finished = []
    for i in range(moments):
        with child.start(None, "encode", str(clip), str(out), "-g", str(GOP)) as process:
            assert process.stdout is not None
            lines = child.advance(
                process, 1 + int((i + rng.random()) / moments * 17)
            )  # of 18: it never comes to its end
            child.go_on(process)
            time.sleep(
                rng.random() * 0.03
            )  # while this mini-GOP is coded and written, or the next one waits
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines()
            assert process.wait() == -signal.SIGKILL
        begun = int(lines[-1].split()[0])  # the last one of them is not finished
        names = files_in(out.parent)
        assert len(names) == 1
        assert names[0].startswith(".a.vqv.")
        assert names[0].endswith(".part")
        fake_network.log.clear()
        report = encode(str(clip), str(out), OPTIONS)
        assert out.read_bytes() == want
        assert files_in(out.parent) == ["a.vqv"]
        total = -(-FRAMES // GOP)
        kept = total - len(fake_network.log)
        assert report.gops == total
        assert report.resumed == min(FRAMES, GOP * kept)
        assert kept >= begun - 1
        finished.append(kept)
        out.unlink()
    assert len(set(finished)) > moments // 4  # they were different moments


@pytest.mark.parametrize("step", [97, pytest.param(3, marks=pytest.mark.slow)])
def test_cut_at_any_byte(tmp_path: Path, out: Path, step: int) -> None:
    """A machine that lost its power may have lost any end of what was written."""
    short = write(tmp_path / "short.y4m", header(8, 8), [picture(8, 8, i) for i in range(12)])
    options = replace(OPTIONS, gop=3)
    encode(str(short), str(tmp_path / "short.vqv"), replace(options, resume=False))
    path = cut_off(short, out, 3, options)
    data = path.read_bytes()
    kept = set()
    for length in [*range(0, 130, 7), *range(130, len(data), step), len(data)]:
        for tail in (b"", bytes(40)):  # a file system may give zeros for what it has not written
            path.write_bytes(data[:length] + tail)
            report = encode(str(short), str(out), options)
            assert out.read_bytes() == (tmp_path / "short.vqv").read_bytes(), length
            assert files_in(out.parent) == ["a.vqv"], length
            kept.add(report.resumed)
            out.unlink()
    assert kept == {0, 3, 6, 9}


def test_damage_in_what_is_gone_on_with(clip: Path, out: Path, want: bytes) -> None:
    """All before the damage is used, nothing behind it."""
    path = cut_off(clip, out, 5)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    report = encode(str(clip), str(out), OPTIONS)
    assert out.read_bytes() == want
    assert report.resumed == 2 * GOP


@pytest.mark.parametrize("overwrite", [False, True])
def test_killed_while_the_output_is_put_together(
    clip: Path, out: Path, want: bytes, overwrite: bool
) -> None:
    """The half file, which has a name of its own, was left for ever."""
    with pytest.MonkeyPatch.context() as patch:

        def kill(*args: object) -> None:
            raise Killed

        patch.setattr("vqcodec.pipeline.output.ContainerWriter.finish", kill)
        patch.setattr(Path, "unlink", lambda *args, **options: None)
        with pytest.raises(Killed):
            encode(str(clip), str(out), OPTIONS)
    assert len(files_in(out.parent)) == 2
    assert not out.exists()
    # the same encode uses the work, and another one that throws it away cleans up as well
    encode(
        str(clip),
        str(out),
        replace(OPTIONS, crf=5, resume=False) if overwrite else OPTIONS,
        overwrite=overwrite,
    )
    assert files_in(out.parent) == ["a.vqv"]
    assert overwrite or out.read_bytes() == want


def test_killed_again_and_again(clip: Path, out: Path, want: bytes) -> None:
    for gops in (1, 3, 4, 8):
        cut_off(clip, out, gops)
    report = encode(str(clip), str(out), OPTIONS)
    assert out.read_bytes() == want
    assert report.resumed == 8 * GOP


def test_nothing_there_begins_at_the_beginning(clip: Path, out: Path, want: bytes) -> None:
    assert main(["encode", "-q", "--resume", "-g", str(GOP), str(clip), str(out)]) == 0
    assert out.read_bytes() == want
    assert files_in(out.parent) == ["a.vqv"]


def test_without_resume_earlier_work_is_neither_used_nor_lost(
    clip: Path, out: Path, want: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = cut_off(clip, out, 4)
    arguments = ["encode", "-q", "-g", str(GOP), str(clip), str(out)]
    assert main(arguments) == 5
    assert path.exists()
    assert not out.exists()
    assert "; --resume continues that one, -y begins again" in capsys.readouterr().err
    report = encode(str(clip), str(out), replace(OPTIONS, resume=False), overwrite=True)
    assert report.resumed == 0
    assert out.read_bytes() == want
    assert not path.exists()


def test_a_journal_without_a_gop_is_no_obstacle(clip: Path, out: Path, want: bytes) -> None:
    cut_off(clip, out, 0)
    encode(str(clip), str(out), replace(OPTIONS, resume=False))
    assert out.read_bytes() == want
    assert files_in(out.parent) == ["a.vqv"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"crf": 20}, "with other options"),
        ({"gop": 8}, "with other options"),
        ({"start": Time(frames=1)}, "with other options"),
        ({"duration": Time(frames=50)}, "with other options"),
        ({"device": "cpu"}, "with other options"),
        ({"preset": "fast"}, "with other options"),
        ({"rate": Fraction(12)}, "with other options"),
        ({"colour": Colour(primaries=1)}, "with other options"),
        ({"weights": "other"}, "with another model"),
        ({"source": 1}, "of another source"),
        ({"source": 2, "crf": 3}, "of another source and with other options"),
    ],
)
def test_other_work_is_refused(clip: Path, out: Path, change: dict, what: str) -> None:
    path = cut_off(clip, out, 4)
    weights = change.pop("weights", None)
    if source := change.pop("source", 0):
        data = bytearray(clip.read_bytes())
        times = clip.stat().st_atime_ns, clip.stat().st_mtime_ns
        data[-1] ^= 1
        clip.write_bytes(data)
        if source == 1:  # a changed byte, with the time as it was
            os.utime(clip, ns=times)
    with pytest.raises(
        UsageError, match=f"was made {what}: it cannot be continued; `overwrite=True` begins"
    ):
        encode(str(clip), str(out), replace(OPTIONS, **change), weights=weights)
    assert path.exists()
    assert not out.exists()
    encode(str(clip), str(out), replace(OPTIONS, **change), weights=weights, overwrite=True)
    assert files_in(out.parent) == ["a.vqv"]


@pytest.mark.parametrize("change", [{"threads": 1}, {"batch": 2}, {"strict": True}])
def test_what_decides_no_bytes_may_change(clip: Path, out: Path, want: bytes, change: dict) -> None:
    cut_off(clip, out, 4)
    report = encode(str(clip), str(out), replace(OPTIONS, **change))
    assert out.read_bytes() == want
    assert report.resumed == 4 * GOP


def test_tracks_may_be_chosen_anew(tmp_path: Path, out: Path) -> None:
    """They are taken from the source when the file is put together."""
    source = make(tmp_path / "in.mkv", frames=20, codec="ffv1", sounds=(Sound(),))
    silent = replace(OPTIONS, tracks=TrackChoice(frozenset({"audio"})))
    for before, now in ((OPTIONS, silent), (silent, OPTIONS)):
        encode(str(source), str(tmp_path / "want.vqv"), replace(now, resume=False), overwrite=True)
        cut_off(source, out, 2, before)
        assert encode(str(source), str(out), now, overwrite=True).resumed == 2 * GOP
        assert out.read_bytes() == (tmp_path / "want.vqv").read_bytes()


def test_a_copy_of_the_source_is_the_source(
    tmp_path: Path, clip: Path, out: Path, want: bytes
) -> None:
    cut_off(clip, out, 4)
    shutil.copy2(clip, tmp_path / "moved.y4m")
    assert encode(str(tmp_path / "moved.y4m"), str(out), OPTIONS).resumed == 4 * GOP
    assert out.read_bytes() == want


def test_frames_that_differ_are_refused(
    clip: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should a source ever be cut otherwise than the first time, though all looks the same."""
    cut_off(clip, out, 4)
    (same,) = journal_name.journals(out)
    monkeypatch.setattr("vqcodec.pipeline.encode.tag", lambda *args: same)
    with pytest.raises(
        UsageError, match="a.vqv: the encode that was cut off has other frames from 0 on"
    ):
        encode(str(clip), str(out), replace(OPTIONS, gop=GOP - 2))


@pytest.mark.parametrize(("frame", "told"), [(0, 0), (3, 2), (5, 4), (9, None)])
def test_a_change_that_no_sample_shows_is_noticed(
    tmp_path: Path, out: Path, frame: int, told: int | None
) -> None:
    """A byte of a large source, between what its checksum samples, and the time of change as it
    was: GOPs of both sources were once mixed."""
    pictures = [picture(640, 480, i) for i in range(12)]
    source = write(tmp_path / "large.y4m", header(640, 480), pictures)
    options = replace(OPTIONS, gop=2)
    cut_off(source, out, 4, options)
    before, data, times = (
        journal_name.source_digest(str(source)),
        bytearray(source.read_bytes()),
        source.stat(),
    )
    for at in range(data.index(pictures[frame].y[0].tobytes()), len(data), 4096):
        with source.open("r+b") as f:
            f.seek(at)
            f.write(bytes([data[at] ^ 1]))
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
        if journal_name.source_digest(str(source)) == before:
            break
        source.write_bytes(data)
    assert at < data.index(pictures[frame].u[0].tobytes())
    if told is not None:
        for overwrite in (False, True):
            with pytest.raises(
                UsageError,
                match=(
                    f"other frames from {told} on than the source: it cannot be continued; "
                    "`overwrite=True` without"
                ),
            ):
                encode(str(source), str(out), options, overwrite=overwrite)
            assert len(journal_name.journals(out)) == 1
            assert files_in(out.parent) == [next(iter(journal_name.journals(out).values())).name]
    encode(str(source), str(tmp_path / "want.vqv"), replace(options, resume=False))
    report = encode(str(source), str(out), replace(options, resume=told is None), overwrite=True)
    assert report.resumed == (8 if told is None else 0)
    assert out.read_bytes() == (tmp_path / "want.vqv").read_bytes()
    assert files_in(out.parent) == ["a.vqv"]


def test_two_encodes_at_once_are_refused(clip: Path, out: Path) -> None:
    with child.start(None, "encode", str(clip), str(out), "-g", str(GOP)) as process:
        child.advance(process, 1)
        for options in (OPTIONS, EncodeOptions(), replace(OPTIONS, crf=5)):
            with pytest.raises(OutputError, match="a.vqv: another process is encoding to it"):
                encode(str(clip), str(out), options, overwrite=True)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert files_in(out.parent) == ["a.vqv"]


def test_failure_keeps_the_work_with_resume(
    clip: Path,
    out: Path,
    want: bytes,
    fake_network: Any,
) -> None:
    fake_network.log.clear()
    fake_network.fail_after = 30
    with pytest.raises(RuntimeError):
        encode(str(clip), str(out), OPTIONS)
    assert len(files_in(out.parent)) == 1
    assert not out.exists()
    fake_network.fail_after = None
    assert encode(str(clip), str(out), OPTIONS).resumed == 4 * GOP
    assert out.read_bytes() == want


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_signals_keep_the_work_with_resume(clip: Path, out: Path, want: bytes, signum: int) -> None:
    """Ctrl-C closes a shorter file, and the whole one can be made from the same work later."""
    with child.start(None, "encode", "--resume", str(clip), str(out), "-g", str(GOP)) as process:
        child.advance(process, 8)
        process.send_signal(signum)
        if signum == signal.SIGINT:
            child.wait_for(process, "ctrl-C once more")
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signum
    if signum == signal.SIGINT:
        reader = ContainerReader.open(io.BytesIO(out.read_bytes()))
        assert reader.complete
        assert 3 * GOP < reader.frames < FRAMES
        assert "--resume -y continues it" in err
        with pytest.raises(OutputError, match="exists"):
            encode(str(clip), str(out), OPTIONS)
    assert len(journal_name.journals(out)) == 1
    report = encode(str(clip), str(out), OPTIONS, overwrite=True)
    assert out.read_bytes() == want
    assert report.resumed >= 3 * GOP
    assert files_in(out.parent) == ["a.vqv"]


def test_strict_keeps_nothing_of_a_damaged_source(tmp_path: Path, clip: Path, out: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:-100])
    with pytest.raises(DamageError):
        encode(str(clip), str(out), replace(OPTIONS, strict=True))
    assert files_in(out.parent) == []


def test_stats_are_refused(clip: Path, out: Path, tmp_path: Path) -> None:
    assert (
        main(["encode", "-q", "--resume", "--stats", str(tmp_path / "s"), str(clip), str(out)]) == 2
    )


@pytest.mark.parametrize(
    "name", ["x" * 230 + ".vqv", "\U0001f3ac" * 60 + ".vqv", ".vqv", "a.b.vqv"]
)
def test_long_and_odd_names(tmp_path: Path, clip: Path, out: Path, name: str) -> None:
    target = out.with_name(name)
    cut_off(clip, target, 2)
    assert not journal_name.journals(out.with_name("a"))
    assert not journal_name.journals(out.with_name("a.b"))
    assert encode(str(clip), str(target), OPTIONS).resumed == 2 * GOP
    assert files_in(out.parent) == [name]


def test_a_link_is_followed(tmp_path: Path, clip: Path, out: Path, want: bytes) -> None:
    link = tmp_path / "link.vqv"
    out.write_bytes(b"old")
    link.symlink_to(out)
    assert cut_off(clip, link, 2).parent == out.parent
    assert journal_name.journals(link) == journal_name.journals(out)
    assert encode(str(clip), str(link), OPTIONS, overwrite=True).resumed == 2 * GOP
    assert link.is_symlink()
    assert out.read_bytes() == want
    assert files_in(out.parent) == ["a.vqv"]
