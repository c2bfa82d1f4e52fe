"""Rate-distortion trade-offs of the encoder. None of this is part of the format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RateParameters:
    """motion: weight of a bit of motion against SAD, relative to sqrt(1/lambda); vq_lambda: squared steps a bit of the latent is worth."""

    motion: float = 1.3
    vq_lambda: float = 0.12

    @staticmethod
    def lagrangian(q: float) -> float:
        """Bits per pixel that one unit of squared 8-bit error is worth at quality q: doubles every six steps."""
        return 1.5e-4 * 2 ** (q / 6)

    def motion_lambda(self, q: float) -> float:
        """SAD units that one bit is worth (HM: square root of the squared-error lambda)."""
        return self.motion * self.lagrangian(q) ** -0.5
