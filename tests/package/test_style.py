"""What no formatter looks at: stray marks in the code, and lists that must name every file."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

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
