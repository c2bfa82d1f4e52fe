"""The ranges of exact arithmetic (docs/format.md, Networks)."""

from __future__ import annotations

TOP8 = 127  # largest int8 activation
TOP16 = 32767  # largest value of a trunk and of other 16-bit results
WIDE = 16000  # largest wide activation, of 15 bits
SLOPE = 0.125  # of the leaky rectifier
EXACT = 1 << 24  # no accumulator of an int8 product reaches it: below it every integer is a float32
