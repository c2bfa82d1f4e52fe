"""Training pairs for the inter nets: pictures of real clips with the predictions a real encoder made for them.

The clips are encoded by the product itself at random qualities, so references, motion and level are what the nets will meet.
A folder of ``p*.npz`` chunks receives, for each pair i, ``i_y, i_c`` (8-bit picture), ``i_py, i_pc`` (10-bit prediction) and ``i_q``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from ..frame import Planes
from ..frame_encoder import FrameEncoder
from ..gop import MINI_GOP, mini_gop, qualities
from ..picture import Picture
from .data import read_clip

CHUNK = 60
KEEP = (0.0, 1.0, 1.0, 1.0, 0.6, 0.35, 0.2)  # share of the frames of each level that is kept: deep levels are many and cheap


class _Tap(FrameEncoder):
    """A frame encoder that notes the prediction of every frame it codes."""

    pred: Planes | None = None

    def _compensate(self, *args: Any) -> Planes:
        self.pred = super()._compensate(*args)
        return self.pred


def make_pairs(codec: Any, clips: list[Path], folder: Path, minutes: float, seed: int = 0, prefix: str = "p", log: Any = print) -> int:
    """Encode random stretches of the clips for ``minutes`` and write pairs; returns how many."""
    from ..frame import pad

    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    start, chunk, total, n_chunk = time.time(), {}, 0, 0  # type: ignore[var-annotated]
    while time.time() - start < minutes * 60:
        clip = clips[rng.integers(len(clips))]
        frames = read_clip(clip, limit=64)
        if len(frames) < 3:
            continue
        first = int(rng.integers(max(1, len(frames) - MINI_GOP)))
        frames = frames[first : first + MINI_GOP + 1]
        crf = float(rng.uniform(0, 55))
        q = qualities(crf)
        h, w = frames[0][0].shape
        coder = _Tap(codec, w, h)
        src = [pad(Picture(y, c[0], c[1]), w, h) for y, c in frames]
        done = {0: coder.encode(src[0], 0, 0, q[0], [])[0]}
        for s in mini_gop(0, len(frames) - 1):
            done[s.frame] = coder.encode(src[s.frame], s.frame, s.level, q[s.level], [done[r] for r in s.refs])[0]
            if rng.random() < KEEP[s.level]:
                y, c = frames[s.frame]
                p = coder.pred
                assert p is not None
                i = len(chunk) // 5
                chunk |= {f"{i}_y": y, f"{i}_c": c, f"{i}_py": p[0][:h, :w], f"{i}_pc": np.stack(p[1:])[:, : h // 2, : w // 2], f"{i}_q": np.float32(q[s.level])}
        if len(chunk) >= 5 * CHUNK:
            tmp = folder / f"tmp-{prefix}.npz"
            np.savez(tmp, **chunk)
            tmp.rename(folder / f"{prefix}{seed}_{n_chunk:04d}.npz")
            total += len(chunk) // 5
            n_chunk += 1
            chunk = {}
            log(f"{total} pairs, {(time.time() - start) / 60:.1f} min")
    return total
