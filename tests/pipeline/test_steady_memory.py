"""Memory doesn't grow with the length of a video, nor with the number of files, in any mode of the
program. Pipes, tracks, clusters and the real decoder's pictures have tests of their own
(test_pipes.py, test_cluster.py, test_memory.py, test_soak.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.clips import header, moving, picture, write
from support.paths import PYTHONPATH, SUPPORT
from support.peak_memory import peak

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc"),
    pytest.mark.slow,
]
ENVIRONMENT = os.environ | {"PYTHONPATH": PYTHONPATH}
SHORT, LONG = 300, 3000  # frames
FILES = 12, 120
GROWTH = 1.05


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources and coded files of both lengths, with a key frame each 16 frames."""
    here = tmp_path_factory.mktemp("flat")
    pictures = [picture(64, 64, i) for i in range(10)]
    for n in (SHORT, LONG):
        write(here / f"{n}.y4m", header(64, 64), pictures * (n // 10))
        peaks(here, "encode", "-g", "16", f"{n}.y4m", f"{n}.vqv")
    return here


def peaks(here: Path, *args: str, codes: tuple[int, ...] = (0,)) -> dict[str, int]:
    """Peak memory in KiB of the program with stand-ins for the networks, and of its largest
    worker."""
    log = here / "peaks"
    log.unlink(missing_ok=True)
    run = subprocess.run(
        [sys.executable, str(SUPPORT / "standin.py"), args[0], "-q", *args[1:]],
        cwd=here,
        capture_output=True,
        text=True,
        env=ENVIRONMENT | {"PEAKS": str(log)},
    )
    assert run.returncode in codes, run.stderr
    found: dict[str, int] = {}
    for line in log.read_text().splitlines():
        who, number = line.split()
        found[who] = max(found.get(who, 0), int(number))
    return found


@pytest.mark.parametrize(
    "command",
    [
        ["encode", "-y", "-g", "16", "{}.y4m", "out.vqv"],
        ["encode", "-y", "-g", "16", "--jobs", "2", "{}.y4m", "out.vqv"],
        ["encode", "-y", "-g", "16", "--resume", "{}.y4m", "out.vqv"],
        ["decode", "-y", "{}.vqv", "out.y4m"],
        ["decode", "-y", "{}.vqv", "out.mkv", "--vcodec", "ffv1", "--vcodec-opts", "slices=4"],
        ["decode", "-y", "-r", "50", "{}.vqv", "out.y4m"],
        ["verify", "{}.vqv"],
        ["repair", "-y", "{}.vqv", "out.vqv"],
        ["join", "-y", "{}.vqv", "{}.vqv", "out.vqv"],
        ["batch", "-y", "{}.y4m", "-o", "one", "-g", "16"],
        ["batch", "-y", "--decode", "--suffix", ".y4m", "{}.vqv", "-o", "one"],
    ],
    ids=lambda c: " ".join(c).replace(" -y", ""),
)
def test_memory_does_not_grow_with_length(folder: Path, command: list[str]) -> None:
    short, long = (
        peaks(folder, *(a.format(n) for a in command), codes=(0, 8)) for n in (SHORT, LONG)
    )
    print(short, long)
    assert short.keys() == long.keys(), (
        short,
        long,
    )
    assert all(long[who] <= GROWTH * short[who] for who in short), (
        short,
        long,
    )


def test_memory_does_not_grow_with_the_number_of_files(tmp_path: Path) -> None:
    """Of a batch, and of its two workers."""
    found = []
    for n in FILES:
        (tmp_path / f"in{n}").mkdir()
        for i in range(n):
            write(tmp_path / f"in{n}" / f"{i}.y4m", header(64, 64), [picture(64, 64, i)] * 6)
        found.append(peaks(tmp_path, "batch", f"in{n}", "-o", f"out{n}", "--workers", "2"))
    print(found)
    assert found[0].keys() == found[1].keys() == {"program", "worker"}, found
    assert all(found[1][who] <= GROWTH * found[0][who] for who in found[0]), found


def test_memory_of_a_search_does_not_grow(tmp_path: Path, tiny_weights: Path) -> None:
    """A search for a target reads its source several times and keeps what it knows of each GOP;
    with the tiny network."""
    used = []
    for n in (160, 1280):
        write(tmp_path / f"{n}.y4m", header(16, 16), moving(16, 16, 32) * (n // 32))
        command = [
            "encode",
            "-q",
            "-g",
            "16",
            "-preset",
            "fast",
            "-threads",
            "1",
            "--device",
            "cpu",
            "--weights",
            str(tiny_weights),
            "-b",
            "40k",
        ]
        code, most = peak(*command, str(tmp_path / f"{n}.y4m"), str(tmp_path / f"{n}.vqv"))
        assert code in (0, 8)
        used.append(most)
    print(used)
    assert used[1] <= GROWTH * used[0], used


LIBRARY = """
import json, os, sys, vqcodec
path, mode, weights = sys.argv[1:]
seen = []
def look(i):
    if i % 12 == 0:
        seen.append(int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE'))
with vqcodec.open(path, weights=weights, cache_bytes=1 << 20) as video:
    if mode == 'in order':
        for i, _ in enumerate(video):
            look(i)
    elif mode == 'anywhere':
        for i in range(len(video)):
            video[i * 7919 % len(video)]
            look(i)
    else:
        for i in range(0, len(video), 12):
            video.tokens(i, i + 12)
            look(i)
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def long_file(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """600 frames of the tiny network."""
    import vqcodec

    here = tmp_path_factory.mktemp("library")
    write(here / "in.y4m", header(16, 16), moving(16, 16, 30) * 20)
    vqcodec.encode(
        here / "in.y4m",
        here / "a.vqv",
        crf=40,
        gop=16,
        preset="fast",
        device="cpu",
        threads=1,
        weights=tiny_weights,
    )
    return here / "a.vqv"


@pytest.mark.parametrize("mode", ["in order", "anywhere", "tokens"])
def test_memory_of_a_reader_does_not_grow(long_file: Path, tiny_weights: Path, mode: str) -> None:
    """From a fifth of the frames on, by at most 5 percent."""
    run = subprocess.run(
        [sys.executable, "-c", LIBRARY, str(long_file), mode, str(tiny_weights)],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
    )
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    early = max(seen[10:16])
    print(f"{mode}: {early >> 10} KiB, then {max(seen) >> 10} KiB")
    assert len(seen) == 50, seen
    assert max(seen[10:]) <= GROWTH * early, seen
