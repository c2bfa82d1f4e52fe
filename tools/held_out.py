"""Clips that no training sees, as the recipe of the model names them."""

from __future__ import annotations

import tomllib
from pathlib import Path

RECIPE = Path(__file__).resolve().parent.parent / "examples/released-model.toml"
HELD = frozenset(tomllib.loads(RECIPE.read_text())["data"]["held_out"])
