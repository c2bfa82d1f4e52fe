"""Encodes of random stretches of clips by the product itself: what the nets and codebooks will meet, for whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from ..codec.gop_structure import MINI_GOP
from ..encoding.frame_encoder import FrameEncoder
from ..encoding.gop_encoder import GopEncoder
from ..errors import InputError
from ..picture import Picture
from .data import Planes, read_clip

LIMIT = 64  # frames of a clip that are looked at
LEAST = 3  # frames of a stretch
CRF = (0.0, 55.0)
Coder = TypeVar("Coder", bound=FrameEncoder)


def encode_stretches(
    codec: Any,
    clips: list[Path],
    rng: np.random.Generator,
    coder: Callable[[Any, int, int], Coder],
    crf: tuple[float, float] = CRF,
) -> Iterator[tuple[Coder, list[Planes]]]:
    """Without end: GOPs of an I frame and a mini-GOP from random places of random clips, at a random crf.

    ``coder(codec, width, height)``: the frame encoder that codes them, one frame after the other, and listens. Yields it and the pictures of each GOP.
    Raises InputError when none of the clips has at least three frames.
    """
    clips = list(clips)
    while clips:
        clip = clips[rng.integers(len(clips))]
        frames = read_clip(clip, limit=LIMIT)
        if len(frames) < LEAST:
            clips.remove(clip)
            continue
        first = int(rng.integers(max(1, len(frames) - MINI_GOP)))
        frames = frames[first : first + MINI_GOP + 1]
        yield encode_frames(codec, frames, float(rng.uniform(*crf)), coder), frames
    raise InputError(f"no clip has at least {LEAST} frames")


def encode_frames(
    codec: Any, frames: list[Planes], crf: float, coder: Callable[[Any, int, int], Coder]
) -> Coder:
    """Code an I frame, and a mini-GOP if there are more, with ``coder(codec, width, height)``; returns that."""
    h, w = frames[0][0].shape
    gop = GopEncoder(codec, w, h, crf)
    listener = gop.coder = coder(codec, w, h)
    pictures = [Picture(y, c[0], c[1]) for y, c in frames]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would code frames side by side
    try:
        gop.add(pictures[:1])
        if len(pictures) > 1:
            gop.add(pictures[1:])
        gop.finish()
    finally:
        torch.set_num_threads(threads)
    return listener
