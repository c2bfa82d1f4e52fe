"""What the words of ``vqcodec analyze`` ask for, and whether they go together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..parsing import parse_time
from ..system.files import check_output
from ..system.stdio import PIPE

LISTS = ("edl", "otio", "chapters")


@dataclass(frozen=True)
class Wanted:
    """What is asked for, by the names of the options."""

    shots: bool
    activity: bool
    anomaly: bool
    form: str  # table, json, csv, edl, otio or chapters
    threshold: float
    min_shot: str
    start_timecode: str | None
    drop_frame: bool | None
    embed: str | None
    stats: str | None
    sheet: str | None

    @property
    def parts(self) -> tuple[str, ...]:
        """What the answer has: the shots where nothing else is asked for."""
        named = {"shots": self.shots, "activity": self.activity, "anomaly": self.anomaly}
        return tuple(name for name, asked in named.items() if asked) or ("shots",)

    @property
    def outputs(self) -> list[str]:
        """Files that are written."""
        return [path for path in (self.embed, self.stats, self.sheet) if path is not None]


def wanted_of(words: dict[str, Any], files: tuple[str, ...], like: str | None) -> Wanted:
    """What the words ask for. UsageError for what does not go together."""
    forms = [name for name in ("json", "csv", *LISTS) if words[f"as_{name}"]]
    if len(forms) > 1:
        raise UsageError(f"--{forms[0]} and --{forms[1]} exclude each other")
    form = forms[0] if forms else "table"
    names = ("shots", "activity", "anomaly", "threshold", "min_shot", "start_timecode")
    more = ("drop_frame", "embed", "stats", "sheet")
    wanted = Wanted(form=form, **{name: words[name] for name in (*names, *more)})
    if not 0 <= wanted.threshold <= 1:
        raise UsageError(
            f"{wanted.threshold} is out of range, allowed are 0 to 1", option="threshold"
        )
    parse_time(wanted.min_shot, "min_shot")
    single = [name for name in ("stats", "sheet") if getattr(wanted, name) is not None]
    single += [form] if form in LISTS else []
    if len(files) > 1 and single:
        raise UsageError(f"--{single[0]} is of one file, {len(files)} are named")
    if form in LISTS and (wanted.activity or wanted.anomaly):
        raise UsageError(f"--{form} lists shots only")
    if form == "csv" and len(wanted.parts) > 1:
        raise UsageError("--csv prints one table: choose --shots, --activity or --anomaly")
    clock = wanted.start_timecode is not None or wanted.drop_frame is not None
    if clock and form not in ("edl", "otio"):
        raise UsageError("time codes are in --edl and --otio only")
    if like is not None and (wanted.outputs or form not in ("table", "json")):
        raise UsageError("--like prints a ranking, as a table or with --json")
    return wanted


def check_outputs(paths: list[str], files: tuple[str, ...], overwrite: bool) -> None:
    """Refuse files that must not be written. Standard output has the answer."""
    for number, path in enumerate(paths):
        if path == PIPE:
            raise UsageError("the answer goes to standard output: name a file", file=path)
        check_output(path, [f for f in files if f != PIPE], overwrite)
        if Path(path).resolve() in [Path(other).resolve() for other in paths[:number]]:
            raise UsageError("is named for two outputs", file=path)
