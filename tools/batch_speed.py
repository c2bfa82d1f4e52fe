"""How much faster `vqcodec batch` is with two workers: `python tools/batch_speed.py [FILES]`.

Makes FILES (20) short clips, encodes them with one worker and with two, of one thread each, in turn
and twice, compares the bytes, and prints elapsed time and processor time. On a machine that does
something else too the elapsed time tells little; the processor time still says what two workers
cost beyond one.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import av

CLIP = Path(__file__).parents[1] / "tests/data/flower.mp4"


def make(folder: Path, files: int) -> None:
    """Lossless clips of 12 to 32 frames, 320x180, from here and there in the bundled clip."""
    with av.open(str(CLIP)) as source:
        frames = [f.reformat(320, 180, "yuv420p") for f in source.decode(video=0)]
    for i in range(files):
        with av.open(str(folder / f"{i:02d}.mkv"), "w") as out:
            stream = out.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
            for n in range(12 + i * 7 % 21):
                frame = frames[(i * 11 + n) % len(frames)]
                frame.pts = n
                frame.time_base = Fraction(1, 25)
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))


def run(folder: Path, workers: int, turn: int) -> tuple[float, float, Path]:
    """(elapsed seconds, processor seconds, folder of the outputs) of a batch."""
    out = folder / f"out{workers}-{turn}"
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [
        sys.executable,
        "-m",
        "vqcodec",
        "batch",
        str(folder / "in"),
        "--out",
        str(out),
        "--workers",
        str(workers),
        "-threads",
        "1",
        "-q",
    ]
    subprocess.run(command, check=True)
    elapsed, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out


def coded(out: Path) -> dict[str, bytes]:
    """The outputs by name."""
    return {path.name: path.read_bytes() for path in out.glob("*.vqv")}


def main() -> None:
    """Run the same batch with one worker and with two, in turn, and print the times."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    elapsed: dict[int, list[float]] = {1: [], 2: []}
    processor: dict[int, list[float]] = {1: [], 2: []}
    outputs = []
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "in").mkdir()
        make(Path(name) / "in", files)
        for turn in range(2):
            for workers in (1, 2):
                seconds, busy, out = run(Path(name), workers, turn)
                elapsed[workers].append(seconds)
                processor[workers].append(busy)
                outputs.append(coded(out))
                load = f"load of the machine {os.getloadavg()[0]:.1f}"
                spent = f"{seconds:.1f} s, {busy:.1f} s of processor"
                print(f"{workers} workers: {spent}, {load}", flush=True)
    assert len(outputs[0]) == files, "the outputs differ"
    assert all(o == outputs[0] for o in outputs), "the outputs differ"
    one, two = min(elapsed[1]), min(elapsed[2])
    more = min(processor[2]) / min(processor[1])
    print(
        f"{files} files: {one:.1f} s with one worker, {two:.1f} s with two, "
        f"{one / two:.2f} times as fast; processor time {more:.2f} times"
    )


if __name__ == "__main__":
    main()
