"""How the program behaves towards people and other programs: help, completions, logs, colours,
progress in JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from support import fakes
from support.clips import header, picture, write
from support.clock import PATIENCE
from support.paths import ROOT, files_in

from vqcodec.cli import cli, main
from vqcodec.cli.command import Command, Rare
from vqcodec.errors import UsageError
from vqcodec.pipeline.encode import encode

COMMANDS = sorted(cli.commands)


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> type[fakes.GopEncoder]:
    return fakes.install(monkeypatch)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(tmp_path / "in.y4m", header(8, 8), [picture(8, 8, i) for i in range(3)])


@pytest.fixture
def program(tmp_path: Path) -> dict[str, str]:
    """An environment in which ``vqcodec`` is this program."""
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "vqcodec"
    script.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m vqcodec \"$@\"\n")
    script.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "TERM")}
    return kept | {"PYTHONPATH": str(ROOT), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


# -- help


@pytest.mark.parametrize("name", COMMANDS)
def test_short_help_shows_little_and_long_help_all(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command = cli.commands[name]
    rule = "commands are made with @command(examples=[...]) of cli/command.py"
    assert isinstance(command, Command), rule
    assert command.examples, rule
    assert main([name, "-h"]) == 0
    short = capsys.readouterr().out
    assert main([name, "--help-all"]) == 0
    long = capsys.readouterr().out
    for option in command.params:
        if isinstance(option, click.Option):
            shown = re.compile(rf"(?m)^  (?:.*, )?{re.escape(option.opts[0])}\b")
            assert shown.search(long), option.opts
            assert bool(shown.search(short)) != isinstance(option, Rare), option.opts
    assert f"vqcodec {name} --help-all" in short or not any(
        isinstance(p, Rare) for p in command.params
    )
    for example in command.examples:
        assert example in short
        assert f"vqcodec {name}" in example
    assert len(short.splitlines()) < 60


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_understood(name: str) -> None:
    command = cli.commands[name]
    assert isinstance(command, Command)
    for example in command.examples:
        words = re.search(rf"vqcodec {name} ?([^|>#]*)", example)
        assert words is not None
        with command.make_context(name, words[1].split(), resilient_parsing=False):
            pass


def test_long_help_of_the_program_has_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help-all"]) == 0
    text = capsys.readouterr().out
    assert all(f"Usage: vqcodec {name} " in text for name in COMMANDS)
    assert "--max-concealed" in text


def test_reference_is_current() -> None:
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from commands import TARGET, reference
    finally:
        sys.path.pop(0)
    assert TARGET.read_text(encoding="utf-8") == reference(), (
        "docs/commands.md is not what the program says: run `make docs` (or: python "
        "tools/commands.py) and commit it"
    )


@pytest.mark.parametrize(
    "args, meant",
    [
        (["encoed"], "encode"),
        (["encode", "--qualty", "3"], "--quality"),
        (["encode", "-presett", "slow"], "-preset"),
        (["decode", "a", "b", "--vcodc=x"], "--vcodec"),
    ],
)
def test_misspelt_words_are_answered_with_the_nearest(
    args: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    err = capsys.readouterr().err
    assert "Did you mean" in err
    assert f"'{meant}'" in err.partition("Did you mean")[2]
    assert "-h shows how" in err
    assert err.count("\n") == 1


# -- start-up


def test_what_needs_no_network_answers_at_once(
    program: dict[str, str], tmp_path: Path, clip: Path, network: Any
) -> None:
    resource = pytest.importorskip("resource")
    coded = str(tmp_path / "a.vqv")
    assert main(["encode", "-q", str(clip), coded]) == 0
    runs = [
        (["--help-all"], 0),
        (["info", coded], 0),
        (["verify", "--fast", coded], 0),
        (["encode", str(clip), coded], 5),
        (["decode", coded, str(clip)], 5),
        (["encode", str(clip), "b.vqv", "-crf", "99"], 2),
    ]
    for args, code in runs:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert (
            subprocess.run(
                ["vqcodec", *args], capture_output=True, env=program, cwd=tmp_path
            ).returncode
            == code
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # of the processor's time, which is that of the clock when nothing else runs
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5, args


def test_what_needs_no_samples_does_not_load_numpy(
    program: dict[str, str], tmp_path: Path, clip: Path, network: Any
) -> None:
    # which takes longer than the rest of a start
    coded = str(tmp_path / "a.vqv")
    assert main(["encode", "-q", str(clip), coded]) == 0
    runs = [
        (["info", coded], 0),
        (["verify", "--fast", coded], 0),
        (["repair", coded, str(clip)], 5),
        (["join", coded, coded, str(clip)], 5),
        (["tokens", coded, "--arrays", str(clip)], 5),
        (["encode", str(clip), coded], 5),
        (["decode", coded, str(clip)], 5),
    ]
    for args, code in runs:
        command = [sys.executable, "-X", "importtime", "-m", "vqcodec", *args]
        run = subprocess.run(command, capture_output=True, text=True, env=program, cwd=tmp_path)
        assert run.returncode == code, run.stderr[-500:]
        assert "vqcodec.cli" in run.stderr
        assert "numpy" not in run.stderr, args


# -- log file


def test_log_file(
    tmp_path: Path, clip: Path, network: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    log, out = tmp_path / "run.log", tmp_path / "a.vqv"
    log.write_text("from before\n")
    assert (
        main(["encode", "-q", "--progress", "json", str(clip), str(out), "--log-file", str(log)])
        == 0
    )
    assert main(["encode", str(clip), str(out), "--log-file", str(log)]) == 5
    assert (
        main(
            ["decode", str(tmp_path / "a\nb.vqv"), str(tmp_path / "b.y4m"), "--log-file", str(log)]
        )
        == 3
    )
    capsys.readouterr()
    lines = log.read_text().splitlines()
    assert lines.pop(0) == "from before"
    matches = [
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} (INFO|ERROR) (.*)", line)
        for line in lines
    ]
    said = [(m[1], m[2]) for m in matches if m]
    assert len(said) == len(matches)
    assert said.pop(1)[1].startswith("vqcodec: the encoder's networks multiply in ")
    assert [level for level, _ in said] == [
        "INFO",
        "INFO",
        "INFO",
        "INFO",
        "ERROR",
        "INFO",
        "INFO",
        "ERROR",
        "INFO",
    ]
    assert said[0][1].startswith("vqcodec ")
    assert "encode -q" in said[0][1]
    assert "3 frames" in said[1][1]
    assert said[2][1] == "exit code 0"
    assert "exists" in said[4][1]
    assert said[5][1] == "exit code 5"
    assert said[8][1] == "exit code 3"
    assert '"done"' not in log.read_text()


def test_log_file_tells_where_an_internal_error_arose(
    tmp_path: Path,
    clip: Path,
    network: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    network.fail_after = 0
    log = tmp_path / "run.log"
    assert main(["encode", str(clip), str(tmp_path / "a.vqv"), "--log-file", str(log)]) == 1
    assert "Traceback" in log.read_text()
    assert "network failed" in log.read_text()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ([], False),
        (["-v"], False),
        (["-vv"], True),
        (["-v", "-v"], True),
        (["--verbose", "--verbose"], True),
        (["-qvv"], True),
    ],
)
def test_two_v_in_any_spelling_show_where_an_error_arose(
    given: list[str], shown: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", *given, str(tmp_path / "none.vqv")]) == 3
    said = capsys.readouterr().err
    assert ("Traceback" in said) == shown
    assert said.splitlines()[-1].endswith("none.vqv: no such file")


def test_log_file_is_no_file_of_the_command(
    tmp_path: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = clip.read_bytes()
    assert main(["encode", str(clip), str(tmp_path / "a.vqv"), "--log-file", str(clip)]) == 2
    assert (
        main(["encode", str(clip), str(tmp_path / "a.vqv"), "--log-file", str(tmp_path / "a.vqv")])
        == 2
    )
    assert (
        main(["encode", str(tmp_path / "b.y4m"), "--log-file", str(clip)]) == 2
    )  # a forgotten name
    assert main(["encode", str(clip), str(tmp_path / "a.vqv"), "--log-file", str(tmp_path)]) == 5
    assert (
        main(
            [
                "encode",
                str(clip),
                str(tmp_path / "a.vqv"),
                "--log-file",
                str(tmp_path / "no" / "log"),
            ]
        )
        == 5
    )
    assert clip.read_bytes() == before
    assert files_in(tmp_path) == ["in.y4m"]
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_log_that_cannot_be_written_is_told_once(
    tmp_path: Path, clip: Path, network: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", str(clip), str(tmp_path / "a.vqv"), "--log-file", "/dev/full"]) == 0
    err = capsys.readouterr().err
    assert err.count("log cannot be written") == 1
    assert "Traceback" not in err
    assert "Logging error" not in err


# -- colours


def test_colours_are_for_terminals(program: dict[str, str], tmp_path: Path) -> None:
    pexpect = pytest.importorskip("pexpect")

    def shown(**env: str) -> str:
        child = pexpect.spawn(
            "vqcodec",
            ["info", str(tmp_path / "none.vqv")],
            env=program | {"TERM": "xterm"} | env,
            encoding="utf-8",
            timeout=PATIENCE,
        )
        child.expect(pexpect.EOF)
        return str(child.before)

    assert "\x1b[31m" in shown()
    assert "error:" in shown()
    assert "\x1b" not in shown(NO_COLOR="1")
    assert "\x1b" not in shown(TERM="dumb")
    piped = subprocess.run(
        ["vqcodec", "info", "none.vqv"],
        capture_output=True,
        text=True,
        env=program | {"TERM": "xterm"},
    )
    assert "\x1b" not in piped.stderr
    assert piped.stderr.startswith("vqcodec: error: ")


# -- standard output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("args", [["info"], ["info", "--json"], ["verify", "--fast"]])
def test_full_disk_behind_standard_output(
    args: list[str], program: dict[str, str], tmp_path: Path, clip: Path, network: Any
) -> None:
    assert main(["encode", "-q", str(clip), str(tmp_path / "a.vqv")]) == 0
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            ["vqcodec", *args, str(tmp_path / "a.vqv")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=program,
        )
    assert result.returncode == 5
    assert result.stderr.startswith("vqcodec: error: ")
    assert result.stderr.count("\n") == 1


# -- progress in JSON


@pytest.fixture
def schema() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    made = json.loads((ROOT / "docs/progress.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock by which every update is due."""
    now = [0.0]

    def tick() -> float:
        now[0] += 2
        return now[0]

    monkeypatch.setattr("vqcodec.system.progress.time.monotonic", tick)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")
    ]


def test_progress_json(
    tmp_path: Path,
    clip: Path,
    network: Any,
    schema: Any,
    often: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    coded = str(tmp_path / "a.vqv")
    runs = [
        (["encode", str(clip), coded], 0, "encode", True),
        (["decode", coded, str(tmp_path / "b.y4m")], 0, "decode", True),
        (["verify", coded], 0, "verify", True),
        (["encode", str(clip), coded], 5, None, False),
        (["encode", str(clip), coded, "-y", "-crf", "99"], 2, None, False),
        (["encode", "-q", str(clip), coded, "-y"], 0, "encode", True),
    ]
    for args, code, made, updates in runs:
        assert main([args[0], "--progress", "json", *args[1:]]) == code
        told = lines(capsys)
        for line in told:
            schema.validate(line)
        assert [line["done"] for line in told] == [False] * (len(told) - 1) + [True]
        assert (len(told) > 1) == updates
        last = told[-1]
        assert last["exit_code"] == code
        assert (last["error"] is None) == (code == 0)
        assert (last["result"] or {}).get("command") == made
        if made == "encode":
            assert last["result"]["frames"] == 3
            assert last["result"]["bytes"] == Path(coded).stat().st_size
    with pytest.raises(Exception, match="done"):
        schema.validate({"frames": 1})


def test_progress_json_of_a_damaged_file(
    tmp_path: Path, clip: Path, network: Any, schema: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    coded = tmp_path / "a.vqv"
    assert main(["encode", "-q", str(clip), str(coded)]) == 0
    data = bytearray(coded.read_bytes())
    data[-60] ^= 1
    coded.write_bytes(bytes(data))
    assert main(["verify", "--progress", "json", str(coded)]) == 4
    (last,) = [line for line in lines(capsys) if line["done"]]
    schema.validate(last)
    assert last["exit_code"] == 4
    assert last["result"]["damage"]


def test_progress_json_leaves_standard_output_to_data(
    tmp_path: Path, clip: Path, network: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", "--progress", "json", str(clip), str(tmp_path / "a.vqv")]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert all(line.startswith("{") for line in shown.err.splitlines())


# -- completions


def test_completion_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    for shell, own in (
        ("bash", "complete -o nosort"),
        ("zsh", "#compdef vqcodec"),
        ("fish", "complete --no-files --command vqcodec"),
    ):
        assert main(["completions", shell]) == 0
        script = capsys.readouterr().out
        assert own in script
        assert f"_VQCODEC_COMPLETE={shell}_complete" in script
    assert main(["completions", "tcsh"]) == 2


@pytest.fixture
def shell(tmp_path: Path, program: dict[str, str]) -> Iterator[Any]:
    """Starts a shell in a folder with two files, with its completion script loaded; gives a
    function that presses tab behind a text and returns what stands there then."""
    pexpect = pytest.importorskip("pexpect")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "unmistakable film.vqv").touch()
    (tmp_path / "work" / "recipe.toml").touch()
    children = []

    def start(name: str, *args: str, prompt: str, load: str) -> Any:
        if shutil.which(name) is None:
            pytest.skip(f"needs {name}")
        script = tmp_path / f"completion.{name}"
        script.write_bytes(
            subprocess.run(
                ["vqcodec", "completions", name], stdout=subprocess.PIPE, env=program, check=True
            ).stdout
        )
        child = pexpect.spawn(
            name,
            list(args),
            env=program | {"TERM": "dumb", "PS1": "READY> ", "HOME": str(tmp_path)},
            cwd=str(tmp_path / "work"),
            encoding="utf-8",
            timeout=PATIENCE,
            dimensions=(50, 200),
        )
        children.append(child)
        child.expect(prompt)
        child.sendline(load.format(script=script))
        child.expect(prompt)

        def complete(text: str, want: str) -> None:
            child.send(text + "\t")
            child.expect(want)
            child.sendcontrol("u")

        return complete

    yield start
    for child in children:
        child.close(force=True)


def test_bash_completes(shell: Any) -> None:
    complete = shell(
        "bash", "--norc", "--noprofile", "-i", prompt="READY> ", load="source '{script}'"
    )
    complete("vqcodec enco", "encode ")
    complete("vqcodec encode --prog", "--progress ")
    complete("vqcodec encode -preset med", "-preset medium")
    complete("vqcodec info unmis", r"unmistakable\\ film.vqv")
    complete("vqcodec decode --weights unmis", r"unmistakable\\ film.vqv")
    complete("vqcodec train rec", r"recipe.toml")


def test_zsh_completes(shell: Any) -> None:
    complete = shell(
        "zsh",
        "-f",
        "-i",
        prompt="READY> ",
        load=(
            "unsetopt zle_bracketed_paste; autoload -U compinit && compinit -u -D && "
            "source '{script}'"
        ),
    )
    complete("vqcodec enco", "encode")
    complete("vqcodec encode --prog", "--progress")
    complete("vqcodec info unmis", r"unmistakable\\ film.vqv")


def test_fish_completes(program: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("needs fish")
    (tmp_path / "unmistakable.vqv").touch()
    script = tmp_path / "vqcodec.fish"
    script.write_bytes(
        subprocess.run(
            ["vqcodec", "completions", "fish"], stdout=subprocess.PIPE, env=program, check=True
        ).stdout
    )
    for text, want in (
        ("vqcodec enco", "encode"),
        ("vqcodec encode --prog", "--progress"),
        ("vqcodec info unmis", "unmistakable.vqv"),
    ):
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source '{script}'; complete -C '{text}'"],
            capture_output=True,
            text=True,
            env=program | {"HOME": str(tmp_path)},
            cwd=tmp_path,
        )
        assert want in done.stdout, done.stderr


# -- what to do next


def test_errors_say_what_to_do_next(
    tmp_path: Path, clip: Path, network: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    coded, text, new = str(tmp_path / "a.vqv"), str(tmp_path / "text.vqv"), str(tmp_path / "b.mkv")
    assert main(["encode", "-q", str(clip), coded]) == 0
    Path(text).write_text("hello")
    (tmp_path / "folder").mkdir()
    cases = [
        (["encode"], 2, "vqcodec encode -h shows how"),
        (["encode", str(clip), coded], 5, "-y overwrites it"),
        (["encode", str(clip), str(tmp_path / "no" / "a.vqv")], 5, "make it first"),
        (["encode", str(clip), str(tmp_path / "folder")], 5, "name a file in it"),
        (["encode", str(clip), str(tmp_path / "c.vqv"), "-ss", "1000"], 2, "-ss is behind its end"),
        (["decode", coded, new, "-ss", "1000"], 2, "vqcodec info shows how long it is"),
        (["decode", coded, new, "--vcodec", "libx246"], 2, "libx264"),
        (
            ["decode", coded, new, "--vcodec", "libx264", "--vcodec-opts", "crff=12"],
            2,
            "no option crff; ffmpeg -h encoder=libx264",
        ),
        (
            ["decode", coded, new, "--weights", "other"],
            7,
            "name those that it was encoded with by --weights",
        ),
        (["decode", coded, new, "--max-memory", "1M"], 6, "--max-memory raises it"),
        (["decode", coded, new, "--max-frames", "1"], 6, "--max-frames raises it"),
        (["info", text], 3, "vqcodec encode makes one"),
        (["join", coded], 2, "vqcodec join PART... OUT"),
    ]
    capsys.readouterr()
    for args, code, hint in cases:
        assert main(args) == code, args
        err = capsys.readouterr().err
        assert hint in err, err
        assert err.count("\n") == 1, err
        assert err.startswith("vqcodec: error: "), err


# -- words


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("-vf", "filter them into a pipe"),
        ("-c:v", "one picture codec"),
        ("-c:a", "copied as they are"),
        ("-crff", "Did you mean"),
    ],
)
def test_words_of_ffmpeg_are_answered(
    option: str, hint: str, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", str(clip), "a.vqv", option, "x"]) == 2
    assert hint in capsys.readouterr().err


def test_help_is_a_word_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "encode"]) == 0
    assert "Usage: vqcodec encode" in capsys.readouterr().out
    assert main(["help"]) == 0
    assert "Usage: vqcodec [OPTIONS]" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        *("out.mp4", "out.MKV", "out.y4m", "out.webm", "out.gif", "out.opus", "out.qt", "out.swf"),
        *("out.amv", "out.roq", "out.wtv", "out.ismv", "out.divx", "out.dvr-ms", "out.yuv"),
    ],
)
def test_encode_writes_no_video_of_another_name(
    name: str, tmp_path: Path, clip: Path, network: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / name
    out.write_bytes(b"a real one")
    assert main(["encode", "-y", str(clip), str(out)]) == 2
    assert f"name it {tmp_path / 'out.vqv'}" in capsys.readouterr().err
    with pytest.raises(UsageError):
        encode(clip, out, overwrite=True)
    assert out.read_bytes() == b"a real one"
    assert main(["encode", str(clip), str(tmp_path / "out.anything")]) == 0


def test_addresses_are_said_not_to_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "http://localhost/a.vqv"]) == 3
    assert "http://localhost/a.vqv: addresses are not read" in capsys.readouterr().err


def test_an_error_of_strict_decoding_names_the_file(
    tmp_path: Path, clip: Path, network: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    coded = tmp_path / "a.vqv"
    assert main(["encode", "-q", str(clip), str(coded)]) == 0
    network.wrong_checksum = True
    assert main(["encode", "-qy", str(clip), str(coded)]) == 0
    assert main(["decode", "--strict", str(coded), str(tmp_path / "b.y4m")]) == 4
    assert str(coded) in capsys.readouterr().err


# -- figures of pictures, and of what lies beside them


def test_figures_of_pictures_stand_apart_from_those_of_sound(
    tmp_path: Path, network: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    coded = str(tmp_path / "a.vqv")
    source = str(ROOT / "tests" / "data" / "sound.mp4")
    assert main(["encode", source, coded, "--progress", "json", "-t", "20f"]) == 0
    made = lines(capsys)[-1]["result"]
    assert main(["info", "--json", coded]) == 0
    told = json.loads(capsys.readouterr().out)
    for key in ("picture_bytes", "track_bytes"):
        assert made[key] == told[key] > 0
    parts = (told["picture_bytes"], told["track_bytes"], told["container_bytes"])
    assert sum(parts) == told["bytes"] == Path(coded).stat().st_size
    assert parts[2] > 0
    for key, whole in (("picture_kbps", "kbps"), ("picture_bpp", "bpp")):
        share = told["picture_bytes"] / told["bytes"]
        assert told[key] == pytest.approx(told[whole] * share, rel=1e-3)
    assert main(["info", coded]) == 0
    shown = capsys.readouterr().out
    assert f"pictures: {parts[0]} bytes, {told['picture_kbps']:.2f} kbps" in shown
    assert f"other tracks and tags: {parts[1]} bytes; header and index: {parts[2]} bytes" in shown
    assert main(["encode", "-y", source, coded, "-t", "20f"]) == 0
    said = capsys.readouterr().err
    assert f"pictures: {made['picture_bpp']:.5f} bpp, {made['picture_kbps']:.2f} kbps" in said


def test_info_numbers_gops_by_their_place_and_shows_ten(
    tmp_path: Path, network: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write(tmp_path / "in.y4m", header(8, 8), [picture(8, 8, i) for i in range(30)])
    coded = tmp_path / "a.vqv"
    assert main(["encode", "-q", str(clip), str(coded), "-g", "2"]) == 0
    assert main(["info", str(coded)]) == 0
    shown = capsys.readouterr().out
    assert "30 frames in 15 GOPs," in shown
    assert shown.count("\n  GOP ") == 9
    assert "6 more (--gops shows them)" in shown
    assert "\n  GOP 14: frames 28 to 29" in shown
    assert main(["info", "--gops", str(coded)]) == 0
    assert capsys.readouterr().out.count("\n  GOP ") == 15
    assert main(["info", "--json", str(coded)]) == 0
    at = json.loads(capsys.readouterr().out)["gops"][3]["offset"]
    data = bytearray(coded.read_bytes())
    data[at + 60] ^= 1
    coded.write_bytes(data)
    assert main(["info", "--gops", str(coded)]) == 4
    shown = capsys.readouterr().out
    assert "15 GOPs, 1 damaged" in shown
    assert "GOP 3: " not in shown.split("damaged:")[0]
    assert "\n  GOP 4: frames 8 to 9" in shown
