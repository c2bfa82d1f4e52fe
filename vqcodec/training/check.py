"""What a recipe needs, looked at before its first stage: packages, device, material, the output.

Hours later is too late.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import torch

from ..codec.nets.device_choice import chosen_device
from ..errors import InputError, OutputError, UsageError, VqvError
from ..media.inputs import open_source
from ..system.files import check_output
from .config import Config

NEEDED = {"PIL": "pillow", "matplotlib": "matplotlib", "bjontegaard": "bjontegaard"}
_GRID = 64  # crops are multiples of this


def check_packages() -> None:
    """UsageError that names the packages of the extra ``train`` that are missing."""
    if missing := [name for module, name in NEEDED.items() if find_spec(module) is None]:
        raise UsageError(f"train needs {', '.join(missing)}: pip install 'vqcodec[train]'")


def check_device(device: str) -> None:
    """UsageError where nets can't be trained on a device."""
    try:
        torch.zeros(1, device=chosen_device(device))
    except (RuntimeError, AssertionError, NotImplementedError) as exc:  # what torch raises
        reason = str(exc).splitlines()[0]
        raise UsageError(f"device = {device!r} in [run] can't be used: {reason}") from exc


def size(path: Path) -> tuple[int, int]:
    """Width and height of a video or a picture; InputError where there is none."""
    try:
        with open_source(path) as source:
            stream = source.container.streams.video[0]
            return int(stream.codec_context.width), int(stream.codec_context.height)
    except VqvError:
        raise
    except Exception as exc:  # FFmpeg's errors have many types
        raise InputError(f"no video that can be read: {exc}", file=path) from exc


def _fitting(paths: Iterable[Path], crop: int, what: str) -> list[Path]:
    """Those that a crop can be cut from; InputError, with the crop that would do, where none is."""
    sides = {path: min(size(path)) for path in paths}
    large = [path for path, side in sides.items() if side >= crop]
    if sides and not large:
        best = max(sides.values()) // _GRID * _GRID
        hint = f": crop = {best} in [data] would do" if best >= _GRID else ""
        raise InputError(f"no training {what} is at least {crop} samples wide and high{hint}")
    return large


def _check_outputs(config: Config, overwrite: bool) -> None:
    for stage in (s for s in config.stages if s.kind in ("export", "shots")):
        out = Path(stage.out)
        if out.parent.is_dir():
            check_output(out, [], overwrite)
        elif any(p.exists() and not p.is_dir() for p in out.parents):
            raise OutputError("its folder cannot be made: a file is in the way", file=out)


def check(config: Config, overwrite: bool = False) -> list[str]:
    """Raise UsageError, InputError or OutputError for what would end a later stage.

    Returns lines of what will be done.
    """
    check_packages()
    check_device(config.device)
    _check_outputs(config, overwrite)
    clips, held = config.train_clips, config.held_clips
    kinds = {s.kind for s in config.stages}
    if not clips and kinds & {"inter", "pairs", "shots"}:
        raise InputError(
            "there are no training clips, which stages inter, pairs and shots need: [data] clips "
            "names a folder"
        )
    if not clips and not config.photos and not config.pages:
        raise InputError("there is nothing to train on: [data] clips and photos name folders")
    large = _fitting(clips, config.crop, "clip")
    if "intra" in kinds and not clips and not config.pages:
        _fitting(config.photos, config.crop, "picture")
    names = ", ".join(p.stem for p in held[:6]) + (", ..." if len(held) > 6 else "")
    lines = [
        f"{len(clips)} clips to train on, {len(large)} of them large enough for crops of "
        f"{config.crop}; {len(held)} held out" + (f": {names}" if held else "")
    ]
    if not held:  # the comparison with the model that it began from is what many train for
        lines.append(
            "no clip is held out, so nothing will say whether the new model is better: that takes "
            "two clips or more"
        )
    lines += [
        f"{len(config.photos)} photographs, {config.pages} made pages",
        f"work and checkpoints in {config.folder}",
        f"nets are trained on {chosen_device(config.device)}{', in compiled parts' * config.fused}",
    ]
    lines += [f"nets of {kind} frames go on from {path}" for kind, path in config.init.items()]
    return lines + _stage_lines(config)


def _stage_lines(config: Config) -> list[str]:
    """A line for each stage, and how long all of them take."""
    lines = []
    for number, stage in enumerate(config.stages):
        aware = " quantisation-aware" if stage.quantise else ""
        what = f"{stage.count} clips"
        if stage.timed:
            what = f"{stage.minutes:g} min"
        elif stage.kind == "export":
            what = stage.out
        lines.append(f"stage {number} {stage.kind}{aware}: {what}")
    hours = sum(stage.minutes for stage in config.stages if stage.timed) / 60
    return [*lines, f"{hours:.1f} hours in all, and some minutes for each export"]
