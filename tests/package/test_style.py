"""What no formatter looks at: stray marks in the code, and lists that must name every file."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from support.paths import ROOT

SOURCES = [
    path
    for folder in ("vqcodec", "tests", "tools", "examples")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *ROOT.glob("*.md")]


def test_no_tabs_and_nothing_left_to_do() -> None:
    marks = re.compile(r"\t|\bTODO\b|\bFIXME\b|\bXXX\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in [*SOURCES, *PAGES]
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if marks.search(line)
    ]
    assert found == []


def test_no_line_is_excused_for_its_length() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCES
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "# noqa: E501" in line
    ]
    assert found == []


def test_no_lambda_has_a_name() -> None:
    """A function with a name, a type and a sentence stands where it is given one."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        if "lambda" in (text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Lambda)
    ]
    assert found == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Neither when they are loaded nor later; types alone may be named both ways."""
    graph = grimp.build_graph("vqcodec", exclude_type_checking_imports=True, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    TopologicalSorter(imports).prepare()  # CycleError names them


@pytest.mark.parametrize("room", ["codec", "encoding", "container", "media", "reading", "pipeline"])
def test_nothing_below_the_command_line_prints(room: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sorted((ROOT / "vqcodec" / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"
    ]
    assert found == []


def test_the_list_of_tools_is_whole() -> None:
    listed = set(re.findall(r"\]\((\w+\.py)\)", (ROOT / "tools/README.md").read_text()))
    assert listed == {path.name for path in (ROOT / "tools").glob("*.py")}


def test_the_site_has_every_page() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text().split("nav:")[1]
    listed = set(re.findall(r"([\w/]+\.md)$", navigation, flags=re.M))
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= listed


def test_every_tool_finds_what_it_imports() -> None:
    code = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"
    tools = [path.stem for path in sorted((ROOT / "tools").glob("*.py"))]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tools'}"}
    run = subprocess.run(
        [sys.executable, "-c", code, *tools], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


# compiled kernels, which are faster in one piece
LONG_MODULES = {"codec/nets/product.py", "codec/painted_samples.py"}
LONG_FUNCTIONS = {"luma_block", "_choose", "_search_step"}


def test_modules_have_at_most_350_lines_and_functions_60() -> None:
    package = ROOT / "vqcodec"
    modules, functions = set(), set()
    for path in package.rglob("*.py"):
        text = path.read_text()
        if text.count("\n") > 350:
            modules.add(path.relative_to(package).as_posix())
        functions |= {
            node.name
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
        }
    assert modules == LONG_MODULES
    assert functions == LONG_FUNCTIONS


# torch itself calls the input of a net x
LETTERS = {("forward", "x")}
# what users write: a command's options, and the two calls that encode
LONG_SIGNATURES = {"tokens.tokens", "encode.encode", "writer.__init__"}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """Those of a module, but for compiled kernels: these are formulas, and take arrays one by
    one."""
    left: list[ast.AST] = [ast.parse(path.read_text())]
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef):
            if any("njit" in ast.unparse(mark) for mark in node.decorator_list):
                continue
            yield node
        if not isinstance(node, ast.expr):
            left += ast.iter_child_nodes(node)


def test_parameters_are_words_and_at_most_eight() -> None:
    letters, long = set(), set()
    for path in (ROOT / "vqcodec").rglob("*.py"):
        for function in functions(path):
            taken = function.args
            rest = [one for one in (taken.vararg, taken.kwarg) if one]
            names = [one.arg for one in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs, *rest)]
            letters |= {(function.name, name) for name in names if len(name) == 1 and name != "_"}
            if len(names) - (names[:1] in (["self"], ["cls"])) > 8:
                long.add(f"{path.stem}.{function.name}")
    assert letters == LETTERS
    assert long == LONG_SIGNATURES
