"""One file, one set of pixels: over threads, batches, backends, libraries' switches, instruction
sets, locales, sizes, and where decoding begins.

The model is tiny; tools/exactness.py does the same with the weights of the project. GPUs are not
covered.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import torch
from reference.container import Bad
from reference.entropy import RangeDecoder
from safetensors.numpy import load_file
from support.clips import grainy, header, moving, same, write
from support.golden_files import FILES
from support.gops import body, crc, encoded, md5, parts
from support.paths import ROOT, TESTS
from support.processors import GENERIC, HASWELL, NO_AVX512, NUMPY_ALONE

from vqcodec.codec import weights as weights_file
from vqcodec.codec.frame_decoder import FrameCoder
from vqcodec.codec.gop_decoder import decode_gop
from vqcodec.codec.gop_structure import gop_order
from vqcodec.codec.nets import exact_layers
from vqcodec.codec.nets.exact_layers import ExactBlock, ExactLinear, check_exact
from vqcodec.codec.nets.float32_backend import Float32Backend
from vqcodec.codec.nets.fused_backend import FusedBackend
from vqcodec.codec.nets.prior import Prior
from vqcodec.codec.nets.ranges import EXACT
from vqcodec.codec.nets.synthesis import Synthesis
from vqcodec.codec.weights import default_path
from vqcodec.container.packets import GopPayload
from vqcodec.container.reader import ContainerReader
from vqcodec.container.writer import ContainerWriter
from vqcodec.encoding.model import load_model
from vqcodec.errors import DamageError, WeightsError
from vqcodec.options import DecodeOptions, Time
from vqcodec.picture import Picture
from vqcodec.reading.chosen_frames import frames
from vqcodec.reading.decode_report import DecodeReport
from vqcodec.training.export import exact_arrays

# --- the ways to decode a file


@contextmanager
def switched(name: str) -> Iterator[None]:
    """One of torch's global switches that a program around us may have set."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of switches that have no effect on this machine
        switches: dict[str, tuple[Any, Any, Any]] = {  # set by, on, off
            "high": (torch.set_float32_matmul_precision, "high", "highest"),
            "medium": (torch.set_float32_matmul_precision, "medium", "highest"),
            "float64": (torch.set_default_dtype, torch.float64, torch.float32),
            "flush denormals": (torch.set_flush_denormal, True, False),
        }
        if name in switches:
            set_it, on, off = switches[name]
            set_it(on)
            try:
                yield
            finally:
                set_it(off)
        elif name == "mkldnn off":
            with torch.backends.mkldnn.flags(enabled=False):
                yield
        elif name == "autocast":
            with torch.autocast("cpu", torch.bfloat16):
                yield
        else:
            yield


def test_matrix_of_threads_batches_backends_and_switches(
    tiny_weights: Path, tiny_codec: Any, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    r = encoded(tiny_codec, moving(40, 70, 12), 20)
    for backend in ("fused", "float32"):
        monkeypatch.setenv("VQCODEC_BACKEND", backend)
        codec = load_model(tiny_weights, "cpu", 1)
        assert codec.backend.name == backend
        switches = ("mkldnn off", "high", "medium", "float64", "flush denormals", "autocast")
        for threads, switch in [(2, "as it is"), *product((1, 4), ("as it is", *switches))]:
            torch.set_num_threads(threads)
            with switched(switch):
                for batch in (1, 2, 7) if switch in ("as it is", "mkldnn off") else (2,):
                    assert crc(list(decode_gop(codec, r.body, 12, 40, 70, batch))) == r.checksum, (
                        backend,
                        threads,
                        switch,
                        batch,
                    )


@pytest.mark.parametrize("kind", ["intra", "inter"])
def test_memory_formats(tiny_models: dict[str, Any], kind: str) -> None:
    """Inputs and weights laid out channels first or by columns give what contiguous ones give."""
    m = tiny_models[kind]
    rng = np.random.default_rng(0)

    def make(n: int, h: int, w: int, c: int, top: int) -> np.ndarray:
        values = rng.integers(-top, top + 1, (n, h, w, c))
        return values.astype(np.int8 if top < 128 else np.int16)

    z, y, pred8 = (
        make(2, 1, 2, m.shape.hyper, 300),
        make(2, 4, 8, m.shape.latent, 2000),
        make(2, 8, 16, 96, 127) if m.shape.inter else None,
    )

    def first(t: np.ndarray | None) -> np.ndarray | None:
        return None if t is None else np.moveaxis(np.moveaxis(t, 3, 1).copy(), 1, 3)

    columns = {
        k: v.T.copy().T if k.endswith(".w") and ".dw." not in k else v
        for k, v in exact_arrays(m).items()
    }
    results = []
    for b, d, layout in product(
        (Float32Backend(), FusedBackend()),
        (exact_arrays(m), columns),
        (lambda t: t, first),
    ):
        prior, synthesis = Prior(d, m.shape, b), Synthesis(d, m.shape, b)
        contexts = prior.context(layout(z), layout(pred8))
        assert all(h.shape == (2 * 4 * 8, h.shape[1]) for h in contexts)
        steps = (prior.step(k, h, layout(y), 20) for k, h in enumerate(contexts))
        shown = synthesis(layout(y), layout(pred8), 20)
        results.append((*(t for step in steps for t in step), shown))
    assert len(results) == 8
    assert not first(y).flags.c_contiguous
    for other in results[1:]:
        assert all(map(np.array_equal, results[0], other))


CHILD = """
import hashlib, json, locale, os, sys, tempfile
sys.path.insert(0, sys.argv[1])
locale.setlocale(locale.LC_ALL, "")
from safetensors.numpy import load_file
from support.golden_files import FILES, weights
from vqcodec.pipeline.decode import decode
from vqcodec.options import DecodeOptions
sums = {}
with tempfile.TemporaryDirectory() as temp:
    for folder, name, entry in FILES:
        out = os.path.join(temp, "out.yuv")
        coded, options = str(folder / f"{name}.vqv"), DecodeOptions(threads=1, device="cpu")
        decode(coded, out, options, weights=str(weights(folder)), overwrite=True)
        sums[f"{folder.name}-{name}"] = hashlib.md5(open(out, "rb").read()).hexdigest()
print(json.dumps([sums, locale.localeconv()["decimal_point"]]))
"""


def golden_sums(**env: str) -> tuple[dict[str, str], str]:
    """MD5s of the golden files as a process of its own with this environment decodes them, and its
    decimal point."""
    here = {
        k: v for k, v in os.environ.items() if not k.startswith("LC_") and k != "VQCODEC_BACKEND"
    }
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(TESTS)],
        env=here | env,
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
    )
    sums, point = json.loads(run.stdout)
    return sums, point


WANT = {f"{folder.name}-{name}": entry["md5"] for folder, name, entry in FILES}


@pytest.mark.parametrize(
    "env",
    [
        {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE"},
        *(
            pytest.param(env, marks=pytest.mark.slow)
            for env in (
                {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
                {"ONEDNN_MAX_CPU_ISA": "AVX2_VNNI"},
                {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "VQCODEC_BACKEND": "float32"},
                {"OMP_NUM_THREADS": "4", "NUMBA_NUM_THREADS": "4"},
                GENERIC,
                NO_AVX512,
                HASWELL,
            )
        ),
    ],
    ids=lambda env: ",".join(f"{k}={v}" for k, v in env.items()),
)
def test_instruction_sets(env: dict[str, str], tmp_path: Path) -> None:
    """The libraries with fewer instructions than the processor has: without AVX-512, VNNI or
    AVX."""
    if env in (GENERIC, NO_AVX512, HASWELL):
        env = env | {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert golden_sums(**env)[0] == WANT


@pytest.mark.slow
@pytest.mark.parametrize(
    "env",
    [GENERIC, NO_AVX512, HASWELL, NUMPY_ALONE],
    ids=["generic", "avx2", "haswell", "numpy alone"],
)
def test_instruction_sets_encode_the_same_bytes(env: dict[str, str], tmp_path: Path) -> None:
    """The encoder's nets are integers too: unlike machines make one file, so they can share a
    cluster, go on with each other's work, and be compared.

    Where last bits of numpy's logarithms decided, a few frames had the same bytes still: so this
    has the frames of many mini-GOPs, and much in them that decides.
    """
    clip = grainy(moving(320, 192, 96, speed=(1.25, 2.75)), 1)
    source = write(tmp_path / "in.mkv", header(320, 192), clip, vcodec="ffv1")
    arguments = ["-q", "-threads", "1", "--device", "cpu", str(source)]
    made = []
    more = {} if env == NUMPY_ALONE else {"NUMBA_CACHE_DIR": str(tmp_path)}
    for name, environment in (("here", {}), ("there", env | more)):
        out = tmp_path / f"{name}.vqv"
        command = [sys.executable, "-m", "vqcodec", "encode", *arguments, str(out)]
        subprocess.run(command, env=os.environ | environment, check=True, cwd=ROOT)
        made.append(out.read_bytes())
    assert made[0] == made[1]


def test_locale_with_another_decimal_point(tmp_path: Path) -> None:
    """Turkish: a decimal comma, and I is not the capital of i."""
    if not (shutil.which("localedef") and Path("/usr/share/i18n/locales/tr_TR").is_file()):
        pytest.skip("no locales can be made here")
    subprocess.run(
        ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(tmp_path / "tr_TR.UTF-8")], check=True
    )
    sums, point = golden_sums(LOCPATH=str(tmp_path), LC_ALL="tr_TR.UTF-8")
    assert point == ","
    assert sums == WANT


# --- sizes

SIZES = [(w, h) for w in range(1, 18) for h in range(1, 18)]
SAMPLE = [(w, h) for w, h in SIZES if (5 * w + h) % 17 == 0]
LARGE = [(255, 257), (131, 67), (13, 251), (509, 3), (4096, 16), (16, 4096)]


def assert_seen(codec: Any, width: int, height: int, n: int) -> None:
    """The decoder shows what the encoder saw: frames of both kinds, the encoder's checksum is that
    of its own reconstruction."""
    r = encoded(
        codec, moving(width, height, n, seed=width + 100 * height), 10 + (width + height) % 40
    )
    assert crc(list(decode_gop(codec, r.body, n, width, height))) == r.checksum, (width, height)


def test_small_sizes(tiny_codec: Any) -> None:
    assert {w for w, _ in SAMPLE} == {h for _, h in SAMPLE} == set(range(1, 18))
    for width, height in SAMPLE:
        assert_seen(tiny_codec, width, height, 3)


@pytest.mark.slow
def test_every_size_up_to_17(tiny_codec: Any) -> None:
    for width, height in SIZES:
        assert_seen(tiny_codec, width, height, 3)


@pytest.mark.parametrize(
    ("width", "height"),
    [pytest.param(*s, marks=pytest.mark.slow) if s in LARGE[3:4] + LARGE[5:] else s for s in LARGE],
)
def test_odd_prime_and_long_sizes(tiny_codec: Any, width: int, height: int) -> None:
    assert_seen(tiny_codec, width, height, 3)


# --- decoding from anywhere


@pytest.fixture(scope="module")
def long_file(tiny_codec: Any) -> tuple[bytes, list[int], list[Picture]]:
    """A file of five GOPs of 1 to 37 frames with uneven times; its times, and its pictures decoded
    from the first to the last."""
    out, times, pictures, now = io.BytesIO(), [], [], 40
    rng = np.random.default_rng(1)
    writer = ContainerWriter(out, header(33, 20, model_id=tiny_codec.model_id))
    for i, n in enumerate((37, 1, 16, 20, 2)):
        r = encoded(tiny_codec, moving(33, 20, n, seed=i), 30)
        pts = [now := now + int(step) for step in rng.integers(1, 90, n)]
        writer.gop(GopPayload(tuple(pts), 40, r.checksum, tuple(round(s) for s in r.sse), r.body))  # type: ignore[arg-type]
        times += pts
        pictures += decode_gop(tiny_codec, r.body, n, 33, 20)
    writer.finish()
    return out.getvalue(), times, pictures


def seek(
    data: bytes, codec: Any, start: Time | None, length: Time | None
) -> list[tuple[int, Picture]]:
    options, report = (
        DecodeOptions(start=start, duration=length, threads=1, device="cpu"),
        DecodeReport(),
    )
    chosen = [
        (pts, p)
        for pts, _, p in frames(ContainerReader.open(io.BytesIO(data)), codec, options, report)
    ]
    assert report.ok
    assert report.frames == len(chosen)
    return chosen


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_random_seeks_and_slices(
    long_file: tuple[bytes, list[int], list[Picture]], tiny_codec: Any, count: int
) -> None:
    data, times, pictures = long_file
    whole = seek(data, tiny_codec, None, None)
    assert [t for t, _ in whole] == times
    assert all(same(a, b) for (_, a), b in zip(whole, pictures, strict=True))
    rng = np.random.default_rng(count)
    lengths: set[int] = set()
    for i in range(count):
        begin = int(rng.integers(len(times)))
        start, length = Time(frames=begin), Time(frames=int(rng.integers(1, 12)))
        want = list(range(begin, min(len(times), begin + (length.frames or 0))))
        if (
            i % 3 == 0
            # by seconds, counted from the first frame: the first one at or after the start, and
            # those before its end
        ):
            begin_ms, length_ms = (
                int(rng.integers(times[-1] - times[0] + 1)),
                int(rng.integers(1, 600)),
            )
            start, length = (
                Time(seconds=Fraction(begin_ms, 1000)),
                Time(seconds=Fraction(length_ms, 1000)),
            )
            want = [
                k for k, t in enumerate(times) if begin_ms <= t - times[0] < begin_ms + length_ms
            ]
        elif i % 3 == 1:
            length = None
            want = list(range(begin, len(times)))
        got = seek(data, tiny_codec, start, length)
        lengths.add(len(want))
        assert [t for t, _ in got] == [times[k] - times[want[0]] for k in want]
        assert all(same(p, pictures[k]) for (_, p), k in zip(got, want, strict=True)), (
            start,
            length,
        )
    assert len(lengths) > 8


def ancestors_of(n: int, wanted: range) -> set[int]:
    """The frames wanted, their references, and theirs."""
    references = {s.frame: s.refs for slots in gop_order(n) for s in slots}
    found: set[int] = set()
    todo = list(wanted)
    while todo:
        f = todo.pop()
        if f not in found:
            found.add(f)
            todo += references[f]
    return found


def test_seeking_decodes_only_ancestors(tiny_codec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    n, decoded, original = 37, [], FrameCoder.decode
    r = encoded(tiny_codec, moving(20, 12, n), 30)
    pictures = list(decode_gop(tiny_codec, r.body, n, 20, 12))
    assert crc(pictures) == r.checksum

    def spy(self: FrameCoder, jobs: Any, stats: Any = None) -> Any:
        decoded.extend(job[1] for job in jobs)
        return original(self, jobs, stats)

    monkeypatch.setattr(FrameCoder, "decode", spy)
    for wanted in [range(f, f + 1) for f in range(n)] + [
        range(3, 9),
        range(15, 19),
        range(30, n),
        range(0),
        range(n),
    ]:
        for batch in (1, 7):
            decoded.clear()
            got = list(decode_gop(tiny_codec, r.body, n, 20, 12, batch, wanted))
            assert len(got) == len(wanted)
            assert all(same(p, pictures[f]) for p, f in zip(got, wanted, strict=True))
            assert len(decoded) == len(set(decoded)), wanted
            assert set(decoded) == ancestors_of(n, wanted), wanted
            if len(wanted) == 1:  # I frame, key frames on the way, one B frame of each level
                assert len(decoded) <= 2 + wanted[0] // 32 + 5


def test_a_seek_into_a_file_decodes_only_ancestors(
    long_file: tuple[bytes, list[int], list[Picture]],
    tiny_codec: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded, original = [], FrameCoder.decode

    def spy(self: FrameCoder, jobs: Any, stats: Any = None) -> Any:
        decoded.extend(job[1] for job in jobs)
        return original(self, jobs, stats)

    monkeypatch.setattr(FrameCoder, "decode", spy)
    assert len(seek(long_file[0], tiny_codec, Time(frames=37 + 1 + 7), Time(frames=2))) == 2
    assert set(decoded) == ancestors_of(16, range(7, 9))


# --- two decoders on any bytes


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_any_bytes_decode_alike_in_the_reference_decoder(
    tiny_weights: Path, tiny_codec: Any, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bodies that no encoder made, damaged or of noise, reach the clippings: product and reference
    give the same pixels, or both refuse."""
    w, h, n = 20, 12, 4
    model = reference.load_model(tiny_weights)
    q, streams = parts(encoded(tiny_codec, moving(w, h, n), 10).body, n)
    rng = np.random.default_rng(count)
    shown = 0
    for i in range(count):
        mixed = [
            rng.integers(0, 256, 30000).astype(np.uint8).tobytes() if rng.random() < 0.5 else s
            for s in streams
        ]
        if i % 3 == 0:
            damaged = bytearray(streams[i % n])
            damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
            mixed = [*streams[: i % n], bytes(damaged), *streams[i % n + 1 :]]
        used: list[int] = []
        with (
            monkeypatch.context() as m
        ):  # streams end where the decoder stops reading: longer ones are refused
            m.setattr(RangeDecoder, "consumed", property(lambda self: used.append(self.at) or True))  # noqa: B023
            try:
                reference.decode_gop(model, body(q, mixed), n, w, h)
            except Bad:
                used += [30000] * n
        data = body(q, [s[:end] for s, end in zip(mixed, used, strict=False)])
        try:
            want = md5(
                [
                    Picture(*(p.astype(np.uint16) for p in planes))
                    for planes in reference.decode_gop(model, data, n, w, h)
                ]
            )
            shown += 1
        except Bad:
            want = "refused"
        try:
            got = md5(list(decode_gop(tiny_codec, data, n, w, h)))
        except DamageError:
            got = "refused"
        assert got == want, i
    assert shown > count // 3


# --- proof of the accumulators' bounds


@pytest.fixture(scope="module", params=["tiny", "project"])
def model_path(request: pytest.FixtureRequest) -> Path:
    return default_path() if request.param == "project" else request.getfixturevalue("tiny_weights")


def layers(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Weights and bias of each layer of a model file."""
    arrays = load_file(path)
    return {
        k.removesuffix(".w"): (v, arrays[k.removesuffix("w") + "bias"])
        for k, v in arrays.items()
        if k.endswith(".w") and ".analysis." not in k
    }


def test_every_layer_of_a_model_is_checked_when_it_is_loaded(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    checked: list[str] = []

    def spy(name: str, *tensors: torch.Tensor) -> None:
        checked.append(name)
        check_exact(name, *tensors)

    monkeypatch.setattr(exact_layers, "check_exact", spy)
    load_model(model_path, "cpu", 1)
    names = layers(model_path)
    assert sorted(checked) == sorted(n.split(".", 1)[1] for n in names)
    assert len(names) > 40
    assert sum(n.endswith(".dw") for n in names) >= 9
    assert any("cx_last" in n for n in names)
    assert any("synthesis.pred" in n for n in names)


def test_the_worst_input_of_every_layer_is_exact(model_path: Path) -> None:
    """For each output the input that drives its accumulator furthest, up and down, through both
    backends, against integers in binary64, exact below 2^53."""
    for name, (w, bias) in layers(model_path).items():
        w64, top_bias = (
            w.astype(np.float64),
            np.abs(bias.astype(np.int64)).reshape(-1, w.shape[1]).max(0),
        )
        for sign in (1, -1):
            x = np.where(sign * w.T > 0, 127, -128).astype(np.int8)  # (outputs, inputs)
            want = x.astype(np.float64) @ w64
            assert int((np.abs(want) + top_bias).max()) < EXACT, name
            if name.endswith(".dw"):
                continue  # nine products by themselves: test_backends_agree_in_every_operation
            v = (16000 * sign * np.sign(w64.T)).astype(np.int16)
            wide = v.astype(np.float64) @ w64
            assert int((np.abs(wide) + top_bias).max()) < 1 << 31, name
            for b, off in product((Float32Backend(), FusedBackend()), (0, 1)):
                # row n is the worst input of output n: less what it must give, one more or less
                # shows
                narrow, tall = (_less(b, w, np.diag(a), off) for a in (want, wide))
                found = b.host(b.product16(b.array(x), narrow, 0))
                assert (np.diag(found) == off).all(), name
                ones = np.ones(v.shape[1], np.float32)
                found = b.host(b.wide16(b.array(v), b.array(ones), tall, 0))
                assert (np.diag(found) == off).all(), name


def _less(b: Any, w: np.ndarray, given: np.ndarray, off: int) -> ExactLinear[Any]:
    """A layer that gives its products less some numbers."""
    bias = (off - given).astype(np.int32)[None]
    return ExactLinear(b.array(w), b.array(bias), b.array(np.ones(bias.shape, np.float32)))


def test_trunks_saturate_and_never_wrap() -> None:
    """The largest and smallest trunk, to which the largest and smallest 16-bit result is added."""
    x, w, most = np.full((3, 1), 127, np.int8), np.full((1, 8), 127, np.int8), EXACT - (1 << 15)
    for b, sign in product((Float32Backend(), FusedBackend()), (1, -1)):
        trunk = b.array(np.full((3, 8), sign * 32767, np.int16))
        up, down = (_less(b, s * w, np.full(8, -s * most), 0) for s in (sign, -sign))
        b.product_add(b.array(x), up, 0, trunk, b.array(np.full(8, 1 / 512, np.float32)))
        assert (b.host(trunk) == sign * 32767).all()
        b.product_add(b.array(x), down, 0, trunk, b.array(np.ones(8, np.float32)))
        assert (b.host(trunk) == 0).all()


def test_the_lowest_depthwise_bias_is_refused(tiny_models: dict[str, Any]) -> None:
    """Its absolute value is no 32-bit integer: the bound was once computed in 32 bits, and this
    bias passed."""
    d = exact_arrays(tiny_models["inter"])
    d["synthesis.blocks16.0.dw.bias"] = np.full_like(d["synthesis.blocks16.0.dw.bias"], -(1 << 31))
    with pytest.raises(WeightsError, match="synthesis.blocks16.0.dw"):
        ExactBlock(d, "synthesis.blocks16.0", FusedBackend())


def test_layers_whose_tensors_do_not_fit_are_refused() -> None:
    w, bias, scale = (
        np.zeros((16, 8), np.int8),
        np.zeros((1, 8), np.int32),
        np.ones((1, 8), np.float32),
    )
    check_exact("good", w, bias, scale)
    narrow, double = (w, bias[:, :1], scale[:, :1]), (w, bias, scale.astype(np.float64))
    for wrong in (
        narrow,
        double,
        (w, bias, scale.repeat(64, 0)),
        (w.astype(np.int16), bias, scale),
        (w, bias.astype(np.float32), scale),
        (w[0], bias, scale),
    ):
        with pytest.raises(WeightsError, match="don't fit"):
            check_exact("bad", *wrong)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e-40])
@pytest.mark.parametrize(
    "name",
    ["inter.synthesis.s_up", "intra.prior.steps.0.blocks.0.dw.scale", "inter.prior.cx_last.scale"],
)
def test_scales_that_are_no_normal_positive_numbers_are_refused(
    tiny_weights: Path, tmp_path: Path, name: str, value: float, one_thread: None
) -> None:
    arrays = load_file(tiny_weights)
    arrays[name].flat[-1] = value
    weights_file.save(
        tmp_path / "bad.safetensors",
        arrays,
        weights_file.read_weights(tiny_weights).shapes(),
    )
    with pytest.raises(WeightsError, match=name):
        load_model(tmp_path / "bad.safetensors", "cpu", 1)
