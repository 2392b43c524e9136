"""Wrong edits of what is shipped: multiply-adds, merged tokens, 2:4 storage, and how the verifier reruns them."""

from __future__ import annotations

from proofs_check.mutation.edit import room_edit as _edit

_MERGING, _STORAGE, _MACS, _AGAIN = "networks/merging", "deploy/two_four", "deploy/macs", "verifier/merging"
_MERGED, _STORED, _COUNTED, _RERUN = (
    "networks/test_merging",
    "deploy/test_two_four",
    "deploy/test_macs",
    "verifier/test_verifier_merging",
)

EDITS = (
    _edit(
        _MERGING, "size.log().to(q.dtype)[:, None", "size.to(q.dtype)[:, None", "sizes for their logarithms in attention", _MERGED
    ),
    _edit(_MERGING, "mass = x.float() * size[..., None]", "mass = x.float()", "a mean that forgets the sizes", _MERGED),
    _edit(_MERGING, ".scatter(1, source, 0)", ".scatter(1, target, 0)", "receivers dropped for senders", _MERGED),
    _edit(_MERGING, "scores[:, :, : protected // 2]", "scores[:, :, : 0]", "prefix tokens that receive", _MERGED),
    _edit(
        _MERGING,
        "return max(0, min(r, (tokens - protected) // 2))",
        "return max(0, min(r, tokens // 2))",
        "prefix tokens counted as able to merge",
        _MERGED,
    ),
    _edit(_AGAIN, "+ size.log().to(q.dtype)", "", "the verifier forgets the sizes", _RERUN),
    _edit(_AGAIN, "if a >= prefix and odd", "if odd", "the verifier merges prefix tokens", _RERUN),
    _edit(_AGAIN, "mass[b] += mass[a]", "mass[b] += x[a]", "the verifier weighs a merged token once", _RERUN),
    _edit(_AGAIN, "lead > close for", "True for", "equal candidates called clear", _RERUN),
    _edit(_STORAGE, "order.long().argsort()", "order.long()", "an order undone by itself", _STORED),
    _edit(_STORAGE, "LAYOUT_VERSIONS[any(name in orders for name in names)]", "1", "orders under the old version", _STORED),
    _edit(_MACS, "power = 2 if", "power = 1 if", "attention products that grow with the tokens", _COUNTED),
    _edit(_MACS, "(1 - density) * executed", "density**2 * executed", "density squared for what is saved", _COUNTED),
    _edit(
        "pipeline/workspace",
        "merge_tokens(self.network, self.recipe.merge)",
        "self.network",
        "a recipe's merging ignored",
        "pipeline/test_merging_job",
    ),
    _edit(
        "verifier/files",
        'certificate.about.get("merge", []) != list(recipe.merge)',
        "False",
        "any merging accepted",
        "pipeline/test_merging_job",
    ),
)
