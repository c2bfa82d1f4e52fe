"""Targets of bitrate, PSNR or size in the place of a crf, and when they count as met."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..container.packets import MAX_CRF

# What counts as met (docs/cli.md, Targets).
RATE_TOLERANCE = 0.03  # share of the bitrate, either way
PSNR_TOLERANCE = 0.1  # dB, either way

# Where a search ends: near enough that what was reached counts as met however it is rounded
# (docs/benchmarks.md, Targets: 2.5 % and 0.04 dB off at most).
RATE_END = 0.02  # share of the bitrate, either way
PSNR_END = 0.07  # dB, either way
SIZE_END = 0.025  # share of the largest size, below it


@dataclass(frozen=True)
class Target:
    """What an encode is to come to.

    ``bitrate``: of the pictures, in bits per second. ``psnr``: in dB, of the mean error weighted
    (6 Y + U + V) / 8. ``size``: of the file, in bytes at most.
    """

    kind: str
    value: float

    def goal(self, seconds: float, other: int) -> Goal:
        """For pictures that last ``seconds`` in a file with ``other`` bytes beside theirs."""
        if self.kind == "psnr":
            return Goal(self.value - PSNR_END, self.value, self.value + PSNR_END)
        if self.kind == "bitrate":
            shares = (1 - RATE_END, 1.0, 1 + RATE_END)
            low, aim, high = (share * self.value * seconds / 8 for share in shares)
        else:
            shares = (1 - SIZE_END, 1 - SIZE_END / 2, 1.0)
            low, aim, high = (share * self.value - other for share in shares)
        low, aim, high = (math.log(max(1.0, n)) for n in (low, aim, high))
        return Goal(low, aim, high, hard=self.kind == "size")

    def missed(self, kbps: float, psnr: float, size: int, crf: float) -> str | None:
        """A sentence on what was reached instead; None where the target is met.

        ``kbps`` is that of the pictures, ``size`` the file's in bytes, ``crf`` the mean one.
        """
        if self.kind == "psnr":
            met = abs(psnr - self.value) <= PSNR_TOLERANCE
            wanted, got = f"PSNR of {self.value:g} dB", f"{psnr:.2f} dB"
        elif self.kind == "bitrate":
            met = abs(kbps * 1000 / self.value - 1) <= RATE_TOLERANCE
            wanted, got = f"bitrate of {self.value / 1000:g} kbps", f"{kbps:.2f} kbps"
        else:
            met = size <= self.value
            wanted, got = f"size of {self.value:.0f} bytes", f"{size} bytes"
        if met:
            return None
        ends = {0.0: ", the best there is", float(MAX_CRF): ", the smallest there is"}
        end = ends.get(crf, "")
        return f"the {wanted} was not reached: it is {got} at crf {crf:.4g}{end}"


@dataclass(frozen=True)
class Goal:
    """Where a search ends: between ``low`` and ``high``, in the logarithm of bytes or in dB.

    A ``hard`` goal must not be exceeded.
    """

    low: float
    aim: float
    high: float
    hard: bool = False

    def miss(self, value: float) -> tuple[bool, float]:
        """How far a value is from the goal, to compare: the less the better."""
        return self.hard and value > self.high, abs(value - self.aim)
