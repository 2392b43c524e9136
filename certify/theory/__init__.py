"""The certificates as pure functions on float64 arrays: numpy and scipy, never torch, never I/O.

Reading order:

1.  `cross_entropy` — how far the loss can move when the logits do;
2.  `margins`       — which decisions can change;
3.  `path`          — how far the logits do move along a segment of weights;
4.  `budget`        — the paper's layerwise budget, with tokens counted;
5.  `elastic_net`   — when the regulariser pays for a removal;
6.  `stationarity`  — what a trained point forces on a part that could be removed;
7.  `gaussian`, `gaussian_network`, `thresholds` — the budget when the removed part is noise, in one layer and in several;
8.  `additive`, `three_layer` — finite-size cores of the framework W = S + R;
9.  `perturbation`  — singular values, subspaces and spectral distributions of W = S + R;
10. `patterns`      — k:n masks and their group costs;
11. `emp`           — effective-number pruning;
12. `rank_monotone`, `graph_spectra` — which masks must coincide, what a spectral score cannot tell;
13. `activations`, `enclosure` — extrema of activation functions and of softmax; formulas for enclosures of paths;
14. `binomial`      — what outcomes on unseen samples say about the population;
15. `exact`         — rational twins: whatever is decidable, decided;
16. `outward`       — twins whose rounding is part of the bound: tier `proved` for the stored weights;
17. `claims`        — every theorem above as data: statement, hypotheses, source, function.

Every function refuses NaN, infinity, empty samples and shapes it does not state (`certify.records.Refused`). Values are
rounded to nearest: right to the stated accuracy (tier `resolved`), not outward, except in `exact` and `outward`. Nothing
here turns a comparison with NaN into a certificate.
"""
