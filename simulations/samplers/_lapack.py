"""Two LAPACK routines that scipy offers to compiled code alone (scipy.linalg.cython_lapack), called through ctypes.

dlasq1 : singular values of a bidiagonal matrix by dqds, each to high relative accuracy, in O(N^2) operations and 4 N
         numbers. Eigenvalues of B^T B by dsterf cost about as much and lose the smallest values (relative error about
         u (s_1 / s_N)^2, so u N^2 for a square Gaussian matrix); the Golub–Kahan form is accurate at four times the cost.
dgbbrd : a band matrix to bidiagonal form by plane rotations, O(N^2 bandwidth), backward stable: absolute error of order
         u s_1 in every value.
Both run without the interpreter's lock.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
import scipy
import scipy.linalg.cython_lapack

from certify.laws._checks import Array
from certify.records import Refused

# What each argument of the two routines is, as scipy names it: 32-bit integers, doubles, one character.
SIGNATURES = {
    "dlasq1": "int d d d int",
    "dgbbrd": "char int int int int int d int d d d int d int d int d int",
}


def bidiagonal_values(diagonal: Array, beside: Array) -> Array:
    """Singular values of the bidiagonal matrix with `diagonal` (N,) and `beside` (N - 1,) it, decreasing."""
    size = diagonal.size
    values, off, work = np.array(diagonal), np.append(beside, 0.0), np.empty(4 * size)
    _call("dlasq1", size, values, off, work)
    if not np.all(np.isfinite(values)):
        raise Refused("a bidiagonal matrix holds numbers that are not finite, or its singular values overflow float64")
    return values


def band_to_bidiagonal(entries: Array, rows: int, lower: int, upper: int) -> tuple[Array, Array]:
    """Diagonal and superdiagonal of a bidiagonal matrix with the singular values of a band matrix of shape (rows, cols).

    entries : (cols, lower + upper + 1); entries[j, upper + i - j] is the entry (i, j). rows >= cols.
    """
    cols, width = entries.shape
    bands, diagonal, beside = np.array(entries, order="C"), np.empty(cols), np.empty(max(cols - 1, 1))
    none, work = np.zeros(1), np.empty(2 * max(rows, cols))
    vectors = (none, 1, none, 1, none, 1)
    _call("dgbbrd", b"N", rows, cols, 0, lower, upper, bands, width, diagonal, beside, *vectors, work)
    return diagonal, beside[: cols - 1]


def _call(name: str, *arguments: Any) -> None:
    """Run a routine on its arguments and an error code, the last of them."""
    status = ctypes.c_int(0)
    _routine(name)(*map(_reference, arguments), ctypes.byref(status))
    if status.value != 0:
        raise Refused(f"LAPACK {name} stopped with code {status.value}; its values did not converge")


def _reference(argument: Any) -> Any:
    if isinstance(argument, np.ndarray):
        return argument.ctypes.data
    return ctypes.byref(ctypes.c_char(argument) if isinstance(argument, bytes) else ctypes.c_int(argument))


@cache
def _routine(name: str) -> Any:
    """The function behind a capsule of scipy, when its signature is the one this module knows."""
    capsule = scipy.linalg.cython_lapack.__pyx_capi__.get(name)
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    address = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(("PyCapsule_GetPointer", ctypes.pythonapi))
    full = name_of(capsule) if capsule is not None else b""
    found = full.decode().replace("__pyx_t_5scipy_6linalg_13cython_lapack_", "").replace(" *", "").replace(",", "")
    if found != f"void ({SIGNATURES[name]})":
        raise Refused(f"scipy {scipy.__version__}: LAPACK {name} takes {found!r}; ({SIGNATURES[name]}) is expected")
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(SIGNATURES[name].split()))(address(capsule, full))
