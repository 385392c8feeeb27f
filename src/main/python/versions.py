#!/usr/bin/env python3
"""Writes with what this Python would do a job: `versions.py OUT.json`. Importing it all shows whether it works."""

import json
import os
import platform
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy
import tensorflow
import tf_keras

with open(sys.argv[1], "w") as out:
    versions = {"tf_keras": tf_keras.__version__, "tf": tensorflow.__version__, "numpy": numpy.__version__, "python": platform.python_version()}
    json.dump(versions, out)
