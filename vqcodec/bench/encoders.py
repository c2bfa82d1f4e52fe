"""Encodes and decodes a clip with vqcodec or an anchor, each in a process of its own, and says what
it took."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..errors import VqvError
from .anchors import Anchor
from .clips import Reference
from .measured_process import Measured, measured
from .options import BenchOptions
from .records import Speed


@dataclass(frozen=True)
class Coded:
    """Result of an encode and a decode: ``bytes`` are what counts as rate, ``file_bytes`` the size
    of the file on disk; times in seconds, memory in bytes."""

    bytes: int
    file_bytes: int
    encode: Speed
    decode: Speed


def _checked(command: Sequence[str], what: str) -> Measured:
    result = measured(command)
    if result.code:
        said = [line for line in result.err.strip().splitlines() if line.strip()]
        raise VqvError(
            f"{what} failed with code {result.code}: {said[-1] if said else 'it said nothing'}"
        )
    return result


class AnchorCodec:
    """Codes one clip with an anchor. Its bytes are those of the packets, the container's left
    out."""

    def __init__(
        self, reference: Reference, anchor: Anchor, options: BenchOptions, folder: Path
    ) -> None:
        self._reference, self._anchor, self._folder = reference, anchor, folder
        self._threads = options.threads

    def run(self, crf: float, decoded: Path) -> Coded:
        """Encode at ``crf`` and decode to the y4m file ``decoded``."""
        reference, target = self._reference, self._folder / "anchor.mkv"
        what = f"{reference.name}: {self._anchor.name} at crf {crf:g}"
        encode = {
            "work": "encode",
            "source": str(reference.path),
            "target": str(target),
            "codec": self._anchor.codec,
            "options": self._anchor.all_options(crf, self._threads),
            "pix_fmt": reference.pix_fmt,
            "size": (reference.width, reference.height),
            "rate": str(reference.rate),
            "threads": self._threads,
        }
        decode = {
            "work": "decode",
            "source": str(target),
            "target": str(decoded),
            "header": reference.y4m_header,
            "threads": self._threads,
        }
        encoding, packets = self._job(f"encoding {what}", encode)
        decoding, _ = self._job(f"decoding {what}", decode)
        size = target.stat().st_size
        target.unlink()
        return Coded(packets, size, encoding, decoding)

    def _job(self, what: str, job: dict[str, object]) -> tuple[Speed, int]:
        """Speed of a job, and the bytes of the packets that it wrote."""
        program = [sys.executable, "-m", "vqcodec.bench.anchor_job"]
        run = _checked([*program, json.dumps(job)], what)
        said: dict[str, float] = json.loads(run.out.splitlines()[-1])
        # measured inside the process: from opening the input to the finished output
        seconds = said["seconds"]
        fps = self._reference.frames / seconds
        speed = Speed(fps, run.seconds, run.seconds - seconds, run.peak)
        return speed, int(said.get("packets", 0))


class VqcodecCodec:
    """Codes one clip with vqcodec's program. Its bytes are those of the file."""

    _warm: ClassVar[set[tuple[str, ...]]] = set()  # programs that have run

    def __init__(self, reference: Reference, options: BenchOptions, folder: Path) -> None:
        self._reference, self._options, self._folder = reference, options, folder
        self._common = [
            "-threads",
            str(options.threads),
            "--device",
            options.device,
            "-q",
            "-y",
        ] + (["--weights", options.weights] if options.weights else [])
        self._start: tuple[float, float] | None = None

    def _pair(self, crf: int, decoded: Path, *extra: str) -> tuple[Measured, Measured, int]:
        target, program = self._folder / "coded.vqv", list(self._options.program)
        what = f"{self._reference.name}: vqcodec at crf {crf}"
        encode = [
            "encode",
            str(self._reference.path),
            str(target),
            "-crf",
            str(crf),
            "-preset",
            self._options.preset,
        ]
        encoded = _checked([*program, *encode, *self._common, *extra], f"encoding {what}")
        decoding = _checked(
            [*program, "decode", str(target), str(decoded), *self._common], f"decoding {what}"
        )
        size = target.stat().st_size
        target.unlink()
        return encoded, decoding, size

    def _warm_up(self, decoded: Path) -> None:
        # kernels that were never compiled on this machine are compiled once, and kept; frames of
        # all types are needed for that
        if self._options.program not in VqcodecCodec._warm:
            self._pair(self._options.crfs[0], decoded, "-t", "18f")
            VqcodecCodec._warm.add(self._options.program)

    def run(self, crf: int, decoded: Path) -> Coded:
        """Encode at ``crf`` and decode to the y4m file ``decoded``."""
        if self._start is None:
            self._warm_up(decoded)
            # starting the program, loading the model and the first frame, which are left out of the
            # frames a second
            e, d, _ = self._pair(crf, decoded, "-t", "1f")
            self._start = e.seconds, d.seconds
        encoded, decoding, size = self._pair(crf, decoded)
        return Coded(
            size, size, self._speed(encoded, self._start[0]), self._speed(decoding, self._start[1])
        )

    def _speed(self, run: Measured, start: float) -> Speed:
        rest, frames = run.seconds - start, self._reference.frames
        fps = (frames - 1) / rest if frames > 1 and rest > 0 else None
        return Speed(fps, run.seconds, start, run.peak)
