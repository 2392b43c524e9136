"""Level `replay`: the networks run again, on data that is read again, and the numbers must come out the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from certify.records import Check, Ladder, Refused
from certify.verifier import tensors
from certify.verifier.data import Source, check_samples, reload
from certify.verifier.files import REFERENCE, Reread
from certify.verifier.network import Line, fill, logits, rebuild, state
from certify.verifier.rungs import Rerun, check_rungs
from certify.verifier.tensors import Checkpoint

LOGITS = 1e-4
LADDER_SAMPLES = 32
MOST_THREADS = 1024
SMALL_BYTES = 8_000_000


def replay(found: Reread, data_dir: Path | None) -> tuple[Check, ...]:
    """Rebuild, reload and rerun everything the certificate's outcomes and ladders were computed from."""
    reference, shipped = _present(found)
    source = reload(found.recipe, found.description["preprocessing"], data_dir)
    check_samples(source, found.splits)
    checks = [Check("data", True, f"{source.name}: {len(source.digests)} samples have the content the splits state")]
    threads = found.outcomes.arithmetic.get("threads")
    with _threads(threads if isinstance(threads, int) and 0 < threads <= MOST_THREADS else torch.get_num_threads()):
        checks.append(_predictions(found, source, reference, shipped))
    with _threads(1 if _small(reference) else torch.get_num_threads()):
        checks.append(_bounds(found, source, "ladder", found.ladder, reference, shipped))
        if found.masked is not None and found.plan is not None:
            start = tensors.masked(reference, found.plan, REFERENCE)
            checks.append(_bounds(found, source, "masked ladder", found.masked, reference, start))
    if any(guarantee.statement == "ce_increase" for guarantee in found.certificate.guarantees):
        checks.append(_ending(found))
    return (*checks, Check("layer table", False, "data-path sizes are read, not recomputed"))


def _small(network: Checkpoint) -> bool:
    """Hundreds of evaluations of a few milliseconds each: handing them to threads costs more than it saves."""
    return sum(len(tensor.data) for tensor in network.values()) < SMALL_BYTES


def _present(found: Reread) -> tuple[Checkpoint, Checkpoint]:
    for key, network in ((REFERENCE, found.reference), ("model.safetensors", found.shipped)):
        if network is None:
            raise Refused(f"{key}: absent, and level replay runs it; restore the file or verify at level files")
    assert found.reference is not None and found.shipped is not None
    return found.reference, found.shipped


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _predictions(found: Reread, source: Source, reference: Checkpoint, shipped: Checkpoint) -> Check:
    """Both networks in float32 on the whole certification split."""
    outcomes, positions = found.outcomes, found.splits.indices["certification"]
    labels = None if source.labels is None else source.labels[np.asarray(positions)]
    stated = outcomes.labels
    if (labels is None) != (stated is None) or (labels is not None and stated is not None and not np.array_equal(labels, stated)):
        raise Refused("outcomes: their labels are not those of the data")
    model = rebuild(found.recipe)
    images = source.images(positions)
    worst = 0.0
    for name, network, stated in (("reference", reference, outcomes.reference), ("shipped", shipped, outcomes.shipped)):
        fill(model, state(network), f"{name} checkpoint")
        rerun = logits(model, images)
        if rerun.shape != stated.shape:
            raise Refused(f"outcomes: {name} logits have shape {stated.shape}, the network gives {rerun.shape}")
        changed = np.flatnonzero(rerun.argmax(axis=1) != stated.argmax(axis=1))
        if len(changed):
            sample = int(changed[0])
            raise Refused(
                f"outcomes: {name} prediction differs on {len(changed)} of {len(stated)} samples; "
                f"sample {sample}: {int(stated[sample].argmax())} stated, {int(rerun[sample].argmax())} found"
            )
        off = np.abs(rerun - stated) / (1 + np.abs(stated))
        if not np.all(off <= LOGITS):
            sample, label = (int(index) for index in np.unravel_index(int(np.argmax(off)), off.shape))
            raise Refused(
                f"outcomes: {name} logit {label} of sample {sample} is {float(stated[sample, label]):.9g}, "
                f"the network gives {float(rerun[sample, label]):.9g}"
            )
        worst = max(worst, float(off.max()))
    return Check("predictions", True, f"both networks decide the same on {outcomes.size} samples, logits within {worst:.2g}")


def _ending(found: Reread) -> Check:
    """The network ends as the range of ce_increase takes it to: a LayerNorm, a mean or one token of it, a linear head."""
    model: Any = rebuild(found.recipe)
    pooled_last = not isinstance(model.fc_norm, torch.nn.Identity) if hasattr(model, "fc_norm") else False
    last = model.fc_norm if pooled_last else getattr(model, "norm", None)
    plain = pooled_last or (getattr(model, "global_pool", "") in ("avg", "token") and getattr(model, "attn_pool", None) is None)
    if type(model).__name__ != "VisionTransformer" or not (isinstance(last, torch.nn.LayerNorm) and plain):
        raise Refused(f"guarantee ce_increase: {found.recipe.model.name} does not end in a LayerNorm and a head")
    return Check("end of the network", True, f"{type(model).__name__}: LayerNorm, pooling {model.global_pool}, linear head")


def _bounds(found: Reread, source: Source, name: str, ladder: Ladder, reference: Checkpoint, shipped: Checkpoint) -> Check:
    """A ladder on some of its samples, chosen by the certificate's own hash."""
    position = dict(zip(found.splits.samples["calibration"], found.splits.indices["calibration"], strict=True))
    seed = int(found.certificate.content_hash[:16], 16)
    count = min(LADDER_SAMPLES, len(ladder.samples))
    chosen = np.sort(np.random.default_rng(seed).choice(len(ladder.samples), size=count, replace=False))
    positions = [position[ladder.samples[index]] for index in chosen]
    line = Line(found.recipe, reference, shipped)
    images = source.images(positions)
    labels = source.labels[np.asarray(positions)] if source.labels is not None else line.at(1.0, images).argmax(axis=1)
    said = check_rungs(name, ladder, chosen, Rerun(line, images, labels))
    return Check(f"{name} rerun", True, said)
