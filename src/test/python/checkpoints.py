"""Checkpoints of tf_keras's, and a look at Java's.

    python checkpoints.py write FOLDER
    python checkpoints.py check FOLDER

"write" makes, for each case NAME, the SavedModel FOLDER/NAME/model, the optimizer's configuration FOLDER/NAME/optimizer.json, and, after
a few steps on random gradients, the checkpoint FOLDER/NAME/python/ckpt-1. "check" takes the checkpoint in FOLDER/NAME/java, which
Java wrote after it had restored Python's: the values have to be the same, bit for bit, and optimizers built and not yet built have to
restore all of it.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
import tf_keras

layers = tf_keras.layers


def cnn():
    return tf_keras.Sequential(
        [
            layers.Input([8, 8, 1], name="x"),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(3, "softmax"),
        ]
    )


class Subclass(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [layers.Dense(4, "relu"), layers.LSTM(3)]
        self.attention = layers.MultiHeadAttention(2, 2)
        self.head = tf_keras.Sequential([layers.Dense(2, "softmax")])

    def call(self, x):
        x = self.blocks[0](x)
        return self.head(self.blocks[1](self.attention(x, x)))


def subclass():
    model = Subclass()
    model(np.zeros([1, 5, 3], np.float32))
    return model


class Module(tf.Module):
    def __init__(self):
        super().__init__()
        self.weights = {"b": tf.Variable(tf.random.normal([2, 3]), name="same"), "a": tf.Variable(tf.random.normal([3]), name="same")}
        self.inner = tf.Module()
        self.inner.scale = tf.Variable(2.0, name="scale")
        self.count = tf.Variable(7, trainable=False, name="count", dtype=tf.int64)

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x")])
    def __call__(self, x):
        return {"y": (x @ self.weights["b"] + self.weights["a"]) * self.inner.scale + tf.cast(self.count, tf.float32)}


CASES = {
    "cnn": (cnn, {"learning_rate": 0.01}),
    "cnn-ema": (cnn, {"learning_rate": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 10}}, "use_ema": True}),
    "subclass": (subclass, {"weight_decay": 0.01}),
    "module": (Module, {"use_ema": True}),
}
STEPS = 3
SAVES = "save_counter/.ATTRIBUTES/VARIABLE_VALUE"


def optimizer(config):
    return tf_keras.optimizers.Adafactor.from_config(dict(config))


def make(case):
    tf_keras.utils.set_random_seed(1)
    make_model, config = CASES[case]
    return make_model(), optimizer(config)


def write(folder):
    random = np.random.default_rng(1)
    for case, (_, config) in CASES.items():
        model, adafactor = make(case)
        target = folder / case
        if isinstance(model, tf_keras.Model):
            model.save(target / "model", save_format="tf")
        else:
            tf.saved_model.save(model, str(target / "model"))
        (target / "optimizer.json").write_text(json.dumps(config))
        adafactor.build(model.trainable_variables)
        for _ in range(STEPS):
            gradients = [tf.constant(random.normal(size=v.shape), v.dtype) for v in model.trainable_variables]
            adafactor.apply_gradients(zip(gradients, model.trainable_variables))
        tf.train.Checkpoint(model=model, optimizer=adafactor).save(str(target / "python" / "ckpt"))


def check(folder):
    for case in CASES:
        java = tf.train.latest_checkpoint(str(folder / case / "java"))
        ours, theirs = tf.train.load_checkpoint(java), tf.train.load_checkpoint(str(folder / case / "python" / "ckpt-1"))
        for key in theirs.get_variable_to_shape_map():
            if key == SAVES:
                assert ours.get_tensor(key) == STEPS, case  # Python's next checkpoint is named behind Java's steps
            elif key != "_CHECKPOINTABLE_OBJECT_GRAPH":
                expected, actual = theirs.get_tensor(key), ours.get_tensor(key)
                assert expected.dtype == actual.dtype and expected.tobytes() == actual.tobytes(), f"{case}: {key}"
        for built in (False, True):
            model, adafactor = make(case)
            if built:
                adafactor.build(model.trainable_variables)
            status = tf.train.Checkpoint(model=model, optimizer=adafactor).restore(java)
            if not built:
                adafactor.build(model.trainable_variables)
            status.assert_consumed()
            assert adafactor.iterations.numpy() == STEPS, case
            values = {v.name: v.numpy() for v in adafactor.variables}
            assert any(np.any(value) for name, value in values.items() if "/v/" in name or name.startswith("v/")), case
    print(len(CASES), "checkpoints")


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    {"write": write, "check": check}[sys.argv[1]](pathlib.Path(sys.argv[2]))
