"""The laws implemented here, as data, beside those of `certify.theory.claims` (M1-density, M2-cdf, M7-tracy-widom, R2.3-mp-edge).

Quoted laws carry their source; M.. are the numbers of Section 7 of the specification `../shared/theory/mp-certificates.md`.
"""

from __future__ import annotations

from certify.records import Claim

_SPEC = "theory/mp-certificates.md"
_BGN = "Benaych-Georges and Nadakuditi, J. Multivariate Anal. 111 (2012)"


def _claim(id: str, title: str, statement: str, hypotheses: tuple[str, ...], source: str, function: str) -> Claim:
    return Claim(
        id=id, title=title, statement=statement, hypotheses=hypotheses, source=source, function=f"certify.laws.{function}"
    )


_MODEL = r"$R\in\mathbb R^{n\times m}$, independent entries, mean 0, variance $v$; $m/n\to c$"
_GAUSS = r"$R\in\mathbb R^{n\times m}$, independent $N(0,v)$ entries, any finite size"
_SPIKE = r"$W=R+\sum_i\theta_iu_iv_i^\top$, fixed rank, directions independent of $R$"
_EDGES = r"$a,b=v(\sqrt n\mp\sqrt m)^2$"

LAW_CLAIMS: tuple[Claim, ...] = (
    _claim(
        "M3-stieltjes",
        "Stieltjes transform",
        r"$m(z)=\int\frac{d\mu}{x-z}=\frac{B+s}{2mvz}=\frac2{B-s}$, $B=v(n-m)-z$, $s=\sqrt{z-a}\sqrt{z-b}$; root of "
        r"$mvz\,y^2+(z-v(n-m))y+1=0$; companion $\tilde m=cm-(1-c)/z$",
        (_MODEL, _EDGES, r"$z\notin\operatorname{supp}\mu$"),
        f"{_SPEC}, M3 (quoted)",
        "marchenko_pastur.MarchenkoPastur",
    ),
    _claim(
        "M4-moments",
        "Moments",
        r"$\int x^kd\mu=(nv)^k\sum_{r<k}\frac{c^r}{r+1}\binom kr\binom{k-1}r$; nonzero part, any real $k$: "
        r"$(vN)^k{}_2F_1(-k,1-k;2;r)$, $N=\max(n,m)$, $r=\min(n,m)/N$; "
        r"$\int\log x=\log(vN)-1-\frac{1-r}r\log(1-r)$",
        (_MODEL,),
        f"{_SPEC}, M4 (real orders by the same sum)",
        "marchenko_pastur.MarchenkoPastur",
    ),
    _claim(
        "M4-finite",
        "Moments at finite size",
        r"$\frac1m\mathbb E\operatorname{tr}(R^\top R)^k=v^knP_k$, $P_1=1$, $P_2=n+m+1$, $P_3=n^2+3nm+m^2+3n+3m+4$, "
        r"$P_4=n^3+6n^2m+6nm^2+m^3+6n^2+17nm+6m^2+21n+21m+20$",
        (_GAUSS,),
        f"{_SPEC}, M4 (order 4 by the pairings of Wick's formula)",
        "marchenko_pastur.gaussian_moment",
    ),
    _claim(
        "M5-threshold",
        "Detection threshold",
        r"$\theta_c=\sqrt v(nm)^{1/4}$",
        (_MODEL, _SPIKE),
        _BGN,
        "spikes.detection_threshold",
    ),
    _claim(
        "M5-bbp-map",
        "Singular value of a spike",
        r"$s_i\to\rho(\theta_i)=\sqrt{(\theta^2+nv)(\theta^2+mv)}/\theta$ for $\theta>\theta_c$, else $\sqrt b$; "
        r"$\rho^2\ge b$ with equality exactly at $\theta_c$",
        (_MODEL, _SPIKE),
        _BGN,
        "spikes.spiked_value",
    ),
    _claim(
        "M5-inverse",
        "Strength of a spike",
        r"$\hat\theta=\frac12(\sqrt{s^2-a}+\sqrt{s^2-b})$, $\rho(\hat\theta(s))=s$",
        (_EDGES, r"$s\ge\sqrt b$"),
        f"{_SPEC}, M5",
        "spikes.strength",
    ),
    _claim(
        "M5-overlaps",
        "Overlaps of singular vectors",
        r"$\langle u,\hat u\rangle^2\to\frac{\theta^4-nmv^2}{\theta^2(\theta^2+nv)}$, "
        r"$\langle v,\hat v\rangle^2\to\frac{\theta^4-nmv^2}{\theta^2(\theta^2+mv)}$ for $\theta>\theta_c$, else 0",
        (_MODEL, _SPIKE, "spikes simple"),
        _BGN,
        "spikes.left_overlap",
    ),
    _claim(
        "M6-inverse-D",
        "D-transform",
        r"$D(s)=\frac{s^2-(n+m)v-\sqrt{(s^2-a)(s^2-b)}}{2nmv^2}=s^2m(s^2)\tilde m(s^2)=\hat\theta(s)^{-2}$, strictly "
        r"decreasing from $[\sqrt b,\infty)$ onto $(0,\theta_c^{-2}]$; $D'\to-\infty$ at $\sqrt b$",
        (_MODEL, _EDGES),
        f"{_SPEC}, M5 and M6; {_BGN}",
        "spikes.d_transform",
    ),
    _claim(
        "ESM1-T5.1-bgn-square",
        "Spikes under square noise",
        r"$s_i\to\sigma_i+g/\sigma_i$ if $\sigma_i>\sqrt g$, else $2\sqrt g$",
        (r"$n=m$, entries $N(0,g/n)$", _SPIKE),
        "OR1, Theorem 5.1 (quoted)",
        "spikes.spiked_value",
    ),
    _claim(
        "ESM1-T5.4-inverse-D",
        "Error of an estimated strength",
        r"$|D-\theta^{-2}|\le\epsilon<\theta^{-2}\Rightarrow|D^{-1/2}-\theta|\le\theta((1-\epsilon\theta^2)^{-1/2}-1)$",
        (r"$\theta>0$", r"$D>0$"),
        "OR1, Theorem 5.4, its deterministic core",
        "spikes.strength_error_upper",
    ),
    _claim(
        "C4.12-bbp-persistent",
        "Correction of a persistent spike",
        r"$s-\hat\sigma=\frac{2g}{s+\sqrt{s^2-4g}}$, $\hat\sigma+g/\hat\sigma=s$ for $\hat\sigma=\frac12(s+\sqrt{s^2-4g})$",
        (r"$n=m$", r"$s^2\ge4g>0$"),
        "MP-paper (arXiv:2606.02608), Corollary 4.12, its algebra",
        "spikes.strength",
    ),
    _claim(
        "M7-tracy-widom-2",
        "Tracy–Widom law of complex matrices",
        r"$F_2(s)=\det(I-A_s^2)=\det(I-A_s)\det(I+A_s)=e^{-\int_s^\infty(x-s)q^2}$, $q''=xq+2q^3$, $q\sim\mathrm{Ai}$",
        (r"$A_s(x,y)=\mathrm{Ai}(x+y+s)$ on $L^2(0,\infty)$",),
        "Tracy and Widom 1994; Ferrari and Spohn 2005",
        "tracy_widom.TracyWidom",
    ),
    _claim(
        "M7-tracy-widom-4",
        "Tracy–Widom law of quaternion matrices",
        r"$F_4(s/\sqrt2)=\frac12(\det(I-A_s)+\det(I+A_s))$, mean $-2.306884893241$",
        (r"$A_s(x,y)=\mathrm{Ai}(x+y+s)$ on $L^2(0,\infty)$",),
        "Tracy and Widom 1996; normalisation of Bornemann 2010",
        "tracy_widom.TracyWidom",
    ),
    _claim(
        "M7-wishart-edge",
        "Second-order Tracy–Widom centring",
        r"$s_1(R)^2\approx v(\mu+\tau\xi)$, $\mu=(\sqrt{n-\frac12}+\sqrt{m-\frac12})^2$, "
        r"$\tau=\sqrt\mu\,((n-\frac12)^{-1/2}+(m-\frac12)^{-1/2})^{1/3}$; invariant under transposition",
        (_GAUSS, "asymptotic"),
        f"{_SPEC}, M7; Ma, Bernoulli 18 (2012)",
        "wishart.symmetric_edge",
    ),
    _claim(
        "M7-johnstone",
        "Johnstone's centring",
        r"$\mu=(\sqrt{n-1}+\sqrt m)^2$, $\tau=(\sqrt{n-1}+\sqrt m)((n-1)^{-1/2}+m^{-1/2})^{1/3}$; not invariant under "
        r"transposition",
        (_GAUSS, "asymptotic", r"$n\ge2$"),
        "Johnstone, Ann. Statist. 29 (2001)",
        "wishart.johnstone_edge",
    ),
    _claim(
        "M8-nonasymptotic-edge",
        "Edge without a limit",
        r"$\mathbb Es_1\le\sqrt v(\sqrt n+\sqrt m)$, $\mathbb P(s_1>\sqrt v(\sqrt n+\sqrt m+t))\le e^{-t^2/2}$, "
        r"$\mathbb Es_{\min}\ge\sqrt v|\sqrt n-\sqrt m|$",
        (_GAUSS, r"$t\ge0$"),
        f"{_SPEC}, M8 (Gordon; Gaussian concentration)",
        "wishart.exceedance_upper",
    ),
    _claim(
        "M9-max-gaussian",
        "Largest of n Gaussian numbers",
        r"$\mathbb P(\max_{i\le n}|Z_i|\le x)=\operatorname{erf}(x/\sqrt2)^n$, "
        r"$m_n=\int_0^\infty(1-\operatorname{erf}(x/\sqrt2)^n)dx\le\sqrt{2\log2n}$",
        (r"$Z_i$ independent $N(0,1)$",),
        f"{_SPEC}, M9",
        "maxima.MaxAbsGaussian",
    ),
    _claim(
        "M10-variance-norm",
        "Noise level from the norm",
        r"$\hat v=\|R\|_F^2/(nm)$ unbiased, $nm\hat v/v\sim\chi^2_{nm}$",
        (_GAUSS,),
        f"{_SPEC}, M10(a)",
        "bulk_fit.variance_by_norm",
    ),
    _claim(
        "M10-bulk-fit",
        "Noise level from the middle of the spectrum",
        r"$\hat v=\sum q_kx_k/\sum q_k^2$ over $\alpha p\le k-\frac12\le(1-\alpha)p$",
        (_MODEL, "few spikes"),
        f"{_SPEC}, M10(b); Ke, Ma and Lin, J. Amer. Statist. Assoc. 118 (2023)",
        "bulk_fit.variance_by_quantiles",
    ),
    _claim(
        "GD-hard-threshold",
        "Best hard threshold, noise known",
        r"$\tau=\sqrt{vN}\lambda(r)$, $\lambda(r)^2=2(r+1)+\frac{8r}{(r+1)+\sqrt{r^2+14r+1}}$; $4/\sqrt3$ at $r=1$",
        (_MODEL, _SPIKE, "squared error"),
        "Gavish and Donoho, IEEE Trans. Inform. Theory 60 (2014)",
        "shrinkage.hard_threshold",
    ),
    _claim(
        "GD-hard-threshold-unknown",
        "Best hard threshold, noise unknown",
        r"$\omega(r)=\lambda(r)/\sqrt{\mu_r}$ times the median singular value, $\mu_r$ the Marchenko–Pastur median",
        (_MODEL, _SPIKE, "squared error"),
        "Gavish and Donoho, IEEE Trans. Inform. Theory 60 (2014)",
        "shrinkage.hard_threshold_unknown",
    ),
    _claim(
        "GD-shrinkers",
        "Best shrinkers",
        r"Frobenius $\frac1s\sqrt{(s^2-a)(s^2-b)}$; nuclear "
        r"$(\hat\theta^4-nmv^2-\sqrt{nm}v\hat\theta s)_+/(\hat\theta^2s)$; 0 for $s\le\sqrt b$",
        (_MODEL, _SPIKE, _EDGES),
        "Gavish and Donoho, IEEE Trans. Inform. Theory 63 (2017)",
        "shrinkage.shrink_frobenius",
    ),
    _claim(
        "GD-shrinker-operator",
        "Best shrinker in operator norm",
        r"$\hat\theta\sqrt{\frac{\hat\theta^2+v\min(n,m)}{\hat\theta^2+v\max(n,m)}}$ for $s>\sqrt b$, else 0; "
        r"refuted for $n\ne m$: $\eta=\hat\theta$ (Gavish and Donoho 2017); at $n=400$, $m=100$, "
        r"$\theta=1.5\,\theta_c$ its loss is 1.0469 times the best",
        (_MODEL, _SPIKE, _EDGES),
        "Leeb, arXiv:2005.11807",
        "shrinkage.shrink_operator",
    ),
)
