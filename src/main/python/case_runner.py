"""Runs one case on tf_keras's Adafactor, eagerly and in one thread, and records what it did.

A case is the JSON object of a case file (see record_cases.py). What `record` needs of it: `kwargs`, `exclude`, `vars` with their
`init`, `initial_iterations`, `events` and each step's `g`; it adds to each step what the optimizer made of it.
"""

import base64
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the cases are the CPU's bits; jit_compile=True means False there

import numpy as np
import tensorflow as tf
import tf_keras

tf.get_logger().setLevel("ERROR")
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)


class TestNoam(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Stands for a user's own schedule."""

    def __init__(self, base, warmup):
        self.base = base
        self.warmup = warmup

    def __call__(self, step):
        next_step = tf.cast(step, tf.float32) + 1.0
        return self.base * tf.minimum(tf.math.rsqrt(next_step), next_step * self.warmup**-1.5)

    def get_config(self):
        return {"base": self.base, "warmup": self.warmup}


def numpy_dtype(name):
    return tf.as_dtype(name).as_numpy_dtype


def encode(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")


def decode(text, shape, dtype):
    return np.frombuffer(base64.b64decode(text, validate=True), numpy_dtype(dtype)).reshape(shape)


def schedule(serialized):
    """The schedule of {"class_name": …, "config": …}."""
    name, config = serialized["class_name"], serialized["config"]
    return TestNoam(**config) if name == "TestNoam" else getattr(tf_keras.optimizers.schedules, name).from_config(config)


def optimizer(kwargs):
    """Adafactor with these arguments, where a schedule may be serialized."""
    rate = kwargs.get("learning_rate")
    return tf_keras.optimizers.Adafactor(**(kwargs | {"learning_rate": schedule(rate)} if isinstance(rate, dict) else kwargs))


def spelled_out(kwargs):
    """The arguments, with a schedule's own get_config(): no reader has to know its defaults."""
    rate = kwargs.get("learning_rate")
    return kwargs | {"learning_rate": rate | {"config": schedule(rate).get_config()}} if isinstance(rate, dict) else kwargs


def gradient(g, variable):
    """The gradient of one variable in one step: None, a tensor or tf.IndexedSlices."""
    if g is None:
        return None
    dtype = variable.dtype.name
    if isinstance(g, str):
        return tf.constant(decode(g, variable.shape, dtype), variable.dtype)
    values = decode(g["val"], [len(g["idx"])] + variable.shape[1:], dtype)
    return tf.IndexedSlices(
        tf.constant(values, variable.dtype), tf.constant(g["idx"], tf.int64), tf.constant(variable.shape.as_list(), tf.int64)
    )


def state(adafactor, variables, use_ema):
    """Variables, moments, averages, iterations and learning rate as they stand."""
    factored = [variable.shape.rank >= 2 for variable in variables]

    def encoded(tensors):
        return [encode(tensor.numpy()) for tensor in tensors]

    def factors(tensors):
        return [encode(tensor.numpy()) if has else None for tensor, has in zip(tensors, factored)]

    recorded = {
        "var": encoded(variables),
        "v": encoded(adafactor._v),
        "r": factors(adafactor._r),
        "c": factors(adafactor._c),
    }
    if use_ema:
        recorded["ema"] = encoded(adafactor._model_variables_moving_average)
    recorded["it"] = int(adafactor.iterations.numpy())
    recorded["lr"] = float(adafactor.learning_rate.numpy())
    return recorded


def record(case):
    """The case with what tf_keras did in each step, and `final`."""
    variables = [
        tf.Variable(decode(v["init"], v["shape"], v["dtype"]), name=v["name"], dtype=v["dtype"]) for v in case["vars"]
    ]
    adafactor = optimizer(case["kwargs"])
    exclude = case["exclude"] or {}
    if "names" in exclude:
        adafactor.exclude_from_weight_decay(var_names=exclude["names"])
    if "vars" in exclude:
        adafactor.exclude_from_weight_decay(var_list=[variables[index] for index in exclude["vars"]])
    adafactor.iterations.assign(case["initial_iterations"])

    steps = []
    for index, step in enumerate(case["steps"]):
        for event in case["events"]:
            if event["before_step"] == index:
                adafactor.learning_rate = event["set_learning_rate"]
        gradients = [gradient(g, variable) for g, variable in zip(step["g"], variables)]
        adafactor.apply_gradients(zip(gradients, variables))
        steps.append({"g": step["g"]} | state(adafactor, variables, case["kwargs"].get("use_ema", False)))
    adafactor.finalize_variable_values(variables)
    return case | {
        "kwargs": spelled_out(case["kwargs"]),
        "steps": steps,
        "final": [encode(variable.numpy()) for variable in variables],
    }


def values_finite(case):
    """Whether all variables of a recorded case stay finite."""
    return all(
        np.isfinite(decode(text, v["shape"], v["dtype"]).astype(np.float64)).all()
        for values in [step["var"] for step in case["steps"]] + [case["final"]]
        for text, v in zip(values, case["vars"])
    )


def state_has_nan(case):
    """Whether a recorded case has a NaN or an infinity in a variable or in its state."""

    def bad(text, dtype):
        return text is not None and not np.isfinite(decode(text, [-1], dtype).astype(np.float64)).all()

    return any(
        bad(text, v["dtype"])
        for step in case["steps"]
        for quantity in ("var", "v", "r", "c", "ema")
        for text, v in zip(step.get(quantity, []), case["vars"])
    )


def tagged(case):
    """A recorded case with the tags that follow from its contents."""
    gradients = [g for step in case["steps"] for g in step["g"]]
    dtypes = {v["dtype"] for v in case["vars"]}
    tags = {
        "nan": state_has_nan(case),
        "sparse": any(isinstance(g, dict) for g in gradients),
        "none_grad": any(g is None for g in gradients),
        "zero_size": any(0 in v["shape"] for v in case["vars"]),
        "f64": "float64" in dtypes,
        "f16": "float16" in dtypes,
        "bf16": "bfloat16" in dtypes,
    }
    return case | {"tags": [tag for tag, holds in tags.items() if holds]}
