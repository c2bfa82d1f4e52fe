"""Run the fast tests with the lowest versions that pyproject.toml promises, and with the newest.

Each set gets a virtual environment of its own beside the usual one, which later runs use again.
`make test-versions` runs this; PYTHON chooses the interpreter, TORCH_INDEX where torch comes from.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
SETS = ("lowest", "newest")
_INSTALLING = 1800  # seconds that one call of pip may take; a stalled index ends it
_ANSWER = 60  # seconds that an index may be silent
_FLOOR = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?\s*>=\s*([\w.]+)")


def floors(pyproject: Path = ROOT / "pyproject.toml") -> dict[str, str]:
    """The lowest version of each dependency; the highest floor where an extra asks for more."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    extras = project.get("optional-dependencies", {})
    found: dict[str, str] = {}
    for line in [*project["dependencies"], *(line for lines in extras.values() for line in lines)]:
        if match := _FLOOR.match(line):
            name, version = match[1].lower(), match[2]
            found[name] = max(found.get(name, "0"), version, key=_key)
    return found


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(n) for n in re.findall(r"\d+", version))


def environment(which: str, folder: Path, index: str) -> Path:
    """The python of an environment with one set of versions."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pins = folder / "versions.txt"
    lines = [f"{name}=={version}" for name, version in floors().items()]
    pins.write_text("\n".join(lines if which == "lowest" else []) + "\n", encoding="utf-8")
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    pip += ["-c", str(pins), "--timeout", str(_ANSWER)]
    pip += ["--upgrade"] if which == "newest" else []
    if index:
        subprocess.run([*pip, "torch", "--index-url", index], check=True, timeout=_INSTALLING)
        pip = [part for part in pip if part != "--upgrade"]
    subprocess.run([*pip, "-e", ".[test]"], check=True, cwd=ROOT, timeout=_INSTALLING)
    return python


def main() -> int:
    """Install each set of versions, run the tests with it, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--only", choices=SETS, help="one of the two sets")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="-SET is put behind it")
    parser.add_argument("--index", default=os.environ.get("TORCH_INDEX", ""), help="torch's")
    parser.add_argument("--jobs", default="2", help="tests at the same time")
    parser.add_argument("tests", nargs="*", help="for pytest; options of its own after --")
    args = parser.parse_args()
    failed = []
    for which in [args.only] if args.only else SETS:
        folder = args.venv.with_name(f"{args.venv.name}-{which}").resolve()
        python = environment(which, folder, args.index)
        freeze = [str(python), "-m", "pip", "freeze", "--exclude-editable"]
        listed = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout
        (folder / "installed.txt").write_text(listed, encoding="utf-8")
        print(f"== {which} versions: {folder / 'installed.txt'}", flush=True)
        env = os.environ | {"NUMBA_CACHE_DIR": str(folder / "kernels"), "PYTHONPATH": str(ROOT)}
        env["PATH"] = f"{folder / 'bin'}{os.pathsep}{env['PATH']}"
        # a newer library's warnings about its future are no failures of ours
        pytest = [str(python), "-m", "pytest", "-q", "-n", args.jobs, "--dist", "worksteal"]
        pytest += ["-W", "default", *args.tests]
        if subprocess.run(pytest, cwd=ROOT, env=env).returncode:
            failed.append(which)
    print(f"failed with the {' and the '.join(failed)} versions" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
