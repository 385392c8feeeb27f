#!/usr/bin/env python3
"""Makes SavedModels that fine-tune has something to remark on, and .npy files for them.

    export_remarks.py FOLDER

    tagger    an Embedding with a mask, and a class for each position: masked ones count in Java
    heads     two outputs, `kind` and `size`, of one hidden layer
    begun     an MLP, and in begun-checkpoints what tf.train.Checkpoint(model=, optimizer=) saved after two epochs

Each is the folder NAME, beside NAME-x.npy and NAME-labels.npy (classes 0 to 2).
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras

ROWS = 32
CLASSES = 3
layers = tf_keras.layers


def main(folder):
    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)

    def write(name, model, x, labels):
        model.save(folder / name, save_format="tf")
        np.save(folder / f"{name}-x.npy", x)
        np.save(folder / f"{name}-labels.npy", labels)

    ids = random.integers(0, 8, size=(ROWS, 5)).astype(np.int32)
    words = layers.Input([5], dtype="int32", name="x")
    tags = layers.Dense(CLASSES, "softmax")(layers.Embedding(8, 4, mask_zero=True, name="words")(words))
    write("tagger", tf_keras.Model(words, tags), ids, random.integers(0, CLASSES, size=(ROWS, 5)))

    x = random.normal(size=(ROWS, 4)).astype(np.float32)
    labels = random.integers(0, CLASSES, size=ROWS)
    inputs = layers.Input([4], name="x")
    hidden = layers.Dense(6, "tanh", name="hidden")(inputs)
    kind = layers.Dense(CLASSES, "softmax", name="kind")(hidden)
    write("heads", tf_keras.Model(inputs, {"kind": kind, "size": layers.Dense(1, name="size")(hidden)}), x, labels)

    begun = tf_keras.Sequential([layers.Input([4], name="x"), layers.Dense(CLASSES, "softmax", name="classes")])
    write("begun", begun, x, labels)
    optimizer = tf_keras.optimizers.Adafactor(0.01, epsilon_1=1e-16)
    begun.compile(optimizer, "sparse_categorical_crossentropy")
    begun.fit(x, labels, batch_size=8, epochs=2, verbose=0)
    tf.train.Checkpoint(model=begun, optimizer=optimizer).save(folder / "begun-checkpoints" / "ckpt")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
