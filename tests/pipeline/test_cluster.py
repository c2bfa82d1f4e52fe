"""GOPs coded on a Dask cluster: the bytes are those of one machine, whatever happens to its
workers.

The networks are stand-ins whose bodies hold every sample of the pictures, but in the slow test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support import fakes
from support.clips import header, moving, picture, same, write
from support.jobs import FRAMES, OPTIONS, Act
from support.paths import PYTHONPATH

from vqcodec.cli import main
from vqcodec.errors import ClusterError, DamageError, LimitError, WeightsError
from vqcodec.media.packed_pictures import pack, unpack
from vqcodec.options import EncodeOptions, Time
from vqcodec.pipeline import cluster as cluster_module
from vqcodec.pipeline.cluster import Cluster
from vqcodec.pipeline.encode import encode
from vqcodec.system import kernels

pytest.importorskip("distributed")
dask: Any = pytest.importorskip("dask")
SLOW = 66  # first sample of pictures that the stand-in takes long for


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with stand-ins for the networks in this process."""
    fakes.install_marked(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def threads(here: Path) -> Iterator[Any]:
    """A scheduler and a worker that codes two GOPs at once, all in this process."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp"
    ) as cluster:
        yield cluster


def film(path: Path, frames: int, mark: int = 0, seed: int = 0) -> Path:
    pictures = moving(32, 24, frames, seed)
    for p in pictures:
        p.y[0, 0] = mark
    return write(path, header(32, 24), pictures, vcodec="ffv1")


@pytest.mark.parametrize("ten_bit", [False, True])
def test_pictures_are_packed_without_loss(ten_bit: bool) -> None:
    for width, height in (
        (1, 1),
        (3, 3),
        (5, 7),
        (17, 16),
        (64, 48),
        (255, 33),
        (4096, 16),
        (16, 2000),
    ):
        pictures = [picture(width, height, i, ten_bit) for i in range(3)]
        assert all(map(same, pictures, unpack(pack(pictures)))), (width, height)
    packed = pack(moving(320, 240, 4, ten_bit=ten_bit))
    assert packed.size < 4 * 320 * 240 * 1.5 * (1 + ten_bit) * 0.75
    with pytest.raises(DamageError, match="on their way"):
        unpack(packed._replace(packets=packed.packets[:-1]))
    with pytest.raises(DamageError, match="on their way"):
        unpack(packed._replace(checksum=packed.checksum ^ 1))


def kill_one(cluster: Cluster, machines: Any) -> None:
    """Kill -9 of a worker that is coding."""
    tasks = cluster._client.processing()
    address = next(a for a, keys in tasks.items() if keys)
    os.kill(
        next(n.pid for n in machines.workers.values() if n.worker_address == address),
        signal.SIGKILL,
    )


def test_a_worker_killed_in_the_middle_loses_nothing(here: Path) -> None:
    """Two worker processes, one of which is killed while it codes. GOPs of the file are not all
    coded by one of them."""
    from distributed import LocalCluster

    source = film(here / "in.mkv", 60, SLOW)
    options = EncodeOptions(gop=9)
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            preload="support.fakes",
            resources={"GPU": 1},
        ) as machines,
        Cluster(machines.scheduler_address, {"GPU": 1}) as cluster,
    ):
        assert cluster.slots() == 2
        report = encode(
            str(source),
            "a.vqv",
            options,
            progress=Act(lambda: kill_one(cluster, machines)),
            cluster=cluster,
        )
        assert cluster._begun == 0
    lines = [line.split() for line in Path("log").read_text().splitlines()]
    assert len({pid for pid, _ in lines}) >= 2
    assert sum(int(n) for _, n in lines) > 60
    assert os.getpid() not in {int(pid) for pid, _ in lines}
    Path("quick").touch()
    encode(str(source), "want.vqv", options)
    assert Path("a.vqv").read_bytes() == Path("want.vqv").read_bytes()
    assert report.frames == 60


@pytest.mark.slow
def test_real_networks_and_a_killed_worker(
    tmp_path: Path,
    gop_clip: Path,
    gop_want: bytes,
    tiny_weights: Path,
) -> None:
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as machines,
        Cluster(machines.scheduler_address) as cluster,
    ):
        act = Act(lambda: kill_one(cluster, machines))
        report = encode(
            str(gop_clip),
            str(tmp_path / "a.vqv"),
            OPTIONS,
            weights=str(tiny_weights),
            progress=act,
            cluster=cluster,
        )
    assert (tmp_path / "a.vqv").read_bytes() == gop_want
    assert report.frames == FRAMES


def test_a_batch_on_a_cluster(here: Path, threads: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Files are those of encode, one that cannot be read stops none; the next run has nothing to
    do, with the cluster or without."""
    (here / "in/sub").mkdir(parents=True)
    for i, frames in enumerate((30, 5, 1)):
        film(here / f"in/sub/{i}.mkv", frames, seed=i)
    (here / "in/broken.mp4").write_bytes(b"no video")
    command = ["batch", "in", "--out", "out", "-g", "9", "--scheduler", threads.scheduler_address]
    assert main(command) == 3
    assert "3 made, 1 failed; 36 frames" in capsys.readouterr().err
    for i in range(3):
        assert main(["encode", "-q", "-g", "9", f"in/sub/{i}.mkv", "want.vqv", "-y"]) == 0
        assert Path(f"out/sub/{i}.vqv").read_bytes() == Path("want.vqv").read_bytes()
    Path("in/broken.mp4").unlink()
    n = len(Path("log").read_text().splitlines())
    assert main(command) == 0
    assert main(command[:-2]) == 0
    assert len(Path("log").read_text().splitlines()) == n
    assert [
        json.loads(line)["state"] for line in Path("out/batch.jsonl").read_text().splitlines()
    ].count("done") == 3
    for name, more in (
        ("a", ["--scheduler", threads.scheduler_address, "--stats", "a.stats"]),
        ("b", ["--stats", "b.stats"]),
    ):
        assert (
            main(
                [
                    "encode",
                    "-q",
                    "in/sub/0.mkv",
                    f"{name}.vqv",
                    "-g",
                    "9",
                    "-ss",
                    "3f",
                    "-t",
                    "21f",
                    *more,
                ]
            )
            == 0
        )
    assert Path("a.vqv").read_bytes() == Path("b.vqv").read_bytes()
    assert Path("a.stats").read_bytes() == Path("b.stats").read_bytes()


def test_little_is_read_ahead(here: Path, threads: Any) -> None:
    """GOPs that are read or coded are never more than a few beyond those that the workers code at
    once."""
    most = []
    with Cluster(threads.scheduler_address) as cluster:
        count = cluster.count

        def counting(change: int) -> None:
            count(change)
            most.append(cluster._begun)

        cluster.count = counting  # type: ignore[method-assign]
        encode(str(film(here / "in.mkv", 60)), "a.vqv", EncodeOptions(gop=4), cluster=cluster)
    assert 2 <= max(most) <= 3
    assert most[-1] == 0


@pytest.mark.early
def test_a_scheduler_that_is_lost(
    here: Path, threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done is kept, and gone on with here."""
    source, options = str(film(here / "in.mkv", 60, SLOW)), EncodeOptions(gop=6, resume=True)
    monkeypatch.setattr(cluster_module, "_TIMEOUT", "2 s")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "2 s"}),
        Cluster(threads.scheduler_address) as cluster,
    ):
        begin = time.monotonic()
        with pytest.raises(
            ClusterError,
            match="to the scheduler was lost; the same command continues",
        ):
            encode(source, "a.vqv", options, progress=Act(threads.close), cluster=cluster)
        assert time.monotonic() - begin < 30
    Path("quick").touch()
    report = encode(source, "a.vqv", options)
    encode(source, "want.vqv", EncodeOptions(gop=6))
    assert report.resumed >= 6
    assert Path("a.vqv").read_bytes() == Path("want.vqv").read_bytes()


def test_waiting_for_a_worker_with_a_gpu(
    here: Path, threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, once; one that comes gets the work."""
    from distributed import Worker

    monkeypatch.setattr(cluster_module, "_PATIENCE", 0.5)
    monkeypatch.setattr(cluster_module, "_LOOK", 0.2)
    told: list[str] = []
    source = film(here / "in.mkv", 5)

    workers: list[Any] = []

    async def join() -> None:
        workers.append(
            await Worker(
                threads.scheduler_address, nthreads=1, resources={"GPU": 2}, dashboard=False
            )
        )

    def later() -> None:
        while not told:
            time.sleep(0.05)
        threads.sync(join)

    helper = threading.Thread(target=later)
    helper.start()
    with Cluster(threads.scheduler_address, {"GPU": 1}, told.append) as cluster:
        assert cluster.slots() == 0
        assert not cluster.room()
        encode(str(source), "a.vqv", EncodeOptions(gop=9), cluster=cluster)
        assert cluster.slots() == 1
    helper.join()
    threads.sync(workers[0].close)
    assert len(told) == 1
    assert told[0].endswith("the cluster has no worker with GPU=1; waiting for one")


def test_whoever_waits_for_the_kernels_of_workers_is_told(
    here: Path, threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, however many of them compile."""
    told: list[str] = []
    monkeypatch.setattr(kernels.NOTES, "info", told.append)
    monkeypatch.setattr(kernels, "tell", kernels.to_log)  # as in a process of its own
    source = str(film(here / "in.mkv", 30))

    def compiling(*args: Any) -> Any:
        kernels.tell()
        return unpack(*args)

    monkeypatch.setattr(cluster_module, "unpack", compiling)
    with Cluster(threads.scheduler_address) as cluster:
        encode(source, "a.vqv", EncodeOptions(gop=9), cluster=cluster)
        end = time.monotonic() + 30
        while not told and time.monotonic() < end:
            time.sleep(0.05)
    assert [text.split(",")[0] for text in told] == ["workers of the cluster are compiling kernels"]


def test_errors_of_workers(here: Path, threads: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed.scheduler import KilledWorker

    source = str(film(here / "in.mkv", 5))
    with Cluster(threads.scheduler_address) as cluster:
        with monkeypatch.context() as patch:
            patch.setattr(fakes.GopEncoder, "fail_after", 2)
            with pytest.raises(
                ClusterError,
                match="a worker failed on the GOP of frame 0: RuntimeError: network failed",
            ):
                encode(source, "a.vqv", cluster=cluster)
        with monkeypatch.context() as patch:

            def late(*args: Any) -> None:
                raise TimeoutError(
                    "weights on a disk of the network"
                )  # not to be taken for a result that is on its way

            patch.setattr(cluster_module, "unpack", late)
            with pytest.raises(ClusterError, match="TimeoutError: weights on a disk"):
                encode(source, "a.vqv", cluster=cluster)
        identity = cluster_module._identity
        with monkeypatch.context() as patch:
            patch.setattr(
                cluster_module,
                "_identity",
                lambda weights: (
                    ("another", *identity(weights)[1:])
                    if threading.current_thread() is threading.main_thread()
                    else identity(weights)
                ),
            )
            with pytest.raises(
                WeightsError,
                match=(
                    "a worker has another version of the program: install the same on all machines"
                ),
            ):
                encode(source, "a.vqv", cluster=cluster)
        with monkeypatch.context() as patch:

            def die(*args: Any) -> None:
                raise KilledWorker("task", SimpleNamespace(address="tcp://x:1"), 3)  # type: ignore[arg-type]

            patch.setattr(cluster_module, "unpack", die)
            with pytest.raises(LimitError, match="lost again and again: not enough memory"):
                encode(source, "a.vqv", cluster=cluster)
        assert cluster._begun == 0
        assert not Path("a.vqv").exists()
        encode(source, "a.vqv", EncodeOptions(duration=Time(frames=3)), cluster=cluster)


def test_refusals(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    film(here / "in.mkv", 3)
    monkeypatch.setattr(cluster_module, "_TIMEOUT", "1 s")
    cases = [
        (
            ["encode", "in.mkv", "a.vqv", "--scheduler", "tcp://127.0.0.1:9"],
            9,
            "tcp://127.0.0.1:9: no Dask scheduler can be reached there",
        ),
        (
            ["batch", "in.mkv", "-o", "out", "--scheduler", "nonsense://x"],
            9,
            "no address of a Dask scheduler",
        ),
        (["encode", "in.mkv", "a.vqv", "--resource", "GPU=1"], 2, "none is given"),
        (
            ["encode", "in.mkv", "a.vqv", "--scheduler", "tcp://x:1", "--resource", "GPU"],
            2,
            "--resource: 'GPU' is none",
        ),
    ]
    for args, code, text in cases:
        assert main(args) == code, args
        assert text in capsys.readouterr().err, args
    assert not Path("a.vqv").exists()


GROWTH = """
import resource, sys
import pytest
from support import fakes
from distributed import LocalCluster
from vqcodec.pipeline.cluster import Cluster
from vqcodec.pipeline.encode import encode
from vqcodec.system import kernels
from vqcodec.options import EncodeOptions
with pytest.MonkeyPatch.context() as patch:
    fakes.install(patch)
    one = dict(n_workers=1, threads_per_worker=1, processes=False)
    with LocalCluster(**one, dashboard_address=None, protocol="tcp") as machines:
        with Cluster(machines.scheduler_address) as cluster:
            encode(sys.argv[1], sys.argv[1] + ".vqv", EncodeOptions(gop=30), cluster=cluster)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_length(here: Path) -> None:
    """Of client, scheduler and worker together, in one process."""
    peaks = []
    env = os.environ | {"PYTHONPATH": PYTHONPATH}
    pictures = [picture(160, 120, i) for i in range(10)]
    for frames in (300, 3000):
        write(here / f"{frames}.y4m", header(160, 120), pictures * (frames // 10))
        done = subprocess.run(
            [sys.executable, "-c", GROWTH, f"{frames}.y4m"],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout))
    assert peaks[1] <= peaks[0] * 1.05, peaks


@pytest.mark.parametrize("address", ["foo", "tcp://foo", "http://", "host:port", ""])
def test_nonsense_addresses_are_refused_at_once(address: str) -> None:
    with pytest.raises(ClusterError, match="such as tcp://host:8786"):
        Cluster(address)
