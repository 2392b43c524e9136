"""The studies by name. Each is one module with a `STUDY`, loaded only when it is asked for."""

STUDIES = {
    "busy": "simulations.studies.busy",
    "largest-singular-value": "simulations.studies.largest_singular_value",
    "bbp": "simulations.studies.bbp",
    "bulk-fit": "simulations.studies.bulk_fit",
    "noise-fits": "simulations.studies.noise_fits",
    "scaling": "simulations.studies.scaling",
    "collapse": "simulations.studies.collapse",
    "score-laws": "simulations.studies.score_laws",
    "certificates": "simulations.studies.certificates",
    "gaussian-budgets": "simulations.studies.gaussian_budgets",
    "randomness": "simulations.studies.randomness",
    "pruning-masks": "simulations.studies.pruning_masks",
    "pruning-recovery": "simulations.studies.pruning_recovery",
    "coverage": "simulations.studies.coverage",
    "selection-plateau": "simulations.studies.selection_plateau",
    "spectral-distortion": "simulations.studies.spectral_distortion",
}
