"""What stationary and finite-size networks must satisfy."""

from __future__ import annotations

from proofs_check.coq.entry import Entry, entry

_CE = "theory.cross_entropy"
_STATIONARITY = "theory.stationarity"

ENTRIES: tuple[Entry, ...] = (
    entry(
        "T5.7-stationarity",
        "Stationarity",
        "stationarity",
        r"$\liminf_{h\downarrow0}\frac{\mathcal J(A_{1-h})-\mathcal J(A_1)}h\ge-\varepsilon"
        r"\Rightarrow2\lambda_2\|R\|_F^2+\lambda_1\|R\|_1\le B_T(R)+\varepsilon$",
        f"{_STATIONARITY}.descent_lower",
    ),
    entry(
        "T5.7-stationarity",
        "Stationarity",
        "stationarity_at",
        r"$\mathcal J(A_\theta)\ge\mathcal J(A_1)-\varepsilon(1-\theta)"
        r"\Rightarrow\lambda_2(1+\theta)\|R\|_F^2+\lambda_1\|R\|_1\le B_T(R)+\varepsilon$",
        f"{_STATIONARITY}.descent_lower",
    ),
    entry(
        "ESM1-C1.2-weighted-stationarity",
        "Stationarity",
        "weighted_stationarity",
        r"$2\sum\gamma_{2,ij}R_{ij}^2+\sum\gamma_{1,ij}|R_{ij}|\le B_T+\varepsilon$",
        f"{_STATIONARITY}.descent_lower",
    ),
    entry(
        "ESM1-C1.2-weighted-stationarity",
        "Stationarity",
        "weighted_stationarity_at",
        r"$\sum(1+\theta)\gamma_{2,ij}R_{ij}^2+\sum\gamma_{1,ij}|R_{ij}|\le B_T+\varepsilon$ at one $\theta$",
        f"{_STATIONARITY}.descent_lower",
    ),
    entry(
        "F6",
        "Stationarity",
        "bound_is_stationary",
        r"$\mathcal J(A_\theta)\ge\mathcal J(A_1)-\varepsilon(1-\theta)$ for all $\theta$ implies one-sided stationarity",
    ),
    entry(
        "D2.0-ce",
        "Gradient",
        "ce_derivative",
        r"$\partial_k\ell_C=\rho_k-\delta_{kC}$, along any differentiable curve",
        f"{_CE}.cross_entropy",
    ),
    entry("D2.0-ce", "Gradient", "residual_norm", r"$\|\rho-e_C\|_1=2(1-\rho_C)$", f"{_CE}.softmax"),
    entry(
        "X13-stationarity-gradient",
        "Gradient",
        "residual_oscillation",
        r"$|\langle\rho-e_C,d\rangle|\le(1-p)\operatorname{osc}(d)$",
        f"{_STATIONARITY}.slope_upper",
    ),
    entry(
        "X13-stationarity-gradient",
        "Gradient",
        "gradient_stationarity",
        r"stationary iff $2\lambda_2\|R\|_F^2+\lambda_1\|R\|_1\le-\langle\nabla\mathcal L_{CE},R\rangle+\varepsilon$",
        f"{_STATIONARITY}.directional_descent",
    ),
    entry(
        "X13-stationarity-gradient",
        "Gradient",
        "confidence_weighted",
        r"$|\langle\nabla\mathcal L_{CE},R\rangle|\le\frac1{|T|}\sum(1-p_s)\operatorname{osc}(\gamma_s'(1))"
        r"\le\frac2{|T|}\sum(1-p_s)L_s\|RV_s\|_\infty\le B_T$",
        f"{_STATIONARITY}.slope_upper",
    ),
    entry(
        "X13-stationarity-gradient",
        "Additive",
        "additive_stationarity",
        r"(a) $2\lambda_2\langle A,R\rangle_F\le B_T(R)+\varepsilon$",
        f"{_STATIONARITY}.alignment_upper",
    ),
    entry(
        "X24-scale-free-collapse",
        "Additive",
        "scale_free_collapse",
        r"$\|R\|_F\le\frac{(\hat B+2\lambda\hat c)_+}{2\lambda}+\sqrt{\varepsilon/2\lambda}$",
        f"{_STATIONARITY}.collapse_upper",
    ),
    entry(
        "X13-stationarity-gradient",
        "Additive",
        "entry_condition",
        r"(b) $2\lambda_2|A_{ij}|+\lambda_1\le\beta_j$; $\beta_j<\lambda_1\Rightarrow A_{ij}=0$",
        f"{_STATIONARITY}.column_budgets",
    ),
    entry(
        "X13-stationarity-gradient",
        "Additive",
        "singular_component",
        r"(c) $s\le\frac1{\lambda_2|T|}\sum L_s\max_p|\langle w,v_{s,p}\rangle|\,\|u\|_\infty$",
        f"{_STATIONARITY}.singular_value_upper",
    ),
    entry(
        "X14-multilayer",
        "Simultaneous",
        "simultaneous_upper",
        r"(b) $\Delta\mathcal L_{CE}\le\frac1{|T|}\sum\Lambda_{p_s}(2V_s^{sim})$",
        "theory.path.variation",
    ),
    entry(
        "X14-multilayer",
        "Simultaneous",
        "dense_gradient",
        r"(a) $\frac d{d\theta}\mathcal L_{CE}(\alpha_{1-\theta})|_{1^-}=\sum_j\langle\nabla_{A_j}\mathcal L_{CE},R_j\rangle$",
        f"{_STATIONARITY}.directional_descent",
    ),
    entry(
        "X14-multilayer",
        "Simultaneous",
        "dense_gradient_stationarity",
        r"(a) stationary iff $2\sum\lambda_{2,j}\|R_j\|_F^2+\sum\lambda_{1,j}\|R_j\|_1"
        r"\le-\sum_j\langle\nabla_{A_j}\mathcal L_{CE},R_j\rangle+\varepsilon$",
        f"{_STATIONARITY}.directional_descent",
    ),
    entry(
        "ESM1-C2.3-finiteN-path",
        "Energy",
        "finite_path",
        r"$\|RV_s\|_\infty\le t_s$, $|\langle S,R\rangle|\le\eta$: the bound for every $\vartheta$",
        "theory.additive.remainder_upper",
    ),
    entry(
        "X25-apriori-energy",
        "Energy",
        "apriori_energy",
        r"$\sum\|W_i\|_F^2\le\log K/\lambda$, $\|R\|_F^2\le\log K/\lambda+2|\langle S,R\rangle_F|$",
        f"{_STATIONARITY}.energy_upper",
    ),
)

PARTIAL: dict[str, str] = {
    "F6": "the inequalities themselves, which are those of T5.7",
    "X14-multilayer": "that neither of (b), (c) dominates; paths with infinitely many kinks in (b)",
    "X24-scale-free-collapse": "the rate in the square Gaussian model",
    "ESM1-C2.3-finiteN-path": "the probability of the event",
}
