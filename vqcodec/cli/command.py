"""Commands with a short help of what is used most (``-h``) and a long one of everything
(``--help-all``)."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click

from ..errors import UsageError, VqvError
from ..system.memory import check_room
from ..system.stdio import PIPE
from ..version import __version__
from . import messages
from .spelling import sentence

_FILTER = "pictures are taken as they are: let ffmpeg filter them into a pipe (docs/cli.md, Pipes)"
_COPY = "tracks are copied as they are: let ffmpeg convert them, before or behind"
_CODEC = "encode has one picture codec, and --vcodec chooses that of decode"
# words of ffmpeg's that mean nothing here, and what does the same
_FFMPEG = {
    **dict.fromkeys(("-vf", "-filter:v", "-filter_complex", "-s"), _FILTER),
    **dict.fromkeys(("-c:a", "-acodec", "-c:s", "-scodec", "-af", "-b:a", "-ar"), _COPY),
    **dict.fromkeys(("-c:v", "-vcodec", "-c", "-codec"), _CODEC),
    **dict.fromkeys(("-loglevel", "-hide_banner", "-nostats"), "-q says less, and -v more"),
}

CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 110,
}
_ALL = "vqcodec.help-all"


class Rare(click.Option):
    """An option that the short help leaves out."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Nothing in the short help; in the long one what every option has."""
        return super().get_help_record(ctx) if ctx.meta.get(_ALL) else None


rare: Callable[..., Callable[[Any], Any]] = partial(click.option, cls=Rare)


def everything(ctx: click.Context) -> click.Context:
    """A context in which help shows all options."""
    ctx.meta[_ALL] = True
    return ctx


def long_help(command: click.Command, ctx: click.Context) -> str:
    """The help of a command with all its options; of a group with that of all its commands behind
    it."""
    texts = [command.get_help(everything(ctx))]
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            if child is not None and not child.hidden:
                texts.append(long_help(child, click.Context(child, ctx, name)))
    return "\n\n\n".join(texts)


def _show_all(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        messages.data(long_help(ctx.command, ctx) + "\n")
        ctx.exit()


def _show_help(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        messages.data(ctx.get_help() + "\n")
        ctx.exit()


class _Helpful(click.Command):
    """``examples``: lines of a shell shown below the options."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = examples
        self.params.append(
            click.Option(
                ["--help-all"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_all,
                help="Show all options and exit.",
            )
        )

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.callback = _show_help
        return option

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as exc:
            # of -presset click tells no more than its first letter
            whole = next(
                (
                    a
                    for a in given
                    if exc.option_name.startswith("-") and a.startswith(exc.option_name)
                ),
                exc.option_name,
            )
            if word := next((a for a in given if a in _FFMPEG), None):
                raise click.UsageError(f"{word}: {_FFMPEG[word]}", ctx) from exc
            raise click.NoSuchOption(
                whole.partition("=")[0],
                possibilities=[name for p in self.get_params(ctx) for name in p.opts],
                ctx=ctx,
            ) from exc

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        if not ctx.meta.get(_ALL) and any(isinstance(p, Rare) for p in self.get_params(ctx)):
            formatter.write_paragraph()
            formatter.write_text(f"{ctx.command_path} --help-all shows more options.")


class Command(_Helpful):
    """A command; its option ``--log-file``, if it has one, is dealt with here."""

    def invoke(self, ctx: click.Context) -> Any:
        """Set up what is said and how, open the log, then run the command."""
        talk = messages.current()
        talk.quiet = bool(ctx.params.get("quiet"))
        path = ctx.params.pop("log_file", None)
        if path is not None:
            talk.open_log(
                path,
                [
                    name
                    for value in ctx.params.values()
                    for name in (value if isinstance(value, tuple) else (value,))
                    if isinstance(name, str) and name
                ],
            )
            talk.say(f"vqcodec {__version__}: {shlex.join(talk.args)}", quiet=True)
        if "device" in ctx.params and not ctx.params.get("fast"):  # a command that runs the nets
            check_room()
        return super().invoke(ctx)


class Group(_Helpful, click.Group):
    """The program; its commands are listed in the order in which they were added."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Arguments in which ``help COMMAND`` has become ``COMMAND -h``."""
        if args[:1] == ["help"]:  # git's word for it
            args = [*args[1:2], "-h"]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands in the order in which they are shown: that of their definition, not of the
        alphabet."""
        return list(self.commands)


command: Callable[..., Callable[[Any], click.Command]] = partial(
    click.command, cls=Command, context_settings=CONTEXT
)


def each_file(
    files: tuple[str, ...],
    act: Callable[[str], int],
    failed: Callable[[str, VqvError], None],
) -> int:
    """Do it for all files, also where one of them fails, which ``failed`` is told; the worst
    (largest) exit code. The error of a file that is the only one is raised."""
    if files.count(PIPE) > 1:
        raise UsageError("-: standard input can be read once only")
    worst = 0
    for file in files:
        try:
            worst = max(worst, act(file))
        except VqvError as exc:
            if len(files) == 1:
                raise
            messages.say(f"vqcodec: error: {sentence(exc)}")
            failed(file, exc)
            worst = max(worst, exc.exit_code)
    return worst
