"""Rate-distortion trade-offs of the encoder. None of this is part of the format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RateParameters:
    """motion_sad: SAD that a bit of motion is worth, relative to sqrt(1/lambda); motion_worth: of the residual's cost against motion bits;
    motion_floor: squared error left after coding, relative to 1/lambda; vq_lambda: squared steps a bit of the latent is worth."""

    motion_sad: float = 1.3
    motion_worth: float = 0.7
    motion_floor: float = 0.3
    vq_lambda: float = 0.09

    @staticmethod
    def lagrangian(q: float) -> float:
        """Bits per pixel that one unit of squared 8-bit error is worth at quality q: doubles every six steps."""
        return 1.5e-4 * 2 ** (q / 6)

    def motion(self, q: float) -> tuple[float, float, float]:
        """For the search: SAD that one bit is worth (HM: square root of the squared-error lambda), bits that a unit of squared
        error of a sample is worth, squared error a sample that is left after coding."""
        k = self.lagrangian(q)
        return self.motion_sad * k**-0.5, self.motion_worth * k, self.motion_floor / k
