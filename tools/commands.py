#!/usr/bin/env python3
"""Write docs/commands.md, the reference of all commands and options, from the program itself:
``make docs``."""

from __future__ import annotations

import textwrap
from pathlib import Path

import click

from vqcodec.cli import cli
from vqcodec.cli.command import Rare, everything

TARGET = Path(__file__).resolve().parents[1] / "docs/commands.md"
COLUMNS = 100
HEAD = """# Commands and options

Made from the program by `make docs`; don't edit it. What the options mean in full, exit codes and
pipes: [cli.md](cli.md).

`vqcodec COMMAND -h` shows the options that are used most, `vqcodec COMMAND --help-all` all of them,
with those marked * here.
"""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _section(name: str, command: click.Command, context: click.Context) -> str:
    lines = [
        f"\n## vqcodec {name}\n",
        textwrap.fill(" ".join((command.help or "").split()), COLUMNS, break_on_hyphens=False),
        "",
        "```sh",
        f"vqcodec {name} " + " ".join(command.collect_usage_pieces(context)),
        "```",
        "",
    ]
    lines += ["| option | meaning |", "|---|---|"]
    for option in command.get_params(context):
        record = option.get_help_record(context)
        if record is not None and isinstance(option, click.Option):
            names, meaning = map(_cell, record)
            mark = " *" if isinstance(option, Rare) else ""
            lines.append(f"| `{names}`{mark} | {meaning} |")
    examples = getattr(command, "examples", ())
    if examples:
        lines += ["", "```sh", *examples, "```"]
    return "\n".join(lines) + "\n"


def reference() -> str:
    """The text of docs/commands.md."""
    root = everything(cli.make_context("vqcodec", [], resilient_parsing=True))
    parts = [HEAD]
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        if command is not None and not command.hidden:
            parts.append(_section(name, command, click.Context(command, root, name)))
    return "".join(parts)


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
