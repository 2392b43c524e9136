"""Claims about float64: when a number computed in it is a sound bound for the stored weights.

u = 2^-53, gamma_k = k u / (1 - k u), fl(..) the value computed in float64.
"""

from __future__ import annotations

from certify.records import Claim

_SPEC = "theory/mp-certificates.md"
_IEEE = "float64, round to nearest, subnormals not flushed, no overflow"
_TWINS = ("property", "exact")

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "X29-float",
        "Certificates in floating point",
        r"rounded outward, $\hat B<\hat{\mathrm{rew}}$ implies $\mathcal J(A')<\mathcal J(A)$ for the stored weights in real "
        r"arithmetic; to nearest it does not: $R=(.29,.47)$, $\lambda_2=.01$, $B=.0030499999999999998$ passes and is false",
        (_IEEE, r"$L_s$ proved, not sampled", r"$\lambda_1,\lambda_2$ are the doubles passed"),
        f"{_SPEC}, X29",
        "certify.theory.outward.objective.change_upper",
        checks=("exact", "property"),
        depends_on=("X29-dot", "X29-inputs", "X29-norms", "X29-reward", "X29-lambda", "X29-margin", "T5.4-elastic-net"),
    ),
    Claim(
        "X29-dot",
        "Rounded dot products",
        r"$|\mathrm{fl}(x^\top y)-x^\top y|\le\gamma_m|x|^\top|y|+m2^{-1074}$ and "
        r"$|x|^\top|y|\le(1+2\gamma_m)\,\mathrm{fl}(|x|^\top|y|)+m2^{-1074}$",
        (_IEEE, "any order of summation, fused or not", r"$mu<\frac14$"),
        f"{_SPEC}, X29 (Higham's analysis of dot products)",
        "certify.theory.outward.data_path.data_path_size_upper",
        checks=("coq", "exact", "property"),
    ),
    Claim(
        "X29-inputs",
        "Enclosed inputs and weights",
        r"$|R^*-R|\le E$, $|v^*-v|\le e$ imply $|R^*v^*|\le|Rv|+E|v|+(|R|+E)e$ entrywise",
        (),
        f"{_SPEC}, X29.1 and X29.2",
        "certify.theory.outward.data_path.data_path_size_upper",
        checks=("symbolic", "exact", "property"),
        depends_on=("X29-dot",),
    ),
    Claim(
        "X29-norms",
        "Norms and Lipschitz constants rounded up",
        r"$\max_i\sum_j|R_{ij}|$, $\max_i\|R_i\|_2$ and $\prod_k\|W_k\|_\infty$ lie below their rounded values",
        (_IEEE,),
        f"{_SPEC}, X29.3",
        "certify.theory.outward.data_path.row_norms_upper",
        checks=("exact", "property"),
        depends_on=("X29-dot",),
    ),
    Claim(
        "X29-reward",
        "Rewards rounded down",
        r"$\mathrm{fl}(\mathrm{rew})(1-\gamma_{nm+3})-(\lambda_2nm+1)2^{-1074}\le\mathrm{rew}(R)$; without the second term "
        r"false: 64 entries $2^{-537.4}$, $\lambda_2=1$ give $1.74$ times the exact reward",
        (_IEEE, r"$\lambda_1,\lambda_2\ge0$"),
        f"{_SPEC}, X29.4 (underflow by the errata)",
        "certify.theory.outward.objective.reward_lower_a_priori",
        checks=("exact", "property"),
        depends_on=("X29-dot",),
    ),
    Claim(
        "X29-lambda",
        "Cross-entropies rounded outward",
        r"$\Lambda_p(x)=\log(e^{\log p}+e^{\log(1-p)+x})$ increases in both logarithms: both up bound it above, both down "
        r"below; $p$ down beside an exact $1-p$ is unsound: $p=\frac12\to.49$, $x=0$ gives $\log.99<0$",
        (_IEEE, "logits exact"),
        f"{_SPEC}, X29.5 (directions by the errata)",
        "certify.theory.outward.loss.increase_upper",
        checks=("symbolic", "exact", "property"),
        depends_on=("X29-elementary", "X1-ce-sharp", "X2-ce-pairwise"),
    ),
    Claim(
        "X29-elementary",
        "Exponential and logarithm enclosed",
        r"$e^x$ to $2.1u$ by $2^{k+j/64}(1+q(r))$, $q$ of degree 6; $e^x-1$ to $8u$ for $|x|<.34$; "
        r"$\log(1+e)\in y+[t_--2t_-^2,t_+]$, $t=e^{-y}(e-(e^y-1))$, for any guess $y$",
        (_IEEE,),
        f"{_SPEC}, X29.5 (proof in the module)",
        "certify.theory.outward.elementary.exp_bounds",
        checks=("exact", "property"),
    ),
    Claim(
        "X29-margin",
        "Margins of computed logits",
        r"$\hat\Delta>2\hat\eta+2e_z$ keeps the label; a label is lost only if $-2e_z<\hat\Delta\le2\hat\eta+2e_z$, gained only "
        r"if $-2\hat\eta-2e_z<\hat\Delta\le2e_z$",
        (r"$|\hat z-z|\le e_z$ in the dense evaluation; for the computed pruned logits $e_z$ is the sum of both errors", _IEEE),
        f"{_SPEC}, X29.6",
        "certify.theory.outward.margins.may_lose",
        checks=("symbolic", "exact", "property"),
        depends_on=("X5-margin-signed",),
    ),
)
