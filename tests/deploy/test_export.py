"""Export: what lies in the bytes of the files, found again however it was written, and refused where a removed place is not 0."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import jobs
import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from certify.deploy import export as exporting
from certify.deploy import graph
from certify.deploy.export import FORMATS, export, zeros_of
from certify.deploy.two_four import load, project
from certify.networks.loading import build, digest, save_state, state_of
from certify.networks.running import Graph, arithmetic, compressed, runs_of
from certify.networks.targets import describe
from certify.records import Edit, Refused, Usage
from certify.records.recipe import ModelRecipe

VIT, RESNET = jobs.DIGITS["model"], jobs.RESNET


def network(model: dict, *, weights: Callable[[torch.Tensor], torch.Tensor] = project) -> nn.Module:
    """A random network, pruned 2:4 in every block."""
    torch.manual_seed(1)
    found = build(ModelRecipe(model["name"], "", model["num_classes"], model["kwargs"]))
    for module in found.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2.0)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    for target in describe(found):
        if not target.skipped and target.role == "block" and target.cols % 4 == 0:
            weight = found.get_parameter(target.weight)
            weight.data = weights(weight.data)
    return found.requires_grad_(False)


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    return network(VIT)


@pytest.fixture(scope="module")
def shipped(vit: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All four files of one network."""
    folder = tmp_path_factory.mktemp("shipped")
    images = torch.randn(6, 1, 8, 8)
    for form in FORMATS:
        export(vit, state_of(vit), edits_of(vit), None, form, folder, images=images)
    return folder


def edits_of(model: nn.Module) -> tuple[Edit, ...]:
    return zeros_of(state_of(model), describe(model))


def weights_of(model: nn.Module) -> dict[str, np.ndarray]:
    return {
        edit.target: model.get_parameter(f"{edit.target}.weight").reshape(len(edit.kept), -1).numpy() for edit in edits_of(model)
    }


def test_zeros_of_a_checkpoint_are_its_plan(vit: nn.Module) -> None:
    edits = edits_of(vit)
    assert {edit.target for edit in edits} == {f"blocks.0.{name}" for name in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")}
    assert all(edit.pattern == "2:4" and 2 * edit.removed == edit.kept.size for edit in edits)


def test_every_format_says_what_it_is(shipped: Path) -> None:
    runs = {form: runs_of(shipped / file) for form, file in FORMATS.items()}
    assert runs == {
        "safetensors": "float32",
        "bf16": "bfloat16",
        "fp16": "float16",
        "two-four": "bfloat16",
        "two-four-fp16": "float16",
        "onnx": "onnxruntime",
    }
    assert [form for form, file in FORMATS.items() if compressed(shipped / file)] == ["two-four", "two-four-fp16"]
    assert "shipped" not in arithmetic("float32", 1)
    assert all("shipped" in arithmetic(way, 1) for way in ("bfloat16", "float16", "onnxruntime"))


def test_the_compressed_file_is_the_bfloat16_network(shipped: Path, vit: nn.Module) -> None:
    halved = load_file(shipped / FORMATS["bf16"])
    assert digest(load(shipped / FORMATS["two-four"])) == digest(halved)
    assert all(torch.equal(halved[name], tensor.bfloat16()) for name, tensor in state_of(vit).items())
    sizes = {form: (shipped / FORMATS[form]).stat().st_size for form in ("safetensors", "bf16", "two-four")}
    assert sizes["two-four"] < sizes["bf16"] < sizes["safetensors"]


def test_a_minus_zero_among_the_removed_becomes_plus_zero(tmp_path: Path) -> None:
    """A product with a mask leaves -0, whose sign a 2:4 file cannot hold; both exports name the same network."""
    model = network(VIT, weights=lambda weight: torch.where(project(weight) == 0, -0.0, weight))
    names = {export(model, state_of(model), edits_of(model), None, form, tmp_path).network for form in ("bf16", "two-four")}
    assert len(names) == 1


@pytest.mark.parametrize("model", [VIT, RESNET], ids=["transposed", "batch norm folded"])
def test_every_pruned_matrix_is_found_in_the_graph(model: dict, tmp_path: Path) -> None:
    found = network(model)
    channels, size = (1, 8) if model is VIT else (3, 32)
    said = export(found, state_of(found), edits_of(found), None, "onnx", tmp_path, images=torch.randn(5, channels, size, size))
    matrices = said.details["matrices"]
    assert set(matrices) == {edit.target for edit in edits_of(found)} and len(matrices) >= 4
    assert said.details["opset"] == graph.OPSET and said.details["decisions_equal"] == 5
    assert {entry["how"] for entry in matrices.values()} == {"transposed" if model is VIT else "rows scaled"}
    assert b"site-packages" not in said.path.read_bytes(), "paths of the exporting machine"
    for batch in (1, 3):
        assert Graph(said.path, 1)(torch.randn(batch, channels, size, size)).shape == (batch, model["num_classes"])


def planted(data: bytes, target: str, vit: nn.Module, value: float) -> bytes:
    """The same graph with `value` in the first removed place of a matrix, which the exporter had transposed."""
    model = onnx.load_from_string(data)
    where = graph.find(data, edits_of(vit), None, weights_of(vit))
    name = next(entry.initialiser for entry in where if entry.target == target)
    kept = next(edit.kept for edit in edits_of(vit) if edit.target == target)
    row, col = np.argwhere(~kept)[0]
    (tensor,) = (entry for entry in model.graph.initializer if entry.name == name)
    array = onnx.numpy_helper.to_array(tensor).copy()
    array[col, row] = value
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))
    return model.SerializeToString()


@pytest.mark.parametrize("target", ["blocks.0.attn.qkv", "blocks.0.attn.proj", "blocks.0.mlp.fc2"])
def test_one_number_planted_into_a_removed_place_is_refused(target: str, shipped: Path, vit: nn.Module) -> None:
    data = (shipped / "model.onnx").read_bytes()
    assert len(graph.find(data, edits_of(vit), None, weights_of(vit))) == 4
    with pytest.raises(Refused, match=rf"{target}: 1 removed entries are not 0 in val_\d+; row 0, column \d+ holds 1.0"):
        graph.find(planted(data, target, vit, 1.0), edits_of(vit), None, weights_of(vit))
    graph.find(planted(data, target, vit, -0.0), edits_of(vit), None, weights_of(vit))


def test_the_same_where_a_batch_norm_was_folded_into_the_matrix(tmp_path: Path) -> None:
    model, images = network(RESNET), torch.randn(2, 3, 32, 32)
    said = export(model, state_of(model), edits_of(model), None, "onnx", tmp_path, images=images)
    whole = onnx.load(said.path)
    target, where = next((name, entry) for name, entry in said.details["matrices"].items() if entry["how"] == "rows scaled")
    kept = next(edit.kept for edit in edits_of(model) if edit.target == target)
    (tensor,) = (entry for entry in whole.graph.initializer if entry.name == where["initialiser"])
    array = onnx.numpy_helper.to_array(tensor).copy()
    array.reshape(kept.shape)[tuple(np.argwhere(~kept)[-1])] = 1e-6
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    with pytest.raises(Refused, match=f"{target}: 1 removed entries are not 0"):
        graph.find(whole.SerializeToString(), edits_of(model), None, weights_of(model))


def test_a_kept_weight_that_moved_is_another_matrix(shipped: Path, vit: nn.Module) -> None:
    weights = weights_of(vit)
    weights["blocks.0.mlp.fc1"] = weights["blocks.0.mlp.fc1"] + 1e-3
    with pytest.raises(Refused, match=r"blocks.0.mlp.fc1: no initialiser of the graph holds its 512 kept weights"):
        graph.find((shipped / "model.onnx").read_bytes(), edits_of(vit), None, weights)


def test_a_broken_pattern_is_named(shipped: Path, vit: nn.Module) -> None:
    """A mask that keeps everything says nothing of zeros, its pattern does."""
    edits = [Edit(edit.target, np.ones_like(edit.kept)) for edit in edits_of(vit)]
    graph.find((shipped / "model.onnx").read_bytes(), edits, "2:4", weights_of(vit))
    with pytest.raises(Refused, match="pattern 1:4 allows 1"):
        graph.find((shipped / "model.onnx").read_bytes(), edits, "1:4", weights_of(vit))


def test_a_decoy_that_no_node_reads_does_not_count(shipped: Path, vit: nn.Module) -> None:
    data = (shipped / "model.onnx").read_bytes()
    model = onnx.load_from_string(planted(data, "blocks.0.mlp.fc1", vit, 1.0))
    weight = weights_of(vit)["blocks.0.mlp.fc1"]
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "blocks.0.mlp.fc1.weight"))
    with pytest.raises(Refused, match="removed entries are not 0"):
        graph.find(model.SerializeToString(), edits_of(vit), None, weights_of(vit))


def test_outputs_that_disagree_are_refused(shipped: Path, vit: nn.Module) -> None:
    images = torch.randn(4, 1, 8, 8)
    found = graph.compare(vit, shipped / "model.onnx", images, 1)
    assert found.samples == found.equal == 4 and found.difference < 1e-5
    with pytest.raises(Refused, match=r"logit \d of sample \d is .* in onnxruntime, .* in torch"):
        graph.compare(network(VIT, weights=torch.zeros_like), shipped / "model.onnx", images, 1)


def test_a_changed_byte_leaves_nothing_behind(tmp_path: Path, vit: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(path: Path, state: dict) -> None:
        save_state(path, state)
        data = bytearray(path.read_bytes())
        data[-9] ^= 1
        path.write_bytes(data)

    monkeypatch.setattr(exporting, "save_state", damaged)
    with pytest.raises(Refused, match="another network"):
        export(vit, state_of(vit), edits_of(vit), None, "bf16", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_network_that_is_not_sparse_is_refused(tmp_path: Path, vit: nn.Module) -> None:
    state = state_of(vit)
    for form in ("safetensors", "bf16", "two-four", "onnx"):
        state["blocks.0.mlp.fc1.weight"] = torch.ones_like(state["blocks.0.mlp.fc1.weight"])
        with pytest.raises(Refused, match=r"blocks.0.mlp.fc1"):
            export(network(VIT), state, edits_of(vit), None, form, tmp_path, images=torch.randn(2, 1, 8, 8))
        assert list(tmp_path.iterdir()) == []


def test_the_model_that_is_handed_in_stays_as_it_is(tmp_path: Path, vit: nn.Module) -> None:
    other, before = network(RESNET), digest(state_of(network(RESNET)))
    state = {name: tensor * 2 if tensor.is_floating_point() else tensor for name, tensor in state_of(other).items()}
    export(other, state, edits_of(other), None, "onnx", tmp_path, images=torch.randn(2, 3, 32, 32))
    assert digest(state_of(other)) == before


def test_dense_networks_and_unknown_formats(tmp_path: Path) -> None:
    dense = network(VIT, weights=lambda weight: weight)
    with pytest.raises(Refused, match="no matrix was pruned 2:4"):
        export(dense, state_of(dense), (), None, "two-four", tmp_path)
    with pytest.raises(Usage, match="safetensors, bf16, fp16, two-four, two-four-fp16, onnx"):
        export(dense, state_of(dense), (), None, "gguf", tmp_path)
    state = state_of(dense) | {"head.bias": torch.full((10,), 7e4)}
    with pytest.raises(Refused, match=r"head.bias: holds 7e\+04; float16 reaches 65504"):
        export(dense, state, (), None, "fp16", tmp_path / "large")
    with pytest.raises(Usage, match="real samples"):
        export(dense, state_of(dense), (), None, "onnx", tmp_path)


def test_files_that_cannot_be_run_here(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.onnx").write_bytes((shipped / "model.onnx").read_bytes()[:1000])
    with pytest.raises(Refused, match=r"cut.onnx"):
        Graph(tmp_path / "cut.onnx", 1)
    model = onnx.load(shipped / "model.onnx")
    onnx.save(model, tmp_path / "outside.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(Refused, match="lies in a file of its own"):
        Graph(tmp_path / "outside.onnx", 1)
    with pytest.raises(Refused, match="cannot run on images of shape"):
        Graph(shipped / "model.onnx", 1)(torch.randn(2, 3, 8, 8))
    halves = {name: tensor.half() for name, tensor in load(shipped / "model.two-four.safetensors").items()}
    save_file(halves | {"head.bias": halves["head.bias"].float()}, tmp_path / "half.safetensors", metadata={"two_four": "{}"})
    with pytest.raises(Refused, match=r"F16, F32|F32, F16"):
        runs_of(tmp_path / "half.safetensors")


def test_without_the_packages_one_sentence_says_so(vit: nn.Module, shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(Refused, match=r"onnxruntime is not installed.*certify\[export\]"):
        graph.to_onnx(vit, torch.randn(2, 1, 8, 8))
    with pytest.raises(Refused, match="onnxruntime is not installed"):
        Graph(shipped / "model.onnx", 1)


def test_the_description_names_the_file(shipped: Path) -> None:
    from certify.records.files import read_json

    for file in FORMATS.values():
        said = read_json(shipped / f"{file}.json")
        assert said["sha256"] == hashlib.sha256((shipped / file).read_bytes()).hexdigest() and said["file"] == file
        assert said["bytes"] == (shipped / file).stat().st_size and said["checked"]


@pytest.mark.parametrize("model", [VIT, RESNET])
def test_groups_in_an_order_of_their_own_are_stored_and_come_back(model: dict, tmp_path: Path) -> None:
    """A plan that orders inputs ships 2:4 as one that does not: the file is the bfloat16 network, under the same name."""
    from certify.networks.evidence import collect
    from certify.networks.masking import masked_state
    from certify.pruning import prune

    dense = network(model, weights=lambda weight: weight)
    targets = [each for each in describe(dense) if not each.skipped and each.role == "block" and each.cols % 4 == 0]
    images = torch.randn(8, *((1, 8, 8) if model is VIT else (3, 32, 32)))
    evidence = collect(dense, targets, [images], split="0" * 64, parts=("moments", "grams", "inputs"), gram_block=0)
    plan = prune(targets, evidence, name="ordered", method="magnitude", pattern="2:4", seed=0, options={"order": "bucket"})
    ordered = [edit for edit in plan.edits if edit.order is not None]
    assert ordered
    state = masked_state(state_of(dense), plan)
    files = {form: export(dense, state, plan.edits, plan.pattern, form, tmp_path) for form in ("bf16", "two-four")}
    assert files["two-four"].network == files["bf16"].network
    assert files["two-four"].details["ordered"] == len(ordered)
    assert files["two-four"].bytes < files["bf16"].bytes
    assert digest(load(files["two-four"].path)) == files["bf16"].network
