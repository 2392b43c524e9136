"""Evidence against brute force: every position of every sample by loops, and what cannot be collected is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from certify.networks.evidence import GRAM_BLOCK, STREAMED, collect
from certify.networks.loading import state_of
from certify.networks.targets import describe
from certify.records import Evidence, Refused, Target, Usage

SPLIT = "a" * 64


def gathered(model: nn.Module, batches: list[Tensor], **options: Any) -> Evidence:
    return collect(model, describe(model), batches, split=SPLIT, **({"parts": STREAMED, "gram_block": 0} | options))


def positions(layer: nn.Conv2d, image: np.ndarray) -> np.ndarray:
    """(P, groups, cols) inputs of one image (C, H, W), by loops: no unfolding, no convolution."""
    (kh, kw), (dh, dw), (sh, sw) = layer.kernel_size, layer.dilation, layer.stride
    if layer.padding == "same":
        pads = [((d * (k - 1)) // 2, d * (k - 1) - (d * (k - 1)) // 2) for k, d in ((kh, dh), (kw, dw))]
    else:
        assert not isinstance(layer.padding, str)
        pads = [(size, size) for size in layer.padding]
    mode = {"zeros": "constant", "circular": "wrap", "reflect": "reflect", "replicate": "edge"}[layer.padding_mode]
    padded = np.pad(image, ((0, 0), *pads), mode=mode)  # type: ignore[call-overload]
    high, wide = (padded.shape[1] - dh * (kh - 1) - 1) // sh + 1, (padded.shape[2] - dw * (kw - 1) - 1) // sw + 1
    width = len(image) // layer.groups
    return np.array(
        [
            [
                [
                    padded[group * width + channel, y * sh + i * dh, x * sw + j * dw]
                    for channel in range(width)
                    for i in range(kh)
                    for j in range(kw)
                ]
                for group in range(layer.groups)
            ]
            for y in range(high)
            for x in range(wide)
        ]
    )


@st.composite
def convolutions(draw) -> nn.Conv2d:
    groups = draw(st.sampled_from([1, 1, 2, 4]))
    padding = draw(st.sampled_from(["same", (0, 0), (1, 1), (2, 1)]))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    return nn.Conv2d(
        4,
        4 * draw(st.integers(1, 2)),
        draw(pair),
        stride=1 if padding == "same" else draw(pair),
        padding=padding,
        dilation=draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        groups=groups,
        padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    )


@settings(max_examples=40)
@given(layer=convolutions(), size=st.tuples(st.integers(5, 6), st.integers(5, 6)), seed=st.integers(0, 999))
def test_a_convolution_position_by_position(layer: nn.Conv2d, size: tuple[int, int], seed: int) -> None:
    images = torch.randn(3, 4, *size, generator=torch.Generator().manual_seed(seed)).double()
    model = nn.Sequential(layer).double()
    paths = [positions(layer, image) for image in images.numpy()]
    # The loops are right: the lowered weight times them is the convolution itself.
    weight = layer.weight.detach().double().flatten(1).numpy().reshape(layer.groups, -1, paths[0].shape[2])
    lowered = np.stack([np.einsum("grc,pgc->grp", weight, path).reshape(layer.out_channels, -1) for path in paths])
    with torch.no_grad():
        plain = (model(images) - (layer.bias[:, None, None] if layer.bias is not None else 0)).flatten(2).numpy()
    assert np.allclose(lowered, plain, atol=1e-12)

    found = gathered(model, [images])
    every = np.concatenate(paths)
    moments = (every**2).mean(0)
    if layer.groups == 1:
        assert np.allclose(found.part("moments", "0"), moments[0], atol=1e-13)
        assert np.allclose(found.part("grams", "0")[0], every[:, 0].T @ every[:, 0] / len(every), atol=1e-13)
        assert np.allclose(found.part("inputs", "0"), [np.abs(path[:, 0]).max(0) for path in paths], atol=0)
    else:
        assert np.allclose(found.part("moments", "0"), np.repeat(moments, layer.out_channels // layer.groups, 0), atol=1e-13)
        for part in ("grams", "inputs"):
            with pytest.raises(Refused, match=f"0: the evidence lacks its {part}"):
                found.part(part, "0")


@given(
    samples=st.integers(1, 4), tokens=st.lists(st.integers(1, 3), max_size=2), cols=st.integers(1, 7), seed=st.integers(0, 999)
)
def test_a_linear_layer_token_by_token(samples: int, tokens: list[int], cols: int, seed: int) -> None:
    images = torch.randn(samples, *tokens, cols, generator=torch.Generator().manual_seed(seed)).double()
    rows = images.reshape(samples, -1, cols).numpy()
    found = gathered(nn.Sequential(nn.Linear(cols, 2)), [images])
    every = rows.reshape(-1, cols)
    assert np.allclose(found.part("moments", "0"), (every**2).mean(0), atol=1e-14)
    assert np.allclose(found.part("grams", "0")[0], sum(np.outer(v, v) for v in every) / len(every), atol=1e-14)
    assert np.array_equal(found.part("inputs", "0"), np.abs(rows).max(1))


@settings(max_examples=25)
@given(cols=st.integers(1, 20), block=st.integers(1, 24), seed=st.integers(0, 99))
def test_blocks_of_second_moments_are_cut_from_the_whole(cols: int, block: int, seed: int) -> None:
    images = torch.randn(3, 4, cols, generator=torch.Generator().manual_seed(seed)).double()
    model = nn.Sequential(nn.Linear(cols, 2))
    whole = gathered(model, [images]).part("grams", "0")[0]
    found = gathered(model, [images], gram_block=block).part("grams", "0")
    width = min(block, cols)
    assert found.shape == (-(-cols // width), width, width)
    for number, part in enumerate(found):
        inside = slice(number * width, min((number + 1) * width, cols))
        real = inside.stop - inside.start
        assert np.allclose(part[:real, :real], whole[inside, inside], atol=1e-14)
        assert not part[real:].any() and not part[:, real:].any(), "zero beyond the last input"
    assert np.allclose(np.concatenate([np.diag(part) for part in found])[:cols], gathered(model, [images]).part("moments", "0"))


def test_the_default_block_holds_whole_groups() -> None:
    assert all(GRAM_BLOCK % group == 0 for group in (2, 3, 4, 6, 8, 12, 16))


class Windows(nn.Module):
    """Cuts each image into windows that stand on the first axis, as a Swin transformer does, or puts tokens there."""

    def __init__(self, *, tokens_first: bool) -> None:
        super().__init__()
        self.layer, self.head, self.tokens_first = nn.Linear(3, 3), nn.Linear(3, 2), tokens_first

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        cut = x.transpose(0, 1) if self.tokens_first else x.reshape(-1, 2, width)
        found = self.layer(cut)
        return self.head((found.transpose(0, 1) if self.tokens_first else found.reshape(batch, tokens, width)).mean(1))


@pytest.mark.parametrize("tokens_first", [True, False])
def test_inputs_have_one_row_a_sample_wherever_the_sample_stands(tokens_first: bool) -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 4, 3)
    found = gathered(Windows(tokens_first=tokens_first), [images])
    assert np.allclose(found.part("inputs", "layer"), images.double().abs().amax(1).numpy(), atol=0)


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(1, 5), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_batches_of_any_size_give_the_same_sums(cuts: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 2, groups=2), nn.Flatten(), nn.Linear(36, 3))
    images = torch.randn(sum(cuts), 2, 4, 4)
    one, many = gathered(model, [images]), gathered(model, list(images.split(cuts)))
    assert one.samples == many.samples == sum(cuts)
    for part, arrays in one.parts.items():
        for name, array in arrays.items():
            assert np.allclose(array, many.part(part, name), rtol=1e-12, atol=1e-14)


class Twice(nn.Module):
    """Uses one layer twice, and calls it once by the name of its argument."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(input=torch.relu(self.layer(x))))


def test_every_use_of_a_layer_counts() -> None:
    torch.manual_seed(1)
    model, images = Twice(), torch.randn(5, 3)
    with torch.no_grad():
        second = torch.relu(model.layer(images)).double()
    both = torch.stack([images.double(), second])
    found = gathered(model, [images])
    assert np.allclose(found.part("moments", "layer"), both.square().mean((0, 1)).numpy(), rtol=1e-6)
    assert np.allclose(found.part("inputs", "layer"), both.abs().amax(0).numpy(), rtol=1e-6)


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).train()
    before = state_of(model)
    gathered(model, [torch.randn(4, 3)])
    after = state_of(model)
    assert all(torch.equal(before[name], after[name]) and before[name].dtype == after[name].dtype for name in before)
    assert model.training and not any(module._forward_pre_hooks for module in model.modules())


def broken(index: int, value: float) -> Tensor:
    images = torch.zeros(4, 3)
    images[index, 1] = value
    return images


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(("batch", "index"), [(0, 2), (1, 3)])
def test_an_image_that_is_not_finite_is_named_by_its_place(value: float, batch: int, index: int) -> None:
    batches = [torch.zeros(4, 3), torch.zeros(4, 3)]
    batches[batch] = broken(index, value)
    with pytest.raises(Refused, match=f"calibration image {4 * batch + index} of the draw holds NaN or infinity"):
        gathered(nn.Sequential(nn.Linear(3, 2)), batches)


def test_numbers_that_overflow_inside_are_refused_with_their_layer() -> None:
    first = nn.Linear(2, 2, bias=False)
    model = nn.Sequential(first, nn.Linear(2, 2)).double()
    with torch.no_grad():
        first.weight.fill_(1e200)
    with pytest.raises(Refused, match="1: its moments hold NaN or infinity"):
        gathered(model, [torch.ones(1, 2).double()])


REFUSED: dict[str, tuple[Any, list[Tensor], dict[str, Any], type[Exception], str]] = {
    "no image": (nn.Linear(3, 2), [], {}, Refused, "no calibration image was given"),
    "part": (nn.Linear(3, 2), [torch.ones(1, 3)], {"parts": ("auras",)}, Usage, "'auras' is none of moments"),
    "block": (nn.Linear(3, 2), [torch.ones(1, 3)], {"gram_block": -1}, Usage, "gram_block = -1 is negative"),
    "size": (nn.Linear(3, 2), [torch.ones(1, 4)], {}, Refused, r"Sequential does not run in float64 on images of shape \(4,\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_collected_is_said_in_one_sentence(name: str) -> None:
    layer, batches, options, kind, words = REFUSED[name]
    with pytest.raises(kind, match=words) as error:
        gathered(nn.Sequential(layer), batches, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "words"), [("9", "no such weight"), ("0", r"shape \(2, 3\)")])
def test_targets_of_another_network_are_refused(name: str, words: str) -> None:
    with pytest.raises(Refused, match=rf"{name}: the target has shape \(2, 5\), the network has {words}"):
        collect(nn.Sequential(nn.Linear(3, 2)), [Target(name, "linear", (2, 5))], [torch.ones(1, 3)], split=SPLIT)


@given(seed=st.integers(0, 99), rows=st.integers(1, 3), cols=st.integers(1, 4))
def test_evidence_comes_back_from_its_file(seed: int, rows: int, cols: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    torch.manual_seed(seed)
    found = gathered(nn.Sequential(nn.Linear(cols, rows)), [torch.randn(3, cols)])
    path = tmp_path_factory.mktemp("evidence") / "evidence.safetensors"
    found.save(path)
    again = Evidence.load(path)
    assert (again.reference, again.split, again.samples) == (found.reference, found.split, found.samples)
    assert all(
        np.array_equal(array, again.part(part, name)) for part, held in found.parts.items() for name, array in held.items()
    )
