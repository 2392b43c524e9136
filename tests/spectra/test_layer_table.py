"""The layer table: one row whatever the matrix, Parquet that pandas reads, convolutions, one layer in memory, pictures."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from certify.records import Refused, Spectrum, load_spectra, save_spectra
from certify.records.files import read_table, write_table
from certify.spectra import layer_row, layer_table
from certify.spectra.picture import spectrum_svg


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


ODD = {
    "zero": np.zeros((32, 32)),
    "constant": np.ones((40, 32)),
    "rank one": np.outer(noise(32), noise(50)),
    "rank 20 of 64": noise(64, 20) @ noise(20, 64, seed=1),
    "one entry": np.ones((1, 1)),
    "one row": noise(1, 500),
    "one column": noise(500, 1),
    "empty": np.zeros((0, 5)),
    "tiny": noise(4, 4),
    "sixteen": noise(16, 16),
    "orthogonal": np.eye(64),
    "huge": noise(32, 32) * 1e200,
    "minute": noise(32, 32) * 1e-200,
    "subnormal": noise(32, 32) * 1e-310,
    "one spike on nothing": np.diag([1.0] + [0.0] * 31),
    "integers": np.arange(40 * 30).reshape(40, 30),
    "bits": noise(40, 30) > 0,
    "half": noise(40, 30).astype(np.float16),
    "sparse": noise(48, 48) * (np.random.default_rng(5).random((48, 48)) < 0.02),
    "half the rows zero": noise(64, 64) * (np.arange(64) < 32)[:, None],
    "constant kernel": np.ones((32, 8, 3, 3)),
    "kernel": noise(32, 8, 3, 3),
    "one-dimensional kernel": noise(32, 8, 3),
    "depthwise": noise(64, 1, 3, 3),
    "heavy": np.random.default_rng(2).standard_cauchy(size=(40, 60)),
}


@pytest.fixture(scope="module")
def table() -> tuple[Spectrum, ...]:
    return layer_table(ODD, bands=True, vectors=True, seed=1)


def test_every_matrix_has_a_row_with_and_without_the_costly_parts(table: tuple[Spectrum, ...]) -> None:
    for rows in (table, layer_table(ODD)):
        assert [row.target for row in rows] == list(ODD)
        for row in rows:
            assert row.fitted or row.note, row.target
            assert len(row.singular_values) == min(row.rows, row.cols)
            assert list(row.singular_values) == sorted(row.singular_values, reverse=True)
            if not row.fitted:
                assert (row.bare_edge, row.tw_edge, row.bulk_share, row.spikes, row.edge_kind) == (0, 0, 0, (), "")
    unfitted = {row.target for row in table if not row.fitted}
    assert {"zero", "constant", "rank one", "empty", "one row", "tiny", "depthwise", "one spike on nothing"} <= unfitted
    assert {"kernel", "integers", "half", "sixteen"} & unfitted == {"integers"}
    assert {"huge", "minute"} <= unfitted and all("rescale" in row.note for row in table if row.target in ("huge", "minute"))
    assert layer_row("large", noise(32, 32) * 1e140).fitted and layer_row("small", noise(32, 32) * 1e-140).fitted
    assert "rank 20 of 64" in unfitted, "rounding is not a bulk"


def test_pandas_reads_the_table_and_it_comes_back_equal(table: tuple[Spectrum, ...], tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    save_spectra(tmp_path / "layers.parquet", table)
    assert load_spectra(tmp_path / "layers.parquet") == table
    frame = pandas.read_parquet(tmp_path / "layers.parquet")
    assert frame.shape == (len(ODD), len(fields(Spectrum)))
    assert frame.set_index("target").loc["kernel", "permutation_edge"] > 0
    assert frame["hill_20"].dtype == np.float64 and frame["hill_20"].isna().any()


def test_a_table_without_the_newer_columns_is_still_read(tmp_path: Path) -> None:
    row = layer_row("w", noise(20, 30))
    old = [field.name for field in fields(Spectrum)][:17]
    write_table(tmp_path / "old.parquet", {name: [getattr(row, name)] for name in old})
    (found,) = load_spectra(tmp_path / "old.parquet")
    assert [getattr(found, name) for name in old] == [getattr(row, name) for name in old] and found.hill_20 is None
    columns, _ = read_table(tmp_path / "old.parquet")
    write_table(tmp_path / "cut.parquet", {name: columns[name] for name in old[:9]})
    with pytest.raises(Refused, match="not a layer table"):
        load_spectra(tmp_path / "cut.parquet")


def test_nan_is_refused_by_name_wherever_it_stands() -> None:
    broken = noise(20, 30)
    broken[3, 4] = np.nan
    with pytest.raises(Refused, match=r"blocks\.1\.fc2: 1 of 600 weights are not finite, the first at row 3, column 4"):
        layer_table({"good": noise(20, 30), "blocks.1.fc2": broken})
    for change in ({"fit_p_value": np.nan}, {"spikes": (np.inf,), "spike_p_values": (0.5,)}, {"stable_rank": np.inf}):
        with pytest.raises(Refused, match="NaN or infinity"):
            replace(layer_row("w", noise(20, 30)), **change)


def test_spikes_of_a_kernel_are_told_by_its_shuffles() -> None:
    """A kernel smooth over its taps departs from shuffled entries: its spikes carry permutation p-values, of 1/20 at least."""
    smooth = noise(64, 32, 5, 5)
    smooth = smooth + np.roll(smooth, 1, axis=3) + np.roll(smooth, 1, axis=2)
    row = layer_row("conv", smooth)
    assert row.kind == "conv" and row.edge_kind == "permutation" and row.cols == 32 * 25
    assert all(p >= 1 / 20 for p in row.spike_p_values)
    assert row.bulk_share == pytest.approx(1 - len(row.spikes) / 64)
    plain = layer_row("matrix", smooth.reshape(64, -1))
    assert plain.edge_kind == "tracy-widom" and plain.permutation_edge is None
    told = layer_row("conv", smooth.reshape(64, -1), kind="conv")
    assert told == row, "a lowered kernel is the same layer when its kind is told"


def test_a_depthwise_kernel_is_declared_unfit_even_where_it_has_enough_columns() -> None:
    row = layer_row("dw", noise(96, 1, 7, 7))
    assert not row.fitted and "one input channel per filter: 49 shared taps" in row.note and row.stable_rank > 1
    assert layer_row("dw", noise(96, 49)).fitted


class Lazy(Mapping[str, np.ndarray]):
    """Layers made when asked for; remembers how many were alive at once."""

    def __init__(self, count: int) -> None:
        self.count, self.alive, self.most = count, 0, 0

    def __getitem__(self, name: str) -> np.ndarray:
        layer = noise(24, 40, seed=int(name)).view(Counted)
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(layer, self._gone)
        return layer

    def _gone(self) -> None:
        self.alive -= 1

    def __iter__(self) -> Iterator[str]:
        return iter([str(index) for index in range(self.count)])

    def __len__(self) -> int:
        return self.count


class Counted(np.ndarray):
    """An array that can be weakly referenced."""


def test_one_layer_is_in_memory_at_a_time() -> None:
    lazy = Lazy(6)
    assert len(layer_table(lazy, bands=True, vectors=True)) == 6
    assert lazy.most == 1 and lazy.alive == 0


def test_another_solver_gives_the_same_row() -> None:
    weight = noise(40, 60)
    calls = []

    def solver(matrix: np.ndarray) -> np.ndarray:
        calls.append(matrix.shape)
        return np.linalg.svd(matrix, compute_uv=False)

    (found,) = layer_table({"w": weight}, values=solver)
    assert calls == [(40, 60)]
    assert found.entry_variance == pytest.approx(layer_row("w", weight).entry_variance, rel=1e-10)


def test_every_row_can_be_drawn_and_equal_rows_give_equal_bytes(table: tuple[Spectrum, ...]) -> None:
    for row in table:
        text = spectrum_svg(row)
        ElementTree.fromstring(text)
        assert text == spectrum_svg(row)
        assert ("not fitted" in text) == (not row.fitted)
    kernel = next(row for row in table if row.target == "kernel")
    for words in ("bare edge", "Tracy–Widom edge", "permutation edge", "fitted law"):
        assert words in spectrum_svg(kernel)
