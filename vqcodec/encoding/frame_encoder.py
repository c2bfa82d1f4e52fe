"""One frame encoded: motion once, then trials of what follows it (quality of the latent, direct blocks), the cheapest of which is kept."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..codec import codebooks, detail_syntax, direct_map, latent_syntax
from ..codec.bit_statistics import element_bits, shares
from ..codec.codebooks import Tables
from ..codec.contexts import QDELTA
from ..codec.frame_decoder import MAX_QDELTA, NEUTRAL, Coded, FrameCoder, Planes, hyper_tables
from ..codec.motion_field import Field
from ..codec.motion_syntax import decode_motion
from ..codec.nets.arithmetic import FLOATS, floats, one_thread
from ..codec.range_coder import Decoder, Encoder, bit_costs, encode_bit, given
from ..picture import MAX_SAMPLE, plane8
from . import detail_choice, direct_choice, latent_search
from .nets.relaxed_synthesis import smooth_synthesis
from .rate_distortion import PLANE_WEIGHTS, RateParameters, lagrangian

REFINE_PIXELS = (
    1 << 20
)  # larger frames are not refined: their gradients take a kilobyte a pixel of memory
DETAIL_BITS = 24  # expected gain below which a frame goes without detail
_WEIGHTS = np.array(PLANE_WEIGHTS)


@dataclass
class _Motion:
    """A frame after its motion: range coder and contexts as they stand, prediction, and statistics."""

    level: int
    coder: Encoder  # every trial goes on in a branch of it
    bits: np.ndarray  # (contexts, 2) that a 0 and a 1 cost as they stand
    tables: Tables
    nets: Any
    field: Field
    pred: torch.Tensor | None
    pred8: torch.Tensor | None
    planes: Planes | None
    leaves: int
    worths: (
        np.ndarray
    )  # (H/16, W/16) of error, with a geometric mean of 1: see vqcodec/encoding/lookahead.py


@dataclass
class _Detail:
    """Decision of the detail layer on top of some planes."""

    step: int  # index, -1 none
    skip: np.ndarray
    levels: np.ndarray
    cost: np.ndarray  # (H/8, W/8) bits


@dataclass
class _Latent:
    """Quantised latents with their symbols."""

    z: np.ndarray  # (H/64, W/64, Z) int16
    zsymbols: np.ndarray
    idle: np.ndarray
    base: int  # first table of the hyper-latent
    y: np.ndarray  # (H/16, W/16, M) int16
    symbols: np.ndarray
    classes: list[np.ndarray]  # of each step
    bits: np.ndarray  # (H/16, W/16) of y

    @classmethod
    def empty(cls, y: tuple[int, ...], z: tuple[int, ...], idle: np.ndarray, base: int) -> _Latent:
        return cls(
            np.empty(z, np.int16),
            np.zeros((*z[:2], z[2] // 4), np.int32),
            idle,
            base,
            np.zeros(y, np.int16),
            np.zeros(y, np.int32),
            [],
            np.zeros(y[:2], np.float32),
        )


@dataclass
class _Trial:
    """A frame coded in one way."""

    data: bytes
    planes: Planes
    contexts: np.ndarray
    tables: Tables
    cost: float  # bits, with those that its error is worth
    cell_cost: np.ndarray  # (H/8, W/8) bits that error and detail are worth
    latent_bits: np.ndarray  # (H/16, W/16)
    stats: dict[str, Any]


class FrameEncoder(FrameCoder):
    """Encodes frames of one size with one model; ``stats``: whether statistics of them are wanted."""

    def __init__(
        self,
        codec: Any,
        width: int,
        height: int,
        rate: RateParameters | None = None,
        stats: bool = True,
    ):
        super().__init__(codec, width, height)
        self.rate, self.stats = rate or RateParameters(), stats

    def encode(
        self,
        source: Planes,
        number: int,
        level: int,
        q: int,
        refs: list[Coded],
        target: int | None = None,
        worths: np.ndarray | None = None,
    ) -> tuple[Coded, bytes, dict[str, Any]]:
        """Code a frame (padded planes of 10 bits) from 0, 1 or 2 references; returns it decoded, its stream and its statistics (none if not wanted).

        ``q`` is the quality of its level, ``target`` (q unless given) the one aimed at: above q, the detail reaches for it.
        ``worths`` (H/16, W/16) float32: of error in each block, 1 unless given.
        """
        aim = q if target is None else target
        none = np.zeros((self.h // 16, self.w // 16), np.uint8)
        motion = self._motion(
            source,
            number,
            level,
            q,
            refs,
            np.ones(none.shape, np.float32) if worths is None else worths,
        )
        y, z = self._analyse(motion.nets, source, motion.pred, q)
        if (
            self.rate.refine_steps
            and level < self.rate.refine_levels
            and self.h * self.w <= REFINE_PIXELS
        ):
            y = self._refine(source, motion, y, z, q, aim)
        best = self._trial(source, motion, y, z, q, 0, none, aim)
        if refs:
            assert motion.planes is not None
            plain = self._detail(source, motion.planes, motion, np.ones_like(none), aim)
            blocks = direct_choice.choose(
                best.cell_cost, best.latent_bits, plain.cost, self.rate.direct_gain
            )
            if blocks is not None:
                best = min(
                    best, self._trial(source, motion, y, z, q, 0, blocks, aim), key=lambda t: t.cost
                )
        if best.stats.get("refined", 0) > self.rate.detail_share:
            # text and graphics: the detail codes them better than the latent
            for d in sorted({min(drop, q) for drop in self.rate.detail_drops} - {0}):
                y, z = self._analyse(motion.nets, source, motion.pred, q - d)
                other = self._trial(source, motion, y, z, q - d, -d, best.stats["map"], aim)
                if other.cost >= best.cost:
                    break
                best = other
        stats = self._statistics(best, motion, number, q, refs) if self.stats else {}
        return (
            self._coded(number, level, best.planes, motion.field, best.contexts, best.tables, refs),
            best.data,
            stats,
        )

    @staticmethod
    def prepare(refs: list[Coded]) -> None:
        """What the search needs of references, once for all frames that refer to them."""
        from .block_matching import phases

        for r in refs:
            if r.phases is None:
                r.phases, r.luma8 = phases(r.planes[0]), plane8(r.planes[0])

    def _motion(
        self, source: Planes, number: int, level: int, q: int, refs: list[Coded], worths: np.ndarray
    ) -> _Motion:
        from .block_matching import coarse_vectors, optical_flow
        from .motion_search import search

        field, col, contexts, tables, nets = self._start(number, refs)
        coder = Encoder.start(self.h * self.w * 8 + 4096, contexts)
        if not refs:
            return _Motion(
                level,
                coder,
                _bit_costs(contexts),
                tables,
                nets,
                field,
                None,
                None,
                None,
                0,
                worths,
            )
        luma8 = plane8(source[0])
        leaves = np.empty((self.h * self.w // 64, 3), np.int32)
        flow = np.zeros((2, 3, self.h // 8, self.w // 8, 2), np.int32)
        self.prepare(refs)
        for k, r in enumerate(refs):
            assert r.luma8 is not None
            flow[k, 0] = optical_flow(luma8, r.luma8)
            flow[k, 1:] = coarse_vectors(luma8, r.luma8, r.number - number)
        n = search(
            coder,
            field,
            col,
            luma8,
            refs[0].phases,
            refs[-1].phases,
            flow,
            *self.rate.motion(q),
            leaves,
        )
        planes = self._compensate(field, leaves[:n], refs)
        pred = self._packed(planes)
        return _Motion(
            level,
            coder,
            _bit_costs(contexts),
            tables,
            nets,
            field,
            pred,
            self._pred8(pred),
            planes,
            int(n),
            worths,
        )

    def _statistics(
        self, t: _Trial, motion: _Motion, number: int, q: int, refs: list[Coded]
    ) -> dict[str, Any]:
        """What ``--stats`` tells of a frame, for the trial that was kept."""
        stats = t.stats | {"lambda": lagrangian(q)}
        blocks, marks = stats.pop("map"), stats.pop("marks")
        stats["bits"] = element_bits(marks, self._vector_bits(t.data, number, refs), len(t.data))
        return stats | (shares(motion.field, blocks, motion.leaves) if refs else {})

    def _vector_bits(self, data: bytes, number: int, refs: list[Coded]) -> float:
        """Bits of motion vectors in a stream, found by reading its motion back."""
        if not refs:
            return 0.0
        field, col, contexts, _, _ = self._start(number, refs)
        spent = np.zeros(1)
        decode_motion(
            Decoder.start(data, contexts),
            field,
            col,
            np.empty((self.h * self.w // 64, 3), np.int32),
            spent,
        )
        return float(spent[0])

    def _analyse(
        self, nets: Any, source: Planes, pred: torch.Tensor | None, q: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Float latents (H/16, W/16, M) and (H/64, W/64, Z) in steps."""
        x = self._packed(source).to(torch.float32) / 1020 - 0.5
        p = pred.to(torch.float32) / 1020 - 0.5 if pred is not None else None
        with torch.inference_mode(), one_thread(), floats(self.codec.arithmetic, self.b.device):
            y, z = nets.analysis(
                x, p, torch.tensor([float(q)], dtype=torch.float32, device=self.b.device)
            )
        return np.nan_to_num(y[0].float().cpu().numpy()), np.nan_to_num(z[0].float().cpu().numpy())

    def _detail(
        self, source: Planes, planes: Planes, m: _Motion, blocks: np.ndarray, aim: int
    ) -> _Detail:
        d = self._choose(source, planes, m, blocks, aim, m.bits)
        if m.planes is not None or d.step < 0:
            return d
        # the contexts of an I frame have seen nothing yet: choose again by what the first choice makes of them
        contexts = m.coder.contexts.copy()
        scratch = tuple(p.copy() for p in planes)
        detail_syntax.encode_detail(
            Encoder.start(m.coder.out.size, contexts),
            d.step,
            detail_syntax.STEP_TABLE[d.step],
            blocks,
            d.skip,
            d.levels,
            scratch,
        )
        contexts[:, 0] = contexts[
            :, 1
        ]  # the slow estimates: the fast ones know the last cells only
        return self._choose(source, planes, m, blocks, aim, _bit_costs(contexts))

    def _choose(
        self,
        source: Planes,
        planes: Planes,
        m: _Motion,
        blocks: np.ndarray,
        aim: int,
        bits: np.ndarray,
    ) -> _Detail:
        step, worth = self.rate.detail(aim)
        worth *= self.rate.detail_key_worth if m.level < 2 else self.rate.detail_worth
        skip, levels = (
            np.empty((self.h // 8, self.w // 8), np.int8),
            np.empty((self.h // 8, self.w // 8, 6, 16), np.int32),
        )
        cost = np.empty(skip.shape)
        gain = detail_choice.choose(
            source,
            planes,
            detail_syntax.STEP_TABLE[step],
            worth * m.worths.astype(np.float64),
            _WEIGHTS,
            self.height,
            self.width,
            blocks,
            bits,
            skip,
            levels,
            cost,
        )
        return _Detail(step if gain > DETAIL_BITS else -1, skip, levels, cost)

    def _quantise(
        self, m: _Motion, y: np.ndarray, z: np.ndarray, q: int, blocks: np.ndarray
    ) -> _Latent:
        """Entropy-constrained search of all steps for latents y, z (floats, in steps)."""
        books, cost, lam = m.tables.books, m.tables.costs(), self.rate.vq_lambda
        lams = np.float32(lam) / m.worths
        n = _Latent.empty(y.shape, z.shape, direct_map.idle(blocks), hyper_tables(q, z.shape[2]))
        latent_search.search_hyper(
            z, n.idle, n.base, books.sizes, books.words, cost, lam, n.zsymbols, n.z
        )
        target = y * np.float32(codebooks.UNIT)
        with torch.inference_mode():
            contexts = m.nets.prior.context(self._tensor(n.z), m.pred8)
            for k, context in enumerate(contexts):
                mean, cls = m.nets.prior.step(k, context, self._tensor(n.y), q)
                mean, cls = mean[0].cpu().numpy(), cls[0].cpu().numpy()
                latent_search.search_step(
                    target, mean, cls, blocks, k, len(contexts), books.dims, books.sizes,
                    books.words, cost, lams, n.symbols, n.y, n.bits,
                )  # fmt: skip
                n.classes.append(cls)
        return n

    def _refine(
        self, source: Planes, m: _Motion, y: np.ndarray, z: np.ndarray, q: int, aim: int
    ) -> np.ndarray:
        """A latent to aim at that costs less than the analysis' own: steps along the gradient of the error behind the quantiser.

        With the error's curvature h in every direction, which vq_lambda implies, its least value lies at yq - gradient / h.
        Content-adaptive encoding by gradient (Campos et al. 2019), with the hard quantiser inside the loop.
        """
        worth = self.rate.detail(aim)[1]
        curve = 2 / self.rate.vq_lambda * m.worths[:, :, None]
        none = np.zeros((self.h // 16, self.w // 16), np.uint8)
        best, best_y = np.inf, y
        # whatever mode the caller is in
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            one_thread() as threads,
            floats("float32", self.b.device),
            ThreadPoolExecutor(threads) as pool,
        ):
            net = smooth_synthesis(
                m.nets.synthesis, FLOATS[self.codec.arithmetic], pool if threads > 1 else None
            )
            weight = (
                self._packed_weights()
                * torch.from_numpy(m.worths)
                .to(self.b.device)
                .repeat_interleave(2, 0)
                .repeat_interleave(2, 1)[None, :, :, None]
            )
            x = self._packed(source).float()
            base = m.pred.clone().float() if m.pred is not None else torch.full_like(x, NEUTRAL)
            pred8 = m.pred8.clone() if m.pred8 is not None else None
            for step in range(self.rate.refine_steps + 1):
                n = self._quantise(m, y, z, q, none)
                yq = (
                    torch.from_numpy(n.y.astype(np.float32))[None]
                    .to(self.b.device)
                    .requires_grad_(True)
                )
                out = (net(yq, pred8, q) + base).clamp(0, MAX_SAMPLE)
                error = worth * ((out - x).square() * weight).sum()
                cost = float(error.detach()) + float(n.bits.sum())
                if cost < best:
                    best, best_y = cost, y
                if step == self.rate.refine_steps:
                    break
                error.backward()  # type: ignore[no-untyped-call]
                assert yq.grad is not None
                g = yq.grad[0].cpu().numpy() * codebooks.UNIT  # bits a step
                y = y + self.rate.refine_rate * ((n.y / np.float32(codebooks.UNIT) - g / curve) - y)
        return best_y

    def _packed_weights(self) -> torch.Tensor:
        """(96,) weights of the squared errors of packed samples."""
        return torch.tensor(
            [PLANE_WEIGHTS[0]] * 64 + [PLANE_WEIGHTS[1]] * 16 + [PLANE_WEIGHTS[2]] * 16,
            dtype=torch.float32,
            device=self.b.device,
        )

    def _trial(
        self,
        source: Planes,
        m: _Motion,
        y: np.ndarray,
        z: np.ndarray,
        q: int,
        delta: int,
        blocks: np.ndarray,
        aim: int,
    ) -> _Trial:
        """Code what follows the motion: latents y, z (floats, in steps) at quality q = that of the level + delta, with a map of direct blocks."""
        n = self._quantise(m, y, z, q, blocks)
        with torch.inference_mode():
            planes = self._reconstruct(
                m.nets.synthesis(self._tensor(n.y), m.pred8, q), m.pred, blocks
            )
        d = self._detail(source, planes, m, blocks, aim)
        coder, tables = m.coder.branch(), m.tables.fresh()
        books = tables.books
        marks = [0.0, _bits_so_far(coder)]
        mark = lambda: marks.append(_bits_so_far(coder))
        _encode_qdelta(coder, delta)
        mark()
        if m.pred is not None:
            direct_map.encode_map(coder, blocks, m.field.merged)
        mark()
        latent_syntax.encode_hyper(coder, n.idle, n.base, n.zsymbols, tables.cdf, tables.seen)
        mark()
        for k, cls in enumerate(n.classes):
            latent_syntax.encode_step(
                coder, cls, blocks, k, len(n.classes), books.dims, books.sizes, n.symbols, tables.cdf,
                tables.seen,
            )  # fmt: skip
        mark()
        detail_syntax.encode_detail(
            coder,
            d.step,
            detail_syntax.STEP_TABLE[max(d.step, 0)],
            blocks,
            d.skip,
            d.levels,
            planes,
        )
        mark()
        data = coder.finished()
        stats: dict[str, Any] = {"q": q, "marks": marks, "map": blocks}
        if d.step >= 0:
            stats["refined"] = round(float((d.skip >= 0).mean()), 4)
        return _Trial(
            data,
            planes,
            coder.contexts,
            tables,
            8 * len(data) + self._error_bits(source, planes, aim, m.worths),
            d.cost,
            n.bits,
            stats,
        )

    def _error_bits(self, source: Planes, planes: Planes, aim: int, worths: np.ndarray) -> float:
        """Bits that the squared error is worth."""
        h, w = worths.shape
        error = np.zeros((h, w))
        for weight, a, b in zip(PLANE_WEIGHTS, source, planes, strict=True):
            error += weight * np.square(a.astype(np.float32) - b).reshape(
                h, a.shape[0] // h, w, a.shape[1] // w
            ).sum((1, 3))
        return self.rate.detail(aim)[1] * float((error * worths).sum())


def _bit_costs(contexts: np.ndarray) -> np.ndarray:
    return np.asarray(bit_costs(contexts, np.empty(contexts.shape, np.float32)))


def _bits_so_far(coder: Encoder) -> float:
    return max(0.0, float(given(coder)))


def _encode_qdelta(coder: Encoder, d: int) -> None:
    """Zero flag, sign, then unary magnitude: contexts QDELTA, +1, +2.. +7."""
    encode_bit(coder, QDELTA, 1 if d else 0)
    if d:
        encode_bit(coder, QDELTA + 1, 1 if d < 0 else 0)
        for i in range(1, min(abs(d), MAX_QDELTA - 1) + 1):  # the largest magnitude has no end mark
            encode_bit(coder, QDELTA + 2 + min(i, 5), 1 if i < abs(d) else 0)


__all__ = ["FrameEncoder"]
