"""Logarithms and powers that decide what is coded are the same on every processor."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import numpy as np
from support.paths import PYTHONPATH, ROOT
from support.processors import NUMPY_ALONE

from vqcodec.codec.range_coder import TOTAL, TOTAL_BITS

# what numpy computes otherwise with other instructions
DIFFER = {
    *("log", "log2", "log10", "log1p", "logaddexp", "logaddexp2", "exp", "exp2", "expm1"),
    *("power", "float_power", "cbrt", "hypot", "sin", "cos", "tan", "arcsin", "arccos"),
    *("arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh"),
}
# (module, function) in which they do no harm: rounded to 32 bits, see below
HARMLESS = {("codec/codebooks.py", "costs")}

CHILD = """
import hashlib, numpy as np
from vqcodec.encoding import portable_math
values = np.random.default_rng(0).uniform(1e-3, 8, 1 << 20).astype(np.float32)
sums = [f(values) for f in (portable_math.log, portable_math.log2, portable_math.exp2)]
print(hashlib.md5(np.stack(sums).tobytes()).hexdigest())
"""


def digest(**env: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", CHILD],
        env=os.environ | {"PYTHONPATH": PYTHONPATH} | env,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return run.stdout


def test_values_are_those_of_every_instruction_set() -> None:
    """numpy's own, of 32 bits or 64, are not: their last bits differ with AVX-512."""
    assert digest() == digest(**NUMPY_ALONE)


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """Those that numpy runs; numba compiles the others, with the logarithms of the C library."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and not any("njit" in ast.unparse(one) for one in node.decorator_list)
    ]


def test_no_logarithm_or_power_of_numpy_decides_what_is_coded() -> None:
    package = ROOT / "vqcodec"
    found = set()
    for path in (*package.glob("encoding/**/*.py"), *package.glob("codec/**/*.py")):
        name = path.relative_to(package).as_posix()
        if name == "encoding/portable_math.py":
            continue
        text = path.read_text()
        for function in functions(ast.parse(text)) if any(n in text for n in DIFFER) else ():
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Attribute)
                    and ast.unparse(node.value) == "np"
                    and node.attr in DIFFER
                ):
                    found.add((name, function.name))
    assert found == HARMLESS


def ulps_to_a_middle(values: np.ndarray) -> float:
    """The least distance to where rounding to 32 bits would go the other way, in last bits of
    64."""
    near = values.astype(np.float32)
    above, below = (np.nextafter(near, np.float32(end)) for end in (np.inf, -np.inf))
    middles = ((near.astype(np.float64) + side) / 2 for side in (above, below))
    off = np.minimum(*(np.abs(values - middle) for middle in middles))
    return float((off / np.spacing(np.abs(values))).min())


def test_bits_of_symbols_are_those_of_every_logarithm() -> None:
    """Of all shares that a symbol or a bit can have, none lies so near to where 32 bits round the
    other way that a library's last bits could matter."""
    assert ulps_to_a_middle(TOTAL_BITS - np.log2(np.arange(1, TOTAL, dtype=np.float64))) > 100
    shares = np.arange(1, 1 << 16) / (1 << 16)
    assert ulps_to_a_middle(-np.log2(shares)) > 100
    assert ulps_to_a_middle(-np.log2(1 - shares[:-1])) > 100
