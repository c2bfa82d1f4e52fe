from __future__ import annotations

import inspect
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from support import fakes

from vqcodec.codec import gop_decoder, weights
from vqcodec.codec.nets.shape import LARGE_INTRA, LARGE_KEY, NetShape
from vqcodec.codec.weights import default_path, load_codec, model_id, read_metadata, read_model_id
from vqcodec.encoding import gop_encoder
from vqcodec.encoding.model import load_model
from vqcodec.encoding.nets.analysis import Analysis
from vqcodec.encoding.nets.layout import analysis_layout
from vqcodec.errors import WeightsError


def shapes(path: Path) -> dict[str, NetShape]:
    return weights.read_weights(path).shapes()


def test_the_model_id_is_that_of_the_tensors_the_decoder_uses(
    tiny_weights: Path, tiny_codec: Any, tmp_path: Path
) -> None:
    tensors = load_file(tiny_weights)
    ident = model_id(tensors)
    assert ident == read_model_id(tiny_weights) == tiny_codec.model_id
    assert len(ident) == 8
    assert model_id(dict(reversed(tensors.items()))) == ident
    name = next(k for k in tensors if ".analysis." in k)
    assert model_id(tensors | {name: tensors[name] + 1}) == ident
    for name in ("intra.books.counts", "inter.prior.steps.1.s_y", "inter.synthesis.last.w"):
        assert model_id(tensors | {name: tensors[name] + tensors[name].dtype.type(1)}) != ident
        assert model_id(tensors | {name: tensors[name][None]}) != ident
    assert (
        weights.save(tmp_path / "again.safetensors", tensors, shapes(tiny_weights), {"note": "x"})
        == ident
    )
    assert read_model_id(tmp_path / "again.safetensors") == ident
    assert read_metadata(tmp_path / "again.safetensors")["note"] == "x"


def test_nets_of_key_frames_may_be_missing(tiny_weights: Path, tmp_path: Path) -> None:
    """Their frames are then coded by the inter nets, and the file says by its format which."""
    file = weights.read_weights(tiny_weights, analysis=True)
    assert file.metadata["format"] == weights.FORMAT_WITH_KEY
    with_key = load_model(tiny_weights, "cpu")
    assert [nets.kind for nets in with_key.all_nets] == ["intra", "inter", "key"]
    assert with_key.nets(False, 1) is with_key.key
    assert with_key.nets(False, 2) is with_key.inter
    assert with_key.nets(True, 1) is with_key.intra
    path = tmp_path / "without.safetensors"
    tensors = {k: v for k, v in file.tensors.items() if not k.startswith("key.")}
    sizes = {k: v for k, v in file.shapes().items() if k != "key"}
    assert weights.save(path, tensors, sizes) != with_key.model_id
    assert read_metadata(path)["format"] == weights.FORMAT
    without = load_model(path, "cpu")
    assert without.key is without.inter
    assert [nets.kind for nets in without.all_nets] == ["intra", "inter"]


def test_weights_without_an_analysis_id_are_accepted(tiny_weights: Path, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    tensors, meta = load_file(tiny_weights), read_metadata(tiny_weights)
    assert meta["analysis_id"] == weights.analysis_id(tensors).hex() != meta["model_id"]
    path = tmp_path / "x.safetensors"
    save_file(tensors, path, {k: v for k, v in meta.items() if k != "analysis_id"})
    assert load_model(path, "cpu").model_id.hex() == meta["model_id"]
    save_file(tensors, path, meta | {"analysis_id": "0123456789abcdef"})
    with pytest.raises(WeightsError, match="damaged: its analysis"):
        load_model(path, "cpu")
    # a decoder does not need those tensors
    assert load_codec(path, "cpu").model_id.hex() == meta["model_id"]


def test_the_model_id_of_known_tensors_never_changes() -> None:
    tensors = {
        "intra.b": np.arange(6, dtype=np.int8).reshape(2, 3),
        "intra.a": np.array([1.5], np.float32),
        "intra.analysis.x": np.zeros(3, np.float16),
    }
    # SHA-256 of "intra.a <f4 (1,) " 00 00 c0 3f "intra.b |i1 (2, 3) " 00 01 02 03 04 05
    assert model_id(tensors).hex() == "b3d0995b5cfb6b32"


def test_damaged_tensors_are_refused(tiny_weights: Path, tmp_path: Path) -> None:
    good = tiny_weights.read_bytes()
    n = int.from_bytes(good[:8], "little")
    spans = {
        k: v["data_offsets"] for k, v in json.loads(good[8 : 8 + n]).items() if k != "__metadata__"
    }
    bad = tmp_path / "bad.safetensors"
    for name in (
        "intra.prior.up.w",
        "inter.books.words",
        "inter.synthesis.first.scale",
        "intra.analysis.down.weight",
        "inter.analysis.hyper.bias",
    ):
        data = bytearray(good)
        data[8 + n + spans[name][1] - 1] ^= 0x10
        bad.write_bytes(data)
        with pytest.raises(WeightsError, match="damaged"):
            load_model(bad, "cpu")
    for cut in (len(good) - 1, len(good) // 2, 8 + n):
        bad.write_bytes(good[:cut])
        for load in (load_codec, load_model):
            with pytest.raises(WeightsError):
                load(bad, "cpu")


NOT_WEIGHTS = [
    b"",
    b"123",
    b"\x02" + bytes(7) + b"{}",
    bytes(8) + b"{}",
    b"\xff" * 99,
    b"\x10" + bytes(7) + b"[" * 16,
    b"\x14" + bytes(7) + b'{"__metadata__": 12} ',
]
NOT_WEIGHTS.append((1 << 17).to_bytes(8, "little") + b"[" * (1 << 17))


@pytest.mark.parametrize("data", NOT_WEIGHTS)
def test_what_is_no_weights_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(data)
    for read in (read_metadata, read_model_id, load_codec, load_model):
        with pytest.raises(WeightsError, match="x.safetensors"):
            read(path)


def test_weights_of_another_program_or_version_are_refused(
    tiny_weights: Path, tmp_path: Path
) -> None:
    from safetensors.numpy import save_file

    path = tmp_path / "x.safetensors"
    save_file({"a": np.zeros(3, np.float32)}, path)
    with pytest.raises(WeightsError, match="format unknown"):
        load_codec(path)
    save_file({"a": np.zeros(3, np.float32)}, path, {"format": "vqcodec-0"})
    with pytest.raises(WeightsError, match="vqcodec-0"):
        load_codec(path)
    save_file({"a": np.zeros(3, np.float32)}, path, {"format": weights.FORMAT})
    with pytest.raises(WeightsError, match="no model id"):
        read_model_id(path)


def test_incomplete_or_impossible_weights_are_refused(tiny_weights: Path, tmp_path: Path) -> None:
    tensors, s, path = load_file(tiny_weights), shapes(tiny_weights), tmp_path / "x.safetensors"

    def refused(changed: dict[str, Any], **other: NetShape) -> None:
        weights.save(path, changed, s | other)
        with pytest.raises(WeightsError, match="incomplete"):
            load_model(path, "cpu")

    for name in (
        "intra.books.sizes",
        "inter.prior.cx_first.w",
        "inter.synthesis.s_y",
        "key.prior.cx_first.w",
        "key.analysis.hyper.bias",
        "intra.analysis.first.weight",
    ):
        refused({k: v for k, v in tensors.items() if k != name})
    refused(tensors | {"intra.analysis.surplus": np.zeros(1, np.float16)})
    refused(tensors | {"intra.analysis.first.bias_scale": np.zeros(1, np.float32)})
    books = {k: tensors[f"inter.books.{k}"] for k in ("dims", "sizes", "words", "counts")}
    for name, value in (
        ("dims", books["dims"] * 0 + 3),
        ("sizes", books["sizes"] + 1000),
        ("sizes", books["sizes"] - 1),
        ("words", books["words"] + 1),
        ("words", books["words"][:-1]),
        ("counts", books["counts"][:-1]),
    ):
        refused(tensors | {f"inter.books.{name}": value})
    refused(tensors, inter=NetShape(inter=True))
    for sizes in ({"inter": False}, {"latent": s["key"].latent + 16}, {"hyper": 16}):
        refused(tensors, key=replace(s["key"], **sizes))
    with pytest.raises(WeightsError):  # too large to be exact
        weights.save(
            path, tensors | {"intra.prior.up.bias": tensors["intra.prior.up.bias"] + (1 << 24)}, s
        )
        load_codec(path, "cpu")


def test_tensors_of_other_sizes_never_reach_compiled_code(
    tiny_weights: Path, tmp_path: Path
) -> None:
    """Crafted weights whose hashes are right: each of these made a kernel read or write beyond an
    array, or ended outside our errors."""
    tensors, s, path = load_file(tiny_weights), shapes(tiny_weights), tmp_path / "x.safetensors"
    sizes, dims = tensors["intra.books.sizes"].copy(), tensors["intra.books.dims"]
    t = int(np.flatnonzero(dims == 1)[0])
    drop = int(sizes[t]) - 1
    at = int(sizes[:t].sum())
    word = int((sizes[:t] * dims[:t]).sum())
    sizes[t] = 1  # nothing but the escape
    escape = {
        "intra.books.sizes": sizes,
        "intra.books.words": np.delete(tensors["intra.books.words"], slice(word, word + drop)),
        "intra.books.counts": np.delete(tensors["intra.books.counts"], slice(at, at + drop)),
    }
    wide = {
        f"intra.synthesis.blocks16.0.w2.{k}": np.repeat(
            tensors[f"intra.synthesis.blocks16.0.w2.{k}"], 40, axis=1
        )
        for k in ("w", "bias", "scale")
    }
    cases: list[dict[str, Any]] = [
        escape,
        wide,
        {"intra.synthesis.blocks16.0.dw.w": tensors["intra.synthesis.blocks16.0.dw.w"][:2]},
        {"intra.synthesis.s_up": tensors["intra.synthesis.s_up"][:3]},
        {"intra.synthesis.s_y": tensors["intra.synthesis.s_y"][:3]},
        {"inter.prior.s_z": tensors["inter.prior.s_z"].astype(np.float64)},
        {"inter.books.words": tensors["inter.books.words"].astype(np.float16)},
        {"inter.books.counts": tensors["inter.books.counts"].astype(bool)},
        {
            "inter.books.sizes": np.zeros(8_000_000, np.int64),
            "inter.books.dims": np.zeros(8_000_000, np.int64),
        },
        {"intra.surplus": np.zeros(3, np.int8)},
        {f"key.books.{k}": tensors[f"inter.books.{k}"] for k in ("dims", "sizes")},
    ]
    for changed in cases:
        weights.save(path, tensors | changed, s)
        with pytest.raises(WeightsError, match="incomplete"):
            load_codec(path, "cpu")


def test_missing_weights_and_where_they_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_weights: Path
) -> None:
    with pytest.raises(WeightsError, match="no weights at"):
        load_codec(tmp_path / "none.safetensors")
    with pytest.raises(WeightsError, match="no weights at"):
        load_codec(tmp_path)
    monkeypatch.setenv("VQCODEC_WEIGHTS", str(tiny_weights))
    assert default_path() == tiny_weights
    assert read_model_id() == read_model_id(tiny_weights)
    monkeypatch.setenv("VQCODEC_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(WeightsError, match="none"):
        read_model_id()
    monkeypatch.delenv("VQCODEC_WEIGHTS")
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "vqcodec" / "weights.py"))
    with pytest.raises(WeightsError, match="`weights`"):
        default_path()
    monkeypatch.setattr(weights, "MAX_BYTES", 1000)
    with pytest.raises(WeightsError, match="larger"):
        read_metadata(tiny_weights)


def test_stand_ins_take_what_the_real_functions_take() -> None:
    """Else the tests with stand-ins fail, or pass, for reasons of their own."""
    for real, own in (
        (weights.load_codec, fakes.load_codec),
        (load_model, fakes.load_model),
        (weights.read_model_id, fakes.read_model_id),
        (weights.read_metadata, fakes.read_metadata),
        (gop_encoder.GopEncoder.__init__, fakes.GopEncoder.__init__),
        (gop_decoder.decode_gop, fakes.decode_gop),
    ):
        names = [list(inspect.signature(f).parameters) for f in (real, own)]
        assert names[0] == names[1], real


def test_loading_a_model_does_not_load_torchs_compiler(tiny_weights: Path) -> None:
    """Nets on torch's meta device did, and took a second of every start."""
    code = (
        "import sys; from vqcodec.encoding.model import load_model; load_model(sys.argv[1], 'cpu')"
    )
    code += "; print('torch._dynamo' in sys.modules)"
    command = [sys.executable, "-c", code, str(tiny_weights)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


def test_loading_what_decodes_needs_no_nets_of_the_encoder(
    tiny_weights: Path, tmp_path: Path
) -> None:
    tensors = {k: v for k, v in load_file(tiny_weights).items() if ".analysis." not in k}
    path = tmp_path / "decoder.safetensors"
    weights.save(path, tensors, shapes(tiny_weights))
    code = (
        "import sys; from vqcodec.codec.weights import load_codec; load_codec(sys.argv[1], 'cpu')"
    )
    code += "; print([name for name in sys.modules if name.startswith('vqcodec.encoding.nets')])"
    command = [sys.executable, "-c", code, str(path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
    with pytest.raises(WeightsError, match="analysis.blocks16.0.dw.bias is missing"):
        load_model(path, "cpu")


@pytest.mark.parametrize(
    "shape",
    [
        NetShape(inter=False),
        NetShape(inter=True, enc16_blocks=2, hyper=48),
        LARGE_INTRA,
        LARGE_KEY,
    ],
)
def test_the_layout_of_the_analysis_is_that_of_its_net(shape: NetShape) -> None:
    state = Analysis(shape).state_dict()
    ranges = (".peak", ".stretch")
    assert analysis_layout(shape) == {
        name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith(ranges)
    }
