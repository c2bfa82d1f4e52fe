"""Whether the tensors of a weights file are what compiled code uses without looking."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .codebooks import Codebooks
from .nets.layout import exact_layout
from .nets.shape import CLASSES, HYPER_BUCKETS, NetShape

_DIMENSIONS = (0, 1, 2, 4)  # of the codewords of a table
_LEAST_SIZES = np.array([0, 2, 2, 0, 1])  # symbols by dimension: where there is an escape, two
_MAX_COUNTS = 1 << 31  # what the counts of a table stay below


def _table_count(shape: NetShape) -> int:
    return CLASSES + HYPER_BUCKETS * shape.hyper // 4


def check_layout(
    kind: str, arrays: Mapping[str, np.ndarray], shape: NetShape, books: bool = True
) -> None:
    """ValueError unless these are the tensors that the decoder uses at such sizes.

    ``arrays``: those of one frame type, ``prior.*``, ``synthesis.*`` and, with ``books``,
    ``books.*``.
    """
    wanted = exact_layout(shape)
    found = {name: (str(array.dtype), array.shape) for name, array in arrays.items()}
    if books:
        wanted |= _wanted_books(kind, found, shape)
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"{kind}.{name} is {found.get(name, 'missing')}, "
                f"the sizes ask for {wanted.get(name, 'none')}"
            )


def _wanted_books(
    kind: str, found: Mapping[str, tuple[str, tuple[int, ...]]], shape: NetShape
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The tensors of the codebooks at such sizes."""
    tables = (_table_count(shape),)
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {
        f"books.{part}": ("int64", tables) for part in ("dims", "sizes")
    }
    for name, type_name in (("books.words", "int16"), ("books.counts", "uint32")):
        there = found.get(name)
        if there is not None and (there[0] != type_name or len(there[1]) != 1):
            raise ValueError(f"{kind}.{name} is {there[0]} {there[1]}")
        # the sizes of the tables say how long they are: Codebooks.unpacked looks
        wanted[name] = there or (type_name, ())
    return wanted


def check_key(key: NetShape, inter: NetShape) -> None:
    """ValueError unless nets of key frames have the latents of the inter nets, whose codebooks
    they code by."""
    if not key.inter or (key.latent, key.hyper) != (inter.latent, inter.hyper):
        raise ValueError("nets of key frames with other latents than the inter nets")


def check_books(books: Codebooks, shape: NetShape) -> None:
    """ValueError unless compiled code can use the tables without looking."""
    tables, symbols = books.counts.shape
    if (
        tables != _table_count(shape)
        or books.words.shape != (tables, symbols, 4)
        or books.dims.shape != (tables,)
        or books.sizes.shape != (tables,)
    ):
        raise ValueError(f"codebooks of {tables} tables")
    if (
        not np.isin(books.dims, _DIMENSIONS).all()
        or (books.dims[CLASSES:] != 4).any()
        or (books.sizes > symbols).any()
        or (books.sizes < _LEAST_SIZES[books.dims.clip(0, 4)]).any()
        or (books.sizes[books.dims == 0] > 0).any()
        or books.words[:, 0].any()
        or (books.counts.sum(1, dtype=np.int64) >= _MAX_COUNTS).any()
    ):
        raise ValueError("codebooks out of range")


def check_scales(arrays: Mapping[str, np.ndarray]) -> None:
    """ValueError unless every scale of the exact nets is a normal, positive number."""
    least = np.finfo(np.float32).tiny
    for name, array in arrays.items():
        if (
            array.dtype == np.float32
            and ".analysis." not in name
            and not (np.isfinite(array) & (array >= least)).all()
        ):
            raise ValueError(f"{name} is no normal, positive number everywhere")
