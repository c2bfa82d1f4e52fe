"""Chunks of training pairs and chains: named arrays in one file, .npz in a zstd frame.

Pictures and predictions get 1.7 times smaller (chains 2.2) for 6 ms of writing and 1 ms of reading
a MB; the Deflate of ``np.savez_compressed`` gets no further and takes six times as long.

``p*.npz.zst``, of key frames ``k*.npz.zst``, holds, for each pair i, ``i_y, i_c`` (8-bit picture),
``i_py, i_pc`` (10-bit prediction) and ``i_q``. ``c*.npz.zst`` holds chains: the pair of the first
frame, ``i_ry, i_rc`` (10 bits) as it was decoded, the pair of the second (``i_y2`` to ``i_q2``),
and for each cell of 8x8 samples its ``i_share`` and its motion ``i_mv``. ``c`` is Cb and Cr,
(2, H/2, W/2).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

import numpy as np
import zstandard

from ..picture import Picture

SUFFIX = ".npz.zst"
PAIRS, CHAINS, KEYS = "p", "c", "k"  # what the names of the files begin with
_LEVEL = 3
Arrays = Mapping[str, np.ndarray]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Pair:
    """A picture, the prediction that a real encoder made for it, and the quality it had."""

    picture: Picture
    prediction: Picture
    quality: float


@dataclass(frozen=True)
class FrameChain:
    """Two frames, the second of which was predicted from the first.

    ``decoded``: the first as it was decoded then. ``share`` (H/8, W/8): how much of a cell of the
    second's prediction came from the first (0, 1/2, 1). ``motion`` (2, H/8, W/8): from where,
    [down, right] in quarter samples.
    """

    first: Pair
    decoded: Picture
    second: Pair
    share: np.ndarray
    motion: np.ndarray


def save(path: Path, arrays: Arrays) -> None:
    """Write a chunk; it appears under its name only when complete."""
    plain = io.BytesIO()
    np.savez(plain, **arrays)  # type: ignore[arg-type]  # of names it takes all
    partial = path.with_name(f"tmp-{path.name}")
    partial.write_bytes(zstandard.ZstdCompressor(level=_LEVEL).compress(plain.getbuffer()))
    partial.rename(path)


def load(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a chunk, also of one that was written as plain .npz."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().decompress(data)
    with np.load(io.BytesIO(data)) as arrays:
        return dict(arrays)


def save_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write pairs as a chunk."""
    save(path, _numbered(pairs, _pair_arrays))


def load_pairs(path: Path) -> list[Pair]:
    """The pairs of a chunk."""
    return [_pair(arrays) for arrays in _items(load(path))]


def save_chains(path: Path, chains: Sequence[FrameChain]) -> None:
    """Write chains as a chunk."""
    save(path, _numbered(chains, _chain_arrays))


def load_chains(path: Path) -> list[FrameChain]:
    """The chains of a chunk."""
    return [
        FrameChain(
            _pair(arrays),
            _picture(arrays["ry"], arrays["rc"]),
            _pair(arrays, "2"),
            arrays["share"],
            arrays["mv"],
        )
        for arrays in _items(load(path))
    ]


def _numbered(items: Sequence[Item], arrays: Callable[[Item], Arrays]) -> dict[str, np.ndarray]:
    return {
        f"{number}_{name}": array
        for number, item in enumerate(items)
        for name, array in arrays(item).items()
    }


def _items(arrays: Arrays) -> Iterator[dict[str, np.ndarray]]:
    """The arrays of each item, without its number."""
    for number in count():
        prefix = f"{number}_"
        item = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
        if not item:
            return
        yield item


def _picture(luma: np.ndarray, chroma: np.ndarray) -> Picture:
    return Picture(luma, chroma[0], chroma[1])


def _planes(name: str, picture: Picture, end: str = "") -> dict[str, np.ndarray]:
    return {f"{name}y{end}": picture.y, f"{name}c{end}": np.stack([picture.u, picture.v])}


def _pair(arrays: Arrays, end: str = "") -> Pair:
    return Pair(
        _picture(arrays["y" + end], arrays["c" + end]),
        _picture(arrays["py" + end], arrays["pc" + end]),
        float(arrays["q" + end]),
    )


def _pair_arrays(pair: Pair, end: str = "") -> dict[str, np.ndarray]:
    quality = {"q" + end: np.array(pair.quality, np.float32)}
    return _planes("", pair.picture, end) | _planes("p", pair.prediction, end) | quality


def _chain_arrays(chain: FrameChain) -> dict[str, np.ndarray]:
    return (
        _pair_arrays(chain.first)
        | _planes("r", chain.decoded)
        | _pair_arrays(chain.second, "2")
        | {"share": chain.share, "mv": chain.motion}
    )
