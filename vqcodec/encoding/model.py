"""The encoder's model: the decoder's, and the analysis nets that the format does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..codec.weights import Codec, StrPath, build_codec, complete, frame_shape, read_weights
from .nets.analysis import Analysis
from .nets.arithmetic import float_choice
from .nets.layout import analysis_layout

if TYPE_CHECKING:
    from ..codec.nets.shape import NetShape
    from ..codec.weights import WeightsFile

_SCALE = "_scale"  # ends the names of the steps of int8 matrices, one a row


@dataclass
class EncoderModel(Codec):
    """What an encoder codes with, on a device."""

    intra_analysis: Analysis
    inter_analysis: Analysis
    floats: str = "auto"  # as EncodeOptions.arithmetic

    def analysis(self, predicted: bool) -> Analysis:
        """The net for frames with a prediction, or for those without."""
        return self.inter_analysis if predicted else self.intra_analysis

    @cached_property
    def arithmetic(self) -> str:
        """``bfloat16`` or ``float32``: what the analysis nets multiply in."""
        return float_choice(self.floats, self.backend.device)


def load_model(
    path: StrPath | None = None, device: str = "auto", threads: int = 0, arithmetic: str = "auto"
) -> EncoderModel:
    """Load what encodes; it decodes too.

    Args:
        path: the weights file; None: the default one.
        device: auto, cpu, cuda[:n] or mps.
        threads: of torch; 0 leaves its own number.
        arithmetic: of the analysis nets, as in EncodeOptions.

    Raises WeightsError for a missing, foreign or damaged file.
    """
    file = read_weights(path, analysis=True)
    codec = build_codec(file, device, threads)
    with complete(file):
        intra, inter = (_analysis(file, kind, codec.backend.device) for kind in ("intra", "inter"))
    return EncoderModel(
        **vars(codec), intra_analysis=intra, inter_analysis=inter, floats=arithmetic
    )


def _analysis(file: WeightsFile, kind: str, device: str) -> Analysis:
    shape = frame_shape(file, kind)
    start = "analysis."
    arrays = {
        name.removeprefix(start): array
        for name, array in file.kind(kind).items()
        if name.startswith(start)
    }
    _check_layout(kind, arrays, shape)
    state = {
        name: torch.from_numpy(array).float()
        for name, array in arrays.items()
        if not name.endswith(_SCALE)
    }
    for name in state.keys() & {k.removesuffix(_SCALE) for k in arrays if k.endswith(_SCALE)}:
        state[name] *= torch.from_numpy(arrays[name + _SCALE]).float()[:, None]
    net = Analysis(shape)
    net.load_state_dict(state, strict=False)  # ranges of activations are not stored, nor used
    return net.eval().to(device, torch.float32)


def _check_layout(kind: str, arrays: Mapping[str, np.ndarray], shape: NetShape) -> None:
    """ValueError unless these are the tensors of the net at such sizes, before it takes memory."""
    layout = analysis_layout(shape)
    rows = {
        name + _SCALE: size[:1]
        for name, size in layout.items()
        if len(size) == 2 and name + _SCALE in arrays
    }
    wanted, found = layout | rows, {name: array.shape for name, array in arrays.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"{kind}.analysis.{name} is {found.get(name, 'missing')}, "
                f"the sizes ask for {wanted.get(name, 'none')}"
            )
