"""Options of the library: texts of the command line are understood, all else is refused by errors
of ours, and type checkers know the names."""

from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT

import vqcodec
from vqcodec.options import (
    _COMMON,
    _OF_DECODE,
    _OF_ENCODE,
    DecodeOptions,
    EncodeOptions,
    Time,
    TrackChoice,
)
from vqcodec.values import DecodeChanges, EncodeChanges


@pytest.mark.parametrize(
    ("options", "name", "given", "want"),
    [
        (EncodeOptions, "bitrate", "800k", 800_000),
        (EncodeOptions, "max_size", "1.5M", 1_500_000),
        (EncodeOptions, "max_size", 50_000.0, 50_000),
        (EncodeOptions, "crf", "30.5", 30.5),
        (EncodeOptions, "target_psnr", "38", 38),
        (EncodeOptions, "gop", "4s", Time(seconds=Fraction(4))),
        (EncodeOptions, "gop", "64", Time(frames=64)),
        (EncodeOptions, "start", "1:02.5", Time(seconds=Fraction("62.5"))),
        (EncodeOptions, "start", 2.1, Time(seconds=Fraction("2.1"))),
        (EncodeOptions, "duration", "300f", Time(frames=300)),
        (EncodeOptions, "rate", "ntsc", Fraction(30000, 1001)),
        (EncodeOptions, "rate", 29.97, Fraction("29.97")),
        (EncodeOptions, "tracks", "a:1", TrackChoice(maps=("a:1",))),
        (EncodeOptions, "tracks", ["v", "-0:2"], TrackChoice(maps=("v", "-0:2"))),
        (EncodeOptions, "jobs", "2", 2),
        (EncodeOptions, "stats", Path("a"), "a"),
        (DecodeOptions, "vcodec_opts", "crf=12:preset=fast", {"crf": "12", "preset": "fast"}),
        (DecodeOptions, "vcodec_opts", {"crf": 12}, {"crf": "12"}),
        (DecodeOptions, "duration", 5, Time(seconds=Fraction(5))),
    ],
)
def test_texts_of_the_command_line(options: Any, name: str, given: object, want: object) -> None:
    assert getattr(options(**{name: given}), name) == want


_NONSENSE = ("nonsense", "-1e", -1, float("nan"), float("inf"), b"x", [1], {}, object(), True, 1e30)


@pytest.mark.parametrize("options", [EncodeOptions, DecodeOptions])
def test_whatever_is_given_is_taken_or_refused_by_an_error_of_ours(options: Any) -> None:
    for f in fields(options):
        refused = 0
        for value in _NONSENSE:
            try:
                options(**{f.name: value})
            except vqcodec.UsageError as exc:
                refused += 1
                assert str(exc)
        assert refused >= 5, f.name


def test_encode_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    for changes in ({"bitrate": "fast"}, {"crf": "x"}, {"crff": 3}, {"threads": None}):
        with pytest.raises(vqcodec.UsageError):
            vqcodec.encode(tmp_path / "a.mkv", tmp_path / "a.vqv", **changes)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("options", "names", "forms"),
    [(EncodeOptions, EncodeChanges, _OF_ENCODE), (DecodeOptions, DecodeChanges, _OF_DECODE)],
)
def test_every_option_has_a_type_and_a_form(options: Any, names: Any, forms: Any) -> None:
    assert {f.name for f in fields(options)} == set(names.__annotations__) == {*_COMMON, *forms}


def test_signatures_have_the_names_of_options() -> None:
    for function, kind in ((vqcodec.encode, "Encode"), (vqcodec.decode, "Decode")):
        said = inspect.signature(function).parameters["changes"].annotation
        assert said == f"Unpack[{kind}Changes]"


SCRIPT = """
import vqcodec
vqcodec.encode("a", "b", bitrate="800k", gop="4s", start=1.5)
vqcodec.encode("a", "b", crff=3)
vqcodec.decode("a", "b", threads="x" + 1)
vqcodec.decode("a", "b", vcodec=3)
"""


@pytest.mark.slow
def test_a_type_checker_finds_wrong_options(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", str(script)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    found = [line.split(":")[1] for line in done.stdout.splitlines() if " error: " in line]
    assert sorted(set(found) & set("3456")) == ["4", "5", "6"], done.stdout
