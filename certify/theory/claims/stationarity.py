"""Claims about trained points: what stationarity forces on a removable part."""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_SPEC = "theory/mp-certificates.md"
_MASK = r"mask split: $S\odot R=0$"
_ONE_SIDED = (
    r"one-sided stationarity: $\liminf_{h\downarrow0}\frac{\mathcal J(A_{1-h})-\mathcal J(A_1)}h\ge-\varepsilon$, "
    r"$\varepsilon\ge0$"
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "T5.7-stationarity",
        "Stationary points hold no part that the regulariser would pay to shrink",
        r"$2\lambda_2\|R\|_F^2+\lambda_1\|R\|_1\le B_T(R)+\varepsilon$; and "
        r"$\lambda_2(1+\theta)\|R\|_F^2+\lambda_1\|R\|_1\le B_T(R)+\varepsilon$ at any one $\theta\in[0,1)$ with "
        r"$\mathcal J(A_\theta)\ge\mathcal J(A_1)-\varepsilon(1-\theta)$",
        (_MASK, r"$\lambda_1,\lambda_2\ge0$", _ONE_SIDED + " (first part)"),
        f"{_MP}, Theorem 5.7 (second part at one $\\theta$ by F6; published for all $\\theta$ it follows from the first)",
        "certify.theory.stationarity.descent_lower",
        checks=("symbolic", "coq", "property"),
        depends_on=("T5.4-elastic-net",),
    ),
    Claim(
        "ESM1-C1.2-weighted-stationarity",
        "The same with one penalty weight per entry",
        r"$2\sum\gamma_{2,ij}R_{ij}^2+\sum\gamma_{1,ij}|R_{ij}|\le B_T(R)+\varepsilon$, and with $1+\theta$ for 2 at one "
        r"$\theta$",
        (_MASK, r"$\gamma_{1,ij},\gamma_{2,ij}\ge0$", _ONE_SIDED + r" of $\mathcal J_\Gamma$"),
        "OR1, Corollary 1.2 (second part by F6)",
        "certify.theory.stationarity.descent_lower",
        checks=("symbolic", "coq", "property"),
        depends_on=("ESM1-C1.1-weighted-elastic-net",),
    ),
    Claim(
        "T5.9-multilayer-stationarity",
        "Stationarity across layers",
        r"$2\sum\lambda_{2,j}\|R_j\|_F^2+\sum\lambda_{1,j}\|R_j\|_1\le\sum B_j(R_j)+\varepsilon$; with $2-h$ for 2 at any one "
        r"$h\in(0,1]$ with $\mathcal J(\alpha_h)\ge\mathcal J(\alpha^{(0)})-\varepsilon h$",
        (
            "distinct layers (F9)",
            r"the step-$j$ increase is at most $hB_j(R_j)$ for all $h\in[0,1]$, steps $1..j-1$ made with the same $h$",
            r"one-sided stationarity of $\mathcal J$ along $\alpha_h$ with $\varepsilon\ge0$ (first part)",
        ),
        f"{_MP}, Theorem 5.9 (second part by F6)",
        "certify.theory.stationarity.descent_lower_multilayer",
        checks=("symbolic", "coq", "property"),
        depends_on=("T5.8-multilayer",),
    ),
    Claim(
        "X13-stationarity-gradient",
        "Stationarity by the dense gradient",
        r"one-sided stationarity iff $2\lambda_2\|R\|_F^2+\lambda_1\|R\|_1\le-\langle\nabla\mathcal L_{CE}(A),R\rangle"
        r"+\varepsilon\le\frac1{|T|}\sum(1-p_s)\operatorname{osc}(\gamma_s'(1))+\varepsilon\le\frac2{|T|}\sum(1-p_s)L_s\|RV_s\|_\infty+"
        r"\varepsilon$; at $\varepsilon=0$: (a) $2\lambda_2\langle A,R\rangle_F\le B_T(R)$ ($\lambda_1=0$), (b) "
        r"$2\lambda_2|A_{ij}|+\lambda_1\le\beta_j$ where $A_{ij}\ne0$, (c) "
        r"$s_i\le\frac1{\lambda_2|T|}\sum L_s\max_p|\langle\mathbf v_i,v_{s,p}\rangle|\,\|\mathbf u_i\|_\infty$ ($\lambda_1=0$)",
        (_MASK + " (iff)", r"each $\gamma_s$ left-differentiable at $\theta=1$: kinks can cancel in the average (errata)"),
        f"{_SPEC}, X13",
        "certify.theory.stationarity.directional_descent",
        checks=("symbolic", "coq", "property"),
        depends_on=("T5.7-stationarity",),
    ),
    Claim(
        "X24-scale-free-collapse",
        "Collapse of the noise, free of its scale",
        r"$\|R\|_F\le\frac{(\hat B+2\lambda\hat c)_+}{2\lambda}+\sqrt{\varepsilon/(2\lambda)}$, $\hat B=B_T(R)/\|R\|_F$, "
        r"$\hat c=-\langle S,R\rangle_F/\|R\|_F$; hence $\|R\|_F=o_{\mathbb P}(N^{-1/2})$ in the square Gaussian model at "
        r"$\varepsilon=0$",
        (
            r"$R\ne0$, $\lambda>0$, any split",
            r"$\mathcal J_2$ one-sidedly stationary along $R$ with $\varepsilon\ge0$",
            r"rate alone: $a_*\to0$, $\|S\|_F=o(\sqrt N)$",
        ),
        f"{_SPEC}, X24",
        "certify.theory.stationarity.collapse_upper",
        checks=("symbolic", "coq", "property", "coverage"),
        depends_on=("T5.3-additive-frobenius",),
    ),
    Claim(
        "X25-apriori-energy",
        "Energy of any point no worse than zero",
        r"$\sum_i\|W_i\|_F^2\le\log K/\lambda$ and $\|R\|_F^2\le\log K/\lambda+2|\langle S,R\rangle_F|$",
        (r"$L(\alpha)\le L(0)=\log K$: no biases, activations 0 at 0", r"$\lambda>0$"),
        f"{_SPEC}, X25",
        "certify.theory.stationarity.energy_upper",
        checks=("symbolic", "coq", "property"),
    ),
)
