"""Where the tests and what they read lie."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
DATA = TESTS / "data"
GOLDEN = TESTS / "golden"
SUPPORT = TESTS / "support"
# what a process needs to find this package and the tests' own modules
PYTHONPATH = os.pathsep.join((str(ROOT), str(TESTS)))


def files_in(folder: str | os.PathLike[str]) -> list[str]:
    """Names of all that lies in a folder, hidden files too, in order."""
    return sorted(path.name for path in Path(folder).iterdir())
