"""Errors: what they carry, how their sentences are put together, and how options are spelled in
them."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

import vqcodec
from vqcodec import errors
from vqcodec.cli import cli
from vqcodec.cli.spelling import FLAGS, flag, record, remark, sentence
from vqcodec.errors import LimitError, Place, UsageError, VqvError, located

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vqcodec"
_FLAG = re.compile(r"(?<![\w`-])(--[a-z][a-z-]+|-[a-z]{1,2}|-(?:map|crf|preset|threads|pix_fmt))\b")


def _texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Strings of a module that are no docstrings; what stands for a value in them is one letter."""
    within: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring
            within.add(id(node.value))
        if isinstance(node, ast.JoinedStr):
            within |= {id(v) for v in node.values}
            parts = (v.value if isinstance(v, ast.Constant) else "X" for v in node.values)
            yield node.lineno, "".join(map(str, parts))
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in within
        ):
            yield node.lineno, node.value


@cache
def _all_texts() -> list[tuple[Path, int, str]]:
    """The sentences of the package, with where they stand."""
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(path, *found) for path in paths for found in _texts(ast.parse(path.read_text()))]


def _spelled(text: str) -> list[str]:
    """Flags of ours in a sentence; a command line of another program may stand in it."""
    ours = re.sub(r"\b(ffmpeg|ulimit) .*|-f yuv4mpegpipe", "", text)
    return [f for f in _FLAG.findall(ours) if " " in text]


def test_the_search_for_flags_finds_them() -> None:
    for text in (
        "exists already (-y overwrites it)",
        "a lower -r",
        "give --max-memory",
        "use -f X",
    ):
        assert _spelled(text), text
    for text in ("ffmpeg -i a -f yuv4mpegpipe -", "a well-known name", "--device", "`rate` -1"):
        assert not _spelled(text), text


def test_no_module_below_the_command_line_spells_a_flag() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {flag}"
        for path, line, text in _all_texts()
        if path.parent.name != "cli"
        for flag in _spelled(text)
    ]
    assert found == []


def test_every_option_of_the_command_line_is_in_the_table() -> None:
    known, there = set(FLAGS.values()), set()
    for name, command in cli.commands.items():
        for option in command.params:
            if isinstance(option, click.Option):
                spellings = {*option.opts, *option.secondary_opts}
                assert spellings & known, f"{name}: {option.opts}"
                there |= spellings
    assert known <= there  # and none is in it that is no option


def test_options_in_sentences_are_known_to_the_table() -> None:
    asked = set()
    for path, line, text in _all_texts():
        for name in re.findall(r"`([a-z_]+)(?:=[^`]*)?`", text):
            asked.add(name)
            assert name in FLAGS, f"{path}:{line}: {name}"
    assert {"memory", "overwrite", "tracks"} <= asked


def test_a_sentence_names_the_flag_to_one_and_the_argument_to_the_other() -> None:
    refused = UsageError("'x' is no frame rate", option="rate")
    assert (str(refused), sentence(refused)) == (
        "rate: 'x' is no frame rate",
        "-r: 'x' is no frame rate",
    )
    large = LimitError("2 packets need more than 1 byte", file="a.vqv", option="memory")
    assert str(large) == "a.vqv: 2 packets need more than 1 byte; `memory` raises it"
    assert sentence(large).endswith("; --max-memory raises it")
    there = vqcodec.errors.OutputError("exists", file="`memory`", advice="`overwrite=True` does it")
    assert sentence(there) == "`memory`: exists; -y does it"  # a name of a file stays what it is


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("`tracks=v`", "-map v"),
        ("`overwrite=False`", "-n"),
        ("`overwrite=True`", "-y"),
        ("`vcodec=ffv1` keeps", "--vcodec ffv1 keeps"),
        ("`no_option`", "no_option"),
    ],
)
def test_values_of_options(text: str, told: str) -> None:
    assert remark(text) == told
    assert record({"notes": [text], "output": text}) == {"notes": [told], "output": text}


def test_a_place_is_filled_in_from_outside() -> None:
    with (
        pytest.raises(VqvError) as caught,
        located(file="outer", byte=7, frames=range(3)),
        located(part="packet", byte=5),
    ):
        raise VqvError("torn")
    assert caught.value.place == Place(file="outer", part="packet", byte=5, frames=range(3))
    assert str(caught.value) == "outer: packet at byte 5 (frames 0 to 2): torn"
    with pytest.raises(VqvError) as caught, located(file="outer"), located(file="inner"):
        raise VqvError("torn", file="innermost")
    assert str(caught.value) == "innermost: torn"


def test_errors_of_another_process_are_whole() -> None:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, VqvError):
            sent = kind("why", file="a", byte=1, frames=range(2), option="memory", advice="so")
            got = pickle.loads(pickle.dumps(sent))
            assert (type(got), str(got), got.place) == (kind, str(sent), sent.place)
            assert sentence(got) == sentence(sent)


def test_the_tree_of_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"(\w+Error) +(\d)", errors.__doc__ or "")
    there = {
        (name, str(kind.exit_code))
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, VqvError)
    }
    assert set(drawn) == there


def test_flags_without_a_name_stay_what_they_are() -> None:
    assert flag("fps") == "fps"
