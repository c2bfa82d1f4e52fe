"""GOPs coded on a Dask cluster: one task for each, which Dask gives to another worker when the one
that has it dies.

This process reads and cuts the video as any encode does, so GOPs begin where they would on one
machine, and the bytes are the same. The workers get the pictures, compressed without loss, and give
back the coded GOP: they need the program and the weights, but none of the files.
"""

from __future__ import annotations

import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

from ..errors import ClusterError, LimitError, VqvError, WeightsError
from ..media.packed_pictures import Packed, pack, unpack
from ..picture import Picture
from ..system import kernels
from .gop_coders import PROGRAM, Model, Result, code_gop, nothing_to_tell

_TIMEOUT = "10 s"  # for the scheduler to answer
_ADDRESS = re.compile(r"(?:[a-z+]+://)?\S+:\d{1,5}/?|inproc://\S+")
_LOOK = 2.0  # seconds between two looks at which workers there are
_PATIENCE = 10.0  # seconds without a worker until that is said
_IDENTITY = ("model_id", "analysis_id")
_KERNELS = "vqcodec-kernels"  # topic of Dask's events: a worker compiles them
_COMPILING = (
    "workers of the cluster are compiling kernels, once on each machine: a minute or two"
    " (vqcodec kernels does it ahead)"
)


def _identity(weights: str | None) -> tuple[str, ...]:
    from ..codec.weights import read_metadata

    meta = read_metadata(weights)
    return PROGRAM, *(meta.get(k, "") for k in _IDENTITY)


@lru_cache(1)
def _load(
    weights: str | None, device: str, threads: int, arithmetic: str, identity: tuple[str, ...]
) -> Any:
    from ..encoding.model import load_model

    return load_model(weights, device, threads, arithmetic)


_loading = threading.Lock()


def code(model: Model, identity: tuple[str, ...], crf: float, parts: list[Packed]) -> Result:
    """Code a GOP, given as its mini-GOPs: what runs on a worker. ``identity`` says which program
    and weights the client has."""
    if (mine := _identity(model.weights)) != identity:
        names = ("the program", "the model", "the encoder's weights")
        other = [name for name, a, b in zip(names, mine, identity, strict=True) if a != b]
        raise WeightsError(
            f"a worker has another version of {' and '.join(other)}: install the same on all"
            " machines"
        )
    if "numba" not in sys.modules:
        os.environ["NUMBA_NUM_THREADS"] = str(model.threads)
    _tell_of_kernels()
    with _loading:
        codec = _load(model.weights, model.device, model.threads, model.arithmetic, identity)
    return code_gop(model.encoder(codec, crf), map(unpack, parts))


def _tell_of_kernels() -> None:
    """Clients are told when this worker begins to compile kernels, unless its process tells it
    by itself."""
    from distributed import get_worker

    if kernels.tell is kernels.to_log:
        worker = get_worker()  # known to this thread, not to those that compile
        kernels.tell = partial(worker.log_event, _KERNELS, worker.address)


class Cluster:
    """A connection to the scheduler at ``address`` (``tcp://host:8786``, ``tls://...`` with the
    certificates that Dask's configuration names).

    Tasks go to workers with the ``resources`` they need, such as ``{"GPU": 1}``. About as many GOPs
    as the workers code at once are read ahead. A context; its methods may be called from several
    threads. ClusterError when it cannot be reached or gets lost, or without the package
    distributed.
    """

    def __init__(
        self,
        address: str,
        resources: Mapping[str, float] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        try:
            import dask
            from distributed import Client
        except ImportError as exc:
            raise ClusterError(
                "the package distributed is missing",
                option="cluster",
                advice="pip install 'vqcodec[cluster]'",
            ) from exc
        # tasks are large on purpose, see docs/cluster.md
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"})
        self.address, self.resources = address, dict(resources or {})
        if not _ADDRESS.fullmatch(address):  # Dask would try for long, and complain at the end
            raise ClusterError(
                f"{address}: no address of a Dask scheduler, such as tcp://host:8786 or host:8786"
            )
        self._warn = warn or (lambda text: None)
        try:
            self._client: Any = Client(
                address, timeout=_TIMEOUT, set_as_default=False, name="vqcodec"
            )
        except (OSError, ValueError, TypeError, RuntimeError) as exc:
            raise ClusterError(
                f"{address}: no Dask scheduler can be reached there: {' '.join(str(exc).split())}"
            ) from exc
        self._client.subscribe_topic(_KERNELS, self._compiling)
        self._lock = threading.Lock()
        self._begun = 0  # GOPs that are read or coded
        self._slots, self._looked = 0, -_LOOK
        self._idle: float | None = None  # since when there has been no worker
        self._told = False  # that kernels are compiled

    def _compiling(self, event: object) -> None:
        if not self._told:
            self._told = True
            kernels.NOTES.info(_COMPILING)

    def slots(self) -> int:
        """GOPs that the workers can code at the same time, as of a moment ago."""
        with self._lock:
            if time.monotonic() - self._looked >= _LOOK:
                self._slots, self._looked = sum(map(self._fits, self._workers())), time.monotonic()
                self._tell()
            return self._slots

    def _workers(self) -> list[dict[str, Any]]:
        try:
            return list(self._client.scheduler_info(n_workers=-1)["workers"].values())
        except Exception as exc:  # of the network, of the event loop, of Dask's own
            raise self.lost() from exc

    def lost(self) -> ClusterError:
        """The error of a connection that is gone."""
        return ClusterError(
            f"{self.address}: the connection to the scheduler was lost; the same command continues"
            " after what is done"
        )

    def _fits(self, worker: dict[str, Any]) -> int:
        has = worker.get("resources") or {}
        threads: int = worker["nthreads"]
        return min(
            [
                threads,
                *(int(has.get(name, 0) // n) for name, n in self.resources.items()),
            ]
        )

    def _tell(self) -> None:
        now = time.monotonic()
        if self._slots:
            self._idle = None
        elif self._idle is None:
            self._idle = now
        elif now - self._idle >= _PATIENCE:
            self._idle = float("inf")  # once
            needs = "".join(f" with {name}={n:g}" for name, n in self.resources.items())
            self._warn(f"{self.address}: the cluster has no worker{needs}; waiting for one")

    def room(self) -> bool:
        """Whether another GOP may begin: one for each slot, and some that are on their way."""
        slots = self.slots()
        with self._lock:
            return self._begun < slots + (slots + 3) // 4

    def count(self, change: int) -> None:
        """So many GOPs begin, or end."""
        with self._lock:
            self._begun += change

    def submit(self, *args: Any) -> Any:
        """A future of :func:`code` with these arguments."""
        return self._client.submit(code, *args, pure=False, resources=self.resources or None)

    def coder(self, model: Model) -> ClusterCoder:
        """The coder of one encode."""
        return ClusterCoder(self, model)

    def close(self) -> None:
        """Disconnect."""
        self._client.close(timeout=2)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class ClusterCoder:
    """Codes the GOPs of one encode on a cluster; in the place of
    :class:`vqcodec.pipeline.process_pool.ProcessCoder`. GOPs are sent when they are whole."""

    pending = 0  # workers say nothing of unfinished GOPs
    tell: Callable[[], object] = nothing_to_tell

    def __init__(self, cluster: Cluster, model: Model) -> None:
        self._cluster, self._model = cluster, model
        self._identity = _identity(model.weights)
        self._begun: dict[int, tuple[float, list[Packed]]] = {}
        self._futures: dict[int, Any] = {}
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()

    def ready(self, timeout: float) -> bool:
        """Whether a new GOP may begin; waits for it."""
        if self._cluster.room():
            return True
        end = time.monotonic() + timeout
        while time.monotonic() < end and self._done.empty() and not self._cluster.room():
            time.sleep(min(0.02, timeout))
        return self._cluster.room()

    def begin(self, key: int, crf: float) -> None:
        """A new GOP, called ``key``, which may begin only when the coder is ready."""
        self._cluster.count(1)
        self._begun[key] = crf, []

    def add(self, key: int, pictures: list[Picture], ends: bool) -> None:
        """The next mini-GOP of the GOP ``key``; with ``ends`` its last."""
        crf, parts = self._begun[key]
        parts.append(pack(pictures))
        if ends:
            self._futures[key] = future = self._cluster.submit(
                self._model, self._identity, crf, list(parts)
            )
            parts.clear()  # Dask keeps them
            future.add_done_callback(lambda _: self._done.put(key))

    def finished(self, timeout: float = 0.0) -> Iterator[tuple[int, Result]]:
        """Keys and results of GOPs that were finished since the last call; waits for one if a
        timeout is given."""
        while True:
            try:
                key = self._done.get(timeout > 0, timeout or None)
            except queue.Empty:
                return
            timeout = 0.0
            try:
                result = self._result(key)
            except TimeoutError:  # its worker died before it was fetched, and it is coded again
                self._done.put(key)
                return
            self._drop(key)
            yield key, result

    def _result(self, key: int) -> Result:
        from distributed.scheduler import KilledWorker

        future = self._futures[key]
        try:
            result: Result = future.result(timeout=10)
            return result
        except (VqvError, MemoryError):
            raise
        except KilledWorker as exc:
            raise LimitError(
                f"the workers that coded the GOP of frame {key} were lost again and again: not"
                " enough memory?"
            ) from exc
        except Exception as exc:
            if (
                isinstance(exc, TimeoutError) and future.status != "error"
            ):  # of the wait, not the worker's own
                raise
            if future.status in ("cancelled", "lost"):
                raise self._cluster.lost() from exc
            raise ClusterError(
                f"a worker failed on the GOP of frame {key}: {type(exc).__name__}:"
                f" {' '.join(str(exc).split())}"
            ) from exc

    def _drop(self, key: int) -> None:
        del self._begun[key]
        if future := self._futures.pop(key, None):
            future.release()
        self._cluster.count(-1)

    def coded(self, key: int) -> int:
        """Frames coded of a GOP that is begun and not finished: they are not known."""
        return 0

    def cut(self, key: int) -> Result | None:
        """GOPs on a cluster are not cut."""
        return None

    def close(self) -> None:
        """Let go of what is unfinished; repeated calls do nothing."""
        for key in list(self._begun):
            self._drop(key)
