"""README and docs: links lead somewhere, commands exist, figures are those of the benchmarks."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress
from pathlib import Path

import click
import pytest
from support.paths import ROOT

from vqcodec.cli import cli

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
README = PAGES[0].read_text(encoding="utf-8")


def anchors(text: str) -> set[str]:
    """Names of a page's headings as links know them."""
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        for title in re.findall(r"(?m)^#+ (.*)", text)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page.name}: {target}"


def test_readme_leads_to_every_page_of_the_docs() -> None:
    paths = [page.relative_to(ROOT) for page in PAGES[1:]]
    design = (ROOT / "docs" / "design.md").read_text()
    for path in paths:
        if path.parent == Path("docs/design"):  # a book with a page of contents
            assert f"](design/{path.name})" in design
        else:
            assert f"]({path})" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_are_understood(page: Path) -> None:
    """The lines of shell blocks that begin with the program, and what stands behind a pipe."""
    lines = [
        line
        for block in re.findall(r"(?ms)^```sh\n(.*?)^```", page.read_text(encoding="utf-8"))
        for line in block.splitlines()
    ]
    for line in lines:
        for part in re.split(r"[|>]|&&", line):
            words = shlex.split(part, comments=True)
            if (
                words[:1] != ["vqcodec"]
                or len(words) < 2
                or "[OPTIONS]" in words
                or words[1].isupper()
            ):
                continue
            command = cli.commands.get(words[1])
            assert command is not None, line
            with suppress(click.exceptions.Exit):
                command.make_context(words[1], [w for w in words[2:] if w != "..."])


def test_figures_are_those_of_the_benchmarks() -> None:
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    head = next(
        i
        for i, row in enumerate(rows)
        if row[0] == "clip" and any("PSNR, MS-SSIM" in cell for cell in row)
    )
    mean = next(i for i, row in enumerate(rows) if row[0].startswith("**mean"))
    shown = {
        line.split("|")[1].strip(): re.findall(r"[+-]\d+\.\d(?= %)", line)
        for line in README.splitlines()
        if re.match(r"\| (x26|SVT)", line)
    }
    assert len(shown) == 3
    for name, column in (("x264 medium", "x264"), ("x265 medium", "x265"), ("SVT-AV1 6", "svtav1")):
        at = next(i for i, cell in enumerate(rows[head]) if cell.startswith(column))
        clips = [float(row[at].split(",")[0]) for row in rows[head + 2 : mean]]
        psnr, ssim = re.findall(r"([+-]\d+\.\d) \(", rows[mean][at])
        names = [row[0] for row in rows[head + 2 : mean]]
        others = [v for name_, v in zip(names, clips, strict=True) if "pdf-scroll" not in name_]
        without = f"{sum(others) / len(others):+.1f}"
        want = [psnr, without, f"{min(clips):+.1f}", f"{max(clips):+.1f}", ssim]
        assert shown[name] == want, (
            f"README.md's row of {name} is not what docs/benchmarks.md says: {want}"
        )


def test_lines_of_the_readme_can_be_pasted_one_after_the_other() -> None:
    """Several encoded to one name, and all but the first were refused: it exists already."""
    (block,) = (b for b in re.findall(r"(?ms)^```sh\n(.*?)^```", README) if " --estimate" in b)
    lines = [shlex.split(line, comments=True) for line in block.splitlines()]
    written = [line[3] for line in lines if line[1] in ("encode", "decode") and len(line) > 3]
    written = [name for name in written if not name.startswith("-")]
    assert len(written) > 4
    assert len(set(written)) == len(written)
