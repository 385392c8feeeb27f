#!/usr/bin/env python3
"""Makes small SavedModels in all the ways that Python has, and inputs and labels for each.

    export_kinds.py FOLDER

    saved        tf_keras, functional, fitted with Adam, whose variables are in it; by model.save
    uncompiled   the same without optimizer, loss and metrics
    exported     the same by model.export: nothing for tf_keras to load
    module       a tf.Module with two tables (filled from an asset, filled from tensors), a variable that is not
                 trained, and the signatures serving_default, embed and count
    keras3       the model of Keras 3, by its model.export

Each is the folder NAME, beside NAME-x.npy (its one input) and NAME-y.npy (int32 labels, of three classes).
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
import tensorflow as tf
import tf_keras

ROWS = 64
CLASSES = 3
WORDS = ["one", "two", "three", "four"]


def model(library):
    layers = library.layers
    inputs = library.Input([5], name="x")
    hidden = layers.Dense(8, "relu", name="hidden", kernel_regularizer="l2")(inputs)
    hidden = layers.Dropout(0.1)(layers.BatchNormalization(name="normalized")(hidden))
    return library.Model(inputs, layers.Dense(CLASSES, "softmax", name="classes")(hidden))


def compiled(library, x, y):
    network = model(library)
    network.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    network.fit(x, y, verbose=0)  # moving statistics and Adam's moments are no longer those of the start
    return network


class Words(tf.Module):
    """Class probabilities of words."""

    def __init__(self, vocabulary):
        super().__init__()
        self.vocabulary = tf.lookup.StaticHashTable(
            tf.lookup.TextFileInitializer(
                vocabulary,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            default_value=len(WORDS),
        )
        self.lengths = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(WORDS, [float(len(word)) for word in WORDS]), default_value=0.0
        )
        self.table = tf.Variable(tf.random.stateless_normal([len(WORDS) + 1, 6], [1, 2]), name="table")
        self.scale = tf.Variable(0.5, trainable=False, name="scale")
        self.calls = tf.Variable(7, trainable=False, dtype=tf.int64, name="calls")
        self.kernel = tf.Variable(tf.random.stateless_normal([7, CLASSES], [3, 4]), name="kernel")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
    def embed(self, words):
        length = self.lengths.lookup(words)[:, None] * self.scale
        return {"vectors": tf.concat([tf.gather(self.table, self.vocabulary.lookup(words)), length], 1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
    def classify(self, words):
        return {"probabilities": tf.nn.softmax(self.embed(words)["vectors"] @ self.kernel)}

    @tf.function(input_signature=[])
    def count(self):
        return {"calls": self.calls.read_value()}


def main(folder):
    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    x = random.normal(size=(ROWS, 5)).astype(np.float32)
    y = random.integers(0, CLASSES, size=ROWS).astype(np.int32)

    compiled(tf_keras, x, y).save(folder / "saved", save_format="tf")
    model(tf_keras).save(folder / "uncompiled", save_format="tf")
    compiled(tf_keras, x, y).export(folder / "exported")
    compiled(keras, x, y).export(folder / "keras3", verbose=False)
    vocabulary = folder / "words.txt"
    vocabulary.write_text("\n".join(WORDS))
    words = Words(str(vocabulary))
    tf.saved_model.save(
        words,
        str(folder / "module"),
        signatures={"serving_default": words.classify, "embed": words.embed, "count": words.count},
    )
    vocabulary.unlink()
    for name in ["saved", "uncompiled", "exported", "keras3", "module"]:
        np.save(folder / f"{name}-x.npy", random.choice([*WORDS, "other"], ROWS) if name == "module" else x)
        np.save(folder / f"{name}-y.npy", y)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
