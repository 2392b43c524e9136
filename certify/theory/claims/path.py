"""Claims about how far the logits move along a segment of weights."""

from __future__ import annotations

from certify.records import Claim

_SPEC = "theory/mp-certificates.md"
_PATH = r"$\gamma_s$ Lipschitz on $[0,1]$"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "X8-path-variation",
        "Path variation",
        r"$\|\gamma_s(\theta)-\gamma_s(1)\|_\infty\le "
        r"V_s(\theta)=\int_\theta^1\|\gamma_s'\|_\infty\le(1-\theta)\operatorname{ess\,sup}\|\gamma_s'\|_\infty"
        r"\le(1-\theta)L_s\|RV_s\|_\infty$; $V_s$ replaces $\eta_s$",
        (_PATH,),
        f"{_SPEC}, X8",
        "certify.theory.path.variation",
        checks=("coq", "exact", "property"),
        depends_on=("X1-ce-sharp",),
    ),
    Claim(
        "X9-best-L",
        "Smallest admissible constant",
        r"$L_s^{\min}\|RV_s\|_\infty=\operatorname{ess\,sup}_{[0,1]}\|\gamma_s'\|_\infty$",
        (_PATH, "the segment moves this target alone"),
        f"{_SPEC}, X9",
        "certify.theory.budget.smallest_lipschitz",
        checks=("coq", "exact", "property"),
        depends_on=("X8-path-variation",),
    ),
    Claim(
        "X14-multilayer",
        "Several layers at once or in a row",
        r"(a) T5.9 with dense-network derivatives alone: $2\sum\lambda_{2,j}\|R_j\|_F^2+\sum\lambda_{1,j}\|R_j\|_1"
        r"\le-\sum_j\langle\nabla_{A_j}\mathcal L_{CE}(\alpha^{(0)}),R_j\rangle+\varepsilon$; "
        r"(b) $\Delta\mathcal L_{CE}\le\frac1{|T|}\sum\Lambda_{p_s}(2V_s^{sim})$ on the simultaneous path; (c) "
        r"$\Lambda_{p_s}(2\sum_j\eta_{j,s})$ sequentially, to which stepwise X1 composes; neither dominates: take the minimum",
        (_PATH,),
        f"{_SPEC}, X14",
        "certify.theory.path.variation",
        checks=("symbolic", "coq", "property"),
        depends_on=("X1-ce-sharp", "X8-path-variation"),
    ),
)
