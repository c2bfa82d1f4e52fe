"""The weights file, and the decoder's model in it.

The file is safetensors and holds, for both frame types, the exact nets, the codebooks and the
encoder's analysis nets (:mod:`vqcodec.encoding.model` loads those too). Nets of their own for key
frames that are predicted may be there, without codebooks: they code by those of the inter nets.

The model id names everything the decoder uses: the first 8 bytes of the SHA-256 over names, types,
shapes and bytes of the tensors in order of name. The analysis tensors are not part of it, so files
stay readable when the encoder gets better. An ``analysis_id`` of their own shows damage to them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import WeightsError
from ..system.threads import set_threads

if TYPE_CHECKING:
    import numpy as np

    from .codebooks import Codebooks
    from .nets.backend import Backend
    from .nets.prior import Prior
    from .nets.shape import NetShape
    from .nets.synthesis import Synthesis

StrPath = str | os.PathLike[str]
_LOG = logging.getLogger("vqcodec.nets")
NAME = "vqcodec.safetensors"
FORMAT, FORMAT_WITH_KEY = "vqcodec-2", "vqcodec-3"  # without nets of key frames, with them
KINDS = ("intra", "inter")
KEY = "key"  # nets that a file may have besides
KEY_LEVEL = 1  # of the frames that they code
MAX_BYTES = 256 << 20
_ANALYSIS = ".analysis."  # in the names of what the encoder alone uses


def default_path() -> Path:
    """VQCODEC_WEIGHTS, else the weights in the package, else those of the source tree."""
    if env := os.environ.get("VQCODEC_WEIGHTS"):
        return Path(env)
    here = Path(__file__).resolve().parents[1]
    for path in (here / "data" / NAME, here.parent / "weights" / NAME):
        if path.is_file():
            return path
    raise WeightsError(
        f"no weights: {NAME} is neither in the package nor in {here.parent / 'weights'}",
        advice="name a file with `weights`",
    )


def released(name: str) -> Path:
    """A file of the released model in the package or the source tree.

    VQCODEC_WEIGHTS does not matter here.
    """
    here = Path(__file__).resolve().parents[1]
    for folder in (here / "data", here.parent / "weights"):
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(
        f"{name} of the released model is neither in the package nor in {here.parent / 'weights'}"
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as exc:
        raise WeightsError(
            f"cannot be read: {getattr(exc, 'strerror', None) or exc}", file=path
        ) from exc


def _open(path: StrPath | None) -> Path:
    """The path of a weights file that is there and not too large."""
    found = Path(path) if path else default_path()
    with _readable(found):
        if not found.exists():
            raise WeightsError(
                f"no weights at {found}", advice="`weights` or VQCODEC_WEIGHTS named them"
            )
        if not found.is_file():
            raise WeightsError(f"no weights at {found}: that is no regular file")
        size = found.stat().st_size
    if size > MAX_BYTES:
        raise WeightsError(f"larger than any weights file ({size} bytes)", file=found)
    return found


def read_metadata(path: StrPath | None = None) -> dict[str, str]:
    """The metadata of a weights file, without loading torch or any tensor."""
    found = _open(path)
    with _readable(found), found.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if not 2 <= size <= 1 << 20:
            raise WeightsError("not a weights file", file=found)
        try:
            metadata = json.loads(file.read(size)).get("__metadata__", {})
        except (ValueError, AttributeError, RecursionError) as exc:
            raise WeightsError("not a weights file", file=found) from exc
    if not isinstance(metadata, dict):
        raise WeightsError("not a weights file", file=found)
    if metadata.get("format") not in (FORMAT, FORMAT_WITH_KEY):
        raise WeightsError(
            f"weights of format {metadata.get('format', 'unknown')}, this program reads {FORMAT} "
            f"and {FORMAT_WITH_KEY}",
            file=found,
        )
    return metadata


def read_model_id(path: StrPath | None = None) -> bytes:
    """The 8-byte model id that a weights file states; :func:`load_codec` checks it."""
    try:
        return bytes.fromhex(read_metadata(path)["model_id"])
    except (KeyError, ValueError) as exc:
        raise WeightsError("no model id", file=path) from exc


def model_id(tensors: Mapping[str, np.ndarray]) -> bytes:
    """Model id of a dict of numpy arrays."""
    return _digest(tensors, False)


def analysis_id(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The same over the tensors of the encoder alone."""
    return _digest(tensors, True)


def _digest(tensors: Mapping[str, np.ndarray], analysis: bool) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        if (_ANALYSIS in name) == analysis:
            array = tensors[name]
            digest.update(f"{name} {array.dtype.str} {array.shape} ".encode())
            digest.update(array.tobytes())
    return digest.digest()[:8]


@dataclass(frozen=True)
class WeightsFile:
    """What a weights file holds, its ids checked."""

    path: Path
    metadata: dict[str, str]
    tensors: dict[str, np.ndarray]  # ``intra.*``, ``inter.*``, ``key.*``

    @property
    def kinds(self) -> tuple[str, ...]:
        """The nets that it has."""
        return (*KINDS, KEY) if self.metadata["format"] == FORMAT_WITH_KEY else KINDS

    def shapes(self) -> dict[str, NetShape]:
        """The sizes of the nets by kind."""
        return {kind: frame_shape(self, kind) for kind in self.kinds}

    def kind(self, kind: str) -> dict[str, np.ndarray]:
        """The tensors of one frame type, without its name in theirs."""
        start = f"{kind}."
        return {k.removeprefix(start): v for k, v in self.tensors.items() if k.startswith(start)}


def read_weights(path: StrPath | None = None, analysis: bool = False) -> WeightsFile:
    """Read the decoder's tensors, with ``analysis`` the encoder's too.

    Raises WeightsError for a missing, foreign or damaged file.
    """
    found = _open(path)
    metadata = read_metadata(found)
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(found, "np") as file:
            names = [name for name in file.keys() if analysis or _ANALYSIS not in name]  # noqa: SIM118
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, ValueError, OSError, LookupError, TypeError, AttributeError) as exc:
        raise WeightsError(f"{getattr(exc, 'strerror', None) or exc}", file=found) from exc
    ident = model_id(tensors).hex()
    if ident != metadata.get("model_id"):
        raise WeightsError(
            f"damaged: its tensors hash to {ident}, its header says {metadata.get('model_id')}",
            file=found,
        )
    if analysis and "analysis_id" in metadata:
        ident = analysis_id(tensors).hex()
        if ident != metadata["analysis_id"]:
            raise WeightsError(
                f"damaged: its analysis tensors hash to {ident}, its header "
                f"says {metadata['analysis_id']}",
                file=found,
            )
    return WeightsFile(found, metadata, tensors)


def save(
    path: StrPath,
    tensors: Mapping[str, np.ndarray],
    shapes: dict[str, NetShape],
    extra: dict[str, str] | None = None,
) -> bytes:
    """Write numpy tensors named ``intra.*``, ``inter.*`` and perhaps ``key.*``; returns the
    model id."""
    from safetensors.numpy import save_file

    ident = model_id(tensors)
    metadata = (
        {"format": FORMAT_WITH_KEY if KEY in shapes else FORMAT, "model_id": ident.hex()}
        | {"analysis_id": analysis_id(tensors).hex()}
        | {kind: json.dumps(shape.to_dict()) for kind, shape in shapes.items()}
        | (extra or {})
    )
    partial = Path(f"{path}.tmp")
    save_file(dict(tensors), partial, metadata)
    partial.chmod(0o644)  # the library writes files that only their owner can read
    partial.replace(path)
    return ident


@dataclass
class FrameNets:
    """All that decodes frames of one type."""

    kind: str  # intra, inter or key
    shape: NetShape
    prior: Prior[Any]  # of arrays of the backend
    synthesis: Synthesis[Any]
    books: Codebooks


@dataclass
class Codec:
    """A decoder's model on a device."""

    intra: FrameNets
    inter: FrameNets
    key: FrameNets  # the inter nets where the file has none
    backend: Backend[Any]
    model_id: bytes

    def nets(self, intra: bool, level: int) -> FrameNets:
        """The nets of a frame of a level; ``intra``: one that is coded without prediction."""
        if intra:
            return self.intra
        return self.key if level == KEY_LEVEL else self.inter

    @property
    def all_nets(self) -> tuple[FrameNets, ...]:
        """All that there are, each once."""
        own = () if self.key is self.inter else (self.key,)
        return (self.intra, self.inter, *own)


def load_codec(path: StrPath | None = None, device: str = "auto", threads: int = 0) -> Codec:
    """Load what decodes.

    ``device``: auto, cpu, cuda[:n], mps; ``threads``: 0 for as many as torch or the machine has.

    Raises WeightsError for a missing, foreign or damaged file.
    """
    return build_codec(read_weights(path), device, threads)


def build_codec(file: WeightsFile, device: str = "auto", threads: int = 0) -> Codec:
    """The decoder's model of a file, as :func:`load_codec`."""
    from ..system import kernels
    from .nets.backend_choice import choose_backend
    from .weights_check import check_key, check_scales

    kernels.watch()
    if threads:
        set_threads(threads)
    backend = choose_backend(device)
    _LOG.info("exact products: %s, on %s", backend.name, backend.device)
    with complete(file):
        check_scales(file.tensors)
        found = {kind: frame_nets(file, kind, backend) for kind in file.kinds}
        key = found.setdefault(KEY, found["inter"])
        check_key(key.shape, found["inter"].shape)
    return Codec(**found, backend=backend, model_id=bytes.fromhex(file.metadata["model_id"]))


@contextmanager
def complete(file: WeightsFile) -> Iterator[None]:
    """A context in which tensors that are missing or don't fit together raise WeightsError."""
    try:
        yield
    except (IndexError, KeyError, RuntimeError, ValueError, TypeError) as exc:
        raise WeightsError(f"incomplete: {exc}", file=file.path) from exc


def frame_shape(file: WeightsFile, kind: str) -> NetShape:
    """The sizes of the nets of one frame type."""
    from .nets.shape import NetShape

    return NetShape.from_dict(json.loads(file.metadata[kind]))


def load_books(path: StrPath | None = None) -> tuple[Codebooks, Codebooks]:
    """The codebooks of the intra and the inter nets alone, for what needs no nets.

    Raises WeightsError for a missing, foreign or damaged file.
    """
    file = read_weights(path)
    with complete(file):
        intra, inter = (_books(file, kind) for kind in KINDS)
    return intra, inter


def _books(file: WeightsFile, kind: str) -> Codebooks:
    from .codebooks import Codebooks
    from .weights_check import check_books

    arrays = file.kind(kind)
    books = Codebooks.unpacked(
        *(arrays[f"books.{part}"] for part in ("dims", "sizes", "words", "counts"))
    )
    check_books(books, frame_shape(file, kind))
    return books


def frame_nets(file: WeightsFile, kind: str, backend: Backend[Any]) -> FrameNets:
    """The nets of one frame type on a backend, with the codebooks that they code by."""
    from .nets.prior import Prior
    from .nets.synthesis import Synthesis
    from .weights_check import check_layout

    shape = frame_shape(file, kind)
    arrays = {k: v for k, v in file.kind(kind).items() if not f".{k}".startswith(_ANALYSIS)}
    check_layout(kind, arrays, shape, books=kind != KEY)
    nets = Prior(arrays, shape, backend), Synthesis(arrays, shape, backend)
    return FrameNets(kind, shape, *nets, _books(file, "inter" if kind == KEY else kind))
