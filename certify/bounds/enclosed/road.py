"""Logits of one sample along the whole segment, enclosed piece by piece."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from certify.bounds.enclosed.gains import BLOCKS, attention_gain, ball, head_gain, mlp_gain
from certify.bounds.enclosed.graph import Graph, graph
from certify.bounds.enclosed.layers import Mlp, Transformer, first_moving, is_transformer, transformer
from certify.bounds.enclosed.many import stacked_gain
from certify.bounds.enclosed.steps import Pieces, attention, head, mlp, tokens_of
from certify.bounds.enclosed.still import Begin, begin_in_balls, has_balls
from certify.bounds.enclosed.taylor import TERMS, Model, constant, gamma, require_torch_products, to_bernstein, up
from certify.networks.segment import Segment
from certify.records import Refused

DEGREE, FLAT, START, MOST = 8, 4, 8, 512
# A piece is halved until its remainder is at most this share of the largest change found.
TOLERANCE = 1e-2
# Numbers that the derivative blocks of one batch of pieces may hold.
ROOM = 2**21


@dataclass(frozen=True)
class Step:
    """What one half-block of one piece contributed: growth of the largest error, its defect, the error after it (token l2)."""

    name: str
    gain: float
    defect: float
    error: float


@dataclass(frozen=True)
class Enclosure:
    """Logits of one sample: |z(mid + half u) - sum_k coef_k u^k| <= rem for u in [-1, 1], class by class; inf where unknown.

    mid, half : (pieces,) in rising order, the segment without gaps. coef : (pieces, d + 1, classes). rem : (pieces, classes).
    steps     : of the piece with the largest remainder, in order. still : no tensor moves, so that nothing changes.

    Tier proved, of the real-arithmetic network with the weights and pixels as stored.
    """

    mid: np.ndarray
    half: np.ndarray
    coef: np.ndarray
    rem: np.ndarray
    steps: tuple[Step, ...]
    still: bool = False

    def deviation(self, weights: np.ndarray | None = None) -> np.ndarray:
        """(rows,) bounds on max over theta in [0, 1] of |w . z(theta) - w . z(1)|; w the rows of weights, or unit vectors.

        Ranges of polynomials by their Bernstein coefficients, never below the truth.
        """
        classes = self.rem.shape[1]
        rows = np.eye(classes) if weights is None else np.asarray(weights, dtype=np.float64)
        if self.still:
            return np.zeros(len(rows))
        rounding = 1.0 + 1e-12
        with np.errstate(invalid="ignore"):  # inf times 0: the row is inf below, as it should be
            coef, rem = self.coef @ rows.T, (self.rem @ np.abs(rows).T) * rounding
        slack = gamma(4 * classes + 8) * (np.abs(self.coef) @ np.abs(rows).T).sum(1)
        end = coef[-1].sum(0)
        coef = coef.copy()
        coef[:, 0] -= end
        basis = to_bernstein(coef.shape[1] - 1)
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


@dataclass(frozen=True)
class Piece:
    """One piece of an enclosure: coef (d + 1, classes), rem (classes,), and the half-blocks on the way."""

    mid: float
    half: float
    coef: np.ndarray
    rem: np.ndarray
    steps: tuple[Step, ...]


class Encloser:
    """A pair of networks, read once: timm's plain ViT and DeiT, or a graph of the operations of `certify.bounds.exact.graph`.

    degree : of the polynomials; None takes DEGREE, and FLAT where the path of a graph bends, as its pieces are short.
    balls  : whether half-blocks in front of the first tensor that moves are evaluated in balls (python-flint), not in float64
             with gains; None where tokens are so many that those are loose, and python-flint is there.
    """

    def __init__(
        self,
        model: nn.Module,
        reference: Mapping[str, Tensor],
        shipped: Mapping[str, Tensor],
        degree: int | None = None,
        *,
        balls: bool | None = None,
    ) -> None:
        if degree is not None and not 1 <= degree <= 16:
            raise Refused(f"enclosure: degree {degree} is not in 1..16")
        require_torch_products()
        self.degree, self.balls = degree, balls
        self._pair = (model, reference, shipped)
        self._graphs: dict[tuple[int, ...], Graph] = {}
        self._transformer = transformer(model, reference, shipped) if is_transformer(model) else None
        self._segment: Segment | None = Segment(model, reference, shipped)
        if self._transformer is not None:
            # A convolution's sum goes over all axes but the first.
            shapes = [t.shape if t.ndim < 4 else (len(t), t.shape[1:].numel()) for t in reference.values()]
            widest = max(max(shape, default=0) for shape in shapes)
            if widest > TERMS:
                raise Refused(f"enclosure: a dimension of {widest}; its rounding constants cover sums of up to {TERMS} terms")

    def enclose(
        self,
        image: Tensor,
        *,
        radius: float = 0.0,
        tolerance: float = TOLERANCE,
        start: int = START,
        most: int = MOST,
        most_bends: int | None = None,
    ) -> Enclosure:
        """Enclose the logits of one image (channels, height, width), or vector, on theta in [0, 1].

        radius : of the ball |x_i - image_i| <= radius, in units of the network's input; the enclosure then holds for every x
                 in it, and `deviation` bounds |z(x, theta) - z(x, 1)| for each. Pieces are chosen at the centre.
        start : equal pieces to begin with, a power of two, more where the first is vacuous, cut again where the path bends;
                those whose remainder is above `tolerance` times the largest change of a logit are halved, up to `most` pieces
                in all, bends not counted. A path that bends more than `most_bends` times is refused: it takes a piece a bend.
        """
        if not torch.isfinite(image).all():
            raise Refused("enclosure: the image holds a value that is not finite")
        if not 0.0 <= radius < np.inf:
            raise Refused(f"enclosure: radius = {radius} is not a finite number of at least 0")
        if start < 1 or start & (start - 1):
            raise Refused(f"enclosure: start = {start} is not a power of two")
        image = image.detach().cpu().double()
        net = self._network(image)
        bends = [] if isinstance(net, Transformer) else net.bends(image)
        if most_bends is not None and len(bends) > most_bends:
            raise Refused(f"the path of a sample bends {len(bends):,} times; road auto follows up to {most_bends:,}")
        degree = self.degree or (FLAT if bends else DEGREE)
        begin = _begin(net, image, self.balls) if isinstance(net, Transformer) else None
        if isinstance(net, Transformer) and most > start:
            count = _first_finite(net, image, degree, start, most, begin)
            start, most = (count, most) if count else (start, start)
        edges = sorted({k / start for k in range(start + 1)} | set(bends))
        done: list[Piece] = []
        waiting = [((low + high) / 2, (high - low) / 2) for low, high in pairwise(edges)]
        batch = self._batch(net, degree)
        while waiting:
            some = [waiting[at : at + batch] for at in range(0, len(waiting), batch)]
            found = [piece for pieces in some for piece in _walk(net, image, pieces, degree, begin)]
            scale, waiting = _largest_change(done + found), []
            for piece in found:
                full = len(done) + len(found) + len(waiting) >= most + len(bends)
                halves = [] if full or np.all(piece.rem <= tolerance * scale) else _halves(piece)
                waiting += halves
                if not halves:
                    done.append(piece)
        done.sort(key=lambda piece: piece.mid)
        still = isinstance(net, Graph) and not net.moves
        centre = _joined(done, still)
        if self._segment is not None:
            _compare(centre, self._segment, image)
            self._segment = None
        if not radius:
            return centre
        chosen = [(piece.mid, piece.half) for piece in done]
        some = [chosen[at : at + batch] for at in range(0, len(chosen), batch)]
        return _joined([piece for pieces in some for piece in _walk(net, image, pieces, degree, radius=radius)], still)

    def _network(self, image: Tensor) -> Transformer | Graph:
        if self._transformer is not None:
            return self._transformer
        shape = tuple(image.shape)
        if shape not in self._graphs:
            self._graphs[shape] = graph(*self._pair, image)
        return self._graphs[shape]

    def _batch(self, net: Transformer | Graph, degree: int) -> int:
        if isinstance(net, Transformer):
            tokens, dim = net.positions.start.shape
            return max(1, ROOM // (tokens * tokens * min(dim * dim, BLOCKS // (tokens * tokens) + 1)))
        return net.batch(degree + 2)


def _first_finite(net: Transformer, image: Tensor, degree: int, start: int, most: int, begin: Begin | None) -> int:
    """Equal pieces to begin with: doubled until the one at the shipped end has a finite remainder; 0 where none has."""
    count = start
    while count <= most:
        (piece,) = _walk(net, image, [(0.5 / count, 0.5 / count)], degree, begin)
        if np.isfinite(piece.rem).all():
            return count
        count *= 2
    return 0


def _joined(pieces: Sequence[Piece], still: bool) -> Enclosure:
    """Pieces in rising order as one enclosure."""
    worst = max(pieces, key=lambda piece: float(piece.rem.max()))
    mid, half, coef, rem = (np.array([getattr(piece, name) for piece in pieces]) for name in ("mid", "half", "coef", "rem"))
    return Enclosure(mid, half, coef, rem, worst.steps, still)


@torch.no_grad()
def _walk(
    net: Transformer | Graph,
    image: Tensor,
    pieces: list[tuple[float, float]],
    degree: int,
    begin: Begin | None = None,
    radius: float = 0.0,
) -> list[Piece]:
    """Pieces (mid, half) of the segment, together. What is NaN or infinite has an infinite remainder."""
    at = Pieces(*(torch.tensor(side, dtype=torch.float64) for side in zip(*pieces, strict=True)))
    steps: list[tuple[str, Tensor, Tensor, Tensor]] = []
    if isinstance(net, Transformer):
        logits, steps = _through(net, image, at, degree, begin, radius)
    else:
        logits = net.model(image, at, degree, radius)
    known = torch.isfinite(logits.coef).all(0) & torch.isfinite(logits.rem)
    coef = torch.where(known, logits.coef, 0.0).transpose(0, 1).numpy()
    rem = torch.where(known, logits.rem, torch.inf).numpy()
    told = [tuple(Step(name, *(float(part[k]) for part in parts)) for name, *parts in steps) for k in range(len(pieces))]
    return [Piece(mid, half, coef[k], rem[k], told[k]) for k, (mid, half) in enumerate(pieces)]


def _halves(piece: Piece) -> list[tuple[float, float]]:
    """Both halves as (mid, half), or none where float64 does not hold them exactly."""
    half = piece.half / 2
    low, high = piece.mid - half, piece.mid + half
    return [(low, half), (high, half)] if piece.mid - low == half == high - piece.mid else []


def _compare(found: Enclosure, segment: Segment, image: Tensor) -> None:
    """The network as read against the network as run, at both ends of the first sample: a wrong reading is refused."""
    first = (-1.0) ** np.arange(found.coef.shape[1]) @ found.coef[0]
    for theta, centre, rem in ((0.0, first, found.rem[0]), (1.0, *found.last_logits())):
        off = np.abs(segment.logits(image[None], theta)[0] - centre)
        if np.any(off > rem + 1e-9 * np.abs(centre).max()):
            raise Refused(f"enclosure: the network as read and as run differ by {off.max():.3g} at theta = {theta:g}")


def _through(
    net: Transformer, image: Tensor, at: Pieces, degree: int, begin: Begin | None, radius: float
) -> tuple[Model, list[tuple[str, Tensor, Tensor, Tensor]]]:
    """Through half-blocks: each begins with the polynomial alone, its remainder becomes the defect of that half-block.

    e' = B e + defect,   tokens' l2 norms; logits: remainder of the head plus R e
    """
    if begin is None:
        error, x = _restart(tokens_of(image, net, at, degree))
        error = up(error + ball(net, error.shape[1], radius)) if radius else error
        x, error, steps = _onward(net, range(len(net.halves)), x, error, at)
    else:
        pieces = len(at.mid)
        x = constant(begin.centre.expand(pieces, *begin.centre.shape), degree)
        told = [(name, a.expand(pieces), b.expand(pieces), c.expand(pieces)) for name, a, b, c in begin.steps]
        x, error, steps = _onward(net, range(begin.number, len(net.halves)), x, begin.error.expand(pieces, -1), at)
        steps = told + steps
    logits, way = head(x, net, at)
    reach = head_gain(net, x.coef.shape[2], way, at, error)
    return Model(logits.coef, up(logits.rem + (reach * error[:, None]).sum(-1))), steps


def _onward(
    net: Transformer, numbers: range, x: Model, error: Tensor, at: Pieces
) -> tuple[Model, Tensor, list[tuple[str, Tensor, Tensor, Tensor]]]:
    """Half-blocks of these numbers; x without remainder."""
    steps = []
    for number in numbers:
        half, name = net.halves[number], net.names[number]
        if isinstance(half, Mlp):
            out, way = mlp(x, half, at)
            spread = up(mlp_gain(half, way, at, error) * error)
        else:
            out, way = attention(x, half, at)
            bounded = stacked_gain if _many(net) else attention_gain
            spread = bounded(half, way, at, error).spread(error)
        defect, x = _restart(out)
        gain = spread.amax(-1) / error.amax(-1).clamp(min=1e-300)
        error = up(spread + defect)
        steps.append((name, gain, defect.amax(-1), error.amax(-1)))
    return x, error, steps


@torch.no_grad()
def _begin(net: Transformer, image: Tensor, balls: bool | None) -> Begin | None:
    """What stands in front of the first tensor that moves, once for all pieces; None where that is the first half-block."""
    number = first_moving(net)
    if number == 0:
        return None
    if balls or (balls is None and _many(net) and has_balls()):
        return begin_in_balls(net, image, number)
    at = Pieces(torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
    error, x = _restart(tokens_of(image, net, at, 1))
    x, error, steps = _onward(net, range(number), x, error, at)
    return Begin(number, x.coef[0, 0], up(error + torch.linalg.vector_norm(x.coef[1], dim=-1))[0], steps)


def _many(net: Transformer) -> bool:
    """Whether derivatives of its attention are bounded without putting their blocks together."""
    tokens, dim = net.positions.start.shape
    return tokens * tokens * dim * dim > BLOCKS


def _restart(x: Model) -> tuple[Tensor, Model]:
    """Token-wise l2 norms of the remainder, and the polynomial alone."""
    return up(torch.linalg.vector_norm(x.rem, dim=-1)), Model(x.coef, torch.zeros_like(x.rem))


def _largest_change(pieces: Sequence[Piece]) -> float:
    """Spread of the logits' centres at the ends of all pieces: an estimate that the tolerance alone is measured by."""
    values = np.array([sign ** np.arange(len(piece.coef)) @ piece.coef for piece in pieces for sign in (-1.0, 1.0)])
    return float(np.ptp(values, axis=0).max())
