"""``vqcodec analyze``: shots, activity and likeness of videos, by how they are coded."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..container.packets import MAGIC
from ..errors import DamageError, InputError, VqvError, located
from ..options import Limits
from ..parsing import parse_time
from ..system.files import atomic_output
from ..system.stdio import PIPE, check_source
from . import messages
from .analyze_words import LISTS, Wanted, check_outputs, wanted_of
from .command import command, each_file, rare
from .options import JSON, LIMITS, MESSAGES, OVERWRITE, WEIGHTS
from .spelling import sentence

if TYPE_CHECKING:
    from ..analysis.shot import Embedding, Shot
    from ..reading.file_analysis import Analysis
    from ..reading.likeness import Likeness
    from ..reading.looks import Looks
    from .analyze_text import Ranked

_ENCODE_CRF = 34  # of what is encoded on the way only
_OTHER_MODEL = "made with another model: motion and bits are read, the hyper-latent is not"
_NOT_SHOWN = ", and embeddings say nothing of what is shown"
Take = Callable[["Looks"], None]  # makes something of a file's embeddings while it is open


@command(
    short_help="Find shots, camera moves and alike videos by how they are coded.",
    examples=[
        "vqcodec analyze in.vqv",
        "vqcodec analyze --shots --json in.vqv | jq .shots",
        "vqcodec analyze --edl in.vqv > in.edl",
        "vqcodec analyze --encode --sheet sheet.png film.mp4",
        "vqcodec analyze --like clip.vqv *.vqv",
    ],
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option("--shots", is_flag=True, help="Show the shots (the default).")
@click.option(
    "--activity", is_flag=True, help="Show how much moves and what the camera does, each second."
)
@click.option(
    "--anomaly", is_flag=True, help="Show the frames that are least like the rest of the file."
)
@JSON
@click.option("--csv", "as_csv", is_flag=True, help="Print rows for spreadsheets.")
@click.option("--edl", "as_edl", is_flag=True, help="Print the shots as an EDL (CMX 3600).")
@click.option("--otio", "as_otio", is_flag=True, help="Print the shots for OpenTimelineIO.")
@click.option(
    "--chapters", "as_chapters", is_flag=True, help="Print the shots as chapters for ffmpeg."
)
@click.option(
    "--like",
    metavar="CLIP",
    type=click.Path(),
    help="Rank the files by how much a stretch of them is like this clip.",
)
@click.option("--sheet", metavar="PNG", type=click.Path(), help="Write a picture of each shot.")
@click.option(
    "--embed",
    metavar="NPY",
    type=click.Path(),
    help="Write 64 numbers for each shot, for which a picture of each is decoded; the scalar "
    "product of two is near 1 where they are alike.",
)
@click.option("--stats", metavar="CSV", type=click.Path(), help="Write a row for each frame.")
@click.option(
    "--threshold",
    type=float,
    default=0.5,
    show_default=True,
    metavar="P",
    help="0 to 1: how certain a change of shots must be.",
)
@click.option(
    "--min-shot",
    default="0",
    show_default=True,
    metavar="TIME",
    help="Shortest shot: 0.4s, or 10f (frames).",
)
@rare("--start-timecode", metavar="TIMECODE", help="Of the first frame in --edl and --otio.")
@rare(
    "--drop-frame/--non-drop-frame",
    "drop_frame",
    default=None,
    help="Time codes with dropped numbers; without a word at 30000/1001 and 60000/1001 only.",
)
@click.option(
    "--encode",
    is_flag=True,
    help="Encode other files than .vqv for this, fast, and throw that away.",
)
@OVERWRITE
@WEIGHTS
@LIMITS
@MESSAGES
def analyze(files: tuple[str, ...], like: str | None, limits: Limits, **words: Any) -> int:
    """Find out what videos show from how they are coded: thousands of frames a second, since few
    pictures are decoded: three of each gradual change, and one of each shot for --sheet, --embed
    and --like.

    All files are read; the exit code is the worst one. JSON has a line for each. Lost frames are
    gaps between shots.
    """
    wanted = wanted_of(words, files, like)
    run = _Run(wanted, words["weights"], limits, words["encode"], words["quiet"])
    check_outputs(wanted.outputs, files, words["overwrite"])
    if like is not None:
        return _rank(run, like, files)

    from . import analyze_text  # it loads what compiles kernels

    def failed(file: str, exc: VqvError) -> None:
        if wanted.form == "json":
            messages.data(analyze_text.failed(file, sentence(exc)))

    messages.need_stdout()
    code = each_file(files, run.one, failed)
    if wanted.embed is not None:
        run.write_vectors(wanted.embed, words["overwrite"])
    return code


class _Run:
    """Analyses files one after the other."""

    def __init__(
        self, wanted: Wanted, weights: str | None, limits: Limits, encode: bool, quiet: bool
    ) -> None:
        self._wanted, self._weights, self._limits = wanted, weights, limits
        self._encode, self._quiet = encode, quiet
        self._vectors: list[Any] = []
        self._headed = False  # whether the names of columns have been printed

    @property
    def as_json(self) -> bool:
        """Whether the answer is JSON."""
        return self._wanted.form == "json"

    @contextmanager
    def coded(self, file: str) -> Iterator[str]:
        """The path of a .vqv file: of this one, or of what it was encoded to on the way.

        Raises InputError where it is none and is not to be encoded.
        """
        check_source(file)
        if file == PIPE or _is_vqv(file):
            yield file
            return
        if not self._encode:
            raise InputError(
                "it is no .vqv file",
                file=file,
                advice="encode it first, or let --encode do it on the way",
            )
        from ..options import EncodeOptions
        from ..pipeline.encode import encode

        with tempfile.TemporaryDirectory(prefix="vqcodec-") as folder:
            path = str(Path(folder) / "on-the-way.vqv")
            options = EncodeOptions(preset="fast", crf=_ENCODE_CRF, device="cpu")
            encode(file, path, options, weights=self._weights)
            yield path

    def analysis(self, path: str, name: str, take: Take | None = None) -> Analysis:
        """What is known of a file; what is wrong with it is told.

        take: is given the file's embeddings as well, for which pictures are decoded.
        """
        from ..reading.checks import open_reader
        from ..reading.file_analysis import analyse_file

        with ExitStack() as stack:
            reader = open_reader(stack, path, self._limits)
            found = analyse_file(reader, self._weights)
            if take is not None:
                from ..reading.looks import looks_at

                with located(file=name):
                    looks, damage = looks_at(reader, found, self._weights)
                    take(looks)
                found.damage.extend(text for text in damage if text not in found.damage)
        messages.warn(name, found.damage)
        if not found.known_model:
            text = _OTHER_MODEL + (_NOT_SHOWN if take is not None else "")
            messages.note(name, [text], self._quiet)
        return found

    def shots(self, analysis: Analysis) -> list[Shot]:
        """The shots as the options want them."""
        least = parse_time(self._wanted.min_shot, "min_shot")
        seconds = least.seconds
        if least.frames is not None:
            seconds = least.frames / analysis.rate
        return analysis.shots(self._wanted.threshold, float(seconds or 0))

    def one(self, file: str) -> int:
        """Analyse a file and print the answer."""
        from . import analyze_text

        wanted = self._wanted

        def take(looks: Looks) -> None:
            found = self.shots(looks.analysis)
            self._vectors += [looks.embedding(s.start, s.end).vector for s in found]

        with self.coded(file) as path:
            analysis = self.analysis(path, file, None if wanted.embed is None else take)
            shots = self.shots(analysis)
            answer = analyze_text.Answer(file, analysis, shots, wanted.parts)
            if wanted.form in LISTS:
                code = (wanted.start_timecode, wanted.drop_frame)
                messages.data(analyze_text.edit_list(wanted.form, answer, *code))
            elif wanted.form == "csv":
                table = analyze_text.as_csv(answer, head=not self._headed)
                self._headed = self._headed or bool(table)
                messages.data(table)
            else:
                messages.data(analyze_text.FORMS[wanted.form](answer))
            if wanted.stats is not None:
                self._write(wanted.stats, analyze_text.stats(analysis).encode())
            if wanted.sheet is not None:
                self._draw(path, wanted.sheet, shots)
        return DamageError.exit_code if analysis.damage else 0

    def _draw(self, path: str, target: str, shots: list[Shot]) -> None:
        from ..reading.contact_sheet import MOST, contact_sheet, png
        from ..reading.open_video import open as open_video

        if len(shots) > MOST:
            messages.note(target, [f"of {len(shots)} shots it has the {MOST} longest"], self._quiet)
        how: dict[str, Any] = {"weights": self._weights, "limits": self._limits}
        with open_video(path, output="numpy", on_damage="conceal", **how) as video:
            self._write(target, png(contact_sheet(video, shots)))

    def _write(self, path: str, data: bytes) -> None:
        with atomic_output(path, True) as file:  # looked at before
            file.write(data)

    def write_vectors(self, path: str, overwrite: bool) -> None:
        """The embeddings of all shots, (shots, 64) float32."""
        import numpy as np

        data = io.BytesIO()
        np.save(data, np.array(self._vectors, np.float32).reshape(-1, 64))
        with atomic_output(path, overwrite) as file:
            file.write(data.getvalue())


def _rank(run: _Run, clip: str, files: tuple[str, ...]) -> int:
    """Print the files by how much they are like a clip."""
    from ..reading.likeness import most_alike
    from . import analyze_text

    clips: list[Embedding] = []
    with run.coded(clip) as path:
        sought = run.analysis(path, clip, lambda looks: clips.append(looks.embedding()))
    seconds = sought.seconds(len(sought)) - sought.seconds(0)
    lines: list[Ranked] = []

    def one(file: str) -> int:
        likest: list[Likeness] = []

        def take(looks: Looks) -> None:
            likest.append(most_alike(clips[0], seconds, looks))

        with run.coded(file) as path:
            found = run.analysis(path, file, take)
        best = likest[0]
        begin, end = found.seconds(best.start), found.seconds(best.end)
        lines.append(analyze_text.Ranked(file, best.similarity, begin, end))
        return DamageError.exit_code if found.damage else 0

    code = each_file(files, one, lambda file, exc: None)
    messages.data(analyze_text.ranking(lines, run.as_json))
    return max(code, DamageError.exit_code if sought.damage else 0)


def _is_vqv(file: str) -> bool:
    """Whether a file begins as a .vqv does, or what is left of a damaged one has its name."""
    with Path(file).open("rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC or Path(file).suffix.lower() == ".vqv"
