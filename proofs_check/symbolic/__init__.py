"""Identities by sympy, polynomial inequalities by z3. Exponentials enter z3 as positive variables, e^(2 eta) as w >= 1."""

from proofs_check.obligations import Obligation
from proofs_check.symbolic import ce, elastic_net, laws, margins

OBLIGATIONS: tuple[Obligation, ...] = (*ce.OBLIGATIONS, *margins.OBLIGATIONS, *elastic_net.OBLIGATIONS, *laws.OBLIGATIONS)
