"""One or several layers shrunk: paths, budgets, the elastic net, and where the bounds are attained."""

from __future__ import annotations

from proofs_check.coq.entry import Entry, entry

_CE = "theory.cross_entropy"
_MARGINS = "theory.margins"
_NET = "theory.elastic_net"
_BUDGET = "theory.budget"
_STATIONARITY = "theory.stationarity"

ENTRIES: tuple[Entry, ...] = (
    entry(
        "X8-path-variation",
        "Path",
        "path_variation",
        r"(a) $\|\gamma(1)-\gamma(\theta)\|_\infty\le V=\int_\theta^1\|\gamma'\|_\infty"
        r"\le(1-\theta)\sup\|\gamma'\|_\infty$, finitely many kinks",
        "theory.path.variation",
    ),
    entry("X8-path-variation", "Path", "path_ce_upper", r"(c) $\Delta\ell\le\Lambda_p(2V)$", "theory.path.variation"),
    entry(
        "X9-best-L",
        "Segment",
        "admissible_constant",
        r"$L$ admissible on all pairs iff $L\|RV\|_\infty\ge\|\gamma'(t)\|_\infty$ for all $t$ off the kinks",
        f"{_BUDGET}.smallest_lipschitz",
    ),
    entry(
        "X9-best-L",
        "Segment",
        "best_constant",
        r"$L^{\min}\|RV\|_\infty=\sup_{[0,1]}\|\gamma'\|_\infty$",
        f"{_BUDGET}.smallest_lipschitz",
    ),
    entry(
        "L5.1-ce-path",
        "Layer",
        "ce_moves",
        r"$\|z'(s)-z(s)\|_\infty\le\eta_s$: $|\Delta\mathcal L_{CE}|\le\frac2{|T|}\sum_s\eta_s$",
        f"{_CE}.increase_published",
    ),
    entry(
        "L5.1-ce-path",
        "Layer",
        "ce_path",
        r"$|\mathcal L_{CE}(A_\theta)-\mathcal L_{CE}(A_1)|\le(1-\theta)B_T(R)$",
        f"{_BUDGET}.budget",
    ),
    entry(
        "X10-universal",
        "Layer",
        "universal",
        r"$\mathcal J(A')-\mathcal J(A)\le\frac1{|T|}\sum\Lambda_{p_s}(2V_s)-[\mathrm{Reg}(A)-\mathrm{Reg}(A')]$",
        f"{_NET}.change_upper_universal",
    ),
    entry(
        "X1-ce-sharp",
        "Layer",
        "sharp_path",
        r"$\Delta\mathcal L_{CE}\le\frac1{|T|}\sum\Lambda_{p_s}(2\eta_s)\le(1-\theta)B_T(R)$",
        f"{_CE}.increase_upper",
    ),
    entry(
        "T5.3-additive-frobenius",
        "ElasticNet",
        "additive_frobenius",
        r"$\Delta\mathcal J_2\le(1-\theta)B_T-\lambda_2(1-\theta^2)\|R\|_F^2-2\lambda_2(1-\theta)\langle S,R\rangle_F$",
        f"{_NET}.change_upper_additive",
    ),
    entry(
        "T5.4-elastic-net",
        "ElasticNet",
        "elastic_net",
        r"$\Delta\mathcal J\le(1-\theta)B_T-\lambda_2(1-\theta^2)\|R\|_F^2-\lambda_1(1-\theta)\|R\|_1$",
        f"{_NET}.change_upper",
    ),
    entry(
        "T5.4-elastic-net",
        "ElasticNet",
        "certificate",
        r"$B_T(R)<\lambda_2\|R\|_F^2+\lambda_1\|R\|_1\Rightarrow\mathcal J(S)<\mathcal J(A)$",
        f"{_NET}.is_improvement",
    ),
    entry("T5.5-prune-restore", "ElasticNet", "prune_restore", r"$A=S+Q+P$: T5.4 with $(S+Q,P)$", f"{_NET}.change_upper"),
    entry(
        "C5.6-restore-gain",
        "ElasticNet",
        "restore_gain",
        r"$B(R)-B(P)>\lambda_2(1+\theta)\|Q\|_F^2+\lambda_1\|Q\|_1$, $\theta<1$",
        f"{_NET}.restore_gain",
    ),
    entry(
        "ESM1-C1.1-weighted-elastic-net",
        "ElasticNet",
        "weighted_elastic_net",
        r"$\Delta\mathcal J_\Gamma\le(1-\theta)B_T-(1-\theta^2)\sum\gamma_{2,ij}R_{ij}^2-(1-\theta)\sum\gamma_{1,ij}|R_{ij}|$",
        f"{_NET}.change_upper",
    ),
    entry(
        "T5.4-elastic-net", "Tight", "elastic_net_equality", r"equality iff $(1-\theta)B_T(R)=0$, $K\ge2$", f"{_NET}.change_upper"
    ),
    entry(
        "T5.3-additive-frobenius",
        "Tight",
        "additive_equality",
        r"equality iff $(1-\theta)B_T(R)=0$, $K\ge2$",
        f"{_NET}.change_upper_additive",
    ),
    entry(
        "P5.2-zero-budget",
        "Tight",
        "perfect_pruning",
        r"$L_s\|RV_s\|_\infty=0$: logits and accuracy unchanged",
        f"{_MARGINS}.may_gain",
    ),
    entry(
        "N0-norms",
        "Tight",
        "induced_norm_attained",
        r"$\|Ax\|_\infty=\|A\|_\infty$ at $x=\operatorname{sign}A_{i^*}$",
        f"{_BUDGET}.data_path_upper_rows",
    ),
    entry(
        "X11-optimal-theta",
        "Tight",
        "flat_shrinkage",
        r"$\lambda_2\|R\|_F^2=0$: full removal if $B<\lambda_1\|R\|_1$, else nothing certified",
        f"{_NET}.best_theta",
    ),
    entry(
        "X11-optimal-theta",
        "Budget",
        "best_shrinkage",
        r"$u^*=\operatorname{clip}(\frac{2a+b-B}{2a},0,1)$ minimises $u(B-2a-b)+au^2$ on $[0,1]$",
        f"{_NET}.best_theta",
    ),
    entry(
        "X11-optimal-theta",
        "Budget",
        "shrinkage_criteria",
        r"some shrinkage certified iff $B<2a+b$; full removal best iff $B\le b$",
        f"{_NET}.best_theta",
    ),
    entry(
        "X12-budget-calculus",
        "Budget",
        "budget_seminorm",
        r"(a) $B_T(tQ)=|t|B_T(Q)$, $B_T(Q+P)\le B_T(Q)+B_T(P)$",
        f"{_BUDGET}.budget",
    ),
    entry(
        "X12-budget-calculus",
        "Budget",
        "certificates_add",
        r"(a) $Q\odot P=0$, both certified: $Q+P$ certified",
        f"{_NET}.is_improvement",
    ),
    entry(
        "X12-budget-calculus",
        "Budget",
        "restoring_needs_failure",
        r"(b) restoring $Q$ improves the certificate only if $B_T(Q)>\mathrm{rew}(Q)$",
        f"{_BUDGET}.restoration_can_help",
    ),
    entry("X12-budget-calculus", "Budget", "restoring_rows", r"(c) restoring rows never increases $B_T$", f"{_BUDGET}.budget"),
    entry(
        "X30-cast-link",
        "Budget",
        "cast_link",
        r"$B_T(R)\le2L\sqrt{P\operatorname{tr}(RCR^\top)}\le2L\sqrt{PG\sum_{i,g}c_{i,g}}$, $(RCR^\top)_{ii}\le G\sum_gc_{i,g}$",
        "theory.patterns.budget_upper_by_energy",
    ),
    entry("N0-norms", "Budget", "induced_norm", r"$\|Ax\|_\infty\le\|A\|_\infty\|x\|_\infty$", f"{_BUDGET}.data_path_upper_rows"),
    entry("F18", "Budget", "row_norm", r"$|(Rv)_i|\le\|R_i\|_2\|v\|_2$", f"{_BUDGET}.data_path_upper_euclidean"),
    entry(
        "X24-scale-free-collapse",
        "Budget",
        "collapse",
        r"$2\lambda r^2\le rb+\varepsilon\Rightarrow r\le\frac{b_+}{2\lambda}+\sqrt{\varepsilon/2\lambda}$",
        f"{_STATIONARITY}.collapse_upper",
    ),
    entry(
        "T5.8-multilayer",
        "Several",
        "multilayer",
        r"$\mathcal J(\alpha^{(M)})\le\mathcal J(\alpha^{(0)})-\sum_j(\lambda_{2,j}\|R_j\|_F^2+\lambda_{1,j}\|R_j\|_1)"
        r"+\sum_jB_j(R_j)$",
        f"{_NET}.change_upper_multilayer",
    ),
    entry(
        "T5.9-multilayer-stationarity",
        "Several",
        "multilayer_stationarity",
        r"$2\sum\lambda_{2,j}\|R_j\|_F^2+\sum\lambda_{1,j}\|R_j\|_1\le\sum B_j(R_j)+\varepsilon$",
        f"{_STATIONARITY}.descent_lower_multilayer",
    ),
    entry(
        "T5.9-multilayer-stationarity",
        "Several",
        "multilayer_stationarity_at",
        r"$\mathcal J(\alpha_h)\ge\mathcal J(\alpha_0)-\varepsilon h"
        r"\Rightarrow(2-h)\sum\lambda_{2,j}\|R_j\|_F^2+\sum\lambda_{1,j}\|R_j\|_1\le\sum B_j(R_j)+\varepsilon$",
        f"{_STATIONARITY}.descent_lower_multilayer",
    ),
)

PARTIAL: dict[str, str] = {
    "X8-path-variation": "paths with infinitely many kinks",
    "X9-best-L": "paths with infinitely many kinks",
    "F18": "that the published inequality fails; the repaired one is proved",
}
