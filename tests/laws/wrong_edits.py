"""Small wrong edits of certify/laws that the tests beside this file catch, one at a time.

python -m tests.laws.wrong_edits        applies each in a scratch copy, runs these tests, prints the survivors
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]

# (file, text, wrong text): each text stands exactly once in its file.
EDITS = (
    ("marchenko_pastur.py", "return self.rows * self.entry_variance", "return self.cols * self.entry_variance"),
    ("marchenko_pastur.py", "max(0.0, (self.cols - self.rows) / self.cols)", "max(0.0, (self.rows - self.cols) / self.rows)"),
    ("marchenko_pastur.py", "slope / (2.0 * math.pi * self.cols", "slope / (2.0 * math.pi * self.rows"),
    ("marchenko_pastur.py", "for k in range(2, POWERS)", "for k in range(3, POWERS)"),
    ("marchenko_pastur.py", "SMALL, POWERS = 1.0 / 16.0, 16", "SMALL, POWERS = 1.0 / 16.0, 6"),
    (
        "marchenko_pastur.py",
        "np.arctan2(np.sqrt(w), np.sqrt(u)) - angle - excess",
        "np.arctan2(np.sqrt(w), np.sqrt(u)) + angle - excess",
    ),
    ("marchenko_pastur.py", "direct = np.abs(minus) >= np.abs(plus)", "direct = np.abs(minus) >= 0.0"),
    ("marchenko_pastur.py", "-np.sqrt(np.abs(real - low))", "np.sqrt(np.abs(real - low))"),
    ("marchenko_pastur.py", "// (j + 1)) for j", "// (j + 2)) for j"),
    ("marchenko_pastur.py", "17 * n * m", "16 * n * m"),
    ("marchenko_pastur.py", "3 * (n + m) + 4", "3 * (n + m) + 3"),
    ("marchenko_pastur.py", "- 1.0 - rest", "- 1.0 + rest"),
    (
        "marchenko_pastur.py",
        "MarchenkoPastur(self.cols, self.rows, self.entry_variance)",
        "MarchenkoPastur(self.rows, self.cols, self.entry_variance)",
    ),
    ("tracy_widom.py", "total = float(np.sum(minus))", "total = float(np.sum(plus))"),
    ("tracy_widom.py", "NODES, CHECK = 56, 44", "NODES, CHECK = 24, 20"),
    ("tracy_widom.py", "for _ in range(3):", "for _ in range(0):"),
    ("tracy_widom.py", "REACH = 64.0", "REACH = 16.0"),
    ("tracy_widom.py", "math.sqrt(2.0) * s if beta == 4", "2.0 ** (2.0 / 3.0) * s if beta == 4"),
    ("tracy_widom.py", "-math.expm1(total), float(-np.sum(", "1.0 - math.exp(total), float(-np.sum("),
    ("tracy_widom.py", "-2.0 * np.sum(mu * change", "-np.sum(mu * change"),
    ("tracy_widom.py", "math.sinh(0.5 * b) ** 2", "math.sinh(b) ** 2"),
    ("tracy_widom.py", "math.sqrt(2.0) * float(np.sum(change", "float(np.sum(change"),
    ("tracy_widom.py", "1.607781034581,", "1.268034058,"),
    ("wishart.py", "_edge(rows - 1.0, float(cols)", "_edge(float(rows), cols - 1.0"),
    ("wishart.py", "(1.0 / 3.0)", "(1.0 / 6.0)"),
    ("wishart.py", "np.exp(-0.5 * t * t)", "np.exp(-t * t)"),
    ("wishart.py", "rows - 0.5, cols - 0.5", "rows - 0.5, cols + 0.5"),
    ("edge.py", "long ** (-2 / 3)", "long ** (-1 / 3)"),
    ("spikes.py", "(rows * cols) ** 0.25", "(rows * cols) ** 0.5"),
    ("spikes.py", "np.sqrt(t + aspect / t)", "np.sqrt(t + 1.0 / t)"),
    ("spikes.py", "(1.0 + math.sqrt(rows / cols) * t**-2)", "(1.0 + math.sqrt(cols / rows) * t**-2)"),
    ("spikes.py", "np.where(s >= high, 0.5 * root, 0.0)", "np.where(s >= high, root, 0.0)"),
    ("spikes.py", "return -2.0 * d_transform", "return -d_transform"),
    ("spikes.py", "np.expm1(-0.5 * np.log1p", "np.expm1(-np.log1p"),
    ("shrinkage.py", "8.0 * ratio / (", "4.0 * ratio / ("),
    ("shrinkage.py", "MarchenkoPasturSingular(rows, cols, 1.0).median()", "MarchenkoPasturSingular(rows, cols, 1.0).mean()"),
    ("shrinkage.py", "np.sqrt((square + aspect) / (square + 1.0 / aspect))", "np.ones_like(square)"),
    ("shrinkage.py", "- np.sqrt((1.0 - left) * (1.0 - right))", "- (1.0 - left)"),
    ("maxima.py", "return self.count * np.log1p(-erfc(", "return self.count * np.log1p(-0.5 * erfc("),
    ("maxima.py", "float(2.0 * (weights * x)", "float((weights * x)"),
    ("bulk_fit.py", "np.arange(len(eigenvalues)) + 0.5", "np.arange(len(eigenvalues)) + 1.0"),
    ("bulk_fit.py", "chi2.isf(half, rows * cols)", "chi2.isf(half, rows + cols)"),
)


def survives(file: str, text: str, wrong: str) -> bool:
    """Whether the tests of the laws pass although `text` was replaced."""
    with tempfile.TemporaryDirectory() as scratch:
        shutil.copytree(ROOT / "certify", Path(scratch) / "certify")
        shutil.copytree(ROOT / "proofs_check", Path(scratch) / "proofs_check")
        shutil.copytree(ROOT / "tests" / "laws", Path(scratch) / "tests" / "laws")
        shutil.copy(ROOT / "tests" / "conftest.py", Path(scratch) / "tests" / "conftest.py")
        path = Path(scratch) / "certify" / "laws" / file
        path.write_text(path.read_text().replace(text, wrong))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "tests/laws", "-k", "not wrong_edits"]
        environment = os.environ | {"HYPOTHESIS_PROFILE": "dev", "PYTHONPATH": scratch}
        return subprocess.run(command, cwd=scratch, env=environment, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    chosen = [EDITS[int(number)] for number in sys.argv[1:]] or EDITS
    survivors = [edit for edit in chosen if survives(*edit)]
    for edit in survivors:
        print("survives:", *edit, sep="\n    ")
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} caught")
    sys.exit(bool(survivors))
