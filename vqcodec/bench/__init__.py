"""``vqcodec bench``: vqcodec beside x264, x265 and SVT-AV1 on the same frames, measured on decoded
files. Needs the packages of the extra ``bench``."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import UsageError
from ..system.torch_needed import need_torch

_NEEDED = {
    "bjontegaard": "bjontegaard",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
    "pytorch_msssim": "pytorch-msssim",
}


def check_packages() -> None:
    """UsageError that names the packages of the extra ``bench`` that are missing; imports none of
    them. UsageError too where torch is."""
    need_torch("bench")
    if missing := [package for module, package in _NEEDED.items() if find_spec(module) is None]:
        raise UsageError(f"bench needs {', '.join(missing)}: pip install 'vqcodec[bench]'")
