"""Training that Python and Java do in turns, each going on from the other's checkpoint, with the same gradients.

    python shared_steps.py begin FOLDER
    python shared_steps.py go_on FOLDER
    python shared_steps.py end FOLDER
    python shared_steps.py back FOLDER

There are three parts, A, B and C, of a few steps each. "begin" makes, for each case NAME, FOLDER/NAME/case.json (the optimizer's
configuration, the variables' type, and the name and shape of each) and FOLDER/NAME/gradients.bin (float64, little-endian, for each step
all gradients one after the other); it takes all steps and writes the checkpoints python/ckpt-1 after A and through after C. Java then
goes on from python/ckpt-1 with B, to a checkpoint in java, and takes A itself, to a checkpoint in first. "go_on" takes C after java's,
which has to end with the bits of through, and B after first's, to second/ckpt-1; Java takes C after that, to a checkpoint in third.
"end" holds that against through. "back" is for a checkpoint in
sharded that Java made of python/ckpt-1 without a step: it restores it and holds what it has then against python/ckpt-1. (Of 16-bit types
Java has more digits than Python, and so another v.)
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

SHAPES = {"scalar": [], "block/vector": [5], "block/matrix": [4, 3], "block/cube": [2, 3, 4], "tensor": [2, 1, 3, 2]}
SCHEDULE = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 7}}
SETTINGS = {
    "number": {"learning_rate": 0.05, "weight_decay": 0.01},
    "averages": {"learning_rate": 0.05, "use_ema": True, "clipnorm": 0.9},
    "schedule": {"learning_rate": SCHEDULE},
    "schedule-averages": {"learning_rate": SCHEDULE, "use_ema": True, "ema_overwrite_frequency": 4},
}
CASES = {f"{dtype}-{name}": (dtype, config) for dtype in ["float32", "float64", "float16", "bfloat16"] for name, config in SETTINGS.items()}
STEPS = 3


class Training:
    def __init__(self, target):
        case = json.loads((target / "case.json").read_text())
        self.model = tf.Module()
        self.variables = []
        for name, shape in case["variables"]:
            holder, attribute = self.model, name
            if "/" in name:
                inner, attribute = name.split("/")
                if not hasattr(holder, inner):
                    setattr(holder, inner, tf.Module())
                holder = getattr(holder, inner)
            variable = tf.Variable(tf.zeros(shape, case["dtype"]), name=name)
            setattr(holder, attribute, variable)
            self.variables.append(variable)
        self.optimizer = tf_keras.optimizers.Adafactor.from_config(case["optimizer"])
        self.checkpoint = tf.train.Checkpoint(model=self.model, optimizer=self.optimizer)
        self.gradients = np.fromfile(target / "gradients.bin", "<f8").reshape([3 * STEPS, -1])

    def take(self, part):
        for row in self.gradients[part * STEPS : (part + 1) * STEPS]:
            at, pairs = 0, []
            for variable in self.variables:
                size = int(np.prod(variable.shape))
                pairs.append((tf.cast(row[at : at + size].reshape(variable.shape), variable.dtype), variable))
                at += size
            self.optimizer.apply_gradients(pairs)

    def restore(self, folder, built):
        if built:
            self.optimizer.build(self.variables)
        status = self.checkpoint.restore(tf.train.latest_checkpoint(str(folder)))
        self.optimizer.build(self.variables)
        status.assert_consumed()


# Not the state of anything: an optimizer restored before it was built writes none of them.
IGNORED = ("save_counter", "_CHECKPOINTABLE_OBJECT_GRAPH", "optimizer/_r/", "optimizer/_c/")


def check(ours, theirs):
    ours, theirs = tf.train.load_checkpoint(str(ours)), tf.train.load_checkpoint(str(theirs))
    for key in theirs.get_variable_to_shape_map():
        if not key.startswith(IGNORED):
            expected, actual = theirs.get_tensor(key), ours.get_tensor(key)
            assert expected.dtype == actual.dtype and expected.tobytes() == actual.tobytes(), f"{key}: {actual} in place of {expected}"


def begin(folder):
    random = np.random.default_rng(1)
    for name, (dtype, config) in CASES.items():
        target = folder / name
        target.mkdir()
        (target / "case.json").write_text(json.dumps({"optimizer": config, "dtype": dtype, "variables": list(SHAPES.items())}))
        size = sum(int(np.prod(shape)) for shape in SHAPES.values())
        # Numbers that all of the types hold.
        (random.integers(-127, 128, [3 * STEPS, size]) / 64).astype("<f8").tofile(target / "gradients.bin")
        training = Training(target)
        training.optimizer.build(training.variables)
        training.take(0)
        training.checkpoint.save(str(target / "python" / "ckpt"))
        training.take(1)
        training.take(2)
        training.checkpoint.write(str(target / "through"))


def go_on(folder):
    for i, name in enumerate(CASES):
        target = folder / name
        training = Training(target)
        training.restore(target / "java", built=i % 2 == 0)
        training.take(2)
        check(training.checkpoint.write(str(target / "back")), target / "through")
        training = Training(target)
        training.restore(target / "first", built=i % 2 == 1)
        training.take(1)
        training.checkpoint.save(str(target / "second" / "ckpt"))


def end(folder):
    for name in CASES:
        check(tf.train.latest_checkpoint(str(folder / name / "third")), folder / name / "through")


def back(folder):
    for i, (name, (dtype, _)) in enumerate(CASES.items()):
        target = folder / name
        training = Training(target)
        training.restore(target / "sharded", built=i % 2 == 0)
        if dtype in ("float32", "float64"):
            check(training.checkpoint.write(str(target / "back")), tf.train.latest_checkpoint(str(target / "python")))


if __name__ == "__main__":
    tf.get_logger().setLevel("ERROR")
    {"begin": begin, "go_on": go_on, "end": end, "back": back}[sys.argv[1]](pathlib.Path(sys.argv[2]))
