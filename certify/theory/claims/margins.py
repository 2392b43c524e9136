"""Claims about decisions when the logits move."""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_SPEC = "theory/mp-certificates.md"
_ETA = r"$\|z'(s)-z(s)\|_\infty\le\eta_s$"
_CLASSES = r"$K\ge2$"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "C5.2-margin",
        "Margins",
        r"(a) the predicted label can change only if $\Delta^{pred}\le2\eta_s$; (b) "
        r"$|\Delta\mathrm{acc}|\le\frac1{|T|}\#\{|\Delta^{true}|\le2\eta_s\}$",
        (_ETA, _CLASSES, "a tie is an error"),
        f"{_MP}, Corollary 5.2",
        "certify.theory.margins.may_change_published",
        checks=("symbolic", "coq", "exact", "property"),
    ),
    Claim(
        "P5.2-zero-budget",
        "Perfect pruning",
        r"$L_s\|RV_s\|_\infty=0$ for all $s\in T$: logits and accuracy on $T$ are unchanged, ties included",
        (r"$L_s$ bounds the max-norm Lipschitz constant of $\psi_{2,s}$ on $\{A_\theta v_{s,p}\}$", "a tie is an error"),
        f"{_MP}, introduction (repaired by X5: C5.2(b) alone does not give it, F4)",
        "certify.theory.margins.may_gain",
        checks=("coq", "exact", "property"),
        depends_on=("X5-margin-signed",),
    ),
    Claim(
        "X5-margin-signed",
        "Signed margins",
        r"$-\#\{0<\Delta\le2\eta_s\}\le|T|\,(\mathrm{acc}_\theta-\mathrm{acc}_1)\le\#\{-2\eta_s<\Delta\le0\}$; "
        r"loss by $d=+\eta(\mathbf1-2e_C)$, gain by minus",
        (_ETA, _CLASSES, "a tie is an error"),
        f"{_SPEC}, X5 (signs by the errata)",
        "certify.theory.margins.accuracy_change_interval",
        checks=("symbolic", "coq", "exact", "property"),
    ),
    Claim(
        "X6-margin-pairwise",
        "Pairwise margins",
        r"the label stays correct if $z_C-z_j>\pi_j$ for all $j\ne C$; it stays wrong if $z_j-z_C\ge\pi_j$ for some $j$",
        (r"$d_j-d_C\le\pi_j$ (losses), $d_C-d_j\le\pi_j$ (gains)", _CLASSES),
        f"{_SPEC}, X6",
        "certify.theory.margins.may_lose_pairwise",
        checks=("symbolic", "coq", "exact", "property"),
    ),
    Claim(
        "X7-topk",
        "Top-k decisions",
        r"$\Delta^{(k)}=z_C-(k\text{-th largest of }z_j,j\ne C)>2\eta$ keeps $C$ in the top $k$; the counts of X5 hold with "
        r"$\Delta^{(k)}$",
        (_ETA, r"$1\le k\le K-1$", "a tie with the $k$-th of the others is an error"),
        f"{_SPEC}, X7 (range of k by the errata)",
        "certify.theory.margins.topk_margin",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("X5-margin-signed",),
    ),
)
