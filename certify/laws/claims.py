"""The laws implemented here, as data.

Quoted laws carry their source; M.. are the numbers of Section 7 of the specification `../shared/theory/mp-certificates.md`.
"""

from __future__ import annotations

from certify.records import Claim

_SPEC = "theory/mp-certificates.md"
_BGN = "Benaych-Georges and Nadakuditi, J. Multivariate Anal. 111 (2012)"
_MP = "MP-paper (arXiv:2606.02608)"
_MODEL = r"$R\in\mathbb R^{n\times m}$, independent entries, mean 0, variance $v$; $m/n\to c$"
_GAUSS = r"$R\in\mathbb R^{n\times m}$, independent $N(0,v)$ entries, any finite size"
_SPIKE = r"$W=R+\sum_i\theta_iu_iv_i^\top$, fixed rank, directions independent of $R$"
_EDGES = r"$a,b=v(\sqrt n\mp\sqrt m)^2$"

_SQUARE = r"$n=m$, entries $N(0,g/n)$"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "T2.2-mp-law",
        "Marchenko–Pastur law",
        r"$\mu_{R^\top R}\to(1-\frac1c)_+\delta_0+f\,dx$ almost surely, $f$ of M1",
        (_MODEL, "iid entries, finite fourth moment (finite variance suffices, F26)"),
        f"{_MP}, Theorem 2.2 (quoted from Marchenko and Pastur 1967); the rate of the Kolmogorov distance is measured",
        "certify.laws.marchenko_pastur.MarchenkoPastur",
        checks=("property", "coverage"),
        depends_on=("M1-density", "M2-cdf"),
    ),
    Claim(
        "R2.3-mp-edge",
        "Edge of the singular values",
        r"$\sigma_+=\sqrt v(\sqrt n+\sqrt m)$",
        (_MODEL, "finite fourth moment"),
        f"{_MP}, Remark 2.3",
        "certify.laws.edge.bulk_edge",
        checks=("symbolic", "property"),
    ),
    Claim(
        "M1-density",
        "Marchenko–Pastur density",
        r"$f(x)=\frac{\sqrt{(b-x)(x-a)}}{2\pi mv\,x}$, $a,b=v(\sqrt n\mp\sqrt m)^2$, atom $(1-n/m)_+$",
        (_MODEL,),
        f"{_SPEC}, M1 (quoted)",
        "certify.laws.marchenko_pastur.MarchenkoPastur",
        checks=("symbolic", "ball", "property"),
    ),
    Claim(
        "M2-cdf",
        "Marchenko–Pastur distribution function",
        r"$F=(1-\frac nm)_++\min(1,\frac nm)G$ with $G$ in closed form by three angles; $F(b)=1$, $F'=f$ inside",
        (_MODEL, _EDGES),
        f"{_SPEC}, M2 (atan2 form by the errata)",
        "certify.laws.marchenko_pastur.MarchenkoPastur",
        checks=("symbolic", "ball", "property"),
        depends_on=("M1-density",),
    ),
    Claim(
        "M2-singular-values",
        "Law of the singular values",
        r"$h(s)=\frac{\sqrt{(b-s^2)(s^2-a)}}{\pi\min(n,m)v\,s}$ on $[\sqrt a,\sqrt b]$, distribution "
        r"$(F(s^2)-(1-\frac1c)_+)\max(1,c)$; quarter circle for $n=m$; invariant under transposition, unlike $F$",
        (_MODEL, _EDGES),
        f"{_SPEC}, M2′",
        "certify.laws.marchenko_pastur.MarchenkoPasturSingular",
        checks=("symbolic", "property"),
        depends_on=("M2-cdf",),
    ),
    Claim(
        "M7-tracy-widom",
        "Tracy–Widom law",
        r"$F_1(s)=\det(I-K_s)$, $K_s(x,y)=\mathrm{Ai}(x+y+s)$ on $L^2(0,\infty)$; $s_1(R)^2\approx "
        r"v(\mu+\tau\xi)$, $\xi\sim F_1$",
        (_MODEL, "Gaussian entries, or four matching moments"),
        f"{_SPEC}, M7 (Ferrari and Spohn 2005)",
        "certify.laws.tracy_widom.tracy_widom_cdf",
        checks=("property", "coverage"),
    ),
    Claim(
        "M3-stieltjes",
        "Stieltjes transform",
        r"$m(z)=\int\frac{d\mu}{x-z}=\frac{B+s}{2mvz}=\frac2{B-s}$, $B=v(n-m)-z$, $s=\sqrt{z-a}\sqrt{z-b}$; root of "
        r"$mvz\,y^2+(z-v(n-m))y+1=0$; companion $\tilde m=cm-(1-c)/z$",
        (_MODEL, _EDGES, r"$z\notin\operatorname{supp}\mu$"),
        f"{_SPEC}, M3 (quoted)",
        "certify.laws.marchenko_pastur.MarchenkoPastur",
        checks=("symbolic", "property"),
    ),
    Claim(
        "M4-moments",
        "Moments",
        r"$\int x^kd\mu=(nv)^k\sum_{r<k}\frac{c^r}{r+1}\binom kr\binom{k-1}r$; nonzero part, any real $k$: "
        r"$(vN)^k{}_2F_1(-k,1-k;2;r)$, $N=\max(n,m)$, $r=\min(n,m)/N$; "
        r"$\int\log x=\log(vN)-1-\frac{1-r}r\log(1-r)$",
        (_MODEL,),
        f"{_SPEC}, M4 (real orders by the same sum)",
        "certify.laws.marchenko_pastur.MarchenkoPastur",
        checks=("symbolic", "property"),
    ),
    Claim(
        "M4-finite",
        "Moments at finite size",
        r"$\frac1m\mathbb E\operatorname{tr}(R^\top R)^k=v^knP_k$, $P_1=1$, $P_2=n+m+1$, $P_3=n^2+3nm+m^2+3n+3m+4$, "
        r"$P_4=n^3+6n^2m+6nm^2+m^3+6n^2+17nm+6m^2+21n+21m+20$",
        (_GAUSS,),
        f"{_SPEC}, M4 (order 4 by the pairings of Wick's formula)",
        "certify.laws.marchenko_pastur.gaussian_moment",
        checks=("symbolic", "property", "coverage"),
    ),
    Claim(
        "M5-threshold",
        "Detection threshold",
        r"$\theta_c=\sqrt v(nm)^{1/4}$",
        (_MODEL, _SPIKE),
        _BGN,
        "certify.laws.spikes.detection_threshold",
        checks=("symbolic", "ball", "property"),
    ),
    Claim(
        "M5-bbp-map",
        "Singular value of a spike",
        r"$s_i\to\rho(\theta_i)=\sqrt{(\theta^2+nv)(\theta^2+mv)}/\theta$ for $\theta>\theta_c$, else $\sqrt b$; "
        r"$\rho^2\ge b$ with equality exactly at $\theta_c$",
        (_MODEL, _SPIKE),
        _BGN,
        "certify.laws.spikes.spiked_value",
        checks=("symbolic", "ball", "coq", "property", "coverage"),
    ),
    Claim(
        "M5-inverse",
        "Strength of a spike",
        r"$\hat\theta=\frac12(\sqrt{s^2-a}+\sqrt{s^2-b})$, $\rho(\hat\theta(s))=s$",
        (_EDGES, r"$s\ge\sqrt b$"),
        f"{_SPEC}, M5",
        "certify.laws.spikes.strength",
        checks=("symbolic", "coq", "property"),
    ),
    Claim(
        "M5-overlaps",
        "Overlaps of singular vectors",
        r"$\langle u,\hat u\rangle^2\to\frac{\theta^4-nmv^2}{\theta^2(\theta^2+nv)}$, "
        r"$\langle v,\hat v\rangle^2\to\frac{\theta^4-nmv^2}{\theta^2(\theta^2+mv)}$ for $\theta>\theta_c$, else 0",
        (_MODEL, _SPIKE, "spikes simple"),
        _BGN,
        "certify.laws.spikes.left_overlap",
        checks=("symbolic", "ball", "property", "coverage"),
    ),
    Claim(
        "M6-inverse-D",
        "D-transform",
        r"$D(s)=\frac{s^2-(n+m)v-\sqrt{(s^2-a)(s^2-b)}}{2nmv^2}=s^2m(s^2)\tilde m(s^2)=\hat\theta(s)^{-2}$, strictly "
        r"decreasing from $[\sqrt b,\infty)$ onto $(0,\theta_c^{-2}]$; $D'\to-\infty$ at $\sqrt b$",
        (_MODEL, _EDGES),
        f"{_SPEC}, M5 and M6; {_BGN}",
        "certify.laws.spikes.d_transform",
        checks=("symbolic", "ball", "coq", "property"),
    ),
    Claim(
        "ESM1-T5.1-bgn-square",
        "Spikes under square noise",
        r"$s_i\to\sigma_i+g/\sigma_i$ if $\sigma_i>\sqrt g$, else $2\sqrt g$",
        (_SQUARE, _SPIKE, r"$\sigma_i$ distinct"),
        "OR1, Theorem 5.1 (quoted)",
        "certify.laws.spikes.spiked_value",
        checks=("symbolic", "property", "coverage"),
    ),
    Claim(
        "ESM1-C5.2-bgn-g",
        "Spikes under square noise of any level",
        r"$\rho_g(\sigma)=\sqrt g\,\rho_1(\sigma/\sqrt g)=\sigma+g/\sigma$ for $\sigma>\sqrt g$, else $2\sqrt g$; overlaps "
        r"depend on $\sigma/\sqrt g$ alone",
        (_SQUARE, _SPIKE, r"$\sigma_i$ distinct", r"$g>0$"),
        "OR1, Corollary 5.2 (scaling of Theorem 5.1)",
        "certify.laws.spikes.spiked_value",
        checks=("symbolic", "property", "coverage"),
        depends_on=("ESM1-T5.1-bgn-square",),
    ),
    Claim(
        "ESM1-T5.3-bgn-variable",
        "Spikes under square noise of varying level",
        r"$g_N\to g_\infty\ge0$, $\sigma_i(S_N)\to\bar\sigma_i>0$: $s_i\to\rho_{g_\infty}(\bar\sigma_i)$, "
        r"$\rho_0(\sigma)=\sigma$; by $|\rho_v(\theta)-\rho_w(\theta')|\le|\theta-\theta'|+|\sqrt v-\sqrt w|(\sqrt n+\sqrt m)$ "
        r"for any shape",
        (_SQUARE, _SPIKE, "ties allowed"),
        "OR1, Theorem 5.3 (quoted); the continuity with its constant",
        "certify.laws.spikes.spiked_value_change_upper",
        checks=("symbolic", "property", "coverage"),
        depends_on=("ESM1-T5.1-bgn-square", "Weyl"),
    ),
    Claim(
        "ESM1-C2.4-bgn-persistent",
        "Persistent spikes under vanishing noise",
        r"$\theta_c,\sqrt b\to0$, $\sigma_i\to\bar\sigma_i>0$: $\sigma_i>\theta_c$ eventually and "
        r"$D(s_i(W))^{-1/2}-\sigma_i\to0$; by $|D(s_i(S+R))^{-1/2}-\sigma_i|\le\|R\|_{op}+\sqrt b-\theta_c$ "
        r"whenever $s_i(S+R)\ge\sqrt b$, any $S$, $R$",
        (_EDGES, r"$D$ of M6, any shape"),
        "OR1, Corollary 2.4, instantiated by M6; its core with a constant",
        "certify.laws.spikes.strength_shift_upper",
        checks=("symbolic", "property", "coverage"),
        depends_on=("Weyl", "M6-inverse-D", "ESM1-T5.4-inverse-D"),
    ),
    Claim(
        "ESM1-T5.4-inverse-D",
        "Error of an estimated strength",
        r"$|D-\theta^{-2}|\le\epsilon<\theta^{-2}\Rightarrow|D^{-1/2}-\theta|\le\theta((1-\epsilon\theta^2)^{-1/2}-1)$",
        (r"$\theta>0$", r"$D>0$"),
        "OR1, Theorem 5.4, its deterministic core",
        "certify.laws.spikes.strength_error_upper",
        checks=("symbolic", "coq", "property"),
    ),
    Claim(
        "C4.12-bbp-persistent",
        "Correction of a persistent spike",
        r"$s-\hat\sigma=\frac{2g}{s+\sqrt{s^2-4g}}\le\sqrt g$, $\hat\sigma+g/\hat\sigma=s$ for "
        r"$\hat\sigma=\frac12(s+\sqrt{s^2-4g})$; so $|\hat\sigma_i-\sigma_i|\le\|R\|_{op}+\sqrt g\to0$",
        (r"$n=m$", r"$s^2\ge4g>0$"),
        f"{_MP}, Corollary 4.12 (= OR1, Corollary 3.27), its algebra; finite rank is not used (F21)",
        "certify.laws.spikes.strength",
        checks=("symbolic", "coq", "property", "coverage"),
    ),
    Claim(
        "M7-tracy-widom-2",
        "Tracy–Widom law of complex matrices",
        r"$F_2(s)=\det(I-A_s^2)=\det(I-A_s)\det(I+A_s)=e^{-\int_s^\infty(x-s)q^2}$, $q''=xq+2q^3$, $q\sim\mathrm{Ai}$",
        (r"$A_s(x,y)=\mathrm{Ai}(x+y+s)$ on $L^2(0,\infty)$",),
        "Tracy and Widom 1994; Ferrari and Spohn 2005",
        "certify.laws.tracy_widom.TracyWidom",
        checks=("property",),
    ),
    Claim(
        "M7-tracy-widom-4",
        "Tracy–Widom law of quaternion matrices",
        r"$F_4(s/\sqrt2)=\frac12(\det(I-A_s)+\det(I+A_s))$, mean $-2.306884893241$",
        (r"$A_s(x,y)=\mathrm{Ai}(x+y+s)$ on $L^2(0,\infty)$",),
        "Tracy and Widom 1996; normalisation of Bornemann 2010",
        "certify.laws.tracy_widom.TracyWidom",
        checks=("property",),
    ),
    Claim(
        "M7-wishart-edge",
        "Second-order Tracy–Widom centring",
        r"$s_1(R)^2\approx v(\mu+\tau\xi)$, $\mu=(\sqrt{n-\frac12}+\sqrt{m-\frac12})^2$, "
        r"$\tau=\sqrt\mu\,((n-\frac12)^{-1/2}+(m-\frac12)^{-1/2})^{1/3}$; invariant under transposition",
        (_GAUSS, "asymptotic"),
        f"{_SPEC}, M7; Ma, Bernoulli 18 (2012)",
        "certify.laws.wishart.symmetric_edge",
        checks=("property", "coverage"),
    ),
    Claim(
        "M7-johnstone",
        "Johnstone's centring",
        r"$\mu=(\sqrt{n-1}+\sqrt m)^2$, $\tau=(\sqrt{n-1}+\sqrt m)((n-1)^{-1/2}+m^{-1/2})^{1/3}$; not invariant under "
        r"transposition",
        (_GAUSS, "asymptotic", r"$n\ge2$"),
        "Johnstone, Ann. Statist. 29 (2001)",
        "certify.laws.wishart.johnstone_edge",
        checks=("property", "coverage"),
    ),
    Claim(
        "M7-bidiagonal",
        "Singular values of Gaussian noise by a bidiagonal matrix",
        r"independent $\chi_N,\chi_{N-1},\dots$ on and $\chi_{k-1},\dots,\chi_1$ beside the diagonal; "
        r"$k=\min(n,m)$, $N=\max(n,m)$",
        (_GAUSS,),
        f"{_SPEC}, M7 (sampling); Golub and Kahan 1965",
        "certify.laws.wishart.gaussian_singular_values",
        checks=("property", "coverage"),
    ),
    Claim(
        "C4.9-variance-collapse",
        "Collapse of the noise variance",
        r"$\|R_N\|_F\to0$ in probability if and only if $nmv\to0$ ($g_NM_N\to0$), the edge then vanishes; by "
        r"$\mathbb P(\|R\|_F>s)=Q(\frac{nm}2,\frac{s^2}{2v})$, $\mathbb E\|R\|_F^2=nmv$, "
        r"ratio of standard deviation $\sqrt{2/(nm)}$",
        (_GAUSS,),
        f"{_MP}, Corollary 4.9 (= OR1, Corollary 3.23), by the exact law",
        "certify.laws.wishart.norm_exceedance",
        checks=("symbolic", "property", "coverage"),
        depends_on=("M10-variance-norm",),
    ),
    Claim(
        "M8-nonasymptotic-edge",
        "Edge without a limit",
        r"$\mathbb Es_1\le\sqrt v(\sqrt n+\sqrt m)$, $\mathbb P(s_1>\sqrt v(\sqrt n+\sqrt m+t))\le e^{-t^2/2}$, "
        r"$\mathbb Es_{\min}\ge\sqrt v|\sqrt n-\sqrt m|$",
        (_GAUSS, r"$t\ge0$"),
        f"{_SPEC}, M8 (Gordon; Gaussian concentration)",
        "certify.laws.wishart.exceedance_upper",
        checks=("property", "coverage"),
    ),
    Claim(
        "M9-max-gaussian",
        "Largest of n Gaussian numbers",
        r"$\mathbb P(\max_{i\le n}|Z_i|\le x)=\operatorname{erf}(x/\sqrt2)^n$, "
        r"$m_n=\int_0^\infty(1-\operatorname{erf}(x/\sqrt2)^n)dx\le\sqrt{2\log2n}$",
        (r"$Z_i$ independent $N(0,1)$",),
        f"{_SPEC}, M9",
        "certify.laws.maxima.MaxAbsGaussian",
        checks=("symbolic", "property", "coverage"),
    ),
    Claim(
        "M10-variance-norm",
        "Noise level from the norm",
        r"$\hat v=\|R\|_F^2/(nm)$ unbiased, $nm\hat v/v\sim\chi^2_{nm}$",
        (_GAUSS,),
        f"{_SPEC}, M10(a)",
        "certify.laws.bulk_fit.variance_by_norm",
        checks=("symbolic", "property", "coverage"),
    ),
    Claim(
        "M10-bulk-fit",
        "Noise level from the middle of the spectrum",
        r"$\hat v=\sum q_kx_k/\sum q_k^2$ over $\alpha p\le k-\frac12\le(1-\alpha)p$",
        (_MODEL, "few spikes"),
        f"{_SPEC}, M10(b); Ke, Ma and Lin, J. Amer. Statist. Assoc. 118 (2023)",
        "certify.laws.bulk_fit.variance_by_quantiles",
        checks=("property", "coverage"),
    ),
    Claim(
        "M10-fit-statistic",
        "How well a bulk fits",
        r"$D=\max_k|F(s_{(k)})-\frac kp|,|F(s_{(k)})-\frac{k-1}p|$ over $\alpha p\le k-\frac12\le(1-\alpha)p$, "
        r"$F$ at $\hat v$ of M10(b); $p=\frac{1+\#\{b:D_b\ge D\}}{B+1}$ has level exactly $\delta$ for $\delta(B+1)\in\mathbb N$",
        (_GAUSS, "$D_b$ of independent Gaussian noise of that shape"),
        f"{_SPEC}, M10(c); the null law is simulated, classical Kolmogorov tables do not apply",
        "certify.laws.bulk_fit.fit_p_value",
        checks=("property", "coverage"),
        depends_on=("M10-bulk-fit", "M7-bidiagonal"),
    ),
    Claim(
        "GD-hard-threshold",
        "Best hard threshold, noise known",
        r"$\tau=\sqrt{vN}\lambda(r)$, $\lambda(r)^2=2(r+1)+\frac{8r}{(r+1)+\sqrt{r^2+14r+1}}$; $4/\sqrt3$ at $r=1$",
        (_MODEL, _SPIKE, "squared error"),
        "Gavish and Donoho, IEEE Trans. Inform. Theory 60 (2014)",
        "certify.laws.shrinkage.hard_threshold",
        checks=("symbolic", "ball", "property"),
    ),
    Claim(
        "GD-hard-threshold-unknown",
        "Best hard threshold, noise unknown",
        r"$\omega(r)=\lambda(r)/\sqrt{\mu_r}$ times the median singular value, $\mu_r$ the Marchenko–Pastur median",
        (_MODEL, _SPIKE, "squared error"),
        "Gavish and Donoho, IEEE Trans. Inform. Theory 60 (2014)",
        "certify.laws.shrinkage.hard_threshold_unknown",
        checks=("ball", "property"),
    ),
    Claim(
        "GD-shrinkers",
        "Best shrinkers",
        r"Frobenius $\frac1s\sqrt{(s^2-a)(s^2-b)}$; nuclear "
        r"$(\hat\theta^4-nmv^2-\sqrt{nm}v\hat\theta s)_+/(\hat\theta^2s)$; 0 for $s\le\sqrt b$",
        (_MODEL, _SPIKE, _EDGES),
        "Gavish and Donoho, IEEE Trans. Inform. Theory 63 (2017)",
        "certify.laws.shrinkage.shrink_frobenius",
        checks=("symbolic", "property"),
    ),
    Claim(
        "GD-shrinker-operator",
        "Best shrinker in operator norm",
        r"$\hat\theta\sqrt{\frac{\hat\theta^2+v\min(n,m)}{\hat\theta^2+v\max(n,m)}}$ for $s>\sqrt b$, else 0; "
        r"refuted for $n\ne m$: $\eta=\hat\theta$ (Gavish and Donoho 2017); at $n=400$, $m=100$, "
        r"$\theta=1.5\,\theta_c$ its loss is 1.0469 times the best",
        (_MODEL, _SPIKE, _EDGES),
        "Leeb, arXiv:2005.11807",
        "certify.laws.shrinkage.shrink_operator",
        checks=("symbolic", "property"),
    ),
)
