"""Many files: what is done is passed over, the rest is made, one that fails doesn't stop the
others, and all is put down in a log."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OutputError, UsageError
from ..options import DecodeOptions, EncodeOptions, TrackChoice
from ..system.processors import usable
from ..system.progress import ProgressEvent
from .log import BEGUN, DONE, FAILED, BatchLog, open_log, stamp
from .order import Order, Outcome
from .plan import Job
from .runners import BEGIN, Processes, Threads

if TYPE_CHECKING:
    from ..pipeline.cluster import Cluster

LOG = "batch.jsonl"
MAX_WORKERS = 256
_READERS = 32  # files that are read at the same time for a cluster, unless told otherwise
# options that decide nothing of the bytes, or only whether there are any
_FREE = {"threads", "batch", "device", "strict", "stats", "jobs", "resume", "limits"}


@dataclass
class Entry:
    """A line of the summary. ``state``: done, failed, before (done by an earlier run), left (an
    output that was there was left as it is), or waiting."""

    job: Job
    state: str = "waiting"
    outcome: Outcome = field(default_factory=Outcome)


@dataclass
class BatchReport:
    """What was done, in the order of the jobs."""

    entries: list[Entry]
    seconds: float = 0.0
    stopped: bool = False  # by ctrl-C

    def count(self, state: str) -> int:
        """Entries of a state."""
        return sum(e.state == state for e in self.entries)

    @property
    def exit_code(self) -> int:
        """That of the first file without an output; where all have one, that of the first whose
        source was damaged or whose target was missed; else 0."""
        done = [e for e in self.entries if e.state not in ("left", "waiting")]
        failed = [e.outcome.code for e in done if e.state == FAILED]
        return next(iter(failed), next((e.outcome.code for e in done if e.outcome.code), 0))


@dataclass(frozen=True)
class Task:
    """What is done with every file. A ``cluster`` codes the GOPs of all files, and ``workers``
    files are read for it at the same time, 0 for as many as it has use for; otherwise as many
    processes make a file each, 0 for one on each processor. ``overwrite``: False lets outputs that
    others made fail, None leaves them."""

    out: str
    options: EncodeOptions | DecodeOptions
    weights: str | None = None
    workers: int = 1
    overwrite: bool | None = False
    log: str | None = None  # LOG in ``out`` where None
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.workers <= MAX_WORKERS:
            raise UsageError(
                f"{self.workers} is out of range, allowed are 0 to {MAX_WORKERS}", option="workers"
            )
        if self.cluster is not None and isinstance(self.options, DecodeOptions):
            raise UsageError(
                "it encodes only", option="cluster", advice="decode with `workers` of this machine"
            )

    def digest(self) -> str:
        """Of all that decides the bytes of outputs but their sources."""

        def value(given: object) -> object:
            # 28 and 28.0 are one crf; sets have no order
            if isinstance(given, TrackChoice):
                return sorted(given.without), given.maps
            return float(given) if isinstance(given, int) else given

        parts = [
            type(self.options).__name__,
            *(
                f"{f.name}={value(getattr(self.options, f.name))!r}"
                for f in fields(self.options)
                if f.name not in _FREE
            ),
        ]
        if isinstance(self.options, EncodeOptions):
            from ..codec.weights import read_metadata

            meta = read_metadata(self.weights)
            parts += [meta.get(k, "") for k in ("model_id", "analysis_id")]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _check(entry: Entry, task: Task, digest: str, log: BatchLog) -> bool | None:
    """Whether the output is to be overwritten; None where there is nothing to do, and the entry
    says why."""
    there = stamp(target := str(Path(task.out) / entry.job.output))
    if there is None and not os.path.lexists(target):
        return False
    last, done = log.last(entry.job.output), log.done(entry.job.output)
    source = stamp(entry.job.source)

    def same(line: dict[str, Any]) -> bool:
        return (line.get("source"), line.get("options")) == (source, digest)

    ours = done is not None and done.get("result") == there
    if done is not None and ours and same(done):
        names = {f.name for f in fields(Outcome)}
        entry.state = "before"
        entry.outcome = Outcome(**{name: value for name, value in done.items() if name in names})
        return None
    if task.overwrite is None:
        entry.state = "left"
        return None
    # the second: killed between the renaming of the output and the line about it
    begun = last is not None and last["state"] == BEGUN and same(last)
    if task.overwrite or (begun and last is not None and last.get("before") != there is not None):
        return True
    why = "another source or with other options" if ours else "something else"
    entry.state = FAILED
    entry.outcome = Outcome(
        OutputError.exit_code,
        f"exists already, made from {why}; `overwrite=True` replaces it, "
        "`overwrite=False` leaves it",
        at_fault=target,
    )
    return None


def _unheard(entry: Entry, left: int) -> None:
    """What is told of finished files where nobody listens."""


def batch(
    jobs: Sequence[Job],
    task: Task,
    *,
    finished: Callable[[Entry, int], object] = _unheard,
    progress: Callable[[ProgressEvent], object] | None = None,
) -> BatchReport:
    """Make all files, and report. ``finished(entry, left)`` is called after each, ``progress`` now
    and then with the frames of all files together.

    Outputs get their folders, and their names only when complete. With several workers the largest
    sources come first. What ctrl-C (``stopped`` in the report) or SIGTERM cut off is gone on with
    by the next run. Raises UsageError, OutputError, WeightsError and ClusterError for what concerns
    all files.
    """
    entries = [Entry(job) for job in jobs]
    report = BatchReport(entries)
    digest = task.digest()
    if not task.out:
        raise OutputError("'': no name for a folder")
    try:
        Path(task.out).mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(
            f"the folder cannot be made: {exc.strerror or exc}", file=task.out
        ) from exc
    begin = time.monotonic()
    try:
        with open_log(task.log or Path(task.out) / LOG) as log:
            work: dict[Order, Entry] = {}
            todo = {
                id(e): overwrite
                for e in entries
                if (overwrite := _check(e, task, digest, log)) is not None
            }
            runner, options = _runner(task, len(todo))
            for entry in entries:
                if id(entry) in todo and (order := _order(entry, task, options, todo[id(entry)])):
                    work[order] = entry
                if entry.state == FAILED:
                    finished(entry, 0)
            orders = (
                sorted(work, key=lambda order: -work[order].job.size)
                if runner.count > 1
                else list(work)
            )
            if orders:
                with runner:
                    _run(runner, orders, work, log, digest, finished, progress)
    except KeyboardInterrupt:
        report.stopped = True
    report.seconds = time.monotonic() - begin
    return report


def _runner(task: Task, files: int) -> tuple[Processes | Threads, EncodeOptions | DecodeOptions]:
    """What makes the files, and the options of each."""
    options = task.options
    if isinstance(options, EncodeOptions):
        options = replace(options, resume=True, jobs=1)
    if task.cluster is not None:
        readers = task.workers or min(_READERS, task.cluster.slots() + 1)
        return Threads(max(1, min(files, readers)), task.cluster), options
    count = max(1, min(files, task.workers or usable()))
    if count > 1 and not options.threads:
        options = replace(options, threads=1)
    return Processes(count), options


def _order(
    entry: Entry, task: Task, options: EncodeOptions | DecodeOptions, overwrite: bool
) -> Order | None:
    target = Path(task.out) / entry.job.output
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        entry.state, entry.outcome = (
            FAILED,
            Outcome(
                OutputError.exit_code,
                f"the folder cannot be made: {exc.strerror or exc}",
                at_fault=str(target.parent),
            ),
        )
        return None
    overwrite = overwrite or bool(task.overwrite)
    return Order(entry.job.source, str(target), options, task.weights, overwrite)


def _run(
    runner: Processes | Threads,
    orders: Sequence[Order],
    work: dict[Order, Entry],
    log: BatchLog,
    digest: str,
    finished: Callable[[Entry, int], object],
    progress: Callable[[ProgressEvent], object] | None,
) -> None:
    meter = _Meter(sum(e.job.size for e in work.values()))
    left = len(orders)
    sources: dict[Order, list[int] | None] = {}
    for order, message in runner.run(orders):
        if order is not None:
            entry = work[order]
            if isinstance(message, Outcome):
                left -= 1
                entry.outcome, entry.state = message, DONE if message.written else FAILED
                log.write(
                    entry.job.output,
                    entry.state,
                    file=order.source,
                    source=sources[order],
                    options=digest,
                    result=stamp(order.target) if message.written else None,
                    **asdict(message),
                )
                meter.end(order, message.frames, entry.job.size)
                finished(entry, left)
            elif isinstance(message, ProgressEvent):
                meter.at(order, message, entry.job.size)
            elif message == BEGIN:
                # before the source is read, so that a change meanwhile is noticed by the next run
                sources[order] = stamp(order.source)
                log.write(
                    entry.job.output,
                    BEGUN,
                    file=order.source,
                    source=sources[order],
                    options=digest,
                    before=stamp(order.target),
                )
        if progress is not None:
            progress(meter.event())


class _Meter:
    """Counts the frames of all files together; how many there will be is told from the bytes of the
    sources done."""

    def __init__(self, size: int) -> None:
        self._size = max(1, size)
        self._begin = time.monotonic()
        self._frames = self._ended = 0
        self._running: dict[Order, ProgressEvent] = {}
        self._sizes: dict[Order, int] = {}

    def at(self, order: Order, event: ProgressEvent, size: int) -> None:
        """A file is so far."""
        self._running[order], self._sizes[order] = event, size

    def end(self, order: Order, frames: int, size: int) -> None:
        """A file is done."""
        self._running.pop(order, None)
        self._frames += frames
        self._ended += size

    def event(self) -> ProgressEvent:
        """How far the batch is."""
        running = self._running.values()
        frames = self._frames + sum(e.frames for e in running)
        # frames of files that were opened are known, those of others are told from their bytes
        known = self._frames + sum(e.total or 0 for e in running)
        opened = self._ended + sum(self._sizes[o] for o, e in self._running.items() if e.total)
        total = round(known * self._size / opened) if known and opened else None
        elapsed = time.monotonic() - self._begin
        return ProgressEvent(frames, None if total is None else max(frames, total), elapsed)
