"""One frame decoded: range coder, prediction, nets and detail put together; what
:mod:`vqcodec.encoding.frame_encoder` shares with it.

Order inside a frame's stream: whether the frame is a copy, motion (P and B), quality difference,
direct blocks (P and B), painted blocks, hyper-latent, the latent in two or
four steps, detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DamageError
from ..picture import ALIGN, Picture, padded_size
from . import detail_syntax, direct_map, latent_syntax, painted_blocks
from .bit_statistics import ELEMENTS, element_bits, shares
from .codebooks import Tables
from .contexts import CONTEXTS, COPY, INTRA, QDELTA
from .motion_compensation import L0, L1, compensate
from .motion_field import Field
from .motion_syntax import decode_motion
from .nets.shape import CLASSES, HYPER_BUCKETS
from .packed_samples import pack8, reconstruct
from .range_coder import Decoder, decode_bit, decode_raw, new_contexts, taken
from .weighting import Weights, decode_weights

if TYPE_CHECKING:
    from .weights import Codec

NEUTRAL = 510  # base of an I frame's samples
MAX_QDELTA = 63
Planes = tuple[np.ndarray, np.ndarray, np.ndarray]


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
    """A decoded frame as a reference: padded planes of 10 bits, motion grid, adaptive state after
    it."""

    number: int
    level: int
    planes: Planes
    field: Field
    contexts: np.ndarray
    counts: np.ndarray | None  # of the inter tables; None after an I frame: the trained ones
    phases: np.ndarray | None = None  # of the encoder's search
    luma8: np.ndarray | None = None

    @property
    def predicted(self) -> bool:
        """Whether it was coded from references: a P or B frame."""
        return bool(self.field.direction[0, 0])


class FrameJob(NamedTuple):
    """A frame to decode."""

    data: memoryview  # its stream
    number: int  # in the GOP
    level: int
    quality: int  # of its level
    references: list[Coded]


def _parent(refs: list[Coded]) -> Coded:
    """The reference whose adaptive state a frame starts from: that of the deeper level, else the
    first."""
    return refs[1] if len(refs) > 1 and refs[1].level > refs[0].level else refs[0]


class FrameCoder:
    """Decodes frames of one size with one model;
    :class:`vqcodec.encoding.frame_encoder.FrameEncoder` builds on it."""

    def __init__(self, codec: Codec, width: int, height: int):
        self.codec, self.b = codec, codec.backend
        self.width, self.height = width, height
        self.h, self.w = padded_size(width, height)
        self.no_blocks = direct_map.outside(height, width)  # a map with no block past the nets

    # -- both directions

    def _contexts(self, refs: list[Coded]) -> np.ndarray:
        """The binary contexts that a frame starts from, for it to adapt."""
        return _parent(refs).contexts.copy() if refs else new_contexts(CONTEXTS)

    def _start(
        self, number: int, refs: list[Coded], intra: bool, weights: Weights | None = None
    ) -> tuple[Field, Field, Tables, Any]:
        """Empty motion grid, the grid that temporal vectors come from, symbol tables, nets.

        intra: whether the frame is coded without prediction from its references.
        """
        if intra:
            nets = self.codec.intra
            none = Field.empty(self.h, self.w, 0, 0)
            return none, none, Tables(nets.books), nets
        nets = self.codec.inter
        d = [r.number - number for r in refs] + [0]
        past = (
            len(refs) > 1 and refs[1].number < refs[0].number
        )  # of two key frames the nearer one is the first
        col = refs[-1] if refs[-1].predicted and not past else refs[0]
        return (
            Field.empty(self.h, self.w, d[0], d[1], weights),
            col.field,
            Tables(nets.books, _parent(refs).counts),
            nets,
        )

    def _compensate(self, field: Field, leaves: np.ndarray, refs: list[Coded]) -> Planes:
        out = (
            np.empty((self.h, self.w), np.uint16),
            np.empty((self.h // 2, self.w // 2), np.uint16),
            np.empty((self.h // 2, self.w // 2), np.uint16),
        )
        compensate(leaves, field, refs[0].planes, refs[-1].planes, out)
        return out

    def _reconstruct(self, residual: np.ndarray, base: Planes | None, blocks: np.ndarray) -> Planes:
        """residual (H/8, W/8, 96) int16, prediction, kinds of blocks (H/16, W/16)."""
        return reconstruct(residual, blocks, base or self.neutral())

    def neutral(self) -> Planes:
        """The prediction of a frame without references."""
        half = (self.h // 2, self.w // 2)
        y, u, v = (np.full(size, NEUTRAL, np.uint16) for size in ((self.h, self.w), half, half))
        return y, u, v

    def _extend(self, planes: Planes) -> None:
        """What lies outside of the shown picture repeats its last row and column."""
        for plane in planes:
            height, width = self.height, self.width
            if plane is not planes[0]:
                height, width = (height + 1) // 2, (width + 1) // 2
            plane[:, width:] = plane[:, width - 1 : width]
            plane[height:] = plane[height - 1 : height]

    def _coded(
        self,
        number: int,
        level: int,
        planes: Planes,
        field: Field,
        contexts: np.ndarray,
        tables: Tables,
        refs: list[Coded],
    ) -> Coded:
        done = Coded(number, level, planes, field, contexts, None)
        if done.predicted:
            done.counts = tables.adapted()
        elif refs:
            done.counts = _parent(refs).counts
        return done

    # -- decoder

    def decode(
        self, jobs: list[FrameJob], stats: list[dict[str, Any]] | None = None
    ) -> list[Coded]:
        """Decode frames that don't depend on each other."""
        return [self.finish(r, stats) for r in self.parse(jobs)]

    def parse(
        self, jobs: list[FrameJob], symbols: bool = False, pixels: bool = True
    ) -> list[Decoding]:
        """The same up to what :meth:`finish` does; with ``symbols`` those of the latents are kept.
        Without ``pixels`` neither synthesis nor detail run."""
        runs = [Decoding(self, *job) for job in jobs]
        if symbols:
            for r in runs:
                r.expect_symbols(self.h, self.w)
        for same in _by_quality([r for r in runs if r.copied is None]):
            y, pred8 = self._decode_latents(same)
            if pixels:
                self._synthesise(same, y, pred8)
        return runs

    def finish(self, r: Decoding, stats: list[dict[str, Any]] | None = None) -> Coded:
        """The frame as a reference; DamageError where its stream holds more than was read."""
        left = r.coder.left
        if left > 0:
            raise DamageError(f"frame {r.number}: {left} bytes of its stream are left over")
        if stats is not None:
            row = dict(
                frame=r.number,
                type="I" if r.intra else "IPB"[min(r.level, 2)],
                level=r.level,
                q=r.q,
                bytes=r.coder.data.size,
                bits=element_bits(r.marks, r.vector_bits, r.coder.data.size),
            )
            stats.append(row | ({} if r.intra else shares(r.field, r.direct, r.leaves)))
        return self._coded(r.number, r.level, r.planes, r.field, r.coder.contexts, r.tables, r.refs)

    def _decode_latents(self, runs: list[Decoding]) -> tuple[np.ndarray, np.ndarray | None]:
        """Latents (N, H/16, W/16, M) of frames of one type and quality, and their predictions as
        the nets see them."""
        nets, q = runs[0].nets, runs[0].q
        books, s = runs[0].tables.books, nets.shape
        hz, wz, hy, wy = self.h // ALIGN, self.w // ALIGN, self.h // 16, self.w // 16
        pred8 = np.stack([pack8(r.pred) for r in runs]) if s.inter else None
        z = np.zeros((len(runs), hz, wz, s.hyper), np.int16)
        for i, r in enumerate(runs):
            latent_syntax.decode_hyper(
                r.coder,
                direct_map.idle(r.direct),
                hyper_tables(q, s.hyper),
                books.sizes,
                books.words,
                r.tables.cdf,
                r.tables.seen,
                z[i],
                r.hyper,
            )
            r.mark()
        y = np.zeros((len(runs), hy, wy, s.latent), np.int16)
        contexts = nets.prior.context(z, pred8)
        for k, context in enumerate(contexts):
            mean, cls = nets.prior.step(k, context, y, q)
            for i, r in enumerate(runs):
                t = r.tables
                latent_syntax.decode_step(
                    r.coder, mean[i], cls[i], r.direct, k, s.steps, books.dims, books.sizes,
                    books.words, t.cdf, t.seen, y[i], r.symbols, r.classes,
                )  # fmt: skip
        for r in runs:
            r.mark()
        return y, pred8

    def _synthesise(self, runs: list[Decoding], y: np.ndarray, pred8: np.ndarray | None) -> None:
        residual = runs[0].nets.synthesis(y, pred8, runs[0].q)
        for i, r in enumerate(runs):
            r.planes = self._reconstruct(residual[i], r.pred or None, r.direct)
            detail_syntax.decode_detail(
                r.coder,
                detail_syntax.STEP_TABLE,
                r.direct,
                np.empty((self.h // 8, self.w // 8), np.int8),
                r.planes,
            )
            self._extend(r.planes)
            r.mark()


class Decoding:
    """A frame on its way through the decoder: quality and motion are decoded at once, latents later
    in a batch."""

    def __init__(
        self, c: FrameCoder, data: memoryview, number: int, level: int, q: int, refs: list[Coded]
    ):
        self.number, self.level, self.refs = number, level, refs
        self.coder = Decoder.start(data, c._contexts(refs))
        self.marks = [0.0]
        self.copied = decode_copy(self.coder, refs)  # the reference that the frame is a copy of
        self.intra, weights = not refs, None
        if refs and self.copied is None:
            self.intra = bool(decode_bit(self.coder, intra_context(level)))
            weights = None if self.intra else decode_weights(self.coder, len(refs))
        self.mark()
        self.field, col, self.tables, self.nets = c._start(number, refs, self.intra, weights)
        self.leaves, self.vector_bits = 0, 0.0
        self.pred: Planes = ()  # type: ignore[assignment]
        self.direct = c.no_blocks.copy()  # kinds of blocks
        self.planes: Planes = ()  # type: ignore[assignment]
        # symbols of the latents as quantizer.py gives them, where they are asked for
        self.symbols = self.hyper = np.empty((0, 0, 0), np.int32)
        self.classes = np.empty((0, 0, 0), np.int8)
        if self.copied is not None:
            self.q, self.planes = q, self.copied.planes
            self.direct[self.direct == direct_map.CODED_BLOCK] = direct_map.DIRECT_BLOCK
            copy_field(self.field, L0 if self.copied is refs[0] else L1)
            self.marks += [self.marks[-1]] * (len(ELEMENTS) - 2)
            return
        if not self.intra:
            leaves, spent = np.empty((c.h * c.w // 64, 3), np.int32), np.zeros(1)
            self.leaves = int(decode_motion(self.coder, self.field, col, leaves, spent))
            self.vector_bits = float(spent[0])
            self.pred = c._compensate(self.field, leaves[: self.leaves], refs)
        self.mark()
        self.q = q + _decode_qdelta(self.coder)
        if not 0 <= self.q <= 63:
            raise DamageError(f"frame {number}: quality {self.q} outside 0..63")
        self.mark()
        if not self.intra:
            direct_map.code_map(self.coder, self.direct, self.field.merged)
        self.mark()
        self._paint(c)
        self.mark()

    def expect_symbols(self, h: int, w: int) -> None:
        """Room for the symbols of the latents of a padded picture, -1 where nothing is coded."""
        s = self.nets.shape
        self.hyper = np.full((h // ALIGN, w // ALIGN, s.hyper // 4), -1, np.int32)
        self.symbols = np.full((h // 16, w // 16, s.latent), -1, np.int32)
        self.classes = np.full((h // 16, w // 16, s.latent // 4), -1, np.int8)

    def _paint(self, c: FrameCoder) -> None:
        """Read painted blocks into the prediction; an I frame has one only where it has some."""
        predicted = bool(self.pred)
        painting = painted_blocks.code_painting(
            self.coder, self.direct, painted_blocks.Painting(), predicted
        )
        if painting is not None:
            self.pred = self.pred or c.neutral()
            painted_blocks.code_painted(self.coder, self.direct, painting, self.pred, self.pred)

    def mark(self) -> None:
        self.marks.append(max(0.0, float(taken(self.coder))))


def intra_context(level: int) -> int:
    """Context of the flag that a frame with references is coded without them."""
    return INTRA if level == 1 else INTRA + 1


def hyper_tables(q: int, channels: int) -> int:
    """First table of the hyper-latent at quality q."""
    return CLASSES + q * HYPER_BUCKETS // 64 * (channels // 4)


def _by_quality(runs: list[Decoding]) -> list[list[Decoding]]:
    out: dict[tuple[bool, int], list[Decoding]] = {}
    for r in runs:
        out.setdefault((r.intra, r.q), []).append(r)
    return list(out.values())


def decode_copy(coder: Decoder, references: list[Coded]) -> Coded | None:
    """Which reference a P or B frame is a copy of; None where it is none."""
    if not references or not decode_bit(coder, COPY):
        return None
    return references[decode_raw(coder, 1) if len(references) > 1 else 0]


def copy_field(field: Field, direction: int) -> None:
    """Make the motion grid of a frame that is a copy: no motion, from one list."""
    field.direction[:], field.merged[:] = direction, 1


def _decode_qdelta(coder: Decoder) -> int:
    if not decode_bit(coder, QDELTA):
        return 0
    sign = decode_bit(coder, QDELTA + 1)
    n = 1
    while n < MAX_QDELTA and decode_bit(coder, QDELTA + 2 + min(n, 5)):
        n += 1
    return -n if sign else n
