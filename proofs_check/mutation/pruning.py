"""Wrong edits of the pruning methods, of recovery, and of what the verifier recounts."""

from __future__ import annotations

from proofs_check.mutation.edit import room_edit as _edit

_EXACT, _SPLIT, _BUDGETS, _SWAPS = (
    "pruning/structured/exact",
    "pruning/allocation/split",
    "pruning/allocation/budgets",
    "pruning/allocation/swaps",
)
_STRUCTURED, _ALLOCATION, _UNSTRUCTURED = (f"pruning/test_{name}" for name in ("structured", "allocation", "unstructured"))

EDITS = (
    _edit(
        _EXACT, "np.where(first == second, 1.0, 2.0)", "np.where(first == second, 1.0, 1.0)", "half the covariance", _STRUCTURED
    ),
    _edit(_EXACT, "removed[:, first] & removed[:, second]", "removed[:, first] | removed[:, second]", "or for and", _STRUCTURED),
    _edit(_EXACT, "better = here < least", "better = here > least", "the dearest pattern of later blocks", _STRUCTURED),
    _edit(_EXACT, 'np.square(u) * np.einsum("cii->ci", gram)', "np.square(u)", "greedy without variances", _STRUCTURED),
    _edit(
        _SPLIT, "slope, layer, k in segments:", "slope, layer, k in segments[::-1]:", "the dearest segments first", _ALLOCATION
    ),
    _edit(_SPLIT, "np.maximum.accumulate(np.diff(costs) / steps)", "np.diff(costs) / steps", "slopes that fall", _ALLOCATION),
    _edit(_BUDGETS, "np.diff(masses**order, axis=1, prepend=0.0)", "masses**order", "the whole mass as a price", _ALLOCATION),
    _edit(_BUDGETS, "-np.log1p(-np.minimum(", "np.log1p(np.minimum(", "a price that saturates", _ALLOCATION),
    _edit(
        _SWAPS,
        "own[active] - 2.0 * w * sent[active]",
        "own[active] + 2.0 * w * sent[active]",
        "a restoration that adds",
        _ALLOCATION,
    ),
    _edit(
        "pruning/unstructured/obs",
        "values[:, end:] -= lost @ factor[start:end, end:]",
        "values[:, end:] += lost @ factor[start:end, end:]",
        "later blocks moved the wrong way",
        _UNSTRUCTURED,
    ),
    _edit(
        "pruning/unstructured/seb",
        "np.abs(weight) / weights[name]",
        "np.abs(weight) * weights[name]",
        "protects what it should cut",
        _UNSTRUCTURED,
    ),
    _edit(
        "pruning/unstructured/ser",
        "keep_all_but(moved[chosen][::-1], wanted)[::-1]",
        "~keep_all_but(moved[chosen][::-1], wanted)[::-1]",
        "what moved least returns",
        _UNSTRUCTURED,
    ),
    _edit(
        "pruning/masks",
        "kept = scores > cut",
        "kept = scores >= cut",
        "ties stay",
        "pruning/test_masks",
    ),
    _edit(
        "pruning/layout",
        "found[:, self.order] = ordered",
        "found = ordered[:, self.order]",
        "an order for its inverse",
        _STRUCTURED,
    ),
    _edit(
        "training/masks", "parameter.grad.masked_fill_(gone, 0)", "pass", "gradients of removed weights", "training/test_recovery"
    ),
    _edit(
        "training/distributed",
        "gradient.mul_(own / whole)",
        "gradient.mul_(1.0)",
        "gradients added, not averaged",
        "training/test_recovery",
    ),
    _edit(
        "networks/evidence",
        "total / self.tokens",
        "total / (self.tokens + 1)",
        "means over one token more",
        "networks/test_data_path",
    ),
    _edit(
        "networks/sensitivity",
        "found.abs().reshape",
        "found.reshape",
        "signed derivatives that cancel",
        "networks/test_sensitivity",
    ),
)
