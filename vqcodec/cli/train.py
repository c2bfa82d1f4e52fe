"""``vqcodec train``: a model from one's own footage."""

from __future__ import annotations

import click

from ..errors import UsageError
from ..system.files import check_input
from ..system.torch_needed import need_torch
from .command import command
from .options import LOG, VERBOSE


@command(
    examples=[
        "vqcodec train my-camera.toml --dry-run   # what would be done, and whether all is there",
        "vqcodec train my-camera.toml --resume",
    ]
)
@click.argument("config", type=click.Path())
@click.option("--resume", is_flag=True, help="Continue where an earlier run was stopped.")
@click.option("--restart", is_flag=True, help="Throw away what an earlier run trained.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Check the recipe, show its stages, and train nothing.",
)
@click.option("-y", "overwrite", is_flag=True, help="Overwrite weights files that exist.")
@LOG
@VERBOSE
def train(config: str, resume: bool, restart: bool, dry_run: bool, overwrite: bool) -> int:
    """Train a model as CONFIG says."""
    if resume and restart:
        raise UsageError("--resume and --restart exclude each other")
    check_input(config)
    need_torch("train")
    from ..training.recipe import main as run

    run(config, resume, restart, overwrite, dry_run)
    return 0
