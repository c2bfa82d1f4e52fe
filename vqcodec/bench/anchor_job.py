"""Encodes and decodes with an anchor through PyAV, in a process of its own: ``python -m
vqcodec.bench.anchor_job JOB``.

The job is JSON; what was measured is printed as JSON. Reading and writing y4m counts, as it does
for vqcodec; starting Python does not.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from ..media.inputs import open_source


def _frames(path: str, threads: int) -> Iterator[np.ndarray]:
    """Planes of the pictures of a video, one below the other."""
    with open_source(path) as source:
        container = source.container
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        for frame in container.decode(stream):
            yield frame.to_ndarray()


def encode(
    source: str,
    target: str,
    codec: str,
    options: dict[str, str],
    pix_fmt: str,
    size: tuple[int, int],
    rate: str,
    threads: int,
) -> dict[str, float]:
    """Encode a y4m file to Matroska: seconds, and bytes of the packets without the container's."""
    begin, packets = time.perf_counter(), 0
    with av.open(target, "w", format="matroska") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(rate), options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.thread_count = threads
        for i, planes in enumerate(_frames(source, 1)):
            # made anew: a decoded frame would force its own type of picture on the encoder
            frame = av.VideoFrame.from_ndarray(planes, format=pix_fmt)
            frame.pts = i
            for packet in stream.encode(frame):
                packets += packet.size
                container.mux(packet)
        for packet in stream.encode(None):
            packets += packet.size
            container.mux(packet)
        if unknown := sorted(options.keys() & stream.codec_context.options.keys()):
            raise ValueError(f"{codec} has no option {', '.join(unknown)}")
    return {"seconds": time.perf_counter() - begin, "packets": packets}


def decode(source: str, target: str, header: str, threads: int) -> dict[str, float]:
    """Decode a video to a y4m file that begins with ``header``: seconds."""
    begin = time.perf_counter()
    with Path(target).open("wb", buffering=1 << 20) as file:
        file.write(header.encode())
        for planes in _frames(source, threads):
            file.write(b"FRAME\n")
            file.write(planes.data)
    return {"seconds": time.perf_counter() - begin}


def main() -> None:
    """Do the job of the command line."""
    job = json.loads(sys.argv[1])
    work: dict[str, Any] = {"encode": encode, "decode": decode}
    print(json.dumps(work[job.pop("work")](**job)))


if __name__ == "__main__":
    main()
