"""Training samples: random crops of pictures, alone or with the prediction a real encoder made for them, or in chains of two frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..media.frames import copied
from ..media.inputs import open_source
from . import chunks

Planes = tuple[
    np.ndarray, np.ndarray
]  # luma (H, W), chroma (2, H/2, W/2); uint8, or uint16 with 10 bits


def pack(y: Tensor, c: Tensor) -> Tensor:
    """(N, H, W), (N, 2, H/2, W/2) in any range -> (N, H/8, W/8, 96): 64 luma, 16 Cb, 16 Cr, row-major inside the block."""
    p = torch.cat([F.pixel_unshuffle(y[:, None], 8), F.pixel_unshuffle(c, 4)], 1)
    return p.permute(0, 2, 3, 1).contiguous()


def unpack(x: Tensor) -> tuple[Tensor, Tensor]:
    """The inverse of :func:`pack`."""
    p = x.permute(0, 3, 1, 2)
    return F.pixel_shuffle(p[:, :64], 8)[:, 0], F.pixel_shuffle(p[:, 64:], 4)


@dataclass
class Chain:
    """Crops of frames that others were predicted from, and of those others; all packed (n, S/8, S/8, 96) in [-0.5, 0.5].

    ``rec``: the first frames as they were decoded when the second ones were predicted from them. ``share`` (n, S/8, S/8): how much of a cell of that
    prediction came from them (0, 1/2, 1), ``mv`` (n, 2, S/8, S/8): from where, [down, right] in samples.
    """

    x: Tensor
    pred: Tensor
    q: Tensor  # (n,)
    rec: Tensor
    x2: Tensor
    pred2: Tensor
    q2: Tensor
    share: Tensor
    mv: Tensor

    def predicted(self, out: Tensor) -> Tensor:
        """The prediction of the second frames had the first ones been decoded as ``out``: the difference moves along (bilinear, where the codec has longer
        filters). ``rec`` has detail and direct blocks, ``out`` comes from the synthesis alone."""
        y, c = unpack(out.float() - self.rec)
        moved = [self._moved(y[:, None], 8), self._moved(c, 4)]
        return (self.pred2 + pack(moved[0][:, 0], moved[1])).clamp(-0.5, 0.5)

    def _moved(self, d: Tensor, cell: int) -> Tensor:
        n, _, h, w = d.shape
        up = lambda t: t.repeat_interleave(cell, -1).repeat_interleave(cell, -2)
        v = up(self.mv) * (cell / 8)
        rows, columns = torch.arange(h)[:, None] + v[:, 0], torch.arange(w)[None] + v[:, 1]
        grid = torch.stack([columns * (2 / (w - 1)) - 1, rows * (2 / (h - 1)) - 1], -1)
        return (
            F.grid_sample(d, grid, "bilinear", "zeros", align_corners=True)
            * up(self.share)[:, None]
        )


def planes(frame: av.VideoFrame) -> Planes:
    """8-bit 4:2:0 planes of a frame, cut to even sizes."""
    w, h = frame.width // 2 * 2, frame.height // 2 * 2
    f = frame.reformat(format="yuv420p")
    out = [
        copied(p, np.uint8)[: size[0], : size[1]]
        for p, size in zip(f.planes, ((h, w), (h // 2, w // 2), (h // 2, w // 2)), strict=True)
    ]
    return out[0], np.stack(out[1:])


def read_clip(path: Path, step: int = 1, limit: int | None = None) -> list[Planes]:
    """Every ``step``-th frame of a video, at most ``limit``."""
    out = []
    with open_source(path) as c:
        for i, f in enumerate(c.container.decode(video=0)):
            if i % step == 0:
                out.append(planes(f))
            if limit and len(out) == limit:
                break
    return out


def read_photo(path: Path) -> Planes:
    """A photograph as BT.601 limited-range 4:2:0."""
    with open_source(path) as c:
        f = next(c.container.decode(video=0))
        f = f.reformat(
            width=f.width // 2 * 2,
            height=f.height // 2 * 2,
            format="yuv420p",
            dst_colorspace="ITU601",
            dst_color_range="MPEG",
        )
        return planes(f)


class Crops:
    """Batches of random square crops, flipped and transposed, of (picture, prediction or None, quality hint) items."""

    def __init__(self, size: int = 192, seed: int = 0):
        self.items: list[tuple[Planes, Planes | None, tuple[float, float]]] = []
        self.size, self.rng = size, np.random.default_rng(seed)
        self.seen: set[Path] = set()
        self.chains: list[dict[str, np.ndarray]] = []

    def add(
        self, pic: Planes, pred: Planes | None = None, quality: tuple[float, float] = (0, 63)
    ) -> None:
        """A picture with the range of quality indices it is to be coded at; too small ones are left out."""
        if min(pic[0].shape) >= self.size:
            self.items.append((pic, pred, quality))

    def add_pairs(self, folder: Path) -> int:
        """Load new chunks that :mod:`vqcodec.training.pairs` wrote; returns the number of items."""
        for f in sorted(folder.glob("p*.npz*")):
            if f in self.seen:
                continue
            self.seen.add(f)
            d = chunks.load(f)
            for i in range(sum(k.endswith("_y") for k in d)):
                q = float(d[f"{i}_q"])
                self.add((d[f"{i}_y"], d[f"{i}_c"]), (d[f"{i}_py"], d[f"{i}_pc"]), (q - 5, q + 5))
        return len(self.items)

    def add_chains(self, folder: Path) -> int:
        """Load new chunks of chains that :mod:`vqcodec.training.pairs` wrote; returns the number of chains."""
        for f in sorted(folder.glob("c*.npz*")):
            if f in self.seen:
                continue
            self.seen.add(f)
            d = chunks.load(f)
            for i in range(sum(k.endswith("_y") for k in d)):
                chain = {k.split("_", 1)[1]: v for k, v in d.items() if k.startswith(f"{i}_")}
                if min(chain["y"].shape) >= self.size:
                    self.chains.append(chain)
        return len(self.chains)

    def chain(self, n: int) -> Chain:
        """``n`` chains, cut at whole cells of motion, at the qualities they were coded at and up to 5 beside."""
        s, r = self.size, self.rng
        cells = dict(
            y=8, c=4, py=8, pc=4, ry=8, rc=4, y2=8, c2=4, py2=8, pc2=4, share=1, mv=1
        )  # samples of each array in a cell of eight
        cols: dict[str, list[np.ndarray]] = {k: [] for k in cells}
        qs = []
        for _ in range(n):
            chain = self.chains[r.integers(len(self.chains))]
            i, j = (int(r.integers((v - s) // 8 + 1)) for v in chain["y"].shape)
            flips, off = r.random(3) < 0.5, r.uniform(-5, 5)
            qs.append([float(np.clip(chain[k] + off, 0, 63)) for k in ("q", "q2")])
            for k, col in cols.items():
                a, cell = chain[k], cells[k]
                a = a[..., i * cell : i * cell + s // 8 * cell, j * cell : j * cell + s // 8 * cell]
                if k in ("share", "mv"):
                    a = a.astype(np.float32)
                else:
                    a = a * np.float32(1 / 255 if a.dtype == np.uint8 else 1 / 1020) - np.float32(
                        0.5
                    )
                if flips[0]:
                    a = a[..., ::-1]
                if flips[1]:
                    a = a[..., ::-1, :]
                if k == "mv":
                    a = (
                        a * np.where(flips[1::-1], -0.25, 0.25).astype(np.float32)[:, None, None]
                    )  # quarters to samples
                if flips[2]:
                    a = np.swapaxes(a, -1, -2)
                    a = a[::-1] if k == "mv" else a
                col.append(a)
        t = {k: torch.from_numpy(np.ascontiguousarray(np.stack(c))) for k, c in cols.items()}
        q, q2 = torch.tensor(qs).T
        return Chain(
            pack(t["y"], t["c"]),
            pack(t["py"], t["pc"]),
            q,
            pack(t["ry"], t["rc"]),
            pack(t["y2"], t["c2"]),
            pack(t["py2"], t["pc2"]),
            q2,
            t["share"],
            t["mv"],
        )

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
                arrays += [
                    y[i : i + s, j : j + s] * k - np.float32(0.5),
                    c[:, i // 2 : (i + s) // 2, j // 2 : (j + s) // 2] * k - np.float32(0.5),
                ]
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
