"""Encodes and decodes a clip with vqcodec or an anchor, each in a process of its own, and says what it took."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..errors import VqvError
from .anchors import Anchor
from .clips import Reference
from .measured_process import Measured, measured
from .options import BenchOptions


@dataclass(frozen=True)
class Coded:
    """Result of an encode and a decode: ``bytes`` are what counts as rate, ``file_bytes`` the size of the file on disk; times in seconds, memory in bytes."""

    bytes: int
    file_bytes: int
    encode: dict[str, float | int | None]
    decode: dict[str, float | int | None]


def _checked(command: Sequence[str], what: str) -> Measured:
    result = measured(command)
    if result.code:
        said = [line for line in result.err.strip().splitlines() if line.strip()]
        raise VqvError(
            f"{what} failed with code {result.code}: {said[-1] if said else 'it said nothing'}"
        )
    return result


class AnchorCoder:
    """Codes one clip with an anchor. Its bytes are those of the packets, the container's left out."""

    def __init__(
        self, reference: Reference, anchor: Anchor, options: BenchOptions, folder: Path
    ) -> None:
        self._reference, self._anchor, self._threads, self._folder = (
            reference,
            anchor,
            options.threads,
            folder,
        )

    def run(self, crf: float, decoded: Path) -> Coded:
        """Encode at ``crf`` and decode to the y4m file ``decoded``."""
        r, target = self._reference, self._folder / "anchor.mkv"
        what = f"{r.name}: {self._anchor.name} at crf {crf:g}"
        options = self._anchor.all_options(crf, self._threads)
        encode = {
            "source": str(r.path),
            "target": str(target),
            "codec": self._anchor.codec,
            "options": options,
            "pix_fmt": r.pix_fmt,
        }
        encoded, e = self._job(
            f"encoding {what}",
            **encode,
            work="encode",
            size=(r.width, r.height),
            rate=str(r.rate),
            threads=self._threads,
        )
        decoding, d = self._job(
            f"decoding {what}",
            work="decode",
            source=str(target),
            target=str(decoded),
            header=r.y4m_header,
            threads=self._threads,
        )
        size = target.stat().st_size
        target.unlink()
        return Coded(int(e["packets"]), size, self._speed(encoded, e), self._speed(decoding, d))

    def _job(self, what: str, **job: Any) -> tuple[Measured, dict[str, float]]:
        result = _checked([sys.executable, "-m", "vqcodec.bench.anchor_job", json.dumps(job)], what)
        return result, json.loads(result.out.splitlines()[-1])

    def _speed(self, run: Measured, said: dict[str, float]) -> dict[str, float | int | None]:
        # measured inside the process: from opening the input to the finished output
        return {
            "fps": self._reference.frames / said["seconds"],
            "seconds": run.seconds,
            "start_seconds": run.seconds - said["seconds"],
            "peak_bytes": run.peak,
        }


class VqcodecCoder:
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
        # kernels that were never compiled on this machine are compiled once, and kept; frames of all types are needed for that
        if self._options.program not in VqcodecCoder._warm:
            self._pair(self._options.crfs[0], decoded, "-t", "18f")
            VqcodecCoder._warm.add(self._options.program)

    def run(self, crf: int, decoded: Path) -> Coded:
        """Encode at ``crf`` and decode to the y4m file ``decoded``."""
        if self._start is None:
            self._warm_up(decoded)
            # starting the program, loading the model and the first frame, which are left out of the frames a second
            e, d, _ = self._pair(crf, decoded, "-t", "1f")
            self._start = e.seconds, d.seconds
        encoded, decoding, size = self._pair(crf, decoded)
        return Coded(
            size, size, self._speed(encoded, self._start[0]), self._speed(decoding, self._start[1])
        )

    def _speed(self, run: Measured, start: float) -> dict[str, float | int | None]:
        rest = run.seconds - start
        fps = (
            (self._reference.frames - 1) / rest if self._reference.frames > 1 and rest > 0 else None
        )
        return {"fps": fps, "seconds": run.seconds, "start_seconds": start, "peak_bytes": run.peak}
