"""Answers of ``vqcodec analyze`` as text: tables for people, JSON, CSV, lists for editors."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..analysis import edit_lists
from ..analysis.model import CHANGES
from ..analysis.shot import Camera, Shot
from ..analysis.timecode import Clock
from ..errors import DamageError, UsageError
from ..reading.file_analysis import KINDS, Analysis
from ..system.columns import columns
from ..system.progress import counted, exact_clock
from ..system.text import printable

_ANOMALIES = 10  # frames that are shown
_APART = 12  # frames between two of them
_AROUND = 6  # frames on both sides that the camera at one is judged by
Row = dict[str, Any]


class Answer(NamedTuple):
    """What was found in a file."""

    file: str
    analysis: Analysis
    shots: list[Shot]
    parts: tuple[str, ...]  # shots, activity, anomaly: what is asked for


class Ranked(NamedTuple):
    """A file and the stretch of it that is most like a clip."""

    file: str
    similarity: float
    start_seconds: float
    end_seconds: float


def failed(file: str, reason: str) -> str:
    """The line of JSON of a file that could not be read."""
    return json.dumps({"file": file, "ok": False, "error": reason}) + "\n"


def as_json(answer: Answer) -> str:
    """A line of JSON with all that was asked for."""
    found = answer.analysis
    out: Row = {
        "file": answer.file,
        "ok": not found.damage,
        "frames": len(found),
        "start_seconds": round(found.seconds(0), 6),
        "end_seconds": round(found.seconds(len(found)), 6),
        "rate": f"{found.rate.numerator}/{found.rate.denominator}",
        "known_model": found.known_model,
        "gaps": [_rounded(vars(gap)) for gap in found.gaps],
        "damage": list(found.damage),
    }
    for part in answer.parts:
        out[part] = list(_ROWS[part](answer))
    return json.dumps(out, allow_nan=False) + "\n"


def as_csv(answer: Answer, head: bool = True) -> str:
    """Rows of the one part that was asked for, the file's name first; ``head``: under the names of
    their columns.
    """
    (part,) = answer.parts
    return _table(({"file": answer.file} | row for row in _ROWS[part](answer)), head)


def as_table(answer: Answer) -> str:
    """Tables for people."""
    found = answer.analysis
    length = found.seconds(len(found)) - found.seconds(0)
    about = f"{counted(len(found), 'frame')}, {exact_clock(length)}"
    lines = [f"{printable(answer.file)}: {counted(len(answer.shots), 'shot')} in {about}"]
    for part in answer.parts:
        rows = _TABLES[part](answer)
        lines += columns(rows, _LEFT[part], "  ") if len(rows) > 1 else []
    lines += [
        f"  lost: frames {gap.start} to {gap.end - 1}, {exact_clock(gap.start_seconds)} to "
        f"{exact_clock(gap.end_seconds)}"
        for gap in found.gaps
    ]
    return "\n".join(lines) + "\n"


def edit_list(form: str, answer: Answer, start: str | None, drop: bool | None) -> str:
    """The shots as an EDL, an OpenTimelineIO timeline, or chapters."""
    found = answer.analysis
    if start is not None and drop is None and ";" in start:
        drop = True
    clock = Clock.of(found.rate, drop)
    first = 0 if start is None else clock.number(start)
    times = (found.seconds(0), found.seconds(len(found)))
    edits = edit_lists.EditList(answer.file, answer.shots, found.gaps, clock, first, *times)
    if not answer.shots:
        error = DamageError if found.damage else UsageError
        raise error("there is no frame, and so no shot to list", file=answer.file)
    return _LISTS[form](edits)


def ranking(lines: Sequence[Ranked], json_wanted: bool) -> str:
    """Files from the most alike to the least."""
    ranked = sorted(lines, key=lambda line: (-line.similarity, line.file))
    if json_wanted:
        return "".join(json.dumps(_rounded(line._asdict())) + "\n" for line in ranked)
    rows = [["similarity", "from", "to", "file"]]
    rows += [
        [f"{r.similarity:.3f}", exact_clock(r.start_seconds), exact_clock(r.end_seconds), r.file]
        for r in ranked
    ]
    return "\n".join(columns(rows, (3,))) + "\n"


def stats(analysis: Analysis) -> str:
    """A row for each frame, as CSV."""
    return _table(_frames(analysis))


def _frames(analysis: Analysis) -> Iterator[Row]:
    rows, reading = analysis.rows, analysis.reading
    cameras = _cameras(analysis)
    for number in range(len(analysis)):
        yield {
            "frame": number,
            "seconds": round(analysis.seconds(number), 6),
            "kind": KINDS[rows.kind[number]],
            "level": int(rows.level[number]),
            "quality": int(rows.quality[number]),
            "bytes": int(rows.bytes[number]),
            "motion_bits": round(float(rows.motion_bits[number]), 1),
            "activity": round(float(reading.activity[number]), 3),
            "camera": cameras[number],
            "surprise": round(float(reading.surprise[number]), 3),
            **{
                name: round(float(p), 4)
                for name, p in zip(CHANGES[1:], reading.change[number, 1:], strict=True)
            },
        }


def _cameras(analysis: Analysis) -> list[Camera]:
    """What the camera does around each frame, within its shot."""
    around = [(n, n + 1) for n in range(len(analysis))]
    for shot in analysis.shots():
        for n in range(shot.start, shot.end):
            around[n] = max(shot.start, n - _AROUND), min(shot.end, n + _AROUND + 1)
    return [analysis.camera(*bounds) for bounds in around]


def _shots(answer: Answer) -> Iterator[Row]:
    return (shot.to_json() for shot in answer.shots)


def _activity(answer: Answer) -> Iterator[Row]:
    """A row for each second that has frames which are there."""
    found = answer.analysis
    begin = found.seconds(0)
    at = [int(found.seconds(n) - begin) for n in range(len(found))]
    bounds = [n for n in range(len(at)) if n == 0 or at[n] != at[n - 1]] + [len(at)]
    for start, end in pairwise(bounds):
        there = ~found.rows.lost[start:end]
        if there.any():
            yield {
                "start_seconds": round(found.seconds(start), 6),
                "end_seconds": round(found.seconds(end), 6),
                "activity": round(float(found.reading.activity[start:end][there].mean()), 3),
                "camera": found.camera(start, end),
                "bytes": int(found.rows.bytes[start:end].sum()),
            }


def _anomalies(answer: Answer) -> Iterator[Row]:
    """The frames that are least like the rest, no two of them near each other."""
    found = answer.analysis
    left = np.where(found.rows.lost, -np.inf, found.reading.surprise)
    for _ in range(min(_ANOMALIES, len(left))):
        number = int(left.argmax())
        if not np.isfinite(left[number]) or left[number] <= 0:
            return
        surprise = round(float(left[number]), 3)
        yield {"frame": number, "seconds": round(found.seconds(number), 6), "surprise": surprise}
        left[max(0, number - _APART) : number + _APART + 1] = -np.inf


def _shot_table(answer: Answer) -> list[list[str]]:
    head = ["shot", "from", "to", "frames", "begins by", "sure", "activity", "camera", "kbps"]
    return [head] + [
        [
            str(number),
            exact_clock(shot.start_seconds),
            exact_clock(shot.end_seconds),
            f"{shot.start}-{shot.end - 1}",
            shot.transition,
            f"{shot.confidence:.2f}",
            f"{shot.activity:.1f}",
            shot.camera,
            f"{shot.kbps:.0f}",
        ]
        for number, shot in enumerate(answer.shots, 1)
    ]


def _activity_table(answer: Answer) -> list[list[str]]:
    return [["from", "activity", "camera", "bytes"]] + [
        [exact_clock(r["start_seconds"]), f"{r['activity']:.1f}", r["camera"], str(r["bytes"])]
        for r in _activity(answer)
    ]


def _anomaly_table(answer: Answer) -> list[list[str]]:
    return [["unusual at", "frame", "bits"]] + [
        [exact_clock(r["seconds"]), str(r["frame"]), f"{r['surprise']:.1f}"]
        for r in _anomalies(answer)
    ]


def _table(rows: Iterable[Row], head: bool = True) -> str:
    out = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        if writer is None:
            writer = csv.DictWriter(out, list(row), lineterminator="\n")
            if head:
                writer.writeheader()
        writer.writerow(row)
    return out.getvalue()


def _rounded(row: Row) -> Row:
    return {key: round(v, 6) if isinstance(v, float) else v for key, v in row.items()}


_ROWS = {"shots": _shots, "activity": _activity, "anomaly": _anomalies}
_TABLES = {"shots": _shot_table, "activity": _activity_table, "anomaly": _anomaly_table}
_LEFT = {"shots": (4, 7), "activity": (2,), "anomaly": ()}
_LISTS = {"edl": edit_lists.edl, "otio": edit_lists.otio, "chapters": edit_lists.chapters}
FORMS = {"json": as_json, "table": as_table}
