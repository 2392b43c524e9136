"""Claims about singular values, vectors and spectral distributions of W = S + R."""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_SPEC = "theory/mp-certificates.md"
_SUM = r"$W=S+R\in\mathbb R^{n\times m}$, any $S$, $R$; $r=\min(n,m)$; $s_1\ge\dots\ge s_r$, $s_{r+1}=0$"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "Weyl",
        "Weyl's inequality",
        r"$\max_i|s_i(S+R)-s_i(S)|\le\|R\|_{op}$",
        (_SUM,),
        f"Weyl 1912, quoted by {_SPEC}, Section 9",
        "certify.theory.perturbation.value_shift_upper",
        checks=("property",),
    ),
    Claim(
        "Mirsky",
        "Mirsky's inequality",
        r"$\sum_i(s_i(S+R)-s_i(S))^2\le\|R\|_F^2$",
        (_SUM,),
        f"Mirsky 1960, quoted by {_SPEC}, Section 9",
        "certify.theory.perturbation.spectrum_shift_upper",
        checks=("property",),
    ),
    Claim(
        "Eckart-Young",
        "Best approximation of a rank",
        r"$\min\{\|S-B\|_F^2:\operatorname{rank}B\le k\}=\sum_{i>k}s_i(S)^2$",
        (r"$k\ge0$",),
        f"Eckart and Young 1936, quoted by {_SPEC}, Section 9",
        "certify.theory.perturbation.tail_energy",
        checks=("property",),
    ),
    Claim(
        "A4.3-structured",
        "Small energy beyond a small rank",
        r"hypothesis $\sum_{i>k_N}s_i(S)^2\to0$, $k_N=o(\min(n,m))$; its functional $\sum_{i>k}s_i(S)^2$ decreases in $k$ "
        r"and is 0 for $k\ge\operatorname{rank}S$",
        (),
        f"{_MP}, Assumption 4.3; the functional is checked, the hypothesis concerns a sequence",
        "certify.theory.perturbation.tail_energy",
        checks=("property",),
    ),
    Claim(
        "C4.10-bulk-spike",
        "Bulk and spikes without the removed part",
        r"$|s_i(W)-s_i(S)|\le\|R\|_{op}\le\|R\|_F$; $(\sum_{i>k}s_i(W)^2)^{1/2}\le(\sum_{i>k}s_i(S)^2)^{1/2}+\|R\|_F$; "
        r"$\nu_W((\epsilon,\infty))\le(k+\epsilon^{-2}\sum_{i>k}s_i(W)^2)/r$; so (i)–(v) follow from $\|R_N\|_F\to0$, "
        r"$\sum_{i>k_N}s_i(S_N)^2\to0$, $k_N=o(r)$",
        (_SUM, r"$k\ge0$, $\epsilon>0$"),
        f"{_MP}, Corollary 4.10 (= OR1, Corollary 3.24); the inequalities behind the limits, uniform in $i$ (F22)",
        "certify.theory.perturbation.share_above_upper",
        checks=("symbolic", "property"),
        depends_on=("Weyl", "X26-perturbation-constants", "A4.3-structured"),
    ),
    Claim(
        "C4.11-subspace",
        "Directions without the removed part",
        r"$e=\|R\|_{op}<\delta_k=s_k(S)-s_{k+1}(S)$: $\max(\|\hat P_U-P_U\|_{op},\|\hat P_V-P_V\|_{op})\le\frac e{\delta_k-e}$, "
        r"so both tend to 0 when $e/\delta_k\to0$; one pair of vectors: $\frac{\sqrt2e}{\Delta_i-e}$, "
        r"$\Delta_i=\min(\delta_{i-1},\delta_i)$",
        (_SUM, r"$1\le k\le r$"),
        f"{_MP}, Corollary 4.11 (= OR1, Corollary 3.25), with constants",
        "certify.theory.perturbation.projector_distance_upper",
        checks=("symbolic", "property", "coverage"),
        depends_on=("Weyl",),
    ),
    Claim(
        "X23-svd-split",
        "Split along singular directions",
        r"$\langle S,R\rangle_F=0$, $\|Rv\|_\infty\le\tau\|P_Rv\|_2$, "
        r"$B_T(R)\le\frac{2\tau}{|T|}\sum_sL_s\max_p\|P_Rv_{s,p}\|_2$, "
        r"$\mathcal J_2(S)\le\mathcal J_2(A)+B_T(R)-\lambda_2\sum_{i\in I}s_i^2$",
        (r"$R=\sum_{i\in I}s_iu_iv_i^\top$, $S=A-R$", r"$s_i\le\tau$ for $i\in I$", r"$L_s$ valid on the segment"),
        f"{_SPEC}, X23",
        "certify.theory.perturbation.split_size_upper",
        checks=("symbolic", "property"),
        depends_on=("T5.3-additive-frobenius", "D5.0-budget"),
    ),
    Claim(
        "X26-perturbation-constants",
        "Perturbation of singular values with constants",
        r"(a) $\sum_i(s_i(W)-s_i(S))^2\le\|R\|_F^2$, $\sup_i|s_i(W)-s_i(S)|\le\|R\|_{op}$; (b) $(\sum_{i>k}s_i(W)^2)^{1/2}\le"
        r"(\sum_{i>k}s_i(S)^2)^{1/2}+\|R\|_F$; (c) $e<\delta_k$: "
        r"$\max(\|\hat P_U-P_U\|,\|\hat P_V-P_V\|)\le\frac e{\delta_k-e}$, "
        r"$\le\frac43\frac e{\delta_k}$ for $e\le\delta_k/4$; (d) $s_i(W)^2\ge4g$: "
        r"$|\frac12(s_i(W)+\sqrt{s_i(W)^2-4g})-s_i(S)|\le\|R\|_{op}+\sqrt g$",
        (_SUM, r"$e=\|R\|_{op}$", r"$g\ge0$"),
        f"{_SPEC}, X26; (c) holds for $k=r$ also when $n\\ne m$, with $s_{{r+1}}=0$",
        "certify.theory.perturbation.corrected_value_error_upper",
        checks=("symbolic", "coq", "property"),
        depends_on=("Weyl", "Mirsky", "Eckart-Young"),
    ),
    Claim(
        "X27-levy-bulk",
        "Bulk under small rank plus small energy",
        r"$d_L(\nu_A,\nu_B)^3\le\|A-B\|_F^2/r$; $d_L(\nu_{R+S},\nu_R)\le\frac kr+(\frac1r\sum_{i>k}s_i(S)^2)^{1/3}$",
        (_SUM, r"$k\ge0$"),
        f"{_SPEC}, X27",
        "certify.theory.perturbation.levy_bulk_upper",
        checks=("property", "coverage"),
        depends_on=("Mirsky", "ESM1-P3.30-mp-bulk"),
    ),
    Claim(
        "ESM1-P3.30-mp-bulk",
        "A Marchenko–Pastur bulk is stable under small rank",
        r"(i) $\nu_{R_N}\to$ the singular-value law M2′; (ii) "
        r"$\sup_x|\nu_W(-\infty,x]-\nu_R(-\infty,x]|\le\operatorname{rank}(S)/r$; "
        r"(iii) separated spikes: $s_i(W)-D_N^{-1}(\theta_i^{-2})\to0$",
        (_SUM, r"(i), (iii): $R_N$ iid $N(0,g_N/n)$, $m/n\to c$, $g_N\to g_\infty>0$", r"(iii) with the range condition of F13"),
        "OR1, Proposition 3.30; (ii) is exact at every size, (i) and (iii) are limits",
        "certify.theory.perturbation.bulk_shift_upper",
        checks=("symbolic", "property", "coverage"),
        depends_on=("M2-singular-values", "M6-inverse-D"),
    ),
)
