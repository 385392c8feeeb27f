#!/usr/bin/env python3
"""Loads what was exported after a job, with TensorFlow and with tf_keras, and holds it against what train_savedmodel.py made of that job.

    check_export.py JOB.json ...

Of NAME.json it takes the SavedModel NAME-trained and writes NAME-check.json:

    losses        of tf_keras's steps, if train_savedmodel.py did the job, and so
    variables     of each its name, whether the optimizer may change it, how far tf_keras `moved` it, how far `apart` the export's is from
                  tf_keras's and, for a job with undetermined variables, how far tf_keras was apart from itself: Euclidean norms
    predictions   of the job's output for its features, a flat list for each way to load the export: "saved_model" (the signature through
                  tf.saved_model.load) and, where it carries what that needs, "keras" (tf_keras.models.load_model, in inference mode)
"""

import json
import pathlib
import sys

import numpy as np
import tensorflow as tf
from train_savedmodel import SignatureModel, load


def norm(a, b):
    return float(np.linalg.norm((a.astype(np.float64) - b.astype(np.float64)).ravel()))


def compare(model, python):
    trainable = {id(variable) for variable in model.trainable_variables}
    for i, variable in enumerate(model.variables):
        after = python[f"after/{i}"]
        yield {
            "name": variable.name.removesuffix(":0"),
            "trainable": id(variable) in trainable,
            "moved": norm(after, python[f"before/{i}"]),
            "apart": norm(variable.numpy(), after),
            "noise": norm(after, python[f"noise/{i}"]) if f"noise/{i}" in python else None,
        }


def main(files):
    tf.get_logger().setLevel("ERROR")
    for file in files:
        job = json.loads(file.read_text())
        export = file.with_name(f"{file.stem}-trained")
        features = {name: tf.constant(np.load(file.parent / path)) for name, path in job["features"].items()}
        result = {}
        model = load(export, job["signature"])
        python = file.with_name(f"{file.stem}-python.npz")
        if python.exists():
            with np.load(python) as arrays:
                result["losses"] = arrays["losses"].tolist()
                result["variables"] = list(compare(model, arrays))
        models = {"saved_model": SignatureModel(str(export), job["signature"])}
        if not isinstance(model, SignatureModel):
            models["keras"] = model
        result["predictions"] = {}
        for name, loaded in models.items():
            predict = tf.function(lambda: loaded(features, job["output"], training=False)[0])
            result["predictions"][name] = predict().numpy().ravel().tolist()
        file.with_name(f"{file.stem}-check.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main([pathlib.Path(argument) for argument in sys.argv[1:]])
