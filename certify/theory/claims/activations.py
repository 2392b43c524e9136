"""Claims about activation functions and softmax, for enclosures along a path (PE-.., methods/path-enclosures.md)."""

from __future__ import annotations

from certify.records import Claim

_PATHS = "methods/path-enclosures.md, 5.2"

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "PE-gelu-slope",
        "Slope of GELU",
        r"$-0.128905<\mathrm{GELU}'(x)=\Phi(x)+x\varphi(x)<1.128905$ for every $x\in\mathbb R$; both ends exact to $10^{-6}$",
        (r"exact GELU, $x\Phi(x)$",),
        f"{_PATHS} (rounded outward by the errata)",
        "certify.theory.activations.gelu_slope_range",
        checks=("symbolic", "ball", "property"),
    ),
    Claim(
        "PE-gelu-curvature",
        "Curvature of GELU",
        r"$-2\varphi(2)\le\mathrm{GELU}''(x)=(2-x^2)\varphi(x)\le2\varphi(0)$",
        (r"exact GELU, $x\Phi(x)$",),
        _PATHS,
        "certify.theory.activations.gelu_curvature_range",
        checks=("symbolic", "ball", "property"),
    ),
    Claim(
        "PE-silu-slope",
        "Slope of SiLU",
        r"$-0.09984<\mathrm{SiLU}'(x)=s(x)(1+x(1-s(x)))<1.09984$ for every $x\in\mathbb R$, $s(x)=1/(1+e^{-x})$",
        (),
        f"as {_PATHS}, for SiLU",
        "certify.theory.activations.silu_slope_range",
        checks=("ball", "property"),
    ),
    Claim(
        "PE-softmax-tv",
        "Total variation of softmax",
        r"$\mathrm{TV}(\rho(z),\rho(z+d))\le\tanh(E/2)$, attained; "
        r"$|\sum_j(\rho_j(z+d)-\rho_j(z))v_j|\le\tanh(E/2)\operatorname{osc}(v)$",
        (r"$\|d\|_\infty\le E$", r"$K\ge2$"),
        _PATHS,
        "certify.theory.activations.softmax_variation_upper",
        checks=("symbolic", "ball", "property"),
    ),
)
