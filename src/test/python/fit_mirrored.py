#!/usr/bin/env python3
"""Has tf_keras's fit divide its batches among CPU devices, by MirroredStrategy.

    fit_mirrored.py FOLDER REPLICAS

FOLDER gets `model`, untrained, by model.save, with batch normalization, a regularizer, a loop and an embedding; x.npy and y.npy, whose batches of
BATCH rows the replicas divide evenly; and python.npz with what came of EPOCHS epochs in the order of the files: `loss`, one number an epoch,
and for each variable NAME (without ":0") `before/NAME` and `after/NAME`. It gets besides what cannot be divided: `fixed`, with batches of BATCH
alone, and `counting`, which counts its steps.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras

L = tf_keras.layers
ROWS, BATCH, EPOCHS, WORDS, CLASSES = 72, 24, 3, 11, 4


def make():
    ids = L.Input([6], dtype=tf.int32, name="ids")
    x = L.Embedding(WORDS, 8)(ids)
    x = L.Conv1D(6, 3, use_bias=False)(x)
    x = L.BatchNormalization(momentum=0.8)(x)
    x = L.ReLU()(x)
    x = L.GRU(5)(x)
    x = L.Dense(7, use_bias=False, kernel_regularizer="l2")(x)
    x = L.BatchNormalization(momentum=0.6)(x)
    return tf_keras.Model(ids, L.Dense(CLASSES, "softmax")(L.Activation("tanh")(x)))


class Counting(L.Layer):
    def build(self, shape):
        self.steps = self.add_weight("steps", [], tf.int64, "zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.steps.assign_add(1)
        return tf.cast(x, tf.float32)


def refused():
    ids = L.Input([6], dtype=tf.int32)
    counting = tf_keras.Model(ids, L.Dense(CLASSES, "softmax")(Counting()(ids)))
    ids = L.Input([6], batch_size=BATCH, dtype=tf.int32)
    return {"counting": counting, "fixed": tf_keras.Model(ids, L.Dense(CLASSES, "softmax")(L.Flatten()(L.Embedding(WORDS, 8)(ids))))}


def values(model, when):
    return {f"{when}/{variable.name.removesuffix(':0')}": variable.numpy() for variable in model.variables}


def main(folder, replicas):
    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.set_random_seed(3)
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
    random = np.random.default_rng(5)
    x = random.integers(0, WORDS, (ROWS, 6)).astype(np.int32)
    y = (x.sum(1) % CLASSES).astype(np.int32)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    for name, model in refused().items():
        model.save(folder / name)
    with tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)]).scope():
        model = make()
        optimizer = tf_keras.optimizers.Adafactor(learning_rate=0.01, epsilon_1=1e-16)
        model.compile(optimizer, "sparse_categorical_crossentropy")
    before = values(model, "before")
    model.save(folder / "model", include_optimizer=False)
    history = model.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=False, verbose=0).history
    np.savez(folder / "python.npz", **{name: np.array(numbers) for name, numbers in history.items()}, **before, **values(model, "after"))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), int(sys.argv[2]))
