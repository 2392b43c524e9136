"""A model card: the summary of one certificate as README.md with the YAML front matter that model hubs read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from certify.records import Certificate, Guarantee, Outcomes, Refused, Run
from certify.records.files import read_json
from certify.records.recipe import RUNS, Recipe
from certify.report.formats import confidence, listing, percent, whole
from certify.report.summary import KIND, VACUOUS
from certify.report.tables import STATEMENT

RUNNING = {
    "float32": "in torch, float32 on the CPU",
    "bfloat16": "in torch with weights and activations in bfloat16 on the CPU",
    "float16": "in torch with weights and activations in float16 on the CPU",
    "onnxruntime": "as an ONNX graph through onnxruntime on the CPU",
}
MASKED = {
    "masked.ladder": "with the weights removed and nothing retrained",
    "ladder": "as shipped",
}


def card(run: Run, name: str) -> str:
    """README.md for what one plan of a run ships. Its certificate and outcomes must be there; nothing is recomputed."""
    folder = run.plan(name)
    if not (folder / "certificate.json").is_file():
        raise Refused(f"{folder}: holds no certificate to make a card of; run certify issue {run.folder} first")
    certificate, recipe = Certificate.load(folder / "certificate.json"), run.recipe()
    outcomes = Outcomes.load(folder / "outcomes.parquet")
    if outcomes.pair != certificate.pair:
        raise Refused(f"{folder / 'outcomes.parquet'}: its pair is not that of the certificate")
    levels = [entry["level"] for entry in _verdicts(folder / "verdicts.json") if entry["certificate"] == certificate.content_hash]
    parts = [
        _front_matter(name, certificate, recipe, outcomes),
        f"# {certificate.pair.architecture}, {name}",
        _what(certificate, recipe),
        "## What was removed",
        _removed(certificate),
        "## What is proved",
        _proved(certificate),
        "## What is guaranteed",
        _guaranteed(certificate.guarantees),
        "## What was measured",
        _measured(outcomes),
        "## How to verify",
        _verify(name, levels),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(name: str, certificate: Certificate, recipe: Recipe, outcomes: Outcomes) -> str:
    """JSON strings and numbers are YAML."""
    counts, said = outcomes.counts(), json.dumps
    metrics: list[tuple[str, str, float]] = []
    if "correct_shipped" in counts:
        share = counts["correct_shipped"] / counts["samples"]
        metrics.append(("accuracy", f"accuracy, measured on {counts['samples']} held-out samples", share))
    share = counts["disagreements"] / counts["samples"]
    metrics.append(("disagreement", f"decisions that differ from the reference, measured on {counts['samples']}", share))
    for entry in certificate.guarantees:
        word = f"{VACUOUS}: upper limit" if entry.vacuous else "guaranteed upper limit"
        label = f"{STATEMENT.get(entry.statement, entry.statement)}, {word} at confidence {confidence(entry.delta)}"
        metrics.append((entry.statement, label.replace("\u00a0", " "), entry.limit))
    pruned = certificate.about["plan"] is not None
    kind = "imagefolder" if recipe.data.source == "folder" else recipe.data.source
    lines = ["---", "library_name: timm", "tags:", "- image-classification", "- timm", *(["- pruning"] if pruned else [])]
    lines += ["model-index:", f"- name: {said(f'{certificate.pair.architecture} {name}')}", "  results:", "  - task:"]
    lines += ["      type: image-classification", "    dataset:", f"      name: {said(recipe.data.source)}"]
    lines += [f"      type: {said(kind)}", "      split: certification", "    metrics:"]
    for kind, label, value in metrics:
        lines += [f"    - type: {kind}", f"      name: {said(label, ensure_ascii=False)}", f"      value: {value!r}"]
    return "\n".join([*lines, "---"])


def _what(certificate: Certificate, recipe: Recipe) -> str:
    pair = certificate.pair
    kind = KIND.get(pair.kind, pair.kind)
    merging = f", merging {', '.join(map(str, recipe.merge))} tokens a block" if recipe.merge else ""
    return (
        f"A {pair.architecture}: {kind}, run {RUNNING[recipe.runs]}{merging}.\n\n"
        f"- reference network `{pair.reference}`\n- shipped network `{pair.shipped}`\n"
        f"- certificate `{certificate.content_hash}`"
    )


def _removed(certificate: Certificate) -> str:
    plan = certificate.about["plan"]
    if plan is None:
        return "The pair was given without a plan, so the certificate says nothing of removed weights."
    pattern = f", pattern {plan['pattern']}" if plan["pattern"] else ""
    share = percent(plan["removed"] / plan["total"]).replace("\u00a0", " ")
    return f"{whole(plan['removed'])} of {whole(plan['total'])} weights ({share}) are zero{pattern}, by method {plan['method']}."


def _proved(certificate: Certificate) -> str:
    """Rungs of tier `proved`, the only ones that may be called certified, each with the samples it holds on."""
    lines = []
    for ladder, about in certificate.about["ladders"].items():
        for rung, entry in about["rungs"].items():
            if entry["tier"] == "proved":
                lines.append(f"- {MASKED.get(ladder, ladder)}, `{rung}`: {_bounded(entry, about['samples'])}")
    if not certificate.about["ladders"] and certificate.about.get("runs") == "onnxruntime":
        return "Nothing: no segment of weights leads from an ONNX graph to the reference, so no bound covers it."
    if not lines:
        return "Nothing: no bound of tier `proved` is available for this network."
    runs = certificate.about.get("runs", RUNS[0])
    rounding = "" if runs == RUNS[0] else f" The rounding of {runs} activations is not covered."
    rounding += " Token merging is not covered: the weights are those of the network without it." * ("merge" in certificate.about)
    return (
        "Certified, for the networks in real arithmetic with the weights as stored, on the calibration samples named and on no "
        f"others:{rounding}\n\n" + "\n".join(lines)
    )


def _bounded(entry: Mapping[str, Any], samples: int) -> str:
    count = entry.get("samples", samples)
    if entry["unit"] == "decision":
        return f"excluded on {count - entry['total']} of {count} samples" + (f" ({VACUOUS})" if entry["total"] == count else "")
    if entry["largest"] is None:
        return f"{VACUOUS} on {entry.get('vacuous', count)} of {count} samples"
    return f"at most {entry['largest']:.4g} {entry['unit']} on each of {count} samples"


def _guaranteed(guarantees: Sequence[Guarantee]) -> str:
    if not guarantees:
        return "Nothing."
    lines = [f"- {entry.sentence}" for entry in guarantees]
    assumptions = dict.fromkeys(text for entry in guarantees for text in entry.assumptions)
    return "\n".join(lines) + "\n\nThis rests on:\n\n" + "\n".join(f"- {text}" for text in assumptions)


def _measured(outcomes: Outcomes) -> str:
    counts = outcomes.counts()
    said = f"On {whole(counts['samples'])} held-out samples {whole(counts['disagreements'])} decisions differ from the reference"
    if "correct_shipped" in counts:
        right, shipped = whole(counts["correct_reference"]), whole(counts["correct_shipped"])
        said += f"; {right} are right in the reference, {shipped} as shipped"
    return f"{said}."


def _verify(name: str, levels: Sequence[str]) -> str:
    before = f"It was verified at {listing([f'level {level}' for level in levels])}." if levels else "No verdict is on record."
    return (
        f"{before} With the run folder:\n\n```\ncertify verify plans/{name}/certificate.json --level replay\n```\n\n"
        "An exported file is named by its network hash: `certify compare` runs it as deployed and issues guarantees of its own."
    )


def _verdicts(path: Any) -> list[Mapping[str, Any]]:
    return read_json(path) if path.is_file() else []
