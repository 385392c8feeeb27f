#!/usr/bin/env python3
"""Makes small SavedModels of several kinds, untrained, and inputs and labels for each.

    export_models.py FOLDER

    mlp       two dense layers, by model.export: signatures alone, nothing for tf_keras to load
    cnn       convolution and batch normalization, compiled, by model.save
    float64   two dense layers in float64, by model.save

Each is the folder NAME, beside NAME-x.npy (its one input) and NAME-y.npy (int32 labels, of three classes).
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras

ROWS = 64
CLASSES = 3
layers = tf_keras.layers


def mlp(dtype):
    return tf_keras.Sequential(
        [
            layers.Input([5], dtype=dtype, name="x"),
            layers.Dense(8, "relu", dtype=dtype),
            layers.Dense(CLASSES, "softmax", dtype=dtype),
        ]
    )


def cnn():
    model = tf_keras.Sequential(
        [
            layers.Input([8, 8, 1], name="x"),
            layers.Conv2D(4, 3, padding="same"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, "softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def save(model, folder):
    model.save(folder, save_format="tf")


def export(model, folder):
    model.export(folder)


def main(folder):
    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    for name, model, write in [("mlp", mlp("float32"), export), ("cnn", cnn(), save), ("float64", mlp("float64"), save)]:
        x = random.normal(size=(ROWS, *model.input_shape[1:])).astype(model.inputs[0].dtype.as_numpy_dtype)
        y = random.integers(0, CLASSES, size=ROWS).astype(np.int32)
        if name == "cnn":
            model.fit(x, y, verbose=0)  # so that the moving statistics are not those of the start
        write(model, folder / name)
        np.save(folder / f"{name}-x.npy", x)
        np.save(folder / f"{name}-y.npy", y)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
