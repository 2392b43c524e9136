"""Token merging: the dense function at r = 0, counts per block, weighted means, and what must never merge."""

import pytest
import torch

from certify.networks import merging
from certify.networks.loading import build
from certify.networks.vision import import_timm
from certify.records import Refused
from certify.records.recipe import ModelRecipe


@pytest.fixture
def vit():
    """Two heads and three blocks on 4 x 4 patches of 8: 17 tokens; random, eval mode."""
    torch.manual_seed(0)
    model = import_timm().create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=3, num_heads=2, num_classes=10
    )
    return model.eval().requires_grad_(False)


def test_r_zero_is_the_dense_network(vit):
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(merging.merge_tokens(vit, 0)(x), vit(x))


def test_r_zero_with_qk_norm_layer_scale_and_registers():
    torch.manual_seed(0)
    model = import_timm().create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=64, depth=2, num_heads=2, num_classes=5,
        qk_norm=True, init_values=0.1, reg_tokens=2, global_pool="avg", class_token=True,
    ).eval()  # fmt: skip
    x = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(merging.merge_tokens(model, 0)(x), model(x))
    assert merging.merge_tokens(model, 3)(x).shape == (2, 5)


def test_keys_survive_and_the_model_is_untouched(vit):
    before = {key: value.clone() for key, value in vit.state_dict().items()}
    merged = merging.merge_tokens(vit, 4)
    assert set(merged.state_dict()) == set(before)
    merged.load_state_dict(before, strict=True)
    with torch.no_grad():
        next(merged.parameters()).add_(1.0)
    assert all(torch.equal(value, before[key]) for key, value in vit.state_dict().items())


def test_tokens_per_block(vit):
    seen = []
    merged = merging.merge_tokens(vit, 5)
    for block in merged.blocks:
        block.mlp.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[1]))
    merged(torch.randn(1, 3, 32, 32))
    assert tuple(seen) == merging.token_counts(17, (5, 5, 5), 1)[1:] == (12, 7, 4)


def test_published_token_counts():
    assert merging.token_counts(197, (8,) * 12, 1)[-1] == 101
    assert 5 <= merging.token_counts(197, (8,) * 24, 1)[-1] <= 7


def test_schedules():
    assert merging.schedule(3, 4) == (3, 3, 3, 3)
    assert merging.decreasing(8, 5) == (16, 12, 8, 4, 0)
    with pytest.raises(Refused, match="3 numbers for 4 blocks"):
        merging.schedule([1, 2, 3], 4)
    with pytest.raises(Refused, match="-1"):
        merging.schedule(-1, 2)


@pytest.mark.parametrize("tokens", [2, 5, 16, 17])
@pytest.mark.parametrize("protected", [0, 1, 2, 5])
def test_protected_tokens_neither_merge_nor_receive(tokens, protected):
    count = merging.merge_count(tokens, 100, protected)
    if count == 0:
        assert tokens - protected < 2
        return
    torch.manual_seed(tokens)
    source, target = merging.match(torch.randn(3, tokens, 4), count, protected)
    assert source.min() >= protected and target.min() >= protected
    assert (source % 2 == 0).all() and (target % 2 == 1).all()
    assert all(len(set(row.tolist())) == count for row in source)


def test_merge_is_the_size_weighted_mean_in_the_old_order():
    x = torch.arange(12, dtype=torch.float32).reshape(1, 6, 2)
    size = torch.tensor([[1.0, 1, 2, 3, 1, 1]])
    # Tokens 2 (size 2) and 4 (size 1) merge into 3 (size 3); 0, 1 and 5 stay where they were.
    merged, sizes = merging.merge(x, size, torch.tensor([[2, 4]]), torch.tensor([[3, 3]]))
    expected = (2 * x[0, 2] + x[0, 4] + 3 * x[0, 3]) / 6
    assert torch.equal(merged[0], torch.stack((x[0, 0], x[0, 1], expected, x[0, 5])))
    assert sizes.tolist() == [[1, 1, 6, 1]]


def test_the_most_similar_pair_merges_first():
    metric = torch.eye(6)[None].clone()
    metric[0, 4] = metric[0, 3]
    source, target = merging.match(metric, 1, 1)
    assert (source.item(), target.item()) == (4, 3)


def test_merging_duplicates_changes_nothing(vit):
    """With equal tokens the log-size bias restores the dense attention: proportional merging is then exact."""
    torch.manual_seed(1)
    block = vit.blocks[0]
    half = torch.randn(1, 8, 64)
    x = torch.cat((torch.randn(1, 1, 64), half.repeat_interleave(2, dim=1)), dim=1)
    dense = block(x)
    reduced = torch.cat((x[:, :1], half), dim=1)
    size = torch.tensor([[1.0] + [2.0] * 8])
    wrapped = merging.merge_tokens(vit, 0).blocks[0]
    proportional, _ = wrapped(reduced, size)
    plain, _ = wrapped(reduced, size, proportional=False)
    kept = torch.cat((dense[:, :1], dense[:, 1::2]), dim=1)
    torch.testing.assert_close(proportional, kept, rtol=1e-5, atol=1e-5)
    # Negative control: without the bias the class token weighs twice as much against the patches.
    assert (plain - kept).abs().max() > 1e-3


def test_sizes_add_up_to_all_tokens(vit):
    seen = []
    merged = merging.merge_tokens(vit, 5)
    for block in merged.blocks:
        block.merge.register_forward_hook(lambda module, args, output: seen.append(output[1]))
    merged(torch.randn(2, 3, 32, 32))
    assert all(torch.equal(size.sum(1), torch.full((2,), 17.0)) for size in seen)


def test_compiles_in_one_graph(vit):
    x = torch.randn(2, 3, 32, 32)
    merged = merging.merge_tokens(vit, 4)
    with torch.no_grad():
        compiled = torch.compile(merged, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), merged(x), rtol=1e-4, atol=1e-5)


def test_runs_in_bfloat16(vit):
    merged = merging.merge_tokens(vit, 4).bfloat16()
    out = merged(torch.randn(2, 3, 32, 32, dtype=torch.bfloat16))
    assert out.dtype == torch.bfloat16 and out.isfinite().all()


def test_refusals():
    with pytest.raises(Refused, match="timm VisionTransformer"):
        merging.merge_tokens(build(ModelRecipe("resnet18"), meta=True), 4)
    timm = import_timm()
    post = timm.models.vision_transformer.ResPostBlock
    with torch.device("meta"):
        model = timm.create_model("vit_tiny_patch16_224", block_fn=post)
    with pytest.raises(Refused, match=r"blocks\.0: ResPostBlock with Attention"):
        merging.merge_tokens(model, 4)
