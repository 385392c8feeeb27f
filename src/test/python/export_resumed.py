#!/usr/bin/env python3
"""Makes SavedModels and data for jobs that are killed and resumed.

    export_resumed.py FOLDER

    noisy     dropout, Gaussian noise and batch normalization
    half      variables of float16

Both take `x`, rows of 12 numbers: x/part-1.npy to x/part-3.npy; labels.npy has classes 0 to 4, weights.npy a weight for each row.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras

CLASSES = 5
layers = tf_keras.layers


def noisy():
    x = layers.Input([12], name="x")
    hidden = layers.Dropout(0.3)(layers.BatchNormalization()(layers.Dense(64, "relu")(layers.GaussianNoise(0.1)(x))))
    return tf_keras.Model(x, layers.Dense(CLASSES, "softmax")(hidden))


def half():
    x = layers.Input([12], name="x", dtype="float16")
    hidden = layers.Dense(64, "tanh", dtype="float16")(x)
    return tf_keras.Model(x, layers.Dense(CLASSES, "softmax", dtype="float16")(hidden))


def main(folder):
    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    for make in (noisy, half):
        make().save(folder / make.__name__, save_format="tf")
    x = random.normal(size=(600, 12)).astype(np.float32)
    (folder / "x").mkdir()
    for i, part in enumerate(np.split(x, [150, 390]), 1):
        np.save(folder / "x" / f"part-{i}.npy", part)
    np.save(folder / "labels.npy", np.argmax(x[:, :CLASSES], axis=1))
    np.save(folder / "weights.npy", random.uniform(0.1, 2, 600).astype(np.float32))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
