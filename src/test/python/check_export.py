#!/usr/bin/env python3
"""Loads a SavedModel with TensorFlow and with tf_keras, and holds their predictions against each other.

    check_export.py MODEL_DIR INPUTS.npy OUT.npz

OUT.npz gets `saved_model` (of the signature serving_default, called through tf.saved_model.load) and `keras` (of
tf_keras.models.load_model(compile=False), in inference mode, where the model carries what that needs: not after model.export), both
of the model's one output for INPUTS, its one input. Prints the largest difference; exits with 1 if it is more than 1e-6 of the largest prediction, or if a prediction is not finite.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tf_keras


def only(mapping, what):
    if len(mapping) != 1:
        raise SystemExit(f"serving_default should have one {what}, not {sorted(mapping)}")
    return next(iter(mapping))


def signature_predictions(folder, inputs):
    loaded = tf.saved_model.load(folder)  # the signature does not keep it alive
    signature = loaded.signatures["serving_default"]
    name = only(signature.structured_input_signature[1], "input")
    outputs = signature(**{name: tf.constant(inputs)})
    return outputs[only(outputs, "output")].numpy()


def keras_predictions(folder, inputs):
    return tf_keras.models.load_model(folder, compile=False)(inputs, training=False).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("inputs", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()

    tf.get_logger().setLevel("ERROR")
    inputs = np.load(arguments.inputs)
    saved_model = signature_predictions(str(arguments.model), inputs)
    carries_keras = (arguments.model / "keras_metadata.pb").exists()
    keras = keras_predictions(arguments.model, inputs) if carries_keras else saved_model
    np.savez(arguments.out, saved_model=saved_model, **({"keras": keras} if carries_keras else {}))
    difference = float(np.abs(saved_model - keras).max())
    print(f"{len(inputs)} predictions, largest difference {difference:g}")
    return 0 if difference <= 1e-6 * float(np.abs(keras).max()) else 1  # a NaN is not <= anything


if __name__ == "__main__":
    sys.exit(main())
