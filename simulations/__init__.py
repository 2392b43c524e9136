"""Monte Carlo studies of the theory: samplers, synthetic networks with known ground truth, and the sweep engine that runs them.

A study is a pure function of (parameters, random generator); a grid in TOML says where it is evaluated.
`python -m simulations list` shows the studies. It imports certify, and certify never imports it.
"""

from simulations.engine.precision import Estimate, until, until_share
from simulations.engine.study import Cell, Study

__all__ = ["Cell", "Estimate", "Study", "until", "until_share"]
