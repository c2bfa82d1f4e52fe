"""What products are made with is chosen by what the processor is fast at, and everything that codes
one file keeps to one choice."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.clips import header, moving, write
from support.gops import crc, encoded

from vqcodec.cli import main
from vqcodec.codec import weights
from vqcodec.codec.frame_decoder import Planes, pad
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.codec.nets import backend_choice
from vqcodec.codec.nets.float32_backend import Float32Backend
from vqcodec.codec.nets.tiles import Tiles
from vqcodec.codec.packed_samples import pack
from vqcodec.codec.weights import default_path
from vqcodec.encoding import model
from vqcodec.encoding.frame_encoder import FrameEncoder
from vqcodec.encoding.frame_motion import intra_motion
from vqcodec.encoding.frame_task import FrameTask
from vqcodec.encoding.frame_trials import FrameTrials
from vqcodec.encoding.gop_encoder import GopResult
from vqcodec.encoding.latent_refinement import refine
from vqcodec.encoding.model import load_model
from vqcodec.encoding.nets import arithmetic
from vqcodec.encoding.nets.relaxed_synthesis import smooth_synthesis
from vqcodec.encoding.rate_distortion import key_quality, lagrangian, plane_weights
from vqcodec.errors import UsageError
from vqcodec.options import EncodeOptions, Time
from vqcodec.pipeline import cluster
from vqcodec.pipeline.encode import encode
from vqcodec.pipeline.gop_coders import Model

FLOATS = list(arithmetic.FLOATS)
ALL = [arithmetic.INTEGERS, *FLOATS]
OPTIONS = EncodeOptions(gop=5, crf=15, device="cpu", threads=1)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write(tmp_path / "in.y4m", header(64, 48), moving(64, 48, 10))


@pytest.mark.parametrize(
    ("bfloat16", "float32", "want"),
    [
        (1.0, 12.0, "bfloat16"),
        (12.0, 1.0, "float32"),
        (1.0, 1.0, "float32"),
        (0.95, 1.0, "float32"),
    ],
)
def test_floats_are_those_that_are_fast(
    monkeypatch: pytest.MonkeyPatch, bfloat16: float, float32: float, want: str
) -> None:
    """Wherever the two are about equal it is float32, however the clock trembles."""
    monkeypatch.setattr(
        arithmetic, "best_times", lambda runs: {"bfloat16": bfloat16, "float32": float32}
    )
    arithmetic._fast_float.cache_clear()
    try:
        assert arithmetic.float_choice("auto", "cpu") == want
        assert [arithmetic.float_choice(name, "cpu") for name in FLOATS] == FLOATS
    finally:
        arithmetic._fast_float.cache_clear()


def test_candidates_are_timed_in_turn_and_hopeless_ones_a_few_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, calls = 0.0, []

    def run(name: str, seconds: float) -> None:
        nonlocal now
        calls.append(name)
        now += seconds

    monkeypatch.setattr(arithmetic.time, "thread_time", lambda: now)
    found = arithmetic.best_times(
        {"slow": lambda: run("slow", 40.0), "fast": lambda: run("fast", 1.0)}
    )
    assert found == {"slow": 40.0, "fast": 1.0}
    assert calls.count("slow") == 1 + arithmetic._LEAST
    assert calls.count("fast") == 1 + arithmetic._ROUNDS


def test_a_hiccup_of_the_machine_changes_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause in the first round once ruled a candidate out for good."""
    now, calls = 0.0, []

    def run(name: str, seconds: float) -> None:
        nonlocal now
        calls.append(name)
        now += 50.0 if name == "fast" and calls.count("fast") < 3 else seconds

    monkeypatch.setattr(arithmetic.time, "thread_time", lambda: now)
    found = arithmetic.best_times(
        {"fast": lambda: run("fast", 1.0), "slower": lambda: run("slower", 2.0)}
    )
    assert found == {"fast": 1.0, "slower": 2.0}


def intra_trials(coder: FrameEncoder, source: Planes) -> FrameTrials:
    task = FrameTask(source, 0, 0, 30, [])
    return FrameTrials(coder, coder.rate, task, intra_motion(coder, task))


@pytest.mark.parametrize("name", FLOATS)
def test_nets_of_floats_multiply_in_what_was_chosen(tiny_weights: Path, name: str) -> None:
    """Analysis and refinement, whatever autocast the caller is in; what may differ between the two
    is rounding."""
    codec = load_model(tiny_weights, "cpu", 1, name)
    coder, source = FrameEncoder(codec, 128, 64), pad(moving(128, 64, 1)[0], 128, 64)
    trials = intra_trials(coder, source)
    y, z = latents = trials.analyse(30)
    tiles = Tiles.everywhere((1, 1, 2), Float32Backend())
    x = torch.from_numpy(tiles.at8.gather(pack(source))).float() / 1020 - 0.5

    def analysed() -> list[np.ndarray]:
        with torch.inference_mode():
            rows = codec.float_analyses["intra"].rows(x, None, torch.tensor([30.0]), tiles)
        return [t.float().numpy() for t in rows]

    with torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16"):
        want = analysed()
    assert np.array_equal(y, tiles.at16.scatter(want[0])[0])
    assert np.array_equal(z[0], want[1])
    plain = tiles.at16.scatter(analysed()[0])[0]
    error = np.abs(y - plain).max()
    assert error == 0 if name == "float32" else 0 < error < 0.05 * np.abs(plain).max()
    with torch.autocast("cpu", torch.bfloat16):
        assert np.array_equal(trials.analyse(30).y, y)
        inside = refine(trials, latents, 30, trials.plain(trials.all_coded))
    assert np.array_equal(refine(trials, latents, 30, trials.plain(trials.all_coded)).y, inside.y)


@pytest.mark.parametrize("name", FLOATS)
def test_refinement_in_parts_has_the_gradient_of_the_whole(
    tiny_weights: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vqcodec.encoding.nets import relaxed_synthesis

    codec = load_model(tiny_weights, "cpu", 1, name)
    start = (
        torch.randn(64, codec.intra.shape.latent, generator=torch.Generator().manual_seed(1)) * 40
    )
    found = []
    for rows in (1 << 20, 7):
        monkeypatch.setattr(relaxed_synthesis, "_ROWS", rows)
        y = start.clone().requires_grad_(True)
        twin = smooth_synthesis(codec.intra.synthesis, getattr(torch, name))
        out = twin.layers(y, None, 30, Tiles.everywhere((1, 2, 2), twin.backend))
        out.square().sum().backward()
        found.append((out.detach(), y.grad))
    for a, b in zip(*found, strict=True):
        assert a is not None
        assert b is not None
        assert float((a - b).abs().max()) <= (2e-2 if name == "bfloat16" else 1e-4) * float(
            a.abs().max()
        )


@pytest.mark.parametrize("name", ALL)
def test_threads_change_no_float_of_the_real_encoder(name: str) -> None:
    """Libraries split a sum by the threads they have, and then it rounds otherwise: float32 of MKL
    by every second size."""
    codec = load_model(default_path(), "cpu", 1, name)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            coder, source = FrameEncoder(codec, 320, 192), pad(moving(320, 192, 1)[0], 320, 192)
            trials = intra_trials(coder, source)
            latents = trials.analyse(30)
            found.append((*latents, refine(trials, latents, 30, trials.plain(trials.all_coded)).y))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(
        np.array_equal(a, b) for other in found[1:] for a, b in zip(found[0], other, strict=True)
    )


def test_all_arithmetics_code_nearly_alike_and_decode_exactly() -> None:
    """What may differ: single decisions, so bits and error by a little; what an encoder multiplied
    in is nothing to a decoder. Integers know what the decoder rounds, and cost no more than
    floats, which don't.

    One decision moves a picture of this size by up to eight percent, to either side: so what is
    compared is six of them together."""
    codecs = [load_model(default_path(), "cpu", 1, name) for name in ALL]
    size, clips = (200, 140), [moving(200, 140, 3, seed=seed) for seed in range(6)]
    coded = [[encoded(codec, clip, 15) for clip in clips] for codec in codecs]
    bits, error = (
        [sum(measure(r) for r in results) for results in coded]
        for measure in (lambda r: len(r.body), lambda r: sum(r.sse))
    )
    assert abs(bits[1] - bits[2]) < 0.03 * bits[1]
    assert abs(error[1] - error[2]) < 0.03 * error[1]
    integers, bfloat16, _ = (sum(map(cost, results)) for results in coded)
    assert integers < 1.03 * bfloat16
    for results, codec in itertools.product(coded, codecs):
        result = results[0]
        assert crc(list(decode_gop(codec, result.body, 3, *size))) == result.checksum


def cost(result: GopResult) -> float:
    """Bits of a GOP at crf 15, with those that its error is worth."""
    weighted = np.dot(plane_weights(key_quality(15), 1), result.sse)
    return 8 * len(result.body) + lagrangian(key_quality(15)) * float(weighted)


def unlike(monkeypatch: pytest.MonkeyPatch) -> str:
    """This process chooses what no other process of this machine would choose."""

    def choice(wanted: str = "auto", device: str = "cpu") -> str:
        return "float32" if wanted == "auto" else wanted

    monkeypatch.setattr(arithmetic, "encoder_choice", choice)
    monkeypatch.setattr(model, "encoder_choice", choice)
    return "float32"


def test_workers_multiply_as_the_process_that_reads_the_video(
    clip: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were each to choose by itself, a GOP would depend on who codes it."""
    files, options = {}, replace(OPTIONS, gop=2, duration=Time(frames=4))
    for name in FLOATS:
        encode(
            clip, tmp_path / f"{name}.vqv", replace(options, arithmetic=name), weights=tiny_weights
        )
        files[name] = (tmp_path / f"{name}.vqv").read_bytes()
    assert files["bfloat16"] != files["float32"]
    other = unlike(monkeypatch)
    for jobs in (1, 2):
        auto = tmp_path / f"{jobs}.vqv"
        encode(clip, auto, replace(options, jobs=jobs), weights=tiny_weights)
        assert auto.read_bytes() == files[other]


def test_a_worker_of_a_cluster_multiplies_as_it_is_told(tiny_weights: Path) -> None:
    path = str(tiny_weights)
    for name in FLOATS:
        told = Model(path, "cpu", 1, 64, 48, arithmetic=name)
        loaded = cluster._load(path, "cpu", 1, told.arithmetic, cluster._identity(path))
        assert loaded.arithmetic == name
        assert told.load().arithmetic == name


def test_an_encode_is_gone_on_with_in_its_own_arithmetic_only(
    clip: Path, tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a folder moves to a machine of another kind between the two runs."""
    from support.resuming import cut_off

    out, want = tmp_path / "out" / "a.vqv", tmp_path / "want.vqv"
    out.parent.mkdir()
    here = arithmetic.encoder_choice()
    monkeypatch.setattr(weights, "default_path", lambda: tiny_weights)
    encode(clip, want, replace(OPTIONS, arithmetic=here))
    cut_off(clip, out, 1, replace(OPTIONS, resume=True))
    with monkeypatch.context() as patch:
        unlike(patch)
        with pytest.raises(
            UsageError,
            match=f"another arithmetic; `arithmetic={here}` continues it, `overwrite=True` begins",
        ):
            encode(clip, out, replace(OPTIONS, resume=True))
        report = encode(clip, out, replace(OPTIONS, resume=True, arithmetic=here))
    assert report.resumed == 5
    assert out.read_bytes() == want.read_bytes()


def test_unknown_arithmetic_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="allowed are auto, integers, bfloat16, float32"):
        EncodeOptions(arithmetic="float64")
    assert main(["encode", "a", "b", "--arithmetic", "float64"]) == 2
    assert "bfloat16" in capsys.readouterr().err


def test_no_name_of_the_choices_is_unknown_to_the_options() -> None:
    from vqcodec.options import ARITHMETIC

    assert ("auto", *ALL) == ARITHMETIC


def test_the_choices_are_told(
    clip: Path, tmp_path: Path, tiny_weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With -v, and in a log file always."""
    args = [
        "encode",
        "-q",
        "-y",
        "-t",
        "1f",
        str(clip),
        str(tmp_path / "a.vqv"),
        "--weights",
        str(tiny_weights),
        "--device",
        "cpu",
        "-threads",
        "1",
    ]
    assert main([*args, "--log-file", str(tmp_path / "log"), "--arithmetic", "float32"]) == 0
    want = [
        "the encoder's networks multiply in float32",
        f"exact products: {backend_choice.choose_backend('cpu').name}, on cpu",
    ]
    assert not capsys.readouterr().err
    assert all((tmp_path / "log").read_text().count(text) == 1 for text in want)
    assert main([*args, "-v", "--arithmetic", "float32"]) == 0
    assert capsys.readouterr().err.splitlines() == [f"vqcodec: {text}" for text in want]
