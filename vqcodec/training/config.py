"""What a recipe says: data, how it is run, stages, sizes of the nets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from ..codec.nets.shape import GROUP, INTER, INTRA, STEPS, NetShape
from ..errors import InputError, UsageError
from ..options import DecodeOptions
from .objective import Objective

KINDS = ("intra", "inter", "key", "pairs", "clips", "shots", "export")
NETS = ("intra", "inter", "key")
_SWITCHES = ("quantise", "recursion", "halfway")


@dataclass
class Stage:
    """One step of the recipe.

    intra, inter, key: train those nets; clips: make synthetic clips; pairs: encode clips for the
    inter and key nets; shots: make edited films, and train the net of ``vqcodec analyze`` on them;
    export: write the weights file.
    """

    kind: str
    minutes: float = 10.0
    lr: float = 1e-3  # learning rate
    batch: int | None = None  # samples of a step; None: that of the recipe
    quantise: bool = False  # train under the integers' arithmetic
    # inter: through two frames, one predicted from the other, in every other step
    recursion: bool = False
    border: float = 0.0  # these four: see Objective
    tiles: float = 0.0
    grey: float = 0.0
    halfway: bool = False
    count: int = 40  # of clips, or of films
    out: str = ""  # of export and shots
    batches: int = 150  # of latents for the codebooks
    # stretches of training clips that the codebooks of an export are fitted to again; 0: none
    encodes: int = 80

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"stage kind {self.kind!r}: use one of {', '.join(KINDS)}")
        if (
            self.minutes <= 0
            or (self.batch is not None and self.batch < 1)
            or self.count < 1
            or self.batches < 1
            or self.encodes < 0
        ):
            raise UsageError(
                f"stage {self.kind}: minutes, batch, count and batches must be above zero, "
                "encodes not below"
            )
        if not all(isinstance(getattr(self, name), bool) for name in _SWITCHES):
            names = f"{', '.join(_SWITCHES[:-1])} and {_SWITCHES[-1]}"
            raise UsageError(f"stage {self.kind}: {names} are true or false")
        if self.border < 0 or not (0 <= self.tiles <= 1 and 0 <= self.grey <= 1):
            raise UsageError(
                f"stage {self.kind}: border must not be below zero, tiles and grey are shares of "
                "the samples, 0 to 1"
            )
        if self.kind in ("export", "shots") and not self.out:
            raise UsageError(f"stage {self.kind}: name the weights file with out = ...")

    @property
    def timed(self) -> bool:
        """Whether it takes the minutes that it says."""
        return self.kind in (*NETS, "pairs", "shots")

    @property
    def objective(self) -> Objective:
        """What its loss is made of."""
        return Objective(self.border, self.tiles, self.grey, self.halfway)


@dataclass
class Config:
    """What a recipe holds: [data], [run], [[stage]], and [shape.NETS] for each of the nets.

    Nets of key frames are made only where it names them; they begin as the inter nets are.

    Raises UsageError for a value that makes no sense, InputError for a missing file.
    """

    clips: list[Path]
    photos: list[Path]
    folder: Path
    stages: list[Stage]
    held_out: set[str] | None = None  # names without suffix; None: one in ten
    pages: int = 140  # made pages of text among the pictures
    crop: int = 192
    threads: int = 1
    seed: int = 0
    device: str = "cpu"  # where nets are trained: cpu, cuda, cuda:N, mps or auto
    batch: int = 8  # samples of a step, where a stage does not say
    fused: bool = False  # compile parts of the nets, see vqcodec.training.fused
    shapes: Mapping[str, NetShape] = field(
        default_factory=lambda: {"intra": INTRA, "inter": INTER, "key": INTER}
    )
    init: Mapping[str, Path] = field(default_factory=dict)  # nets to go on from, by frame type

    def __post_init__(self) -> None:
        lowest = {"crop": 64, "threads": 1, "seed": 0, "pages": 0, "batch": 1}
        for name, low in lowest.items():
            value = getattr(self, name)
            if type(value) is not int or value < low:
                raise UsageError(f"{name} = {value!r}: use a whole number of at least {low}")
        if self.crop % 64:
            raise UsageError(f"crop = {self.crop}: use a multiple of 64")
        if not isinstance(self.fused, bool):
            raise UsageError(f"fused = {self.fused!r}: use true or false")
        DecodeOptions(device=self.device)  # refuses words that name no device
        for kind, shape in self.shapes.items():
            _check_shape(kind, shape)
        shape, inter = self.shapes["key"], self.shapes["inter"]
        if "key" in self.nets and (shape.latent, shape.hyper) != (inter.latent, inter.hyper):
            raise UsageError("shape.key: latent and hyper must be those of shape.inter")
        for kind, path in self.init.items():
            if kind not in self.shapes and kind != "shots":
                raise UsageError(f"run.init: {kind!r}: use one of {', '.join(NETS)}, shots")
            if not path.is_file():
                raise InputError("no such file", file=path)

    @property
    def nets(self) -> tuple[str, ...]:
        """The nets that its weights files have."""
        with_key = "key" in self.init or any(stage.kind == "key" for stage in self.stages)
        return NETS if with_key else NETS[:2]

    @property
    def held_clips(self) -> list[Path]:
        """Clips that are measured and never trained on.

        One in ten of two or more, unless named.
        """
        if self.held_out is None:
            return self.clips[1::10]
        return [f for f in self.clips if f.stem in self.held_out]

    @property
    def train_clips(self) -> list[Path]:
        """All others."""
        held = set(self.held_clips)
        return [f for f in self.clips if f not in held]


def _check_shape(kind: str, shape: NetShape) -> None:
    if shape.steps not in STEPS:
        raise UsageError(f"shape.{kind}: steps = {shape.steps!r}: use 2 or 4")
    for name in (f.name for f in fields(shape)):
        if name in ("inter", "steps"):
            continue
        value = getattr(shape, name)
        of = 1 if name.endswith("_blocks") else GROUP * shape.steps if name == "latent" else 8
        if not isinstance(value, int) or value < of or value % of:
            raise UsageError(f"shape.{kind}: {name} = {value!r}: use a multiple of {of}")
