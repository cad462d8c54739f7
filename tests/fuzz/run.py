"""Fuzzes the package, target after target, guided by coverage. ``make fuzz SECONDS=3600`` runs it.

Findings are files: the case (``<target>-<hash>.bin``) and what it did (``.txt``). A case is tried again with
``python tests/fuzz/run.py --replay FILE``. What is mended becomes a test in ``tests/hostile``.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
SLICE = 120  # seconds for a target at a time, so that all have had their turn early
HANG = 5  # seconds
MEMORY = 1_500  # MiB
INSTRUMENTED = ["med_mat", "openpyxl", "yaml", "PIL", "pydicom", "nibabel", "tifffile", "zipfile", "tarfile", "json"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="for all targets together")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="corpora and findings")
    parser.add_argument("--target", action="append", help="only this one; may be repeated")
    parser.add_argument("--replay", type=Path, help="run one case, named after its target")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments, rest = parser.parse_known_args()
    if arguments.replay:
        return _replay(arguments.replay)
    if arguments.one:
        return _fuzz(arguments.one, arguments.folder, rest)
    return _all(arguments.target, arguments.seconds, arguments.folder.absolute())


def _replay(case: Path) -> int:
    from targets import TARGETS, clean_up

    try:
        TARGETS[case.stem.split("-")[0]].check(case.read_bytes())
    finally:
        clean_up()
    return 0


def _all(names: list[str] | None, seconds: int, folder: Path) -> int:
    from targets import TARGETS, clean_up

    clean_up()
    names = names or list(TARGETS)
    (folder / "findings").mkdir(parents=True, exist_ok=True)
    before = set((folder / "findings").iterdir())
    executions = dict.fromkeys(names, 0)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 1:
        for name in names:
            corpus = folder / name
            corpus.mkdir(exist_ok=True)
            for seed in TARGETS[name].seeds():
                (corpus / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
            share = int(min(SLICE, max(1, left / len(names)), max(1, end - time.monotonic())))
            until = time.monotonic() + share
            # A hang or a crash ends the process, not the turn.
            while (rest := int(until - time.monotonic())) > 0:
                executions[name] += _slice(name, folder, corpus, TARGETS[name].largest, rest)
            print(f"{name}: {executions[name]:,} executions so far", flush=True)
    found = sorted(set((folder / "findings").iterdir()) - before)
    for name, number in executions.items():
        print(f"{name:10} {number:12,} executions")
    print(f"{sum(executions.values()):,} executions in {seconds} s, {len(found)} new findings in {folder / 'findings'}")
    for path in found:
        print(f"  {path.name}")
    return 1 if found else 0


def _slice(name: str, folder: Path, corpus: Path, largest: int, seconds: int) -> int:
    command = [
        *(sys.executable, __file__, "--one", name, "--folder", folder, corpus),
        *(f"-max_total_time={seconds}", f"-timeout={HANG}", f"-rss_limit_mb={MEMORY}", f"-max_len={largest}"),
        *(f"-artifact_prefix={folder}/findings/{name}-", "-print_final_stats=1", "-verbosity=1"),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path[1:]]), "PYTHONHASHSEED": "0"}
    done = subprocess.run(list(map(str, command)), capture_output=True, env=environment, check=False)
    log = done.stderr.decode("utf-8", "replace")
    (folder / f"{name}.log").write_text(log, encoding="utf-8")
    counts = re.findall(r"stat::number_of_executed_units: (\d+)", log) or re.findall(r"^#(\d+)\s", log, re.MULTILINE)
    if done.returncode and "findings" not in log:
        raise SystemExit(f"{name}: the fuzzer itself failed\n{log[-3000:]}")
    return int(counts[-1]) if counts else 0


def _fuzz(name: str, folder: Path, options: list[str]) -> int:
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from targets import TARGETS

    check = TARGETS[name].check
    terminal = os.memfd_create("terminal")
    printed = 0
    redirected = False

    def one(data: bytes) -> None:
        nonlocal printed, redirected
        if not redirected:
            # libFuzzer has its own copy of standard error by now.
            os.dup2(terminal, 2)
            redirected = True
        try:
            check(data)
        except Exception as error:
            _record(folder, name, data, error)
        size = os.fstat(terminal).st_size
        if size != printed:
            text = os.pread(terminal, 2_000, printed).decode("utf-8", "replace")
            _record(folder, name, data, RuntimeError(f"printed: {text}"))
            printed = size

    atheris.Setup([sys.argv[0], *options, "-close_fd_mask=2"], one)
    atheris.Fuzz()
    return 0


def _record(folder: Path, name: str, data: bytes, error: Exception) -> None:
    """One file for each kind of error and place: the shortest case that shows it."""
    kind = hashlib.sha1(f"{type(error).__name__} {_place(error.__traceback__, str(error))}".encode()).hexdigest()[:12]
    case = folder / "findings" / f"{name}-{kind}.bin"
    if not case.exists() or case.stat().st_size > len(data):
        case.write_bytes(data)
        text = "".join(traceback.format_exception(error))
        case.with_suffix(".txt").write_text(text, encoding="utf-8", errors="backslashreplace")


def _place(trace: TracebackType | None, message: str) -> str:
    frames = traceback.extract_tb(trace)
    ours = [frame for frame in frames if "/med_mat/" in frame.filename]
    if not frames or not ours:
        return re.sub(r"[\d.]+|0x[0-9a-f]+", "N", message)[:60]
    return f"{ours[-1].filename}:{ours[-1].name}:{ours[-1].lineno} {frames[-1].name}"


if __name__ == "__main__":
    sys.exit(main())
