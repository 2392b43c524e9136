"""The certificates as pure functions on float64 arrays: numpy and scipy, never torch, never I/O.

Reading order:

1. `cross_entropy` — how far the loss can move when the logits do;
2. `margins`       — which decisions can change;
3. `path`          — how far the logits do move along a segment of weights;
4. `budget`        — the paper's layerwise budget, token counts, its Gaussian model;
5. `elastic_net`   — when the regulariser pays for a removal;
6. `binomial`      — what outcomes on unseen samples say about the population;
7. `emp`           — effective-number pruning;
8. `rank_monotone`, `graph_spectra` — which masks must coincide, what a spectral score cannot tell;
9. `claims`        — every theorem above as data: statement, hypotheses, source, function.

Every function refuses NaN, infinity, empty samples and shapes it does not state (`certify.records.Refused`). Values are
rounded to nearest: right to the stated accuracy (tier `resolved`), not outward, unless a function says otherwise. Nothing
here turns a comparison with NaN into a certificate.
"""
