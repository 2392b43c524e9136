"""Logits of one sample along the whole segment, enclosed piece by piece."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from certify.bounds.enclosed.elementary import gelu
from certify.bounds.enclosed.gains import BLOCKS, attention_gain, head_gain, mlp_gain
from certify.bounds.enclosed.layers import Affine, Attention, Transformer, chain, transformer
from certify.bounds.enclosed.steps import Pieces, attention, head, mlp, tokens_of
from certify.bounds.enclosed.taylor import TERMS, Model, compose, constant, gamma, linear, up
from certify.networks.segment import Segment
from certify.records import Refused
from certify.theory.outward._rounding import require_full_products

DEGREE, START, MOST = 8, 8, 512
# A piece is halved until its remainder is at most this share of the largest change found.
TOLERANCE = 2e-3
# Numbers that the derivative blocks of one batch of pieces may hold.
ROOM = 2**25


@dataclass(frozen=True)
class Step:
    """What one half-block of one piece contributed: largest row sum of its gain, its defect, the error after it (token l2)."""

    name: str
    gain: float
    defect: float
    error: float


@dataclass(frozen=True)
class Enclosure:
    """Logits of one sample: |z(mid + half u) - sum_k coef_k u^k| <= rem for u in [-1, 1], class by class; inf where unknown.

    mid, half : (pieces,) in rising order, the segment without gaps. coef : (pieces, d + 1, classes). rem : (pieces, classes).
    steps     : of the piece with the largest remainder, in order. Tier proved, of the real-arithmetic network with the weights
                and pixels as stored.
    """

    mid: np.ndarray
    half: np.ndarray
    coef: np.ndarray
    rem: np.ndarray
    steps: tuple[Step, ...]

    def deviation(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(rows,) bounds on max over theta in [0, 1] of |w . z(theta) - w . z(1)|; w the rows of weights, or unit vectors.

        Ranges of polynomials by their Bernstein coefficients, never below the truth.
        """
        classes = self.rem.shape[1]
        rows = np.eye(classes) if weights is None else np.asarray(weights, dtype=np.float64)
        rounding = 1.0 + 1e-12
        with np.errstate(invalid="ignore"):  # inf times 0: the row is inf below, as it should be
            coef, rem = self.coef @ rows.T, (self.rem @ np.abs(rows).T) * rounding
        slack = gamma(4 * classes + 8) * (np.abs(self.coef) @ np.abs(rows).T).sum(1)
        end = coef[-1].sum(0)
        coef = coef.copy()
        coef[:, 0] -= end
        basis = _to_bernstein(coef.shape[1] - 1)
        bernstein = np.einsum("bk,pkr->pbr", basis, coef)
        largest = np.abs(bernstein).max(1) * rounding
        # The matrix has entries up to its largest, rounded once; sums of d + 1 terms.
        sizes = np.abs(basis).max() * np.abs(coef).sum(1) * gamma(4 * coef.shape[1] + 8)
        last = rem[-1] + slack[-1] + gamma(4 * coef.shape[1]) * np.abs(self.coef[-1] @ rows.T).sum(0)
        found = ((largest + rem + slack + sizes + last) * rounding).max(0)
        return np.where(np.isfinite(found), found, np.inf)

    def against(self, decision: int) -> np.ndarray:
        """(classes,) bounds on the change of z_j - z_decision; 0 at the decision itself."""
        classes = self.rem.shape[1]
        rows = np.eye(classes) - np.eye(classes)[decision]
        return self.deviation(rows)

    def last_logits(self) -> tuple[np.ndarray, np.ndarray]:
        """Logits at theta = 1, and how far they may be off."""
        value = self.coef[-1].sum(0)
        return value, (self.rem[-1] + gamma(4 * self.coef.shape[1]) * np.abs(self.coef[-1]).sum(0)) * (1 + 1e-12)


@cache
def _to_bernstein(degree: int) -> np.ndarray:
    """Bernstein coefficients on [-1, 1] of u^k: (basis, power)."""
    matrix = np.zeros((degree + 1, degree + 1))
    for power in range(degree + 1):
        # u = 2 t - 1: coefficients of t^m, then b_i = sum_m C(i, m) / C(d, m) a_m
        monomials = [Fraction(math.comb(power, m) * 2**m * (-1) ** (power - m)) for m in range(power + 1)]
        for i in range(degree + 1):
            matrix[i, power] = float(
                sum((Fraction(math.comb(i, m), math.comb(degree, m)) * a for m, a in enumerate(monomials)), Fraction(0))
            )
    return matrix


@dataclass(frozen=True)
class Piece:
    """One piece of an enclosure: coef (d + 1, classes), rem (classes,), and the half-blocks on the way."""

    mid: float
    half: float
    coef: np.ndarray
    rem: np.ndarray
    steps: tuple[Step, ...]


class Encloser:
    """A pair of networks, read once. Knows timm's plain ViT and DeiT, and chains of Linear and GELU."""

    def __init__(
        self, model: nn.Module, reference: Mapping[str, Tensor], shipped: Mapping[str, Tensor], degree: int = DEGREE
    ) -> None:
        if not 1 <= degree <= 16:
            raise Refused(f"enclosure: degree {degree} is not in 1..16")
        require_full_products(lambda a, b: (torch.from_numpy(a) @ torch.from_numpy(b)).numpy())
        self.degree = degree
        self._net = (
            chain(model, reference, shipped) if isinstance(model, nn.Sequential) else transformer(model, reference, shipped)
        )
        # A convolution's sum goes over all axes but the first.
        shapes = [t.shape if t.ndim < 4 else (len(t), t.shape[1:].numel()) for t in reference.values()]
        widest = max(max(shape, default=0) for shape in shapes)
        if widest > TERMS:
            raise Refused(f"enclosure: a dimension of {widest}; its rounding constants cover sums of up to {TERMS} terms")
        self._segment: Segment | None = Segment(model, reference, shipped)

    def enclose(self, image: Tensor, *, tolerance: float = TOLERANCE, start: int = START, most: int = MOST) -> Enclosure:
        """Enclose the logits of one image (channels, height, width), or vector, on theta in [0, 1].

        start : pieces to begin with, a power of two; those whose remainder is above `tolerance` times the largest change of a
                logit are halved, up to `most` pieces in all.
        """
        if not torch.isfinite(image).all():
            raise Refused("enclosure: the image holds a value that is not finite")
        if start < 1 or start & (start - 1):
            raise Refused(f"enclosure: start = {start} is not a power of two")
        image, batch = image.detach().cpu().double(), self._batch()
        done: list[Piece] = []
        waiting = [((2 * k + 1) / (2 * start), 1 / (2 * start)) for k in range(start)]
        while waiting:
            found = [piece for at in range(0, len(waiting), batch) for piece in self._walk(image, waiting[at : at + batch])]
            scale, waiting = _largest_change(done + found), []
            for piece in found:
                if np.all(piece.rem <= tolerance * scale) or len(done) + len(found) + len(waiting) >= most:
                    done.append(piece)
                else:
                    half = piece.half / 2
                    waiting += [(piece.mid - half, half), (piece.mid + half, half)]
        done.sort(key=lambda piece: piece.mid)
        worst = max(done, key=lambda piece: float(piece.rem.max()))
        mid, half, coef, rem = (np.array([getattr(piece, name) for piece in done]) for name in ("mid", "half", "coef", "rem"))
        found = Enclosure(mid, half, coef, rem, worst.steps)
        if self._segment is not None:
            _compare(self._segment, image, found)
            self._segment = None
        return found

    def _batch(self) -> int:
        if isinstance(self._net, Transformer):
            tokens, dim = self._net.positions.start.shape
            return max(1, ROOM // (tokens * tokens * min(dim * dim, BLOCKS // (tokens * tokens) + 1)))
        return 64

    @torch.no_grad()
    def _walk(self, image: Tensor, pieces: list[tuple[float, float]]) -> list[Piece]:
        """Pieces (mid, half) of the segment, together. What is NaN or infinite has an infinite remainder."""
        at = Pieces(*(torch.tensor(side, dtype=torch.float64) for side in zip(*pieces, strict=True)))
        logits, steps = self._through(image, at) if isinstance(self._net, Transformer) else (self._along(image, at), [])
        known = torch.isfinite(logits.coef).all(0) & torch.isfinite(logits.rem)
        coef = torch.where(known, logits.coef, 0.0).transpose(0, 1).numpy()
        rem = torch.where(known, logits.rem, torch.inf).numpy()
        told = [tuple(Step(name, *(float(part[k]) for part in parts)) for name, *parts in steps) for k in range(len(pieces))]
        return [Piece(mid, half, coef[k], rem[k], told[k]) for k, (mid, half) in enumerate(pieces)]

    def _along(self, image: Tensor, at: Pieces) -> Model:
        """Through a chain: no restarts, the remainder is carried along entry by entry."""
        assert not isinstance(self._net, Transformer)
        x = constant(image.reshape(1, -1).expand(len(at.mid), 1, -1), self.degree)
        for layer in self._net:
            x = linear(x, layer.weight, layer.bias, at.mid, at.half) if isinstance(layer, Affine) else compose(x, gelu(x))
        return x.map(lambda t: t[:, 0])

    def _through(self, image: Tensor, at: Pieces) -> tuple[Model, list[tuple[str, Tensor, Tensor, Tensor]]]:
        """Through half-blocks: each begins with the polynomial alone, its remainder becomes the defect of that half-block.

        e' = B e + defect,   tokens' l2 norms; logits: remainder of the head plus R e
        """
        net = self._net
        assert isinstance(net, Transformer)
        x = tokens_of(image, net, at, self.degree)
        error, x = _restart(x)
        steps = []
        for half, name in zip(net.halves, net.names, strict=True):
            if isinstance(half, Attention):
                out, way = attention(x, half, at)
                gain = attention_gain(half, way, at, error)
                spread, rows = up((gain * error[:, None]).sum(-1)), gain.sum(-1)
            else:
                out, way = mlp(x, half, at)
                rows = mlp_gain(half, way, at, error)
                spread = up(rows * error)
            defect, x = _restart(out)
            error = up(spread + defect)
            steps.append((name, rows.amax(-1), defect.amax(-1), error.amax(-1)))
        logits, way = head(x, net, at)
        reach = head_gain(net, x.coef.shape[2], way, at, error)
        return Model(logits.coef, up(logits.rem + (reach * error[:, None]).sum(-1))), steps


def _compare(segment: Segment, image: Tensor, found: Enclosure) -> None:
    """The network as read against the network as run, at both ends of the first image: a wrong reading is refused."""
    for theta, centre, rem in (
        (0.0, (-1.0) ** np.arange(found.coef.shape[1]) @ found.coef[0], found.rem[0]),
        (1.0, *found.last_logits()),
    ):
        off = np.abs(segment.logits(image[None], theta)[0] - centre)
        if np.any(off > rem + 1e-9 * np.abs(centre).max()):
            raise Refused(
                f"enclosure: the network as read and as run differ by {off.max():.3g} at theta = {theta:g}; "
                "it is not a plain ViT, DeiT or chain"
            )


def _restart(x: Model) -> tuple[Tensor, Model]:
    """Token-wise l2 norms of the remainder, and the polynomial alone."""
    return up(torch.linalg.vector_norm(x.rem, dim=-1)), Model(x.coef, torch.zeros_like(x.rem))


def _largest_change(pieces: Sequence[Piece]) -> float:
    """Spread of the logits' centres at the ends of all pieces: an estimate that the tolerance alone is measured by."""
    values = np.array([sign ** np.arange(len(piece.coef)) @ piece.coef for piece in pieces for sign in (-1.0, 1.0)])
    return float(np.ptp(values, axis=0).max())
