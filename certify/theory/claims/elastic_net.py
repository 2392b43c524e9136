"""Claims about what the regulariser pays for a removal."""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_SPEC = "theory/mp-certificates.md"
_MASK = r"mask split: $S\odot R=0$"
_WEIGHTS = r"$\lambda_1,\lambda_2\ge0$"
_THETA = r"$\theta\in[0,1]$"
_LIPSCHITZ = r"$L_s$ bounds the max-norm Lipschitz constant of $\psi_{2,s}$ on $\{A_\theta v_{s,p}\}$"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "T5.3-additive-frobenius",
        "Additive path, squared penalty",
        r"$\mathcal J_2(A_\theta)-\mathcal J_2(A_1)\le(1-\theta)B_T(R)-\lambda_2(1"
        r"-\theta^2)\|R\|_F^2-2\lambda_2(1-\theta)\langle S,R\rangle_F$; equality iff $(1-\theta)B_T(R)=0$",
        (r"$A=S+R$, any split", r"$\lambda_2\ge0$", _THETA, _LIPSCHITZ),
        f"{_MP}, Theorem 5.3",
        "certify.theory.elastic_net.change_upper_additive",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("L5.1-ce-path",),
    ),
    Claim(
        "T5.4-elastic-net",
        "Mask removal under an elastic net",
        r"$\mathcal J(A_\theta)-\mathcal J(A_1)\le(1-\theta)B_T(R)-\lambda_2(1-\theta^2)\|R\|_F^2-\lambda_1(1"
        r"-\theta)\|R\|_1$; equality iff $(1-\theta)B_T(R)=0$",
        (_MASK, _WEIGHTS, _THETA, _LIPSCHITZ),
        f"{_MP}, Theorem 5.4 (tightness by the errata)",
        "certify.theory.elastic_net.change_upper",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("L5.1-ce-path",),
    ),
    Claim(
        "T5.5-prune-restore",
        "Prune and restore",
        r"$A=S+Q+P$, $A_\theta=S+Q+\theta P$: T5.4 with $(S,R)$ replaced by $(S+Q,P)$",
        (r"pairwise disjoint supports, values of $A$ on all three (F16)", _WEIGHTS, _THETA, r"$L_s$ valid on the segment of $P$"),
        f"{_MP}, Theorem 5.5",
        "certify.theory.elastic_net.change_upper",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("T5.4-elastic-net",),
    ),
    Claim(
        "C5.6-restore-gain",
        "When restoring improves the bound",
        r"the bound of T5.5 with $Q$ restored is strictly below that of $R=Q+P$ iff "
        r"$B_T(R)-B_T(P)>\lambda_2(1+\theta)\|Q\|_F^2+\lambda_1\|Q\|_1$",
        (r"$Q$, $P$ disjoint", _WEIGHTS, r"$\theta\in[0,1)$"),
        f"{_MP}, Corollary 5.6 (published at $\\theta=0$; general $\\theta$ by the errata)",
        "certify.theory.elastic_net.restore_gain",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("T5.5-prune-restore",),
    ),
    Claim(
        "ESM1-C1.1-weighted-elastic-net",
        "One penalty weight per entry",
        r"$\mathcal J_\Gamma(A_\theta)-\mathcal J_\Gamma(A_1)\le(1-\theta)B_T(R)-(1-\theta^2)\sum\gamma_{2,ij}R_{ij}^2"
        r"-(1-\theta)\sum\gamma_{1,ij}|R_{ij}|$",
        (_MASK, r"$\gamma_{1,ij},\gamma_{2,ij}\ge0$", _THETA, _LIPSCHITZ),
        "OR1, Corollary 1.1",
        "certify.theory.elastic_net.change_upper",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("L5.1-ce-path",),
    ),
    Claim(
        "T5.8-multilayer",
        "Several removals in a row",
        r"$\mathcal J(\alpha^{(M)})\le\mathcal J(\alpha^{(0)})-\sum_j(\lambda_{2,j}\|R_j\|_F^2"
        r"+\lambda_{1,j}\|R_j\|_1)+\sum_jB_j(R_j)$",
        (_MASK, _WEIGHTS, r"$B_j$ computed in the network where removals $1..j-1$ are made"),
        f"{_MP}, Theorem 5.8",
        "certify.theory.elastic_net.change_upper_multilayer",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("T5.4-elastic-net",),
    ),
    Claim(
        "X10-universal",
        "Any two layers, any regulariser",
        r"$\mathcal J(A')-\mathcal J(A)\le\frac1{|T|}\sum_s\Lambda_{p_s}(2V_s)-[\mathrm{Reg}(A)-\mathrm{Reg}(A')]$",
        (r"$V_s$ bounds the variation of the logits on the straight path", "both values of the regulariser exact"),
        f"{_SPEC}, X10",
        "certify.theory.elastic_net.change_upper_universal",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("X1-ce-sharp", "X8-path-variation"),
    ),
    Claim(
        "X11-optimal-theta",
        "Best shrinkage",
        r"$1-\theta^*=\operatorname{clip}\big(\frac{2\lambda_2\|R\|_F^2"
        r"+\lambda_1\|R\|_1-B}{2\lambda_2\|R\|_F^2},0,1\big)$; some shrinkage is certified iff "
        r"$B<2\lambda_2\|R\|_F^2+\lambda_1\|R\|_1$, full removal is best iff $B\le\lambda_1\|R\|_1$",
        (_MASK, _WEIGHTS, r"$B\ge0$", r"$\lambda_2\|R\|_F^2>0$; at 0 the best is $\theta^*=0$ iff $B<\lambda_1\|R\|_1$"),
        f"{_SPEC}, X11",
        "certify.theory.elastic_net.best_theta",
        checks=("symbolic", "coq", "exact", "property"),
        depends_on=("T5.4-elastic-net",),
    ),
    Claim(
        "ESM1-R2.8-bregman",
        "Convex regularisers and additive splits",
        r"$\Omega(S+R)-\Omega(S)=\langle\nabla\Omega(S),R\rangle+D_\Omega(S+R,S)$, $D_\Omega\ge\frac\mu2\|R\|_F^2$; "
        r"$\|S+R\|_1-\|S\|_1\ge\langle\xi,R\rangle$ for $\xi\in\partial\|S\|_1$, with $\max_\xi=\|R\|_1$ for a mask",
        (r"$\Omega$ convex, differentiable at $S$, $\mu$-strongly convex", _WEIGHTS),
        "OR1, Remark 2.8",
        "certify.theory.elastic_net.bregman_divergence",
        checks=("symbolic", "property"),
    ),
    Claim(
        "ESM1-R2.8c-mask-vs-additive",
        "Masks and additive splits are not interchangeable",
        r"$\mathrm{Reg}(S+R)-\mathrm{Reg}(S)=\mathrm{rew}(R)+2\lambda_2\langle S,R\rangle_F"
        r"+\lambda_1(\|S+R\|_1-\|S\|_1-\|R\|_1)$, and $=\mathrm{rew}(R)$ when $S\odot R=0$",
        (_WEIGHTS,),
        "OR1, Remark 2.8",
        "certify.theory.elastic_net.reward_additive",
        checks=("symbolic", "property"),
    ),
    Claim(
        "ESM1-R2.7-reg-scaling",
        "How reward and budget of Gaussian noise scale",
        r"$\mathbb E\|R\|_F^2=gm$, $n\|R\|_F^2/g\sim\chi^2$ ($nm$ degrees of freedom); $B_T$ does not depend on $\lambda_2$; "
        r"bound $=$ expected reward at $g_{be}=(2\bar Lx/(\lambda_2m\sqrt n))^2$; on a ray $tR$ certified iff "
        r"$t>(B_T(R)-\lambda_1\|R\|_1)/(\lambda_2\|R\|_F^2)$",
        (
            r"$R\in\mathbb R^{n\times m}$ iid $N(0,g/n)$",
            r"$x=\sqrt{2\log(2n|T|/\delta)}$, $\bar L=\frac1{|T|}\sum_sL_s\|v_s\|_2$",
        ),
        f"OR1, Remark 2.7; break-even level by F25 of {_SPEC}",
        "certify.theory.elastic_net.break_even_g",
        checks=("symbolic", "property", "coverage"),
        depends_on=("C5.10-gauss-budget",),
    ),
)
