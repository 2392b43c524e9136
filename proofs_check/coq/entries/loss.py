"""The cross-entropy and the margins of one sample when its logits move."""

from __future__ import annotations

from proofs_check.coq.entry import Entry, entry

_CE = "theory.cross_entropy"
_MARGINS = "theory.margins"
_BUDGET = "theory.budget"

ENTRIES: tuple[Entry, ...] = (
    entry(
        "X2-ce-pairwise",
        "CrossEntropy",
        "pairwise_upper",
        r"$\Delta\ell\le\log(p+\sum_{j\ne C}q_je^{\pi_j})$",
        f"{_CE}.increase_upper_pairwise",
    ),
    entry(
        "X2-ce-pairwise",
        "CrossEntropy",
        "pairwise_attained",
        r"$d_j=\pi_j$, $d_C=0$: $\Delta\ell=\log(p+\sum_{j\ne C}q_je^{\pi_j})$",
        f"{_CE}.increase_upper_pairwise",
    ),
    entry(
        "X2-ce-pairwise",
        "CrossEntropy",
        "oscillation_upper",
        r"$d_j-d_C\le\omega\Rightarrow\Delta\ell\le\Lambda_p(\omega)$",
        f"{_CE}.increase_upper_oscillation",
    ),
    entry("X1-ce-sharp", "CrossEntropy", "sharp_upper", r"$\ell_C(z+d)-\ell_C(z)\le\Lambda_p(2\eta)$", f"{_CE}.increase_upper"),
    entry("X1-ce-sharp", "CrossEntropy", "sharp_lower", r"$\Lambda_p(-2\eta)\le\ell_C(z+d)-\ell_C(z)$", f"{_CE}.increase_lower"),
    entry(
        "X1-ce-sharp",
        "CrossEntropy",
        "sharp_attained",
        r"$d=x(\mathbf1-2e_C)\Rightarrow\ell_C(z+d)-\ell_C(z)=\Lambda_p(2x)$, $\|d\|_\infty=|x|$",
        f"{_CE}.increase_upper",
    ),
    entry(
        "X1-ce-sharp",
        "CrossEntropy",
        "sharp_order",
        r"$0\le-\Lambda_p(-2\eta)\le\Lambda_p(2\eta)<2\eta$",
        f"{_CE}.increase_lower",
    ),
    entry("L5.1-ce-path", "CrossEntropy", "two_eta", r"$|\ell_C(z+d)-\ell_C(z)|\le2\eta$", f"{_CE}.increase_published"),
    entry(
        "X3-ce-average",
        "CrossEntropy",
        "average_upper",
        r"$\frac1{|T|}\sum\Lambda_{p_s}(x)\le\Lambda_{\bar p}(x)$",
        f"{_CE}.increase_upper_average",
    ),
    entry("X3-ce-average", "Cumulant", "hoeffding_upper", r"$\Lambda_p(x)\le(1-p)x+x^2/8$", f"{_CE}.increase_upper_hoeffding"),
    entry(
        "X3-ce-average",
        "Cumulant",
        "average_change",
        r"$\eta_s\le\eta$: $\Delta\mathcal L_{CE}\le\Lambda_{\bar p}(2\eta)$",
        f"{_CE}.increase_upper_average",
    ),
    entry(
        "X2-ce-pairwise",
        "Cumulant",
        "pairwise_chain",
        r"$\log(p+\sum_{j\ne C}q_je^{\pi_j})\le\Lambda_p(\omega)$, $\omega\le\operatorname{osc}(d)\le2\|d\|_\infty$",
        f"{_CE}.increase_upper_oscillation",
    ),
    entry(
        "X2-ce-pairwise",
        "Cumulant",
        "readout_pairwise",
        r"$z=W_oh+b$: $\pi_j=\|w_j-w_C\|_1\|h'-h\|_\infty$",
        f"{_CE}.pairwise_by_readout",
    ),
    entry(
        "X4-soft-label",
        "SoftLabel",
        "soft_label_upper",
        r"$\Delta\ell_t\le\operatorname{osc}(d)\le2\eta$, $\Delta\ell_t\le\eta\|q-t\|_1+\eta^2/2$",
        f"{_CE}.softlabel_upper_hoeffding",
    ),
    entry(
        "X4-soft-label",
        "SoftLabel",
        "soft_label_exact",
        r"$\max_{\|d\|_\infty\le\eta}\Delta\ell_t=\max_D\{\log(q(D)e^{2\eta}+1-q(D))-2\eta t(D)\}$",
        f"{_CE}.softlabel_upper",
    ),
    entry(
        "X14-multilayer",
        "Steps",
        "cumulant_composition",
        r"$\Lambda_p(x)+\Lambda_{p'}(y)=\Lambda_p(x+y)$, $p'=p/(p+(1-p)e^x)$",
        f"{_CE}.increase_upper",
    ),
    entry(
        "X14-multilayer",
        "Steps",
        "cumulant_telescoped",
        r"$\sum_j\Lambda_{p_j}(x_j)=\Lambda_p(\sum_jx_j)$, $p_{j+1}=p_j/(p_j+(1-p_j)e^{x_j})$",
        f"{_CE}.increase_upper",
    ),
    entry(
        "X14-multilayer",
        "Steps",
        "sequential_upper",
        r"$\ell_C(z^{(M)})-\ell_C(z^{(0)})\le\Lambda_p(2\sum_j\eta_j)$",
        f"{_BUDGET}.telescoped",
    ),
    entry("C5.2-margin", "Margins", "margin_moves", r"$|\Delta_{z'}-\Delta_z|\le2\eta$", f"{_MARGINS}.true_margin"),
    entry(
        "C5.2-margin",
        "Margins",
        "label_stable",
        r"(a) $\Delta>2\eta$: the predicted label stays",
        f"{_MARGINS}.predicted_label_stable",
    ),
    entry(
        "X5-margin-signed",
        "Margins",
        "accuracy_interval",
        r"$-\#\{0<\Delta\le2\eta_s\}\le|T|\,(\mathrm{acc}_\theta-\mathrm{acc}_1)\le\#\{-2\eta_s<\Delta\le0\}$",
        f"{_MARGINS}.accuracy_change_interval",
    ),
    entry(
        "C5.2-margin",
        "Margins",
        "accuracy_change",
        r"(b) $|\Delta\mathrm{acc}|\le\frac1{|T|}\#\{|\Delta|\le2\eta_s\}$",
        f"{_MARGINS}.may_change_published",
    ),
    entry(
        "X5-margin-signed",
        "Margins",
        "zero_budget",
        r"$\eta\equiv0\Rightarrow\Delta\mathrm{acc}=0$ (P5.2)",
        f"{_MARGINS}.may_gain",
    ),
    entry(
        "X6-margin-pairwise",
        "Margins",
        "pairwise_stable",
        r"$z_C-z_j>\pi_j$ for $j\ne C$: class $C$ stays ahead",
        f"{_MARGINS}.may_lose_pairwise",
    ),
    entry(
        "X6-margin-pairwise",
        "Margins",
        "pairwise_wrong",
        r"$z_j-z_C\ge\pi_j$ for some $j$: the label stays wrong",
        f"{_MARGINS}.may_gain_pairwise",
    ),
    entry(
        "ESM1-C1.3-multilayer-margin",
        "Margins",
        "telescoped_logits",
        r"$\|z^{(M)}-z^{(0)}\|_\infty\le\sum_j\eta_j$",
        f"{_BUDGET}.telescoped",
    ),
    entry(
        "X5-margin-signed",
        "Margins",
        "margin_worst",
        r"$d=x(\mathbf1-2e_C)$: $\Delta_{z+d}=\Delta_z-2x$",
        f"{_MARGINS}.true_margin",
    ),
    entry("X7-topk", "TopK", "top_stable", r"$\Delta^{(k)}>2\eta$ keeps $C$ in the top $k$", f"{_MARGINS}.topk_margin"),
    entry(
        "X7-topk",
        "TopK",
        "top_interval",
        r"counts of X5 with $\Delta^{(k)}$, order statistics being 1-Lipschitz",
        f"{_MARGINS}.accuracy_change_interval",
    ),
)

PARTIAL: dict[str, str] = {}
