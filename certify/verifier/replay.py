"""Level `replay`: the networks run again, on data that is read again, and the numbers must come out the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from certify.records import Bound, Check, Ladder, Refused
from certify.verifier import balls, tensors
from certify.verifier.data import Source, check_samples, reload
from certify.verifier.files import REFERENCE, Reread
from certify.verifier.network import Line, in_onnxruntime, in_torch, in_torch_merging, rebuild
from certify.verifier.rungs import Rerun, check_proved, check_rungs
from certify.verifier.tensors import Checkpoint

# Relative distance of logits from those stated, by number format of the activations; 16 bits round otherwise elsewhere.
LOGITS = 1e-4
COARSE = {"bfloat16": 2.0**-5, "float16": 2.0**-8}
LADDER_SAMPLES = 32
# Networks on each segment that `paranoid` evaluates for every sample with a proved rung; samples evaluated in balls.
PARANOID = 1024
BALL_SAMPLES = 2
MOST_THREADS = 1024
SMALL_BYTES = 8_000_000


def replay(found: Reread, data_dir: Path | None, paranoid: bool) -> tuple[Check, ...]:
    """Rebuild, reload and rerun everything the certificate's outcomes and ladders were computed from.

    paranoid : ladders on all their samples, and many more points inside everything that is proved.
    """
    reference, shipped = _present(found), found.shipped
    source = reload(found.recipe, found.description["preprocessing"], data_dir)
    check_samples(source, found.splits)
    checks = [Check("data", True, f"{source.name}: {len(source.digests)} samples have the content the splits state")]
    threads = found.outcomes.arithmetic.get("threads")
    with _threads(threads if isinstance(threads, int) and 0 < threads <= MOST_THREADS else torch.get_num_threads()):
        checks += _predictions(found, source, reference)
    if found.ladder is None or shipped is None:
        return tuple(checks)
    with _threads(1 if _small(reference) else torch.get_num_threads()):
        checks += _bounds(found, source, "ladder", found.ladder, reference, shipped, paranoid)
        if found.masked is not None and found.plan is not None:
            start = tensors.masked(reference, found.plan, REFERENCE)
            checks += _bounds(found, source, "masked ladder", found.masked, reference, start, paranoid)
    if any(guarantee.statement == "ce_increase" for guarantee in found.certificate.guarantees):
        checks.append(_ending(found))
    return (*checks, Check("layer table", False, "data-path sizes are read, not recomputed"))


def _small(network: Checkpoint) -> bool:
    """Hundreds of evaluations of a few milliseconds each: handing them to threads costs more than it saves."""
    return sum(len(tensor.data) for tensor in network.values()) < SMALL_BYTES


def _present(found: Reread) -> Checkpoint:
    """The reference; the shipped network is here too."""
    shipped = found.folder / "plans" / found.name / ("model.safetensors" if found.ladder is not None else "model.onnx")
    for key, present in ((REFERENCE, found.reference is not None), (shipped.name, shipped.exists())):
        if not present:
            raise Refused(f"{key}: absent, and level replay runs it; restore the file or verify at level files")
    assert found.reference is not None
    return found.reference


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _predictions(found: Reread, source: Source, reference: Checkpoint) -> list[Check]:
    """The reference in float32 and the shipped network as it is deployed, on the whole certification split."""
    outcomes, positions = found.outcomes, found.splits.indices["certification"]
    labels = None if source.labels is None else source.labels[np.asarray(positions)]
    stated = outcomes.labels
    if (labels is None) != (stated is None) or (labels is not None and stated is not None and not np.array_equal(labels, stated)):
        raise Refused("outcomes: their labels are not those of the data")
    images = source.images(positions)
    runs = found.recipe.runs
    off = _compared("reference", in_torch(found.recipe, reference, "reference checkpoint")(images), outcomes.reference)
    if found.shipped is not None and found.recipe.merge:
        logits, clear = in_torch_merging(found.recipe, found.shipped, "shipped checkpoint")(images)
        off = max(off, _compared("shipped", logits[clear], outcomes.shipped[clear], runs))
        said = f"both networks decide the same on {int(clear.sum())} of {outcomes.size} samples, logits within {off:.2g}"
        return [Check("predictions", True, f"{said}; on the others two merges are too close to call in {runs}")]
    if found.shipped is not None:
        shipped = in_torch(found.recipe, found.shipped, "shipped checkpoint", runs)(images)
    else:
        try:
            shipped = in_onnxruntime(found.folder / "plans" / found.name / "model.onnx")(images)
        except ImportError as missing:
            said = f"the reference decides the same on {outcomes.size} samples, logits within {off:.2g}"
            return [Check("predictions of the reference", True, said), Check("predictions of model.onnx", False, str(missing))]
    off = max(off, _compared("shipped", shipped, outcomes.shipped, runs))
    said = f"both networks decide the same on {outcomes.size} samples, logits within {off:.2g}"
    return [Check("predictions", True, said)]


def _compared(name: str, rerun: np.ndarray, stated: np.ndarray, runs: str = "float32") -> float:
    """Largest relative distance of the logits; refused where they or the decisions are not those stated.

    In 16 bits another processor may round otherwise: a decision counts where its margin exceeds what rounding may do.
    """
    tolerance = COARSE.get(runs, LOGITS)
    if rerun.shape != stated.shape:
        raise Refused(f"outcomes: {name} logits have shape {stated.shape}, the network gives {rerun.shape}")
    top = np.sort(stated, axis=1)[:, -2:]
    clear = top[:, 1] - top[:, 0] > 2 * tolerance * (1 + np.abs(top[:, 1])) if runs in COARSE else True
    changed = np.flatnonzero((rerun.argmax(axis=1) != stated.argmax(axis=1)) & clear)
    if len(changed):
        sample = int(changed[0])
        raise Refused(
            f"outcomes: {name} prediction differs on {len(changed)} of {len(stated)} samples; "
            f"sample {sample}: {int(stated[sample].argmax())} stated, {int(rerun[sample].argmax())} found"
        )
    off = np.abs(rerun - stated) / (1 + np.abs(stated))
    if not np.all(off <= tolerance):
        sample, label = (int(index) for index in np.unravel_index(int(np.argmax(off)), off.shape))
        raise Refused(
            f"outcomes: {name} logit {label} of sample {sample} is {float(stated[sample, label]):.9g}, "
            f"the network gives {float(rerun[sample, label]):.9g}"
        )
    return float(off.max(initial=0.0))


def _ending(found: Reread) -> Check:
    """The network ends as the range of ce_increase takes it to: a LayerNorm, a mean or one token of it, a linear head."""
    model: Any = rebuild(found.recipe)
    pooled_last = not isinstance(model.fc_norm, torch.nn.Identity) if hasattr(model, "fc_norm") else False
    last = model.fc_norm if pooled_last else getattr(model, "norm", None)
    plain = pooled_last or (getattr(model, "global_pool", "") in ("avg", "token") and getattr(model, "attn_pool", None) is None)
    if type(model).__name__ != "VisionTransformer" or not (isinstance(last, torch.nn.LayerNorm) and plain):
        raise Refused(f"guarantee ce_increase: {found.recipe.model.name} does not end in a LayerNorm and a head")
    return Check("end of the network", True, f"{type(model).__name__}: LayerNorm, pooling {model.global_pool}, linear head")


def _bounds(
    found: Reread, source: Source, name: str, ladder: Ladder, reference: Checkpoint, shipped: Checkpoint, paranoid: bool
) -> list[Check]:
    """A ladder on some of its samples, chosen by the certificate's own hash; what is proved, on a few more points."""
    position = dict(zip(found.splits.samples["calibration"], found.splits.indices["calibration"], strict=True))
    rng = np.random.default_rng(int(found.certificate.content_hash[:16], 16))
    line = Line(found.recipe, reference, shipped)

    def rerun(chosen: np.ndarray) -> Rerun:
        positions = [position[ladder.samples[index]] for index in chosen]
        images = source.images(positions)
        labels = source.labels[np.asarray(positions)] if source.labels is not None else line.at(1.0, images).argmax(axis=1)
        return Rerun(line, images, labels)

    count = len(ladder.samples) if paranoid else min(LADDER_SAMPLES, len(ladder.samples))
    chosen = np.sort(rng.choice(len(ladder.samples), size=count, replace=False))
    checks = [Check(f"{name} rerun", True, check_rungs(name, ladder, chosen, rerun(chosen)))]
    proved = next((bound for bound in ladder.bounds if bound.quantity == "proved_change"), None)
    if proved is None or not len(proved.asked):
        return checks
    if paranoid:
        inside, thetas = np.arange(len(proved.asked)), rng.random(PARANOID)
        again = rerun(inside)
        check_proved(name, ladder, inside, again, np.stack([line.at(float(theta), again.images) for theta in thetas]))
        said = f"{PARANOID} networks on the segment of each of {len(inside)} samples lie inside what is proved"
        checks.append(Check(f"{name}, points inside", True, said))
    picked = rng.choice(len(proved.asked), size=min(BALL_SAMPLES, len(proved.asked)), replace=False)
    return [*checks, _in_balls(name, proved, picked, rerun(picked), [0.0, float(rng.random())])]


def _in_balls(name: str, proved: Bound, picked: np.ndarray, rerun: Rerun, thetas: Sequence[float]) -> Check:
    """The change of the largest logit in 200-bit balls, against what is proved, without any slack."""
    line, label = rerun.line, f"{name}, 200-bit balls"
    start, end = ({key: tensor.numpy() for key, tensor in side.items()} for side in (line.start, line.end))
    try:
        with balls.precision() as flint:
            for index, image in zip(picked, rerun.images, strict=True):
                fixed = balls.logits(line.model, start, end, 1.0, image)
                for theta in thetas:
                    change = balls.largest_change(flint, balls.logits(line.model, start, end, theta, image), fixed)
                    if not change <= proved.upper[index]:
                        raise Refused(
                            f"{name}: proved_change of sample {int(index)} is {proved.upper[index]:.17g}; "
                            f"at theta = {theta:.17g} a logit is {float(change.mid()):.17g} from its value at theta = 1"
                        )
    except balls.Unknown as reason:
        return Check(label, False, str(reason))
    return Check(label, True, f"{len(thetas)} networks on the segment of each of {len(picked)} samples, {balls.BITS} bits")
