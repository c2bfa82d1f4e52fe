"""Times of lost frames: they increase, and whoever reads a file chooses the same."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.synthetic import synthetic

from vqcodec.container.packets import IndexEntry
from vqcodec.container.reader import ContainerReader
from vqcodec.errors import DamageLog, LimitError
from vqcodec.options import DecodeOptions, Limits
from vqcodec.pipeline.repair import repair
from vqcodec.reading.decode_report import DecodeReport
from vqcodec.reading.gop_times import LostTimes, timed_gops
from vqcodec.reading.sequence import ConcealingDecoder
from vqcodec.reading.timeline import Timeline

STEP = 40


def row(seed: int) -> tuple[list[IndexEntry], set[int]]:
    """Entries of a file in which frames have times of their own, and which of them are lost; of
    some of those the index tells no time."""
    rng = random.Random(seed)
    entries, lost, frame, pts = [], set(), 0, rng.choice((0, 1234, -700))
    for i in range(rng.randint(1, 9)):
        count = rng.randint(1, 12)
        gone = rng.random() < 0.6
        known = not gone or rng.random() < 0.3
        entries.append(IndexEntry(-1 if gone else frame + 1, frame, count, pts if known else None))
        if gone:
            lost.add(i)
        frame += count
        pts += count * rng.choice((1, 3, STEP, 900))  # crowded, usual, and far apart
    return entries, lost


def all_times(entries: list[IndexEntry], lost: set[int]) -> list[list[int]]:
    """Times of all frames; those of sound GOPs are one tick apart."""
    chosen, times, last = LostTimes(entries, STEP), [], None
    for i, e in enumerate(entries):
        own = list(range(e.first_pts or 0, (e.first_pts or 0) + e.count))
        times.append(chosen.of(i, last) if i in lost else own)
        last = times[-1][-1]
    return times


@pytest.mark.parametrize("seed", range(150))
def test_times_of_lost_gops_increase_and_lie_between_those_around(seed: int) -> None:
    entries, lost = row(seed)
    times = all_times(entries, lost)
    assert [len(t) for t in times] == [e.count for e in entries]
    flat = [t for of_gop in times for t in of_gop]
    assert all(a < b for a, b in pairwise(flat))


@pytest.mark.parametrize("seed", range(150))
def test_who_is_told_where_lost_gops_begin_finds_the_same_times(seed: int) -> None:
    """As the index of a repaired file tells it."""
    entries, lost = row(seed)
    times = all_times(entries, lost)
    told = [replace(e, first_pts=t[0]) for e, t in zip(entries, times, strict=True)]
    assert all_times(told, lost) == times


def decoded_times(reader: ContainerReader) -> list[int]:
    """Times at which a decode shows the frames of a file; nothing is decoded."""
    decoder: Any = ConcealingDecoder(reader, SimpleNamespace(), DecodeOptions(), DecodeReport())  # type: ignore[arg-type]

    def decoded(gop: Any, wanted: object) -> Iterator[None]:
        return (None for _ in gop.pts)

    def behind(number: int) -> tuple[int, None]:
        return reader.frames, None

    decoder._decoded, decoder._behind = decoded, behind
    return [pts for i in range(len(reader.gops)) for pts, _, _ in decoder.pictures(i)]


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_decode_random_access_and_repair_choose_the_same_times(
    tmp_path: Path, seed: int, indexed: bool
) -> None:
    data, offsets = synthetic(8, 50, seed)
    bad = bytearray(data if indexed else data[: offsets[-1]])
    for i in random.Random(seed).sample(range(8), 5):
        bad[offsets[i + 1] - 6] ^= 1
    (tmp_path / "bad.vqv").write_bytes(bad)
    repair(str(tmp_path / "bad.vqv"), str(tmp_path / "good.vqv"))
    shown = []
    for name in ("bad.vqv", "good.vqv"):
        reader = ContainerReader.open(io.BytesIO((tmp_path / name).read_bytes()))
        timeline = Timeline(reader, DamageLog())
        assert len(timeline.lost) == 5
        shown.append([pts for i in range(len(reader.gops)) for pts in timeline[i].pts])
        shown.append(decoded_times(reader))
    assert all(times == shown[0] for times in shown)


def test_lost_frames_have_a_limit() -> None:
    data, offsets = synthetic(4, 50)
    bad = bytearray(data)
    for i in range(4):
        bad[offsets[i + 1] - 6] ^= 1
    reader = ContainerReader.open(io.BytesIO(bad), limits=Limits(concealed=3))
    with pytest.raises(LimitError, match="over the limit of 3"):
        list(timed_gops(reader, DamageLog()))
