"""Whether tokens of a frame say the same of its head."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields

import numpy as np

from vqcodec.codec.tokens import ShallowTokens


def differing(a: ShallowTokens, b: ShallowTokens, but: Collection[str] = ()) -> list[str]:
    """Names of the fields of a head in which two differ, without those in ``but``."""
    return [f.name for f in fields(ShallowTokens) if f.name not in but and _differs(a, b, f.name)]


def _differs(a: ShallowTokens, b: ShallowTokens, name: str) -> bool:
    x, y = getattr(a, name), getattr(b, name)
    if isinstance(x, np.ndarray):
        return bool(x.dtype != y.dtype or not np.array_equal(x, y))
    return bool(x != y)
