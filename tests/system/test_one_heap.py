"""Memory that one thread frees is there for the others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAPS = """
import ctypes, sys, threading
from vqcodec.system.processes import keep_one_heap

if sys.argv[1] == "one":
    keep_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.fopen.restype, libc.malloc_info.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
libc.fclose.argtypes = [ctypes.c_void_p]
all_there = threading.Barrier(4)

def work():
    all_there.wait()
    for _ in range(1000):
        libc.malloc(5000)
    all_there.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = libc.fopen(b"heaps", b"w")
libc.malloc_info(0, file)
libc.fclose(file)
print(open("heaps").read().count("<heap nr="))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's heaps")
@pytest.mark.parametrize("kept", ["one", "as they are"])
def test_threads_share_a_heap(tmp_path: Path, kept: str) -> None:
    """Each has its own without it: then this test sees something."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
    }
    command = [sys.executable, "-c", HEAPS, kept]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    if "malloc_info" in run.stderr:
        pytest.skip("another C library")
    assert (int(run.stdout) == 1) == (kept == "one"), run.stderr
