"""How much memory is free, which the number of processes follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from vqcodec.system.free_memory import free_memory

MACHINE = "MemTotal: 9000 kB\nMemFree: 10 kB\nMemAvailable: 8000 kB\n"


def system(root: Path, group: str = "0::/", **files: str) -> Path:
    """A machine with 8000 KiB free; ``files``: folder__name=content, of its control groups."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(MACHINE)
    (root / "proc/self/cgroup").write_text(f"4:cpu:/elsewhere\n{group}\n")
    for place, text in files.items():
        *folders, name = place.split("__")
        path = root.joinpath("sys/fs/cgroup", *folders)
        path.mkdir(parents=True, exist_ok=True)
        (path / name.replace("memory_", "memory.")).write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("group", "files", "want"),
    [
        ("0::/", {}, 8000 << 10),
        ("0::/", {"memory_max": "max", "memory_current": "5", "memory_stat": ""}, 8000 << 10),
        (
            "0::/",
            {"memory_max": "1000", "memory_current": "700", "memory_stat": "inactive_file 50"},
            350,
        ),
        (
            "0::/",
            {
                "memory_max": "1000",
                "memory_high": "800",
                "memory_current": "700",
                "memory_stat": "inactive_file 50",
            },
            150,
        ),
        ("0::/", {"memory_max": "9", "memory_current": "12", "memory_stat": "anon 1"}, 0),
        (
            "0::/a/b",
            {"a__memory_max": "40", "a__memory_current": "10", "a__memory_stat": "anon 1"},
            30,
        ),
        (
            "7:memory:/d",
            {
                "memory__d__memory_limit_in_bytes": "900",
                "memory__d__memory_usage_in_bytes": "500",
                "memory__d__memory_stat": "total_inactive_file 100",
            },
            500,
        ),
        ("0::/", {"memory_max": "nonsense", "memory_current": "1"}, 8000 << 10),
    ],
)
def test_what_a_container_may_still_take_counts(
    tmp_path: Path, group: str, files: dict[str, str], want: int
) -> None:
    assert free_memory(system(tmp_path, group, **files)) == want


def test_this_machine_has_some() -> None:
    free = free_memory()
    assert free is None or free > 1 << 20
