"""Environments in which the libraries keep to the instructions of other processors."""

from __future__ import annotations

import numpy as np


def _numpy_without(*beginnings: str) -> dict[str, str]:
    """numpy's own kernels without the sets of instructions whose names begin so."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    names = [name for name in found if name.startswith(beginnings)]
    return {"NPY_DISABLE_CPU_FEATURES": " ".join(names)} if names else {}


NUMPY_ALONE = _numpy_without("")  # its baseline
GENERIC = {
    "NUMBA_CPU_NAME": "generic",
    "NUMBA_CPU_FEATURES": "",
} | NUMPY_ALONE  # kernels of their own: minutes to compile
NO_AVX512 = {"NUMBA_ENABLE_AVX": "0"} | _numpy_without("AVX512", "X86_V4")
# an ordinary processor of the last ten years: all libraries, and products of our own without VNNI
HASWELL = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
HASWELL |= {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "", "VQCODEC_BACKEND": "fused"}
HASWELL |= _numpy_without("AVX512", "X86_V4")
