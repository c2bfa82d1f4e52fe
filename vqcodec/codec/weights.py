"""The weights file: safetensors with the exact nets, the codebooks and the encoder's float nets of both frame types.

The model id is the first 8 bytes of the SHA-256 over everything the decoder uses (names, types, shapes and bytes of the tensors in
order of name); the encoder's own ``analysis`` tensors are not part of it, so a better encoder keeps old files readable. They have an
``analysis_id`` of their own, which says whether they are damaged.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..system.surroundings import set_threads

if TYPE_CHECKING:
    from ..encoding.nets.analysis import Analysis
    from .codebooks import Codebooks
    from .nets.backends import Backend
    from .nets.prior import Prior
    from .nets.shape import NetShape
    from .nets.synthesis import Synthesis

_LOG = logging.getLogger("vqcodec.nets")
NAME = "vqcodec.safetensors"
FORMAT = "vqcodec-2"
KINDS = ("intra", "inter")
MAX_BYTES = 256 << 20


def default_path() -> Path:
    """VQCODEC_WEIGHTS, else the weights installed with the package, else those of the source tree."""
    if env := os.environ.get("VQCODEC_WEIGHTS"):
        return Path(env)
    here = Path(__file__).resolve().parents[1]
    for p in (here / "data" / NAME, here.parent / "weights" / NAME):
        if p.is_file():
            return p
    raise WeightsError(
        f"no weights: {NAME} is neither in the package nor in {here.parent / 'weights'}",
        advice="name a file with `weights`",
    )


def released(name: str) -> Path:
    """A file of the released model in the package or the source tree, whatever VQCODEC_WEIGHTS says."""
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "data", here.parent / "weights"):
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(
        f"{name} of the released model is neither in the package nor in {here.parent / 'weights'}"
    )


@contextmanager
def _readable(p: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as exc:
        raise WeightsError(
            f"cannot be read: {getattr(exc, 'strerror', None) or exc}", file=p
        ) from exc


def _open(path: str | os.PathLike[str] | None) -> Path:
    p = Path(path) if path else default_path()
    with _readable(p):
        if not os.path.exists(p):
            raise WeightsError(
                f"no weights at {p}", advice="`weights` or VQCODEC_WEIGHTS named them"
            )
        if not p.is_file():
            raise WeightsError(f"no weights at {p}: that is no regular file")
        size = p.stat().st_size
    if size > MAX_BYTES:
        raise WeightsError(f"larger than any weights file ({size} bytes)", file=p)
    return p


def read_metadata(path: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """The metadata of a weights file, without loading torch or any tensor."""
    p = _open(path)
    with _readable(p), open(p, "rb") as f:
        n = int.from_bytes(f.read(8), "little")
        if not 2 <= n <= 1 << 20:
            raise WeightsError("not a weights file", file=p)
        try:
            meta = json.loads(f.read(n)).get("__metadata__", {})
        except (ValueError, AttributeError, RecursionError) as exc:
            raise WeightsError("not a weights file", file=p) from exc
    if not isinstance(meta, dict):
        raise WeightsError("not a weights file", file=p)
    if meta.get("format") != FORMAT:
        raise WeightsError(
            f"weights of format {meta.get('format', 'unknown')}, this program reads {FORMAT}",
            file=p,
        )
    return meta


def read_model_id(path: str | os.PathLike[str] | None = None) -> bytes:
    """The 8-byte model id that a weights file states; :func:`load_codec` checks it."""
    try:
        return bytes.fromhex(read_metadata(path)["model_id"])
    except (KeyError, ValueError) as exc:
        raise WeightsError("no model id", file=path) from exc


def model_id(tensors: dict[str, Any]) -> bytes:
    """Model id of a dict of numpy arrays."""
    return _digest(tensors, False)


def analysis_id(tensors: dict[str, Any]) -> bytes:
    """The same over the tensors of the encoder alone."""
    return _digest(tensors, True)


def _digest(tensors: dict[str, Any], analysis: bool) -> bytes:
    h = hashlib.sha256()
    for name in sorted(tensors):
        if (".analysis." in name) == analysis:
            a = tensors[name]
            h.update(f"{name} {a.dtype.str} {a.shape} ".encode())
            h.update(a.tobytes())
    return h.digest()[:8]


@dataclass
class FrameNets:
    """All that codes frames of one type."""

    shape: NetShape
    analysis: Analysis
    prior: Prior
    synthesis: Synthesis
    books: Codebooks


@dataclass
class Codec:
    """A loaded model on a device."""

    intra: FrameNets
    inter: FrameNets
    backend: Backend
    model_id: bytes
    floats: str = "auto"  # as EncodeOptions.arithmetic

    @cached_property
    def arithmetic(self) -> str:
        """``bfloat16`` or ``float32``: what the encoder's own nets multiply in."""
        from .nets.arithmetic import float_choice

        return float_choice(self.floats, self.backend.device)


def save(
    path: str | os.PathLike[str],
    tensors: dict[str, Any],
    shapes: dict[str, NetShape],
    extra: dict[str, str] | None = None,
) -> bytes:
    """Write numpy tensors named ``intra.*`` and ``inter.*``; returns the model id."""
    from safetensors.numpy import save_file

    ident = model_id(tensors)
    meta = (
        {"format": FORMAT, "model_id": ident.hex(), "analysis_id": analysis_id(tensors).hex()}
        | {k: json.dumps(s.to_dict()) for k, s in shapes.items()}
        | (extra or {})
    )
    tmp = Path(f"{path}.tmp")
    save_file(dict(tensors), tmp, meta)
    tmp.chmod(0o644)  # the library writes files that only their owner can read
    tmp.replace(path)
    return ident


def _check_layout(kind: str, arrays: dict[str, Any], shape: NetShape) -> None:
    """ValueError unless the tensors that the decoder uses are just those of the shape: compiled code uses them without looking."""
    from .nets.layout import exact_layout
    from .nets.shape import CLASSES, HYPER_BUCKETS

    tables = (CLASSES + HYPER_BUCKETS * shape.hyper // 4,)
    want = {f"{kind}.{k}": v for k, v in exact_layout(shape).items()}
    want |= {f"{kind}.books.{k}": ("int64", tables) for k in ("dims", "sizes")}
    found = {
        k: (str(v.dtype), v.shape)
        for k, v in arrays.items()
        if k.startswith(kind + ".") and not k.startswith(f"{kind}.analysis.")
    }
    for k, (name, size) in (("words", ("int16", 1)), ("counts", ("uint32", 1))):
        full = f"{kind}.books.{k}"
        if full in found and (found[full][0] != name or len(found[full][1]) != size):
            raise ValueError(f"{full} is {found[full][0]} {found[full][1]}")
        want[full] = found.get(full, (name, ()))
    for k in sorted(want.keys() | found.keys()):
        if want.get(k) != found.get(k):
            raise ValueError(
                f"{k} is {found.get(k, 'missing')}, the sizes ask for {want.get(k, 'none')}"
            )


def _check_analysis(kind: str, state: dict[str, Any], shape: NetShape) -> None:
    """ValueError unless the sizes are those of the encoder's tensors: no memory is taken before."""
    import torch

    from ..encoding.nets.analysis import Analysis

    with torch.device("meta"):
        want = {k: tuple(v.shape) for k, v in Analysis(shape).state_dict().items()}
    for k, size in want.items():
        if k in state and tuple(state[k].shape) != size:
            raise ValueError(f"{kind}.analysis.{k} is {tuple(state[k].shape)}, not {size}")
        if k not in state and len(size) > 1:  # vectors may have other names, and are small
            raise ValueError(f"{kind}.analysis.{k} is missing")


def _check_books(b: Codebooks, s: NetShape) -> None:
    """ValueError unless compiled code can use the tables without looking."""
    import numpy as np

    from .nets.shape import CLASSES, HYPER_BUCKETS

    t, k = b.counts.shape
    hyper = b.dims[CLASSES:]
    least = np.array([0, 2, 2, 0, 1])[
        b.dims.clip(0, 4)
    ]  # a table with an escape has a codeword too
    if (
        t != CLASSES + HYPER_BUCKETS * s.hyper // 4
        or b.words.shape != (t, k, 4)
        or b.dims.shape != (t,)
        or b.sizes.shape != (t,)
    ):
        raise ValueError(f"codebooks of {t} tables")
    if (
        not np.isin(b.dims, (0, 1, 2, 4)).all()
        or (hyper != 4).any()
        or (b.sizes > k).any()
        or (b.sizes < least).any()
        or (b.sizes[b.dims == 0] > 0).any()
        or b.words[:, 0].any()
        or (b.counts.sum(1, dtype=np.int64) >= 1 << 31).any()
    ):
        raise ValueError("codebooks out of range")


def _check_scales(arrays: dict[str, Any]) -> None:
    """ValueError unless every scale of the exact nets is a normal, positive number."""
    import numpy as np

    for name, a in arrays.items():
        if (
            a.dtype == np.float32
            and ".analysis." not in name
            and not (np.isfinite(a) & (a >= np.finfo(np.float32).tiny)).all()
        ):
            raise ValueError(f"{name} is no normal, positive number everywhere")


def load_codec(
    path: str | os.PathLike[str] | None = None,
    device: str = "auto",
    threads: int = 0,
    arithmetic: str = "auto",
) -> Codec:
    """Build the nets of a weights file on ``device`` (auto, cpu, cuda[:n], mps). threads: 0 leaves torch's default.
    arithmetic: of the encoder's nets, as in EncodeOptions.

    Raises WeightsError for a missing, foreign or damaged file.
    """
    p = _open(path)
    meta = read_metadata(p)
    import torch
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from ..encoding.nets.analysis import Analysis
    from ..system import kernels as kernels_module
    from .codebooks import Codebooks
    from .nets.backend_choice import choose_backend
    from .nets.prior import Prior
    from .nets.shape import NetShape
    from .nets.synthesis import Synthesis

    kernels_module.watch()
    if threads:
        set_threads(threads)
    backend = choose_backend(device)
    _LOG.info("exact products: %s, on %s", backend.name, backend.device)
    try:
        arrays = load_file(p)
    except (SafetensorError, ValueError, OSError, LookupError, TypeError, AttributeError) as exc:
        raise WeightsError(f"{getattr(exc, 'strerror', None) or exc}", file=p) from exc
    ident = model_id(arrays)
    if ident.hex() != meta.get("model_id"):
        raise WeightsError(
            f"damaged: its tensors hash to {ident.hex()}, its header says {meta.get('model_id')}",
            file=p,
        )
    if "analysis_id" in meta and analysis_id(arrays).hex() != meta["analysis_id"]:
        raise WeightsError(
            f"damaged: its analysis tensors hash to {analysis_id(arrays).hex()}, its header "
            f"says {meta['analysis_id']}",
            file=p,
        )
    nets = {}
    try:
        _check_scales(arrays)
        for kind in KINDS:
            shape = NetShape.from_dict(json.loads(meta[kind]))
            d = {
                k[len(kind) + 1 :]: torch.from_numpy(v)
                for k, v in arrays.items()
                if k.startswith(kind + ".")
            }
            _check_layout(kind, arrays, shape)
            state = {k[9:]: v.float() for k, v in d.items() if k.startswith("analysis.")}
            for k in [k for k in state if k.endswith("_scale")]:  # of int8 matrices, row by row
                state[k[:-6]] *= state.pop(k)[:, None]
            _check_analysis(kind, state, shape)
            analysis = Analysis(shape)
            # ranges of activations matter to the exact nets only and are not stored for the analysis
            missing, surplus = analysis.load_state_dict(state, strict=False)
            if surplus or any(not k.endswith(".peak") for k in missing):
                raise KeyError(f"{kind} analysis: {(surplus or missing)[0]}")
            analysis = analysis.eval().to(backend.device, torch.float32)
            books = Codebooks.unpacked(
                *(arrays[f"{kind}.books.{k}"] for k in ("dims", "sizes", "words", "counts"))
            )
            _check_books(books, shape)
            nets[kind] = FrameNets(
                shape, analysis, Prior(d, shape, backend), Synthesis(d, shape, backend), books
            )
    except (IndexError, KeyError, RuntimeError, ValueError, TypeError) as exc:
        raise WeightsError(f"incomplete: {exc}", file=p) from exc
    return Codec(nets["intra"], nets["inter"], backend, ident, arithmetic)
