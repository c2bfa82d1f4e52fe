"""``vqcodec tokens``: what is coded of each frame, as lines of JSON and as arrays."""

from __future__ import annotations

import json
import zipfile
from contextlib import ExitStack
from dataclasses import fields
from typing import TYPE_CHECKING

import click

from ..errors import DamageError
from ..options import Limits
from ..system.files import atomic_output, check_output
from ..system.stdio import check_source
from . import messages
from .command import command
from .options import LIMITS, MESSAGES, OVERWRITE, WEIGHTS
from .spelling import record

if TYPE_CHECKING:
    from ..codec.tokens import ShallowTokens

_AT_ONCE, _SHALLOW_AT_ONCE = 16, 128  # frames that are held


@command(
    short_help="Show what is coded of frames: motion, blocks, bits, codebook indices.",
    examples=[
        "vqcodec tokens --shallow in.vqv | jq .bits.vectors",
        "vqcodec tokens --shallow --arrays motion.npz in.vqv > frames.jsonl",
        "vqcodec tokens --start 100 --frames 1 --arrays frame.npz in.vqv",
    ],
)
@click.argument("file", metavar="FILE", type=click.Path())
@click.option(
    "--shallow",
    is_flag=True,
    help="Heads of frames alone (motion, blocks, hyper-latent), thousands of frames a second.",
)
@click.option(
    "--start", type=click.IntRange(0), default=0, metavar="N", help="Number of the first frame."
)
@click.option("--frames", type=click.IntRange(1), metavar="N", help="Number of frames, not all.")
@click.option(
    "--max-level",
    type=click.IntRange(0),
    metavar="N",
    help="Leave out deeper frames: 0 for I frames alone, 1 for all key frames.",
)
@click.option(
    "--arrays",
    metavar="NPZ",
    type=click.Path(),
    help="Write the arrays there too, that of a frame as FRAME/NAME.",
)
@OVERWRITE
@WEIGHTS
@LIMITS
@MESSAGES
def tokens(
    file: str,
    shallow: bool,
    start: int,
    frames: int | None,
    max_level: int | None,
    arrays: str | None,
    overwrite: bool,
    weights: str | None,
    limits: Limits,
    quiet: bool,
) -> int:
    """Print a line of JSON for each frame: its place, quality, references, bytes and bits.
    ShallowTokens and FrameTokens describe the arrays. Lost frames are left out.
    """
    messages.need_stdout()
    check_source(file)
    if arrays is not None:
        check_output(arrays, [file], overwrite)
    from ..reading.open_video import open as open_video

    with ExitStack() as stack:
        video = stack.enter_context(
            open_video(file, output="numpy", on_damage="conceal", weights=weights, limits=limits)
        )
        archive = None
        if arrays is not None:
            out = stack.enter_context(atomic_output(arrays, overwrite))
            archive = stack.enter_context(zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED))
        stop = len(video) if frames is None else min(len(video), start + frames)
        step = _SHALLOW_AT_ONCE if shallow else _AT_ONCE
        for at in range(start, stop, step):
            end = min(at + step, stop)
            for one in video.tokens(at, end, max_level=max_level, shallow=shallow):
                _tell(one, archive)
        damage = list(video.damage)
    messages.warn(file, damage)
    return DamageError.exit_code if damage else 0


def _tell(frame: ShallowTokens, archive: zipfile.ZipFile | None) -> None:
    """Print a frame, and put its arrays into the archive."""
    import numpy as np

    line = {}
    for name in (f.name for f in fields(frame)):
        value = getattr(frame, name)
        if not isinstance(value, np.ndarray):
            line[name] = value
        elif archive is not None:
            with archive.open(f"{frame.frame}/{name}.npy", "w") as entry:
                np.lib.format.write_array(entry, value, allow_pickle=False)
    messages.data(json.dumps(record(line), allow_nan=False) + "\n")
