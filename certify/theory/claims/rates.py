"""Claims about rates in a population."""

from __future__ import annotations

from certify.records import Claim

_SAMPLED = "samples independent, from the population, not used for any choice"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "B1-clopper-pearson",
        "Exact limits of a rate",
        r"$P(r\le U(k;\alpha))\ge1-\alpha$, $P(r\ge L(k;\alpha))\ge1-\alpha$ for $k\sim\mathrm{Bin}(n,r)$",
        (_SAMPLED,),
        "Clopper and Pearson, Biometrika 26 (1934)",
        "certify.theory.binomial.clopper_pearson_upper",
        checks=("property", "coverage"),
    ),
    Claim(
        "B2-paired-drop",
        "Exact limit of a paired accuracy drop",
        r"$P(p_{10}-p_{01}\le U(n_{10};\frac\alpha2)-L(n_{01};\frac\alpha2))\ge1-\alpha$",
        (_SAMPLED, "both networks judged on the same samples"),
        "Clopper–Pearson and a union bound",
        "certify.theory.binomial.paired_drop_upper",
        checks=("property", "coverage"),
    ),
    Claim(
        "B3-betting",
        "Limit of a bounded mean by betting",
        r"$P(\mathrm{mean}\le U)\ge1-\alpha$, $U=\inf\{m:\max_tK_t(m)\ge1/\alpha\}$",
        (_SAMPLED, "a range known beforehand", "an order fixed beforehand"),
        "Waudby-Smith and Ramdas, J. R. Stat. Soc. B 86 (2024), Theorem 3",
        "certify.risk.betting.betting_upper",
        checks=("property",),
    ),
    Claim(
        "B4-betting-drop",
        "Limit of a paired accuracy drop by a portfolio of bets",
        r"$P(p_{10}-p_{01}\le U)\ge1-\alpha$",
        (_SAMPLED, "both networks judged on the same samples"),
        "Constant bets, mixed; Markov",
        "certify.risk.betting.drop_betting_upper",
        checks=("property",),
    ),
    Claim(
        "B5-graph",
        "Family-wise error of a rejective graph",
        r"$P(\text{some true null falls})\le\alpha$",
        ("each p-value valid", "graph and weights fixed beforehand"),
        "Bretz, Maurer, Brannath and Posch, Stat. Med. 28 (2009)",
        "certify.risk.choosing.graph",
        checks=("property",),
    ),
    Claim(
        "B6-shift-kl",
        "A rate within a Kullback–Leibler radius",
        r"$\sup_{KL(Q\|P)\le r}E_QL\le\max\{q:kl(q,E_PL)\le r\}$, equality for $L\in\{0,1\}$",
        (r"$0\le L\le1$",),
        "Data processing",
        "certify.risk.shift.kl_shifted",
        checks=("property",),
    ),
    Claim(
        "B7-shift-chi-square",
        "A rate within a chi-square radius",
        r"$\sup_{\chi^2(Q\|P)\le r}E_QL\le\min(1,p+\sqrt{rp(1-p)})$, $p=E_PL<1/(1+r)$, equality for $L\in\{0,1\}$",
        (r"$0\le L\le1$",),
        "Cauchy–Schwarz",
        "certify.risk.shift.chi_square_shifted",
        checks=("property",),
    ),
    Claim(
        "B8-canary",
        "A rate watched without end",
        r"$P(\exists n:K(k_n,n)\ge1/\alpha)\le\alpha$, "
        r"$K(k,n)=\int_p^1(\frac qp)^k(\frac{1-q}{1-p})^{n-k}w(q)\,dq$, $\int_p^1w=1$",
        (r"$P(\text{sample }n\text{ fails}\mid\text{past})\le p$ for every $n$", "$p$ and $w$ fixed beforehand"),
        "Mixture of likelihood ratios (Robbins, Ann. Math. Stat. 41, 1970); Ville",
        "certify.risk.canary.log_evidence",
        checks=("property",),
    ),
)
