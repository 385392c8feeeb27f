#!/usr/bin/env python3
"""Makes SavedModels that are sure of their probabilities, right or wrong, and SavedModels in float16.

    export_sure.py FOLDER

    softmax, sigmoid    a dense layer, by model.export: nothing for tf_keras to load. Of many examples the probability of what the label
                        says is below 1e-7
    subclass            the same as softmax, a class that tf_keras loads without its code, by model.save
    half                all in float16, by model.save
    half_module         a tf.Module in float16

Each is the folder NAME, beside NAME-x.npy (its one input) and NAME-y.npy (classes; 0 or 1 for sigmoid).
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


def sure(units, activation):
    """Its logits are of the order of 50."""
    large = tf_keras.initializers.RandomNormal(stddev=25.0, seed=1)
    return tf_keras.Sequential([layers.Input([5], name="x"), layers.Dense(units, activation, kernel_initializer=large)])


class Subclass(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = sure(CLASSES, "softmax")

    def call(self, x):
        return self.inner(x)


class Half(tf.Module):
    def __init__(self, random):
        super().__init__()
        self.kernel = tf.Variable(random.normal(size=(5, CLASSES)), dtype=tf.float16, name="kernel")
        self.bias = tf.Variable(np.zeros(CLASSES), dtype=tf.float16, name="bias")

    @tf.function(input_signature=[tf.TensorSpec([None, 5], tf.float16, name="x")])
    def serve(self, x):
        return {"probabilities": tf.nn.softmax(x @ self.kernel + self.bias)}


def half():
    x = layers.Input([5], name="x", dtype="float16")
    hidden = layers.Dense(8, "tanh", dtype="float16")(x)
    return tf_keras.Model(x, layers.Dense(CLASSES, "softmax", dtype="float16")(hidden))


def main(folder):
    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    sure(CLASSES, "softmax").export(folder / "softmax")
    sure(1, "sigmoid").export(folder / "sigmoid")
    subclass = Subclass()
    subclass.predict(np.zeros([2, 5], np.float32), verbose=0)
    subclass.save(folder / "subclass", save_format="tf")
    half().save(folder / "half", save_format="tf")
    module = Half(random)
    tf.saved_model.save(module, str(folder / "half_module"), {"serving_default": module.serve})
    for name in ["softmax", "sigmoid", "subclass", "half", "half_module"]:
        np.save(folder / f"{name}-x.npy", random.normal(size=(ROWS, 5)).astype(np.float32))
        np.save(folder / f"{name}-y.npy", random.integers(0, 2, (ROWS, 1)) if name == "sigmoid" else random.integers(0, CLASSES, ROWS))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
