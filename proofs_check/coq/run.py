"""`python -m proofs_check.coq.run`: compile the proofs, ask Coq what they assume, recheck them with coqchk.

A theorem is proved here when its file compiles from source in an empty directory, `Print Assumptions` of the theorem and of
its witness lists nothing beyond the axioms of Coq's classical reals, coqchk accepts the compiled files with the same
axioms, and no source holds a word that assumes something.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from proofs_check.coq.index import ENTRIES, FOLDER, Entry

LIBRARY = "Certify"
MISSING = "not checked here: coqc is absent"
TIME_LIMIT = 600.0
AT_ONCE = 2  # files compiled at a time
# What Coq's classical reals rest on, by file and name. coqchk writes the same names with the library in front.
ALLOWED_AXIOMS = frozenset(
    {
        "ClassicalDedekindReals.sig_forall_dec",
        "ClassicalDedekindReals.sig_not_dec",
        "FunctionalExtensionality.functional_extensionality_dep",
        "Classical_Prop.classic",
    }
)
_FORBIDDEN = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjectures?|Primitive|Register|Declare ML Module"
    r"|Unset\s+(?:Guard|Positivity|Universe)\s+Checking|bypass_check|type_in_type)\b"
)
_ASSUMING = re.compile(r"\b(Hypothes[ie]s|Variables?|Context)\b")
_SECTION = re.compile(r"\b(Section|Module(?:\s+Type)?|End)\s+(\w+)")


@dataclass(frozen=True)
class Result:
    """Outcome for one theorem; `seconds` is the compile time of its file, shared by the theorems in it."""

    claim: str
    theorem: str
    ok: bool
    detail: str
    seconds: float


class Absent(Exception):
    """Coq is not installed."""


def without_comments(text: str) -> str:
    """Coq source with comments (they nest) and strings blanked out."""
    kept, depth, i, quoted = [], 0, 0, False
    while i < len(text):
        if quoted or (text[i] == '"' and not depth):
            quoted = (text[i] != '"') if quoted else True
            i += 1
        elif text.startswith("(*", i):
            depth, i = depth + 1, i + 2
        elif depth and text.startswith("*)", i):
            depth, i = depth - 1, i + 2
            kept.append(" ")
        else:
            if not depth:
                kept.append(text[i])
            i += 1
    return "".join(kept)


def assuming_words(text: str) -> list[str]:
    """Words of a source that assume something without proof; none in an honest one."""
    source = without_comments(text)
    found = [" ".join(match.group(0).split()) for match in _FORBIDDEN.finditer(source)]
    for match in _ASSUMING.finditer(source):
        opened = [word.group(1) for word in _SECTION.finditer(source, 0, match.start())]
        if opened.count("Section") <= opened.count("End"):
            found.append(f"{match.group(0)} outside a Section")
    return found


def compile_waves(folder: Path) -> list[list[str]]:
    """Module names in groups, each requiring only modules of earlier groups."""
    needs = {}
    for path in sorted(folder.glob("*.v")):
        required = re.findall(rf"From {LIBRARY} Require (?:Import|Export) ([\w\s]+)\.", without_comments(path.read_text("utf-8")))
        needs[path.stem] = {name for line in required for name in line.split()}
    waves: list[list[str]] = []
    compiled: set[str] = set()
    while len(compiled) < len(needs):
        ready = [name for name in needs if name not in compiled and needs[name] <= compiled]
        if not ready:
            raise ValueError(f"{folder}: circular or missing imports among {sorted(set(needs) - compiled)}")
        waves.append(ready)
        compiled.update(ready)
    return waves


def axioms(printed: str) -> frozenset[str]:
    """Names in the output of one `Print Assumptions`; an unreadable line counts as a name, so that it is refused."""
    names: set[str] = set()
    for line in printed.splitlines():
        if not line.strip() or line.startswith((" ", "\t")) or line.strip() in ("Axioms:", "Closed under the global context"):
            continue
        match = re.match(r"([\w.']+)\s*(?::|$)", line)
        names.add(match.group(1) if match else line.strip())
    return frozenset(names)


def _coq(folder: Path, tool: str, *arguments: str) -> tuple[bool, str]:
    if shutil.which(tool) is None:
        raise Absent(MISSING)
    try:
        done = subprocess.run([tool, *arguments], cwd=folder, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return False, f"{tool}: no answer within {TIME_LIMIT:g} s"
    if done.returncode:
        return False, (done.stderr or done.stdout).strip()
    return True, done.stdout + done.stderr


def _compiled(work: Path, name: str) -> tuple[str, float]:
    """What coqc said against a file, "" if nothing, and the seconds it took."""
    start = time.perf_counter()
    ok, output = _coq(work, "coqc", "-q", "-R", ".", LIBRARY, f"{name}.v")
    return "" if ok else output[-400:] or "no message", time.perf_counter() - start


def _assumptions(work: Path, modules: list[str], entries: tuple[Entry, ...]) -> tuple[dict[str, frozenset[str]], str]:
    """Axioms of each theorem and witness, by name, or what went wrong.

    Asked first of the tuple of them all, whose assumptions are the union (Coq walks the library once, half a second); one
    by one, half a second each, only to name the culprit when the union holds more than is allowed.
    """
    names = {name: f"@{LIBRARY}.{Path(e.file).stem}.{name}" for e in entries for name in (e.theorem, e.witness)}
    head = [f"From {LIBRARY} Require {' '.join(modules)}."]
    together = [*head, f"Definition all_of_them := ({', '.join(names.values())}).", "Print Assumptions all_of_them."]
    ok, output = _script(work, together)
    if ok and (union := axioms(output)) <= ALLOWED_AXIOMS:
        return dict.fromkeys(names, union), ""
    if not ok:
        return {}, output
    singly = [
        line
        for name, path in names.items()
        for line in (f'Goal True. idtac "== {name}". Abort.', f"Print Assumptions {path[1:]}.")
    ]
    ok, output = _script(work, head + singly)
    parts = re.split(r"^== (\w+)$", output, flags=re.MULTILINE)
    return {name: axioms(text) for name, text in zip(parts[1::2], parts[2::2], strict=True)}, "" if ok else output


def _script(work: Path, lines: list[str]) -> tuple[bool, str]:
    (work / "Assumptions.v").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return _coq(work, "coqc", "-q", "-R", ".", LIBRARY, "Assumptions.v")


def _rechecked(work: Path, modules: list[str]) -> str:
    """Coqchk on all files and everything they load; "" when it accepts them and finds no other axiom."""
    ok, output = _coq(work, "coqchk", "-silent", "-o", "-R", ".", LIBRARY, *(f"{LIBRARY}.{name}" for name in modules))
    if not ok:
        return f"coqchk: {output[-400:]}"
    sections = dict(re.findall(r"^\* ([^:\n]+):\s*(.*?)(?=^\* |\Z)", output, re.DOTALL | re.MULTILINE))
    if "Axioms" not in sections:
        return "coqchk: no context summary"
    extra = {".".join(name.split(".")[-2:]) for name in sections.pop("Axioms").split() if name != "<none>"} - ALLOWED_AXIOMS
    if extra:
        return f"coqchk: further axioms {', '.join(sorted(extra))}"
    unsafe = [title for title, body in sections.items() if title != "Theory" and body.strip() != "<none>"]
    return f"coqchk: {'; '.join(unsafe)}" if unsafe else ""


def check(folder: Path = FOLDER, entries: tuple[Entry, ...] = ENTRIES, recheck: bool = True) -> list[Result]:
    """One result per entry. Raises Absent when Coq is not installed.

    folder  : holds the .v files named by the entries.
    recheck : run coqchk too, on these files and on all that they load (about a minute).
    """
    for tool in ("coqc", "coqchk"):
        if shutil.which(tool) is None:
            raise Absent(MISSING)
    waves = compile_waves(folder)
    modules = [name for wave in waves for name in wave]
    trouble = {name: assuming_words((folder / f"{name}.v").read_text(encoding="utf-8")) for name in modules}
    everywhere = "; ".join(f"{name}.v: {', '.join(words)}" for name, words in trouble.items() if words)
    seconds = dict.fromkeys(modules, 0.0)
    with tempfile.TemporaryDirectory(prefix="certify-coq-") as place, ThreadPoolExecutor(AT_ONCE) as pool:
        work = Path(place)
        for name in modules:
            shutil.copyfile(folder / f"{name}.v", work / f"{name}.v")
        for wave in waves:
            found = list(pool.map(lambda name: _compiled(work, name), wave))
            seconds |= {name: took for name, (_, took) in zip(wave, found, strict=True)}
            failed = [f"{name}.v does not compile: {text}" for name, (text, _) in zip(wave, found, strict=True) if text]
            if failed:
                everywhere = everywhere or "; ".join(failed)
                break
        assumed: dict[str, frozenset[str]] = {}
        if not everywhere:
            assumed, everywhere = _assumptions(work, modules, entries)
        if recheck and not everywhere:
            everywhere = _rechecked(work, modules)
    return [_result(entry, assumed, everywhere, seconds.get(Path(entry.file).stem, 0.0)) for entry in entries]


def _result(entry: Entry, assumed: dict[str, frozenset[str]], everywhere: str, seconds: float) -> Result:
    detail = everywhere
    for name in (entry.theorem, entry.witness):
        extra = sorted(assumed.get(name, frozenset()) - ALLOWED_AXIOMS)
        if not detail and name not in assumed:
            detail = f"{name}: Coq reported no assumptions for it"
        elif not detail and extra:
            detail = f"{name} assumes {', '.join(extra)}"
    return Result(entry.claim, entry.theorem, not detail, detail or "proved (formal)", seconds)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m proofs_check.coq.run", description=__doc__)
    parser.add_argument("--allow-missing", action="store_true", help="exit 0 although coqc is absent")
    parser.add_argument("--statements", action="store_true", help="print words and formal statement of each theorem")
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    try:
        results = check()
    except Absent as absent:
        print(absent)
        return 0 if options.allow_missing else 1
    for entry, result in zip(ENTRIES, results, strict=True):
        verdict = "proved" if result.ok else "FAILED"
        print(f"{verdict:7} {result.claim:33} {entry.file:15} {result.theorem:28} {result.seconds:6.1f} s  {result.detail}")
        if options.statements:
            print(f"        {entry.words}\n        {entry.latex}\n        {entry.statement}")
    failed = sum(not result.ok for result in results)
    claims = len({result.claim for result in results})
    print(f"{len(results) - failed} of {len(results)} theorems on {claims} claims, {time.perf_counter() - start:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
