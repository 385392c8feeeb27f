#!/usr/bin/env python3
"""What tf_keras's losses come to with sample weights of several shapes, and with class weights.

    weighted_losses.py CASES.json OUT.json

CASES.json: a list of {"loss", "shape", "weights", "class_weight"}: tf_keras's name of the loss, the shape of the predictions, that of the
weights (or null), and weights by class (or {}). OUT.json gets the same list with "predictions", "labels", "sample_weights" (nested lists) and
"value", what the first batch of fit reports as its loss.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras


def value(case, predictions, labels, weights):
    """By fit itself, of a model that gives back its input; the rate of the optimizer is 0."""
    model = tf_keras.Sequential([tf_keras.layers.Input(predictions.shape[1:]), tf_keras.layers.Activation("linear")])
    model.compile("sgd", case["loss"])
    by_class = {int(label): weight for label, weight in case["class_weight"].items()}
    history = model.fit(predictions, labels, batch_size=len(labels), sample_weight=weights, class_weight=by_class or None, shuffle=False, verbose=0)
    return history.history["loss"][0]


def main(cases, out):
    tf.get_logger().setLevel("ERROR")
    random = np.random.default_rng(7)
    for case in cases:
        shape = case["shape"]
        predictions = random.uniform(0.05, 0.95, size=shape)
        if case["loss"].endswith("categorical_crossentropy"):
            predictions /= predictions.sum(-1, keepdims=True)
        predictions = predictions.astype(np.float32)
        if case["loss"] == "sparse_categorical_crossentropy":
            labels = random.integers(0, shape[-1], size=shape[:-1])
        elif case["loss"] == "categorical_crossentropy":
            labels = np.eye(shape[-1], dtype=np.float32)[random.integers(0, shape[-1], size=shape[:-1])]
        else:
            labels = random.integers(0, 2, size=shape).astype(np.float32)
        weights = None if case["weights"] is None else random.uniform(-0.5, 2, size=case["weights"]).astype(np.float32)
        case["value"] = value(case, predictions, labels, weights)
        case["predictions"] = predictions.tolist()
        case["labels"] = labels.tolist()
        case["sample_weights"] = None if weights is None else weights.tolist()
    with open(out, "w") as file:
        json.dump(cases, file)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file), sys.argv[2])
