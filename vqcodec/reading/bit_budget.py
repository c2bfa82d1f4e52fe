"""Where the bytes of a file went: by level of the pyramid and by syntax element."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from ..container.reader import ContainerReader
from ..system.columns import columns

if TYPE_CHECKING:
    from ..codec.bit_statistics import FrameStatistics

_Mean = Literal["q", "skip", "merged", "bi", "direct", "painted", "intra", "coded", "weighted"]
_MEANS: tuple[_Mean, ...] = get_args(_Mean)
_AREAS = _MEANS[1:]


@dataclass(frozen=True)
class LevelBits:
    """Where the bits of all frames of a level went."""

    level: int
    """Of the pyramid: 0 for I frames, 1 for key frames, then B frames."""
    type: str
    """I, P or B."""
    frames: int
    """How many there are."""
    bytes: int
    """Of their streams."""
    bits: dict[str, float]
    """By syntax element."""
    means: dict[str, float]
    """Of the quality ``q`` and the shares of the area, which I frames have none of."""

    def to_json(self) -> dict[str, Any]:
        """The fields, with the means beside them."""
        own = dict(vars(self))
        means: dict[str, Any] = own.pop("means")
        return own | means


@dataclass(frozen=True)
class Budget:
    """All bytes of a file, each counted once."""

    levels: list[LevelBits]
    """Of the frames."""
    gop_headers: int
    """Of times, checksums, measured error, sizes of frames."""
    tracks: int
    """Of other tracks with tags."""
    file: int
    """Of header and index, and what is damaged."""
    total: int
    """Of the file."""

    def to_json(self) -> dict[str, Any]:
        """The fields."""
        return vars(self) | {"levels": [level.to_json() for level in self.levels]}


def packet_bytes(reader: ContainerReader, undamaged: Iterable[int]) -> tuple[int, int]:
    """Bytes of the packets of GOPs, of those with an index in ``undamaged``, and of the packets of
    other tracks."""
    return sum(reader.packet_size(reader.gops[i].offset) for i in undamaged), sum(
        reader.packet_size(e.offset) for e in reader.extras
    )


def by_level(pictures: list[FrameStatistics]) -> list[LevelBits]:
    """Sums over the rows of frames, for each level."""
    levels: list[LevelBits] = []
    for level in sorted({p["level"] for p in pictures}):
        rows = [p for p in pictures if p["level"] == level]
        levels.append(
            LevelBits(
                level=level,
                type=rows[0]["type"],
                frames=len(rows),
                bytes=sum(p["bytes"] for p in rows),
                bits={
                    name: round(sum(p["bits"][name] for p in rows), 1) for name in rows[0]["bits"]
                },
                means={
                    name: round(sum(p[name] for p in rows) / len(rows), 4)
                    for name in _MEANS
                    if name in rows[0]
                },
            )
        )
    return levels


def budget(reader: ContainerReader, gops: dict[int, list[FrameStatistics]]) -> Budget:
    """All bytes of a file, from the rows of the frames of its undamaged GOPs by their index."""
    levels = by_level([p for rows in gops.values() for p in rows])
    frames = sum(line.bytes for line in levels)
    packets, tracks = packet_bytes(reader, gops)
    rest = reader.size - packets - tracks
    return Budget(levels, packets - frames, tracks, rest, reader.size)


def _percent(part: float, whole: float) -> str:
    # a stream may be some bits shorter than its elements: + 0 makes 0 of -0
    return f"{round(100 * part / whole, 1) + 0:.1f} %" if whole else "-"


def as_lines(budget: Budget) -> list[str]:
    """A budget as tables for people."""
    lines = columns(_sizes(budget), indent="  ")
    if budget.levels:
        rows = [["level", "frames", "bits a frame", "quality", *_AREAS]]
        rows += [_qualities(line) for line in budget.levels]
        lines += ["", *columns(rows, indent="  ")]
    return lines


def _label(line: LevelBits) -> str:
    names = {0: "I", 1: "key"}
    return f"{line.level} {names.get(line.level, 'B')}"


def _sizes(budget: Budget) -> list[list[str]]:
    """Rows of bytes by level and element."""
    levels = budget.levels
    elements = list(levels[0].bits) if levels else []
    rows = [["bytes", *elements, "all", "share"]]
    for line in levels:
        parts = (str(round(line.bits[e] / 8)) for e in elements)
        rows.append([_label(line), *parts, str(line.bytes), _percent(line.bytes, budget.total)])
    sums = [sum(line.bits[e] for line in levels) / 8 for e in elements]
    frames = sum(line.bytes for line in levels)
    rows.append(
        ["frames", *(str(round(n)) for n in sums), str(frames), _percent(frames, budget.total)]
    )
    rows.append(["share", *(_percent(n, budget.total) for n in sums), "", ""])
    for label, size in (
        ("headers of GOPs", budget.gop_headers),
        ("tracks and tags", budget.tracks),
        ("header, index", budget.file),
        ("file", budget.total),
    ):
        rows.append([label, *("" for _ in elements), str(size), _percent(size, budget.total)])
    return rows


def _qualities(line: LevelBits) -> list[str]:
    """Row of the means of a level."""
    means = line.means
    return [
        _label(line),
        str(line.frames),
        f"{8 * line.bytes / line.frames:.0f}",
        f"{means['q']:.1f}" if "q" in means else "-",
        *(_percent(means[area], 1) if area in means else "-" for area in _AREAS),
    ]


def frame_line(point: FrameStatistics) -> str:
    """A row of a frame for people."""
    bits = point["bits"]
    parts = ", ".join(f"{name} {round(value)}" for name, value in bits.items())
    which = f"frame {point['frame']} {point['type']} level {point['level']}"
    return f"{which}: {sum(bits.values()):.0f} bits ({parts})"
