"""``vqcodec bench``: an honest comparison with x264, x265 and SVT-AV1."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import UsageError
from ..options import PRESET_NAMES, EncodeOptions
from ..system.files import atomic_output, check_output
from . import messages
from .command import command, rare
from .groups import group
from .messages import say
from .options import MESSAGES, WEIGHTS
from .spelling import remark
from .typed import presets

if TYPE_CHECKING:
    from ..bench.options import BenchOptions


def _options(
    anchors: str,
    crfs: str,
    frames: int,
    preset: str,
    threads: int,
    device: str,
    weights: str | None,
    fresh: bool,
) -> BenchOptions:
    """What is measured, and how."""
    from ..bench.options import BenchOptions, parse_anchors, parse_crfs

    return BenchOptions(
        parse_anchors(anchors),
        parse_crfs(crfs),
        frames,
        preset,
        threads,
        device,
        weights,
        fresh,
    )


@dataclass(frozen=True)
class _Outputs:
    """Where the results go."""

    json: str | None  # "-" for standard output
    html: str | None
    plot: str | None
    overwrite: bool

    @property
    def files(self) -> list[str]:
        """Names of files that are written."""
        named = (self.html, self.plot, None if self.json == "-" else self.json)
        return [path for path in named if path is not None]

    def check(self, clips: list[Path]) -> None:
        """Raises UsageError and OutputError for what cannot or must not be written."""
        for path in self.files:
            check_output(path, clips, self.overwrite)
        if len({str(Path(path).resolve()) for path in self.files}) < len(self.files):
            raise UsageError("--json, --html and --plot need files of their own")
        if self.plot and Path(self.plot).suffix.lower() not in (".png", ".svg"):
            raise UsageError(
                f"--plot: {self.plot}: unknown kind of picture, allowed are .png and .svg"
            )
        if self.json == "-" or not self.files:
            messages.need_stdout()

    def write(self, path: str, data: bytes) -> None:
        """Write one of them."""
        with atomic_output(path, self.overwrite) as file:
            file.write(data)


def _outputs(
    json_path: str | None, html: str | None, plot: str | None, overwrite: bool
) -> _Outputs:
    return _Outputs(json_path, html, plot, overwrite)


_MEASURED = group(
    _options,
    click.option(
        "--anchors",
        default="x264,x265,svtav1",
        metavar="LIST",
        show_default=True,
        help="What to compare with, each with a preset if wanted (x265:slow); none for nothing.",
    ),
    click.option(
        "-crf",
        "--crf",
        "crfs",
        default="14,24,34,44",
        metavar="LIST",
        show_default=True,
        help="Qualities of vqcodec.",
    ),
    click.option(
        "--frames",
        type=int,
        default=0,
        metavar="N",
        help="Frames of each clip, from its beginning.  [default: all]",
    ),
    click.option(
        "-preset",
        "--preset",
        "preset",
        default=EncodeOptions.preset,
        metavar="NAME",
        help=f"Preset of vqcodec: {PRESET_NAMES}.",
        show_default=True,
        shell_complete=presets,
    ),
    click.option(
        "-threads",
        "--threads",
        type=int,
        default=0,
        metavar="N",
        help="Threads of every encoder and decoder, 0 for what each chooses.",
    ),
    rare(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="Of vqcodec: auto, cpu, cuda, cuda:N or mps.",
    ),
    WEIGHTS,
    rare("--fresh", is_flag=True, help="Measure again what is there already."),
    into="options",
)
_WRITTEN = group(
    _outputs,
    click.option(
        "--json",
        "json_path",
        metavar="FILE",
        type=click.Path(),
        help="Write the results as JSON; - for standard output, instead of the table.",
    ),
    click.option(
        "--html",
        metavar="FILE",
        type=click.Path(),
        help="Write a report: one page that needs no network.",
    ),
    click.option(
        "--plot",
        metavar="FILE",
        type=click.Path(),
        help="Draw the curves, as .png or .svg.",
    ),
    click.option("-y", "overwrite", is_flag=True, help="Overwrite files that exist."),
    into="outputs",
)


@command(
    short_help="Measure beside x264, x265 and SVT-AV1.",
    examples=[
        "vqcodec bench clips --html report.html",
        "vqcodec bench in.mkv --frames 96 --anchors x264:slow,x265 --json results.json --plot"
        " curves.png",
    ],
)
@click.argument("clips", nargs=-1, required=True, metavar="CLIPS...", type=click.Path())
@_MEASURED
@_WRITTEN
@rare(
    "--cache",
    metavar="FOLDER",
    type=click.Path(),
    help=(
        "Where finished measurements are kept.  [default: vqcodec/bench in the user's cache folder]"
    ),
)
@MESSAGES
def bench(
    clips: tuple[str, ...],
    options: BenchOptions,
    outputs: _Outputs,
    cache: str | None,
    quiet: bool,
) -> int:
    """Measure vqcodec beside other encoders on the same frames of CLIPS (files, or folders of
    them).

    A run that was stopped continues when it is started again.
    """
    from ..bench import check_packages
    from ..bench.options import find_clips

    found = find_clips(clips)
    outputs.check(found)
    check_packages()
    from ..bench.run import run
    from ..bench.store import Store, default_folder
    from ..bench.table import as_text

    def tell(text: str) -> None:
        say(f"vqcodec: {remark(text)}", quiet)

    store = Store(Path(cache) if cache else default_folder())
    results = run(found, options, store, matched=outputs.html is not None, say=tell)
    as_json = json.dumps(results.to_json(), indent=1, allow_nan=False) + "\n"
    if outputs.json and outputs.json != "-":
        outputs.write(outputs.json, as_json.encode())
    if outputs.html:
        from ..bench.report import page

        outputs.write(outputs.html, page(results, store).encode())
    if outputs.plot:
        from ..bench.plots import draw

        outputs.write(outputs.plot, draw(results, Path(outputs.plot).suffix.lower()[1:]))
    if outputs.json == "-":
        messages.data(as_json)
    elif sys.stdout is not None:
        messages.data(as_text(results) + "\n")
    return 0
