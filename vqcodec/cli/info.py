"""``vqcodec info``: what is in a .vqv file."""

from __future__ import annotations

import json

import click

from ..errors import DamageError
from ..pipes import check_source
from .shared import JSON, LIMITS, VERBOSE, WEIGHTS, command, limits_of


@command(short_help="Show what is in a .vqv file.", examples=["vqcodec info in.vqv", "vqcodec info --bits in.vqv", "vqcodec info --json in.vqv | jq .psnr"])
@click.argument("file", type=click.Path())
@JSON
@click.option("--bits", is_flag=True, help="Show where the bytes went, by level and syntax element. Reads all streams, so it needs the weights and the time of a decode.")
@click.option("--frames", is_flag=True, help="The same for each frame too.")
@WEIGHTS
@LIMITS
@VERBOSE
def info(file: str, as_json: bool, bits: bool, frames: bool, weights: str | None, **limits: int) -> int:
    """Show size, times, quality and GOPs of a .vqv file."""
    check_source(file)
    from ..info import as_text, describe

    result = describe(file, bits or frames, weights, limits_of(limits))
    click.echo(json.dumps(result, allow_nan=False) if as_json else as_text(result, frames))
    return 0 if result["ok"] else DamageError.exit_code
