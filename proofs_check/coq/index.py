"""Which theorem of which .v file stands behind which claim, as data. Reading it needs no Coq.

Words and formal statement are read from the .v file, where the comment above a theorem names its claim; the LaTeX here is
the ledger's side of the comparison. IDs are those of certify/theory/claims where it has the claim,
otherwise the specification's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
WITNESS = "_witness"


@dataclass(frozen=True)
class Entry:
    """One theorem. `function` is the Python function that computes its bound, "" where there is none."""

    claim: str
    file: str
    theorem: str
    latex: str
    function: str = ""

    @property
    def witness(self) -> str:
        """Lemma that exhibits an instance meeting all hypotheses, with a strict or attained conclusion."""
        return self.theorem + WITNESS

    @property
    def words(self) -> str:
        """The sentence above the theorem, without the claim's ID."""
        return commented(self.file)[self.theorem][1]

    @property
    def statement(self) -> str:
        """The formal statement, as it stands in the .v file."""
        return statement(self.file, self.theorem)


@cache
def source(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")


@cache
def commented(file: str) -> dict[str, tuple[str, str]]:
    """Theorem -> (claim ID, words) from the comments of the form (* Claim ID[, part]: words. *)."""
    pattern = re.compile(r"\(\* Claim ([\w.-]+)([^:*]*): ((?:(?!\*\)).)*) \*\)\nTheorem (\w+) :", re.DOTALL)
    return {
        name: (claim, " ".join((f"{part.strip(' ,')}: " * bool(part.strip(" ,")) + words).split()))
        for claim, part, words, name in pattern.findall(source(file))
    }


def statement(file: str, name: str) -> str:
    """Text between `Theorem name :` (or Lemma) and the full stop before its proof."""
    found = re.search(rf"^(?:Theorem|Lemma) {name} ?:(.*?)\.\s*\nProof\.", source(file), re.DOTALL | re.MULTILINE)
    if found is None:
        raise LookupError(f"{file}: no statement named {name}")
    return " ".join(found.group(1).split())


_CE, _NET, _BUDGET, _MARGINS = "theory.cross_entropy", "theory.elastic_net", "theory.budget", "theory.margins"


def _entry(claim: str, file: str, theorem: str, latex: str, function: str = "") -> Entry:
    return Entry(claim, file, theorem, latex, function and f"certify.{function}")


ENTRIES: tuple[Entry, ...] = (
    _entry("L5.1-ce-path", "CrossEntropy.v", "two_eta", r"$|\ell_C(z+d)-\ell_C(z)|\le2\eta$", f"{_CE}.increase_published"),
    _entry(
        "X1-ce-sharp", "CrossEntropy.v", "sharp_upper", r"$\ell_C(z+d)-\ell_C(z)\le\Lambda_p(2\eta)$", f"{_CE}.increase_upper"
    ),
    _entry(
        "X1-ce-sharp", "CrossEntropy.v", "sharp_lower", r"$\Lambda_p(-2\eta)\le\ell_C(z+d)-\ell_C(z)$", f"{_CE}.increase_lower"
    ),
    _entry(
        "X1-ce-sharp",
        "CrossEntropy.v",
        "sharp_attained",
        r"$d=x(\mathbf1-2e_C)\Rightarrow\ell_C(z+d)-\ell_C(z)=\Lambda_p(2x)$, $\|d\|_\infty=|x|$",
        f"{_CE}.increase_upper",
    ),
    _entry(
        "X1-ce-sharp",
        "CrossEntropy.v",
        "sharp_order",
        r"$0\le-\Lambda_p(-2\eta)\le\Lambda_p(2\eta)<2\eta$",
        f"{_CE}.increase_lower",
    ),
    _entry(
        "X2-ce-pairwise",
        "CrossEntropy.v",
        "pairwise_upper",
        r"$\Delta\ell\le\log(p+\sum_{j\ne C}q_je^{\pi_j})$",
        f"{_CE}.increase_upper_pairwise",
    ),
    _entry(
        "X2-ce-pairwise",
        "CrossEntropy.v",
        "pairwise_attained",
        r"$d_j=\pi_j$, $d_C=0$: $\Delta\ell=\log(p+\sum_{j\ne C}q_je^{\pi_j})$",
        f"{_CE}.increase_upper_pairwise",
    ),
    _entry(
        "X2-ce-pairwise",
        "CrossEntropy.v",
        "oscillation_upper",
        r"$d_j-d_C\le\omega\Rightarrow\Delta\ell\le\Lambda_p(\omega)$",
        f"{_CE}.increase_upper_oscillation",
    ),
    _entry(
        "X3-ce-average",
        "CrossEntropy.v",
        "average_upper",
        r"$\frac1{|T|}\sum\Lambda_{p_s}(x)\le\Lambda_{\bar p}(x)$",
        f"{_CE}.increase_upper",
    ),
    _entry(
        "X14-multilayer",
        "CrossEntropy.v",
        "cumulant_composition",
        r"$\Lambda_p(x)+\Lambda_{p'}(y)=\Lambda_p(x+y)$, $p'=p/(p+(1-p)e^x)$",
    ),
    _entry(
        "X14-multilayer",
        "CrossEntropy.v",
        "cumulant_telescoped",
        r"$\sum_j\Lambda_{p_j}(x_j)=\Lambda_p(\sum_jx_j)$, $p_{j+1}=p_j/(p_j+(1-p_j)e^{x_j})$",
    ),
    _entry(
        "X14-multilayer",
        "CrossEntropy.v",
        "sequential_upper",
        r"$\ell_C(z^{(M)})-\ell_C(z^{(0)})\le\Lambda_p(2\sum_j\eta_j)$",
        f"{_BUDGET}.telescoped",
    ),
    _entry("C5.2-margin", "Margins.v", "margin_moves", r"$|\Delta_{z'}-\Delta_z|\le2\eta$", f"{_MARGINS}.true_margin"),
    _entry(
        "C5.2-margin",
        "Margins.v",
        "label_stable",
        r"(a) $\Delta>2\eta$: the predicted label stays",
        f"{_MARGINS}.predicted_label_stable",
    ),
    _entry(
        "X5-margin-signed",
        "Margins.v",
        "accuracy_interval",
        r"$-\#\{0<\Delta\le2\eta_s\}\le|T|\,(\mathrm{acc}_\theta-\mathrm{acc}_1)\le\#\{-2\eta_s<\Delta\le0\}$",
        f"{_MARGINS}.accuracy_change_interval",
    ),
    _entry(
        "C5.2-margin",
        "Margins.v",
        "accuracy_change",
        r"(b) $|\Delta\mathrm{acc}|\le\frac1{|T|}\#\{|\Delta|\le2\eta_s\}$",
        f"{_MARGINS}.may_change_published",
    ),
    _entry(
        "X5-margin-signed",
        "Margins.v",
        "zero_budget",
        r"$\eta\equiv0\Rightarrow\Delta\mathrm{acc}=0$ (P5.2)",
        f"{_MARGINS}.may_gain",
    ),
    _entry(
        "X6-margin-pairwise",
        "Margins.v",
        "pairwise_stable",
        r"$z_C-z_j>\pi_j$ for $j\ne C$: class $C$ stays ahead",
        f"{_MARGINS}.may_lose_pairwise",
    ),
    _entry(
        "ESM1-C1.3-multilayer-margin",
        "Margins.v",
        "telescoped_logits",
        r"$\|z^{(M)}-z^{(0)}\|_\infty\le\sum_j\eta_j$",
        f"{_BUDGET}.telescoped",
    ),
    _entry(
        "X8-path-variation",
        "Path.v",
        "path_variation",
        r"(a) $\|\gamma(1)-\gamma(\theta)\|_\infty\le V=\int_\theta^1\|\gamma'\|_\infty\le(1-\theta)\sup\|\gamma'\|_\infty$",
        "theory.path.variation",
    ),
    _entry(
        "X8-path-variation",
        "Path.v",
        "path_ce_upper",
        r"(c) $\Delta\ell\le\Lambda_p(2V)$",
        "theory.path.variation",
    ),
    _entry(
        "L5.1-ce-path",
        "Layer.v",
        "ce_path",
        r"$|\mathcal L_{CE}(A_\theta)-\mathcal L_{CE}(A_1)|\le(1-\theta)B_T(R)$",
        f"{_BUDGET}.budget",
    ),
    _entry(
        "T5.3-additive-frobenius",
        "Layer.v",
        "additive_frobenius",
        r"$\Delta\mathcal J_2\le(1-\theta)B_T-\lambda_2(1-\theta^2)\|R\|_F^2-2\lambda_2(1-\theta)\langle S,R\rangle_F$",
        f"{_NET}.change_upper_additive",
    ),
    _entry(
        "T5.4-elastic-net",
        "Layer.v",
        "elastic_net",
        r"$\Delta\mathcal J\le(1-\theta)B_T-\lambda_2(1-\theta^2)\|R\|_F^2-\lambda_1(1-\theta)\|R\|_1$",
        f"{_NET}.change_upper",
    ),
    _entry(
        "T5.4-elastic-net",
        "Layer.v",
        "certificate",
        r"$B_T(R)<\lambda_2\|R\|_F^2+\lambda_1\|R\|_1\Rightarrow\mathcal J(S)<\mathcal J(A)$",
        f"{_NET}.is_improvement",
    ),
    _entry(
        "T5.5-prune-restore",
        "Layer.v",
        "prune_restore",
        r"$A=S+Q+P$: T5.4 with $(S+Q,P)$",
        f"{_NET}.change_upper",
    ),
    _entry(
        "C5.6-restore-gain",
        "Layer.v",
        "restore_gain",
        r"$B(R)-B(P)>\lambda_2(1+\theta)\|Q\|_F^2+\lambda_1\|Q\|_1$, $\theta<1$",
        f"{_NET}.reward",
    ),
    _entry(
        "ESM1-C1.1-weighted-elastic-net",
        "Layer.v",
        "weighted_elastic_net",
        r"$\Delta\mathcal J_\Gamma\le(1-\theta)B_T-(1-\theta^2)\sum\gamma_{2,ij}R_{ij}^2-(1-\theta)\sum\gamma_{1,ij}|R_{ij}|$",
    ),
    _entry(
        "X10-universal",
        "Layer.v",
        "universal",
        r"$\mathcal J(A')-\mathcal J(A)\le\frac1{|T|}\sum\Lambda_{p_s}(2V_s)-[\mathrm{Reg}(A)-\mathrm{Reg}(A')]$",
        f"{_CE}.increase_upper",
    ),
    _entry(
        "X1-ce-sharp",
        "Layer.v",
        "sharp_path",
        r"$\Delta\mathcal L_{CE}\le\frac1{|T|}\sum\Lambda_{p_s}(2\eta_s)\le(1-\theta)B_T(R)$",
        f"{_CE}.increase_upper",
    ),
    _entry(
        "T5.7-stationarity",
        "Stationarity.v",
        "stationarity",
        r"$\liminf_{h\downarrow0}\frac{\mathcal J(A_{1-h})-\mathcal J(A_1)}h\ge-\varepsilon"
        r"\Rightarrow2\lambda_2\|R\|_F^2+\lambda_1\|R\|_1\le B_T(R)+\varepsilon$",
    ),
    _entry(
        "T5.7-stationarity",
        "Stationarity.v",
        "stationarity_at",
        r"$\mathcal J(A_\theta)\ge\mathcal J(A_1)-\varepsilon(1-\theta)\Rightarrow"
        r"\lambda_2(1+\theta)\|R\|_F^2+\lambda_1\|R\|_1\le B_T(R)+\varepsilon$",
    ),
    _entry(
        "ESM1-C1.2-weighted-stationarity",
        "Stationarity.v",
        "weighted_stationarity",
        r"$2\sum\gamma_{2,ij}R_{ij}^2+\sum\gamma_{1,ij}|R_{ij}|\le B_T+\varepsilon$",
    ),
    _entry(
        "T5.8-multilayer",
        "Several.v",
        "multilayer",
        r"$\mathcal J(\alpha^{(M)})\le\mathcal J(\alpha^{(0)})-\sum_j(\lambda_{2,j}\|R_j\|_F^2+\lambda_{1,j}\|R_j\|_1)"
        r"+\sum_jB_j(R_j)$",
        f"{_NET}.change_upper_multilayer",
    ),
    _entry(
        "T5.9-multilayer-stationarity",
        "Several.v",
        "multilayer_stationarity",
        r"$2\sum\lambda_{2,j}\|R_j\|_F^2+\sum\lambda_{1,j}\|R_j\|_1\le\sum B_j(R_j)+\varepsilon$",
    ),
    _entry(
        "T5.9-multilayer-stationarity",
        "Several.v",
        "multilayer_stationarity_at",
        r"$\mathcal J(\alpha_h)\ge\mathcal J(\alpha_0)-\varepsilon h\Rightarrow"
        r"(2-h)\sum\lambda_{2,j}\|R_j\|_F^2+\sum\lambda_{1,j}\|R_j\|_1\le\sum B_j(R_j)+\varepsilon$",
    ),
    _entry(
        "X11-optimal-theta",
        "Budget.v",
        "best_shrinkage",
        r"$u^*=\operatorname{clip}(\frac{2a+b-B}{2a},0,1)$ minimises $u(B-2a-b)+au^2$ on $[0,1]$",
        f"{_NET}.best_theta",
    ),
    _entry(
        "X11-optimal-theta",
        "Budget.v",
        "shrinkage_criteria",
        r"some shrinkage certified iff $B<2a+b$; full removal best iff $B\le b$",
        f"{_NET}.best_theta",
    ),
    _entry(
        "X12-budget-calculus",
        "Budget.v",
        "budget_seminorm",
        r"(a) $B_T(tQ)=|t|B_T(Q)$, $B_T(Q+P)\le B_T(Q)+B_T(P)$",
        f"{_BUDGET}.budget",
    ),
    _entry(
        "X12-budget-calculus",
        "Budget.v",
        "certificates_add",
        r"(a) $Q\odot P=0$, both certified: $Q+P$ certified",
        f"{_NET}.is_improvement",
    ),
    _entry(
        "X12-budget-calculus",
        "Budget.v",
        "restoring_needs_failure",
        r"(b) restoring $Q$ improves the certificate only if $B_T(Q)>\mathrm{rew}(Q)$",
        f"{_NET}.is_improvement",
    ),
    _entry("X12-budget-calculus", "Budget.v", "restoring_rows", r"(c) restoring rows never increases $B_T$", f"{_BUDGET}.budget"),
    _entry(
        "X30-cast-link",
        "Budget.v",
        "cast_link",
        r"$B_T(R)\le2L\sqrt{\operatorname{tr}(RCR^\top)}\le2L\sqrt{G\sum_{i,g}c_{i,g}}$",
        f"{_BUDGET}.budget",
    ),
    _entry(
        "N0-norms", "Budget.v", "induced_norm", r"$\|Ax\|_\infty\le\|A\|_\infty\|x\|_\infty$", f"{_BUDGET}.data_path_upper_rows"
    ),
    _entry("F18", "Budget.v", "row_norm", r"$|(Rv)_i|\le\|R_i\|_2\|v\|_2$", f"{_BUDGET}.data_path_upper_euclidean"),
    _entry(
        "X24-scale-free-collapse",
        "Budget.v",
        "collapse",
        r"$2\lambda r^2\le rb+\varepsilon\Rightarrow r\le\frac{b_+}{2\lambda}+\sqrt{\varepsilon/2\lambda}$",
    ),
    _entry("EMP-D1", "Emp.v", "effective_range", r"$1\le D=P^2/Q\le N$", "theory.emp.effective_number.effective_number"),
    _entry("EMP-F6", "Emp.v", "threshold_count", r"$\#\{i:|s_i|\ge Q/P\}\le D$", "theory.emp.effective_number.sure_threshold"),
    _entry(
        "EMP-F6",
        "Emp.v",
        "removed_below_threshold",
        r"$K+1>D$, $j$ removed: $|s_j|<Q/P$",
        "theory.emp.effective_number.sure_threshold",
    ),
    _entry(
        "EMP-F7",
        "Emp.v",
        "energy_lemma",
        r"$\sum_{removed}\omega_i^2\le c\,(1-\phi_K)$",
        "theory.emp.effective_number.removed_energy_upper",
    ),
    _entry(
        "EMP-T2",
        "Emp.v",
        "largest_share",
        r"$c\ge\frac12\Rightarrow\phi_1\ge\frac{1+\sqrt{2c-1}}2$",
        "theory.emp.mass_bounds.retained_mass_range",
    ),
    _entry(
        "EMP-T2",
        "Emp.v",
        "largest_share_attained",
        r"equality at $(x,1-x,0,\dots,0)$, $x\ge\frac12$",
        "theory.emp.mass_bounds.extremal_shares",
    ),
    _entry(
        "EMP-T3",
        "Emp.v",
        "mass_upper",
        r"$\phi_K\le\frac KN+\sqrt{(c-\frac1N)\frac{K(N-K)}N}$",
        "theory.emp.mass_bounds.retained_mass_range",
    ),
    _entry(
        "EMP-C5",
        "Emp.v",
        "first_cell",
        r"$D<2\Rightarrow s_{\mathrm{eff}}>\frac12$",
        "theory.emp.mass_bounds.cell_retained_mass_infimum",
    ),
    _entry(
        "EMP-F4",
        "Emp.v",
        "pooled_number",
        r"$D=1/\sum_l\pi_l^2/D_l\le\sum_lD_l$",
        "theory.emp.effective_number.merged_number",
    ),
    _entry(
        "EMP-T7",
        "Emp.v",
        "curvature_scores",
        r"$\frac12\delta^\top H\delta\le\frac12(\sum_U|\delta_i|\sqrt{H_{ii}})^2$",
        "theory.emp.retained_loss.change_upper_curvature_scores",
    ),
    _entry(
        "EMP-T8",
        "Emp.v",
        "additive_domination",
        r"$|\Lambda(U)|\le C\sum_U|s_i|\Rightarrow|\Lambda|\le C\|s\|_1(1-\phi_K)$",
        "theory.emp.retained_loss.change_upper_additive",
    ),
    _entry(
        "EMP-T10",
        "Emp.v",
        "groups",
        r"$|\mathrm{CE}(S)-\mathrm{CE}(A)|\le B_T(R)\le(1-\phi_K)\sum_gs_g$, $s_g=B_T(A^{(g)})$",
        "theory.emp.data_path_scores.budget_upper_groups",
    ),
    _entry(
        "SEL-T1",
        "Masks.v",
        "rank_monotone",
        r"$s$ strictly rank-monotone in $m$: $\mathrm{keep}(s;K)=\mathrm{keep}(m;K)$",
        "theory.rank_monotone.is_rank_monotone",
    ),
    _entry(
        "SEL-T3",
        "Masks.v",
        "mask_equality",
        r"$s_{(K)}\ne s_{(K+1)}$: $\mathrm{keep}(s)=\mathrm{keep}(m)$ iff $\min_{\mathrm{keep}(m)}s>\max_{\mathrm{rest}}s$",
        "theory.rank_monotone.separates_top",
    ),
    _entry(
        "ESM1-T3.20-threshold",
        "Masks.v",
        "threshold_support",
        r"$\max|R_{ij}|\le t\Rightarrow\{|S_{ij}|>2t\}\subseteq\{|W_{ij}|>t\}\subseteq\operatorname{supp}S$",
    ),
    _entry(
        "ESM1-T3.20-threshold",
        "Masks.v",
        "threshold_recovery",
        r"$\min_{\operatorname{supp}S}|S_{ij}|>2t$: $\{|W_{ij}|>t\}=\operatorname{supp}S$",
    ),
    _entry(
        "ESM1-L4.1-slack",
        "Masks.v",
        "slack",
        r"$(X_N-Y_N-\eta)_+\to0$ in probability for all $\eta>0$: $(X_N-Y_N)_+\to0$",
    ),
    _entry(
        "X29-float",
        "Rounding.v",
        "float_dot_error",
        r"$|\mathrm{fl}(x^\top y)-x^\top y|\le\gamma_n|x|^\top|y|+2n\nu$, $\gamma_n=\frac{nu}{1-nu}$, recursive summation",
    ),
    _entry(
        "X29-float",
        "Rounding.v",
        "absolute_dot_upper",
        r"$nu<\frac14\Rightarrow|x|^\top|y|\le(1+2\gamma_n)\,\mathrm{fl}(|x|^\top|y|)+2n\nu$",
    ),
)

BY_THEOREM = {entry.theorem: entry for entry in ENTRIES}
