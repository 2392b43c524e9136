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
)
