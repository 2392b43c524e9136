"""Claims about rank-monotone masks (SEL-.., arXiv:2605.09345) and spectral distortion (SSD-.., arXiv:2605.18860), as data.

The papers state hypotheses; these theorems are the specification's own, proved there. None says that a pruned network
is good: they say which masks are equal and what a score cannot tell.
"""

from __future__ import annotations

from certify.records import Claim

_SEL = "methods/selection-plateau.md"
_SSD = "methods/spectral-distortion.md"


_BASE = r"one base $m$, one comparison set"
_GRAPHS = r"$A=L_{in}$, $B=L_{out}$, both graphs connected"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "SEL-T1",
        "Rank-monotone scores",
        r"strictly rank-monotone $\Rightarrow$ the masks of $m$ for every $K$, either tie rule; equal masks for every $K$ "
        r"under the index rule force equal sorted orders",
        (_BASE,),
        f"{_SEL}, Theorem 1",
        "certify.theory.rank_monotone.is_rank_monotone",
        checks=("coq", "exact", "property"),
    ),
    Claim(
        "SEL-T2",
        "Ties",
        r"weakly rank-monotone: $|\mathrm{keep}(s)\triangle\mathrm{keep}(m)|\le2\min(a,|T|-a)$ by index, $0$ by base",
        (_BASE, r"$1\le K\le N$"),
        f"{_SEL}, Theorem 2",
        "certify.theory.rank_monotone.tie_difference_upper",
        checks=("coq", "exact", "property"),
    ),
    Claim(
        "SEL-T3",
        "Equality at one sparsity",
        r"$\min_{top_K(m)}s>\max_{rest}s\Rightarrow\mathrm{keep}(s)=\mathrm{keep}(m)$; the converse if $s_{(K)}\ne s_{(K+1)}$",
        (_BASE, "ties of $s$ at the cut excluded for the converse (errata); ties of $m$ harmless"),
        f"{_SEL}, Theorem 3",
        "certify.theory.rank_monotone.separates_top",
        checks=("coq", "exact", "property"),
    ),
    Claim(
        "SEL-T4",
        "One pool over layers",
        r"increasing maps per layer reach exactly the masks that keep the top $K_l$ of each layer, for every $\sum K_l=K$",
        ("distinct values at the cuts",),
        f"{_SEL}, Theorem 4",
        "certify.theory.rank_monotone.scores_for_allocation",
        checks=("property",),
    ),
    Claim(
        "SEL-T5",
        "Fusion",
        r"$\sum_kw_k\phi_k$ with $w\ge0$, $w\ne0$, is strictly rank-monotone if every $\phi_k$ is; signed weights break it",
        (_BASE, "real arithmetic; weakly in floats"),
        f"{_SEL}, Theorem 5",
        "certify.theory.rank_monotone.is_rank_monotone",
        checks=("symbolic", "exact", "property"),
    ),
    Claim(
        "SEL-T6",
        "Ranking is uniform allocation",
        r"a global pool of equal increasing functions of per-layer ranks keeps $\lfloor K/L\rfloor$ or $\lceil K/L\rceil$",
        ("layers of equal width, ranks without ties",),
        f"{_SEL}, Theorem 6",
        "certify.theory.rank_monotone.global_rank_counts",
        checks=("property",),
    ),
    Claim(
        "SEL-T7",
        "A family of known complexity",
        r"$1-2F^t(z)=T_{2^t}(1-2z)$ for $F(z)=4z(1-z)$, so $F^t$ has degree $2^t$",
        (r"$z\in[0,1]$", r"$t\ge0$"),
        f"{_SEL}, Theorem 7",
        "certify.theory.rank_monotone.logistic_iterate",
        checks=("symbolic", "property"),
    ),
    Claim(
        "SEL-T8",
        "Selection optimism",
        r"$P(\forall b\le B:|\hat r_b-r_b|\le\sqrt{\log(2B/\delta)/(2n)})\ge1-\delta$; of $B$ equal networks, independently "
        r"measured, the best gains $\frac1n\sum_{k<n}(1-P(\mathrm{Bin}(n,r)\le k)^B)-r$",
        ("networks fixed before they are measured", "samples independent"),
        f"{_SEL}, Theorem 8",
        "certify.theory.binomial.hoeffding_gap_upper",
        checks=("symbolic", "property", "coverage"),
    ),
    Claim(
        "SSD-T1",
        "Pencil",
        r"$n-1$ positive generalised eigenvalues; $L_{out}^+L_{in}$ has them and one $0$",
        (_GRAPHS,),
        f"{_SSD}, T1",
        "certify.theory.graph_spectra.pencil",
        checks=("property",),
    ),
    Claim(
        "SSD-T2",
        "Resistance ratios",
        r"$\lambda_{\min}\le R_{out}(p,q)/R_{in}(p,q)\le\lambda_{\max}$",
        (_GRAPHS,),
        f"{_SSD}, T2",
        "certify.theory.graph_spectra.resistance_ratio_range",
        checks=("symbolic", "property"),
    ),
    Claim(
        "SSD-T3",
        "Sum rule",
        r"$\sum_{(p,q)}w_{pq}e_{pq}=\sum_{i\le s}g(\lambda_i)\lambda_i$ over input edges; twice that for $\sum_pd_ps_p$",
        (_GRAPHS,),
        f"{_SSD}, T3",
        "certify.theory.graph_spectra.edge_scores",
        checks=("coq", "property"),
    ),
    Claim(
        "SSD-T4",
        "Closed form",
        r"all pairs: $e_{pq}=e^\top B^+AB^+e$, $e=e_p-e_q$",
        (_GRAPHS,),
        f"{_SSD}, T4",
        "certify.theory.graph_spectra.edge_scores_full",
        checks=("property",),
    ),
    Claim(
        "SSD-T5",
        "Symmetries",
        r"equivariant under relabelling; $W_{in}\to aW_{in}$ scales the spade form by $a$, $W_{out}\to bW_{out}$ by $b^{-2}$",
        (_GRAPHS, r"$a,b>0$"),
        f"{_SSD}, T5 (a), (b)",
        "certify.theory.graph_spectra.node_scores",
        checks=("property",),
    ),
    Claim(
        "SSD-T6",
        "Twins",
        r"$e_p-e_{p'}$ is an eigenvector of both, $\lambda=(d_{in}+w_{in})/(d_{out}+w_{out})$, and $s_p=s_{p'}$",
        (_GRAPHS, "equal weights towards all others in both graphs"),
        f"{_SSD}, T6",
        "certify.theory.graph_spectra.twin_value",
        checks=("symbolic", "property"),
    ),
    Claim(
        "SSD-T7",
        "Equal graphs",
        r"$L_{in}=L_{out}$: all $\lambda=1$, log scores $0$, full scores $R(p,q)$, the spade form undefined for $s<n-1$",
        (_GRAPHS,),
        f"{_SSD}, T7",
        "certify.theory.graph_spectra.edge_scores_full",
        checks=("property",),
    ),
    Claim(
        "SSD-T8",
        "No removability",
        r"the least refitted cost of removing $p$ is $\|W_{:p}\|^2\,\mathrm{dist}(A_p,\mathrm{span}\{1,A_q\})^2$: any size at "
        r"one score",
        ("the score is a function of $(Z,A)$", r"$A_p\notin\mathrm{span}\{1,A_q:q\ne p\}$"),
        f"{_SSD}, T8",
        "certify.theory.graph_spectra.refit_cost",
        checks=("property",),
    ),
    Claim(
        "SSD-T9",
        "Disconnection",
        r"more output than input components: $L_{out}^+$ drops infinite distortion; $K_6$ over two triangles gives "
        r"$\{2,2,2,2,0,0\}$, with $L_{out}+\epsilon I$ the top is $6/\epsilon$",
        (),
        f"{_SSD}, T9",
        "certify.theory.graph_spectra.components",
        checks=("symbolic", "property"),
    ),
    Claim(
        "SSD-T10",
        "Updates",
        r"$(L-wee^\top)^+=L^++\frac{wL^+ee^\top L^+}{1-wR}$, $wR=1$ iff a bridge; $\sum wR=n-\#components$; "
        r"$L'=L_{-p,-p}-\mathrm{diag}(w_{p,-p})$",
        ("connected graph",),
        f"{_SSD}, T10",
        "certify.theory.graph_spectra.pinv_after_deletion",
        checks=("symbolic", "property"),
    ),
    Claim(
        "SSD-T11",
        "What a removal changes",
        r"removing neurons of a layer leaves $d_{pq}=2-2\operatorname{corr}(H_p,H_q)$ of its survivors and of all earlier "
        r"layers unchanged",
        ("a feed-forward network",),
        f"{_SSD}, T11",
        "certify.theory.graph_spectra.correlation_distances",
        checks=("property",),
    ),
)
