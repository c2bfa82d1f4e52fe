"""One frame: prediction, nets, quantiser and range coder put together, in both directions.

Order inside a frame's stream: quality difference, motion (P and B), hyper-latent, first and second checkerboard half of
the latent, detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from . import detail, entropy, quantizer
from .errors import DamageError
from .motion.code import CONTEXTS, QDELTA, Field, decode_motion
from .motion.predict import compensate
from .nets.shape import CLASSES, HYPER_BUCKETS
from .nets.synthesis import pack, unpack
from .picture import Picture, plane8
from .quantizer import Tables
from .rate import PLANE_WEIGHTS, RateParameters, lagrangian

ALIGN = 64
MAX_QDELTA = 63
DETAIL_BITS = 24  # expected gain below which a frame goes without detail
ELEMENTS = ("header", "motion", "hyper", "latent", "detail")
Planes = tuple[np.ndarray, np.ndarray, np.ndarray]


def padded_size(width: int, height: int) -> tuple[int, int]:
    """(H, W): the next multiples of 64."""
    return -(-height // ALIGN) * ALIGN, -(-width // ALIGN) * ALIGN


def pad(p: Picture, width: int, height: int) -> Planes:
    """Planes of 10 bits, extended to multiples of 64 by repeating the last row and column."""
    h, w = padded_size(width, height)
    out = []
    for a, (hh, ww) in zip(p, ((h, w), (h // 2, w // 2), (h // 2, w // 2)), strict=True):
        a = a.astype(np.uint16) << 2 if a.dtype == np.uint8 else a
        out.append(np.pad(a, ((0, hh - a.shape[0]), (0, ww - a.shape[1])), mode="edge"))
    return out[0], out[1], out[2]


@dataclass
class Coded:
    """A decoded frame as a reference: padded planes of 10 bits, motion grid, adaptive state after it."""

    number: int
    level: int
    planes: Planes
    field: Field
    contexts: np.ndarray
    counts: np.ndarray | None  # of the inter tables; None after an I frame: the trained ones
    phases: np.ndarray | None = None  # of the encoder's search
    luma8: np.ndarray | None = None


def _parent(refs: list[Coded]) -> Coded:
    """The reference whose adaptive state a frame starts from: that of the deeper level, else the first."""
    return refs[1] if len(refs) > 1 and refs[1].level > refs[0].level else refs[0]


class FrameCoder:
    """Codes frames of one size with one model."""

    def __init__(self, codec: Any, width: int, height: int, rate: RateParameters | None = None):
        self.codec, self.b = codec, codec.backend
        self.width, self.height = width, height
        self.h, self.w = padded_size(width, height)
        self.rate = rate or RateParameters()

    # -- both directions

    def _start(self, number: int, refs: list[Coded]) -> tuple[Field, Field, np.ndarray, Tables, Any]:
        if not refs:
            nets = self.codec.intra
            none = Field.empty(self.h, self.w, 0, 0)
            return none, none, entropy.new_contexts(CONTEXTS), Tables(nets.books), nets
        nets = self.codec.inter
        d = [r.number - number for r in refs] + [0]
        col = refs[-1] if refs[-1].field.direction.any() else refs[0]
        parent = _parent(refs)
        return Field.empty(self.h, self.w, d[0], d[1]), col.field, parent.contexts.copy(), Tables(nets.books, parent.counts), nets

    def _compensate(self, field: Field, leaves: np.ndarray, refs: list[Coded]) -> Planes:
        out = (np.empty((self.h, self.w), np.uint16), np.empty((self.h // 2, self.w // 2), np.uint16), np.empty((self.h // 2, self.w // 2), np.uint16))
        compensate(leaves, field.direction, field.mv, refs[0].planes, refs[-1].planes, out)
        return out

    def _packed(self, planes: Planes) -> torch.Tensor:
        """(1, H/8, W/8, 96) int16 on the device."""
        return pack(tuple(torch.from_numpy(p.view(np.int16)) for p in planes)).to(self.b.device)  # type: ignore[arg-type]

    def _pred8(self, packed: torch.Tensor) -> torch.Tensor:
        return ((packed - 512) >> 2).to(torch.int8)

    def _reconstruct(self, residual: torch.Tensor, pred: torch.Tensor | None) -> Planes:
        base = pred.to(torch.int32) if pred is not None else 510
        x = (residual.to(torch.int32) + base).clamp(0, 1023).to(torch.int16).cpu()
        return tuple(p.numpy().view(np.uint16) for p in unpack(x))  # type: ignore[return-value]

    def _coded(self, number: int, level: int, planes: Planes, field: Field, contexts: np.ndarray, tables: Tables, refs: list[Coded]) -> Coded:
        return Coded(number, level, planes, field, contexts, tables.adapted() if refs else None)

    # -- encoder

    def encode(self, source: Planes, number: int, level: int, q: int, refs: list[Coded], target: int | None = None) -> tuple[Coded, bytes, dict[str, Any]]:
        """Code a frame (padded planes of 10 bits) from 0, 1 or 2 references; returns it decoded, its stream and its statistics.

        ``q`` is the quality of its level, ``target`` (q unless given) the one aimed at: above q, the detail reaches for it. A frame
        that needs much detail (text, graphics) is also tried with its latent coded worse.
        """
        target = q if target is None else target
        best = self._encode(source, number, level, q, 0, refs, target)
        if best[2].get("refined", 0) > self.rate.detail_share:
            cost = self._cost(source, *best[:2], target)
            for drop in self.rate.detail_drops:
                other = self._encode(source, number, level, q, -min(drop, q), refs, target)
                c = self._cost(source, *other[:2], target)
                if c >= cost:
                    break
                best, cost = other, c
        return best

    def _cost(self, source: Planes, coded: Coded, data: bytes, q: int) -> float:
        """Lagrangian cost of a coded frame in bits."""
        error = sum(w * float(np.square(a.astype(np.float32) - b).sum()) for w, a, b in zip(PLANE_WEIGHTS, source, coded.planes, strict=True))
        return 8 * len(data) + self.rate.detail(q)[1] * error

    def _encode(self, source: Planes, number: int, level: int, level_q: int, delta: int, refs: list[Coded], aim: int) -> tuple[Coded, bytes, dict[str, Any]]:
        from .motion.search import coarse_vectors, optical_flow, phases, search

        q = level_q + delta
        field, col, ctx, tables, nets = self._start(number, refs)
        st, out = entropy.encoder_state(), np.empty(self.h * self.w * 8 + 4096, np.uint8)
        marks = [0.0]
        mark = lambda: marks.append(_bits_so_far(st))
        _encode_qdelta(st, out, ctx, delta)
        mark()
        luma8 = plane8(source[0])
        pred = pred8 = None
        leaves = np.empty((self.h * self.w // 64, 3), np.int32)
        n = 0
        if refs:
            flow = np.zeros((2, 3, self.h // 8, self.w // 8, 2), np.int32)
            for k, r in enumerate(refs):
                if r.phases is None:
                    r.phases, r.luma8 = phases(r.planes[0]), plane8(r.planes[0])
                assert r.luma8 is not None
                flow[k, 0] = optical_flow(luma8, r.luma8)
                flow[k, 1:] = coarse_vectors(luma8, r.luma8, r.number - number)
            n = search(st, out, ctx, field, col, luma8, refs[0].phases, refs[-1].phases, flow, *self.rate.motion(level_q), leaves)
            pred = self._packed(self._compensate(field, leaves[:n], refs))
            pred8 = self._pred8(pred)
        mark()
        y, z = self._analyse(nets, source, pred, q)
        books = tables.books
        cost = tables.costs()
        lam = self.rate.vq_lambda
        zq = np.empty(z.shape, np.int16)
        base = _hyper_tables(q, z.shape[2])
        zsym = np.zeros((*z.shape[:2], z.shape[2] // 4), np.int32)
        quantizer.search_hyper(z, base, books.sizes, books.words, cost, lam, zsym, zq)
        quantizer.encode_hyper(st, out, base, zsym, tables.cdf, tables.seen)
        mark()
        target = y * np.float32(quantizer.UNIT)
        yq = np.zeros(y.shape, np.int16)
        symbols = np.zeros(y.shape, np.int32)
        with torch.inference_mode():
            h1, h2 = nets.prior.context(self._tensor(zq), pred8)
            for half in range(2):
                mean, cls = nets.prior.first(h1, q) if half == 0 else nets.prior.second(h2, self._tensor(yq), q)
                mean, cls = mean[0].cpu().numpy(), cls[0].cpu().numpy()
                quantizer.search_half(target, mean, cls, half, books.dims, books.sizes, books.words, cost, lam, symbols, yq)
                quantizer.encode_half(st, out, cls, half, books.dims, books.sizes, symbols, tables.cdf, tables.seen)
            mark()
            planes = self._reconstruct(nets.synthesis(self._tensor(yq), pred8, q), pred)
        step, worth = self.rate.detail(aim)
        skip, levels = np.empty((self.h // 8, self.w // 8), np.int8), np.empty((self.h // 8, self.w // 8, 6, 16), np.int32)
        gain = detail.choose(source, planes, detail.STEP_TABLE[step], worth, np.array(PLANE_WEIGHTS), self.height, self.width, skip, levels)
        step = step if gain > DETAIL_BITS else -1
        detail.encode_detail(st, out, ctx, step, detail.STEP_TABLE[max(step, 0)], skip, levels, planes)
        mark()
        size = int(entropy.finish(st, out))
        data = out[:size].tobytes()
        bits = dict(zip(ELEMENTS, np.diff(marks).round(1).tolist(), strict=True)) | {"flush": round(size * 8 - marks[-1], 1)}
        stats: dict[str, Any] = {"q": q, "bits": bits, "lambda": lagrangian(level_q)}
        if step >= 0:
            stats["refined"] = round(float((skip >= 0).mean()), 4)
        if refs:
            stats |= {"merged": round(float(field.merged.mean()), 4), "bi": round(float((field.direction == 3).mean()), 4), "leaves": int(n)}
        return self._coded(number, level, planes, field, ctx, tables, refs), data, stats

    def _tensor(self, a: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(a)[None].to(self.b.device)

    def _analyse(self, nets: Any, source: Planes, pred: torch.Tensor | None, q: int) -> tuple[np.ndarray, np.ndarray]:
        """Float latents (H/16, W/16, M) and (H/64, W/64, Z) in steps."""
        x = self._packed(source).to(torch.float32) / 1020 - 0.5
        p = pred.to(torch.float32) / 1020 - 0.5 if pred is not None else None
        with torch.inference_mode(), torch.autocast(self.b.device.type, torch.bfloat16):
            y, z = nets.analysis(x, p, torch.tensor([float(q)], device=self.b.device))
        return np.nan_to_num(y[0].float().cpu().numpy()), np.nan_to_num(z[0].float().cpu().numpy())

    # -- decoder

    def decode(self, jobs: list[tuple[memoryview, int, int, int, list[Coded]]], stats: list[dict] | None = None) -> list[Coded]:
        """Decode frames that don't depend on each other: (stream, number, level, quality of the level, references) each."""
        runs = []
        for data, number, level, q, refs in jobs:
            runs.append(_Decoding(self, data, number, level, q, refs))
        for same in _by_quality(runs):
            self._decode_latents(same)
        out = []
        for r in runs:
            if not entropy.consumed(r.st):
                raise DamageError(f"frame {r.number}: {r.data.size - int(r.st[2])} bytes of its stream are left over")
            if stats is not None:
                bits = dict(zip(ELEMENTS, np.diff(r.marks).round(1).tolist(), strict=True)) | {"flush": round(r.data.size * 8 - r.marks[-1], 1)}
                stats.append(dict(frame=r.number, type="IPB"[min(r.level, 2)], level=r.level, q=r.q, bytes=int(r.data.size), bits=bits))
            out.append(self._coded(r.number, r.level, r.planes, r.field, r.ctx, r.tables, r.refs))
        return out

    def _decode_latents(self, runs: list[_Decoding]) -> None:
        nets, q, b = runs[0].nets, runs[0].q, self.b
        books, s = runs[0].tables.books, nets.shape
        hz, wz, hy, wy = self.h // 64, self.w // 64, self.h // 16, self.w // 16
        pred = pred8 = None
        if s.inter:
            pred = torch.cat([self._packed(r.pred) for r in runs])
            pred8 = self._pred8(pred)
        z = np.zeros((len(runs), hz, wz, s.hyper), np.int16)
        for i, r in enumerate(runs):
            quantizer.decode_hyper(r.st, r.data, _hyper_tables(q, s.hyper), books.sizes, books.words, r.tables.cdf, r.tables.seen, z[i])
            r.mark()
        y = np.zeros((len(runs), hy, wy, s.latent), np.int16)
        with torch.inference_mode():
            h1, h2 = nets.prior.context(torch.from_numpy(z).to(b.device), pred8)
            for half in range(2):
                mean, cls = nets.prior.first(h1, q) if half == 0 else nets.prior.second(h2, torch.from_numpy(y).to(b.device), q)
                mean, cls = mean.cpu().numpy(), cls.cpu().numpy()
                for i, r in enumerate(runs):
                    quantizer.decode_half(r.st, r.data, mean[i], cls[i], half, books.dims, books.sizes, books.words, r.tables.cdf, r.tables.seen, y[i])
            for r in runs:
                r.mark()
            residual = nets.synthesis(torch.from_numpy(y).to(b.device), pred8, q)
            for i, r in enumerate(runs):
                r.planes = self._reconstruct(residual[i : i + 1], pred[i : i + 1] if pred is not None else None)
                detail.decode_detail(r.st, r.data, r.ctx, detail.STEP_TABLE, np.empty((self.h // 8, self.w // 8), np.int8), r.planes)
                r.mark()


class _Decoding:
    """A frame on its way through the decoder: quality and motion are decoded at once, latents later in a batch."""

    def __init__(self, c: FrameCoder, data: memoryview, number: int, level: int, q: int, refs: list[Coded]):
        self.number, self.level, self.refs = number, level, refs
        self.data = np.frombuffer(data, np.uint8)
        self.field, col, self.ctx, self.tables, self.nets = c._start(number, refs)
        self.st = entropy.decoder_state(self.data)
        self.marks = [0.0]
        self.q = q + _decode_qdelta(self.st, self.data, self.ctx)
        if not 0 <= self.q <= 63:
            raise DamageError(f"frame {number}: quality {self.q} outside 0..63")
        self.mark()
        self.pred: Planes = ()  # type: ignore[assignment]
        if refs:
            leaves = np.empty((c.h * c.w // 64, 3), np.int32)
            n = decode_motion(self.st, self.data, self.ctx, self.field, col, leaves)
            self.pred = c._compensate(self.field, leaves[:n], refs)
        self.mark()
        self.planes: Planes = ()  # type: ignore[assignment]

    def mark(self) -> None:
        # bytes taken less the 32 bits in hand, refined by what the range has left
        self.marks.append(max(0.0, int(self.st[2]) * 8 - 32 + (32 - float(np.log2(float(self.st[1]))))))


def _hyper_tables(q: int, channels: int) -> int:
    """First table of the hyper-latent at quality q."""
    return CLASSES + q * HYPER_BUCKETS // 64 * (channels // 4)


def _by_quality(runs: list[_Decoding]) -> list[list[_Decoding]]:
    out: dict[int, list[_Decoding]] = {}
    for r in runs:
        out.setdefault(r.q, []).append(r)
    return list(out.values())


def _bits_so_far(st: np.ndarray) -> float:
    return max(0.0, (int(st[4]) + int(st[3]) + int(st[5])) * 8 + 32 - float(np.log2(float(st[1]))))


def _encode_qdelta(st: np.ndarray, out: np.ndarray, ctx: np.ndarray, d: int) -> None:
    """Zero flag, sign, then unary magnitude: contexts QDELTA, +1, +2.. +7."""
    entropy.encode_bit(st, out, ctx, QDELTA, 1 if d else 0)
    if d:
        entropy.encode_bit(st, out, ctx, QDELTA + 1, 1 if d < 0 else 0)
        for i in range(1, min(abs(d), MAX_QDELTA - 1) + 1):  # the largest magnitude has no end mark
            entropy.encode_bit(st, out, ctx, QDELTA + 2 + min(i, 5), 1 if i < abs(d) else 0)


def _decode_qdelta(st: np.ndarray, data: np.ndarray, ctx: np.ndarray) -> int:
    if not entropy.decode_bit(st, data, ctx, QDELTA):
        return 0
    sign = entropy.decode_bit(st, data, ctx, QDELTA + 1)
    n = 1
    while n < MAX_QDELTA and entropy.decode_bit(st, data, ctx, QDELTA + 2 + min(n, 5)):
        n += 1
    return -n if sign else n


__all__ = ["Coded", "FrameCoder", "pad", "padded_size"]
