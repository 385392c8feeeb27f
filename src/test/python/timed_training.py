#!/usr/bin/env python3
"""Trains a SavedModel with tf_keras's Adafactor, some steps at a time, and tells how long they took.

    timed_training.py FOLDER --batch-size N [--mode inference|training] [--model DIR] [--export DIR]

FOLDER is what workloads.py wrote; DIR may be a model like the one in it. For each line of standard input, the number of steps to take, a line with their seconds is
printed. The end of the input ends the training; a last line then has, as JSON, `load_s` (the start of Python and TensorFlow
included), `export_s`, `loss` (the last one) and `peak_bytes` (the most memory that the process ever held).
"""

import time

START = time.time()

import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras


def batches(features, labels, size):
    """Shuffled anew in every epoch, without end."""
    random = np.random.default_rng(1)
    while True:
        order = random.permutation(len(labels))
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            yield {name: tf.constant(values[rows]) for name, values in features.items()}, tf.constant(labels[rows])


def peak_bytes():
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--mode", choices=["inference", "training"], default="inference")
    parser.add_argument("--model", type=pathlib.Path)
    parser.add_argument("--export", type=pathlib.Path)
    arguments = parser.parse_args()

    tf.get_logger().setLevel("ERROR")
    model = tf_keras.models.load_model(arguments.model or arguments.folder / "model", compile=False)
    names = (arguments.folder / "inputs.txt").read_text().split()
    features = {name: np.load(arguments.folder / f"{name}.npy") for name in names}
    loss_of = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = tf_keras.optimizers.Adafactor(learning_rate=1e-3, epsilon_1=1e-16)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            logits = model([x[name] for name in names], training=arguments.mode == "training")
            loss = loss_of(y, logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        right = tf.equal(tf.argmax(logits, -1, tf.int32), y)
        return loss, tf.reduce_mean(tf.cast(right, tf.float32))

    data = batches(features, np.load(arguments.folder / "labels.npy"), arguments.batch_size)
    load = time.time() - START
    loss = None
    for line in sys.stdin:
        start = time.perf_counter()
        for _ in range(int(line)):
            loss, accuracy = (float(value) for value in step(*next(data)))
        print(time.perf_counter() - start, flush=True)
    start = time.perf_counter()
    if arguments.export:
        model.save(arguments.export, save_format="tf", include_optimizer=False)
    export = time.perf_counter() - start
    print(json.dumps({"load_s": load, "export_s": export, "loss": loss, "peak_bytes": peak_bytes()}))


if __name__ == "__main__":
    main()
