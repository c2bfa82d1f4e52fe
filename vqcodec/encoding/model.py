"""The encoder's model: the decoder's, and the analysis nets that the format does not know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ..codec.nets.device_choice import FUSED
from ..codec.nets.fused_backend import FusedBackend
from ..codec.weights import Codec, StrPath, build_codec, complete, frame_nets, read_weights
from .nets.arithmetic import encoder_choice
from .nets.integer_analysis import IntegerAnalysis
from .nets.layout import SCALE, analysis_layout
from .nets.synthesis_gradient import SynthesisGradient

if TYPE_CHECKING:
    from ..codec.nets.shape import NetShape
    from ..codec.weights import FrameNets, WeightsFile
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
    def integer_analyses(self) -> dict[str, IntegerAnalysis]:
        """The nets in integers, by kind."""
        return {
            nets.kind: IntegerAnalysis(self._arrays(nets), nets.shape) for nets in self.all_nets
        }

    @cached_property
    def float_analyses(self) -> dict[str, Analysis]:
        """The same in floats of torch, on the device."""
        return {
            nets.kind: float_analysis(self._arrays(nets), nets.shape, self.backend.device)
            for nets in self.all_nets
        }

    @cached_property
    def gradients(self) -> dict[str, SynthesisGradient]:
        """Gradients behind the synthesis, in integers, by kind."""
        all_nets = list(self.all_nets)
        if self.backend.name != FUSED:
            all_nets = [frame_nets(self.file, nets.kind, FusedBackend()) for nets in all_nets]
        return {nets.kind: SynthesisGradient(nets.synthesis) for nets in all_nets}

    def _arrays(self, nets: FrameNets) -> dict[str, np.ndarray]:
        return analysis_arrays(self.file, nets.kind, nets.shape)


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
        for nets in codec.all_nets:
            analysis_arrays(file, nets.kind, nets.shape)
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
