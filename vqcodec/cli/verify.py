"""``vqcodec verify``: whether a .vqv file is whole."""

from __future__ import annotations

import json

import click

from ..errors import DamageError
from ..options import DecodeOptions
from ..pipes import check_source
from .shared import JSON, LIMITS, NETWORK, TALK, command, finish, limits_of, progress, warn


@command(short_help="Check a .vqv file and its pixels.", examples=["vqcodec verify in.vqv", "vqcodec verify --fast --json in.vqv"])
@click.argument("file", type=click.Path())
@click.option("--fast", is_flag=True, help="Check the file's checksums only, without decoding.")
@JSON
@NETWORK
@LIMITS
@TALK
def verify(file: str, fast: bool, as_json: bool, weights: str | None, threads: int, batch: int, device: str, progress_mode: str, quiet: bool, **limits: int) -> int:
    """Check that a file is whole and decodes to the pixels its encoder saw."""
    options = DecodeOptions(threads=threads, batch=batch, device=device, limits=limits_of(limits))
    check_source(file)
    from ..decoder import verify as run

    with progress(progress_mode, quiet) as shown:
        result = run(file, fast, weights=weights, options=options, progress=shown)
    finish({"command": "verify"} | result)
    if as_json:
        click.echo(json.dumps(result, allow_nan=False))
    else:
        warn(file, result["damage"])
        checked = "packets" if fast else "packets and pixels"
        state = "sound" if result["ok"] else "DAMAGED"
        if not quiet:
            click.echo(f"{file}: {state} ({checked} checked): {result['frames']} frames, {result['gops']} GOPs, {result['damaged_gops']} of them damaged, {result['bytes']} bytes")
    return 0 if result["ok"] else DamageError.exit_code
