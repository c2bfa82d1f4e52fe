"""Targets of an encode beside a crf: bitrate, PSNR, largest size of the file; and when they count as met."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..container.packets import MAX_CRF

RATE_TOLERANCE, PSNR_TOLERANCE = 0.03, 0.1  # what counts as met; a search ends well within


@dataclass(frozen=True)
class Target:
    """``bitrate`` of the pictures in bits per second, ``psnr`` in dB of the mean error weighted (6 Y + U + V) / 8, or ``size``, the largest of the file in bytes."""

    kind: str
    value: float

    def goal(self, seconds: float, other: int) -> Goal:
        """For pictures that last ``seconds``, in a file with ``other`` bytes that are not theirs."""
        if self.kind == "psnr":
            return Goal(self.value - 0.07, self.value, self.value + 0.07)
        if self.kind == "bitrate":
            low, aim, high = (f * self.value * seconds / 8 for f in (0.98, 1, 1.02))
        else:
            low, aim, high = (f * self.value - other for f in (0.975, 0.9875, 1))
        low, aim, high = (math.log(max(1.0, n)) for n in (low, aim, high))
        return Goal(low, aim, high, hard=self.kind == "size")

    def missed(self, kbps: float, psnr: float, size: int, crf: float) -> str | None:
        """A sentence on what was reached instead, None where the target is met. ``kbps`` is that of the pictures, ``crf`` the mean one."""
        end = (
            ", the best there is"
            if crf == 0
            else ", the smallest there is"
            if crf == MAX_CRF
            else ""
        )
        if self.kind == "psnr":
            wanted, got, met = (
                f"PSNR of {self.value:g} dB",
                f"{psnr:.2f} dB",
                abs(psnr - self.value) <= PSNR_TOLERANCE,
            )
        elif self.kind == "bitrate":
            wanted, got, met = (
                f"bitrate of {self.value / 1000:g} kbps",
                f"{kbps:.2f} kbps",
                abs(kbps * 1000 / self.value - 1) <= RATE_TOLERANCE,
            )
        else:
            wanted, got, met = (
                f"size of {self.value:.0f} bytes",
                f"{size} bytes",
                size <= self.value,
            )
        return None if met else f"the {wanted} was not reached: it is {got} at crf {crf:.4g}{end}"


@dataclass(frozen=True)
class Goal:
    """Where a search ends: between ``low`` and ``high``, in the logarithm of bytes or in dB. A ``hard`` goal must not be exceeded."""

    low: float
    aim: float
    high: float
    hard: bool = False

    def miss(self, value: float) -> tuple[bool, float]:
        """The less the better."""
        return self.hard and value > self.high, abs(value - self.aim)
