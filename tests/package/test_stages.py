"""The tool that tells where the time goes: the functions that it replaces are there."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def test_each_stage_is_where_the_tool_looks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))
    stages = importlib.import_module("stages")
    lost: list[str] = []

    def wrap(owner: Any, stage: str, *names: str) -> None:
        lost.extend(f"{stage}: {name}" for name in names if not hasattr(owner, name))

    monkeypatch.setattr(stages, "wrap", wrap)
    stages.instrument()
    assert not lost
