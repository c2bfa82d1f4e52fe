"""Section GOP body: structure, frames, adaptive state, pixel checksum."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .bars import NONE, Bars, draw, frame_bars
from .container import Bytes, File, demand, read_file
from .deblocking import smooth, strength_index
from .detail import refine
from .entropy import START, Contexts, RangeDecoder, Tables
from .filters import apply, frame_filters
from .interpolate import Planes, predict
from .latents import hyper, latent
from .model import Kind, Model
from .motion import (
    Cell,
    Grid,
    MotionDecoder,
    direct_blocks,
    intra_tiles,
    of_coded_tiles,
    quality_difference,
)
from .networks import Prior, pack, synthesis
from .painted import paint, painted_blocks
from .weighting import weight_sets

ALIGN = 64
MINI_GOP = 32
LEVELS = 8
MAX_QDELTA = 63
NEUTRAL = 510
CONTEXTS = 1089
INTRA = 299
COPY = 111


class Place(NamedTuple):
    """A frame in the order of decoding."""

    number: int
    level: int
    references: tuple[int, ...]


@dataclass
class Frame:
    """What later frames may need of a decoded one; planes are padded, 10 bits."""

    level: int
    planes: Planes
    grid: Grid
    contexts: Contexts
    counts: list[np.ndarray]
    predicted: bool  # a P or B frame
    bars: Bars


def shapes(r: Bytes, n: int) -> list[tuple[int, int]]:
    """Length and mask of each mini-GOP."""
    told, left = r.varint(), n - 1
    out = []
    while left or told:
        length, mask = min(MINI_GOP, left), 0
        if told:
            length, mask = r.varint(), r.varint()
            told -= 1
        demand(1 <= length <= min(MINI_GOP, left), "length of a mini-GOP")
        demand(mask < 1 << (length - 1), "frames set apart")
        out.append((length, mask))
        left -= length
    return out


def structure(mini_gops: list[tuple[int, int]]) -> list[Place]:
    order = [Place(0, 0, ())]

    def between(frames: list[int], level: int) -> None:
        if len(frames) > 2:
            mid = (len(frames) - 1) // 2
            order.append(Place(frames[mid], level, (frames[0], frames[-1])))
            between(frames[: mid + 1], level + 1)
            between(frames[mid:], level + 1)

    last, older = 0, None
    for length, mask in mini_gops:
        key = last + length
        order.append(Place(key, 1, (last,) if older is None else (last, older)))
        kept = [last] + [last + 1 + i for i in range(length) if not mask >> i & 1]
        between(kept, 2)
        for a, b in pairwise(kept):
            between(list(range(a, b + 1)), LEVELS - 1)
        last, older = key, last
    return order


def intra(s: RangeDecoder, level: int) -> bool:
    """Whether a frame with references is coded without them."""
    return bool(s.bit(INTRA + (level > 1)))


def copied(s: RangeDecoder, references: int) -> int | None:
    """Which reference a frame is a copy of."""
    if not references or not s.bit(COPY):
        return None
    return s.raw(1) if references > 1 else 0


def wide(blocks: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """What is said of blocks, said of the samples of a plane."""
    size = plane.shape[0] // blocks.shape[0]
    return np.kron(blocks, np.ones((size, size), bool))


def through_nets(
    s: RangeDecoder,
    tables: Tables,
    kind: Kind,
    q: int,
    z: np.ndarray,
    p8: np.ndarray | None,
    passed: np.ndarray,
) -> list[np.ndarray]:
    """The latent read, and the planes of its residual; passed: blocks without a latent."""
    y = np.zeros((*passed.shape, kind.sizes["latent"]), np.int64)
    coded = of_coded_tiles(passed)
    prior = Prior(kind, q, z, p8, coded)
    steps = kind.sizes["steps"]
    for k in range(steps):
        mean, cls = prior.step(k, y)
        latent(s, tables, kind.books, (k, steps), mean, cls, passed, y)
    return synthesis(kind, q, y, p8, coded)


def decode_frame(
    model: Model,
    place: Place,
    quality: int,
    stream: bytes,
    done: dict[int, Frame],
    shown: tuple[int, int],
) -> Frame:
    """shown: height and width of the picture."""
    h, w = (-(-v // ALIGN) * ALIGN for v in shown)
    references = [done[r] for r in place.references]
    if references:
        parent = (
            references[1]
            if len(references) == 2 and references[1].level > references[0].level
            else references[0]
        )
        contexts, counts = list(parent.contexts), parent.counts
    else:
        contexts, counts = [(START, START)] * CONTEXTS, model.inter.books.counts
    s = RangeDecoder(stream, contexts)
    known = [r.bars for r in references]
    copy = copied(s, len(references))
    if references and copy is None and intra(s, place.level):
        references = []
    predicted = model.key if place.level == 1 else model.inter
    kind = predicted if references else model.intra
    tables = Tables(counts if references else kind.books.counts)

    if copy is not None:
        demand(s.consumed, "stream of a frame has further bytes")
        distances = [r - place.number for r in place.references] + [0]
        grid = Grid(h // 8, w // 8, (distances[0], distances[1]))
        grid.cells = [[Cell(direction=copy + 1, merged=True)] * grid.columns for _ in grid.cells]
        planes = references[copy].planes
        return Frame(place.level, planes, grid, contexts, tables.adapted(), True, known[copy])

    direct = np.zeros((h // 16, w // 16), bool)
    outside = np.ones_like(direct)
    outside[: -(-shown[0] // 16), : -(-shown[1] // 16)] = False
    if references:
        distances = [r - place.number for r in place.references] + [0]
        sets = weight_sets(s, len(references))
        grid = Grid(h // 8, w // 8, (distances[0], distances[1]), sets)
        last = references[-1]
        temporal = last if last.predicted and place.level > 1 else references[0]
        MotionDecoder(s, grid, temporal.grid).decode()
    else:
        grid = Grid(h // 8, w // 8)
    q = quality + quality_difference(s, MAX_QDELTA)
    demand(0 <= q <= 63, "quality of a frame")
    strength = strength_index(s)
    where, choices = frame_filters(s)
    bars = frame_bars(s, place.level, known, shown)
    drawn = np.zeros((h // 32, w // 32), bool)
    if references:
        drawn = intra_tiles(s, grid, outside)
        direct = direct_blocks(s, grid, outside, drawn)
        prediction = predict(grid, [r.planes for r in references])
    else:
        prediction = [np.full((h >> c, w >> c), NEUTRAL, np.int64) for c in (0, 1, 1)]

    intra_blocks = np.kron(drawn, np.ones((2, 2), bool)) & ~outside
    passed = direct | outside | intra_blocks
    unpainted = direct & of_coded_tiles(passed) | outside | intra_blocks
    rule = painted_blocks(s, unpainted, bool(references))
    if rule is not None:
        direct = direct & ~rule[0]
        passed |= rule[0]
    z = hyper(s, tables, kind.books, q, passed, kind.sizes["hyper"])
    if drawn.any():
        intra_tables = Tables(model.intra.books.counts)
        intra_z = hyper(
            s, intra_tables, model.intra.books, q, ~intra_blocks, model.intra.sizes["hyper"]
        )
        residual = through_nets(s, intra_tables, model.intra, q, intra_z, None, ~intra_blocks)
        prediction = [
            np.where(wide(intra_blocks, p), np.clip(NEUTRAL + r, 0, 1023), p)
            for p, r in zip(prediction, residual, strict=True)
        ]
    if rule is not None:
        prediction = paint(s, rule, direct, prediction)
    p8 = (pack(prediction) - 512) >> 2 if references else None

    residual = through_nets(s, tables, kind, q, z, p8, passed)
    planes = [
        np.clip(p + r * wide(~passed, p), 0, 1023)
        for p, r in zip(prediction, residual, strict=True)
    ]
    never = passed & ~direct & ~intra_blocks
    smooth(planes, strength, grid, direct, never, shown)
    apply(planes, where, choices, direct, never)
    refine(s, planes, direct, never)
    if bars != NONE:
        draw(planes, bars, shown)
    for plane, half in zip(planes, (0, 1, 1), strict=True):
        rows, columns = (v + half >> half for v in shown)
        plane[:, columns:] = plane[:, columns - 1 : columns]
        plane[rows:] = plane[rows - 1 : rows]
    demand(s.consumed, "stream of a frame has further bytes")
    return Frame(
        place.level,
        planes,
        grid,
        contexts,
        tables.adapted() if references else counts,
        bool(references),
        bars,
    )


def decode_gop(model: Model, body: bytes, n: int, width: int, height: int) -> list[Planes]:
    """The n pictures in the order of display, cropped, 10 bits."""
    r = Bytes(body)
    qualities = list(r.take(LEVELS))
    demand(max(qualities) <= 63, "quality of a level")
    order = structure(shapes(r, n))
    lengths = [r.varint() for _ in order]
    done: dict[int, Frame] = {}
    for place, length in zip(order, lengths, strict=True):
        done[place.number] = decode_frame(
            model,
            place,
            qualities[min(place.level, LEVELS - 1)],
            r.take(length),
            done,
            (height, width),
        )
    demand(r.at == len(body), "body has further bytes")
    ch, cw = (height + 1) // 2, (width + 1) // 2
    return [
        [y[:height, :width], u[:ch, :cw], v[:ch, :cw]]
        for y, u, v in (done[i].planes for i in range(n))
    ]


def checksum(pictures: list[Planes]) -> int:
    crc = 0
    for planes in pictures:
        for p in planes:
            crc = zlib.crc32(p.astype("<u2").tobytes(), crc)
    return crc


def decode_file(path: Path, model: Model) -> tuple[File, list[Planes]]:
    """Header and GOPs of a file, and all its pictures: 8-bit samples where its source has 8 bits,
    else of 10 bits."""
    file = read_file(path.read_bytes())
    demand(file.header.model_id == model.id, "made with another model")
    pictures: list[Planes] = []
    for gop in file.gops:
        decoded = decode_gop(model, gop.body, gop.frames, file.header.width, file.header.height)
        demand(checksum(decoded) == gop.checksum, "pixel checksum")
        pictures += decoded
    if file.header.depth == 8:
        pictures = [
            [np.minimum(255, (p + 2) >> 2).astype(np.uint8) for p in planes] for planes in pictures
        ]
    return file, pictures
