"""Effective numbers, masks by score, and scores of graphs."""

from __future__ import annotations

from proofs_check.coq.entry import Entry, entry

_NUMBER = "theory.emp.effective_number"
_MASS = "theory.emp.mass_bounds"
_LOSS = "theory.emp.retained_loss"
_RANKS = "theory.rank_monotone"

ENTRIES: tuple[Entry, ...] = (
    entry("EMP-D1", "Emp", "effective_range", r"$1\le D=P^2/Q\le N$", f"{_NUMBER}.effective_number"),
    entry("EMP-F6", "Emp", "threshold_count", r"$\#\{i:|s_i|\ge Q/P\}\le D$", f"{_NUMBER}.sure_threshold"),
    entry("EMP-F6", "Emp", "removed_below_threshold", r"$K+1>D$, $j$ removed: $|s_j|<Q/P$", f"{_NUMBER}.sure_threshold"),
    entry("EMP-F7", "Emp", "energy_lemma", r"$\sum_{removed}\omega_i^2\le c\,(1-\phi_K)$", f"{_NUMBER}.removed_energy_upper"),
    entry(
        "EMP-T2",
        "Emp",
        "largest_share",
        r"$c\ge\frac12\Rightarrow\phi_1\ge\frac{1+\sqrt{2c-1}}2$",
        f"{_MASS}.retained_mass_range",
    ),
    entry(
        "EMP-T2", "Emp", "largest_share_attained", r"equality at $(x,1-x,0,\dots,0)$, $x\ge\frac12$", f"{_MASS}.extremal_shares"
    ),
    entry("EMP-C5", "Emp", "first_cell", r"$D<2\Rightarrow s_{\mathrm{eff}}>\frac12$", f"{_MASS}.cell_retained_mass_infimum"),
    entry("EMP-T3", "Emp", "mass_upper", r"$\phi_K\le\frac KN+\sqrt{(c-\frac1N)\frac{K(N-K)}N}$", f"{_MASS}.retained_mass_range"),
    entry(
        "EMP-T8",
        "Emp",
        "additive_domination",
        r"$|\Lambda(U)|\le C\sum_U|s_i|\Rightarrow|\Lambda|\le C\|s\|_1(1-\phi_K)$",
        f"{_LOSS}.change_upper_additive",
    ),
    entry("EMP-F4", "Emp", "pooled_number", r"$D=1/\sum_l\pi_l^2/D_l\le\sum_lD_l$", f"{_NUMBER}.merged_number"),
    entry(
        "EMP-T7",
        "Emp",
        "curvature_scores",
        r"$\frac12\delta^\top H\delta\le\frac12(\sum_U|\delta_i|\sqrt{H_{ii}})^2$",
        f"{_LOSS}.change_upper_curvature_scores",
    ),
    entry(
        "EMP-T2",
        "Mass",
        "retained_mass_lower",
        r"$K\ge2$, $c\ge\frac1{K+1}$: $\phi_K\ge\frac KN+(1-\frac KN)\sqrt{\frac{Nc-1}{N-1}}$",
        f"{_MASS}.retained_mass_range",
    ),
    entry(
        "EMP-T2",
        "Mass",
        "retained_mass_attained",
        r"equality at $(1-t)\zeta_N+te_1$, for every such $c$",
        f"{_MASS}.extremal_shares",
    ),
    entry(
        "EMP-C5",
        "Mass",
        "cell_mass",
        r"$2\le\nu<N$: $s_{eff}>\frac\nu N+(1-\frac\nu N)\sqrt{\frac{N-\nu-1}{(\nu+1)(N-1)}}$",
        f"{_MASS}.cell_retained_mass_infimum",
    ),
    entry(
        "EMP-T3", "Mass", "mass_upper_attained", r"$M_K(c)$ is attained for every $c\in[\frac1N,1]$", f"{_MASS}.extremal_shares"
    ),
    entry(
        "EMP-D1",
        "Numbers",
        "effective_support",
        r"$D\le\mathrm{nnz}(s)$, with equality iff the nonzero $|s_i|$ are equal",
        f"{_NUMBER}.effective_number",
    ),
    entry(
        "EMP-F1",
        "Numbers",
        "largest_share_range",
        r"$1/\omega_{\max}\le D\le\min(\mathrm{nnz},1/\omega_{\max}^2)$",
        f"{_NUMBER}.number_range",
    ),
    entry("EMP-F5", "Numbers", "group_number", r"$D/b\le D_{group}\le\min(\#groups,D)$", f"{_NUMBER}.effective_number"),
    entry("EMP-F4", "Numbers", "pooled_blocks", r"$1/D=\sum_l\pi_l^2/D_l$", f"{_NUMBER}.merged_number"),
    entry("EMP-F4", "Numbers", "pooled_equality", r"$D=\sum_lD_l$ iff $\pi_l\propto D_l$", f"{_NUMBER}.merged_number"),
    entry("EMP-F4", "Numbers", "pooled_counts", r"$\beta\le1$: $K\le\sum_lK_l+M-1$", f"{_NUMBER}.kept_count"),
    entry(
        "EMP-T10",
        "Groups",
        "groups",
        r"$|\mathrm{CE}(S)-\mathrm{CE}(A)|\le B_T(R)\le(1-\phi_K)\sum_gs_g$, $s_g=B_T(A^{(g)})$",
        "theory.emp.data_path_scores.budget_upper_groups",
    ),
    entry(
        "SEL-T1",
        "Masks",
        "rank_monotone",
        r"$s$ strictly rank-monotone in $m$: $\mathrm{keep}(s;K)=\mathrm{keep}(m;K)$",
        f"{_RANKS}.is_rank_monotone",
    ),
    entry(
        "SEL-T3",
        "Masks",
        "mask_equality",
        r"$\min_{\mathrm{keep}(m)}s>\max_{\mathrm{rest}}s"
        r"\Rightarrow\mathrm{keep}(s)=\mathrm{keep}(m)$; the converse if $s_{(K)}\ne s_{(K+1)}$",
        f"{_RANKS}.separates_top",
    ),
    entry(
        "SEL-T1",
        "Masks",
        "same_masks_same_order",
        r"equal masks for every $K$ force equal sorted orders",
        f"{_RANKS}.is_rank_monotone",
    ),
    entry("SEL-T1", "Masks", "rank_monotone_base", r"the same under the base rule", f"{_RANKS}.top_mask"),
    entry("SEL-T2", "Masks", "base_rule", r"weakly rank-monotone, base rule: the masks of $m$", f"{_RANKS}.top_mask"),
    entry(
        "SEL-T2",
        "Masks",
        "index_rule",
        r"index rule: $|\mathrm{keep}(s)\triangle\mathrm{keep}(m)|\le2\min(a,|T|-a)$",
        f"{_RANKS}.tie_difference_upper",
    ),
    entry(
        "SSD-T3",
        "Graphs",
        "edge_score_sum",
        r"$\sum_{(p,q)}w_{pq}e_{pq}=\sum_ig(\lambda_i)\lambda_i=\frac12\sum_pd_ps_p$",
        "theory.graph_spectra.edge_scores",
    ),
)

PARTIAL: dict[str, str] = {
    "EMP-C5": "that the infima are sharp, the form 1/sqrt(nu + 1), and N_eff = N",
    "EMP-T7": "the step from the loss to half of delta^T H delta",
    "EMP-T8": "the second inequality, by the infimum of s_eff, and its strictness",
}
