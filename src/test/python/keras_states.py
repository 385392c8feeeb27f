"""A Keras model that Python trains, for a while or all the way, and every form in which Keras writes down how far it is.

    python keras_states.py FOLDER

Writes FOLDER/model, as it is before the first step, and as a checkpoint (unused/ckpt-1), features.npy and labels.npy of the second half of the batches, and, after the first
half, the compiled model (trained), its weights with the optimizer (weights) and a checkpoint (manager/ckpt-1). float32 files have the
trainable variables then (half-I.bin), and after all batches (whole-I.bin).
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


def main(folder):
    tf_keras.utils.set_random_seed(1)
    features = np.random.normal(size=[2 * STEPS * BATCH, 5]).astype(np.float32)
    labels = (features[:, 0] > features[:, 1]).astype(np.int32) + (features[:, 2] > 0)
    layers = [tf_keras.layers.Input([5], name="x"), tf_keras.layers.Dense(8, "tanh"), tf_keras.layers.Dense(3, "softmax")]
    model = tf_keras.Sequential(layers)
    schedule = tf_keras.optimizers.schedules.CosineDecay(0.1, 20)
    model.compile(tf_keras.optimizers.Adafactor(schedule), "sparse_categorical_crossentropy")
    model.save(folder / "model", save_format="tf")
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(folder / "unused" / "ckpt"))
    half = STEPS * BATCH
    np.save(folder / "features.npy", features[half:])
    np.save(folder / "labels.npy", labels[half:])
    states = {}
    for name, part in (("half", slice(half)), ("whole", slice(half, None))):
        model.fit(features[part], labels[part], batch_size=BATCH, shuffle=False, verbose=0)
        states |= {f"{name}/{i}": variable.numpy() for i, variable in enumerate(model.trainable_variables)}
        if name == "half":
            model.save(folder / "trained", save_format="tf")
            model.save_weights(folder / "weights", save_format="tf")
            tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(str(folder / "manager" / "ckpt"))
    for name, value in states.items():
        value.astype("<f4").tofile(folder / (name.replace("/", "-") + ".bin"))


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    main(pathlib.Path(sys.argv[1]))
