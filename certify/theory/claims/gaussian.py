"""Claims about random removals: the budget of noise, the thresholds it does not pass, the logits behind it."""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_SPEC = "theory/mp-certificates.md"
_GAUSS = r"$R$ iid $N(0,g/n)$, independent of $(v_{s,p})$"
_SUBGAUSS = r"$\mathbb P(|\langle r_i,v\rangle|>t)\le2\exp(-cnt^2/(g\|v\|^2))$ for all $i$, $t>0$ and the vectors $v$"
_LEVEL = r"$\delta\in(0,1)$"
_TRIED = ("property", "coverage")

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C5.10-gauss-budget",
        "Gaussian budget",
        r"with probability $\ge1-\delta$, for all $s$ at once: $\|RV_s\|_\infty\le\max_p\|v_{s,p}\|_2\sqrt{g/n}\,x$, hence "
        r"$B_T(R)\le\frac2{|T|}\sum_sL_s\max_p\|v_{s,p}\|_2\sqrt{g/n}\,x$; published $x=\sqrt{2\log(2n\sum_sP_s/\delta)}$",
        (_GAUSS, r"$L_s\ge0$, may depend on $R$ (F5)", _LEVEL),
        f"{_MP}, Corollary 5.10 (tokens counted)",
        "certify.theory.gaussian.gaussian_budget",
        checks=("symbolic", "property", "coverage"),
        depends_on=("X19-tokens",),
    ),
    Claim(
        "C5.11-mp-edge-budget",
        "Gaussian budget in terms of the edge",
        r"$B_T(R)\le\frac{2\sigma_+}{1+\sqrt{m/n}}\sqrt{\frac2n\log\frac{2n\sum_sP_s}\delta}\,\frac1{|T|}\sum_sL_s"
        r"\max_p\|v_{s,p}\|_2$ with probability $\ge1-\delta$: the right-hand side of C5.10",
        (_GAUSS, r"$\sigma_+=\sqrt g(1+\sqrt{m/n})$, not a fitted edge (F19)", _LEVEL),
        f"{_MP}, Corollary 5.11",
        "certify.theory.gaussian.edge_budget",
        checks=("symbolic", "property"),
        depends_on=("C5.10-gauss-budget",),
    ),
    Claim(
        "X15-gauss-exact",
        "Gaussian multipliers",
        r"$x=\sqrt{2\log(k/\delta)}$, $Q^{-1}(\delta/2k)$, $Q^{-1}(\frac12(1-(1-\delta)^{1/k}))$, $k=n\sum_sP_s$; "
        r"each below the one before, the last exact for one vector",
        (_GAUSS, _LEVEL),
        f"{_SPEC}, X15",
        "certify.theory.gaussian.gaussian_multiplier",
        checks=("symbolic", "ball", "property", "coverage"),
        depends_on=("C5.10-gauss-budget", "X19-tokens"),
    ),
    Claim(
        "X16-gauss-mean",
        "Mean and concentration of the Gaussian budget",
        r"$\mathbb EB_T(R)=\sqrt{g/n}\,m_n\sum_sw_s\|v_s\|$, $w_s=2L_s/|T|$; with probability $\ge1-\delta$ "
        r"$|B_T-\mathbb EB_T|\le\sqrt{g/n}\,\kappa\sqrt{2\log(2/\delta)}$, upper side alone $\log(1/\delta)$; "
        r"$\kappa=\min\{\sum_sw_s\|v_s\|,\sqrt{|T|\lambda_{\max}(G)}\}$, $G_{ss'}=w_sw_{s'}\langle v_s,v_{s'}\rangle$. Tokens: "
        r"$m_{nP_s}$ and $\max_p\|v_{s,p}\|$ bound the mean, $G$ over all tokens keeps the factor $|T|$",
        (_GAUSS, "$L_s$ independent of $R$", r"$m_n=\mathbb E\max_{i\le n}|Z_i|$", _LEVEL),
        f"{_SPEC}, X16 (Gaussian concentration; tokens added here)",
        "certify.theory.gaussian.budget_frobenius_lipschitz",
        checks=("symbolic", "property", "coverage"),
        depends_on=("M9-max-gaussian",),
    ),
    Claim(
        "X17-rank-uniform",
        "All inputs of a subspace at once",
        r"$\mathbb P(\sup_{v\in V,\|v\|=1}\|Rv\|_\infty\le\sqrt{g/n}\,x)=\mathbb P(\chi^2_r\le x^2)^n$, $r=\dim V$",
        (r"$R$ iid $N(0,g/n)$, independent of the subspace $V$", _LEVEL),
        f"{_SPEC}, X17",
        "certify.theory.gaussian.rank_multiplier",
        checks=("property", "coverage"),
    ),
    Claim(
        "X18-g-free",
        "No variance needed",
        r"$\|RV_s\|_\infty\le\|R\|_F\max_p\|v_{s,p}\|\,x_B$ for all $s$ with probability $\ge1-\delta$, $x_B^2$ the upper "
        r"$\delta/(n\sum_sP_s)$ quantile of Beta$(\frac12,\frac{nm-1}2)$, $x_B=1$ for $nm=1$; "
        r"$\sqrt g\le\|R\|_F\sqrt{n/\chi^2_{nm;\delta'}}$ with probability $1-\delta'$",
        (
            r"$R/\|R\|_F$ uniform on the sphere and independent of $(v_{s,p})$, $\|R\|_F$ of any law (errata)",
            r"the part about $\sqrt g$: $R$ iid $N(0,g/n)$",
            _LEVEL,
        ),
        f"{_SPEC}, X18 with its errata",
        "certify.theory.gaussian.sphere_multiplier",
        checks=("symbolic", "property", "coverage"),
        depends_on=("X19-tokens",),
    ),
    Claim(
        "X20-l2-tails",
        "Euclidean routes to the logits",
        r"(a) $z=W_o(Av)+b$: $\|d_s\|_\infty\le\sqrt{g/n}\,\|v_s\|\max_k\|w_k\|_2\,x$, $x$ of X15 at $K|T|$ coordinates; "
        r"pairwise $w_j-w_C$ at $(K-1)|T|$. (b) $|z_k-\mathbb Ez_k|\le\Lambda\|v_s\|\sqrt{\frac{2g}n\log\frac{2K|T|}\delta}$ "
        r"for all $s,k$ with probability $\ge1-\delta$, and $|\mathbb Ez_k-z_k(S)|\le\Lambda\sqrt g\|v_s\|$. (c) "
        r"$\|d_s\|_\infty\le\min(L_s\|RV_s\|_\infty,\Lambda_s\|RV_s\|_F)$",
        (
            r"(a) $R$ iid $N(0,g/n)$, independent of $W_o$ and $(v_s)$ (errata)",
            r"(b) $R$ iid $N(0,g/n)$, independent of $(S,\psi_2,(v_s))$ (errata), each logit of $\psi_2$ $\Lambda$-Lipschitz "
            r"in $\ell_2$ on $\mathbb R^n$",
            r"(c) $L_s$, $\Lambda_s$ valid on the segment from $\ell_\infty$, $\ell_2$ to $\ell_\infty$",
            "(a), (b): one vector per sample",
        ),
        f"{_SPEC}, X20 with its errata",
        "certify.theory.gaussian_network.change_upper_two_routes",
        checks=("symbolic", "property", "coverage"),
        depends_on=("X15-gauss-exact",),
    ),
    Claim(
        "X21-sign-symmetric",
        "Magnitude masks of sign-symmetric weights",
        r"$|(Rv_{s,p})_i|\le\sqrt{2\log(2n\sum_sP_s/\delta)}\,(\sum_jR_{ij}^2v_{s,p,j}^2)^{1/2}$ for all $s,p,i$ with "
        r"probability $\ge1-\delta$",
        (
            "$A$ has independent sign-symmetric entries, no moments",
            "the mask depends on $|A|$ alone",
            "$v_{s,p}$ independent of the signs given $|A|$",
            _LEVEL,
        ),
        f"{_SPEC}, X21 (Hoeffding; the bound of EMP-H1)",
        "certify.theory.gaussian.random_sign_multiplier",
        checks=("symbolic", "ball", "property", "coverage"),
        depends_on=("X19-tokens",),
    ),
    Claim(
        "X22-magnitude-threshold",
        "Moments of a magnitude threshold",
        r"$R=A\mathbf1\{|A|\le\kappa\sigma\}$: removed fraction $\operatorname{erf}(\kappa/\sqrt2)$, "
        r"$\mathbb ER_{ij}^2=\sigma^2(\operatorname{erf}(\kappa/\sqrt2)-\kappa\sqrt{2/\pi}\,e^{-\kappa^2/2})$, "
        r"$\mathbb E|R_{ij}|=\sigma\sqrt{2/\pi}(1-e^{-\kappa^2/2})$, $\mathbb Ee^{tR_{ij}}\le e^{\sigma^2t^2/2}$, so C1.4 holds "
        r"with $c=\frac12$ and the variance before the cut",
        (r"$A_{ij}$ iid $N(0,\sigma^2)$, $\kappa\ge0$",),
        f"{_SPEC}, X22",
        "certify.theory.thresholds.threshold_moments",
        checks=("symbolic", "ball", "property", "coverage"),
    ),
    Claim(
        "ESM1-C1.4-subgauss-budget",
        "Sub-Gaussian budget",
        r"$B_T(R)\le\frac2{|T|}\sum_sL_s\max_p\|v_{s,p}\|_2\sqrt{\frac g{cn}\log\frac{2n\sum_sP_s}\delta}$ with probability "
        r"$\ge1-\delta$; $c=\frac12$ is C5.10",
        (_SUBGAUSS + r"; rows may depend on each other (F5)", r"$L_s\ge0$", _LEVEL),
        "OR1, Corollary 1.4 (tokens counted)",
        "certify.theory.gaussian.subgaussian_budget",
        checks=("symbolic", "property", "coverage"),
        depends_on=("X19-tokens",),
    ),
    Claim(
        "ESM1-C1.5-multilayer-gauss",
        "Gaussian budgets of several layers",
        r"all $B_j(R_j)\le\frac2{|T|}\sum_sL_{j,s}\max_p\|v_{j,s,p}\|\sqrt{\frac{2g_j}{n_j}\log\frac{2n_j\sum_sP_{j,s}}"
        r"{\delta_j}}$ together with probability $\ge1-\sum_j\delta_j$; the sum of the bounds is convex in "
        r"$(\delta_j)$, so one split is best",
        (
            r"$R_j$ iid $N(0,g_j/n_j)$, independent of the vectors of the network where $1..j-1$ are removed",
            r"$\sum_j\delta_j<1$",
        ),
        "OR1, Corollary 1.5 (tokens counted, split added)",
        "certify.theory.gaussian_network.multilayer_budgets",
        checks=("symbolic", "property", "coverage"),
        depends_on=("C5.10-gauss-budget", "T5.8-multilayer"),
    ),
    Claim(
        "ESM1-C1.6-multilayer-subgauss",
        "Sub-Gaussian budgets of several layers",
        r"C1.5 with $\frac{g_j}{c_jn_j}$ in place of $\frac{2g_j}{n_j}$",
        (r"each $R_j$ as in C1.4 given the vectors of the network where $1..j-1$ are removed", r"$\sum_j\delta_j<1$"),
        "OR1, Corollary 1.6 (tokens counted, split added)",
        "certify.theory.gaussian_network.split_delta",
        checks=("symbolic", "property", "coverage"),
        depends_on=("ESM1-C1.4-subgauss-budget", "T5.8-multilayer"),
    ),
    Claim(
        "ESM1-E2.6-subgauss-rows",
        "Sub-Gaussian rows",
        r"$\mathbb P(\|Rv\|_\infty>C\kappa\|v\|\sqrt{\log(2N/\delta)/N})\le\delta$ with $C=1$ (reconstructed: OR1 keeps only "
        r"the justification of a display that is gone, and an unnamed $C$, F24)",
        (
            r"$\|\langle r_j,v\rangle\|_{\psi_2}\le\frac\kappa{\sqrt N}\|v\|$, where $\|X\|_{\psi_2}=\inf\{s:\mathbb E "
            r"e^{X^2/s^2}\le2\}$",
            _LEVEL,
        ),
        "OR1, Example 2.6 (statement missing there; reconstructed here, constant by Markov's inequality)",
        "certify.theory.gaussian.subgaussian_multiplier",
        checks=("property", "coverage"),
        depends_on=("ESM1-C1.4-subgauss-budget",),
    ),
    Claim(
        "ESM1-T3.20-threshold",
        "Support behind Gaussian noise",
        r"$t=\sqrt{2g\log(2NM/\delta)/N}$: with probability $\ge1-\delta$ "
        r"$\{|S_{ij}|>2t\}\subseteq\{|W_{ij}|>t\}\subseteq\operatorname{supp}S$; exact recovery with probability "
        r"$\ge1-\delta-\gamma$ if $\mathbb P(\min_{\operatorname{supp}S}|S_{ij}|>2t)\ge1-\gamma$",
        (r"$W=S+R\in\mathbb R^{N\times M}$, $R_{ij}$ independent $N(0,g/N)$", "$S$ fixed or independent of $R$", _LEVEL),
        "OR1, Theorem 3.20",
        "certify.theory.thresholds.support_threshold",
        checks=("symbolic", "coq", "exact", "property", "coverage"),
        depends_on=("X15-gauss-exact",),
    ),
    Claim(
        "X28-threshold-exact",
        "The exact threshold",
        r"$t^*=\sqrt{g/N}\,Q^{-1}(\frac12(1-(1-\delta)^{1/(NM)}))\le t$ serves in T3.20, and $\mathbb P(\max|R_{ij}|\le "
        r"t^*)=1-\delta$; an entry is missed with probability "
        r"$\Phi(\frac{t-|S_{ij}|}\sigma)-\Phi(\frac{-t-|S_{ij}|}\sigma)$",
        (r"$R_{ij}$ independent $N(0,g/N)$, $\sigma^2=g/N$, independent of $S$", _LEVEL),
        f"{_SPEC}, X28",
        "certify.theory.thresholds.miss_probability",
        checks=("symbolic", "ball", "property", "coverage"),
        depends_on=("ESM1-T3.20-threshold",),
    ),
)
