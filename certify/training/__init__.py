"""Training from scratch, and recovery with frozen masks and distillation: one loop for both."""

from certify.training.batch_norm import reestimate_batch_norm
from certify.training.loop import accuracy, fit, steps_of
from certify.training.objective import learning_rate, objective

__all__ = ["accuracy", "fit", "learning_rate", "objective", "reestimate_batch_norm", "steps_of"]
