"""How many processors may be used, which the default numbers of threads and processes follow."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

from vqcodec.system import processes, processors, threads
from vqcodec.system.processors import usable


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of eight processors."""
    monkeypatch.setattr(os, "process_cpu_count", lambda: 8, raising=False)


def group(root: Path, line: str, **files: str) -> Path:
    """A system whose processes are in a control group; ``files``: folder__name=content."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"4:memory:/elsewhere\n{line}\n")
    for place, text in files.items():
        *folders, name = place.split("__")
        path = root.joinpath("sys/fs/cgroup", *folders)
        path.mkdir(parents=True, exist_ok=True)
        (path / name.replace("_max", ".max").replace("cpu_cfs", "cpu.cfs")).write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("line", "files", "want"),
    [
        ("0::/", {"cpu_max": "200000 100000"}, 2),
        ("0::/", {"cpu_max": "150000 100000"}, 2),  # one and a half
        ("0::/", {"cpu_max": "10000 100000"}, 1),
        ("0::/", {"cpu_max": "max 100000"}, 8),
        ("0::/", {"cpu_max": "9900000 100000"}, 8),  # more than there are
        ("0::/a/b", {"a__cpu_max": "300000 100000", "a__b__cpu_max": "max 100000"}, 3),
        ("0::/host/not/seen", {"cpu_max": "400000 100000"}, 4),
        ("0::/", {"cpu_max": "nonsense"}, 8),
        ("0::/", {}, 8),
        (
            "1:cpu,cpuacct:/d",
            {"cpu__d__cpu_cfs_quota_us": "500000", "cpu__d__cpu_cfs_period_us": "100000"},
            5,
        ),
        ("1:cpu:/", {"cpu__cpu_cfs_quota_us": "-1", "cpu__cpu_cfs_period_us": "100000"}, 8),
    ],
)
def test_quotas_of_containers(tmp_path: Path, line: str, files: dict[str, str], want: int) -> None:
    assert usable(group(tmp_path, line, **files)) == want


def test_a_system_without_control_groups(tmp_path: Path) -> None:
    assert usable(tmp_path) == 8


def test_the_affinity_counts() -> None:
    one = "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])"
    code = f"{one}; from vqcodec.system.processors import usable; print(usable())"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert told.stdout == "1\n", told


def test_threads_follow_a_quota_unless_the_user_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processors, "usable", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    processes.no_more_threads_than_processors()
    assert os.environ["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    processes.no_more_threads_than_processors()
    assert os.environ["OMP_NUM_THREADS"] == "5"
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)  # torch finds the right number by itself
    processes.no_more_threads_than_processors()
    assert "OMP_NUM_THREADS" not in os.environ


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_first_worker_too_is_born_with_ctrl_c_blocked(tmp_path: Path) -> None:
    """Python's tracker of resources, which starts with the first worker, unblocked it again."""
    code = """
import signal, sys
from vqcodec.system.processes import spawn

def told(pipe):
    pipe.send(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, set()))

if __name__ == "__main__":
    process, pipe = spawn(told, "a", daemon=True)
    print(pipe.recv())
    process.join()
"""
    (tmp_path / "first.py").write_text(code)
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    run = [sys.executable, str(tmp_path / "first.py")]
    told = subprocess.run(run, env=env, capture_output=True, text=True)
    assert told.stdout == "True\n", told


@pytest.mark.parametrize(
    ("told", "want"), [("3", 3), ("4,2", 4), (" 2 ", 2), ("x", 8), ("0", 8), ("-3", 8), ("", 8)]
)
def test_how_many_threads_openmp_is_told(
    monkeypatch: pytest.MonkeyPatch, told: str, want: int
) -> None:
    monkeypatch.setattr(threads, "usable", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    threads.default_threads.cache_clear()
    try:
        assert threads.default_threads() == want
    finally:
        threads.default_threads.cache_clear()
