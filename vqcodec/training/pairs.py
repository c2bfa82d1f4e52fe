"""Training pairs for the inter nets: pictures of real clips with predictions of a real encoder.

The clips are encoded by the product itself at random qualities, so references, motion and level
are what the nets will meet. A folder receives chunks (:mod:`vqcodec.training.chunks`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from ..codec.frame_decoder import Coded
from ..codec.gop_structure import LEVELS
from ..codec.motion_compensation import BI, L0, L1
from ..codec.weights import KEY_LEVEL
from ..encoding.frame_encoder import KeptFrame
from ..encoding.model import EncoderModel
from ..picture import Picture
from . import chunks
from .chunks import FrameChain, Pair
from .pictures import cut
from .real_encodes import encode_stretches

CHUNK = 60  # pairs in a chunk
CHAIN = 30  # of chains
# share of the frames of each level that is kept: deep levels are many and cheap
KEEP = (0.0, 1.0, 1.0, 1.0, 1.0, 0.6, 0.35, 0.2)
Item = TypeVar("Item")


@dataclass(frozen=True)
class Noted:
    """A frame coded from others: what it was predicted as, and what became of it."""

    quality: int
    prediction: Picture  # padded
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
                task.quality, Picture(*prediction.planes), frame.coded, task.references
            )


def training_pair(picture: Picture, noted: Noted) -> Pair:
    """A picture of the source with its prediction, which is padded no longer."""
    return Pair(picture, cut(noted.prediction, *picture.y.shape), noted.quality)


def _chain(frames: list[Picture], noted: dict[int, Noted], number: int) -> FrameChain | None:
    """Chain of the deepest of a frame's references and the frame itself.

    None where that is an I frame or a copy, or where the frame has weights, which the chain's
    motion knows nothing of.
    """
    note = noted[number]
    used = max(range(len(note.references)), key=lambda k: note.references[k].level)
    reference = note.references[used]
    first = noted.get(reference.number)
    if first is None or note.coded.field.blends.size:
        return None
    shares = {BI: 0.5, L0: 1.0}
    if len(note.references) > 1:
        shares |= {L0: 1.0 - used, L1: float(used)}
    picture = frames[number]
    height, width = picture.y.shape
    field, cells = note.coded.field, (slice(height // 8), slice(width // 8))
    share = np.zeros(field.direction.shape, np.float16)
    for direction, value in shares.items():
        share[field.direction == direction] = value
    return FrameChain(
        first=training_pair(frames[reference.number], first),
        decoded=cut(Picture(*reference.planes), height, width),
        second=training_pair(picture, note),
        share=share[cells],
        motion=field.mv[cells][:, :, used].transpose(2, 0, 1),
    )


@dataclass(frozen=True)
class PairRun:
    """Where pairs are written, and for how long. The names of the files have the seed."""

    folder: Path
    minutes: float
    seed: int = 0


def make_pairs(
    codec: EncoderModel, clips: list[Path], run: PairRun, log: Callable[[str], object] = print
) -> int:
    """Encode random stretches of the clips and write pairs and chains; returns how many pairs.

    Raises InputError when none of the clips has enough frames.
    """
    rng = np.random.default_rng(run.seed)
    run.folder.mkdir(parents=True, exist_ok=True)
    begin, total = time.time(), 0
    name = run.folder / f"{chunks.PAIRS}{run.seed}"
    pairs = ChunkWriter(name, CHUNK, chunks.save_pairs)
    keys = ChunkWriter(name.with_name(chunks.KEYS + name.name), CHUNK, chunks.save_pairs)
    chains = ChunkWriter(name.with_name(chunks.CHAINS + name.name), CHAIN, chunks.save_chains)
    for notes, frames in encode_stretches(codec, clips, rng, Notes):
        for number, noted in notes.noted.items():
            if rng.random() >= KEEP[min(noted.coded.level, LEVELS - 1)]:
                continue
            into = keys if noted.coded.level == KEY_LEVEL else pairs
            written = into.add(training_pair(frames[number], noted))
            chain = _chain(frames, notes.noted, number)
            if chain is not None:
                chains.add(chain)
            if written:
                total += CHUNK
                log(f"{total} pairs, {(time.time() - begin) / 60:.1f} min")
        if time.time() - begin > run.minutes * 60:
            break
    chains.end()
    return total + keys.end() + pairs.end()


class ChunkWriter(Generic[Item]):
    """Files of a number of items each: ``NAME_0000.npz.zst`` and on."""

    def __init__(self, name: Path, size: int, save: Callable[[Path, list[Item]], None]) -> None:
        self._name, self._size, self._save = name, size, save
        self._items: list[Item] = []
        self._written = 0

    def add(self, item: Item) -> bool:
        """True when that filled a file."""
        self._items.append(item)
        if len(self._items) < self._size:
            return False
        self._write()
        return True

    def end(self) -> int:
        """Write what is left; how many items that are."""
        left = len(self._items)
        if left:
            self._write()
        return left

    def _write(self) -> None:
        path = self._name.with_name(f"{self._name.name}_{self._written:04d}{chunks.SUFFIX}")
        self._save(path, self._items)
        self._items, self._written = [], self._written + 1
