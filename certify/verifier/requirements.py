"""What a caller requires of a certificate: `accuracy_drop<=0.01@0.99`, `disagreement_by_class<=0.2@0.95`, `sparsity>=0.5`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from certify.records import STATEMENTS, Guarantee, Plan, Unmet, Usage

NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
STATEMENT = re.compile(rf"\s*({'|'.join(STATEMENTS)})\s*<=\s*({NUMBER})\s*@\s*({NUMBER})\s*")
# Limits that can be asked for: shares, differences of shares, nats.
RANGE = {name: (0, 1) if name.startswith("disagreement") else (-1, 1) for name in STATEMENTS} | {"ce_increase": (-1000, 1000)}
SPARSITY = re.compile(rf"\s*sparsity\s*>=\s*({NUMBER})\s*")


@dataclass(frozen=True)
class Requirement:
    """`quantity` at most `value` at `confidence` or more; for sparsity at least `value`, without confidence."""

    text: str
    quantity: str
    value: Fraction
    confidence: Fraction | None

    def decide(self, guarantees: Sequence[Guarantee], plan: Plan | None, unchecked: Sequence[str] = ()) -> tuple[bool, str]:
        """Whether it holds, and the number that says so. What cannot be decided does not hold."""
        if self.confidence is None:
            return self._decide_sparsity(plan)
        if self.quantity in unchecked:
            return False, f"undecided: what the {self.quantity} guarantee rests on could not be checked"
        found = [guarantee for guarantee in guarantees if guarantee.statement == self.quantity]
        if not found:
            return False, f"undecided: the certificate holds no {self.quantity} guarantee"
        for guarantee in found:
            if _decimal(guarantee.limit) <= self.value and 1 - _decimal(guarantee.delta) >= self.confidence:
                return True, f"met: {_limit(guarantee)}"
        return False, f"not met: {'; '.join(_limit(guarantee) for guarantee in found)}"

    def _decide_sparsity(self, plan: Plan | None) -> tuple[bool, str]:
        if plan is None:
            return False, "undecided: the pair was given without a plan, so no sparsity is certified"
        share = Fraction(plan.removed, plan.total)
        said = f"{plan.removed} of {plan.total} weights of the edited targets are zero, a share of {float(share):.6g}"
        return share >= self.value, f"{'met' if share >= self.value else 'not met'}: {said}"


def parse(text: str) -> Requirement:
    """Read one requirement; anything else than the three forms is a wrong call."""
    if match := SPARSITY.fullmatch(text):
        value = Fraction(match[1])
        _inside(text, "the sparsity", value, 0 <= value <= 1, "[0, 1]")
        return Requirement(text, "sparsity", value, None)
    if match := STATEMENT.fullmatch(text):
        value, confidence = Fraction(match[2]), Fraction(match[3])
        low, high = RANGE[match[1]]
        _inside(text, "the limit", value, low <= value <= high, f"[{low}, {high}]")
        _inside(text, "the confidence", confidence, 0 < confidence < 1, "(0, 1)")
        return Requirement(text, match[1], value, confidence)
    raise Usage(
        f"requirement {text!r} is not understood; write accuracy_drop<=0.01@0.99, disagreement<=0.05@0.95 or sparsity>=0.5; "
        f"limits are known of {', '.join(STATEMENTS)}"
    )


def decide(
    requirements: Sequence[Requirement], guarantees: Sequence[Guarantee], plan: Plan | None, unchecked: Sequence[str] = ()
) -> dict[str, str]:
    """Requirement -> the number that meets it. One that is not met, or is undecided, raises `Unmet`.

    unchecked : statements of which something could not be checked.
    """
    answers = {requirement.text: requirement.decide(guarantees, plan, unchecked) for requirement in requirements}
    failed = [f"{text}: {said}" for text, (holds, said) in answers.items() if not holds]
    if failed:
        raise Unmet("requirement " + " · ".join(failed))
    return {text: said for text, (_, said) in answers.items()}


def _inside(text: str, what: str, value: Fraction, holds: bool, interval: str) -> None:
    if not holds:
        raise Usage(f"requirement {text!r}: {what} {float(value):g} is not in {interval}")


def _decimal(value: float) -> Fraction:
    """The number as it is printed, so that 1 - 0.05 is 0.95 and not its neighbour."""
    return Fraction(repr(float(value)))


def _limit(guarantee: Guarantee) -> str:
    return f"{guarantee.statement} <= {guarantee.limit!r} at confidence {float(1 - _decimal(guarantee.delta)):g}"
