"""python -m simulations.device_benchmark [--device auto] [--epochs 120] [--recovery 30] [--out FOLDER]

One call, on one device from end to end: a digits transformer is trained, pruned 2:4, recovered with its mask frozen, exported in
bfloat16 and 2:4 on disk; the exported file is then run on the device as it is deployed, dense and by each 2:4 kernel the device
has, compared with the float32 reference, and guaranteed on images never looked at before. The last lines are the table.
"""

from __future__ import annotations

import argparse
import copy
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from certify.bounds import measure
from certify.deploy.export import export
from certify.deploy.speed.backends import available, sparsify
from certify.deploy.two_four import load
from certify.networks.devices import device_of
from certify.networks.evidence import collect
from certify.networks.loading import digest, load_state, state_of
from certify.networks.masking import check_shipped, masked_state, masks
from certify.networks.running import Halved, arithmetic
from certify.networks.targets import describe
from certify.pruning import prune
from certify.records import CertifyError, Guarantee, Outcomes, Pair, Plan
from certify.records.files import write_json
from certify.records.recipe import RecoveryRecipe
from certify.risk import guarantee
from certify.training.loop import fit
from simulations.digits.networks import KINDS, TRANSFORMER, samples, splits
from simulations.studies._page import table

STATEMENTS, DELTA = ("disagreement", "accuracy_drop"), 0.05


class On(nn.Module):
    """A network on a device, for images that come from the CPU and logits that go there."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.network, self.device = network.to(device).eval(), device

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images.to(self.device)).float().cpu()


@dataclass(frozen=True)
class Ran:
    """One way to run the exported network on the device, and what is guaranteed of it; `reason` says why it did not run."""

    way: str
    guarantees: tuple[Guarantee, ...] = ()
    counts: tuple[int, int] = (0, 0)
    reason: str = ""


def recovered(device: torch.device, epochs: int, recovery: int) -> tuple[nn.Module, Plan, nn.Module]:
    """The trained reference, the 2:4 plan, and the network recovered with its mask frozen; both networks on the CPU."""
    about, train = KINDS["vit"], splits().indices["train"]
    torch.manual_seed(0)
    reference = about.make().to(device)
    fit(reference, samples(), train, replace(about.training, epochs=epochs), seed=0, state=None)
    dense = copy.deepcopy(reference).cpu().eval()
    targets = [each for each in describe(dense) if not each.skipped and each.role == "block" and each.cols % 4 == 0]
    evidence = collect(dense, targets, (), split=splits().digest("calibration"), parts=())
    plan = prune(targets, evidence, name="two-four", method="magnitude", pattern="2:4", seed=0, options={})
    start = masked_state(state_of(dense), plan)
    shipped = load_state(copy.deepcopy(dense), start, "masked").to(device)
    settings = RecoveryRecipe(epochs=recovery)
    fit(shipped, samples(), train, settings, seed=0, state=None, teacher=reference, masks=masks(plan, start))
    check_shipped(state_of(shipped), plan)
    return dense, plan, shipped.cpu()


def deployed(reference: nn.Module, path: Path, plan: Plan, device: torch.device) -> Iterator[tuple[str, nn.Module | str]]:
    """The exported file on the device: dense bfloat16, then by each 2:4 kernel; a sentence where a kernel takes none of it."""
    state, names = load(path), [edit.target for edit in plan.edits]
    yield "dense bfloat16", On(Halved(copy.deepcopy(reference), state, str(path), "bfloat16"), device)
    for backend in available(device):
        halved = Halved(copy.deepcopy(reference), state, str(path), "bfloat16").to(device)
        left = sparsify(halved.network, names, backend)
        if len(left) == len(names):
            yield f"2:4 {backend.name}", f"no layer converts; first: {next(iter(left.values()))}"
        else:
            yield f"2:4 {backend.name}, {len(names) - len(left)} of {len(names)} layers", On(halved, device)


def judged(reference: nn.Module, way: str, network: nn.Module, pair: Pair, device: torch.device, family: int) -> Ran:
    """What the deployed network decides on the certification split, and what is guaranteed of it."""
    test = splits().indices["certification"]
    try:
        before, after = measure((On(copy.deepcopy(reference), device), network), samples().images, test)
    except (RuntimeError, NotImplementedError) as error:  # a kernel that converts may still refuse to run
        return Ran(way, reason=(str(error).splitlines() or [type(error).__name__])[0])
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    labels = samples().labels
    outcomes = Outcomes(
        pair=pair,
        split=splits().digest("certification"),
        samples=splits().samples["certification"],
        labels=None if labels is None else labels[list(test)],
        reference=before,
        shipped=after,
        arithmetic=arithmetic("bfloat16", torch.get_num_threads()) | {"device": name, "kernel": way},
    )
    found = guarantee(outcomes, statements=STATEMENTS, delta=DELTA, family=family, groups=splits().groups, looks=1)
    counts = outcomes.counts()
    return Ran(way, found, (counts["correct_reference"], counts["correct_shipped"]))


def run(device: torch.device, epochs: int, recovery: int, folder: Path) -> tuple[list[str], list[Ran]]:
    """What was checked of the file, and every way to run it."""
    reference, plan, shipped = recovered(device, epochs, recovery)
    files = {
        form: export(copy.deepcopy(reference), state_of(shipped), plan.edits, plan.pattern, form, folder)
        for form in ("bf16", "two-four")
    }
    file = files["two-four"]
    pair = Pair(digest(state_of(reference)), file.network, TRANSFORMER.name, "recovered")
    ways = list(deployed(reference, file.path, plan, device))
    family = len(STATEMENTS) * len(ways)
    ran = [
        Ran(way, reason=network) if isinstance(network, str) else judged(reference, way, network, pair, device, family)
        for way, network in ways
    ]
    sizes = f"bf16 {files['bf16'].bytes:,} bytes, 2:4 {file.bytes:,} bytes, one network {file.network[:12]}"
    return [sizes, *file.checked], ran


def lines(checked: list[str], ran: list[Ran], device: torch.device) -> list[str]:
    """The report, the table last."""
    rows = []
    for way in ran:
        limits = [f"{entry.limit:.4f}" for entry in way.guarantees] or ["-"] * len(STATEMENTS)
        rows.append((way.way, *(str(count) if way.guarantees else "-" for count in way.counts), *limits, way.reason or "ran"))
    head = ("exported network run as", "reference right", "shipped right", *(f"{name} <=" for name in STATEMENTS), "")
    return [f"on {device}, confidence {1 - DELTA:g} for all of them together", *checked, "", *table(head, rows)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--epochs", type=int, default=KINDS["vit"].training.epochs)
    parser.add_argument("--recovery", type=int, default=30)
    parser.add_argument("--out", type=Path, help="keeps the exported files and device.json there")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder: Path = options.out or Path(scratch)
        try:
            device = device_of(options.device)
            checked, ran = run(device, options.epochs, options.recovery, folder)
        except CertifyError as error:
            print(f"device_benchmark: {error}", file=sys.stderr)
            return error.exit_code
        told: dict[str, Any] = {"device": str(device), "checked": checked, "ways": []}
        for way in ran:
            told["ways"].append({"way": way.way, "reason": way.reason, "guarantees": [each.to_json() for each in way.guarantees]})
        write_json(folder / "device.json", told)
    print("\n".join(lines(checked, ran, device)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
