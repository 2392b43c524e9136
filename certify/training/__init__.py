"""Training from scratch, and recovery with frozen masks and distillation: one loop for both."""

from certify.training.loop import accuracy, fit, train
from certify.training.objective import learning_rate, objective

__all__ = ["accuracy", "fit", "learning_rate", "objective", "train"]
