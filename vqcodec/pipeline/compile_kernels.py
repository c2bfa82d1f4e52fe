"""All kernels compiled ahead, by an encode and a decode of a made clip."""

from __future__ import annotations

import tempfile
from pathlib import Path

_FRAMES = 20  # an I frame, a whole mini-GOP, and one that is shorter


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
    from ..reading.info import describe
    from ..reading.open_video import open as open_video
    from .decode import decode
    from .encode import encode

    with tempfile.TemporaryDirectory(prefix="vqcodec-kernels-") as name:
        for bits in (8, 10):
            source, coded = Path(name, f"{bits}.y4m"), Path(name, f"{bits}.vqv")
            _clip(source, bits)
            encode(source, coded, weights=weights, crf=20)
            decode(coded, Path(name, f"out-{bits}.y4m"), weights=weights)
            describe(str(coded), bits=True, weights=weights)
            with open_video(coded, weights=weights) as video:
                video[1], video.tokens(0, 2)
