"""Perturbation constants: instances that attain each bound, numbers by hand, and every shape with its zeros and repeats."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from certify.records import Refused
from certify.theory import perturbation as pt
from certify.theory.budget import budget, data_path_size
from proofs_check.trials.perturbation import defined_levy
from tests.strategies import weight_matrices

KNOWN = np.array([[3.0, 0.0, 0.0], [0.0, 0.0, -2.0]])  # singular values 3, 2
MATRICES = weight_matrices(kinds=("zero", "lattice", "moderate", "rank one"))


def values(matrix):
    return np.linalg.svd(matrix, compute_uv=False)


def padded(diagonal, rows, cols):
    matrix = np.zeros((rows, cols))
    matrix[np.arange(len(diagonal)), np.arange(len(diagonal))] = diagonal
    return matrix


@pytest.mark.claim("A4.3-structured", "Eckart-Young")
def test_tail_energy_known():
    assert [pt.tail_energy(KNOWN, k) for k in (0, 1, 2, 9)] == pytest.approx([13.0, 4.0, 0.0, 0.0])
    assert pt.tail_energy(np.eye(4), 1) == pytest.approx(3.0)
    assert pt.tail_energy(np.zeros((2, 5)), 0) == 0.0


@pytest.mark.claim("Weyl", "Mirsky", "X26-perturbation-constants")
def test_shift_known():
    assert pt.value_shift_upper(KNOWN) == pytest.approx(3.0)
    assert pt.spectrum_shift_upper(KNOWN) == pytest.approx(math.sqrt(13.0))
    assert pt.spectrum_shift_upper([[3e-200, 4e-200]]) == pytest.approx(5e-200, rel=1e-9, abs=0.0), (
        "squares below 1e-308 still count"
    )


@pytest.mark.claim("Weyl", "Mirsky", "X26-perturbation-constants", "F22")
@given(MATRICES, st.floats(0.0, 5.0))
def test_multiples_attain_weyl_and_mirsky(kept, t):
    removed = t * kept
    shift = values(kept + removed) - values(kept)
    size = 1e-13 * (1.0 + values(kept)[0])
    assert pt.value_shift_upper(removed) == pytest.approx(shift[0], abs=10 * size)
    assert pt.spectrum_shift_upper(removed) == pytest.approx(np.linalg.norm(shift), abs=10 * size)
    assert pt.tail_upper(kept, removed, 0) == pytest.approx(np.linalg.norm(values(kept + removed)), abs=20 * size)


@pytest.mark.claim("X26-perturbation-constants", "C4.10-bulk-spike")
def test_tail_known():
    kept, removed = padded([5.0, 2.0, 1.0], 3, 4), padded([0.0, 1.0, 2.0], 3, 4)
    assert pt.tail_upper(kept, removed, 1) == pytest.approx(2.0 * math.sqrt(5.0))
    assert pt.tail_upper(kept, removed, 3) == pt.tail_upper(kept, removed, 7) == 0.0
    kept, parallel = padded([9.0, 2.0, 1.0], 3, 4), padded([0.0, 4.0, 2.0], 3, 4)
    assert pt.tail_upper(kept, parallel, 1) == pytest.approx(np.linalg.norm(values(kept + parallel)[1:])), "attained"


@pytest.mark.claim("C4.10-bulk-spike")
def test_share_above_known():
    """10 values: two large, the others .5; at the level .5 (just below) all are above, and the bound says so."""
    assert pt.share_above_upper(math.sqrt(8 * 0.25), 2, 0.5, 10, 30) == pytest.approx(1.0)
    assert pt.share_above_upper(math.sqrt(8 * 0.25), 2, 1.0, 10, 30) == pytest.approx(0.4)
    assert pt.share_above_upper(0.0, 3, 1e-9, 40, 10) == pytest.approx(0.3)
    assert pt.share_above_upper(0.0, 0, 1.0, 5, 5) == 0.0
    assert pt.share_above_upper(1e200, 0, 1e-200, 5, 5) == 1.0


@pytest.mark.claim("C4.11-subspace")
def test_gap_known():
    assert [pt.subspace_gap(KNOWN, k) for k in (1, 2)] == pytest.approx([1.0, 2.0])
    assert pt.subspace_gap(np.eye(3), 2) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.claim("X26-perturbation-constants", "C4.11-subspace")
def test_projector_distance_known():
    """e / (delta - e); vacuous from delta / 2 on; attained to first order by a perturbation across the gap."""
    assert pt.projector_distance_upper(1.0, 5.0) == 0.25
    assert pt.projector_distance_upper(1.25, 5.0) == pytest.approx(4.0 / 3.0 * 1.25 / 5.0)
    assert pt.projector_distance_upper(0.0, 1.0) == 0.0
    assert [pt.projector_distance_upper(e, 2.0) for e in (1.0, 2.0, 3.0)] == [1.0, 1.0, 1.0]
    assert pt.projector_distance_upper(0.0, 0.0) == 1.0
    for e in (1e-2, 1e-4):
        u, _, v = np.linalg.svd(np.array([[1.0, e], [e, 0.0]]))
        distance = max(abs(u[1, 0]), abs(v[0, 1]))
        assert distance <= pt.projector_distance_upper(e, 1.0) <= distance * (1.0 + 2.0 * e)


@pytest.mark.claim("X26-perturbation-constants", "C4.11-subspace")
@pytest.mark.parametrize("rows, cols", [(5, 3), (3, 5)])
def test_all_directions_of_the_short_side(rows, cols):
    """k = min(rows, cols): nothing turns on the short side, and e / s_k is attained to first order on the long one."""
    kept, removed, e = padded([3.0, 2.0, 1.0], rows, cols), np.zeros((rows, cols)), 1e-3
    removed[(4, 2) if rows > cols else (2, 4)] = e
    here, there = np.linalg.svd(kept), np.linalg.svd(kept + removed)

    def distance(side):
        a, b = (here[0][:, :3], there[0][:, :3]) if side == "left" else (here[2][:3].T, there[2][:3].T)
        return np.linalg.norm(a @ a.T - b @ b.T, 2)

    long, short = ("left", "right") if rows > cols else ("right", "left")
    bound = pt.projector_distance_upper(pt.value_shift_upper(removed), pt.subspace_gap(kept, 3))
    assert distance(short) <= 1e-12
    assert distance(long) <= bound <= distance(long) * (1.0 + 3.0 * e)


@pytest.mark.claim("C4.11-subspace")
def test_one_pair_of_vectors():
    """sqrt 2 e / (Delta - e); the constant 1 of the top-k projectors fails for a value between two others."""
    assert pt.spike_distance_upper(1.0, 5.0) == pytest.approx(math.sqrt(2.0) / 4.0)
    assert pt.spike_distance_upper(0.0, 1.0) == 0.0
    assert pt.spike_distance_upper(2.0, 4.0) == pt.spike_distance_upper(5.0, 4.0) == 1.0
    e = 1e-3
    isometry = np.array([[0.0, 0.25], [1.0, 0.0], [0.0, math.sqrt(15.0) / 4.0]])
    u = np.linalg.svd(padded([2.0, 1.0], 3, 2) + e * isometry)[0]
    turned = math.hypot(u[0, 1], u[2, 1])
    assert pt.projector_distance_upper(e, 1.0) < 1.2 * e < turned <= pt.spike_distance_upper(e, 1.0)
    assert turned / e == pytest.approx(math.sqrt(1.5), rel=1e-2)


@pytest.mark.claim("X26-perturbation-constants", "C4.12-bbp-persistent", "F21")
def test_correction_attained():
    """S = 3, R = -1, g = 1: W = 2, the corrected value is 1, off by 2 = ||R|| + sqrt g."""
    assert pt.corrected_value_error_upper([[-1.0]], 1.0) == 2.0
    assert pt.corrected_value_error_upper([[-1.0]], 4.0) == 3.0
    assert 3.0 - 0.5 * (2.0 + math.sqrt(2.0**2 - 4.0)) == 2.0
    assert pt.corrected_value_error_upper(KNOWN, 0.0) == pytest.approx(3.0)


@pytest.mark.claim("X23-svd-split")
def test_split_known():
    kept, removed = pt.singular_split(KNOWN, [False, True])
    assert kept == pytest.approx(np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), abs=1e-15)
    assert removed == pytest.approx(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, -2.0]]), abs=1e-15)
    inputs = np.array([[[1.0, 7.0, 0.5]], [[0.0, 0.0, 3.0]]])
    bounds = pt.split_size_upper(KNOWN, [False, True], inputs)
    assert bounds == pytest.approx([1.0, 6.0])
    assert bounds == pytest.approx(data_path_size(removed, inputs)), "attained along the axis"
    assert budget([1.0, 2.0], bounds) == pytest.approx(2.0 / 2.0 * (1.0 * 1.0 + 2.0 * 6.0))
    assert pt.split_size_upper(KNOWN, [True, True], inputs) == pytest.approx([3.0 * math.hypot(1.0, 0.5), 9.0])
    assert pt.split_size_upper(KNOWN, [False, False], inputs).tolist() == [0.0, 0.0]
    assert pt.split_size_upper(KNOWN, [True, False], np.array([[1.0, 0, 0], [-5.0, 0, 0]])) == pytest.approx(15.0), "tokens"


@pytest.mark.claim("ESM1-P3.30-mp-bulk")
def test_rank_inequality_attained():
    """R = 0 and S of rank k with large values: exactly k of r values leave 0."""
    for rows, cols, rank in ((5, 4, 3), (3, 7, 1), (2, 2, 2), (4, 4, 0)):
        total = np.round(values(padded([100.0] * rank, rows, cols)), 9)
        bulk = np.zeros(min(rows, cols))
        assert pt.kolmogorov_distance(bulk, total) == pt.bulk_shift_upper(rank, rows, cols) == rank / min(rows, cols)
    assert pt.bulk_shift_upper(9, 3, 5) == 1.0


@pytest.mark.claim("ESM1-P3.30-mp-bulk")
@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 9), st.integers(0, 4))
def test_rank_inequality(seed, rows, cols, rank):
    rng = np.random.default_rng(seed)
    removed = rng.standard_normal((rows, cols))
    kept = 10.0 ** rng.integers(-2, 3) * rng.standard_normal((rows, rank)) @ rng.standard_normal((rank, cols))
    found = pt.kolmogorov_distance(values(removed + kept), values(removed))
    assert found <= pt.bulk_shift_upper(rank, rows, cols) + 1e-12 if rank else found <= 1.0


def test_kolmogorov_known():
    assert pt.kolmogorov_distance([1.0, 2.0], [2.0, 1.0]) == 0.0
    assert pt.kolmogorov_distance([0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]) == 0.5
    assert pt.kolmogorov_distance([1.0], [2.0, 3.0]) == 1.0


@pytest.mark.claim("X27-levy-bulk")
def test_levy_known():
    """Shift of everything by .2: .2; shift of one of four by 9: 1/4; both matter by their larger one."""
    assert pt.levy_distance([1.0, 2.0, 3.0], [1.2, 2.2, 3.2]) == pytest.approx(0.2)
    assert pt.levy_distance([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 13.0]) == 0.25
    assert pt.levy_distance([0.0], [5.0]) == 1.0
    assert pt.levy_distance([3.0, 1.0], [1.0, 3.0]) == 0.0


@pytest.mark.claim("X27-levy-bulk")
@given(st.lists(st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 3.0)), min_size=1, max_size=7))
def test_levy_is_its_definition(pairs):
    x, y = (np.array(side) for side in zip(*pairs, strict=True))
    assert pt.levy_distance(x, y) == pytest.approx(defined_levy(x, y), abs=1e-11)
    assert pt.levy_distance(x, y) == pt.levy_distance(y, x)
    assert pt.levy_distance(x, y) <= pt.kolmogorov_distance(x, y) + 1e-15


@pytest.mark.claim("X27-levy-bulk")
def test_levy_bounds_known():
    """By hand; the cube is attained by one value of one moved by 1, and by A = 0 against B = e on 1 x 1 as e -> 1."""
    assert pt.levy_upper(padded([0.3, 0.4], 2, 5)) == pytest.approx((0.25 / 2.0) ** (1.0 / 3.0))
    assert pt.levy_upper([[1.0]]) == pt.levy_distance([0.0], [1.0]) == 1.0
    assert pt.levy_upper([[1e-210]]) == pytest.approx(1e-140, rel=1e-9, abs=0.0)
    assert pt.levy_bulk_upper(padded([7.0, 0.2, 0.1], 10, 12), 1) == pytest.approx(0.1 + (0.05 / 10.0) ** (1.0 / 3.0))
    assert pt.levy_bulk_upper(padded([7.0, 0.2, 0.1], 10, 12), 3) == pytest.approx(0.3)
    assert pt.levy_bulk_upper(np.eye(4), 0) == 1.0


@given(MATRICES, st.data())
def test_scaling_and_transposition(matrix, data):
    """Every bound is for the transpose too, and is homogeneous where it has units."""
    removed = data.draw(st.sampled_from([matrix, -matrix, matrix[::-1]]))
    rank = data.draw(st.integers(1, min(matrix.shape)))
    assume(np.max(np.abs(matrix)) < 1e3)
    scale = 1e-12 * (1.0 + float(np.max(np.abs(matrix))))
    for function in (pt.value_shift_upper, pt.spectrum_shift_upper):
        assert function(matrix.T) == pytest.approx(function(matrix), abs=scale)
        assert function(4.0 * matrix) == pytest.approx(4.0 * function(matrix), abs=scale)
    assert pt.tail_upper(matrix.T, removed.T, rank) == pytest.approx(pt.tail_upper(matrix, removed, rank), abs=10 * scale)
    assert pt.subspace_gap(matrix.T, rank) == pytest.approx(pt.subspace_gap(matrix, rank), abs=10 * scale)


@pytest.mark.parametrize(
    "call",
    [
        lambda: pt.tail_energy([[np.nan]], 0),
        lambda: pt.tail_energy([[1.0]], -1),
        lambda: pt.tail_energy([1.0], 0),
        lambda: pt.tail_energy([[1e200]], 0),
        lambda: pt.spectrum_shift_upper([[1.7e308, 1.7e308]]),
        lambda: pt.value_shift_upper([[np.inf]]),
        lambda: pt.tail_upper([[1.0]], [[1.0, 2.0]], 0),
        lambda: pt.share_above_upper(1.0, 0, 0.0, 1, 1),
        lambda: pt.share_above_upper(-1.0, 0, 1.0, 1, 1),
        lambda: pt.share_above_upper(1.0, 0, 1.0, 0, 1),
        lambda: pt.subspace_gap(KNOWN, 0),
        lambda: pt.subspace_gap(KNOWN, 3),
        lambda: pt.projector_distance_upper(np.nan, 1.0),
        lambda: pt.spike_distance_upper(1.0, -1.0),
        lambda: pt.corrected_value_error_upper(KNOWN, -1.0),
        lambda: pt.singular_split(KNOWN, [True]),
        lambda: pt.singular_split(KNOWN, [1, 0]),
        lambda: pt.split_size_upper(KNOWN, [True, False], [1.0, 2.0, 3.0]),
        lambda: pt.split_size_upper(KNOWN, [True, False], [[1.0, 2.0]]),
        lambda: pt.split_size_upper(KNOWN, [True, False], np.zeros((0, 3))),
        lambda: pt.kolmogorov_distance([], [1.0]),
        lambda: pt.levy_distance([1.0], [1.0, 2.0]),
        lambda: pt.levy_upper([[np.nan]]),
        lambda: pt.levy_bulk_upper(KNOWN, -1),
        lambda: pt.bulk_shift_upper(-1, 2, 2),
    ],
)
def test_refuses(call):
    with pytest.raises(Refused):
        call()
