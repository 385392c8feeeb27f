#!/usr/bin/env python3
"""Writes with what this Python would do a job: `versions.py OUT.json`. Imports nothing of it, which takes its time."""

import importlib.metadata
import json
import platform
import sys

UNKNOWN = "of unknown version"
TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tensorflow-intel", "tf-nightly", "tf-nightly-cpu")
installed = {(package.metadata["Name"] or "").lower().replace("_", "-"): package.version for package in importlib.metadata.distributions()}
versions = {
    "tf_keras": installed.get("tf-keras", UNKNOWN),
    "tf": next((installed[name] for name in TENSORFLOW if name in installed), UNKNOWN),
    "numpy": installed.get("numpy", UNKNOWN),
    "python": platform.python_version(),
}
with open(sys.argv[1], "w") as out:
    json.dump(versions, out)
