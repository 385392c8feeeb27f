"""Compiled models that Python trains a third of the way, to be trained on in Java and in Python again.

    python hand_back.py begin FOLDER
    python hand_back.py go_on FOLDER MODEL

The first writes FOLDER/KIND for each kind of optimizer below, and for the first of them the models after the second and the last third (whole, end), and the
data of the second third. The other goes on with a model, loaded with its weights and its optimizer's state, for the last third, and writes MODEL-end.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras

BATCH, STEPS = 16, 6
THIRD = BATCH * STEPS


def optimizers():
    adafactor, cosine = tf_keras.optimizers.Adafactor, tf_keras.optimizers.schedules.CosineDecay(0.1, 30)
    return {
        "averaged": adafactor(cosine, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=4),
        "plain": adafactor(0.02),
        "adam": tf_keras.optimizers.Adam(use_ema=True),
        "unused": adafactor(0.02),
    }


def data():
    features = np.random.default_rng(1).normal(size=[3 * THIRD, 5]).astype(np.float32)
    return features, (features[:, 0] > features[:, 1]).astype(np.int32) + (features[:, 2] > 0)


def fit(model, third):
    part = slice(third * THIRD, (third + 1) * THIRD)
    features, labels = data()
    model.fit(features[part], labels[part], batch_size=BATCH, shuffle=False, verbose=0)


def begin(folder):
    features, labels = data()
    np.save(folder / "features.npy", features[THIRD : 2 * THIRD])
    np.save(folder / "labels.npy", labels[THIRD : 2 * THIRD])
    for kind, optimizer in optimizers().items():
        tf_keras.utils.set_random_seed(1)
        layers = [tf_keras.layers.Input([5], name="x"), tf_keras.layers.Dense(8, "tanh"), tf_keras.layers.Dense(3, "softmax")]
        model = tf_keras.Sequential(layers)
        model.compile(optimizer, "sparse_categorical_crossentropy")
        if kind != "unused":
            fit(model, 0)
        model.save(folder / kind, save_format="tf")
        if kind == "averaged":
            for third, name in ((1, "whole"), (2, "end")):
                fit(model, third)
                model.save(folder / name, save_format="tf")


def go_on(folder, saved):
    model = tf_keras.models.load_model(folder / saved)
    model.load_weights(folder / saved / "variables" / "variables").expect_partial()
    fit(model, 2)
    model.save(folder / f"{saved}-end", save_format="tf")


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    globals()[sys.argv[1]](pathlib.Path(sys.argv[2]), *sys.argv[3:])
