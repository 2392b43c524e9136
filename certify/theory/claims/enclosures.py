"""Claims behind the enclosures of logits along a segment."""

from __future__ import annotations

from certify.records import Claim

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "PE1-token-gain",
        "Errors of tokens pass a half-block by block norms",
        r"$e_b\le B_be_{b-1}+\delta_b$, $(B_b)_{ij}\ge\sup\|\partial F_b(x)_i/\partial x_j\|_2$, $\|x_j-p_j\|_2\le(e_{b-1})_j$",
        (r"$F_b$ differentiable on the tube", r"$\|F_b(p(u),u)_i-p^+_i(u)\|_2\le(\delta_b)_i$"),
        "Mean value inequality, token by token; the tube is convex",
        "certify.bounds.enclosed.gains.attention_gain",
        checks=("property",),
    ),
    Claim(
        "PE2-gelu-derivatives",
        "Every derivative of GELU is bounded on the line",
        r"$|\mathrm{GELU}^{(k)}|\le\frac{K}{\sqrt{2\pi}}(\sqrt{2/e}\sqrt{(k-1)!}+k\sqrt{(k-2)!})$, $K=1.0865$, $k\ge2$",
        (),
        "Cramér's inequality for Hermite polynomials",
        "certify.bounds.enclosed.elementary.sup_gelu",
        checks=("property",),
    ),
    Claim(
        "PE3-taylor-compose",
        "A function of a Taylor model",
        r"$|g(p+e)-q|\le\mathrm{rem}+|R_{d+1}|+\sup|g'|\,|e|$, $q$ Horner's rule in $p-p(0)$ cut at degree $d$",
        (r"$g$ has $d+1$ derivatives where $p+e$ lies",),
        "Lagrange remainder; terms cut at level $n$ are multiplied by $n$ factors without constant term",
        "certify.bounds.enclosed.taylor.compose",
        checks=("property",),
    ),
    Claim(
        "PE4-norm-by-squaring",
        "A spectral norm from above",
        r"$\|A\|_2\le\|(A^TA)^{2^{s-1}}\|_F^{1/2^s}\le\mathrm{rank}(A)^{1/2^{s+1}}\|A\|_2$",
        (),
        "$\\|A\\|_2^2=\\|A^TA\\|_2$ and $\\|\\cdot\\|_2\\le\\|\\cdot\\|_F$",
        "certify.bounds.enclosed.spectral.norm_upper",
        checks=("property",),
    ),
    Claim(
        "PE5-stacked-heads",
        "Errors of tokens pass an attention half with its heads stacked",
        r"$\|x+\mathrm{attention}(x)\|$ moves at $i$ by at most $e_i+\|W_O\|(\|W_V\|\sqrt{\sum_j\max_hp^h_{ij}a_j^2}"
        r"+\sqrt{\sum_{jh}C^h_i\|sq^h_iW^h_K\|^2p^h_{ij}a_j^2}+s\|W_Q\|\max_h\sqrt{C^h_iD^h_i}\,a_i)$",
        (
            r"$\|\delta_j\|_2\le e_j$, $a_j=\sup\|\partial\,\mathrm{norm}(x_j)\|_2\,e_j$",
            r"$C^h_i,D^h_i$ largest eigenvalues of the covariances of values and keys under $p^h_{i\cdot}$",
        ),
        "Jensen for the values, Cauchy-Schwarz in $L^2(p^h_{i\\cdot})$ for the scores; mean value inequality on the tube",
        "certify.bounds.enclosed.many.stacked_gain",
        checks=("property",),
    ),
    Claim(
        "PE6-token-spread",
        "Errors of several tokens add up in one norm",
        r"$\|\sum_jJ_jr_j\|_2\le\big(\sum_je_jf_j\big)^{1/2}\,\big\|\sum_j\frac{e_j}{f_j}J_jJ_j^\top\big\|_2^{1/2}$ "
        r"for all $\|r_j\|_2\le e_j$; at $f_j=\|J_j\|_F$ at most $\sum_je_j\|J_j\|_F$; equality for $J_j=a_jwx^\top$",
        (r"$e_j\ge0$", r"$f_j>0$"),
        "Cauchy–Schwarz with weights $e_j/f_j$ on $w^\\top\\sum_jJ_jr_j$",
        "certify.bounds.enclosed.gains.Gain",
        checks=("property",),
    ),
)
