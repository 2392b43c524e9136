"""Claims about k:n patterns and their group costs."""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_SPEC = "theory/mp-certificates.md"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "P3-kn",
        "k:n pattern",
        r"$\sum_{j\in g}m_{ij}=k$ for every row $i$ and every group $g$ of $n$ consecutive inputs; density $k/n$",
        (r"$1\le k\le n$", r"$n$ divides the number of inputs"),
        f"{_MP}, Section 3",
        "certify.theory.patterns.is_pattern",
        checks=("property",),
    ),
    Claim(
        "P3-mac",
        "Theoretical speed-up",
        r"a reduction $r$ of the multiply-adds gives $1/(1-r)$; $r=0.5981$: $2.488$",
        (r"$0\le r<1$", "time proportional to multiply-adds"),
        f"{_MP}, Section 3",
        "certify.theory.patterns.theoretical_speedup",
        checks=("symbolic", "property"),
    ),
    Claim(
        "P3-cast",
        "Group cost of a mask",
        r"$c_{i,g}(m)=r^\top C_gr=\frac1N\sum_x\big(\sum_{k:m_k=0}W_{i,g,k}h_{g,k}(x)\big)^2\ge0$, $r=(1-m)\odot W_{i,g}$, "
        r"$C_g=\frac1N\sum_xh_gh_g^\top$; minimised over all $\binom nk$ masks, ties to the first",
        (r"$1\le k\le n$", r"$n$ divides the number of inputs"),
        f"{_MP}, Section 3, and the CAST notes (the long preprint's cost is identically 0, F17)",
        "certify.theory.patterns.group_costs",
        checks=("symbolic", "exact", "property"),
        depends_on=("P3-kn",),
    ),
    Claim(
        "X30-cast-link",
        "Group costs and the budget",
        r"$B_T(R)\le2L\sqrt{P\operatorname{tr}(RCR^\top)}\le2L\sqrt{PG\sum_{i,g}c_{i,g}}$, $G$ groups per row, $P$ tokens per "
        r"sample; $(RCR^\top)_{ii}\le G\sum_gc_{i,g}$",
        (r"$L_s\le L$", r"$C=\frac1N\sum_xh(x)h(x)^\top$ over the $N=P|T|$ vectors of $T$"),
        f"{_SPEC}, X30 (stated there for $P=1$; without $P$ it fails for tokens)",
        "certify.theory.patterns.budget_upper_by_energy",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("P3-cast", "D5.0-budget", "X19-tokens"),
    ),
)
