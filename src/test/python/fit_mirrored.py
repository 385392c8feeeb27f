#!/usr/bin/env python3
"""Has tf_keras's fit divide its batches among CPU devices, by MirroredStrategy.

    fit_mirrored.py FOLDER REPLICAS

FOLDER gets `model`, untrained, by model.save, with batch normalization, a regularizer, a loop, an embedding, and means of the input that are
added up in a branch and in a loop; x.npy and y.npy, whose batches of BATCH rows the replicas divide evenly; and python.npz with what came of EPOCHS
epochs in the order of the files: `loss`, one number an epoch, and for each variable NAME (without ":0") `before/NAME` and `after/NAME`. It gets besides
what cannot be divided, see refused(), and what was not fitted, see others().
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


class Summing(L.Layer):
    """Adds up the means of its input: in a branch those that are large, in a loop each twice."""

    def build(self, shape):
        self.in_branch, self.in_loop = (
            self.add_weight(
                name, [1], trainable=False, synchronization=tf.VariableSynchronization.ON_READ, aggregation=tf.VariableAggregation.MEAN
            )
            for name in ("in_branch", "in_loop")
        )

    def call(self, x, training=False):
        if training:
            mean = tf.reduce_mean(tf.cast(x, tf.float32))

            def add(variable):
                with tf.control_dependencies([variable.assign_add([0.1 * mean])]):
                    return tf.constant(1)

            tf.cond(mean > 4.9, lambda: add(self.in_branch), lambda: tf.constant(0))
            tf.while_loop(lambda i: i < 4, lambda i: i + tf.cond(i % 2 == 1, lambda: add(self.in_loop), lambda: tf.constant(1)), [0])
        return x


def make():
    ids = L.Input([6], dtype=tf.int32, name="ids")
    x = L.Embedding(WORDS, 8)(Summing()(ids))
    x = L.Conv1D(6, 3, use_bias=False)(x)
    x = L.BatchNormalization(momentum=0.8)(x)
    x = L.ReLU()(x)
    x = L.GRU(5)(x)
    x = L.Dense(7, use_bias=False, kernel_regularizer="l2")(x)
    x = L.BatchNormalization(momentum=0.6)(x)
    return tf_keras.Model(ids, L.Dense(CLASSES, "softmax")(L.Activation("tanh")(x)))


class Counting(L.Layer):
    """Counts its steps, maybe those alone whose input is large."""

    def __init__(self, aggregation=tf.VariableAggregation.NONE, in_branch=False):
        super().__init__(name="counting")
        self.aggregation, self.in_branch = aggregation, in_branch

    def build(self, shape):
        self.steps = self.add_weight("steps", [], tf.int64, "zeros", trainable=False, aggregation=self.aggregation)

    def call(self, x, training=False):
        if training and self.in_branch:
            tf.cond(tf.reduce_sum(x) > 9, lambda: self.steps.assign_add(1), lambda: tf.identity(self.steps))
        elif training:
            self.steps.assign_add(1)
        return tf.cast(x, tf.float32)


class Shrinking(L.Layer):
    """Makes what is trained smaller in each step, as MirroredStrategy permits."""

    def build(self, shape):
        self.scale = self.add_weight("scale", [], initializer="ones", aggregation=tf.VariableAggregation.MEAN)

    def call(self, x, training=False):
        if training:
            self.scale.assign(0.9 * self.scale)
        return self.scale * tf.cast(x, tf.float32)


class Half(L.Layer):
    """Remembers a number of the batch whose sum over two of them is too large for half precision."""

    def build(self, shape):
        self.seen = self.add_weight("seen", [], tf.float16, "zeros", trainable=False, aggregation=tf.VariableAggregation.MEAN)

    def call(self, x, training=False):
        if training:
            self.seen.assign(tf.cast(40000.0 + 1000.0 * tf.reduce_mean(tf.cast(x, tf.float32)), tf.float16))
        return tf.cast(x, tf.float32)


class Placed(L.Layer):
    """Asks for devices, in branches and loops, too."""

    def build(self, shape):
        self.table = self.add_weight("table", [WORDS, 4])
        self.kernel = self.add_weight("kernel", [4, 5])
        self.scale = self.add_weight("scale", [5], initializer="ones")
        self.seen = self.add_weight("seen", [], trainable=False, aggregation=tf.VariableAggregation.MEAN)

    def call(self, x, training=False):
        with tf.device("/cpu:0"):
            y = tf.reduce_sum(tf.gather(self.table, x), 1) @ self.kernel
        with tf.device("/gpu:7"):
            y = tf.nn.tanh(y * self.scale)

        def scaled(factor, device):
            with tf.device(device):
                return factor * y * self.scale

        y = tf.cond(tf.reduce_sum(x) > 9, lambda: scaled(2.0, "/cpu:0"), lambda: scaled(3.0, "/gpu:0"))

        def iteration(i, y):
            with tf.device("/cpu:0"):
                return i + 1, tf.sin(y * self.scale)

        y = tf.while_loop(lambda i, _: i < 2, iteration, [0, y])[1]
        if training:

            def seen():
                with tf.device("/cpu:0"):
                    return self.seen.assign_add(tf.reduce_mean(y))

            tf.cond(tf.reduce_sum(x) > 9, seen, lambda: tf.identity(self.seen))
        return y


class Penalty(L.Layer):
    def call(self, x):
        x = tf.cast(x, tf.float32)
        self.add_loss(1e-3 * tf.reduce_sum(x))
        return x


class Predicting(tf.Module):
    """Changes a variable whenever it predicts."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal([6, CLASSES], [1, 2]), name="kernel")
        self.seen = tf.Variable(0.0, name="seen", trainable=False, aggregation=tf.VariableAggregation.MEAN)

    @tf.function(input_signature=[tf.TensorSpec([None, 6], tf.int32, name="ids")])
    def __call__(self, ids):
        x = tf.cast(ids, tf.float32)
        self.seen.assign(tf.reduce_mean(x))
        return {"y": tf.nn.sigmoid(x @ self.kernel)}


def after(layer, regularizer=None):
    ids = L.Input([6], dtype=tf.int32)
    return tf_keras.Model(ids, L.Dense(CLASSES, "softmax", kernel_regularizer=regularizer)(layer(ids)))


def refused():
    ids = L.Input([6], batch_size=BATCH, dtype=tf.int32)
    return {
        "counting": after(Counting()),
        "counting_in_branch": after(Counting(in_branch=True)),
        "mean_of_integers": after(Counting(tf.VariableAggregation.MEAN)),
        "shrinking": after(Shrinking()),
        "fixed": tf_keras.Model(ids, L.Dense(CLASSES, "softmax")(L.Flatten()(L.Embedding(WORDS, 8)(ids)))),
    }


def others():
    return {"half": after(Half()), "placed": after(Placed()), "penalty": after(Penalty()), "regularized": after(L.Rescaling(0.1), "l2")}


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
    for name, model in {**refused(), **others()}.items():
        model.save(folder / name)
    predicting = Predicting()
    tf.saved_model.save(predicting, folder / "predicting", signatures=predicting.__call__)
    with_devices = tf.saved_model.SaveOptions(experimental_variable_policy="save_variable_devices")
    after(Placed()).save(folder / "on_first", options=with_devices)
    with tf.device("/cpu:1"):
        elsewhere = after(Placed())
    elsewhere.save(folder / "on_second", options=with_devices)
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
