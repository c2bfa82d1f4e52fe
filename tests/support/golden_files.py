"""The golden files of every version of the format, with their weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.paths import GOLDEN
from vqcodec.container.packets import VERSION

NEWEST = GOLDEN / f"v{VERSION}"
FILES = [
    (path.parent, name, entry)
    for path in sorted(GOLDEN.glob("v*/golden.json"))
    for name, entry in json.loads(path.read_text())["files"].items()
]


every_file = pytest.mark.parametrize(
    ("folder", "name", "entry"), FILES, ids=[f"{folder.name}-{name}" for folder, name, _ in FILES]
)


def weights(folder: Path) -> Path:
    return folder / json.loads((folder / "golden.json").read_text())["model"]
