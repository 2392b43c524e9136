"""2:4 weights: masks, refusals, compressed storage bit for bit, and the zeros the reference reports."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from certify.deploy import two_four
from certify.deploy.macs import block_linears, eligible_convs
from certify.records import Refused


def sparse(rows, cols, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return two_four.project(torch.randn(rows, cols, generator=generator).to(dtype))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 9),
    groups=st.integers(1, 9),
    dtype=st.sampled_from([torch.float16, torch.bfloat16]),
    seed=st.integers(0, 2**16),
    drop=st.floats(0, 1),
)
def test_round_trip_is_bit_exact(rows, groups, dtype, seed, drop):
    """Also where a group keeps fewer than two entries, and for infinities, NaN payloads and subnormals."""
    generator = torch.Generator().manual_seed(seed)
    bits = torch.randint(-(2**15), 2**15, (rows, 4 * groups), generator=generator).to(torch.int16)
    mask = two_four.magnitude_mask(torch.rand(rows, 4 * groups, generator=generator))
    mask &= torch.rand(mask.shape, generator=generator) >= drop
    weight = torch.where(mask, bits, 0).to(torch.int16).view(dtype)
    values, metadata = two_four.compress(weight)
    assert values.shape == (rows, 2 * groups) and metadata.shape == (rows, (groups + 1) // 2)
    back = two_four.expand(values, metadata, weight.shape)
    assert torch.equal(back.view(torch.int16), weight.view(torch.int16))


def test_layout_is_the_documented_one():
    weight = torch.tensor([[0, 5, 0, 7, 1, 2, 0, 0, 0, 0, 0, 9]], dtype=torch.float16)
    values, metadata = two_four.compress(weight)
    assert values.tolist() == [[5, 7, 1, 2, 0, 9]]
    # groups keep (1, 3), (0, 1), (0, 3): nibbles i | j << 2 = 13, 4, 12
    assert metadata.tolist() == [[13 | 4 << 4, 12]]


def test_values_agree_with_the_operand_of_another_library():
    """CUTLASS's converter, which runs on a CPU, keeps the same entries in the same order."""
    from torch.sparse._semi_structured_conversions import sparse_semi_structured_from_dense_cutlass

    weight = sparse(64, 128, torch.bfloat16)
    packed, _ = sparse_semi_structured_from_dense_cutlass(weight)
    assert torch.equal(packed.float(), two_four.compress(weight)[0].float())


def test_mask_keeps_the_largest_and_breaks_ties_to_the_left():
    weight = torch.tensor([[1.0, -3, 2, 0.5, 1, 1, 1, 1, 9]])
    assert two_four.magnitude_mask(weight).tolist() == [[False, True, True, False, True, True, False, False, True]]
    assert two_four.magnitude_mask(torch.randn(3, 5, 4, 4), keep=10, group=16).flatten(1).sum(1).tolist() == [50] * 3


@pytest.mark.parametrize(("keep", "group"), [(1, 4), (2, 4), (4, 8), (10, 16)])
def test_zeros_of_a_projection(keep, group):
    weight = torch.randn(6, 8, 3, 3)
    found = int((two_four.project(weight, keep=keep, group=group) == 0).sum())
    assert found == two_four.zeros(weight.shape, keep=keep, group=group)


def test_refusal_names_tensor_row_group_and_counts():
    weight = sparse(300, 100, torch.float16)
    weight[204, 68:72] = torch.tensor([1.0, 0, 2, 3])
    weight[205, 0:4] = 1.0
    expected = r"blocks\.3\.mlp\.fc1: group 17 of row 204 keeps 3 of 4; pattern 2:4 allows 2 \(2 of 7500 groups"
    for call in (two_four.verify, two_four.compress):
        with pytest.raises(Refused, match=expected):
            call(weight, "blocks.3.mlp.fc1")


def test_other_refusals():
    with pytest.raises(Refused, match="float32 cannot be stored"):
        two_four.compress(torch.zeros(2, 4))
    with pytest.raises(Refused, match="no whole groups"):
        two_four.compress(torch.zeros(2, 6, dtype=torch.float16))
    negative = torch.tensor([[1.0, -0.0, 2.0, 0.0]], dtype=torch.float16)
    with pytest.raises(Refused, match="-0 in a dropped position"):
        two_four.compress(negative)
    kept = torch.tensor([[1.0, -0.0, 0.0, 0.0]], dtype=torch.float16)
    assert torch.signbit(two_four.expand(*two_four.compress(kept), kept.shape))[0, 1]


def test_damaged_parts_are_refused():
    values, metadata = two_four.compress(sparse(4, 16, torch.float16))
    with pytest.raises(Refused, match="do not make"):
        two_four.expand(values, metadata, (4, 20))
    broken = metadata.clone()
    broken[2, 1] = 0
    with pytest.raises(Refused, match="group 2 of row 2 names positions"):
        two_four.expand(values, broken, (4, 16))


def test_file_round_trip_and_bytes(tmp_path):
    tensors = {
        "a.weight": sparse(32, 64, torch.bfloat16),
        "conv.weight": two_four.project(torch.randn(8, 4, 3, 3)).bfloat16(),
        "a.bias": torch.randn(32).bfloat16(),
    }
    path = tmp_path / "net.safetensors"
    sizes = two_four.save(tensors, path, compressed=["a.weight", "conv.weight"])
    weights = 2 * (32 * 64 + 8 * 36)
    assert sizes.dense == weights + 64
    # 9 of 36 columns make an odd number of groups per row: half a byte per row is padding.
    assert sizes.compressed == 32 * (64 + 8) + 8 * (36 + 5) + 64
    assert sizes.on_disk == path.stat().st_size > sizes.compressed
    back = two_four.load(path)
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) and back[name].dtype == tensors[name].dtype for name in tensors)


def test_file_refusals(tmp_path):
    path = tmp_path / "net.safetensors"
    with pytest.raises(Refused, match="among the 1 tensors"):
        two_four.save({"a": torch.zeros(1)}, path, compressed=["b"])
    with pytest.raises(Refused, match="keeps 4 of 4"):
        two_four.save({"a": torch.ones(1, 4, dtype=torch.float16)}, path, compressed=["a"])
    assert not path.exists()
    two_four.save({"a": sparse(4, 8, torch.float16)}, path, compressed=["a"])
    parts = load_file(path)
    save_file({"a::values": parts["a::values"]}, path, metadata=_header())
    with pytest.raises(Refused, match="metadata are missing"):
        two_four.load(path)
    save_file(parts, path, metadata=_header(version=9))
    with pytest.raises(Refused, match="version 9"):
        two_four.load(path)
    path.write_bytes(b"not a file of tensors")
    with pytest.raises(Refused, match="not a readable"):
        two_four.load(path)
    save_file({"plain": torch.ones(3)}, path)
    assert two_four.load(path)["plain"].tolist() == [1, 1, 1]


def _header(version=1):
    tensors = {"a": {"shape": [4, 8], "dtype": "float16"}}
    return {"two_four": json.dumps({"version": version, "tensors": tensors})}


def _counts(model, names, keep, group):
    matrices = {n: m.weight for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    total = sum(weight.numel() for weight in matrices.values())
    return total, sum(two_four.zeros(matrices[name].shape, keep=keep, group=group) for name in names)


@pytest.mark.parametrize(
    ("name", "keep", "group", "total", "zeros"),
    [
        ("vit_base_patch16_224", 2, 4, 86_292_480, 42_851_328),
        ("vit_base_patch16_224", 8, 16, 86_292_480, 42_851_328),
        ("vit_base_patch16_224", 12, 16, 86_292_480, 21_425_664),
        ("vit_large_patch16_224", 2, 4, 303_800_320, 151_506_944),
        ("deit_small_patch16_224", 2, 4, 21_912_576, 10_808_832),
    ],
)
def test_published_zeros_of_transformers_include_the_head(meta, name, keep, group, total, zeros):
    model = meta(name)
    assert _counts(model, (*block_linears(model), "head"), keep, group) == (total, zeros)


@pytest.mark.parametrize(("keep", "zeros"), [(8, 11_722_752), (10, 8_792_064), (12, 5_861_376)])
def test_published_zeros_of_resnet50(meta, keep, zeros):
    model = meta("resnet50")
    names = eligible_convs(model, 16)
    assert (len(names), *_counts(model, names, keep, 16)) == (52, 25_502_912, zeros)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("deit_tiny_patch16_224", 0.486946),
        ("resnet50d", 0.459862),
        ("resnet101d", 0.476961),
        ("resnet152d", 0.482943),
        ("convnextv2_base", 0.479400),
    ],
)
def test_published_sparsities(meta, name, published):
    """Published from trained checkpoints, where a kept entry can be 0 too: at most a hundred more zeros than these."""
    model = meta(name)
    heads = {"deit_tiny_patch16_224": ("head",), "convnextv2_base": ("head.fc",)}.get(name, ())
    names = (*block_linears(model), *heads) if heads else eligible_convs(model)
    total, zeros = _counts(model, names, 2, 4)
    assert -5e-7 <= published - zeros / total <= 100 / total + 5e-7


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 6),
    groups=st.integers(1, 6),
    dtype=st.sampled_from([torch.float16, torch.bfloat16]),
    seed=st.integers(0, 999),
)
def test_groups_in_another_order_of_inputs_come_back_in_the_stored_one(rows, groups, dtype, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("ordered") / "model.safetensors"
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(4 * groups, generator=generator)
    weight = torch.empty(rows, 4 * groups, dtype=dtype)
    weight[:, order] = sparse(rows, 4 * groups, dtype, seed)
    weight = weight.reshape(rows, groups, 2, 2)  # as a convolution
    sizes = two_four.save({"w": weight}, path, compressed=["w"], orders={"w": order})
    assert torch.equal(two_four.load(path)["w"].view(torch.int16), weight.view(torch.int16))
    assert sizes.compressed == rows * groups * 4 + rows * ((groups + 1) // 2) + 4 * 4 * groups


def test_an_order_is_verified_on_both_sides(tmp_path):
    weight = torch.tensor([[1, 0, 2, 0, 3, 0, 4, 0]], dtype=torch.float16)
    bunched = torch.tensor([0, 2, 4, 6, 1, 3, 5, 7])
    path = tmp_path / "model.safetensors"
    with pytest.raises(Refused, match="group 0 of row 0 keeps 4 of 4"):
        two_four.save({"w": weight}, path, compressed=["w"], orders={"w": bunched})
    with pytest.raises(Refused, match="not a permutation of its 8 columns"):
        two_four.save({"w": weight}, path, compressed=["w"], orders={"w": torch.zeros(8, dtype=torch.int64)})
    two_four.save({"w": weight}, path, compressed=["w"])
    plain = json.loads(metadata(path)["two_four"])
    two_four.save({"w": weight}, path, compressed=["w"], orders={"w": torch.arange(8).flip(0)})
    described = json.loads(metadata(path)["two_four"])
    assert (plain["version"], described["version"]) == (1, 2), "a reader of version 1 must not take the columns as they lie"
    parts = load_file(path)
    save_file(parts | {"w::order": torch.zeros(8, dtype=torch.int32)}, path, metadata=metadata(path))
    with pytest.raises(Refused, match="not a permutation"):
        two_four.load(path)


def metadata(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return file.metadata()
