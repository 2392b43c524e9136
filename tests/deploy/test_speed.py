"""The speed audit without a GPU: it says so, its ratios and verdicts are right, and it refuses what is not sparse."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from certify.deploy import speed, two_four
from certify.deploy.speed import endpoints, gemm, lowering, published, report, timing
from certify.deploy.speed.backends import Backend, convert, sparsify
from certify.deploy.speed.timing import Unsupported
from certify.networks.vision import import_timm
from certify.records import Refused

CPU = torch.device("cpu")
CEILINGS = {"flop_per_s": 8e14, "bytes_per_s": 4e12}


def _numbered(weight, algorithm):
    if algorithm > 2:
        raise RuntimeError("no such algorithm\nand a second line")
    return weight.clone()


FAKES = (
    Backend(name="plain", rows=32, cols=64, convert=_numbered, algorithms=32),
    Backend(name="picky", rows=10**6, cols=1, convert=_numbered),
    Backend(name="lying", rows=1, cols=1, convert=lambda weight, algorithm: 1.1 * weight),
)


@pytest.fixture(scope="module")
def audited(tmp_path_factory):
    """A small ViT through the whole audit with stand-in kernels, every cell saved."""
    torch.manual_seed(0)
    model = import_timm().create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2).eval()
    saved = []
    found = speed.audit(
        speed.Report(status="measured", machine=timing.machine(CPU), ceilings=CEILINGS), model, "vit",
        input_size=(3, 32, 32), batches=[2], merges=[0, 3], device=CPU, backends=FAKES, save=saved.append,
        settings=endpoints.Settings(window_ms=1.0, compile=False),
    )  # fmt: skip
    return found, saved


def test_without_a_gpu_nothing_is_measured(tmp_path, meta):
    found = speed.start(tmp_path / "speed.json", CPU, endpoints.Settings())
    assert found.status == "not measured on this machine: no CUDA device"
    found = speed.static(found, meta("vit_base_patch16_224"), "vit_base_patch16_224", (3, 224, 224), 8)
    speed.write(found, tmp_path / "speed.json")
    written = report.write_tables(found, tmp_path)
    assert {path.name for path in written} == {"macs.csv", "published.csv", "speed.svg"}
    assert report.summary(found)[-1] == f"speed: {speed.NOT_MEASURED}"
    again = json.loads((tmp_path / "speed.json").read_text())
    assert again["gemm"] == again["endpoints"] == [] and again["macs"][0]["projected_layers"] == 48


def test_a_report_of_another_machine_is_shown_but_not_continued(tmp_path, monkeypatch):
    path = tmp_path / "speed.json"
    there = speed.Report(status="measured", machine={"name": "another GPU"}, settings={})
    speed.write(there, path)
    assert speed.start(path, CPU, endpoints.Settings()).machine["name"] == "another GPU"
    monkeypatch.setattr(speed, "machine", lambda device: {"name": "this GPU"})
    with pytest.raises(Refused, match="do not mix"):
        speed.start(path, torch.device("cuda"), endpoints.Settings())
    monkeypatch.setattr(speed, "ceilings", lambda device: CEILINGS)
    counted = speed.Report(status=speed.NOT_MEASURED, machine={}, macs=({"model": "m"},))
    speed.write(counted, path)
    fresh = speed.start(path, torch.device("cuda"), endpoints.Settings())
    assert (fresh.status, fresh.macs, dict(fresh.ceilings)) == ("measured", counted.macs, CEILINGS)


def test_report_survives_its_file(audited):
    found, saved = audited
    assert speed.Report.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert len(saved) == 3  # products, then one per cell
    with pytest.raises(Refused, match="schema"):
        speed.Report.from_json({"schema": 99})


def test_wrong_and_unfit_kernels_are_never_timed(audited):
    found, _ = audited
    status = {(row.kernel, row.status) for row in found.gemm}
    assert status == {
        ("dense", "measured"), ("plain", "measured"), ("plain-tuned", "measured"), ("picky", "unsupported"),
        ("lying", "wrong"),
    }  # fmt: skip
    assert all(row.median_ms is None for row in found.gemm if row.status != "measured")
    picky = next(row for row in found.gemm if row.kernel == "picky")
    assert picky.verdict == "do not use 2:4 here with picky: rows (576) not divisible by 1000000"
    cells = {(row.merge, row.variant): row.status for row in found.endpoints}
    for merge in (0, 3):
        assert cells[merge, "bf16+plain"] == cells[merge, "bf16"] == cells[merge, "autocast"] == "measured"
        assert cells[merge, "bf16+lying"] == "wrong" and cells[merge, "bf16+picky"] == "unsupported"


def test_ratios_name_the_best_dense(audited):
    found, _ = audited
    for cell in report.cells(found.endpoints):
        dense = {f"{row.variant}/{row.mode}": row.median_ms for row in cell if not row.sparse}
        best = min(dense, key=dense.get)
        for row in cell:
            if row.median_ms is not None:
                assert row.best_dense == best
                assert row.to_best_dense == pytest.approx(dense[best] / row.median_ms)
                assert row.q25_ms <= row.median_ms <= row.q75_ms and len(row.round_ms) == 3
        sparse = next(row for row in cell if row.variant == "bf16+plain")
        assert sparse.to_same_mode == pytest.approx(dense["bf16/eager"] / sparse.median_ms)
        # Noise on a busy machine can make the predicted time negative; then there is nothing to compare with.
        predicted = sparse.predicted_ms is not None and sparse.predicted_ms > 0
        assert (sparse.predicted_ratio is None) == (sparse.merge > 0 or not predicted)


def test_cells_are_measured_once(audited):
    found, _ = audited
    model = import_timm().create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2).eval()
    again = speed.audit(
        found, model, "vit", input_size=(3, 32, 32), batches=[2], merges=[0, 3], device=CPU, backends=FAKES,
        settings=endpoints.Settings(window_ms=1.0, compile=False),
    )  # fmt: skip
    assert again == found


def test_amdahl_prediction():
    common = {"model": "m", "batch": 1, "merge": 0, "status": "measured"}
    rows = [
        endpoints.EndpointRow(**common, variant="bf16", mode="graph", sparse=False, median_ms=10.0),
        endpoints.EndpointRow(**common, variant="bf16+k", mode="graph", sparse=True, median_ms=9.0),
    ]
    last = endpoints.predicted(rows, {("bf16", "k", "graph"): (8.0, 2.0)})[-1]
    assert (last.predicted_ms, last.predicted_ratio, last.linear_share) == (4.0, 10 / 4, 0.8)
    # The same number by the law: share s of the time runs a times faster, 1 / (1 - s + s / a).
    assert last.predicted_ratio == pytest.approx(1 / (1 - 0.8 + 0.8 / 4))


def test_linear_sums_count_unfit_products_as_dense():
    common = {"model": "m", "batch": 1, "cols": 64, "tokens": 8, "status": "measured", "mode": "graph"}
    rows = [
        gemm.GemmRow(**common, rows=64, count=2, example="a", kernel="dense", median_ms=3.0),
        gemm.GemmRow(**common, rows=64, count=2, example="a", kernel="k", median_ms=1.0),
        gemm.GemmRow(**common, rows=1000, count=1, example="head", kernel="dense", median_ms=5.0),
    ]
    assert speed.linear_sums(rows) == {("k", "graph"): (11.0, 7.0)}


@pytest.mark.parametrize(
    ("tokens", "speedup", "dense_ms", "words"),
    [
        (50432, 1.4, 0.1, "use 2:4 here: 1.40x of dense"),
        (50432, 1.0, 0.32, "no gain: the sparse kernel reaches 1.00x"),
        (197, 0.5, 0.002, "do not use 2:4 here: memory-bound at batch 1"),
        (197, 0.9, 0.02, "do not use 2:4 here: overhead-bound at batch 1"),
    ],
)
def test_verdicts(tokens, speedup, dense_ms, words):
    shape = gemm.Shape(rows=3072, cols=768, tokens=tokens, count=12, example="fc1")
    assert gemm.judge(shape, speedup, dense_ms, CEILINGS, "graph", 1).startswith(words)


def test_floor_of_a_product():
    shape = gemm.Shape(rows=4, cols=8, tokens=2, count=1, example="x")
    arithmetic, memory = shape.floor_ms({"flop_per_s": 1e3, "bytes_per_s": 1e3}, sparse=False)
    assert (arithmetic, memory) == (2 * 4 * 8 * 2, 2 * (4 * 8 + 2 * 8 + 2 * 4))
    halved, _ = shape.floor_ms({"flop_per_s": 1e3, "bytes_per_s": 1e3}, sparse=True)
    assert halved == arithmetic / 2


def test_weights_that_are_not_sparse_are_refused_before_any_kernel(vit):
    with pytest.raises(Refused, match=r"blocks\.0\.attn\.qkv\.weight: group 0 of row 0 keeps 4 of 4"):
        endpoints.verified(vit)
    with pytest.raises(Refused, match="keeps 4 of 4"):
        sparsify(vit, ["blocks.0.attn.qkv"], FAKES[2])
    with pytest.raises(Refused, match="keeps 4 of 4"):
        convert(torch.ones(32, 64), FAKES[0], "w")
    with pytest.raises(Unsupported, match=r"rows \(33\) not divisible by 32"):
        convert(two_four.project(torch.ones(33, 64)), FAKES[0], "w")


def test_command_refuses_a_dense_checkpoint_and_reports_the_rest(tmp_path, capsys):
    from certify.cli import main

    save_file(import_timm().create_model("test_vit").state_dict(), tmp_path / "dense.safetensors")
    arguments = ["speed", "-m", "test_vit", "--out", str(tmp_path / "out"), "--device", "cpu"]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--checkpoint", str(tmp_path / "dense.safetensors")])
    assert stop.value.code == 3
    assert "keeps 4 of 4" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--json"])
    assert stop.value.code == 0
    assert json.loads(capsys.readouterr().out)["status"] == speed.NOT_MEASURED


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [(1, 1, 0, 1), (1, 2, 0, 1), (3, 1, 1, 1), (3, 2, 2, 2)])
def test_lowered_convolution_is_the_convolution(kernel, stride, padding, dilation):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(8, 6, kernel, stride, padding, dilation))
    x = torch.randn(2, 8, 11, 9)
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.testing.assert_close(lowering.lower(net, ["0"])(x.to(memory_format=layout)), net(x), rtol=1e-5, atol=1e-5)


def test_lowered_resnet_is_the_resnet():
    torch.manual_seed(0)
    net = import_timm().create_model("resnet18").eval()
    names = endpoints.targets(net)
    assert len(names) == 19 and len(endpoints.targets(net, "1x1")) == 3
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(lowering.lower(net, names)(x), net(x), rtol=1e-3, atol=1e-3)
    assert [kind.name for kind in endpoints.variants(net, FAKES[:1])] == [
        "autocast", "bf16", "im2col", "1x1", "im2col+plain", "im2col+plain-tuned", "1x1+plain", "1x1+plain-tuned",
    ]  # fmt: skip


def test_random_weights_leave_no_matrix_at_zero(meta):
    net = import_timm().create_model("convnextv2_atto").eval()
    endpoints.randomise(net, 0)
    assert all(p.any() for name, p in net.named_parameters() if name.endswith("weight"))
    assert net(torch.randn(1, 3, 64, 64)).isfinite().all()


def test_interleaving_runs_every_call_in_every_round():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "ab"}
    found = timing.interleaved(calls, device=CPU, rounds=3, window_ms=0.001)
    assert {len(timing.rounds) for timing in found.values()} == {3}
    changes = "".join(a for a, b in zip(order, [*order[1:], ""], strict=True) if a != b)
    # Estimates ab, then rounds ab, ba, ab; neighbours of one name join.
    assert changes == "ababab"
    assert all(timing.q25 <= timing.median <= timing.q75 for timing in found.values())


def test_published_ratios():
    """Against dense in the same arithmetic, 10 of 28 published transformer rows are faster at all, none by 7 %."""
    rows = published.TRANSFORMERS
    assert [round(row.to_autocast, 3) for row in rows[:3]] == [1.388, 1.360, 1.314]
    assert [round(row.to_bf16, 3) for row in rows[:3]] == [1.032, 1.023, 0.982]
    assert (len(rows), sum(row.to_bf16 > 1 for row in rows)) == (28, 10)
    assert max(row.to_bf16 for row in rows) < 1.07
    assert max(row.to_cudnn for row in published.CONVOLUTIONAL) < 0.44
    assert min(row.to_im2col for row in published.CONVOLUTIONAL) > 1.08


def test_sizes_are_those_of_a_file_really_written(meta):
    net = import_timm().create_model("test_vit")
    found = speed.stored(speed.Report(status=speed.NOT_MEASURED, machine={}), net, "test_vit").sizes[0]
    weights = sum(net.get_submodule(name).weight.numel() for name in endpoints.targets(net))
    # A compressed bf16 weight takes 9/16 of its dense bytes: half the values and 2 bits for each of them.
    assert found["dense"] - found["compressed"] == 2 * weights * 7 // 16
    assert found["compressed"] < found["on_disk"] < found["compressed"] + 20_000


def test_the_last_table_names_every_way_to_run_a_cell(audited):
    from certify.deploy.speed.overview import overview

    found, _ = audited
    columns, rows = overview(found)
    assert columns[7:] == ("2:4 lying", "2:4 picky", "2:4 plain", "2:4 / best dense", "verdict")
    assert [row[:3] for row in rows] == [("vit", 2, 0), ("vit", 2, 3)]
    for row, cell in zip(rows, report.cells(found.endpoints), strict=True):
        named = dict(zip(columns, row, strict=True))
        assert named["2:4 picky"] == "-" and named["compiled"] == "-", "what did not run has no figure"
        assert named["2:4 lying"] == "-", "a kernel with wrong products is not timed"
        dense = max(row.images_per_s for row in cell if not row.sparse and row.images_per_s)
        assert named["best dense"] == f"{dense:.1f}"
        best = max(row.to_best_dense for row in cell if row.sparse and row.to_best_dense)
        assert named["2:4 / best dense"] == f"{best:.3f}"
        assert named["verdict"] == ("2:4 pays" if best > 1 else "run it dense")


def test_published_ratios_survive_or_say_why_not(audited):
    from dataclasses import replace

    from certify.deploy.speed.overview import survivals

    found, _ = audited
    assert survivals(found) == [], "the small network was never published"
    renamed = [replace(row, model="vit_base_patch16_224", merge=8) for row in found.endpoints if row.merge]
    for ratio, words in ((0.9, "does not survive, its dense side held float32 weights"), (1.1, ": survives")):
        rows = tuple(replace(row, to_best_dense=ratio if row.sparse else 1.0) for row in renamed)
        said = survivals(replace(found, endpoints=rows))
        assert len(said) == 6 and all(words in line for line in said)


@pytest.mark.parametrize(("moments", "cells"), [(0, 0), (1, 0), (2, 1), (99, 2)])
def test_no_cell_is_begun_after_the_limit(moments, cells, monkeypatch):
    """A clock that ticks at every look: what was measured until the limit stays, the next call goes on from there."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(speed.time, "monotonic", lambda: float(next(ticks)))
    monkeypatch.setattr(gemm, "measure", lambda *args, **kwargs: [])
    cell = endpoints.EndpointRow(model="vit", batch=2, merge=0, variant="bf16", mode="eager", sparse=False, status="measured")

    def measured(model, name, *, merge, **kwargs):
        from dataclasses import replace

        return [replace(cell, merge=merge)], {}

    monkeypatch.setattr(endpoints, "measure", measured)
    model = import_timm().create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, depth=2).eval()
    found = speed.audit(
        speed.Report(status="measured", machine={}, ceilings=CEILINGS), model, "vit", input_size=(3, 32, 32), batches=[2],
        merges=[0, 3], device=CPU, backends=FAKES, settings=endpoints.Settings(compile=False), stop=moments + 0.5,
    )  # fmt: skip
    assert len(found.endpoints) == cells
