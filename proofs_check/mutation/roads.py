"""Wrong edits of the proven roads and of the guarantees."""

from __future__ import annotations

from proofs_check.mutation.edit import room_edit as _edit

_TAYLOR, _ELEMENTARY = "bounds/enclosed/taylor", "bounds/enclosed/elementary"
_ARITHMETIC = "bounds/test_taylor"
_OPERATIONS, _GRAPHS = "bounds/enclosed/operations", "bounds/test_enclosed_graph"
_MANY, _STILL, _TOKENS = "bounds/enclosed/many", "bounds/enclosed/still", "bounds/test_many_tokens"
_AFFINE, _KINKS, _EXACT = "bounds/exact/affine", "bounds/exact/kinks", "bounds/test_exact_operations"

EDITS = (
    _edit(_TAYLOR, "times(a.coef[i].abs(), tails[d - i + 1])", "0.0", "products without their tails", _ARITHMETIC),
    _edit(
        _TAYLOR, "rem = rem + left @ weight.step.abs().mT", "rem = rem + 0.0", "what moving weights push out is lost", _ARITHMETIC
    ),
    _edit(_TAYLOR, "expansion.slope * a.rem", "0.0 * a.rem", "the argument's remainder is forgotten", _ARITHMETIC),
    _edit(_ELEMENTARY, "low = x - up(swing + a.rem)", "low = x", "an inverse that never meets 0", _ARITHMETIC),
    _edit(
        _ELEMENTARY,
        "abs(binomials[d + 1]) * base",
        "0.1 * abs(binomials[d + 1]) * base",
        "a tenth of Lagrange's term",
        _ARITHMETIC,
    ),
    _edit(_OPERATIONS, "gap = up(torch.maximum(", "gap = 0.7 * up(torch.maximum(", "an open kink costs too little", _GRAPHS),
    _edit(
        _OPERATIONS,
        "up(x.rem + gamma(4 * x.degree + 12) * sizes)",
        "0.0 * sizes",
        "the argument's remainder is forgotten",
        _GRAPHS,
    ),
    _edit(
        _OPERATIONS,
        "factor * a.rem + (1.0 - factor) * b.rem",
        "factor * (1.0 - factor) * (a.rem + b.rem)",
        "the winner brings no remainder",
        _GRAPHS,
    ),
    _edit(
        "bounds/norms",
        "most.max()) * math.sqrt(_readers(operation.window))",
        "most.max())",
        "windows that overlap count once",
        "bounds/test_norms",
    ),
    _edit(_ELEMENTARY, "CRAMER = 1.0865", "CRAMER = 0.6", "half of Cramer's constant", _ARITHMETIC),
    _edit(
        _ELEMENTARY,
        "exp(x + up(swing + a.rem) + 2 * U * x.abs())",
        "exp(x)",
        "an exponential that is largest at its centre",
        _ARITHMETIC,
    ),
    _edit(_ELEMENTARY, "= 1.12891, 0.79789", "= 1.12891, 0.7", "GELU bends less than it does", _ARITHMETIC),
    _edit(_ELEMENTARY, "GELU_BEND = 1.12891,", "GELU_BEND = 1.1,", "GELU is flatter than it is", _ARITHMETIC),
    _edit(
        "bounds/enclosed/road",
        "logits.rem + (reach * error[:, None]).sum(-1)",
        "logits.rem + 0.0 * (reach * error[:, None]).sum(-1)",
        "errors of the half-blocks are forgotten at the head",
        "bounds/test_attack",
    ),
    _edit(
        "bounds/enclosed/gains",
        "scaled = self.blocks * (share[:, None] / sizes).sqrt()",
        "scaled = self.blocks * (share[:, None] / sizes)",
        "other weights than Cauchy's",
        "bounds/test_enclosed",
    ),
    _edit(
        _MANY,
        "spread(half.proj.weight).most",
        "0.05 * spread(half.proj.weight).most",
        "a twentieth of the norm behind the heads",
        _TOKENS,
    ),
    _edit(_MANY, "return up(up(torch.stack(found, 1)) + moved)", "return moved", "covariances at the centre are lost", _TOKENS),
    _edit(_MANY, "torch.sqrt(p_top)", "p_top", "standard deviations of squared probabilities", _TOKENS),
    _edit(_STILL, "float(value)).abs_upper()", "float(value)).abs_lower()", "a ball without its radius", _TOKENS),
    _edit(_STILL, "k.transpose() * half.scale", "k.transpose()", "still scores that are not scaled", _TOKENS),
    _edit(_AFFINE, "8 * UNIT * (np.abs(start.centre)", "0 * UNIT * (np.abs(start.centre)", "rounding on the way", _EXACT),
    _edit(_AFFINE, "width * (start.rem + end.rem) + 2.0", "width * 0.0 + 2.0", "ends that tilt the way", _EXACT),
    _edit(_AFFINE, "y.drift + 2 * UNIT * (left + right)", "y.drift", "a sum's rounding in its drift", _EXACT),
    _edit(_AFFINE, "terms: int = 8", "terms: int = 1", "two roundings of batch norm for nine", _EXACT),
    _edit(_KINKS, "max(axis=-1) + gap, size)", "max(axis=-1), size)", "a lost lead of a max-pool's winner", "bounds/test_exact"),
    _edit(
        "bounds/proved",
        "self.change < self.least",
        "self.change <= self.least",
        "a tie is won",
        "bounds/test_proved",
    ),
    _edit(
        "risk/betting",
        "np.log1p(-stake * (y - mean))",
        "np.log1p(stake * (y - mean))",
        "bets on the other side",
        "risk/test_betting",
    ),
    _edit(
        "risk/shift", "math.sqrt(r * p * (1.0 - p))", "math.sqrt(r * p * p)", "the variance of another coin", "risk/test_shift"
    ),
    _edit(
        "risk/canary", "k * math.log(p) - (n - k)", "k * math.log(p) - n", "failures count as agreements too", "risk/test_canary"
    ),
    _edit("risk/canary", " - math.log(betaincc(a, b, p))", "", "the prior is not cut to the level", "risk/test_canary"),
    _edit("risk/choosing", "share = w + w[i] * g[i]", "share = w + g[i]", "more than alpha is handed on", "risk/test_choosing"),
    _edit("risk/rates", "share = error / max(1, len(groups))", "share = error", "every class spends it all", "risk/test_rates"),
    _edit(
        "risk/choice",
        'return holm(p, alpha) if name == "holm" else fixed_sequence(p, alpha)',
        "return p <= alpha",
        "every plan tested as if it were alone",
        "risk/test_choice",
    ),
    _edit("networks/ceilings", "rows = weight * gamma", "rows = weight * 1.0", "gamma is forgotten", "networks/test_ceilings"),
)
