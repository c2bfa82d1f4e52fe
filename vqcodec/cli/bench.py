"""``vqcodec bench``: an honest comparison with x264, x265 and SVT-AV1."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from ..errors import UsageError
from ..options import EncodeOptions
from ..system.files import atomic_output, check_output
from . import messages
from .shared import LOG, QUIET, VERBOSE, WEIGHTS, command, presets, rare, say
from .spelling import remark


@command(
    short_help="Measure beside x264, x265 and SVT-AV1.",
    examples=[
        "vqcodec bench clips --html report.html",
        "vqcodec bench in.mkv --frames 96 --anchors x264:slow,x265 --json results.json --plot curves.png",
    ],
)
@click.argument("clips", nargs=-1, required=True, metavar="CLIPS...", type=click.Path())
@click.option(
    "--anchors",
    default="x264,x265,svtav1",
    metavar="LIST",
    show_default=True,
    help="What to compare with, each with a preset if wanted (x265:slow); none for nothing.",
)
@click.option(
    "-crf",
    "--crf",
    "crfs",
    default="14,24,34,44",
    metavar="LIST",
    show_default=True,
    help="Qualities of vqcodec.",
)
@click.option(
    "--frames",
    type=int,
    default=0,
    metavar="N",
    help="Frames of each clip, from its beginning.  [default: all]",
)
@click.option(
    "-preset",
    "--preset",
    "preset",
    default=EncodeOptions.preset,
    metavar="NAME",
    help="Preset of vqcodec: fast, medium or slow.",
    show_default=True,
    shell_complete=presets,
)
@click.option(
    "-threads",
    "--threads",
    type=int,
    default=0,
    metavar="N",
    help="Threads of every encoder and decoder, 0 for what each chooses.",
)
@rare(
    "--device", default="auto", metavar="DEVICE", help="Of vqcodec: auto, cpu, cuda, cuda:N or mps."
)
@WEIGHTS
@click.option(
    "--json",
    "json_path",
    metavar="FILE",
    type=click.Path(),
    help="Write the results as JSON; - for standard output, instead of the table.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(),
    help="Write a report: one page that needs no network.",
)
@click.option("--plot", metavar="FILE", type=click.Path(), help="Draw the curves, as .png or .svg.")
@rare(
    "--cache",
    metavar="FOLDER",
    type=click.Path(),
    help="Where finished measurements are kept.  [default: vqcodec/bench in the user's cache folder]",
)
@rare("--fresh", is_flag=True, help="Measure again what is there already.")
@click.option("-y", "overwrite", is_flag=True, help="Overwrite files that exist.")
@LOG
@VERBOSE
@QUIET
def bench(
    clips: tuple[str, ...],
    anchors: str,
    crfs: str,
    frames: int,
    preset: str,
    threads: int,
    device: str,
    weights: str | None,
    json_path: str | None,
    html: str | None,
    plot: str | None,
    cache: str | None,
    fresh: bool,
    overwrite: bool,
    quiet: bool,
) -> int:
    """Measure vqcodec beside other encoders on the same frames of CLIPS (files, or folders of them).

    A run that was stopped goes on when it is started again: what is finished is kept.
    """
    from ..bench import check_packages
    from ..bench.options import BenchOptions, find_clips, parse_anchors, parse_crfs

    chosen = BenchOptions(
        parse_anchors(anchors), parse_crfs(crfs), frames, preset, threads, device, weights, fresh
    )
    found = find_clips(clips)
    targets = [
        path
        for path in (json_path, html, plot)
        if path is not None and not (path == "-" and path is json_path)
    ]
    for path in targets:
        check_output(path, found, overwrite)
    if len({str(Path(p).resolve()) for p in targets}) < len(targets):
        raise UsageError("--json, --html and --plot need files of their own")
    if plot and Path(plot).suffix.lower() not in (".png", ".svg"):
        raise UsageError(f"--plot: {plot}: unknown kind of picture, allowed are .png and .svg")
    if json_path == "-" or not targets:
        messages.need_stdout()
    check_packages()
    from ..bench.run import run
    from ..bench.store import Store, default_folder
    from ..bench.table import as_text

    store = Store(Path(cache) if cache else default_folder())
    results = run(
        found,
        chosen,
        store,
        matched=html is not None,
        say=lambda text: say(f"vqcodec: {remark(text)}", quiet),
    )
    as_json = json.dumps(results, indent=1, allow_nan=False) + "\n"
    if json_path and json_path != "-":
        with atomic_output(json_path, overwrite) as file:
            file.write(as_json.encode())
    if html:
        from ..bench.report import page

        with atomic_output(html, overwrite) as file:
            file.write(page(results, store).encode())
    if plot:
        from ..bench.plots import draw

        with atomic_output(plot, overwrite) as file:
            file.write(draw(results, Path(plot).suffix.lower()[1:]))
    if json_path == "-":
        messages.data(as_json)
    elif sys.stdout is not None:
        messages.data(as_text(results) + "\n")
    return 0
