"""Training pairs for the inter nets: pictures of real clips with the predictions a real encoder made for them.

The clips are encoded by the product itself at random qualities, so references, motion and level are what the nets will meet.
A folder receives chunks (:mod:`.chunks`): ``p*.npz.zst`` with, for each pair i, ``i_y, i_c`` (8-bit picture),
``i_py, i_pc`` (10-bit prediction) and ``i_q``; ``c*.npz.zst`` with chains of a
P or B frame and one that was predicted from it: the pair of the first, ``i_ry, i_rc`` (10 bits) as it was decoded, the pair of the second (``i_y2`` to
``i_q2``), and for each cell of 8x8 samples its ``i_share`` in that prediction (0, 1/2, 1) and the motion to it ``i_mv`` (2, H/8, W/8), [down, right] in quarter samples.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..codec.frame_decoder import Coded, Planes
from ..codec.motion_compensation import BI, L0, L1
from ..encoding.frame_encoder import KeptFrame
from . import chunks
from .data import Planes as Frame
from .real_encodes import encode_stretches

CHUNK = 60
CHAIN = 30  # of chains in a chunk
KEEP = (
    0.0,
    1.0,
    1.0,
    1.0,
    0.6,
    0.35,
    0.2,
)  # share of the frames of each level that is kept: deep levels are many and cheap


@dataclass
class Noted:
    """A frame coded from others: what it was predicted as, and what became of it."""

    quality: int
    prediction: Planes
    coded: Coded
    references: list[Coded]


class Notes:
    """Notes every frame that an encoder codes from others, by its number."""

    def __init__(self) -> None:
        self.noted: dict[int, Noted] = {}

    def kept(self, frame: KeptFrame) -> None:
        """A frame is encoded."""
        task, prediction = frame.task, frame.motion.prediction
        if prediction is not None:
            self.noted[task.number] = Noted(
                task.quality, prediction.planes, frame.coded, task.references
            )


def training_pair(frame: Frame, noted: Noted, end: str = "") -> dict[str, Any]:
    """Arrays of a picture and its prediction, with ``end`` behind their names."""
    y, c = frame
    return (
        {f"y{end}": y, f"c{end}": c}
        | _cut("p", noted.prediction, y.shape, end)
        | {f"q{end}": np.float32(noted.quality)}
    )


def _cut(name: str, p: Planes, size: tuple[int, ...], end: str = "") -> dict[str, np.ndarray]:
    h, w = size
    return {f"{name}y{end}": p[0][:h, :w], f"{name}c{end}": np.stack(p[1:])[:, : h // 2, : w // 2]}


def _chain(frames: list[Frame], noted: dict[int, Noted], number: int) -> dict[str, Any] | None:
    """Chain of the deepest of a frame's references and the frame itself.

    None where that is an I frame, or the frame has weights, which the chain's motion knows nothing of.
    """
    n = noted[number]
    lists = {BI: 0.5}
    l = max(range(len(n.references)), key=lambda k: n.references[k].level)
    ref = n.references[l]
    if not ref.predicted or n.coded.field.blends.size:
        return None
    lists |= {L0: 1.0 - l, L1: float(l)} if len(n.references) > 1 else {L0: 1.0}
    size = frames[number][0].shape
    f, cells = n.coded.field, (slice(size[0] // 8), slice(size[1] // 8))
    share = sum(v * (f.direction == d) for d, v in lists.items()).astype(np.float16)  # type: ignore[union-attr]
    first = training_pair(frames[ref.number], noted[ref.number]) | _cut("r", ref.planes, size)
    return (
        first
        | training_pair(frames[number], n, "2")
        | {"share": share[cells], "mv": f.mv[cells][:, :, l].transpose(2, 0, 1)}
    )


def make_pairs(
    codec: Any,
    clips: list[Path],
    folder: Path,
    minutes: float,
    seed: int = 0,
    prefix: str = "p",
    log: Any = print,
) -> int:
    """Encode random stretches of the clips for ``minutes`` and write pairs; returns how many."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    start, total = time.time(), 0
    pairs, chains = _Chunks(folder, prefix, seed, CHUNK), _Chunks(folder, "c" + prefix, seed, CHAIN)
    for notes, frames in encode_stretches(codec, clips, rng, Notes):
        for number, n in notes.noted.items():
            if rng.random() >= KEEP[n.coded.level]:
                continue
            written = pairs.add(training_pair(frames[number], n))
            chain = _chain(frames, notes.noted, number)
            if chain is not None:
                chains.add(chain)
            if written:
                total += CHUNK
                log(f"{total} pairs, {(time.time() - start) / 60:.1f} min")
        if time.time() - start > minutes * 60:
            break
    chains.end()
    return total + pairs.end()


class _Chunks:
    """Files of a number of items each."""

    def __init__(self, folder: Path, prefix: str, seed: int, size: int):
        self.folder, self.prefix, self.seed, self.size = folder, prefix, seed, size
        self.items: list[dict[str, Any]] = []
        self.written = 0

    def add(self, item: dict[str, Any]) -> bool:
        """True when that filled a file."""
        self.items.append(item)
        if len(self.items) < self.size:
            return False
        self._write()
        return True

    def end(self) -> int:
        """Write what is left; how many items that are."""
        left = len(self.items)
        if left:
            self._write()
        return left

    def _write(self) -> None:
        arrays = {f"{i}_{k}": v for i, d in enumerate(self.items) for k, v in d.items()}
        chunks.save(
            self.folder / f"{self.prefix}{self.seed}_{self.written:04d}{chunks.SUFFIX}", arrays
        )
        self.items, self.written = [], self.written + 1
