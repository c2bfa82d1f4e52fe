"""What the pages promise: their examples run, and the tests that they name are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.clips import header, moving, write
from support.paths import ROOT


def test_the_examples_of_the_library(tiny_weights: Path, tmp_path: Path) -> None:
    """As they stand, one after the other."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs" / "library.md").read_text(), re.M | re.S
    )
    assert len(blocks) >= 6
    write(tmp_path / "in.mkv", header(64, 48), moving(64, 48, 20), vcodec="ffv1")
    (tmp_path / "examples.py").write_text("\n".join(blocks))
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "VQCODEC_WEIGHTS": str(tiny_weights),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "examples.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "20 of 20 frames" in done.stdout
    assert "checksum mismatch" in done.stdout
    assert "indices" in done.stdout


def test_tests_that_the_pages_name_are_there() -> None:
    """By the names of their files, which no two of them share: pytest imports them by it."""
    paths = [*(ROOT / "tests").rglob("test_*.py")]
    files = {path.name: path.read_text() for path in paths}
    assert len(files) == len(paths)
    names = {n for text in files.values() for n in re.findall(r"^def (test_\w+)", text, re.M)}
    missing = set()
    for page in (*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")):
        text = page.read_text()
        for file, name in re.findall(r"`(?:[\w/]*/)?(test_\w+\.py)(?:::(test_\w+))?", text):
            if file not in files or (name and f"def {name}(" not in files[file]):
                missing.add(f"{page.name}: {file} {name}")
        missing |= {
            f"{page.name}: {name}"
            for name in re.findall(r"`(test_\w+)`", text)
            if name not in names
        }
    assert missing == set()


def test_files_that_pages_and_sources_name_are_there() -> None:
    files = [
        path.as_posix()
        for folder in ("vqcodec", "tests", "tools", "examples")
        for path in (ROOT / folder).rglob("*.py")
    ]
    pages = (*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"))
    named = [(page.name, re.findall(r"`([\w/]+\.py)`", page.read_text())) for page in pages]
    sources = (ROOT / "vqcodec").rglob("*.py")
    named += [(path.name, re.findall(r"\b[\w/]+\.py\b", path.read_text())) for path in sources]
    missing = {
        f"{where}: {name}"
        for where, names in named
        for name in names
        if not any(file.endswith(f"/{name}") for file in files)
    }
    assert missing == set()


def test_the_way_of_a_frame_is_the_one_that_is_drawn() -> None:
    """Its modules are there and have what the drawing names; all rooms that it passes are drawn."""
    page = (ROOT / "docs" / "design" / "structure.md").read_text()
    (drawing,) = re.findall(r"(?ms)^```text\n(.*?)^```", page)
    lines = [line.split()[:2] for line in drawing.splitlines() if line]
    assert len(lines) > 40
    missing = []
    for module, name in lines:
        path = ROOT / "vqcodec" / f"{module}.py"
        source = path.read_text() if path.exists() else ""
        if not re.search(rf"(?m)^\s*(?:def|class) {name}\b", source):
            missing.append(f"{module} {name}")
    assert missing == []
    rooms = {"pipeline", "media", "encoding", "codec", "container", "reading"}
    assert {module.split("/")[0] for module, _ in lines} == rooms


def test_modules_of_the_rooms_are_there() -> None:
    """Those that the table of rooms of the README names."""
    readme = (ROOT / "README.md").read_text().split("## How a frame travels")[1]
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+) \|$", readme)
    named = [(room, name) for room, text in rows for name in re.findall(r"`([\w/]+)`", text)]
    assert len(named) > 30
    package = ROOT / "vqcodec"
    missing = [pair for pair in named if not (package / f"{pair[0]}/{pair[1]}.py").exists()]
    assert missing == []


def test_what_contributors_are_led_to_is_there() -> None:
    """Files and modules, which the page names without the folder of the package or the suffix."""
    named = re.findall(r"`([\w/]+/[\w/]*(?:\.\w+)?)`", (ROOT / "CONTRIBUTING.md").read_text())
    assert len(named) > 40
    package = ROOT / "vqcodec"
    missing = [
        name
        for name in named
        if not any(p.exists() for p in (ROOT / name, package / name, package / f"{name}.py"))
    ]
    assert missing == []


def test_the_words_that_are_explained_are_those_of_the_pages() -> None:
    """Each once, in a sentence, and none that no other page uses."""
    glossary = ROOT / "docs" / "glossary.md"
    others = {*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"} - {glossary}
    used = " ".join(" ".join(page.read_text().split()) for page in others)
    rows = re.findall(r"^\| (?!word |--)(.+?) \| (.+?) \|$", glossary.read_text(), re.M)
    words = [w for named, _ in rows for w in re.split(r", | and ", named.removeprefix("to "))]
    assert len(words) > 60
    assert len(set(words)) == len(words)
    unused = [w for w in words if not re.search(rf"(?i)\b{re.escape(w)}(s|d|ed)?\b", used)]
    assert unused == []
    assert [named for named, sentence in rows if not re.match(r"[A-Z].*\.$", sentence)] == []


def test_tables_are_tables() -> None:
    """A row that is wrapped, or behind an empty line, is shown as a sentence with strokes in it."""
    broken = []
    for page in (*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")):
        text = re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", page.read_text())
        table = 0  # cells of each row of the one that goes on
        for line in text.splitlines():
            cells = len(re.findall(r"(?<!\\)\|", line))
            row = line.startswith("|") and line.endswith("|")
            if cells > 1 and not (row and cells == (table or cells)):
                broken.append(f"{page.name}: {line[:60]}")
            table = cells if row else 0
    assert broken == []
