"""Synthetic networks W = S + R of which every hypothesis is known to hold or to fail.

Reading order: `recipe` (what can be chosen), `parts` (signals and noise laws), `architectures` (MLP, CNN, transformer block
and what follows a target), `network` (the network with its truth), `constants` (L_s by row sums and by exact tracing),
`removals` (a removal and its measured effect), `regression` (softmax regression trained to stationarity), `cases` (each
certificate on one instance, as it stands and with one hypothesis broken).
"""

from simulations.networks.architectures import Tail, Trace
from simulations.networks.cases import CASES, Case, Measured, measure
from simulations.networks.constants import exact_paths, row_sums, traced
from simulations.networks.network import SyntheticNetwork, build
from simulations.networks.recipe import Recipe

__all__ = [
    "CASES",
    "Case",
    "Measured",
    "Recipe",
    "SyntheticNetwork",
    "Tail",
    "Trace",
    "build",
    "exact_paths",
    "measure",
    "row_sums",
    "traced",
]
