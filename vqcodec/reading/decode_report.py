"""What a decoding tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import DamageLog


@dataclass
class DecodeReport:
    """What was decoded."""

    frames: int = 0
    """Frames given."""
    gops: int = 0
    """GOPs that were looked at."""
    damaged_gops: int = 0
    """Those of them that are not as they were written."""
    concealed: int = 0
    """Frames that were filled in, because they are lost."""
    complete: bool = True
    """Whether the file ends as it should."""
    damage: DamageLog = field(default_factory=DamageLog)
    """A sentence for each thing found wrong."""
    notes: list[str] = field(default_factory=list)
    """What was chosen or converted."""
    warnings: list[str] = field(default_factory=list)
    """What the output cannot hold."""
    lost: list[str] = field(default_factory=list)
    """Tracks that the output took a part of only."""
    codec: str = ""
    """Of the output's pictures, with its quality."""
    bytes: int | None = None
    """Of the output; None of standard output, and of many files."""
    seconds: float = 0.0
    """Time that it took."""
    shift: int = 0
    """Ticks that were taken off the times of the file."""
    end: int | None = None
    """Of the chosen frames, in ticks from their begin; None: that of the file."""

    @property
    def ok(self) -> bool:
        """True when every frame of the file is there and has been proven right."""
        return self.complete and not self.damage

    @property
    def fps(self) -> float:
        """Frames decoded per second."""
        return self.frames / self.seconds if self.seconds else 0.0
