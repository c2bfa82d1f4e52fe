"""Section Weights file: a safetensors file, its model id, and the tensors of the decoder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .container import demand

TYPES = {"I8": "|i1", "I16": "<i2", "I32": "<i4", "U32": "<u4", "I64": "<i8", "F32": "<f4"}


@dataclass
class Books:
    """Codebooks and starting counts of one frame type."""

    dims: list[int]
    sizes: list[int]
    words: list[np.ndarray]  # of each table (symbols, dimension)
    counts: list[np.ndarray]  # of each table as many as it has symbols


@dataclass
class Kind:
    """What ``intra.`` or ``inter.`` names: sizes, tensors without that prefix, codebooks."""

    sizes: dict[str, Any]
    tensors: dict[str, np.ndarray]
    books: Books


@dataclass
class Model:
    id: str
    intra: Kind
    inter: Kind
    key: Kind  # of predicted key frames; the inter nets where the file has no others


def load_model(path: Path) -> Model:
    data = path.read_bytes()
    n = int.from_bytes(data[:8], "little")
    header, data = json.loads(data[8 : 8 + n]), data[8 + n :]
    meta = header.pop("__metadata__")
    demand(meta["format"] in ("vqcodec-2", "vqcodec-3"), "format of the weights")
    tensors, sha = {}, hashlib.sha256()
    for name in sorted(header):
        if ".analysis." in name:
            continue
        kind, shape, (start, end) = (
            TYPES[header[name]["dtype"]],
            tuple(header[name]["shape"]),
            header[name]["data_offsets"],
        )
        sha.update(f"{name} {kind} {shape} ".encode("ascii") + data[start:end])
        tensors[name] = np.frombuffer(data[start:end], kind).reshape(shape)
    demand(sha.hexdigest()[:16] == meta["model_id"], "model id")
    kinds = {
        k: make_kind(
            json.loads(meta[k]),
            {n.removeprefix(k + "."): t for n, t in tensors.items() if n.startswith(k + ".")},
        )
        for k in ("intra", "inter")
    }
    kinds["key"] = inter = kinds["inter"]
    if meta["format"] == "vqcodec-3":
        own = {n.removeprefix("key."): t for n, t in tensors.items() if n.startswith("key.")}
        kinds["key"] = Kind(json.loads(meta["key"]), own, inter.books)
    return Model(meta["model_id"], **kinds)


def make_kind(sizes: dict[str, Any], tensors: dict[str, np.ndarray]) -> Kind:
    dims, lengths = tensors["books.dims"].tolist(), tensors["books.sizes"].tolist()
    counts, words, c, w = [], [], 0, 0
    for dim, k in zip(dims, lengths, strict=True):
        counts.append(tensors["books.counts"][c : c + k].astype(np.int64))
        words.append(tensors["books.words"][w : w + k * dim].astype(np.int64).reshape(k, dim))
        c, w = c + k, w + k * dim
    demand(c == len(tensors["books.counts"]) and w == len(tensors["books.words"]), "codebooks")
    return Kind(sizes, tensors, Books(dims, lengths, words, counts))
