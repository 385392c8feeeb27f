#!/usr/bin/env python3
"""Configurations of Adafactor, made and read by tf_keras.

    configurations.py draw OUT.json --seed 7 --count 300     random ones, each printed in one of tf_keras's three forms
    configurations.py read IN.json OUT.json                  reads those of IN.json, a list of texts

Both write a list with an object for each configuration: `text` (draw alone), what its optimizer then is: `config`, get_config() as
text, and `rates`, those of its schedule at STEPS as the bits of float32; or instead `refused`, why it is none that trains.
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "main" / "python"))

from case_draws import random_arguments
from case_runner import np, schedule, tf, tf_keras

STEPS = [0, 1, 2, 3, 7, 50, 1000, 12_345]
schedules = tf_keras.optimizers.schedules


@tf_keras.saving.register_keras_serializable("adafactor_tests", "InverseRoot")
class InverseRootSchedule(schedules.LearningRateSchedule):
    def __init__(self, base):
        self.base = base

    def __call__(self, step):
        return self.base * tf.math.rsqrt(tf.cast(step, tf.float32) + 1.0)

    def get_config(self):
        return {"base": self.base}


@tf_keras.saving.register_keras_serializable("adafactor_tests", "Half")
class HalfSchedule(schedules.LearningRateSchedule):
    """A schedule made of another one."""

    def __init__(self, of):
        self.of = of

    def __call__(self, step):
        return 0.5 * self.of(step)

    def get_config(self):
        return {"of": self.of}

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"of": schedules.deserialize(config["of"])})


def drawn(rng):
    """An optimizer of random arguments, their numbers not only short ones."""
    arguments = {
        name: value * (1 + rng.random()) if isinstance(value, float) and rng.random() < 0.5 and name != "ema_momentum" else value
        for name, value in random_arguments(rng, {"float32"}).items()
    }
    rate = arguments.get("learning_rate")
    if isinstance(rate, dict):
        if rate["class_name"] == "TestNoam":
            arguments["learning_rate"] = InverseRootSchedule(rng.random())
        else:
            arguments["learning_rate"] = schedule(rate)
        if rng.random() < 0.3:
            arguments["learning_rate"] = HalfSchedule(arguments["learning_rate"])
    return tf_keras.optimizers.Adafactor(**arguments)


def printed(optimizer, rng):
    form = rng.integers(3)
    if form == 0:
        return text(optimizer.get_config())
    return text(tf_keras.optimizers.serialize(optimizer, use_legacy_format=form == 1))


def text(config):
    # The learning rate is a NumPy scalar, which json.dumps refuses.
    return json.dumps(config, default=lambda scalar: scalar.item())


def described(optimizer):
    config = optimizer.get_config()
    rates = []
    if isinstance(config["learning_rate"], dict):
        rate = optimizer._learning_rate
        rates = [int(np.float32(rate(tf.constant(step, tf.int64)).numpy()).view(np.uint32)) for step in STEPS]
    return {"config": text(config), "rates": rates}


def read(json_text):
    """The optimizer of a configuration, after it trained two steps."""
    config = json.loads(json_text)
    if "class_name" in config:
        optimizer = tf_keras.saving.deserialize_keras_object(config)
    else:
        optimizer = tf_keras.optimizers.Adafactor.from_config(config)
    if not isinstance(optimizer, tf_keras.optimizers.Adafactor):
        raise TypeError(f"not an Adafactor but {optimizer!r}")
    description = described(optimizer)
    variables = [tf.Variable(tf.ones(shape)) for shape in ([2, 3], [3])]
    for _ in range(2):
        optimizer.apply_gradients((0.5 * tf.ones_like(variable), variable) for variable in variables)
    optimizer.finalize_variable_values(variables)
    return description


def read_or_refused(json_text):
    try:
        return read(json_text)
    except Exception as error:  # of many kinds, and each is a refusal
        return {"refused": f"{type(error).__name__}: {error}"[:200]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw")
    draw.add_argument("out", type=pathlib.Path)
    draw.add_argument("--seed", type=int, required=True)
    draw.add_argument("--count", type=int, required=True)
    reader = commands.add_parser("read")
    reader.add_argument("texts", type=pathlib.Path)
    reader.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.command == "draw":
        results = []
        for index in range(arguments.count):
            rng = np.random.default_rng([arguments.seed, index])
            optimizer = drawn(rng)
            results.append({"text": printed(optimizer, rng)} | described(optimizer))
    else:
        results = [read_or_refused(one) for one in json.loads(arguments.texts.read_text())]
    arguments.out.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
