"""A .vqv file of GOPs that no encoder has made."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np

from vqcodec.container import packets, writer
from vqcodec.media.source import VideoSource
from vqcodec.picture import Picture


def synthetic(n: int, size: int, seed: int = 0, content: int = 7) -> tuple[bytes, list[int]]:
    """A file of n GOPs of about ``size`` bytes, and the offsets of its packets, the index's
    last."""
    rng = np.random.default_rng(seed)
    f = io.BytesIO()
    w = writer.ContainerWriter(
        f, packets.StreamHeader(64, 48, Fraction(1, 1000), Fraction(25), content_id=content)
    )
    offsets, t = [], 0
    for _ in range(n):
        offsets.append(w.position)
        frames = int(rng.integers(1, 30))
        w.gop(
            packets.GopPayload(
                tuple(range(t, t + 40 * frames, 40)),
                40,
                int(rng.integers(1 << 32)),
                (1, 2, 3),
                rng.bytes(int(rng.integers(size, 2 * size))),
            )
        )
        t += 40 * frames
    offsets.append(w.position)
    w.finish()
    return f.getvalue(), offsets


def frames(path: Path) -> list[tuple[Fraction, Picture]]:
    with VideoSource(path) as source:
        return [(pts * source.time_base, p) for pts, p in source]
