#!/usr/bin/env python3
"""Records what tf_keras's Adafactor does, step by step, in a case file that `adafactor compare --cases FILE` replays in Java.

    record_cases.py --out FILE.json --seed 7 --count 200      200 random configurations
    record_cases.py --out FILE.json --suite schedules         cases with names (--list-suites shows the suites)
    record_cases.py --out FILE.json --cases SPEC.json         your own variables, settings and gradients
    record_cases.py --replay FILE.json                        records a file's cases again, prints what differs, exits with 1 if anything does

It needs tensorflow and tf_keras in any versions whose Adafactor has these arguments; they are named in the file.

SPEC.json is a case file that may leave things out: {"cases": [CASE, …]}, where CASE has `vars` (each with `name` and `shape`) and
optionally `id`, `kwargs` (of Adafactor; a schedule is {"class_name": …, "config": …}), `exclude`, `initial_iterations`, `events` and
`steps`: the steps of a case file, or how many to make (10). What is left out is the default or, for initial values and gradients,
drawn with --seed. For example:

    {"cases": [{"kwargs": {"learning_rate": 0.01, "clipnorm": 1.0},
                "vars": [{"name": "dense/kernel", "shape": [64, 10]}, {"name": "dense/bias", "shape": [10]}], "steps": 20}]}

A case file:

    {"meta":  {"tf", "tf_keras", "numpy", "mode": "eager", "n_cases", "errors": []},
     "cases": [{"id", "tags": […], "kwargs": {…}, "exclude": null | {"names": [regex, …]} | {"vars": [index, …]},
                "vars":  [{"name", "shape", "dtype", "init": B64}], "initial_iterations",
                "events": [{"before_step", "set_learning_rate"}],
                "steps": [{"g": [null | B64 | {"idx": [row, …], "val": B64}], "var": [B64], "v": [B64], "r": [B64 | null], "c": [B64 | null],
                           "ema": [B64], "it", "lr"}],
                "final": [B64]}]}

B64 is base64 of the raw little-endian bytes in C order. Lists are one entry a variable; r and c are null for rank < 2, ema is there with
use_ema only. The schedule TestNoam, {base, warmup}, stands for a user's own: base * min(rsqrt(step + 1), (step + 1) * warmup^-1.5).
"""

import argparse
import gzip
import json
import os
import pathlib
import sys

import case_draws
import case_suites
from case_runner import np, record, tagged, tf, tf_keras


def read_cases(path):
    """The cases of a file; what is wrong with the file ends the program with one line."""
    try:
        data = path.read_bytes()
        cases = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)["cases"]
        for case in cases:
            for v in case["vars"]:
                v["name"], v["shape"]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        print(f"{path}: not a file of cases ({type(error).__name__}: {error}); --help shows the format", file=sys.stderr)
        sys.exit(2)
    return cases


def write(path, cases):
    """One case a line, so that a file can be compared with its next version."""
    meta = {
        "tf": tf.__version__,
        "tf_keras": tf_keras.__version__,
        "numpy": np.__version__,
        "mode": "eager",
        "n_cases": len(cases),
        "errors": [],
    }
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    write_whole(path, f'{{"meta":{json.dumps(meta)},\n"cases":[\n{lines}\n]}}\n')


def write_whole(path, text):
    """Gzipped if the name ends with .gz; the file is there when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    partial.replace(path)


def differences(old, new):
    """The places where two recordings of a case differ."""
    found = []
    for index, (before, after) in enumerate(zip(old["steps"], new["steps"])):
        found += [f"step {index}: {key}" for key in after if before.get(key) != after[key]]
    return found + (["final"] if old["final"] != new["final"] else [])


def replay(path):
    cases = read_cases(path)
    differing = 0
    for case in cases:
        found = differences(case, record(case))
        differing += bool(found)
        for place in found:
            print(f"{case['id']}: {place}")
    print(f"{len(cases) - differing} of {len(cases)} cases bit-equal, {sum(len(case['steps']) for case in cases)} steps")
    return 1 if differing else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE", help="the case file to write; gzipped if it ends with .gz")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (default 1)")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--count", type=int, metavar="N", help="record N random configurations")
    what.add_argument("--suite", choices=sorted(case_suites.SUITES), help="record the named cases of a suite")
    what.add_argument("--cases", type=pathlib.Path, metavar="SPEC", help="record the cases of this file")
    what.add_argument("--replay", type=pathlib.Path, metavar="FILE", help="record this case file again and compare")
    what.add_argument("--list-suites", action="store_true", help="print the suites with their cases")
    parsed = parser.parse_args()
    if not (parsed.out or parsed.replay or parsed.list_suites):
        parser.error("--out FILE is missing")
    return parsed


def main():
    options = arguments()
    if options.list_suites:
        for name, suite in case_suites.SUITES.items():
            print(f"{name}: {', '.join(case['id'] for case in suite())}")
        return 0
    if options.replay:
        return replay(options.replay)
    if options.count is not None:
        cases = case_draws.random_cases(options.seed, options.count)
    elif options.suite:
        cases = [tagged(record(case)) for case in case_suites.SUITES[options.suite]()]
    else:
        spec = read_cases(options.cases)
        cases = [tagged(record(case_draws.completed(case, options.seed, index))) for index, case in enumerate(spec)]
    write(options.out, cases)
    steps = sum(len(case["steps"]) for case in cases)
    print(f"{options.out}: {len(cases)} cases, {steps} steps, {sum('nan' in case['tags'] for case in cases)} cases with NaN")
    return 0


if __name__ == "__main__":
    sys.exit(main())
