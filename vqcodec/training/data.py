"""Training samples: random crops of pictures, alone or with the prediction a real encoder made for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Planes = tuple[np.ndarray, np.ndarray]  # luma (H, W), chroma (2, H/2, W/2); uint8, or uint16 with 10 bits


def pack(y: Tensor, c: Tensor) -> Tensor:
    """(N, H, W), (N, 2, H/2, W/2) in any range -> (N, H/8, W/8, 96): 64 luma, 16 Cb, 16 Cr, row-major inside the block."""
    p = torch.cat([F.pixel_unshuffle(y[:, None], 8), F.pixel_unshuffle(c, 4)], 1)
    return p.permute(0, 2, 3, 1).contiguous()


def planes(frame: av.VideoFrame) -> Planes:
    """8-bit 4:2:0 planes of a frame, cut to even sizes."""
    w, h = frame.width // 2 * 2, frame.height // 2 * 2
    f = frame.reformat(format="yuv420p")
    out = [_plane(p, *size) for p, size in zip(f.planes, ((h, w), (h // 2, w // 2), (h // 2, w // 2)), strict=True)]
    return out[0], np.stack(out[1:])


def _plane(plane: Any, h: int, w: int) -> np.ndarray:
    """A copy of the first rows and columns of a plane."""
    rows: np.ndarray = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[:h, :w].copy()


def read_clip(path: Path, step: int = 1, limit: int | None = None) -> list[Planes]:
    """Every ``step``-th frame of a video, at most ``limit``."""
    out = []
    with av.open(str(path)) as c:
        for i, f in enumerate(c.decode(video=0)):
            if i % step == 0:
                out.append(planes(f))
            if limit and len(out) == limit:
                break
    return out


def read_photo(path: Path) -> Planes:
    """A photograph as BT.601 limited-range 4:2:0."""
    with av.open(str(path)) as c:
        f = next(c.decode(video=0))
        f = f.reformat(width=f.width // 2 * 2, height=f.height // 2 * 2, format="yuv420p", dst_colorspace="ITU601", dst_color_range="MPEG")
        return planes(f)


class Crops:
    """Batches of random square crops, flipped and transposed, of (picture, prediction or None, quality hint) items."""

    def __init__(self, size: int = 192, seed: int = 0):
        self.items: list[tuple[Planes, Planes | None, tuple[float, float]]] = []
        self.size, self.rng = size, np.random.default_rng(seed)
        self.seen: set[Path] = set()

    def add(self, pic: Planes, pred: Planes | None = None, quality: tuple[float, float] = (0, 63)) -> None:
        """A picture with the range of quality indices it is to be coded at; too small ones are left out."""
        if min(pic[0].shape) >= self.size:
            self.items.append((pic, pred, quality))

    def add_pairs(self, folder: Path) -> int:
        """Load new chunks that :mod:`vqcodec.training.pairs` wrote; returns the number of items."""
        for f in sorted(folder.glob("p*.npz")):
            if f in self.seen:
                continue
            self.seen.add(f)
            with np.load(f) as d:
                for i in range(sum(k.endswith("_y") for k in d.files)):
                    q = float(d[f"{i}_q"])
                    self.add((d[f"{i}_y"], d[f"{i}_c"]), (d[f"{i}_py"], d[f"{i}_pc"]), (q - 5, q + 5))
        return len(self.items)

    def _q(self, low: float, high: float) -> float:
        """Quality index of a sample: near the one its prediction was made for, sometimes anywhere."""
        r = self.rng
        if r.random() < 0.1:
            low, high = 0, 63
        return float(np.clip(r.uniform(low, high), 0, 63))

    def batch(self, n: int) -> tuple[Tensor, Tensor | None, Tensor]:
        """x, prediction (or None), q: packed (n, size/8, size/8, 96) in [-0.5, 0.5], (n,)."""
        s = self.size
        cols: list[list[np.ndarray]] = [[], [], [], []]
        qs = []
        for _ in range(n):
            pic, pred, quality = self.items[self.rng.integers(len(self.items))]
            h, w = pic[0].shape
            i, j = (int(self.rng.integers((v - s) // 2 + 1)) * 2 for v in (h, w))
            arrays = []
            for y, c in (pic, pred) if pred is not None else (pic,):
                k = np.float32(1 / 255 if y.dtype == np.uint8 else 1 / 1020)
                arrays += [y[i : i + s, j : j + s] * k - np.float32(0.5), c[:, i // 2 : (i + s) // 2, j // 2 : (j + s) // 2] * k - np.float32(0.5)]
            flips = self.rng.random(3) < 0.5
            for col, a in zip(cols[: len(arrays)], arrays, strict=True):
                if flips[0]:
                    a = a[..., ::-1]
                if flips[1]:
                    a = a[..., ::-1, :]
                if flips[2]:
                    a = np.swapaxes(a, -1, -2)
                col.append(a)
            qs.append(self._q(*quality))
        t = [torch.from_numpy(np.ascontiguousarray(np.stack(c))) for c in cols if c]
        return pack(t[0], t[1]), pack(t[2], t[3]) if len(t) == 4 else None, torch.tensor(qs)
