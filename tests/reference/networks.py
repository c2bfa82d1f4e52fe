"""Section Networks: prior and synthesis, in integers but for one multiplication of binary32 that
scales each accumulator."""

from __future__ import annotations

import numpy as np

from .model import Kind

CLASSES = 40
CLASS_ZERO = 15
TOP8 = 127
TOP16 = 32767
WIDE = 16000
SLOPE = np.float32(1 / 8)


def rounded(v: np.ndarray, top: int) -> np.ndarray:
    """rint(clip(v, top)) of binary32 values, as integers."""
    assert v.dtype == np.float32
    return np.rint(np.clip(v, np.float32(-top), np.float32(top))).astype(np.int64)


def quantised(t: np.ndarray, s: np.ndarray, top: int) -> np.ndarray:
    """Q8 and QW."""
    return rounded(t.astype(np.float32) * s, top)


def shuffle(x: np.ndarray, r: int) -> np.ndarray:
    h, w, n = x.shape
    return (
        x.reshape(h, w, r, r, n // (r * r))
        .transpose(0, 2, 1, 3, 4)
        .reshape(h * r, w * r, n // (r * r))
    )


def unshuffle(x: np.ndarray, r: int) -> np.ndarray:
    h, w, n = x.shape
    return (
        x.reshape(h // r, r, w // r, r, n)
        .transpose(0, 2, 1, 3, 4)
        .reshape(h // r, w // r, n * r * r)
    )


def pack(planes: list[np.ndarray]) -> np.ndarray:
    """Packed planes, (H / 8, W / 8, 96)."""
    y, u, v = (p[:, :, None] for p in planes)
    return np.concatenate([unshuffle(y, 8), unshuffle(u, 4), unshuffle(v, 4)], 2)


def unpack(x: np.ndarray) -> list[np.ndarray]:
    return [
        shuffle(x[:, :, :64], 8)[:, :, 0],
        shuffle(x[:, :, 64:80], 4)[:, :, 0],
        shuffle(x[:, :, 80:], 4)[:, :, 0],
    ]


class Net:
    """The layers of one frame type at quality q; coded: the 16x16 blocks in coded tiles."""

    def __init__(self, kind: Kind, q: int, coded: np.ndarray):
        self.k, self.q, self.sizes, self.coded = kind.tensors, q, kind.sizes, coded

    def row(self, name: str, part: str, step: int) -> np.ndarray:
        rows = self.k[f"{name}.{part}"]
        return rows[{64: self.q, 1: 0}.get(len(rows), step)]

    def scaled(self, name: str, x: np.ndarray, step: int = 0) -> np.ndarray:
        """float(acc + bias) * scale of the product of x (.., in) with the layer's weights (in,
        out)."""
        acc = x.astype(np.int64) @ self.k[f"{name}.w"].astype(np.int64)
        return (acc + self.row(name, "bias", step)).astype(np.float32) * self.row(
            name, "scale", step
        )

    def r8(self, name: str, x: np.ndarray, step: int = 0) -> np.ndarray:
        return rounded(self.scaled(name, x, step), TOP8)

    def l8(self, name: str, x: np.ndarray) -> np.ndarray:
        v = self.scaled(name, x)
        return rounded(np.where(v < 0, v * SLOPE, v), TOP8)

    def r16(self, name: str, x: np.ndarray) -> np.ndarray:
        return rounded(self.scaled(name, x), TOP16)

    def q8(self, t: np.ndarray, name: str) -> np.ndarray:
        return quantised(t, self.k[name], TOP8)

    def depthwise(self, name: str, u: np.ndarray) -> np.ndarray:
        w, (h, width, _) = self.k[f"{name}.w"].astype(np.int64), u.shape
        size = h // len(self.coded)
        seen = np.kron(self.coded, np.ones((size, size), bool))
        around = np.pad(u * seen[:, :, None], ((1, 1), (1, 1), (0, 0)))
        acc = sum(w[k] * around[k // 3 : k // 3 + h, k % 3 : k % 3 + width] for k in range(9))
        return rounded(
            (acc + self.k[f"{name}.bias"]).astype(np.float32) * self.k[f"{name}.scale"], TOP8
        )

    def block(self, name: str, t: np.ndarray) -> np.ndarray:
        u = self.depthwise(f"{name}.dw", self.l8(f"{name}.w1", self.q8(t, f"{name}.s_in")))
        t = np.clip(t + self.r16(f"{name}.w2", u), -TOP16, TOP16)
        u = self.l8(f"{name}.w3", self.q8(t, f"{name}.s_mid"))
        return np.clip(t + self.r16(f"{name}.w4", u), -TOP16, TOP16)


class Prior(Net):
    """Means (H/16, W/16, M) and classes (H/16, W/16, M/4) of the latent; z: hyper-latent, p8:
    packed prediction of inter frames."""

    def __init__(self, kind: Kind, q: int, z: np.ndarray, p8: np.ndarray | None, coded: np.ndarray):
        super().__init__(kind, q, coded)
        self.z, self.p8 = z, p8

    def context(self, k: int) -> np.ndarray:
        h = shuffle(self.r8("prior.up", self.q8(self.z, "prior.s_z"), k), 4)
        if self.p8 is not None:
            t = self.block("prior.cx_block", self.r16("prior.cx_first", self.p8))
            h = np.concatenate(
                [h, self.r8("prior.cx_last", unshuffle(self.q8(t, "prior.s_cx"), 2), k)], 2
            )
        return h

    def step(self, k: int, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = self.context(k)
        name = f"prior.steps.{k}"
        if k > 0:
            x = np.concatenate([self.q8(y, f"{name}.s_y"), x], 2)
        t = self.r16(f"{name}.first", x)
        for i in range(self.sizes["prior_blocks"]):
            t = self.block(f"{name}.blocks.{i}", t)
        x = self.q8(t, f"{name}.s_out")
        return self.r16(f"{name}.mean", x), np.clip(
            CLASS_ZERO + self.r16(f"{name}.scale", x), 0, CLASSES - 1
        )


def synthesis(
    kind: Kind, q: int, y: np.ndarray, p8: np.ndarray | None, coded: np.ndarray
) -> list[np.ndarray]:
    """The residual's planes."""
    n = Net(kind, q, coded)
    t = n.r16("synthesis.first", quantised(y, n.k["synthesis.s_y"][q], WIDE))
    for i in range(kind.sizes["dec16_blocks"]):
        t = n.block(f"synthesis.blocks16.{i}", t)
    t = shuffle(n.r16("synthesis.up", quantised(t, n.k["synthesis.s_up"], WIDE)), 2)
    if p8 is not None:
        t = np.clip(t + n.r16("synthesis.pred", p8), -TOP16, TOP16)
    for i in range(kind.sizes["dec_blocks"]):
        t = n.block(f"synthesis.blocks8.{i}", t)
    return unpack(n.r16("synthesis.last", quantised(t, n.k["synthesis.s_last"], WIDE)))
