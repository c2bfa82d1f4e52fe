"""Text from outside on its way to people: no file, name or library drives a terminal or forges a
line."""

from __future__ import annotations

import io
import json
import logging
import os
import re
from fractions import Fraction
from pathlib import Path

import av
import click
import numpy as np
import pytest
from support import fakes
from support.clips import header, picture, write

from vqcodec.bench.records import ClipResult, Results, Summary
from vqcodec.bench.table import as_text as bench_text
from vqcodec.cli import cli, main, messages
from vqcodec.container import packets, writer
from vqcodec.container.description import Chapter, Description
from vqcodec.container.tracks import DESCRIPTION, PACKETS, TRACK, Track
from vqcodec.system.columns import columns
from vqcodec.system.text import printable

HOSTILE = "\x1b]0;OWNED\x07\x1b[2J\x9b31m\u202eevil\u2066\u2028\r\nFORGED: line\b\x7f"
_DRIVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> bool:
    """Whether people may read it: nothing in it drives a terminal, and no line is forged."""
    return not _DRIVES.search(text) and not re.search(r"^\s*FORGED", text, re.MULTILINE)


@pytest.fixture(autouse=True)
def network(monkeypatch: pytest.MonkeyPatch) -> type[fakes.GopEncoder]:
    return fakes.install(monkeypatch)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A file of a hostile name in which all texts are hostile, and which is damaged besides."""
    tags = {"title": HOSTILE, HOSTILE: HOSTILE, "language": HOSTILE, "filename": HOSTILE}
    chapters = (Chapter(1, 0, 40, Fraction(1, 1000), {"title": HOSTILE}),)
    tracks = [
        Track(0, "audio", "aac" + HOSTILE, Fraction(1, 1000), 0, tags, "matroska", b"nonsense"),
        Track(1, "subtitle", "ass", Fraction(1, 1000), 0, tags, HOSTILE, b"nonsense"),
        Track(2, "attachment", "", Fraction(1), 0, tags, "", b"font"),
    ]
    f = io.BytesIO()
    w = writer.ContainerWriter(f, header(8, 8))
    w.extra(DESCRIPTION, Description(tags, tags, 0, chapters, HOSTILE).to_bytes())
    for track in tracks:
        w.extra(TRACK, track.to_bytes())
    w.extra(PACKETS, b"\xff" * 20)
    w.gop(packets.GopPayload((0, 40), 40, 1, (1, 2, 3), b"body"))
    w.finish()
    path = tmp_path / ("a" + HOSTILE + ".vqv")
    path.write_bytes(f.getvalue())
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A video with hostile tags and a hostile name."""
    path = tmp_path / ("s" + HOSTILE + ".mkv")
    with av.open(f"file:{path}", "w", format="matroska") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv444p"
        out.metadata.update({"title": HOSTILE})
        stream.metadata.update({"language": HOSTILE, "title": HOSTILE})
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 40 * i, np.uint8), "rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv444p")))
        out.mux(stream.encode(None))
    return path


COMMANDS = {
    "info": ["info", "{vqv}"],
    "info --frames": ["info", "--frames", "{vqv}"],
    "analyze": ["analyze", "{vqv}"],
    "analyze nothing": ["analyze", "{dir}/{text}"],
    "analyze for editors": ["analyze", "--edl", "--start-timecode", "{text}", "{vqv}"],
    "tokens": ["tokens", "--shallow", "{vqv}", "--arrays", "{dir}/{text}.npz"],
    "verify": ["verify", "{vqv}"],
    "verify --fast": ["verify", "--fast", "{vqv}"],
    "decode to mkv": ["decode", "{vqv}", "{dir}/o.mkv", "-vv"],
    "decode to y4m": ["decode", "{vqv}", "{dir}/{text}.y4m"],
    "decode nothing": ["decode", "{dir}/{text}.vqv", "{dir}/o.mkv"],
    "decode with options": ["decode", "{vqv}", "{dir}/o.mkv", "--vcodec", "{text}"],
    "encode": ["encode", "{mkv}", "{dir}/{text}.vqv"],
    "encode nothing": ["encode", "{dir}/{text}", "{dir}/o.vqv", "-vv"],
    "encode text": ["encode", "{vqv}", "{dir}/o.vqv"],
    "encode into nothing": ["encode", "{mkv}", "{dir}/no{text}/o.vqv"],
    "encode with a map": ["encode", "{mkv}", "{dir}/o.vqv", "-map", "{text}"],
    "a preset": ["encode", "{mkv}", "{dir}/o.vqv", "-preset", "{text}"],
    "weights": ["encode", "{mkv}", "{dir}/o.vqv", "--weights", "{dir}/{text}"],
    "an option": ["encode", "--x{text}"],
    "a command": ["{text}"],
    "batch": ["batch", "{dir}", "--out", "{dir}/out{text}"],
    "batch --decode": ["batch", "--decode", "{dir}", "--out", "{dir}/out"],
    "repair": ["repair", "{vqv}", "{dir}/{text}.vqv"],
    "join": ["join", "{vqv}", "{vqv}", "{dir}/{text}.vqv"],
    "bench": ["bench", "{dir}/{text}", "--plot", "{dir}/{text}"],
    "train": ["train", "{dir}/{text}"],
    "play": ["play", "{vqv}", "--player", "{dir}/{text}"],
    "play in a player": ["play", "{vqv}", "--player", "true"],
    "kernels": ["kernels", "--weights", "{dir}/{text}"],
    "completions": ["completions", "{text}"],
}


def known(name: str) -> list[click.Parameter]:
    """What a command can be told."""
    return cli.commands[name].params if name in cli.commands else []


def test_no_command_is_left_out() -> None:
    assert set(cli.commands) <= {args[0] for args in COMMANDS.values()}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_lets_hostile_text_through(
    name: str,
    hostile: Path,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if name == "kernels":
        monkeypatch.undo()  # it is about the real networks
    names = {"vqv": str(hostile), "mkv": str(source), "dir": str(tmp_path), "text": HOSTILE}
    args = [arg.format_map(names) for arg in COMMANDS[name]]
    log = tmp_path / "log"
    logged = name != "an option" and any("--log-file" in p.opts for p in known(args[0]))
    code = main([*args, "--log-file", str(log)] if logged else args)
    answer = capsys.readouterr()
    assert code != 1, answer.err
    assert harmless(answer.out), ascii(answer)
    assert harmless(answer.err), ascii(answer)
    assert not log.exists() or harmless(log.read_text()), ascii(log.read_text())


def test_hostile_text_is_shown_as_what_it_is(
    hostile: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["info", str(hostile)])
    text = capsys.readouterr().out
    assert "title: \\x1b]0;OWNED\\x07" in text
    assert "\\u202eevil" in text
    assert "\\r\\nFORGED" in text


def test_json_stays_exact(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["info", "--json", str(hostile)])
    told = json.loads(capsys.readouterr().out)
    assert told["tags"]["title"] == HOSTILE
    assert told["file"] == str(hostile)


def test_letters_of_all_writings_pass() -> None:
    for text in (
        "A \u6f22\u3000film",
        "\u00a0\u202f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "C:\\x1b.mkv",
        "e\u0301",
    ):
        assert printable(text) == text
    assert printable(os.fsdecode(b"a\xff\n")) == "a\\xff\\n"
    assert printable("\ud800\u2028\t\u00ad") == "\\ud800\\u2028\\t\\xad"


def test_other_libraries_cannot_either(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What they log goes to standard error and into the log; so do the errors that they raise."""
    talk = messages.begin([])
    talk.open_log(str(tmp_path / "log"), [])
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("other").warning("%s", HOSTILE, exc_info=True)
        talk.say(f"vqcodec: error: {HOSTILE}", trace=True)
    talk.close(1, None)
    log = (tmp_path / "log").read_text()
    assert "OWNED" in log, ascii(log)
    assert harmless(log), ascii(log)
    assert all(re.match(r"\d{4}-|\| ", line) for line in log.splitlines()), log
    assert harmless(capsys.readouterr().err)


def test_tables() -> None:
    rows = columns([["file", "n"], [HOSTILE, "1"], ["b", "22"]])
    assert all(map(harmless, rows))
    assert len({len(row) for row in rows}) == 1
    assert rows[0].startswith("file")
    clip = ClipResult(HOSTILE, 8, 8, 1, "25", 8, "", [], 0, "", points={}, bd_rate={})
    results = Results("", 1.0, "", {}, {}, [clip], Summary({}, {}))
    assert harmless(bench_text(results))
    assert "OWNED" in bench_text(results)


def test_no_module_prints_past_it() -> None:
    """Answers and sentences go through cli/messages.py; a new ``print`` would go past it."""
    folder = Path(messages.__file__).parents[1]
    allowed = {"cli/messages.py", "bench/anchor_job.py"}  # the second: JSON, to a pipe of ours
    found = set()
    for path in folder.rglob("*.py"):
        for line in path.read_text().splitlines():
            called = re.search(r"\b(print|click\.echo|sys\.std(out|err)\.write)\(", line)
            if (
                called
                and "quoted(" not in line
                and "printable(" not in line
                and "format_message" not in line
            ):
                found.add(path.relative_to(folder).as_posix())
    assert found <= allowed, found - allowed


def test_a_clip_of_a_plain_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = write(tmp_path / "in.y4m", header(8, 8), [picture(8, 8, i) for i in range(3)])
    assert main(["encode", str(clip), str(tmp_path / "o.vqv")]) == 0
    assert f"{tmp_path}/o.vqv: 3 frames" in capsys.readouterr().err
