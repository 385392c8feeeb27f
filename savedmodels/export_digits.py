#!/usr/bin/env python3
"""Makes the bundled model and its data: savedmodels/digits and savedmodels/digits-data.

    python savedmodels/export_digits.py [--out DIR]

needs tensorflow 2.18, tf_keras 2.18 and scikit-learn (src/test/python/requirements.txt has the versions).

The data are scikit-learn's digits: 1,797 grey images of 8x8 handwritten digits, from the test set of "Optical Recognition of
Handwritten Digits" (E. Alpaydin, C. Kaynak; UCI Machine Learning Repository), distributed with scikit-learn (BSD licence).

    digits-data/{train,test}-images.npy   float32 [n, 8, 8, 1], scaled to 0..1; n = 1,347 and 450
    digits-data/{train,test}-labels.npy   int32 [n], 0..9

The model is a small CNN of tf_keras: input `image`, output `probabilities` (softmax over ten digits). It has been trained on the
digits 0 to 4 alone, so that it is no good at the others: it is there to be fine-tuned. `digits.json`, beside the model, is
written by hand: the settings of that job, an object whose keys are the long options of `fine-tune` without their dashes; its
paths are relative to that file.
"""

import argparse
import json
import os
import pathlib
import shutil
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import tensorflow as tf
import tf_keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def digits(seed):
    """(train images, train labels), (test images, test labels): every digit has the same share of both."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8, 1)
    labels = labels.astype(np.int32)
    train, test = train_test_split(np.arange(len(labels)), test_size=0.25, random_state=seed, stratify=labels)
    return (images[train], labels[train]), (images[test], labels[test])


def network():
    layers = tf_keras.layers
    image = layers.Input([8, 8, 1], name="image")
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1")(image)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_2")(x)
    x = layers.MaxPool2D(name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(64, activation="relu", name="dense")(x)
    return tf_keras.Model(image, layers.Dense(10, activation="softmax", name="probabilities")(x), name="digits")


def accuracy(model, data):
    images, labels = data
    return float(np.mean(np.argmax(model(images, training=False), axis=-1) == labels))


def pretrained(train, seed, epochs):
    """The network, trained with Adam on the digits 0 to 4 of `train`."""
    tf_keras.utils.set_random_seed(seed)
    model = network()
    images, labels = train
    few = labels < 5
    model.compile(tf_keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    model.fit(images[few], labels[few], batch_size=32, epochs=epochs, verbose=0)
    uncompiled = network()  # carries no optimizer, loss or metric into the SavedModel
    uncompiled.set_weights(model.get_weights())
    return uncompiled


def save_whole(write, target):
    """Has `write` fill a new folder beside `target`, then puts that folder in its place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = pathlib.Path(tempfile.mkdtemp(prefix=".export-", dir=target.parent))
    try:
        fresh = scratch / target.name
        write(fresh)
        if target.exists():
            target.rename(scratch / "old")
        fresh.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def save_arrays(folder, arrays):
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent, help="where the folders go")
    parser.add_argument("--seed", type=int, default=42, help="of the split, the initial weights and the order of the images")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of training on the digits 0 to 4")
    arguments = parser.parse_args()

    tf.get_logger().setLevel("ERROR")
    tf.config.experimental.enable_op_determinism()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    train, test = digits(arguments.seed)
    model = pretrained(train, arguments.seed, arguments.epochs)
    print(json.dumps({"test_accuracy": round(accuracy(model, test), 4), "train": len(train[1]), "test": len(test[1])}))

    save_whole(lambda folder: model.save(folder, include_optimizer=False, save_format="tf"), arguments.out / "digits")
    arrays = {"train-images": train[0], "train-labels": train[1], "test-images": test[0], "test-labels": test[1]}
    save_whole(lambda folder: save_arrays(folder, arrays), arguments.out / "digits-data")


if __name__ == "__main__":
    main()
