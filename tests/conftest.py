"""A tiny codec for all tests: random nets of a few channels, made once a session with the tools
that make the real one."""

from __future__ import annotations

import fcntl
import gc
import math
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clips import moving, picture

from vqcodec.pipeline.job_count import LEAST_PROCESSORS
from vqcodec.system.processors import usable, usual_turns

pytest_plugins = ["support.fake_network", "support.coded_clips", "support.jobs"]

SIZES = dict(
    enc8=16,
    enc16=16,
    enc_blocks=1,
    latent=16,
    hyper=8,
    hyper_up=8,
    context=8,
    context_out=8,
    prior=16,
    dec16=16,
    dec8=16,
    dec_blocks=2,
)
# both ways of coding a latent are met, and nets of key frames that differ from the inter nets
MORE_SIZES: dict[str, dict[str, int]] = {
    "intra": dict(enc16_blocks=2, dec16_blocks=2, prior_blocks=2, steps=4),
    "inter": {},
    "key": dict(enc_blocks=3, prior=8, dec16=8, dec8=8, dec_blocks=1),
}


def pytest_configure() -> None:
    """In the background of a shell ctrl-C is ignored, by all children too; tests send it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # from four processors on an encode would choose several processes: tests are of what they name
    if usable() >= LEAST_PROCESSORS:
        os.environ.setdefault("OMP_NUM_THREADS", str(LEAST_PROCESSORS - 1))


@pytest.fixture(autouse=True)
def _usual_turns() -> Iterator[None]:
    """No test that encodes AV1 is served before all others from then on."""
    with usual_turns():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What collecting makes stays to the end: nothing looks through it for garbage, neither while
    it grows, which took a third of the time, nor later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("early") is None)


def make_models() -> dict[str, Any]:
    """Calibrated float models whose outputs are far from trivial: every class, large latents,
    residuals of many levels.

    Ranges of some activations are narrower and wider than what was seen; to search for the best
    ones takes longer than all else, and random nets have no good ones.
    """
    import torch

    from vqcodec.codec.nets.shape import NetShape
    from vqcodec.training import release
    from vqcodec.training.model import FrameModel

    def vary(m: FrameModel, data: Any) -> None:
        for i, act in enumerate(release.balanced(m)):
            act.stretch += math.log({0: 0.7, 8: 1.4}.get(i % 16, 1.0))

    torch.set_num_threads(1)
    models = {}
    for seed, kind in ((7, "intra"), (8, "inter"), (9, "key")):
        torch.manual_seed(seed)
        m = FrameModel(NetShape(inter=kind != "intra", **(SIZES | MORE_SIZES[kind])))
        with torch.no_grad():
            m.analysis.last.weight *= 6
            m.analysis.hyper.weight *= 6
            for step in m.prior.steps:
                step.mean.weight *= 30
                step.scale.weight *= 60
                step.scale.bias.copy_(torch.linspace(-4.5, 5, len(step.scale.bias)))
            m.synthesis.last.weight *= 2
            for p in m.parameters():
                if p.ndim == 1 or p.shape[0] == 8:
                    p += 0.02 * torch.randn(p.shape)
        with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(release, "balance", vary)
            release.calibrate(m, crops(kind), 4)
        models[kind] = m
    return models


@pytest.fixture(scope="session")
def tiny_models() -> dict[str, Any]:
    return make_models()


def crops(kind: str) -> Any:
    """Training data of moving textures and noise."""
    from vqcodec.training.crops import Crops

    data = Crops(128, seed=3)
    for seed in range(3):
        a, b = moving(160, 160, 2, seed)
        for p, q in ((a, b), (picture(160, 160, seed), a)):
            data.add(p, None if kind == "intra" else q)
    return data


def make_weights(models: dict[str, Any], path: Path) -> Path:
    """Write the weights file of the tiny codec."""
    from vqcodec.codec import weights
    from vqcodec.codec.codebooks import Codebooks
    from vqcodec.training import codebooks
    from vqcodec.training.release import kind_tensors, net_tensors

    with (
        pytest.MonkeyPatch.context() as patch
    ):  # small codebooks are fitted in no time and are escaped from more often
        plan = codebooks.plan
        patch.setattr(codebooks, "plan", lambda c: (plan(c)[0], min(plan(c)[1], 24)))
        tensors: dict[str, Any] = {}
        for kind, m in models.items():
            if kind == "key":
                tensors |= {f"{kind}.{k}": v for k, v in net_tensors(m).items()}
                continue
            made = kind_tensors(m, crops(kind), 0.12, 24, log=lambda text: None)
            books = Codebooks.unpacked(
                *(made[f"books.{k}"] for k in ("dims", "sizes", "words", "counts"))
            )
            books.dims[:2] = books.sizes[:2] = 0  # as where nearly everything is zero
            tensors |= {
                f"{kind}.{k}": v
                for k, v in (made | {f"books.{k}": v for k, v in books.packed().items()}).items()
            }
    weights.save(path, tensors, {k: m.shape for k, m in models.items()})
    return path


@pytest.fixture(scope="session")
def tiny_weights(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by the first worker that asks for them, and read by the others."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if hasattr(request.config, "workerinput") else base  # of the whole run
    path = shared / "tiny.safetensors"
    with (shared / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            made = make_weights(request.getfixturevalue("tiny_models"), shared / "made.safetensors")
            made.rename(path)
    return path


@pytest.fixture(scope="session")
def tiny_codec(tiny_weights: Path) -> Any:
    """The tiny codec, on one thread."""
    from vqcodec.encoding.model import load_model

    return load_model(tiny_weights, "cpu", 1)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Give torch back its thread count after a test that changes it."""
    import torch

    n = torch.get_num_threads()
    yield
    torch.set_num_threads(n)
