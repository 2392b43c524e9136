"""Spikes over a bulk, thresholds, and rounding."""

from __future__ import annotations

from proofs_check.coq.entry import Entry, entry

_SPIKES = "laws.spikes"
_SIZES = "theory.outward.data_path"

ENTRIES: tuple[Entry, ...] = (
    entry(
        "M5-bbp-map",
        "Laws",
        "spike_above_edge",
        r"$\rho(\theta)^2\ge b$, with equality exactly at $\theta^4=nmv^2$",
        f"{_SPIKES}.spiked_value",
    ),
    entry("M5-inverse", "Laws", "spike_inverse", r"$\rho(\hat\theta(s))=s$ for $s\ge\sqrt b$", f"{_SPIKES}.strength"),
    entry(
        "M6-inverse-D",
        "Laws",
        "d_transform_inverse",
        r"$D(s)=\hat\theta(s)^{-2}$, $D(\rho(\theta))=\theta^{-2}$ for $\theta\ge\theta_c$",
        f"{_SPIKES}.d_transform",
    ),
    entry(
        "M6-inverse-D",
        "Laws",
        "d_transform_decreasing",
        r"$D$ strictly decreasing on $[\sqrt b,\infty)$, $0<D\le\theta_c^{-2}$",
        f"{_SPIKES}.d_transform",
    ),
    entry(
        "C4.12-bbp-persistent",
        "Laws",
        "square_estimate",
        r"$s-\hat\sigma=\frac{2g}{s+\sqrt{s^2-4g}}\le\sqrt g$, $\hat\sigma+g/\hat\sigma=s$",
        f"{_SPIKES}.strength",
    ),
    entry(
        "X26-perturbation-constants",
        "Laws",
        "square_estimate_error",
        r"(d) $|s-\sigma|\le e$: $|\hat\sigma-\sigma|\le e+\sqrt g$",
        "theory.perturbation.corrected_value_error_upper",
    ),
    entry(
        "ESM1-T5.4-inverse-D",
        "Laws",
        "inverse_root_error",
        r"$|D-\theta^{-2}|\le\epsilon<\theta^{-2}$: $|D^{-1/2}-\theta|\le\theta((1-\epsilon\theta^2)^{-1/2}-1)$",
        f"{_SPIKES}.strength_error_upper",
    ),
    entry(
        "X29-dot",
        "Rounding",
        "float_dot_error",
        r"$|\mathrm{fl}(x^\top y)-x^\top y|\le\gamma_n|x|^\top|y|+2n\nu$, any order of summation, fused or not",
        f"{_SIZES}.data_path_size_upper",
    ),
    entry(
        "X29-dot",
        "Rounding",
        "absolute_dot_upper",
        r"$nu<\frac14\Rightarrow|x|^\top|y|\le(1+2\gamma_n)\,\mathrm{fl}(|x|^\top|y|)+2n\nu$",
        f"{_SIZES}.data_path_size_upper",
    ),
    entry(
        "ESM1-T3.20-threshold",
        "Masks",
        "threshold_support",
        r"$\max|R_{ij}|\le t\Rightarrow\{|S_{ij}|>2t\}\subseteq\{|W_{ij}|>t\}\subseteq\operatorname{supp}S$",
        "theory.thresholds.above_threshold",
    ),
    entry(
        "ESM1-T3.20-threshold",
        "Masks",
        "threshold_recovery",
        r"$\min_{\operatorname{supp}S}|S_{ij}|>2t$: $\{|W_{ij}|>t\}=\operatorname{supp}S$",
        "theory.thresholds.above_threshold",
    ),
    entry(
        "ESM1-L4.1-slack",
        "Masks",
        "slack",
        r"$(X_N-Y_N-\eta)_+\to0$ in probability for all $\eta>0$: $(X_N-Y_N)_+\to0$",
        "theory.additive.excess",
    ),
)

PARTIAL: dict[str, str] = {
    "ESM1-T3.20-threshold": "the probabilities of the events",
    "X29-dot": "that float64 operations obey the standard model, |delta| <= 2^-53 and underflow <= 2^-1075",
    "M5-bbp-map": "the limits of the singular values",
    "M6-inverse-D": "the product of Stieltjes transforms, and the slope at the edge",
    "C4.12-bbp-persistent": "Weyl's step |s_i - sigma_i| <= |R|_op, and the limit",
    "X26-perturbation-constants": "(a), (b), (c), and in (d) Weyl's step |s_i(W) - s_i(S)| <= |R|_op",
}
