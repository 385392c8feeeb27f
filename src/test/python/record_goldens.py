#!/usr/bin/env python3
"""Writes the expected results that the Java tests read: one case file for each suite of case_suites.py, schedules and configurations.

    record_goldens.py [--out src/test/resources/goldens]

    cases/SUITE.json  a case file (see record_cases.py)
    schedules.json    {"schedules": [{"class_name", "config", "steps": […], "bits": […]}]}: the rate at each step, as the bits of a float32
                      (an unsigned 32-bit number)
    configs.json      {"configs": [{"kind": "get_config" | "serialize", "json": text}]}: configurations as Python's json.dumps prints them
"""

import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "main" / "python"))

import case_suites
from case_runner import np, optimizer, record, schedule, tagged, tf, tf_keras
from record_cases import write, write_whole

STEPS = [*range(31), 99, 1000, 12_345, 1_000_000, 16_777_217]


def rates():
    """Every schedule of the suites, as its own get_config() gives it, with its rates."""
    for serialized in case_suites.SCHEDULES.values():
        one = schedule(serialized)
        bits = [int(np.float32(one(tf.constant(step, tf.int64)).numpy()).view(np.uint32)) for step in STEPS]
        yield {"class_name": serialized["class_name"], "config": one.get_config(), "steps": STEPS, "bits": bits}


def configurations():
    """Optimizers of every argument and schedule, in both of the forms that tf_keras prints."""
    arguments = [
        {},
        {"learning_rate": 0.05},
        {"learning_rate": 1},
        {"learning_rate": 0},
        {"learning_rate": -0.01, "relative_step": False},
        {"beta_2_decay": -1, "epsilon_1": 1e-16, "epsilon_2": 0.0, "clip_threshold": 2},
        {"epsilon_1": 1, "epsilon_2": 1e-3, "clip_threshold": 0.1},
        {"weight_decay": 0.004, "clipnorm": 1.0},
        {"weight_decay": 0, "clipvalue": 1},
        {"global_clipnorm": 0.5, "clipvalue": -1.0},
        {"use_ema": True},
        {"use_ema": True, "ema_momentum": 1, "ema_overwrite_frequency": 100},
        {"use_ema": False, "ema_momentum": 5.0, "ema_overwrite_frequency": -3},
        {"jit_compile": False, "name": "my_adafactor"},
        {"name": "größer \"quoted\" \\ name"},
        {"learning_rate": 1e-7, "epsilon_2": 123456789.0, "weight_decay": 1e22, "clipnorm": 1e16},
        *({"learning_rate": serialized} for serialized in case_suites.SCHEDULES.values()),
    ]
    for kwargs in arguments:
        adafactor = optimizer(kwargs)
        yield {"kind": "get_config", "json": json.dumps(adafactor.get_config(), default=number)}
        yield {"kind": "serialize", "json": json.dumps(tf_keras.optimizers.serialize(adafactor), default=number)}


def number(value):
    """get_config() has the learning rate as a NumPy scalar, which json.dumps refuses; tf_keras saves it by this conversion."""
    return value.item()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parents[1] / "resources" / "goldens")
    out = parser.parse_args().out
    for name, suite in case_suites.SUITES.items():
        write(out / "cases" / f"{name}.json", [tagged(record(case)) for case in suite()])
    for name, entries in {"schedules": rates(), "configs": configurations()}.items():
        lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
        write_whole(out / f"{name}.json", f'{{"{name}":[\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
