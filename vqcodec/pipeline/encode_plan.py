"""What an encode is to do, known and checked before anything is opened."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ..errors import UsageError
from ..options import EncodeOptions
from ..system.endpoints import Destination, Source
from ..system.files import check_output, local
from ..system.stdio import ByteStream, check_coded, same_output


@dataclass(frozen=True)
class EncodePlan:
    """A source, a destination and how the one becomes the other. Made by :meth:`of`."""

    source: Source
    destination: Destination
    options: EncodeOptions
    weights: str | None  # path; None: those that come with the program
    spread: bool = False  # whether processors and memory say how many processes and threads code

    @classmethod
    def of(
        cls,
        src: str | os.PathLike[str],
        dst: str | os.PathLike[str],
        options: EncodeOptions,
        *,
        weights: str | os.PathLike[str] | None = None,
        overwrite: bool = False,
        stream: ByteStream | None = None,
        spread: bool = False,
    ) -> EncodePlan:
        """Refuse what can be refused without a look into the source.

        A ``stream`` is read in the place of the file ``src``, which then is what messages call it.
        ``spread``: whether processors and memory say how many processes and threads code.
        Raises UsageError, InputError and OutputError.
        """
        name, dst = local(os.fspath(src)), os.fspath(dst)
        check_coded(dst, name)
        source = Source.of(name, stream)
        destination = Destination.of(dst, source.files, overwrite)
        if options.resume and (source.once or destination.piped):
            raise UsageError(
                "a file is needed for input and output, not -, nor a named pipe", option="resume"
            )
        if options.stats:
            if same_output(options.stats, dst):
                raise UsageError("the output is the same file", file=dst, option="stats")
            check_output(options.stats, [] if source.once else source.files, overwrite)
        named = None if weights is None else os.fspath(weights)
        return cls(source, destination, options, named, spread)
