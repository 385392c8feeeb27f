#!/usr/bin/env python3
"""Makes small SavedModels with inputs of several kinds, and .npy files for them.

    export_inputs.py FOLDER

    mixed     three inputs: float `x`, int64 `word` (an embedding) and bool `flag`; dropout; by model.save
    text      one string input `word`, looked up in a table; by tf.saved_model.save of a tf.Module

Each is the folder NAME, beside NAME-INPUT.npy for each input and NAME-labels.npy (classes 0 to 2). mixed-loss.npy is what
evaluate says of the data, float64 [1]. mixed has besides
mixed-twice-INPUT.npy and mixed-twice-labels.npy, the first TWICE rows and once more the same. text has text-word-S.npy and
text-word-U.npy, the same words as bytes and as Unicode.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras

ROWS = 96
TWICE = 24
CLASSES = 3
WORDS = ["red", "grün", "blue", "none"]
layers = tf_keras.layers


def mixed():
    x = layers.Input([4], name="x")
    word = layers.Input([2], dtype="int64", name="word")
    flag = layers.Input([1], dtype="bool", name="flag")
    embedded = layers.Flatten()(layers.Embedding(8, 3)(word))
    hidden = layers.Concatenate()([x, embedded, tf.cast(flag, tf.float32)])
    hidden = layers.Dropout(0.5)(layers.Dense(16, "relu", kernel_regularizer=tf_keras.regularizers.L2(0.01))(hidden))
    return tf_keras.Model([x, word, flag], layers.Dense(CLASSES, "softmax")(hidden))


class Text(tf.Module):
    def __init__(self):
        super().__init__()
        keys = tf.constant([word.encode() for word in WORDS])
        initializer = tf.lookup.KeyValueTensorInitializer(keys, tf.range(4, dtype=tf.int64))
        self.table = tf.lookup.StaticHashTable(initializer, 3)
        self.weights = tf.Variable(tf.random.stateless_normal([4, CLASSES], [1, 2]), name="weights")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="word")])
    def __call__(self, word):
        return {"logits": tf.gather(self.weights, self.table.lookup(word))}


def main(folder):
    tf.get_logger().setLevel("ERROR")
    tf_keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    labels = random.integers(0, CLASSES, size=ROWS)
    model = mixed()
    model.save(folder / "mixed", save_format="tf")
    x = random.normal(size=(ROWS, 4)).astype(np.float32)
    word = random.integers(0, 8, size=(ROWS, 2)).astype(np.int32)
    flag = random.integers(0, 2, size=(ROWS, 1)) == 1
    model.compile(loss="sparse_categorical_crossentropy")
    np.save(folder / "mixed-x.npy", x)
    np.save(folder / "mixed-word.npy", word)
    np.save(folder / "mixed-flag.npy", flag)
    np.save(folder / "mixed-labels.npy", labels)
    for name, rows in {"x": x, "word": word, "flag": flag, "labels": labels}.items():
        np.save(folder / f"mixed-twice-{name}.npy", np.concatenate([rows[:TWICE]] * 2))
    np.save(folder / "mixed-loss.npy", np.array([model.evaluate([x, word, flag], labels, verbose=0)]))
    text = Text()
    tf.saved_model.save(text, folder / "text", signatures=text.__call__)
    words = np.array(WORDS)[labels]
    np.save(folder / "text-word-U.npy", words)
    np.save(folder / "text-word-S.npy", np.char.encode(words, "utf-8"))
    np.save(folder / "text-labels.npy", labels)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
