"""Claims about removing weights from layers, about rates and about bulk laws, as data.

MP-paper is arXiv:2606.02608, OR1 its Online Resource 1. X.. sharpen the paper and are proved in the specification; F..
are defects of the literal text with a counterexample, and name the function that holds the repaired form; M.. are
quoted laws.
"""

from __future__ import annotations

from certify.records import Claim

_MP = "MP-paper (arXiv:2606.02608)"
_SPEC = "theory/mp-certificates.md"


def _claim(id: str, title: str, statement: str, hypotheses: tuple[str, ...], source: str, function: str) -> Claim:
    return Claim(id=id, title=title, statement=statement, hypotheses=hypotheses, source=source, function=f"certify.{function}")


_ETA = r"$\|z'(s)-z(s)\|_\infty\le\eta_s$"
_CLASSES = r"$K\ge2$"
_MASK = r"mask split: $S\odot R=0$"
_WEIGHTS = r"$\lambda_1,\lambda_2\ge0$"
_LIPSCHITZ = r"$L_s$ bounds the max-norm Lipschitz constant of $\psi_{2,s}$ on $\{A_\theta v_{s,p}\}$"
_GAUSS = r"$R$ iid $N(0,g/n)$, independent of $(v_{s,p})$"
_PATH = r"$\gamma_s$ Lipschitz on $[0,1]$"
_SAMPLED = "samples independent, from the population, not used for any choice"
_MP_MODEL = r"$R\in\mathbb R^{n\times m}$, independent entries, mean 0, variance $v$; $m/n\to c$"

LAYER_CLAIMS: tuple[Claim, ...] = (
    _claim(
        "N0-norms",
        "Induced max norm",
        r"$\|Ax\|_\infty\le\|A\|_\infty\|x\|_\infty$, $\|A\|_\infty=\max_i\sum_j|A_{ij}|$; attained at "
        r"$x=\operatorname{sign}A_{i^*}$",
        (),
        f"{_MP}, Section 2",
        "theory.budget.data_path_upper_rows",
    ),
    _claim(
        "D2.0-ce",
        "Cross-entropy",
        r"$\ell_C(z)=-z_C+\log\sum_je^{z_j}$, $\partial_k\ell_C=\rho_k-\delta_{kC}$, $\|\rho-e_C\|_1=2(1-\rho_C)$",
        (_CLASSES,),
        f"{_MP}, Section 2",
        "theory.cross_entropy.cross_entropy",
    ),
    _claim(
        "R2.3-mp-edge",
        "Edge of the singular values",
        r"$\sigma_+=\sqrt v(\sqrt n+\sqrt m)$",
        (_MP_MODEL, "finite fourth moment"),
        f"{_MP}, Remark 2.3",
        "laws.edge.bulk_edge",
    ),
    _claim(
        "D5.0-budget",
        "Layerwise budget",
        r"$B_T(R)=\frac2{|T|}\sum_sL_s\|RV_s\|_\infty$",
        (_LIPSCHITZ,),
        f"{_MP}, Definition 5.0",
        "theory.budget.budget",
    ),
    _claim(
        "L5.1-ce-path",
        "Cross-entropy along a path",
        r"$|\mathcal L_{CE}(A_\theta)-\mathcal L_{CE}(A_1)|\le\frac2{|T|}\sum_s\eta_s\le(1-\theta)B_T(R)$",
        (_ETA, _LIPSCHITZ, r"$\theta\in[0,1]$"),
        f"{_MP}, Lemma 5.1",
        "theory.cross_entropy.increase_published",
    ),
    _claim(
        "C5.2-margin",
        "Margins",
        r"(a) the predicted label can change only if $\Delta^{pred}\le2\eta_s$; (b) "
        r"$|\Delta\mathrm{acc}|\le\frac1{|T|}\#\{|\Delta^{true}|\le2\eta_s\}$",
        (_ETA, _CLASSES, "a tie is an error"),
        f"{_MP}, Corollary 5.2",
        "theory.margins.may_change_published",
    ),
    _claim(
        "T5.3-additive-frobenius",
        "Additive path, squared penalty",
        r"$\mathcal J_2(A_\theta)-\mathcal J_2(A_1)\le(1-\theta)B_T(R)-\lambda_2(1"
        r"-\theta^2)\|R\|_F^2-2\lambda_2(1-\theta)\langle S,R\rangle_F$",
        (r"$A=S+R$, any split", r"$\lambda_2\ge0$", r"$\theta\in[0,1]$", _LIPSCHITZ),
        f"{_MP}, Theorem 5.3",
        "theory.elastic_net.change_upper_additive",
    ),
    _claim(
        "T5.4-elastic-net",
        "Mask removal under an elastic net",
        r"$\mathcal J(A_\theta)-\mathcal J(A_1)\le(1-\theta)B_T(R)-\lambda_2(1-\theta^2)\|R\|_F^2-\lambda_1(1"
        r"-\theta)\|R\|_1$; equality iff $(1-\theta)B_T(R)=0$",
        (_MASK, _WEIGHTS, r"$\theta\in[0,1]$", _LIPSCHITZ),
        f"{_MP}, Theorem 5.4 (tightness by the errata)",
        "theory.elastic_net.change_upper",
    ),
    _claim(
        "T5.8-multilayer",
        "Several removals in a row",
        r"$\mathcal J(\alpha^{(M)})\le\mathcal J(\alpha^{(0)})-\sum_j(\lambda_{2,j}\|R_j\|_F^2"
        r"+\lambda_{1,j}\|R_j\|_1)+\sum_jB_j(R_j)$",
        (_MASK, _WEIGHTS, r"$B_j$ computed in the network where removals $1..j-1$ are made"),
        f"{_MP}, Theorem 5.8",
        "theory.elastic_net.change_upper_multilayer",
    ),
    _claim(
        "C5.10-gauss-budget",
        "Gaussian budget",
        r"with probability $\ge1-\delta$: $B_T(R)\le\frac2{|T|}\sum_sL_s\max_p\|v_{s,p}\|_2\sqrt{g/n}\,x$, "
        r"published $x=\sqrt{2\log(2n\sum_sP_s/\delta)}$",
        (_GAUSS, r"$L_s\ge0$", r"$\delta\in(0,1)$"),
        f"{_MP}, Corollary 5.10",
        "theory.budget.gaussian_budget",
    ),
    _claim(
        "ESM1-C1.3-multilayer-margin",
        "Telescoped logit change",
        r"$\eta_s^{tot}=\sum_j\eta_{j,s}$ serves in L5.1 and C5.2",
        (r"$\|z^{(j)}(s)-z^{(j-1)}(s)\|_\infty\le\eta_{j,s}$",),
        "OR1, Corollary 1.3",
        "theory.budget.telescoped",
    ),
    _claim(
        "X1-ce-sharp",
        "Exact worst case of the cross-entropy",
        r"$\Lambda_p(-2\eta)\le\ell_C(z+d)-\ell_C(z)\le\Lambda_p(2\eta)$, $\Lambda_p(x)=\log(p+(1-p)e^x)$, both "
        r"attained by $d=\pm\eta(\mathbf1-2e_C)$",
        (_ETA, _CLASSES),
        f"{_SPEC}, X1",
        "theory.cross_entropy.increase_upper",
    ),
    _claim(
        "X2-ce-pairwise",
        "Pairwise and oscillation forms",
        r"$\Delta\ell\le\log(p+\sum_{j\ne C}q_je^{\pi_j})\le\Lambda_p(\omega)$, $\omega=\max_{j\ne C}\pi_j$; "
        r"$\omega\le\operatorname{osc}(d)\le2\|d\|_\infty$ for $\pi_j=d_j-d_C$",
        (r"$d_j-d_C\le\pi_j$ for $j\ne C$", _CLASSES),
        f"{_SPEC}, X2",
        "theory.cross_entropy.increase_upper_pairwise",
    ),
    _claim(
        "X5-margin-signed",
        "Signed margins",
        r"$-\#\{0<\Delta\le2\eta_s\}\le|T|\,(\mathrm{acc}_\theta-\mathrm{acc}_1)\le\#\{-2\eta_s<\Delta\le0\}$; "
        r"loss by $d=+\eta(\mathbf1-2e_C)$, gain by minus",
        (_ETA, _CLASSES, "a tie is an error"),
        f"{_SPEC}, X5 (signs by the errata)",
        "theory.margins.accuracy_change_interval",
    ),
    _claim(
        "X6-margin-pairwise",
        "Pairwise margins",
        r"the label stays correct if $z_C-z_j>\pi_j$ for all $j\ne C$",
        (r"$d_j-d_C\le\pi_j$ (losses), $d_C-d_j\le\pi_j$ (gains)", _CLASSES),
        f"{_SPEC}, X6",
        "theory.margins.may_lose_pairwise",
    ),
    _claim(
        "X8-path-variation",
        "Path variation",
        r"$\|\gamma_s(\theta)-\gamma_s(1)\|_\infty\le "
        r"V_s(\theta)=\int_\theta^1\|\gamma_s'\|_\infty\le(1-\theta)\operatorname{ess\,sup}\|\gamma_s'\|_\infty"
        r"\le(1-\theta)L_s\|RV_s\|_\infty$; $V_s$ replaces $\eta_s$",
        (_PATH,),
        f"{_SPEC}, X8",
        "theory.path.variation",
    ),
    _claim(
        "X9-best-L",
        "Smallest admissible constant",
        r"$L_s^{\min}\|RV_s\|_\infty=\operatorname{ess\,sup}_{[0,1]}\|\gamma_s'\|_\infty$",
        (_PATH, "the segment moves this target alone"),
        f"{_SPEC}, X9",
        "theory.budget.smallest_lipschitz",
    ),
    _claim(
        "X11-optimal-theta",
        "Best shrinkage",
        r"$1-\theta^*=\operatorname{clip}\big(\frac{2\lambda_2\|R\|_F^2"
        r"+\lambda_1\|R\|_1-B}{2\lambda_2\|R\|_F^2},0,1\big)$",
        (_MASK, _WEIGHTS, r"$B\ge0$"),
        f"{_SPEC}, X11",
        "theory.elastic_net.best_theta",
    ),
    _claim(
        "X14-multilayer",
        "Several layers at once or in a row",
        r"(b) $\Delta\mathcal L_{CE}\le\frac1{|T|}\sum\Lambda_{p_s}(2V_s^{sim})$ on the simultaneous path; (c) "
        r"$\Lambda_{p_s}(2\sum_j\eta_{j,s})$ sequentially; neither dominates",
        (_PATH,),
        f"{_SPEC}, X14",
        "theory.path.variation",
    ),
    _claim(
        "X15-gauss-exact",
        "Gaussian multipliers",
        r"$x=\sqrt{2\log(k/\delta)}$, $Q^{-1}(\delta/2k)$, $Q^{-1}(\frac12(1-(1-\delta)^{1/k}))$, $k=n\sum_sP_s$; "
        r"each below the one before, the last exact for one vector",
        (_GAUSS, r"$\delta\in(0,1)$"),
        f"{_SPEC}, X15",
        "theory.budget.gaussian_multiplier",
    ),
    _claim(
        "X19-tokens",
        "Tokens",
        r"$\|RV_s\|_\infty=\max_{i,p}|(Rv_{s,p})_i|$ and $n|T|\to n\sum_sP_s$",
        (),
        f"{_SPEC}, X19",
        "theory.budget.data_path_size",
    ),
    _claim(
        "F1",
        "The one-norm is entrywise",
        r"refuted with the induced norm: $S=\mathrm{diag}(1,0)$, $R=\mathrm{diag}(0,1)$, $\|S+R\|=1\ne2$",
        (),
        f"{_SPEC}, F1 on T5.4",
        "theory.elastic_net.entrywise_l1",
    ),
    _claim(
        "F2",
        "Tokens ignored",
        r"refuted: at $\delta=.1$, $n=16$, $P=30$, $|T|=10$ the level without $P$ fails far more often than "
        r"$\delta$",
        (_GAUSS,),
        f"{_SPEC}, F2 on C5.10",
        "theory.budget.gaussian_multiplier",
    ),
    _claim(
        "F4",
        "Zero budget with ties",
        r"refuted as stated: $z=(1,1)$, $\eta=0$ lets C5.2(b) allow a change of $1/|T|$; X5 does not",
        (_CLASSES,),
        f"{_SPEC}, F4 on C5.2 and P5.2",
        "theory.margins.may_gain",
    ),
    _claim(
        "F18",
        "Operator-norm proxy",
        r"refuted: $R=\mathbf1^\top$, $\psi=\mathbf1$ gives $\|R\psi\|_\infty=m>\sqrt "
        r"m=\|R\|_{op}\|\psi\|_\infty$; valid: $\max_i\|R_i\|_2\,\|\psi\|_2$",
        (),
        f"{_SPEC}, F18",
        "theory.budget.data_path_upper_euclidean",
    ),
    _claim(
        "B1-clopper-pearson",
        "Exact limits of a rate",
        r"$P(r\le U(k;\alpha))\ge1-\alpha$, $P(r\ge L(k;\alpha))\ge1-\alpha$ for $k\sim\mathrm{Bin}(n,r)$",
        (_SAMPLED,),
        "Clopper and Pearson, Biometrika 26 (1934)",
        "theory.binomial.clopper_pearson_upper",
    ),
    _claim(
        "B2-paired-drop",
        "Exact limit of a paired accuracy drop",
        r"$P(p_{10}-p_{01}\le U(n_{10};\frac\alpha2)-L(n_{01};\frac\alpha2))\ge1-\alpha$",
        (_SAMPLED, "both networks judged on the same samples"),
        "Clopper–Pearson and a union bound",
        "theory.binomial.paired_drop_upper",
    ),
    _claim(
        "M1-density",
        "Marchenko–Pastur density",
        r"$f(x)=\frac{\sqrt{(b-x)(x-a)}}{2\pi mv\,x}$, $a,b=v(\sqrt n\mp\sqrt m)^2$, atom $(1-n/m)_+$",
        (_MP_MODEL,),
        f"{_SPEC}, M1 (quoted)",
        "laws.marchenko_pastur.MarchenkoPastur",
    ),
    _claim(
        "M2-cdf",
        "Marchenko–Pastur distribution function",
        r"closed form by three elementary terms; $F(b)=1$; singular values: $(F(s^2)-(1-\frac1c)_+)\max(1,c)$",
        (_MP_MODEL,),
        f"{_SPEC}, M2 and M2' (atan2 form by the errata)",
        "laws.marchenko_pastur.MarchenkoPasturSingular",
    ),
    _claim(
        "M7-tracy-widom",
        "Tracy–Widom law",
        r"$F_1(s)=\det(I-K_s)$, $K_s(x,y)=\mathrm{Ai}(x+y+s)$ on $L^2(0,\infty)$; $s_1(R)^2\approx "
        r"v(\mu+\tau\xi)$, $\xi\sim F_1$",
        (_MP_MODEL, "Gaussian entries, or four matching moments"),
        f"{_SPEC}, M7 (Ferrari and Spohn 2005)",
        "laws.tracy_widom.tracy_widom_cdf",
    ),
)
