"""Claims about the layerwise budget."""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_SPEC = "theory/mp-certificates.md"
_LIPSCHITZ = r"$L_s$ bounds the max-norm Lipschitz constant of $\psi_{2,s}$ on $\{A_\theta v_{s,p}\}$"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "N0-norms",
        "Induced max norm",
        r"$\|Ax\|_\infty\le\|A\|_\infty\|x\|_\infty$, $\|A\|_\infty=\max_i\sum_j|A_{ij}|$; attained at "
        r"$x=\operatorname{sign}A_{i^*}$",
        (),
        f"{_MP}, Section 2",
        "certify.theory.budget.data_path_upper_rows",
        checks=("symbolic", "coq", "exact", "property"),
    ),
    Claim(
        "D5.0-layer",
        "One layer with the rest frozen",
        r"$z_A(s)=\psi_{2,s}(AV_s)$; $\|z_{A_\theta}(s)-z_{A_1}(s)\|_\infty\le(1-\theta)L_s\|RV_s\|_\infty$",
        (_LIPSCHITZ, r"$A=S+R$, any split", r"$\theta\in[0,1]$"),
        f"{_MP}, Definition 5.0 (psi_2 per sample, F3)",
        "certify.theory.budget.data_path_size",
        checks=("property",),
    ),
    Claim(
        "D5.0-budget",
        "Layerwise budget",
        r"$B_T(R)=\frac2{|T|}\sum_sL_s\|RV_s\|_\infty\ge0$; unchanged when the sample list is permuted or duplicated as a whole",
        (_LIPSCHITZ,),
        f"{_MP}, Definition 5.0",
        "certify.theory.budget.budget",
        checks=("exact", "property"),
        depends_on=("X19-tokens",),
    ),
    Claim(
        "A4.1-architecture",
        "Local Lipschitz constants",
        r"$L_{\psi_2}(s)=\sup_{v\ne w\in\mathcal U_s}\|\psi_2(v)-\psi_2(w)\|_\infty/\|v-w\|_\infty$, $0$ for a single point; "
        r"$\text{sampled slopes}\le L_{\psi_2}(s)\le\prod_k\|W_k\|_\infty$",
        (
            r"$\phi=\rho\circ\psi_2\circ(R+S)\circ\psi_1$",
            r"$\psi_2$: layers $W_k$ and coordinatewise maps of slope at most 1",
        ),
        f"{_MP}, Assumption 4.1",
        "certify.theory.budget.lipschitz_by_row_sums",
        checks=("exact", "property"),
        depends_on=("N0-norms",),
    ),
    Claim(
        "ESM1-R2.9-local-lipschitz",
        "Post-layer constants",
        r"$\|\psi_2(v)-\psi_2(w)\|_\infty\le\prod_k\|W_k\|_\infty\,\|v-w\|_\infty$; sampled slopes and end-point Jacobians bound "
        r"nothing",
        (r"$\psi_2$: layers $W_k$ and coordinatewise maps of slope at most 1",),
        "OR1, Remark 2.9",
        "certify.theory.budget.lipschitz_by_row_sums",
        checks=("property",),
        depends_on=("N0-norms",),
    ),
    Claim(
        "X12-budget-calculus",
        "Calculus of budgets",
        r"(a) $B_T(tR)=|t|B_T(R)$, $B_T(Q+P)\le B_T(Q)+B_T(P)$, so certificates of disjoint masks add; (b) restoring $Q$ "
        r"improves the certificate only if $B_T(Q)>\mathrm{rew}(Q)$; (c) restoring whole rows never increases $B_T$",
        (r"the same $L_s$ in every budget", r"$Q\odot P=0$ in (b) and for the rewards"),
        f"{_SPEC}, X12 (equality instance of (a) by the errata)",
        "certify.theory.budget.restoration_can_help",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("D5.0-budget",),
    ),
    Claim(
        "ESM1-C1.3-multilayer-margin",
        "Telescoped logit change",
        r"$\eta_s^{tot}=\sum_j\eta_{j,s}$ serves in L5.1 and C5.2",
        (r"$\|z^{(j)}(s)-z^{(j-1)}(s)\|_\infty\le\eta_{j,s}$",),
        "OR1, Corollary 1.3",
        "certify.theory.budget.telescoped",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("L5.1-ce-path", "C5.2-margin"),
    ),
    Claim(
        "X19-tokens",
        "Tokens",
        r"$\|RV_s\|_\infty=\max_{i,p}|(Rv_{s,p})_i|$ and $n|T|\to n\sum_sP_s$",
        (),
        f"{_SPEC}, X19",
        "certify.theory.budget.data_path_size",
        checks=("exact", "property", "coverage"),
    ),
)
