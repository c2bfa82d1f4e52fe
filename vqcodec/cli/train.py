"""``vqcodec train``: a model from one's own footage."""

from __future__ import annotations

import click

from ..errors import UsageError
from ..files import check_input
from .shared import CONTEXT


@click.command(context_settings=CONTEXT)
@click.argument("config", type=click.Path())
@click.option("--resume", is_flag=True, help="Go on where an earlier run was stopped.")
@click.option("--restart", is_flag=True, help="Throw away what an earlier run trained.")
@click.option("-v", "--verbose", count=True, hidden=True)
def train(config: str, resume: bool, restart: bool, verbose: int) -> int:
    """Train a model as CONFIG says."""
    if resume and restart:
        raise UsageError("--resume and --restart exclude each other")
    check_input(config)
    from ..training.stages import main as run

    run(config, resume, restart)
    return 0
