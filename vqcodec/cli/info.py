"""``vqcodec info``: what is in .vqv files."""

from __future__ import annotations

import json

import click

from ..errors import DamageError, VqvError
from ..options import Limits
from ..system.stdio import check_source
from . import messages
from .command import command, each_file
from .options import JSON, LIMITS, VERBOSE, WEIGHTS
from .spelling import record, sentence


@command(
    short_help="Show what is in .vqv files.",
    examples=[
        "vqcodec info in.vqv",
        "vqcodec info --bits in.vqv",
        "vqcodec info --json *.vqv | jq .psnr",
    ],
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@JSON
@click.option(
    "--bits",
    is_flag=True,
    help=(
        "Show where the bytes went, by level and syntax element. Reads all streams, so it needs"
        " the weights and the time of a decode."
    ),
)
@click.option("--gops", is_flag=True, help="Show a line for each GOP, not for the first ones only.")
@click.option("--frames", is_flag=True, help="The same for each frame too.")
@WEIGHTS
@LIMITS
@VERBOSE
def info(
    files: tuple[str, ...],
    as_json: bool,
    bits: bool,
    gops: bool,
    frames: bool,
    weights: str | None,
    limits: Limits,
) -> int:
    """Show size, times, quality and GOPs of .vqv files; JSON has a line for each."""
    messages.need_stdout()

    def one(file: str) -> int:
        check_source(file)
        from ..reading.info import describe
        from .info_text import as_text

        result = describe(file, bits or frames, weights, limits)
        text = (
            json.dumps(record(result.to_json()), allow_nan=False)
            if as_json
            else as_text(result, frames, gops)
        )
        messages.data(text + "\n")
        return 0 if result.ok else DamageError.exit_code

    def failed(file: str, exc: VqvError) -> None:
        if as_json:
            messages.data(json.dumps({"file": file, "ok": False, "error": sentence(exc)}) + "\n")

    return each_file(files, one, failed)
