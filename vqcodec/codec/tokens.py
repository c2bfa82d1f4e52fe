"""What is coded of a frame, as arrays and as flat sequences.

The arrays hold codebook indices of its latents, rate classes, motion and kinds of blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ..errors import UsageError
from .bit_statistics import head_bits
from .codebooks import UNIT, escaped_number, is_escape
from .direct_map import DIRECT_BLOCK, INTRA_BLOCK, OUTSIDE_BLOCK, PAINTED_BLOCK, coded_tiles

if TYPE_CHECKING:
    from .frame_decoder import Decoding
    from .frame_head import FrameHead
    from .intra_tiles import IntraLatent
    from .weights import Codec, FrameNets

_SLOTS = 4  # channels of a group, and so codewords of it at most
_NONE = np.empty((0, 0, 0), np.int32)  # what a frame without intra tiles has of them


@dataclass(frozen=True, kw_only=True, repr=False)
class ShallowTokens:
    """What the head of a frame says: all that is read without nets and without pictures.

    H and W are the picture's height and width, rounded up to a multiple of 64. All arrays begin at
    the top left. -1 stands where nothing is coded. A block is 16x16 luma samples, a cell 8x8.
    """

    frame: int  # number in the file
    pts_seconds: float
    kind: Literal["I", "P", "B"]  # P: a key frame, predicted from the one or two before it
    level: int  # 0 first, 1 key, from 2 on between them: each halves the distance to references
    quality: int  # 0 (worst) to 63: chooses the step of quantisation
    references: tuple[
        int, ...
    ]  # numbers in the file of the frames it is predicted from: none, one or two
    copied: int | None  # number in the file of the frame that it is a copy of
    bytes: int  # of its stream
    bits: dict[str, float]
    """Of the elements of the head: weights, modes, vectors, quality, intra (which tiles are),
    direct, painted (which blocks are), hyper. What is left of the bytes are painted samples,
    latents and detail."""
    hyper: np.ndarray
    """(H/64, W/64, Z/4) int16: codebook indices of the hyper-latent; -1 where none of the 16 blocks
    has a latent. Z is 0 where the model of the file isn't known."""
    intra_hyper: np.ndarray
    """(H/64, W/64, Z/4) int16: the same of intra tiles, with the codebooks of I frames; (0, 0, 0)
    where there are none."""
    tiles: np.ndarray
    """(H/32, W/32) bool: coded tiles, those that the nets run in, but for intra tiles."""
    intra_tiles: np.ndarray
    """(H/32, W/32) bool: tiles of P and B frames that the nets of I frames draw, from nothing."""
    direct: np.ndarray
    """(H/16, W/16) bool: blocks that show their prediction as it is."""
    painted: np.ndarray
    """(H/16, W/16) bool: blocks whose samples are coded as they are; these are no tokens."""
    outside: np.ndarray
    """(H/16, W/16) bool: blocks of which nothing is shown and nothing is coded."""
    direction: np.ndarray
    """(H/8, W/8) uint8: 0 in I frames, 1 predicted from the first reference, 2 from the second, 3
    from the mean of both."""
    vectors: np.ndarray
    """(H/8, W/8, 2, 2) int16: motion to the first and the second reference, down and right, in
    quarter samples; valid where ``direction`` has the reference."""
    depth: np.ndarray
    """(H/8, W/8) uint8: size of the block of motion around a cell, 64 >> depth luma samples."""
    merged: np.ndarray
    """(H/8, W/8) bool: blocks that took their motion over from a neighbour."""
    weighting: np.ndarray
    """(H/8, W/8) uint8: set of weights of a block, 0 none, k that of ``weights[k - 1]``."""
    weights: np.ndarray
    """(N, 2, 3, 2) int32: for each set, reference and plane a gain in 128ths and an offset in
    samples of 10 bits."""
    blends: np.ndarray
    """(N,) int32: share of the second reference where a block of the set uses both, in 16ths."""

    def __repr__(self) -> str:
        """All of it, but of arrays only what they are: their numbers would fill a screen."""
        shown = (f"{part.name}={_brief(getattr(self, part.name))}" for part in fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, kw_only=True, repr=False)
class FrameTokens(ShallowTokens):
    """A frame as it is coded: its head, and the latent.

    G groups of four latent channels lie at a block, each quantised by the codebook of its class.
    Those of intra tiles have a latent of their own, with the codebooks of I frames; its arrays have
    no entries where there are none.
    """

    latent: np.ndarray
    """(H/16, W/16, G, 4) int16: codebook indices. A class of dimension 4 has one, in slot 0; of
    dimension 2 two, in slots 0 and 2; of dimension 1 four; of dimension 0 none."""
    classes: np.ndarray
    """(H/16, W/16, G) int8: rate class of each group, 0 to 39; -1 where a block has no latent."""
    escapes: np.ndarray
    """(n, 4) int32: row, column, channel and value, in whole steps, of what no codeword of its
    codebook was near enough to. The index there is the codebook's last."""
    intra_latent: np.ndarray
    """(H/16, W/16, G, 4) int16, as ``latent``."""
    intra_classes: np.ndarray
    """(H/16, W/16, G) int8, as ``classes``."""
    intra_escapes: np.ndarray
    """(n, 4) int32, as ``escapes``."""


def _brief(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {value.shape}>"
    return repr(value)


def shallow_tokens(
    head: FrameHead, refs: Sequence[int], first: int, pts_seconds: float
) -> ShallowTokens:
    """Tokens of the head of a frame of the GOP that begins with frame ``first``, with ``refs``."""
    return ShallowTokens(**_shallow(head, refs, first, pts_seconds))


def _shallow(
    head: FrameHead, refs: Sequence[int], first: int, pts_seconds: float
) -> dict[str, Any]:
    field, intra = head.field, head.intra_tiles
    return dict(
        frame=first + head.number,
        pts_seconds=pts_seconds,
        kind="I" if head.intra else "P" if head.level == 1 else "B",
        level=head.level,
        quality=head.quality,
        references=() if head.intra else tuple(first + r for r in refs),
        copied=None if head.copied is None else first + refs[head.copied],
        bytes=head.coder.data.size,
        bits=head_bits(head.marks, head.vector_bits),
        hyper=head.hyper.astype(np.int16),
        intra_hyper=(_NONE if intra is None else intra.hyper).astype(np.int16),
        tiles=coded_tiles(head.blocks) > 0,
        intra_tiles=head.blocks[::2, ::2] == INTRA_BLOCK,
        direct=head.blocks == DIRECT_BLOCK,
        painted=head.blocks == PAINTED_BLOCK,
        outside=head.blocks == OUTSIDE_BLOCK,
        direction=field.direction.copy(),  # the decoder goes on with its own
        vectors=field.mv.copy(),
        depth=field.depth.copy(),
        merged=field.merged.astype(bool),
        weighting=field.chosen.copy(),
        weights=field.sets.copy(),
        blends=field.blends.copy(),
    )


def frame_tokens(run: Decoding, first: int, pts_seconds: float) -> FrameTokens:
    """Tokens of a parsed frame of the GOP that begins with frame ``first``."""
    latent, escapes = _indices(run)
    intra = run.drawn
    of_intra = (np.empty((0, 0, 0, _SLOTS)), np.empty((0, 4))) if intra is None else _indices(intra)
    return FrameTokens(
        **_shallow(run, [r.number for r in run.refs], first, pts_seconds),
        latent=latent.astype(np.int16),
        classes=run.classes,
        escapes=escapes.astype(np.int32),
        intra_latent=of_intra[0].astype(np.int16),
        intra_classes=_NONE.astype(np.int8) if intra is None else intra.classes,
        intra_escapes=of_intra[1].astype(np.int32),
    )


def _indices(run: Decoding | IntraLatent) -> tuple[np.ndarray, np.ndarray]:
    """Indices (H/16, W/16, G, 4) of a latent, and its escapes (n, 4)."""
    symbols, sizes = run.symbols, run.tables.books.sizes
    rows, columns, channels = np.nonzero(is_escape(symbols))
    values = escaped_number(symbols[rows, columns, channels])
    latent = symbols.reshape(*run.classes.shape, _SLOTS).copy()
    # an escaped vector has a value for each of its channels; its index, the last of its table,
    # stands at the first
    tables, slots = run.classes[rows, columns, channels // _SLOTS], channels % _SLOTS
    leads = slots % np.maximum(run.tables.books.dims[tables], 1) == 0
    latent[rows, columns, channels // _SLOTS, slots] = np.where(leads, sizes[tables] - 1, -1)
    return latent, np.stack([rows, columns, channels, values], 1)


class TokenSequence(NamedTuple):
    """Flat tokens of a frame, and where each of them lies."""

    ids: np.ndarray
    """(n,) int32, from 0 to the vocabulary's size - 1: the frame's type, the hyper-latent, then the
    latent, both by row, column, group and slot; behind them those of the intra tiles."""
    places: np.ndarray
    """(n, 4) int32: row, column, group and slot; -1 four times for the frame's type, slot -1 in the
    hyper-latent."""


class Vocabulary:
    """One number for each codeword of a model, behind three for the types of frames.

    ``size``: how many there are. ``codewords`` (size, 4) float32: their vectors in steps of
    quantisation, filled up with zeros, as an embedding could begin with.
    """

    SPECIAL = ("I", "P", "B")

    def __init__(self, codec: Codec) -> None:
        from .frame_head import hyper_tables

        self._hyper_tables = hyper_tables
        # number of the first codeword of each table, of the intra (True) and the inter codebooks
        self._first: dict[bool, np.ndarray] = {}
        self._channels = {True: codec.intra.shape.hyper, False: codec.inter.shape.hyper}
        self.size = len(self.SPECIAL)
        words = [np.zeros((self.size, _SLOTS), np.float32)]
        for intra in (True, False):
            nets: FrameNets = codec.intra if intra else codec.inter
            sizes: Any = nets.books.sizes
            self._first[intra] = self.size + np.concatenate([[0], np.cumsum(sizes)[:-1]])
            self.size += int(sizes.sum())
            words += [
                w[:n] / np.float32(UNIT)
                for w, n in zip(nets.books.words, sizes.tolist(), strict=True)
            ]
        self.codewords: np.ndarray = np.concatenate(words).astype(np.float32)

    def sequence(self, tokens: FrameTokens) -> TokenSequence:
        """The codebook indices of a frame as one sequence.

        Motion, direct and painted blocks and the values of escapes are not in it.
        """
        if not isinstance(tokens, FrameTokens):
            raise UsageError(f"{tokens!r} is none, allowed are FrameTokens", option="tokens")
        parts = [
            self._part(
                tokens.kind == "I", tokens.quality, tokens.hyper, tokens.latent, tokens.classes
            ),
            self._part(
                True, tokens.quality, tokens.intra_hyper, tokens.intra_latent, tokens.intra_classes
            ),
        ]
        return TokenSequence(
            np.concatenate([[self.SPECIAL.index(tokens.kind)], *(ids for ids, _ in parts)]).astype(
                np.int32
            ),
            np.concatenate([np.full((1, 4), -1), *(at for _, at in parts)]).astype(np.int32),
        )

    def _part(
        self,
        intra: bool,
        quality: int,
        hyper: np.ndarray,
        latent: np.ndarray,
        classes: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Tokens of a hyper-latent and its latent, and their places; intra: of which codebooks."""
        first = self._first[intra]
        coded_hyper = np.argwhere(hyper >= 0)
        table = self._hyper_tables(quality, self._channels[intra]) + coded_hyper[:, 2]
        coded_latent = np.argwhere(latent >= 0)
        ids = [
            first[table] + hyper[tuple(coded_hyper.T)],
            first[classes[tuple(coded_latent[:, :3].T)]] + latent[tuple(coded_latent.T)],
        ]
        places = [np.pad(coded_hyper, ((0, 0), (0, 1)), constant_values=-1), coded_latent]
        return np.concatenate(ids), np.concatenate(places)
