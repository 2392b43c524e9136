"""The 2:4 kernels a machine may have, behind one door that verifies the pattern before it converts anything.

`torch.sparse.to_sparse_semi_structured` compresses a matrix that is not 2:4 without a word; here it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from certify.deploy.speed.timing import Unsupported, reason
from certify.deploy.two_four import verify


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One way to run a 2:4 matrix. `convert(weight, algorithm)` makes the operand; rows and cols must be multiples."""

    name: str
    rows: int
    cols: int
    convert: Callable[[Tensor, int], Tensor] = field(repr=False)
    algorithms: int = 1


def available(device: torch.device, dtype: torch.dtype = torch.bfloat16) -> tuple[Backend, ...]:
    """The backends of this torch on this device. Whether they run here shows only when a matrix is converted."""
    if device.type != "cuda":
        return ()
    cutlass = torch.sparse.SparseSemiStructuredTensorCUTLASS
    cusparselt = torch.sparse.SparseSemiStructuredTensorCUSPARSELT
    first, second = cutlass._DTYPE_SHAPE_CONSTRAINTS[dtype], cusparselt._DTYPE_SHAPE_CONSTRAINTS[dtype]
    return (
        Backend(
            name="cutlass",
            rows=first.sparse_min_rows,
            cols=first.sparse_min_cols,
            convert=lambda weight, algorithm: cutlass.from_dense(weight),
        ),
        Backend(
            name="cusparselt",
            rows=second.sparse_min_rows,
            cols=second.sparse_min_cols,
            convert=lambda weight, algorithm: cusparselt.from_dense(weight, alg_id=algorithm),
            algorithms=32,
        ),
    )


def shape_reason(backend: Backend, rows: int, cols: int) -> str | None:
    """Why the shape does not fit the kernel, or None."""
    if rows % backend.rows:
        return f"rows ({rows}) not divisible by {backend.rows}"
    if cols % backend.cols:
        return f"columns ({cols}) not divisible by {backend.cols}"
    return None


def convert(weight: Tensor, backend: Backend, name: str, algorithm: int = 0) -> Tensor:
    """The backend's operand of a 2:4 matrix. Refused when it is not 2:4; Unsupported when the kernel cannot take it."""
    verify(weight, name)
    misfit = shape_reason(backend, *weight.shape)
    if misfit:
        raise Unsupported(misfit)
    try:
        return backend.convert(weight.detach().contiguous(), algorithm)
    except Exception as error:
        raise Unsupported(f"conversion fails: {reason(error)}") from error


def sparsify(
    model: nn.Module, names: Iterable[str], backend: Backend, algorithms: Mapping[tuple[int, int], int] | None = None
) -> dict[str, str]:
    """Put the backend's operands into the named linear layers, in place; returns the layers left dense and why.

    algorithms : kernel number per (rows, cols), 0 where not given.
    """
    left: dict[str, str] = {}
    for name in names:
        layer = model.get_submodule(name)
        weight = cast(Tensor, layer.weight)
        try:
            operand = convert(weight, backend, f"{name}.weight", (algorithms or {}).get((weight.shape[0], weight.shape[1]), 0))
        except Unsupported as why:
            left[name] = str(why)
        else:
            layer.weight = nn.Parameter(operand, requires_grad=False)
    return left
