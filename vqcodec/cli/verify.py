"""``vqcodec verify``: whether .vqv files are whole."""

from __future__ import annotations

import json
from typing import Any

import click

from ..errors import DamageError, VqvError
from ..options import DecodeOptions, Limits
from ..system.progress import counted
from ..system.stdio import check_source
from . import messages
from .command import command, each_file
from .messages import Manner, finish, progress, warn
from .options import JSON, LIMITS, NETWORK, TALK, WEIGHTS
from .spelling import record, sentence
from .typed import Fields, made


@command(
    short_help="Check .vqv files and their pixels.",
    examples=["vqcodec verify in.vqv", "vqcodec verify --fast --json *.vqv"],
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option(
    "--fast", is_flag=True, help="Check the checksums of the files only, without decoding."
)
@JSON
@WEIGHTS
@NETWORK
@LIMITS
@TALK
def verify(
    files: tuple[str, ...],
    fast: bool,
    as_json: bool,
    weights: str | None,
    fields: Fields,
    limits: Limits,
    manner: Manner,
) -> int:
    """Check that files are whole and decode to the pixels their encoder saw.

    All of them are checked; the exit code is the worst one. JSON has a line for each.
    """
    options = made(DecodeOptions, fields | {"limits": limits})
    results: list[dict[str, Any]] = []
    if as_json or not manner.quiet:
        messages.need_stdout()

    def one(file: str) -> int:
        check_source(file)
        from ..reading.verify import verify as run

        with progress(manner) as shown:
            result = run(file, fast, weights=weights, options=options, progress=shown)
        results.append(result.to_json())
        if as_json:
            messages.data(json.dumps(record(result.to_json()), allow_nan=False) + "\n")
        else:
            warn(file, result.damage)
            checked = "packets" if fast else "packets and pixels"
            state = "intact" if result.ok else "DAMAGED"
            if not manner.quiet:
                broken = result.damaged_gops
                found = f"{counted(result.frames, 'frame')}, {counted(result.gops, 'GOP')}"
                found += f", {broken} damaged" if broken else ""
                messages.show(f"{file}: {state} ({checked} checked): {found}, {result.bytes} bytes")
        return 0 if result.ok else DamageError.exit_code

    def failed(file: str, exc: VqvError) -> None:
        results.append({"file": file, "ok": False, "error": sentence(exc)})
        if as_json:
            messages.data(json.dumps(results[-1]) + "\n")

    code = each_file(files, one, failed)
    finish({"command": "verify"} | (results[0] if len(files) == 1 else {"files": results}))
    return code
