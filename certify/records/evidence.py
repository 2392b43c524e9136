"""Evidence: what was learned from the weights and the calibration split, once, for every method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from certify.records.errors import Refused
from certify.records.fields import frozen
from certify.records.files import read_tensors, tensors_about, write_tensors
from certify.records.networks import check_digest

# Shares of a target, smallest magnitudes first, at which its `costs` are measured.
COST_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
# What evidence may hold beside the weights, one float64 array a target. v is an input of the target, R a removed part.
PARTS = {
    "moments": "(cols,), or (rows, cols) where rows read different inputs: mean of v_j^2 over samples and tokens",
    "grams": "(blocks, b, b): mean of v v^T within blocks of b consecutive inputs, zero beyond the last input",
    "inputs": "(samples, cols): largest |v_j| over the tokens of a sample",
    "sensitivities": "(samples,): largest logit change per unit of max-norm at the target's output; first order, so no bound",
    "costs": "(levels,): mean logit change when the target alone loses each share of COST_LEVELS by magnitude, tier resolved",
    "movements": "(rows, cols): how far each removed weight moved when only removed weights were trained",
    "states": "(2, N, cols): inputs before and after their activation, at a draw of N tokens; of attention, values and context",
    "taylor": "(cols,): sum over batches of |d loss / d m_j| at m = 1, m a mask on the target's inputs; needs labels",
}


@dataclass(frozen=True)
class Evidence:
    """Weights and PARTS, by target name, of one network on one split.

    reference : digest of the network. split : digest of the samples. samples : how many.
    weights   : target name -> (rows, cols) float64, the weights the scores are taken from.
    parts     : part -> target name -> array, see PARTS. Only what was asked for is there.
    producers : target name -> the layer that alone writes its inputs, unit by unit; known for targets with states.
    """

    reference: str
    split: str
    samples: int
    weights: Mapping[str, np.ndarray]
    parts: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    producers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_digest(self.reference, "evidence.reference")
        object.__setattr__(self, "weights", {name: frozen(value, np.float64) for name, value in self.weights.items()})
        parts = {part: {name: frozen(value, np.float64) for name, value in arrays.items()} for part, arrays in self.parts.items()}
        object.__setattr__(self, "parts", parts)
        for name, weight in self.weights.items():
            if weight.ndim != 2:
                raise Refused(f"{name}: evidence wants a (rows, cols) matrix, found shape {weight.shape}")
            if not np.all(np.isfinite(weight)):
                raise Refused(f"{name}: weights hold NaN or infinity; nothing can be certified about them")
        for part, arrays in parts.items():
            if part not in PARTS:
                raise Refused(f"evidence: {part!r} is none of {', '.join(PARTS)}")
            for name, array in arrays.items():
                if name not in self.weights:
                    raise Refused(f"{name}: evidence holds its {part} and not its weights")
                if not np.all(np.isfinite(array)):
                    raise Refused(f"{name}: its {part} hold NaN or infinity; look at the calibration images")

    def part(self, part: str, target: str) -> np.ndarray:
        """One array; where it was not collected, the sentence says what to collect."""
        found = self.parts.get(part, {}).get(target)
        if found is None:
            held = ", ".join(sorted(self.parts)) or "weights alone"
            raise Refused(f"{target}: the evidence lacks its {part} (holds {held}); collect it again with {part} among its parts")
        return found

    def save(self, path: Path) -> None:
        """Write one safetensors file; the order of the targets is kept beside the arrays."""
        arrays = {f"weights/{name}": value for name, value in self.weights.items()}
        arrays |= {f"{part}/{name}": value for part, found in self.parts.items() for name, value in found.items()}
        about = {"reference": self.reference, "split": self.split, "samples": self.samples, "order": list(self.weights)}
        about |= {"producers": dict(self.producers)} if self.producers else {}
        write_tensors(path, arrays, about)

    @classmethod
    def load(cls, path: Path) -> Evidence:
        arrays, about = read_tensors(path), tensors_about(path)
        try:
            names = about["order"]
            parts = {part: {name: arrays[f"{part}/{name}"] for name in names if f"{part}/{name}" in arrays} for part in PARTS}
            return cls(
                about["reference"],
                about["split"],
                about["samples"],
                {name: arrays[f"weights/{name}"] for name in names},
                {part: found for part, found in parts.items() if found},
                about.get("producers", {}),
            )
        except (KeyError, TypeError) as error:
            raise Refused(f"{path}: not an evidence file ({type(error).__name__}: {error})") from None
