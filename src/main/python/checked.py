#!/usr/bin/env python3
"""Runs another script of this folder: `checked.py SCRIPT ARGUMENT…`. What stands in its way is said in the last line of standard error."""

import importlib.metadata
import importlib.util
import pathlib
import re
import runpy
import sys

OLDEST_TF_KERAS = (2, 16)


def obstacle():
    """What this Python lacks, in one line, or None."""
    missing = [package for package in ("tensorflow", "tf_keras") if importlib.util.find_spec(package) is None]
    if missing:
        return f"has no {' and no '.join(missing)}; this brings it: {sys.executable} -m pip install {' '.join(missing)}"
    try:
        version = importlib.metadata.version("tf_keras")
    except importlib.metadata.PackageNotFoundError:  # a nightly build, for example
        return None
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < OLDEST_TF_KERAS:
        oldest = ".".join(map(str, OLDEST_TF_KERAS))
        return f"has tf_keras {version}, {oldest} is the oldest that works; this brings the newest: {sys.executable} -m pip install -U tf_keras"
    return None


def main(script, *arguments):
    found = obstacle()
    if found:
        sys.exit(found)
    path = pathlib.Path(__file__).with_name(script)
    sys.argv = [str(path), *arguments]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except Exception as error:
        lines = str(error).strip().splitlines()
        sys.exit(f"{type(error).__name__}: {lines[0] if lines else 'no message'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
