"""How small and how quick the way to a cluster's workers is: `python tools/pack_speed.py CLIPS...`,
in their own size and at 1920x1080."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import av
import numpy as np

from vqcodec.media.packed_pictures import pack, unpack
from vqcodec.picture import Picture


def pictures(path: str, size: tuple[int, int] | None) -> list[Picture]:
    """The first 17 pictures of a clip, as many as a mini-GOP with its key frame."""
    result = []
    with av.open(path) as source:
        for frame in islice(source.decode(video=0), 17):
            planes: Any = frame.reformat(*(size or (frame.width, frame.height)), "yuv420p").planes
            result.append(
                Picture(
                    *(
                        np.frombuffer(p, np.uint8).reshape(p.height, -1)[:, : p.width].copy()
                        for p in planes
                    )
                )
            )
    return result


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and seconds of processor."""
    begin = time.process_time()
    return work(), time.process_time() - begin


def main() -> None:
    """Print size and speed of packing, for each of the given videos."""
    for path in sys.argv[1:]:
        for size in (None, (1920, 1080)):
            found = pictures(path, size)
            packed, there = timed(lambda p=found: pack(p))  # type: ignore[misc]
            _, back = timed(lambda p=packed: unpack(p))  # type: ignore[misc]
            n, raw = len(found), sum(p.nbytes for picture in found for p in picture)
            print(
                f"{path}: {packed.width}x{packed.height}: "
                f"{packed.size / n / 1e6:.2f} MB a picture, {raw / packed.size:.2f} times smaller; "
                f"{n / there:.0f} pictures a second packed, {n / back:.0f} unpacked"
            )


if __name__ == "__main__":
    main()
