"""Known answers refuse every product that is not float64 throughout; global modes leave bounds alone to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from certify.bounds import prove
from certify.bounds.enclosed import taylor
from certify.bounds.exact import road as traced
from certify.networks.loading import state_of
from certify.records import Refused
from certify.theory.outward._rounding import require_full_products

Product = Callable[[np.ndarray, np.ndarray], np.ndarray]


def kept(bits: int) -> Callable[[np.ndarray], np.ndarray]:
    """Numbers rounded to so many bits after the leading one, as TF32 (10) and bfloat16 (7) do with what they read."""

    def rounded(x: np.ndarray) -> np.ndarray:
        share, exponent = np.frexp(x)
        return np.ldexp(np.rint(np.ldexp(share, bits + 1)), exponent - bits - 1)

    return rounded


def summed_in_float32(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Exact products, a sum of too few bits: what reduced-precision reductions do."""
    total = np.zeros((len(a), b.shape[1]), dtype=np.float32)
    for k in range(a.shape[1]):
        total += (a[:, k : k + 1] * b[k]).astype(np.float32)
    return total.astype(np.float64)


def strassen(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One level of Strassen's algorithm."""
    h, w, n = len(a) // 2, a.shape[1] // 2, b.shape[1] // 2
    (a11, a12), (a21, a22) = ((a[:h, :w], a[:h, w:]), (a[h:, :w], a[h:, w:]))
    (b11, b12), (b21, b22) = ((b[:w, :n], b[:w, n:]), (b[w:, :n], b[w:, n:]))
    m = [(a11 + a22) @ (b11 + b22), (a21 + a22) @ b11, a11 @ (b12 - b22), a22 @ (b21 - b11), (a11 + a12) @ b22]
    m += [(a21 - a11) @ (b11 + b12), (a12 - a22) @ (b21 + b22)]
    return np.block([[m[0] + m[3] - m[4] + m[6], m[2] + m[4]], [m[1] + m[3], m[0] - m[1] + m[2] + m[5]]])


def winograd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Winograd's inner product: x1 y1 + x2 y2 = (x1 + y2) (x2 + y1) - x1 x2 - y1 y2, which adds numbers of both factors."""
    x, y = a[:, ::2], a[:, 1::2]
    u, v = b[::2], b[1::2]
    cross = ((x[:, :, None] + v[None]) * (y[:, :, None] + u[None])).sum(1)
    return cross - (x * y).sum(1)[:, None] - (u * v).sum(0)[None]


def fixed_point(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Products emulated by integers of 80 bits below the largest number of the matrix."""
    units = [np.abs(x).max() * 2.0**-80 for x in (a, b)]
    return (np.rint(a / units[0]) * units[0]) @ (np.rint(b / units[1]) * units[1])


def flushed(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found = a @ b
    return np.where(np.abs(found) < 2.0**-1022, 0.0, found)


WRONG: dict[str, Product] = {
    "TF32": lambda a, b: kept(10)(a) @ kept(10)(b),
    "bfloat16": lambda a, b: kept(7)(a) @ kept(7)(b),
    "float32": lambda a, b: (a.astype(np.float32) @ b.astype(np.float32)).astype(np.float64),
    "reduced-precision reduction": summed_in_float32,
    "Strassen": strassen,
    "Winograd": winograd,
    "fixed point": fixed_point,
    "flushed subnormals": flushed,
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.filterwarnings("ignore:overflow")
def test_a_product_that_is_not_full_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="arithmetic: the matrix product"):
        require_full_products(WRONG[name])


def test_any_order_of_summation_passes() -> None:
    require_full_products(np.matmul)
    require_full_products(lambda a, b: a[:, ::-1] @ b[::-1])
    require_full_products(lambda a, b: sum((a[:, k : k + 16] @ b[k : k + 16] for k in range(0, a.shape[1], 16)), np.zeros(1)))


def networks() -> list[tuple[nn.Module, Tensor]]:
    torch.manual_seed(0)
    kinked = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)).eval()
    smooth = nn.Sequential(nn.Flatten(), nn.Linear(16, 9), nn.GELU(), nn.Linear(9, 3)).eval()
    return [(network, torch.randn(1, 1, 4, 4)) for network in (kinked, smooth)]


def bounds() -> list[np.ndarray]:
    found = []
    for road, (model, image) in zip(("exact", "enclosed"), networks(), strict=True):
        last = list(state_of(model))[-2]
        shipped = state_of(model) | {last: 0.5 * state_of(model)[last]}
        found.append(prove(model, state_of(model), shipped, image, road=road).change)
    return found


@pytest.mark.parametrize("way", [taylor, traced])
def test_both_roads_ask_for_full_products(way: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(times: Product) -> None:
        assert np.array_equal(times(np.eye(2), 3 * np.eye(2)), 3 * np.eye(2))
        raise Refused("asked")

    monkeypatch.setattr(way, "require_full_products", refuse)
    traced._require_plain_products.cache_clear()
    with pytest.raises(Refused, match="asked"):
        bounds()


@contextmanager
def set_to(holder: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(holder, name)
    setattr(holder, name, value)
    try:
        yield
    finally:
        setattr(holder, name, before)


@contextmanager
def precision(value: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(value)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


MODES: dict[str, Callable[[], Any]] = {
    "TF32 products": lambda: set_to(torch.backends.cuda.matmul, "allow_tf32", True),
    "TF32 convolutions": lambda: set_to(torch.backends.cudnn, "allow_tf32", True),
    "bfloat16 reductions": lambda: set_to(torch.backends.cuda.matmul, "allow_bf16_reduced_precision_reduction", True),
    "float16 reductions": lambda: set_to(torch.backends.cuda.matmul, "allow_fp16_reduced_precision_reduction", True),
    "benchmarked convolutions": lambda: set_to(torch.backends.cudnn, "benchmark", True),
    "medium precision": lambda: precision("medium"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_global_mode_leaves_bounds_alone(mode: str) -> None:
    plain = bounds()
    with MODES[mode]():
        for found, expected in zip(bounds(), plain, strict=True):
            assert np.array_equal(found, expected)


def test_flushed_subnormals_are_refused() -> None:
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush subnormals")
    try:
        with pytest.raises(Refused, match="subnormal"):
            bounds()
    finally:
        torch.set_flush_denormal(False)
