"""The encoder's model: the decoder's, and the analysis nets that the format does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..codec.nets.device_choice import FUSED
from ..codec.nets.fused_backend import FusedBackend
from ..codec.weights import KINDS, Codec, StrPath, build_codec, complete, frame_nets, read_weights
from .nets.arithmetic import encoder_choice
from .nets.integer_analysis import IntegerAnalysis
from .nets.layout import SCALE, analysis_layout
from .nets.synthesis_gradient import SynthesisGradient

if TYPE_CHECKING:
    from ..codec.nets.shape import NetShape
    from ..codec.weights import WeightsFile
    from .nets.analysis import Analysis


@dataclass
class EncoderModel(Codec):
    """What an encoder codes with, on a device."""

    file: WeightsFile
    floats: str = "auto"  # as EncodeOptions.arithmetic

    @cached_property
    def arithmetic(self) -> str:
        """``integers``, ``bfloat16`` or ``float32``: what the analysis nets multiply in."""
        return encoder_choice(self.floats, self.backend.device)

    @cached_property
    def integer_analyses(self) -> dict[bool, IntegerAnalysis]:
        """The nets in integers: for frames without a prediction, and for those with one."""
        return {
            shape.inter: IntegerAnalysis(analysis_arrays(self.file, kind, shape), shape)
            for kind, shape in self._shapes
        }

    @cached_property
    def float_analyses(self) -> dict[bool, Analysis]:
        """The same in floats of torch, on the device."""
        return {
            shape.inter: float_analysis(
                analysis_arrays(self.file, kind, shape), shape, self.backend.device
            )
            for kind, shape in self._shapes
        }

    @cached_property
    def gradients(self) -> dict[bool, SynthesisGradient]:
        """Gradients behind the synthesis, in integers."""
        nets = [self.intra, self.inter]
        if self.backend.name != FUSED:
            nets = [frame_nets(self.file, kind, FusedBackend()) for kind in KINDS]
        return {some.shape.inter: SynthesisGradient(some.synthesis) for some in nets}

    @property
    def _shapes(self) -> tuple[tuple[str, NetShape], ...]:
        return tuple(zip(KINDS, (self.intra.shape, self.inter.shape), strict=True))


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
        for kind, nets in zip(KINDS, (codec.intra, codec.inter), strict=True):
            analysis_arrays(file, kind, nets.shape)
    return EncoderModel(**vars(codec), file=file, floats=arithmetic)


def analysis_arrays(file: WeightsFile, kind: str, shape: NetShape) -> dict[str, np.ndarray]:
    """The tensors of an analysis net, by their names behind ``analysis.``; ValueError where these
    are not those of the sizes."""
    start = "analysis."
    arrays = {
        name.removeprefix(start): array
        for name, array in file.kind(kind).items()
        if name.startswith(start)
    }
    _check_layout(kind, arrays, shape)
    return arrays


def float_analysis(arrays: Mapping[str, np.ndarray], shape: NetShape, device: str) -> Analysis:
    """The net of such tensors in floats of torch."""
    import torch

    from .nets.analysis import Analysis

    state = {
        name: torch.from_numpy(array).float()
        for name, array in arrays.items()
        if not name.endswith(SCALE)
    }
    for name in state.keys() & {k.removesuffix(SCALE) for k in arrays if k.endswith(SCALE)}:
        state[name] *= torch.from_numpy(arrays[name + SCALE]).float()[:, None]
    net = Analysis(shape)
    net.load_state_dict(state, strict=False)  # ranges of activations are not stored, nor used
    return net.eval().to(device, torch.float32)


def _check_layout(kind: str, arrays: Mapping[str, np.ndarray], shape: NetShape) -> None:
    """ValueError unless these are the tensors of the net at such sizes, before it takes memory."""
    layout = analysis_layout(shape)
    rows = {
        name + SCALE: size[:1]
        for name, size in layout.items()
        if len(size) == 2 and name + SCALE in arrays
    }
    wanted, found = layout | rows, {name: array.shape for name, array in arrays.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise ValueError(
                f"{kind}.analysis.{name} is {found.get(name, 'missing')}, "
                f"the sizes ask for {wanted.get(name, 'none')}"
            )
