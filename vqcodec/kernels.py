"""Compiled kernels: numba keeps them on the disk, so the first run on a machine waits for them.

Who waits is told, and :func:`compile_all` does it ahead, by coding a few made pictures.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

# what the library has to say while it works; the command line shows it as a note
NOTES = logging.getLogger("vqcodec.notes")
_ONCE = "compiling kernels, once on this machine: about a minute (vqcodec kernels does it ahead)"
LOST = "compiled kernels cannot be kept: neither the folder of the program nor the user's cache can be written (NUMBA_CACHE_DIR names a folder for them)"
_EVERY_RUN = f"compiling kernels, which takes every run about a minute: {LOST}"
_FRAMES = 20  # an I frame, a whole mini-GOP, and one that is shorter


def note() -> str:
    """What whoever waits for a kernel should know: whether the next run waits for it again."""
    return _ONCE if kept() else _EVERY_RUN


def kept() -> bool:
    """Whether compiled kernels stay for the next run."""
    from . import compiled

    return compiled.kept()


def _tell() -> None:
    """A program that uses the library is told what its user can mend, not what passes."""
    NOTES.log(logging.INFO if kept() else logging.WARNING, note())


tell: Callable[[], object] = _tell  # called when the first kernel of this process is compiled


@cache
def watch() -> None:
    """From now on :data:`tell` is called at the first kernel that the disk doesn't have."""
    from numba.core import event

    class Once(event.Listener):  # type: ignore[misc]
        def on_start(self, event: object) -> None:
            if not self.told:
                self.told = True
                tell()

        def on_end(self, event: object) -> None:
            pass

        told = False

    event.register("numba:compile", Once())


def _clip(path: Path, bits: int) -> None:
    """Pictures that slide, flicker and stand still, so that every part of the coder has work."""
    import numpy as np

    width, height = 128, 96
    rng = np.random.default_rng(bits)
    kind, top = ("u1", 255) if bits == 8 else ("<u2", 1023)
    rough = rng.random((height, 2 * width))
    smooth = rough.repeat(8, 0).repeat(8, 1)[:height, : 2 * width]
    with path.open("wb") as file:
        tag = "420jpeg" if bits == 8 else "420p10"
        file.write(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C{tag}\n".encode())
        for i in range(_FRAMES):
            y = smooth[:, 3 * i : 3 * i + width].copy()
            y[: height // 3] = rough[: height // 3, :width]  # stands still
            y[-height // 4 :] = rng.random((height // 4, width))  # looks new each time
            u = smooth[: height // 2, i : i + width // 2]
            planes = [(p * top).astype(kind).tobytes() for p in (y, u, 1 - u)]
            file.write(b"FRAME\n" + b"".join(planes))


def compile_all(weights: str | None = None) -> None:
    """Compile what encoding, decoding and reading need, as far as the disk doesn't have it."""
    from . import reader
    from .decoder import decode
    from .encoder import encode
    from .inspection import describe

    with tempfile.TemporaryDirectory(prefix="vqcodec-kernels-") as name:
        for bits in (8, 10):
            source, coded = Path(name, f"{bits}.y4m"), Path(name, f"{bits}.vqv")
            _clip(source, bits)
            encode(source, coded, weights=weights, crf=20)
            decode(coded, Path(name, f"out-{bits}.y4m"), weights=weights)
            describe(str(coded), bits=True, weights=weights)
            with reader.open(coded, weights=weights) as video:
                video[1], video.tokens(0, 2)
