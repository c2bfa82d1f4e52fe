"""The program with the stand-in of the networks, in a process of its own: ``python standin.py
encode ...``. Says its peak memory at the end."""

from __future__ import annotations

import resource
import sys

from support import fakes
from vqcodec.batch import runners
from vqcodec.cli import main
from vqcodec.pipeline import process_pool

if __name__ == "__main__":
    fakes.install(fakes.Lasting())
    runners.serve = fakes.serve
    process_pool._work = fakes.work
    code = main()
    fakes.note_peak("program")
    if "--progress" in sys.argv:
        print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}", file=sys.stderr)
    sys.exit(code)
