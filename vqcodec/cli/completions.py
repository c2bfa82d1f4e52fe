"""``vqcodec completions``: the script that lets a shell complete commands, options and names of
files."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from . import messages
from .command import command

SHELLS = ("bash", "zsh", "fish")


@command(
    short_help="Print the completion script of a shell.",
    examples=[
        "vqcodec completions bash > ~/.local/share/bash-completion/completions/vqcodec",
        "vqcodec completions zsh > ~/.zfunc/_vqcodec      # with fpath+=(~/.zfunc) before"
        " compinit in ~/.zshrc",
        "vqcodec completions fish > ~/.config/fish/completions/vqcodec.fish",
    ],
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completions(ctx: click.Context, shell: str) -> int:
    """Print the script that makes SHELL complete commands, options and file names."""
    root = ctx.find_root()
    made = get_completion_class(shell)
    assert made is not None  # click has all of SHELLS
    messages.data(made(root.command, {}, "vqcodec", "_VQCODEC_COMPLETE").source())
    return 0
