"""All kernels compiled ahead: by an encode and a decode of a made clip.

A second processor decodes frames made of random bytes beside the encode.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path

from ..system import kernels
from ..system.processes import spawn
from ..system.processors import usable

_FRAMES = 20  # an I frame, a whole mini-GOP, and one that is shorter

_SIZE = 128, 96
_BYTES = 2000  # of a frame that means nothing
_ROUNDS = 8  # in which each syntax element comes up


def _clip(path: Path, bits: int) -> None:
    """Pictures that slide, flicker, stand still and fade, so that every part of the coder has
    work."""
    import numpy as np

    width, height = _SIZE
    rng = np.random.default_rng(bits)
    kind, top = ("u1", 255) if bits == 8 else ("<u2", 1023)
    rough = rng.random((height, 2 * width))
    smooth = rough.repeat(8, 0).repeat(8, 1)[:height, : 2 * width]
    with path.open("wb") as file:
        tag = "420jpeg" if bits == 8 else "420p10"
        file.write(f"YUV4MPEG2 W{width} H{height} F25:1 Ip A1:1 C{tag}\n".encode())
        for i in range(_FRAMES):
            y = smooth[:, 3 * i : 3 * i + width].copy()
            y[: height // 3] = rough[: height // 3, :width]  # stands still
            y[-height // 4 :] = rng.random((height // 4, width))  # looks new each time
            u = smooth[: height // 2, i : i + width // 2].copy()
            u[: height // 6] = rough[: height // 6, : width // 2]
            light = min(1.0, 1.4 - i / _FRAMES)
            planes = [(p * top * light).astype(kind).tobytes() for p in (y, u, 1 - u)]
            file.write(b"FRAME\n" + b"".join(planes))


def _measure() -> None:
    """Squared errors of planes that lie in one piece or not, as size and preset will have it."""
    import numpy as np

    from ..encoding.block_facts import total_squares
    from ..picture import Picture

    def layouts(kind: type[np.generic]) -> list[Picture]:
        planes = np.zeros((4, 4), kind), np.zeros((4, 8), kind)[:, :4]
        return [Picture(plane, plane, plane) for plane in planes]

    for shown in layouts(np.uint16):
        for source in layouts(np.uint8) + layouts(np.uint16):
            total_squares(shown, source)


def compile_all(weights: str | None = None) -> None:
    """Compile what encoding, decoding, reading and analysing need, as far as the disk doesn't have
    it."""
    if usable() == 1 or not kernels.kept():
        _code(weights)
    else:
        with _decoding_beside(weights):
            _code(weights)


@contextmanager
def _decoding_beside(weights: str | None) -> Iterator[None]:
    """Kernels of decoding are compiled by another process, and found on the disk by this one."""
    process, pipe = spawn(_decode_quietly, "vqcodec-kernels", weights, daemon=True)
    try:
        yield
        process.join()
    finally:
        process.kill()
        process.join()
        pipe.close()


def _silent() -> None:
    """Say nothing."""


def _decode_quietly(pipe: Connection, weights: str | None) -> None:
    """What goes wrong here is told by the process that codes: it does all that is left undone."""
    kernels.tell = _silent
    with suppress(Exception):
        _decode_anything(weights)


def _decode_anything(weights: str | None) -> None:
    """Decode random bytes as frames of each kind, in all forms of output."""
    import numpy as np

    from ..codec.frame_decoder import Coded, FrameCoder, FrameJob
    from ..codec.gop_decoder import crop
    from ..codec.range_coder import POSITION
    from ..codec.tokens import frame_tokens
    from ..codec.weights import load_codec
    from ..container.packets import StreamHeader
    from ..errors import DamageError
    from ..reading.rgb import ToRgb

    coder = FrameCoder(load_codec(weights, "cpu"), *_SIZE)
    rng = np.random.default_rng(0)

    def decoded(number: int, level: int, references: list[Coded]) -> Coded:
        """A frame of bytes that mean something by chance."""
        job = FrameJob(memoryview(rng.bytes(_BYTES)), number, level, 40, references)
        try:
            (run,) = coder.parse([job], symbols=True)
        except DamageError:  # by chance, too
            return decoded(number, level, references)
        frame_tokens(run, 0, 0.0)
        run.coder.state[POSITION] = run.coder.data.size  # what is left of them is no damage
        return coder.finish(run)

    for _ in range(_ROUNDS):
        first = decoded(0, 0, [])
        key = decoded(8, 1, [first])
        decoded(16, 1, [key, first])
        picture = crop(decoded(4, 2, [first, key]), *_SIZE)
    to_rgb = ToRgb(StreamHeader(*_SIZE, Fraction(1)))
    to_rgb(picture), to_rgb(picture, as_float=True)


def _code(weights: str | None) -> None:
    from ..container.reader import ContainerReader
    from ..reading.file_analysis import analyse_file
    from ..reading.info import describe
    from ..reading.open_video import open as open_video
    from .decode import decode
    from .encode import encode

    _measure()
    with tempfile.TemporaryDirectory(prefix="vqcodec-kernels-") as name:
        for bits in (8, 10):
            source, coded = Path(name, f"{bits}.y4m"), Path(name, f"{bits}.vqv")
            _clip(source, bits)
            encode(source, coded, weights=weights, crf=20)
            decode(coded, Path(name, f"out-{bits}.y4m"), weights=weights)
            describe(str(coded), bits=True, weights=weights)
            with coded.open("rb") as file:
                analyse_file(ContainerReader.open(file), weights).shots()
            with open_video(coded, weights=weights) as video:
                video[1], video.tokens(0, 2)
            with open_video(coded, output="numpy-float", weights=weights) as video:
                video[0]
