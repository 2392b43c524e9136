"""Claims about effective-number pruning, as data.

EMP-D.. define, EMP-F.. are the facts, EMP-P.. the published bounds that are refuted, with the repaired form in the
statement. The paper (arXiv:2509.25606) could not be read in full: what is said of it is a reconstruction.
"""

from __future__ import annotations

from certify.records import Claim

_EMP = "theory/emp.md"


_SCORES = r"$s\in\mathbb R^N$, not all 0"
_SHARES = r"$\omega$ in the simplex of dimension $N-1$, $c=\sum\omega_i^2=1/D$"
_TOP = r"the $N-K$ smallest $|s_i|$ are removed"
_CURVATURE = r"$L$ is $C^2$ on the segment, $\nabla^2L\preceq\bar H$ there"
_LIPSCHITZ = r"$L_s$ bounds the max-norm Lipschitz constant behind the target, for every mask that may result"
_IID = r"$s_i\ge0$ iid, $0<\mu_2<\infty$"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "EMP-D1",
        "Effective number",
        r"$D=P^2/Q\in[1,\mathrm{nnz}(s)]$, $P=\sum|s_i|$, $Q=\sum s_i^2$; $D=\mathrm{nnz}$ iff the nonzero $|s_i|$ are equal",
        (_SCORES,),
        f"{_EMP}, Section 1 (Definition of arXiv:2509.25606)",
        "certify.theory.emp.effective_number.effective_number",
        checks=("symbolic", "coq", "exact", "property"),
    ),
    Claim(
        "EMP-D2",
        "Kept count with the exact floor",
        r"$K=\min(N,\max(1,\lfloor\beta P^2/Q\rfloor))$ in whole numbers; $K$ is monotone in $\beta$ and exactly $K$ are kept",
        (r"$\beta>0$ rational",),
        f"{_EMP}, Section 1 (beta a rational by the errata)",
        "certify.theory.emp.effective_number.kept_count",
        checks=("exact", "property"),
    ),
    Claim(
        "EMP-D3",
        "Retained and removed mass",
        r"$\phi_K=\sum_{i\le K}\omega_{(i)}$, $s_{eff}=\phi_{N_{eff}}$; removed mass $\sum_{i\in U}\omega_i$, rounded up",
        (_SCORES,),
        f"{_EMP}, Sections 1 and 6",
        "certify.theory.emp.effective_number.retained_mass",
        checks=("exact", "property"),
    ),
    Claim(
        "EMP-F1",
        "Largest share",
        r"$1/\omega_{\max}\le D\le\min(\mathrm{nnz},1/\omega_{\max}^2)$",
        (_SCORES,),
        f"{_EMP}, fact 1",
        "certify.theory.emp.effective_number.number_range",
        checks=("symbolic", "coq", "property"),
    ),
    Claim(
        "EMP-F2",
        "Invariances and products",
        r"$D$ is invariant under scaling, permutation, zeros; $D(s\otimes t)=D(s)D(t)$",
        (_SCORES,),
        f"{_EMP}, fact 2",
        "certify.theory.emp.effective_number.effective_number",
        checks=("symbolic", "exact", "property"),
    ),
    Claim(
        "EMP-F3",
        "Schur concavity",
        r"$\omega\prec\omega'\Rightarrow D\ge D'$; $p\mapsto D(|s|^p)$ is non-increasing, so $D$ is no function of the ranking",
        (_SCORES,),
        f"{_EMP}, fact 3",
        "certify.theory.emp.effective_number.effective_number",
        checks=("property",),
    ),
    Claim(
        "EMP-F4",
        "Pooling blocks",
        r"$1/D=\sum_l\pi_l^2/D_l$, $D\le\sum_lD_l$ with equality iff $\pi_l\propto D_l$; for $\beta\le1$: "
        r"$K\le\sum_lK_l+M-1$ over $M$ blocks",
        (r"blocks of positive total", r"nesting of counts only for $\beta\le1$ (errata)"),
        f"{_EMP}, fact 4",
        "certify.theory.emp.effective_number.merged_number",
        checks=("symbolic", "coq", "property"),
    ),
    Claim(
        "EMP-F5",
        "Group sums",
        r"$D/b\le D_{group}\le\min(\#groups,D)$ for groups of at most $b$ scores",
        (_SCORES,),
        f"{_EMP}, fact 5",
        "certify.theory.emp.effective_number.effective_number",
        checks=("symbolic", "coq", "property"),
    ),
    Claim(
        "EMP-F6",
        "Threshold lemma",
        r"at most $N_{eff}$ entries have $\omega_i\ge c$: $|s_i|\ge Q/P$ is kept, each removed $|s_i|<Q/P$",
        (_SCORES, r"$\beta\ge1$"),
        f"{_EMP}, fact 6",
        "certify.theory.emp.effective_number.sure_threshold",
        checks=("symbolic", "coq", "exact", "property"),
    ),
    Claim(
        "EMP-F7",
        "Energy lemma",
        r"$\sum_{i\in U}\omega_i^2\le c\,(1-\phi_K)$",
        (_SCORES, _TOP),
        f"{_EMP}, fact 7",
        "certify.theory.emp.effective_number.removed_energy_upper",
        checks=("symbolic", "coq", "exact", "property"),
    ),
    Claim(
        "EMP-T1",
        "Least retained mass, any kept count",
        r"$m_K(c)=\min\phi_K$ is attained on an edge $[\zeta_k,\zeta_1]$, $k>K$, or $[\zeta_{j+1},\zeta_j]$, "
        r"$j=\lfloor D\rfloor>K$",
        (_SHARES, r"$1\le K\le N$"),
        f"{_EMP}, edge lemma and Theorem 1",
        "certify.theory.emp.mass_bounds.mass_in_range_exact",
        checks=("symbolic", "exact", "property"),
    ),
    Claim(
        "EMP-X1",
        "Least retained mass, closed form for every kept count",
        r"$m_K(c)$ is the lesser of $\phi_K$ on $[\zeta_N,\zeta_1]$ and on $[\zeta_{j+1},\zeta_j]$, $j=\lfloor D\rfloor<N$: "
        r"$\frac KN+(1-\frac KN)\sqrt{\frac{Nc-1}{N-1}}$ and, for $K\le j$, $\frac K{j+1}+K\sqrt{(c-\frac1{j+1})\frac1{j(j+1)}}$",
        (_SHARES, r"$1\le K\le N-1$"),
        f"sharpens {_EMP}, Theorem 1 (proof in the module)",
        "certify.theory.emp.mass_bounds.retained_mass_range",
        checks=("symbolic", "ball", "exact", "property"),
    ),
    Claim(
        "EMP-T2",
        "Least retained mass, closed form",
        r"$m_K=\frac KN+(1-\frac KN)\sqrt{\frac{Nc-1}{N-1}}$ for $K\ge2$; $m_1=\frac{1+\sqrt{2c-1}}2$",
        (_SHARES, r"$D\le K+1$, $1\le K\le N-1$"),
        f"{_EMP}, Theorem 2",
        "certify.theory.emp.mass_bounds.retained_mass_range",
        checks=("symbolic", "ball", "coq", "exact", "property"),
    ),
    Claim(
        "EMP-T3",
        "Largest retained mass",
        r"$M_K=1$ if $c\ge1/K$, else $\frac KN+\sqrt{(c-\frac1N)\frac{K(N-K)}N}$",
        (_SHARES,),
        f"{_EMP}, Theorem 3",
        "certify.theory.emp.mass_bounds.retained_mass_range",
        checks=("symbolic", "ball", "coq", "exact", "property"),
    ),
    Claim(
        "EMP-T4",
        "No gaps",
        r"every value in $[m_K(c),M_K(c)]$ is the retained mass of some $\omega$",
        (_SHARES,),
        f"{_EMP}, Theorem 4",
        "certify.theory.emp.mass_bounds.retained_mass_range",
        checks=("symbolic", "property"),
    ),
    Claim(
        "EMP-C5",
        "Effective mass of a cell",
        r"$N_{eff}=N$: $s_{eff}=1$; $N_{eff}=1<N$: $s_{eff}>\frac12$; else "
        r"$s_{eff}>\frac\nu N+(1-\frac\nu N)\sqrt{\frac{N-\nu-1}{(\nu+1)(N-1)}}\ge\frac1{\sqrt{\nu+1}}$; sharp",
        (_SCORES, r"$\nu=N_{eff}$"),
        f"{_EMP}, Corollary 5 (case nu = N by the errata)",
        "certify.theory.emp.mass_bounds.cell_retained_mass_infimum",
        checks=("symbolic", "ball", "coq", "exact", "property"),
    ),
    Claim(
        "EMP-P1",
        "Published removed mass",
        r"$1-s_{eff}\le\frac{N-\nu}N\big(1-\sqrt{\frac{N-\nu-1}{(\nu+1)(N-1)}}\big)$, $\nu=N_{eff}$",
        (_SCORES,),
        f"{_EMP}, 2.1 (reconstructed from arXiv:2509.25606)",
        "certify.theory.emp.mass_bounds.cell_retained_mass_infimum",
        checks=("symbolic", "ball", "exact", "counterexample"),
        repair=r"EMP-C5: the same for $2\le\nu<N$, as a strict inequality; $s_{eff}>\frac12$ for $\nu=1<N$",
    ),
    Claim(
        "EMP-P2",
        "Published curvature bound",
        r"$\varepsilon\le\frac{1-\rho}{2N\rho}\operatorname{tr}(H)\,\|\delta\|_2^2$, $\rho=K/N$",
        (_CURVATURE, "stationary point"),
        f"{_EMP}, 3.1 (reconstructed from arXiv:2509.25606)",
        "certify.theory.emp.retained_loss.change_upper_curvature",
        checks=("property", "counterexample"),
        repair=r"EMP-T6: $\varepsilon\le\frac12\lambda_{\max}^+(\bar H_{UU})\|\delta\|_2^2"
        r"\le\frac12\operatorname{tr}(\bar H)\|\delta\|_2^2$",
    ),
    Claim(
        "EMP-P3",
        "Published loss bound by effective size",
        r"$\varepsilon\le\|\theta\|_1^2\operatorname{tr}(H)\frac{(1-\rho)^4}{2\rho}(1-t)^2$, "
        r"$t=\sqrt{\frac{N-\nu-1}{(\nu+1)(N-1)}}$",
        (_CURVATURE, "stationary point"),
        f"{_EMP}, 3.1 (reconstructed from arXiv:2509.25606)",
        "certify.theory.emp.retained_loss.change_upper_curvature",
        checks=("property", "counterexample"),
        repair=r"EMP-T6 with EMP-F7: $\varepsilon\le\frac12\lambda_{\max}^+(\bar H_{UU})(1-s_{eff})\|\theta\|_2^2$; "
        r"EMP-T7 for curvature scores",
    ),
    Claim(
        "EMP-T6",
        "Curvature bound",
        r"$L(\theta_K)-L(\theta)\le\|\nabla_UL\|_\infty\|\delta\|_1+\frac12\lambda_{\max}^+(\bar H_{UU})\|\delta\|_2^2$, "
        r"$\|\delta\|_2^2\le\min\{(1-\phi)\|\theta\|_2^2,(1-\phi)^2\|\theta\|_1^2\}$",
        (_CURVATURE, "magnitude scores for the second inequality"),
        f"{_EMP}, Theorem 6",
        "certify.theory.emp.retained_loss.change_upper_curvature",
        checks=("property",),
    ),
    Claim(
        "EMP-T7",
        "Curvature scores",
        r"$s_i=|\theta_i|\sqrt{\bar H_{ii}}$: $L(\theta_K)-L(\theta)\le\frac12(1-\phi_K)^2\|s\|_1^2$",
        (_CURVATURE, r"$\bar H\succeq0$", "stationary point"),
        f"{_EMP}, Theorem 7",
        "certify.theory.emp.retained_loss.change_upper_curvature_scores",
        checks=("symbolic", "coq", "property"),
    ),
    Claim(
        "EMP-T8",
        "Additive domination",
        r"$|\Lambda|\le C\|s\|_1(1-\phi_K)\le C\|s\|_1(1-\inf s_{eff})$; strict at the end only if $N_{eff}<N$ and $C\|s\|_1>0$",
        (r"(H): $|\Lambda(U)|\le C\sum_{i\in U}|s_i|$ for all $U$ in play",),
        f"{_EMP}, Theorem 8 (strictness by the errata)",
        "certify.theory.emp.retained_loss.change_upper_additive",
        checks=("coq", "property"),
    ),
    Claim(
        "EMP-L9",
        "Cross-entropy by the logits",
        r"$\mathrm{mean}\log(p_s+(1-p_s)e^{\mp2\eta_s})$ are the ends of $CE(S)-CE(A)$; the upper one bounds its size",
        (r"$\|z'(s)-z(s)\|_\infty\le\eta_s$",),
        f"{_EMP}, Lemma 9",
        "certify.theory.emp.retained_loss.mean_change_interval",
        checks=("ball", "property"),
    ),
    Claim(
        "EMP-T10",
        "Group scores",
        r"$|CE(S)-CE(A)|\le B_T(R)\le(1-\phi_K)\sum_gs_g$, $s_g=B_T(A^{(g)})$",
        (_LIPSCHITZ, r"$A=\sum_gA^{(g)}$, any partition"),
        f"{_EMP}, Theorem 10",
        "certify.theory.emp.data_path_scores.budget_upper_groups",
        checks=("coq", "property"),
    ),
    Claim(
        "EMP-T11",
        "Row-aware bounds",
        r"$B_T(R)\le2\big(\sum_i(\rho_i^{(p)})^p\big)^{1/p}$, $\rho_i=\sum_j|R_{ij}|\alpha_j^{(p)}$, $p\in[1,\infty]$",
        (_LIPSCHITZ, "any mask"),
        f"{_EMP}, Theorem 11",
        "certify.theory.emp.data_path_scores.budget_upper_rows",
        checks=("property",),
    ),
    Claim(
        "EMP-C12",
        "Labels from an average budget",
        r"$|\mathrm{acc}_S-\mathrm{acc}_A|\le\frac1{|T|}\#\{|\Delta|\le2\tau\}+B_T(R)/(2\tau)$, $\tau>0$",
        (_LIPSCHITZ,),
        f"{_EMP}, Corollary 12",
        "certify.theory.emp.data_path_scores.accuracy_change_upper",
        checks=("property",),
    ),
    Claim(
        "EMP-C13",
        "Elastic net by effective mass",
        r"$J(S)-J(A)\le B_T(R)-\lambda_2\frac{(1-\phi)^2\|A\|_1^2}{N-K}-\lambda_1(1-\phi)\|A\|_1$; entries with "
        r"$2\alpha_j\le\lambda_1+\lambda_2|A_{ij}|$ never increase $J$",
        (_LIPSCHITZ, r"$\lambda_1,\lambda_2\ge0$", r"$K<N$, magnitude scores for the first"),
        f"{_EMP}, Corollary 13",
        "certify.theory.emp.data_path_scores.objective_change_upper",
        checks=("symbolic", "property"),
    ),
    Claim(
        "EMP-H1",
        "Random signs",
        r"$|(Rv)_i|\le\sqrt{2\log(2n\sum_sP_s/\delta)}\,(\sum_jR_{ij}^2v_j^2)^{1/2}$ for all $s,p,i$ with probability "
        r"$\ge1-\delta$",
        ("signs of $R$ independent, fair, independent of inputs and mask: model-based",),
        f"{_EMP}, Section 3.4 (Hoeffding; tokens counted)",
        "certify.theory.gaussian.random_sign_multiplier",
        checks=("symbolic", "ball", "property", "coverage"),
    ),
    Claim(
        "EMP-T14",
        "Independent scores",
        r"$D/N\to R=\mu_1^2/\mu_2$, $s_{eff}\to E[s;s>q]/\mu_1$ with $P(s>q)=R$, $\sqrt N(D/N-R)\to N(0,V)$",
        (_IID, r"continuous at $q$ for $s_{eff}$; $\mu_4<\infty$ for $V$"),
        f"{_EMP}, Theorem 14",
        "certify.theory.emp.score_laws.gamma_power",
        checks=("symbolic", "property", "coverage"),
    ),
    Claim(
        "EMP-T15",
        "Heavy tails",
        r"tail $x^{-a}$: $D$ of order $N^{2-2/a}$ for $1<a<2$; bounded in law with $E[1/D]\to1-a$ for $0<a<1$",
        (r"$s_i\ge0$ iid",),
        f"{_EMP}, Section 5 (quoted)",
        "certify.theory.emp.score_laws.heavy_tail_exponent",
        checks=("coverage",),
    ),
    Claim(
        "EMP-T16",
        "Untrained network",
        r"$D/N=(\sum_ln_la_l/2)^2/(N\sum_ln_la_l^2/3)$ in the limit of large layers, $a_l=\mathrm{fan\_in}_l^{-1/2}$",
        ("weights of layer $l$ uniform on $[-a_l,a_l]$, one pool",),
        f"{_EMP}, Section 4.2",
        "certify.theory.emp.score_laws.default_init_ratio",
        checks=("symbolic", "property"),
    ),
)
