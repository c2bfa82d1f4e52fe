"""Output names that are not given, several files for one command, and what the summary says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from support.clips import header, moving, write
from support.paths import ROOT

from vqcodec.cli import main

pytestmark = pytest.mark.usefixtures("fake_network")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(tmp_path / "in.mkv", header(32, 16), moving(32, 16, 12), vcodec="ffv1")


def test_an_output_that_is_not_named_lies_beside_the_input(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    coded = clip.with_suffix(".vqv")
    assert main(["encode", str(clip)]) == 0
    assert coded.stat().st_size > 0
    assert str(coded) in capsys.readouterr().err
    before = coded.read_bytes()
    assert main(["encode", "-crf", "50", str(clip)]) == 5  # never over a file without -y
    assert "exists already" in capsys.readouterr().err
    assert coded.read_bytes() == before
    assert main(["encode", "-q", "-y", "-crf", "50", str(clip)]) == 0
    assert coded.read_bytes() != before
    assert main(["decode", "-q", str(coded)]) == 5  # it would be the source
    clip.unlink()
    assert main(["decode", "-q", str(coded)]) == 0
    assert clip.stat().st_size > 0


@pytest.mark.parametrize("command", ["encode", "decode", "repair"])
def test_a_name_that_tells_no_other(
    command: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suffix = {"encode": ".vqv", "decode": ".mkv", "repair": ".vqv"}[command]
    own = clip.with_name("own" + suffix)
    own.write_bytes(clip.read_bytes())
    fifo = clip.with_name("fifo")
    os.mkfifo(fifo)
    runs = [(fifo, "a pipe has no name"), (clip.with_name("none.x"), "no such file")]
    if command != "repair":
        runs.append((own, "an output is needed"))
    for name, text in runs:
        assert main([command, str(name)]) in (2, 3)
        assert text in capsys.readouterr().err
    assert sorted(p.name for p in clip.parent.iterdir()) == sorted(["fifo", "in.mkv", own.name])


def test_several_files_and_the_worst_exit_code(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, none = (str(clip.with_name(f"{n}.vqv")) for n in ("good", "bad", "none"))
    assert main(["encode", "-q", "-g", "4", str(clip), good]) == 0
    data = bytearray(Path(good).read_bytes())
    data[len(data) // 2] ^= 255
    Path(bad).write_bytes(data)
    foreign = str(clip)
    for command in (["info"], ["verify", "--fast"], ["verify"]):
        assert main([*command, good, good]) == 0
        assert main([*command, bad, good]) == 4
        capsys.readouterr()
        assert main([*command, "--json", foreign, good, none, bad]) == 4  # 3, 0, 3, 4
        out, err = capsys.readouterr()
        lines = [json.loads(line) for line in out.splitlines()]
        assert [line["file"] for line in lines] == [foreign, good, none, bad]
        assert [line["ok"] for line in lines] == [False, True, False, False]
        assert "no such file" in lines[2]["error"]
        assert "no such file" in err
        assert main([*command, good, none]) == 3
        assert main([*command, "-", "-"]) == 2
        assert "once only" in capsys.readouterr().err


def test_the_last_line_of_json_of_several_files(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "progress.schema.json").read_text())
    good, none = (str(clip.with_name(f"{n}.vqv")) for n in ("good", "none"))
    assert main(["encode", "--progress", "json", str(clip), good]) == 0
    encoded = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert encoded["result"]["source_bytes"] == clip.stat().st_size
    assert main(["verify", "--fast", "--progress", "json", good, none]) == 3
    last = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert [f["ok"] for f in last["result"]["files"]] == [True, False]
    for line in (encoded, last):
        jsonschema.validate(line, schema)


def test_the_share_of_the_source(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coded = clip.with_suffix(".vqv")
    assert main(["encode", str(clip), str(coded)]) == 0
    share = 100 * coded.stat().st_size / clip.stat().st_size
    assert f"{share:.1f} % of the source)" in capsys.readouterr().err
    assert main(["encode", "-y", "-t", "4f", str(clip), str(coded)]) == 0
    assert "of the source" not in capsys.readouterr().err  # a stretch has no share
