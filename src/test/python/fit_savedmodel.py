#!/usr/bin/env python3
"""Fine-tunes a SavedModel by tf_keras's fit: what `fine-tune` does in Java, with the options that fit has too.

    fit_savedmodel.py JOB.json OUT.npz

JOB.json: model, features, labels (paths), optimizer (Adafactor's get_config(), whole or in part), epochs, batch_size, and if wanted
sample_weights (a path), class_weight ({"3": 2.5}), validation_split, early_stopping (arguments of the callback), freeze (a regular
expression: variables whose name it is found in are not trained).
The batches come in the order of the files. The loss is sparse categorical cross-entropy of probabilities.

OUT.npz gets loss, accuracy, val_loss and val_accuracy, one number an epoch; best_epoch, from 0, with early stopping; and for each trainable
variable NAME (without ":0") `before/NAME` and `after/NAME`.
"""

import json
import os
import re
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras


def weights(model, when):
    return {f"{when}/{variable.name.removesuffix(':0')}": variable.numpy() for variable in model.variables}


def freeze(model, regex):
    """Keras freezes whole layers; here a variable's own trainability counts."""
    for layer in model.layers:
        frozen = [variable for variable in layer.weights if re.search(regex, variable.name)]
        layer._trainable_weights = [v for v in layer._trainable_weights if not any(v is f for f in frozen)]
        layer._non_trainable_weights += frozen


def main(job, out):
    tf.get_logger().setLevel("ERROR")
    model = tf_keras.models.load_model(job["model"], compile=False)
    before = weights(model, "before")
    if "freeze" in job:
        freeze(model, job["freeze"])
    optimizer = tf_keras.optimizers.Adafactor.from_config(job["optimizer"])
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    stopping = [tf_keras.callbacks.EarlyStopping(**job["early_stopping"])] if "early_stopping" in job else []
    class_weight = {int(label): weight for label, weight in job.get("class_weight", {}).items()}
    history = model.fit(
        np.load(job["features"]),
        np.load(job["labels"]),
        sample_weight=np.load(job["sample_weights"]) if "sample_weights" in job else None,
        class_weight=class_weight or None,
        validation_split=job.get("validation_split", 0.0),
        epochs=job["epochs"],
        batch_size=job["batch_size"],
        callbacks=stopping,
        shuffle=False,
        verbose=0,
    ).history
    best = {"best_epoch": np.array([stopping[0].best_epoch])} if stopping else {}
    np.savez(out, **{name: np.array(values, np.float64) for name, values in history.items()}, **best, **before, **weights(model, "after"))


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file), sys.argv[2])
