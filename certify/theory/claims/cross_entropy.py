"""Claims about the cross-entropy when the logits move."""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_SPEC = "theory/mp-certificates.md"
_ETA = r"$\|z'(s)-z(s)\|_\infty\le\eta_s$"
_CLASSES = r"$K\ge2$"
_LIPSCHITZ = r"$L_s$ bounds the max-norm Lipschitz constant of $\psi_{2,s}$ on $\{A_\theta v_{s,p}\}$"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "D2.0-network",
        "Simplified network and softmax",
        r"$\phi=\rho\circ X$, $X=\lambda\circ M_L\circ\dots\circ\lambda\circ M_1$, $M_k(x)=W_kx+\beta_k$; $\sum_i\rho_i=1$, "
        r"$\rho(v+c\mathbf1)=\rho(v)$, $-\log\phi_C=\ell_C(X)$; $X$ ends with $\lambda$, so $X\ge0$ and ReLU logits tie at $0$, "
        r"an error (F28)",
        (_CLASSES, r"$\lambda\in\{|\cdot|,\mathrm{ReLU}\}$"),
        f"{_MP}, Section 2",
        "certify.theory.cross_entropy.softmax",
        checks=("symbolic", "property"),
    ),
    Claim(
        "D2.0-ce",
        "Cross-entropy",
        r"$\ell_C(z)=-z_C+\log\sum_je^{z_j}$, $\partial_k\ell_C=\rho_k-\delta_{kC}$, $\|\rho-e_C\|_1=2(1-\rho_C)$",
        (_CLASSES,),
        f"{_MP}, Section 2",
        "certify.theory.cross_entropy.cross_entropy",
        checks=("symbolic", "coq", "property"),
    ),
    Claim(
        "L5.1-ce-path",
        "Cross-entropy along a path",
        r"$|\mathcal L_{CE}(A_\theta)-\mathcal L_{CE}(A_1)|\le\frac2{|T|}\sum_s\eta_s\le(1-\theta)B_T(R)$",
        (_ETA, _LIPSCHITZ, r"$\theta\in[0,1]$"),
        f"{_MP}, Lemma 5.1",
        "certify.theory.cross_entropy.increase_published",
        checks=("symbolic", "ball", "coq", "exact", "property"),
        depends_on=("D2.0-ce", "D5.0-budget"),
    ),
    Claim(
        "X1-ce-sharp",
        "Exact worst case of the cross-entropy",
        r"$\Lambda_p(-2\eta)\le\ell_C(z+d)-\ell_C(z)\le\Lambda_p(2\eta)$, $\Lambda_p(x)=\log(p+(1-p)e^x)$, both "
        r"attained by $d=\pm\eta(\mathbf1-2e_C)$; $0\le-\Lambda_p(-2\eta)\le\Lambda_p(2\eta)\le2\eta$, strict at the right end "
        r"for $\eta>0$",
        (_ETA, _CLASSES),
        f"{_SPEC}, X1",
        "certify.theory.cross_entropy.increase_upper",
        checks=("symbolic", "ball", "coq", "exact", "property"),
        depends_on=("D2.0-ce",),
    ),
    Claim(
        "X2-ce-pairwise",
        "Pairwise and oscillation forms",
        r"$\Delta\ell\le\log(p+\sum_{j\ne C}q_je^{\pi_j})\le\Lambda_p(\omega)$, $\omega=\max_{j\ne C}\pi_j$; "
        r"$\omega\le\operatorname{osc}(d)\le2\|d\|_\infty$ for $\pi_j=d_j-d_C$; for $z=W_oh+b$: "
        r"$\pi_j=\|w_j-w_C\|_1\|h'-h\|_\infty$",
        (r"$d_j-d_C\le\pi_j$ for $j\ne C$", _CLASSES),
        f"{_SPEC}, X2",
        "certify.theory.cross_entropy.increase_upper_pairwise",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("X1-ce-sharp",),
    ),
    Claim(
        "X3-ce-average",
        "Averages and a quadratic form",
        r"$\frac1{|T|}\sum_s\Lambda_{p_s}(2\eta)\le\Lambda_{\bar p}(2\eta)$, $\bar p=\frac1{|T|}\sum_sp_s$; "
        r"$\Lambda_p(x)\le(1-p)x+x^2/8$ for $x$ of either sign",
        (r"$\eta_s\le\eta$ for all $s$", _CLASSES),
        f"{_SPEC}, X3",
        "certify.theory.cross_entropy.increase_upper_average",
        checks=("symbolic", "ball", "coq", "property"),
        depends_on=("X1-ce-sharp",),
    ),
    Claim(
        "X4-soft-label",
        "Soft labels",
        r"$\max_{\|d\|_\infty\le\eta}\ell_t(z+d)-\ell_t(z)=\max_{D\subseteq[K]}\{\log(q(D)e^{2\eta}+1-q(D))-2\eta t(D)\}"
        r"\le\min\{\eta\|q-t\|_1+\eta^2/2,\,2\eta\}$",
        (r"$t\ge0$, $\sum_jt_j=1$", _CLASSES),
        f"{_SPEC}, X4",
        "certify.theory.cross_entropy.softlabel_upper",
        checks=("symbolic", "ball", "coq", "property"),
        depends_on=("X1-ce-sharp",),
    ),
)
