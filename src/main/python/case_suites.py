"""The named cases: one for each argument, schedule, shape, dtype and kind of gradient that there is to get wrong."""

import zlib

import numpy as np

from case_runner import encode, numpy_dtype

DENSE = {"dense/kernel": [4, 3], "dense/bias": [3], "scale": []}
MLP = {"a/kernel": [5, 4], "a/bias": [4], "b/kernel": [4, 2], "b/bias": [2]}
TABLE = {"emb/table": [6, 4], "out/bias": [4]}
RATE = {"learning_rate": 0.05}
EXPONENTIAL = {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.05, "decay_steps": 4, "decay_rate": 0.7}}


def case(name, shapes, kwargs=RATE, steps=5, dtype="float32", init=0.3, gradient=None, exclude=None, iterations=0, events=()):
    """A case whose numbers depend on its name alone. `dtype` is one for all variables, or a list; `gradient` makes the gradients."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    dtypes = [dtype] * len(shapes) if isinstance(dtype, str) else dtype
    variables = [
        {"name": variable, "shape": shape, "dtype": d, "init": encode(normal(rng, shape, d, init))}
        for (variable, shape), d in zip(shapes.items(), dtypes)
    ]
    gradient = gradient or scaled(1.0)
    return {
        "id": name,
        "tags": [],
        "kwargs": kwargs,
        "exclude": exclude,
        "vars": variables,
        "initial_iterations": iterations,
        "events": [{"before_step": step, "set_learning_rate": rate} for step, rate in events],
        "steps": [{"g": [gradient(rng, v, step, index) for index, v in enumerate(variables)]} for step in range(steps)],
    }


def normal(rng, shape, dtype, scale):
    return np.asarray(rng.standard_normal(shape) * scale).astype(numpy_dtype(dtype))


# What makes the gradient of variable number `index` in a step.


def scaled(scale):
    return lambda rng, v, step, index: encode(normal(rng, v["shape"], v["dtype"], scale(step) if callable(scale) else scale))


def filled(value):
    return lambda rng, v, step, index: encode(np.full(v["shape"], value).astype(numpy_dtype(v["dtype"])))


def one_element(value):
    """Usual gradients, but for one element of the first variable in the second step."""

    def make(rng, v, step, index):
        g = normal(rng, v["shape"], v["dtype"], 1.0)
        if index == 0 and step == 1:
            g.flat[0] = value
        return encode(g)

    return make


def dead(rows=(), columns=(), scale=1.0):
    """Rows and columns of matrices that never get a gradient."""

    def make(rng, v, step, index):
        g = normal(rng, v["shape"], v["dtype"], scale)
        if g.ndim >= 2:
            g[..., list(rows), :] = 0
            g[..., list(columns)] = 0
        return encode(g)

    return make


def missing(where):
    """No gradient where `where(step, index)` says so."""
    usual = scaled(1.0)
    return lambda rng, v, step, index: None if where(step, index) else usual(rng, v, step, index)


def sparse(rows, indices=(0,)):
    """`rows` of the variables in `indices`, in the order given; dense gradients for the others."""
    usual = scaled(1.0)

    def make(rng, v, step, index):
        if index not in indices:
            return usual(rng, v, step, index)
        chosen = [(row + step) % v["shape"][0] for row in rows]
        return {"idx": chosen, "val": encode(normal(rng, [len(chosen)] + v["shape"][1:], v["dtype"], 1.0))}

    return make


def arguments():
    yield case("default", DENSE, {}, steps=8)
    nothing = {"weight_decay": None, "clipnorm": None, "clipvalue": None, "global_clipnorm": None, "ema_overwrite_frequency": None}
    yield case("none", DENSE, nothing, steps=3)
    values = {
        "learning_rate": [1.0, 1, 1e-4, 0.0, 0, -0.01, 100.0],
        "beta_2_decay": [-0.5, -1, -2.0, 0.0],
        "epsilon_1": [1e-10, 1e-3, 1],
        "epsilon_2": [0.0, 0, 0.01, 1.0],
        "clip_threshold": [0.1, 0.5, 10],
        "relative_step": [True, False],
        "jit_compile": [True, False],
        "name": ["my_adafactor"],
    }
    for argument, choices in values.items():
        for value in choices:
            yield case(f"{argument}={value!r}", DENSE, RATE | {argument: value})
    yield case("learning_rate=2.0_without_relative_step", DENSE, {"learning_rate": 2.0, "relative_step": False})
    yield case("epsilon_1=0.0", DENSE, RATE | {"epsilon_1": 0.0})
    yield case("set_learning_rate", DENSE, events=[(1, 0.5), (3, 1), (4, 0)], steps=6)
    for iterations in [1, 99, 10_000, 16_777_216]:
        yield case(f"iterations={iterations}", DENSE, iterations=iterations, steps=3)
    yield case("initial_zero", DENSE, init=0.0)
    yield case("initial_big", DENSE, init=1e4)
    everything = {
        "learning_rate": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.0, "decay_steps": 8, "alpha": 0.05, "warmup_target": 0.1, "warmup_steps": 4}},
        "beta_2_decay": -0.6,
        "epsilon_1": 1e-12,
        "epsilon_2": 0.005,
        "clip_threshold": 0.7,
        "relative_step": False,
        "weight_decay": 0.02,
        "global_clipnorm": 2.0,
        "use_ema": True,
        "ema_momentum": 0.95,
        "ema_overwrite_frequency": 5,
    }
    yield case("everything", MLP, everything, exclude={"names": ["bias"]}, gradient=missing(lambda step, index: index == 2 and step % 3 == 1), steps=12)


def clipping():
    for argument in ["clipnorm", "clipvalue", "global_clipnorm"]:
        for value in [0.1, 1, 1e6, 0.0, -1.0]:
            yield case(f"{argument}={value!r}", MLP, RATE | {argument: value}, steps=4)
        yield case(f"{argument}_of_zero", DENSE, RATE | {argument: 0.5}, gradient=filled(0.0), steps=3)
        for value in [np.nan, np.inf]:
            yield case(f"{argument}_of_{value}", DENSE, RATE | {argument: 0.5}, gradient=one_element(value), steps=3)
        yield case(f"{argument}_of_sparse", TABLE, RATE | {argument: 0.4}, gradient=sparse([1, 4, 1, 1]))
    yield case("clipnorm_before_clipvalue", MLP, RATE | {"clipnorm": 0.5, "clipvalue": 0.01}, steps=3)
    yield case("global_clipnorm_before_clipvalue", MLP, RATE | {"global_clipnorm": 0.5, "clipvalue": 0.01}, steps=3)
    yield case("clipnorm_off_then_clipvalue", MLP, RATE | {"clipnorm": 0.0, "clipvalue": 0.01}, steps=3)
    yield case("global_clipnorm_of_some", MLP, RATE | {"global_clipnorm": 0.3}, gradient=missing(lambda step, index: (step + index) % 3 == 0))


def weight_decay():
    for value in [0.0, 0.01, 1, -0.01]:
        yield case(f"weight_decay={value!r}", MLP, RATE | {"weight_decay": value})
    decay = RATE | {"weight_decay": 0.1}
    for label, exclude in {
        "a_name": {"names": ["bias"]},
        "a_prefix": {"names": ["^a/.*"]},
        "name_ends": {"names": ["kernel$", "bias:0$"]},
        "an_alternative": {"names": ["b/(kernel|bias)"]},
        "variables": {"vars": [0, 3]},
    }.items():
        yield case(f"weight_decay_without_{label}", MLP, decay, exclude=exclude, steps=3)
    yield case("weight_decay_of_schedule", MLP, {"weight_decay": 0.1, "learning_rate": EXPONENTIAL})
    yield case("weight_decay_of_some", MLP, decay, gradient=missing(lambda step, index: index == 1 or (index == 2 and step < 2)))
    yield case("weight_decay_of_sparse", TABLE, decay, gradient=sparse([0, 3, 3]))
    yield case("weight_decay_clipnorm_ema", MLP, decay | {"clipnorm": 1.0, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3}, steps=7)


def ema():
    for momentum in [0.99, 0.5, 0.0, 1]:
        for frequency in [None, 1, 3]:
            kwargs = RATE | {"use_ema": True, "ema_momentum": momentum, "ema_overwrite_frequency": frequency}
            yield case(f"ema_momentum={momentum!r}_overwrite={frequency}", DENSE, kwargs, steps=7)
    average = RATE | {"use_ema": True, "ema_momentum": 0.9}
    yield case("ema_default_momentum", DENSE, RATE | {"use_ema": True}, steps=3)
    yield case("ema_of_some", MLP, average | {"ema_overwrite_frequency": 2}, gradient=missing(lambda step, index: index == 1 or (index == 2 and step < 2)))
    yield case("ema_of_sparse", TABLE, average | {"ema_overwrite_frequency": 2}, gradient=sparse([5, 2, 5]))
    yield case("ema_from_iteration_7", DENSE, average | {"ema_overwrite_frequency": 3}, iterations=7)
    yield case("ema_overwrite=0", DENSE, average | {"ema_overwrite_frequency": 0}, steps=3)
    yield case("ema_off_with_odd_arguments", DENSE, RATE | {"use_ema": False, "ema_momentum": 5.0, "ema_overwrite_frequency": -3}, steps=3)


SCHEDULES = {
    "exponential": EXPONENTIAL,
    "exponential_staircase": {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5, "staircase": True}},
    "exponential_int": {"class_name": "ExponentialDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 1000, "decay_rate": 1}},
    "piecewise": {"class_name": "PiecewiseConstantDecay", "config": {"boundaries": [2, 5], "values": [0.1, 0.05, 0.001]}},
    "piecewise_at_0": {"class_name": "PiecewiseConstantDecay", "config": {"boundaries": [0, 100], "values": [1.0, 0.5, 2.0]}},
    "piecewise_int": {"class_name": "PiecewiseConstantDecay", "config": {"boundaries": [3, 9, 20], "values": [3, 2, 1, 0]}},
    "piecewise_large": {"class_name": "PiecewiseConstantDecay", "config": {"boundaries": [1000], "values": [2.0, 1.0]}},
    "polynomial": {"class_name": "PolynomialDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 6, "end_learning_rate": 0.01}},
    "polynomial_power": {"class_name": "PolynomialDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 10, "end_learning_rate": 0.0001, "power": 0.5}},
    "polynomial_int": {"class_name": "PolynomialDecay", "config": {"initial_learning_rate": 1.0, "decay_steps": 20, "end_learning_rate": 0, "power": 2}},
    "polynomial_cycle": {"class_name": "PolynomialDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 4, "end_learning_rate": 0.01, "power": 2.0, "cycle": True}},
    "inverse_time": {"class_name": "InverseTimeDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 2, "decay_rate": 0.5}},
    "inverse_time_staircase": {"class_name": "InverseTimeDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 1, "staircase": True}},
    "cosine": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 6}},
    "cosine_alpha": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.3, "decay_steps": 20, "alpha": 0.1}},
    "cosine_warm_up": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.0, "decay_steps": 8, "alpha": 0.05, "warmup_target": 0.1, "warmup_steps": 4}},
    "cosine_warm_up_int": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.01, "decay_steps": 10, "alpha": 0, "warmup_target": 1, "warmup_steps": 3}},
    "cosine_warm_up_without_steps": {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.01, "decay_steps": 10, "warmup_target": 0.2, "warmup_steps": 0}},
    "restarts": {"class_name": "CosineDecayRestarts", "config": {"initial_learning_rate": 0.1, "first_decay_steps": 3}},
    "restarts_t_mul_1": {"class_name": "CosineDecayRestarts", "config": {"initial_learning_rate": 0.1, "first_decay_steps": 4, "t_mul": 1.0, "m_mul": 0.8, "alpha": 0.05}},
    "restarts_multiplied": {"class_name": "CosineDecayRestarts", "config": {"initial_learning_rate": 0.1, "first_decay_steps": 3, "t_mul": 1.5, "m_mul": 0.7, "alpha": 0.1}},
    "restarts_int": {"class_name": "CosineDecayRestarts", "config": {"initial_learning_rate": 0.5, "first_decay_steps": 5, "t_mul": 2, "m_mul": 1, "alpha": 0}},
}


def schedules():
    for label, schedule in SCHEDULES.items():
        yield case(f"schedule_{label}", {"kernel": [3, 2], "bias": [2]}, {"learning_rate": schedule}, steps=8)
    yield case("schedule_custom", DENSE, {"learning_rate": {"class_name": "TestNoam", "config": {"base": 0.5, "warmup": 4}}}, steps=8)
    yield case("schedule_without_relative_step", DENSE, {"learning_rate": SCHEDULES["piecewise_large"], "relative_step": False}, steps=3)
    yield case("schedule_from_iteration_1000", DENSE, {"learning_rate": EXPONENTIAL}, iterations=1000, steps=3)
    yield case("schedule_restarts_from_iteration_50", DENSE, {"learning_rate": SCHEDULES["restarts"]}, iterations=50)


def shapes():
    groups = {
        "ranks": {"r0": [], "r1": [5], "r2": [3, 4], "r3": [2, 3, 4], "r4": [2, 2, 3, 2]},
        "ones": {"o1": [1], "o11": [1, 1], "o14": [1, 4], "o41": [4, 1], "o131": [1, 3, 1]},
        "conv": {"conv/kernel": [3, 3, 2, 4], "conv/bias": [4]},
        "vectors": {"w": [17, 33], "b": [33], "deep": [2, 9, 16]},
    }
    for label, group in groups.items():
        yield case(f"shapes_{label}", group, {})
        yield case(f"shapes_{label}_fast", group, {"learning_rate": 0.1, "relative_step": False}, steps=3)
    yield case("shapes_zero", {"z0": [0], "z03": [0, 3], "z30": [3, 0], "z203": [2, 0, 3], "n": [3]}, {}, steps=2)


def dtypes():
    for dtype in ["float64", "float16", "bfloat16"]:
        yield case(f"{dtype}_default", {"r0": [], "r1": [5], "r2": [3, 4], "r3": [2, 3, 4]}, {}, dtype=dtype)
        yield case(f"{dtype}_clipnorm_decay", MLP, RATE | {"clipnorm": 0.5, "weight_decay": 0.1}, dtype=dtype, exclude={"names": ["bias"]})
        yield case(f"{dtype}_global_ema", MLP, RATE | {"global_clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 3}, dtype=dtype)
        yield case(f"{dtype}_clipvalue_schedule", DENSE, {"clipvalue": 0.3, "learning_rate": SCHEDULES["cosine_warm_up"]}, dtype=dtype)
        yield case(f"{dtype}_sparse", TABLE, dtype=dtype, gradient=sparse([3, 0, 3]), steps=3)
        yield case(f"{dtype}_zero", DENSE, dtype=dtype, gradient=filled(0.0), steps=2)
        yield case(f"{dtype}_iterations_5000", DENSE, dtype=dtype, iterations=5000, steps=3)
        yield case(f"{dtype}_all_arguments", MLP, RATE | {"beta_2_decay": -0.7, "epsilon_1": 1e-5, "epsilon_2": 0.02, "clip_threshold": 0.6, "relative_step": False}, dtype=dtype)
    yield case("float16_step_too_large", DENSE, dtype="float16", iterations=70_000, steps=2)
    yield case("mixed", {"r0": [], "r1": [5], "r2": [3, 4], "r3": [2, 3, 4]}, dtype=["float32", "float64", "bfloat16", "float16"])
    yield case("mixed_clipnorm_decay", MLP, RATE | {"clipnorm": 0.5, "weight_decay": 0.1}, dtype=["float32", "float64", "bfloat16", "float16"])


def gradients():
    yield case("zero", DENSE, gradient=filled(0.0), steps=3)
    yield case("zero_after_2", DENSE, gradient=scaled(lambda step: 1.0 if step < 2 else 0.0))
    yield case("zero_without_epsilon_1", DENSE, RATE | {"epsilon_1": 0.0}, gradient=filled(0.0), steps=2)
    for scale in [1e10, 1e18, 1e25, 1e-20, 1e-25]:
        yield case(f"scale_{scale:g}", DENSE, gradient=scaled(scale), steps=3)
    yield case("spike", DENSE, gradient=scaled(lambda step: 1e4 if step == 2 else 1.0))
    for value in [np.nan, np.inf]:
        yield case(f"one_{value}", MLP, gradient=one_element(value), steps=3)
    yield case("dead_rows", TABLE, gradient=dead(rows=[0, 4]))
    yield case("dead_columns", TABLE, gradient=dead(columns=[1]))
    crossing = dead(rows=[1], columns=[0])
    yield case("dead_row_and_column", MLP, gradient=crossing, steps=3)
    yield case("dead_row_and_column_epsilon_1=1e-16", MLP, RATE | {"epsilon_1": 1e-16}, gradient=crossing)
    yield case("dead_row_and_column_tiny", MLP, gradient=dead(rows=[1], columns=[0], scale=1e-12), steps=3)
    yield case("dead_row_and_column_float64", MLP, dtype="float64", gradient=crossing, steps=3)
    yield case("dead_row_and_column_bfloat16", MLP, dtype="bfloat16", gradient=crossing, steps=3)
    yield case("denormal", DENSE, RATE | {"epsilon_1": 1e-39}, gradient=scaled(1e-20), steps=3)
    yield case("missing_first", DENSE, gradient=missing(lambda step, index: step == 0 and index == 0))
    yield case("missing_always", MLP, gradient=missing(lambda step, index: index == 1))
    yield case("missing_sometimes", MLP, gradient=missing(lambda step, index: (step + index) % 2 == 0))
    yield case("sparse", TABLE, gradient=sparse([1, 3]))
    yield case("sparse_duplicates", TABLE, gradient=sparse([4, 1, 4, 0, 4]))
    yield case("sparse_empty", TABLE, gradient=sparse([]), steps=3)
    yield case("sparse_vector", {"w": [7], "b": [2]}, gradient=sparse([6, 2, 6]), steps=4)
    yield case("sparse_rank_3", {"w": [5, 2, 3], "b": [2]}, gradient=sparse([4, 0, 0]), steps=4)
    yield case("sparse_all", {"w": [5, 2], "u": [3]}, gradient=sparse([1, 0, 1], indices=(0, 1)), steps=4)


SUITES = {
    suite.__name__: suite for suite in [arguments, clipping, weight_decay, ema, schedules, shapes, dtypes, gradients]
}
