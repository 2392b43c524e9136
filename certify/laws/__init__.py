"""Random-matrix laws as pure functions: numpy and scipy, never torch, never I/O.

Reading order: `marchenko_pastur` (the bulk), `tracy_widom` (the fluctuation of its edge), `edge` and `wishart` (where a bulk
ends), `spikes` (what a signal adds), `shrinkage` (what to do with it), `bulk_fit` (the noise level), `maxima`,
`accuracy` (how far all this is from independent references, those of `published` among them), `claims`.
Every law takes (rows, cols, entry_variance): R is rows x cols with independent entries of that variance.
"""
