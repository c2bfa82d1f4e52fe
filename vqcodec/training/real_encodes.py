"""Encodes of random stretches of clips by the product itself: what nets and codebooks will meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from ..codec.gop_structure import MINI_GOP
from ..encoding.frame_encoder import Observer
from ..encoding.gop_encoder import encode_gop
from ..errors import InputError
from ..picture import Picture
from .pictures import read_clip

if TYPE_CHECKING:
    from ..encoding.model import EncoderModel

LIMIT = 64  # frames of a clip that are looked at
LEAST = 3  # frames of a stretch
CRF = (0.0, 55.0)
Listener = TypeVar("Listener", bound=Observer)


def encode_stretches(
    codec: EncoderModel,
    clips: list[Path],
    rng: np.random.Generator,
    listener: Callable[[], Listener],
    crf: tuple[float, float] = CRF,
) -> Iterator[tuple[Listener, list[Picture]]]:
    """Without end: GOPs of an I frame and a mini-GOP from random places of random clips.

    Each is coded at a random crf of the range, one frame after the other. Yields what
    ``listener()`` made, which has seen the frames of the GOP, and the pictures of it. Raises
    InputError when none of the clips has at least three frames.
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
        yield encode_frames(codec, frames, float(rng.uniform(*crf)), listener()), frames
    raise InputError(f"no clip has at least {LEAST} frames")


def encode_frames(
    codec: EncoderModel, frames: list[Picture], crf: float, listener: Listener
) -> Listener:
    """Code frames as one GOP, one after the other; returns the listener, which has seen them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more would code frames side by side
    try:
        encode_gop(codec, frames, crf, stats=False, observer=listener)
    finally:
        torch.set_num_threads(threads)
    return listener
