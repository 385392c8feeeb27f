"""Random cases: variables, settings and gradients drawn from a seed."""

import numpy as np

from case_runner import encode, numpy_dtype, record, tagged, values_finite

DTYPES = ["float32", "float64", "float16", "bfloat16"]
NAMES = ["dense/kernel", "dense/bias", "conv/kernel", "emb/table", "norm/gamma", "norm/beta", "a/b/c/kernel", "scale"]
EXCLUSIONS = [["bias"], ["kernel$"], [":0$"], ["^dense/", "gamma"], ["bias|beta"], ["[ab]/.*l"], ["nothing"]]


def random_cases(seed, count):
    """`count` recorded cases; case i depends on (seed, i) only. tf_keras's variables are NaN or infinite in few of them."""
    return [_random_case(seed, index) for index in range(count)]


def _random_case(seed, index):
    rng = np.random.default_rng([seed, index])
    may_diverge = rng.random() < 0.2
    while True:
        case = tagged(record({"id": f"random_{seed}_{index}", "tags": []} | _draw(rng)))
        if may_diverge or values_finite(case):
            return case


def completed(spec, seed, index):
    """A case from a specification that leaves out what it does not care about."""
    rng = np.random.default_rng([seed, index])
    variables = []
    for v in spec["vars"]:
        dtype = v.get("dtype", "float32")
        init = v["init"] if "init" in v else encode(_normal(rng, v["shape"], dtype))
        variables.append({"name": v["name"], "shape": v["shape"], "dtype": dtype, "init": init})
    steps = spec.get("steps", 10)
    if isinstance(steps, int):
        steps = [{"g": [encode(_normal(rng, v["shape"], v["dtype"])) for v in variables]} for _ in range(steps)]
    return {
        "id": spec.get("id", f"case_{index}"),
        "tags": [],
        "kwargs": spec.get("kwargs", {}),
        "exclude": spec.get("exclude"),
        "vars": variables,
        "initial_iterations": spec.get("initial_iterations", 0),
        "events": spec.get("events", []),
        "steps": steps,
    }


def _draw(rng):
    variables = _variables(rng)
    kwargs = _kwargs(rng, {v["dtype"] for v in variables})
    count = int(rng.integers(1, 9))
    return {
        "kwargs": kwargs,
        "exclude": _exclusion(rng, len(variables)) if "weight_decay" in kwargs else None,
        "vars": variables,
        "initial_iterations": _initial_iterations(rng),
        "events": [] if isinstance(kwargs.get("learning_rate"), dict) else _events(rng, count),
        "steps": _steps(rng, variables, count),
    }


def _pick(rng, choices):
    """One of the choices, as the Python object that it is."""
    return choices[int(rng.integers(len(choices)))]


def _normal(rng, shape, dtype, scale=1.0):
    # Astype only after scaling: what overflows in float16 is an infinity there, as a user's cast would make it.
    return np.asarray(rng.standard_normal(shape) * scale).astype(numpy_dtype(dtype))


def _shape(rng):
    rank = int(rng.integers(5))
    if rng.random() < 0.05 and rank >= 1:  # large enough for whole vector registers, and then some
        return [int(size) for size in rng.integers(1, 4, rank - 1)] + [int(rng.integers(30, 80))]
    sizes = rng.choice([0, 1, 2, 3, 4, 5, 8, 9], rank, p=[0.01, 0.15, 0.2, 0.2, 0.16, 0.12, 0.08, 0.08])
    return [int(size) for size in sizes]


def _variables(rng):
    one_dtype = rng.random() < 0.75
    usual = _pick(rng, ["float32", "float32"] + DTYPES)
    variables = []
    for name in rng.permutation(NAMES)[: int(rng.integers(1, 6))]:
        dtype = usual if one_dtype else _pick(rng, DTYPES)
        shape = _shape(rng)
        scale = _pick(rng, [0.0, 1e-3, 0.1, 0.3, 1.0, 1.0, 30.0])
        variables.append({"name": str(name), "shape": shape, "dtype": dtype, "init": encode(_normal(rng, shape, dtype, scale))})
    return variables


def _schedule(rng):
    rate = _pick(rng, [0.05, 0.1, 0.3, 1.0, 2.5])  # an int here makes tf_keras compute in int32, and fail
    steps = _pick(rng, [1, 3, 4, 7, 10, 100])
    decay = _pick(rng, [0.5, 0.7, 0.96, 1])
    alpha = _pick(rng, [0.0, 0, 0.05, 0.1])
    warm_up = {} if rng.random() < 0.5 else {"warmup_target": _pick(rng, [None, 0.2, 1]), "warmup_steps": _pick(rng, [0, 2, 5])}
    return _pick(
        rng,
        [
            ("ExponentialDecay", {"initial_learning_rate": rate, "decay_steps": steps, "decay_rate": decay, "staircase": _pick(rng, [False, True])}),
            ("PiecewiseConstantDecay", {"boundaries": [2, 5], "values": [rate, 0.01, _pick(rng, [0.5, 0.002])]}),
            (
                "PolynomialDecay",
                {
                    "initial_learning_rate": rate,
                    "decay_steps": steps,
                    "end_learning_rate": _pick(rng, [0.0001, 0.01, 0.0]),
                    "power": _pick(rng, [1.0, 0.5, 2, 3.0]),
                    "cycle": _pick(rng, [False, True]),
                },
            ),
            ("InverseTimeDecay", {"initial_learning_rate": rate, "decay_steps": steps, "decay_rate": decay, "staircase": _pick(rng, [False, True])}),
            ("CosineDecay", {"initial_learning_rate": rate, "decay_steps": steps, "alpha": alpha} | warm_up),
            (
                "CosineDecayRestarts",
                {
                    "initial_learning_rate": rate,
                    "first_decay_steps": steps,
                    "t_mul": _pick(rng, [1.0, 1.5, 2.0, 2]),
                    "m_mul": _pick(rng, [1.0, 0.8]),
                    "alpha": alpha,
                },
            ),
            ("TestNoam", {"base": rate, "warmup": _pick(rng, [4, 10])}),
        ],
    )


def _learning_rate(rng):
    if rng.random() < 0.4:
        class_name, config = _schedule(rng)
        return {"class_name": class_name, "config": config}
    return _pick(rng, [0.05, 0.05, 0.01, 0.001, 0.3, 1.0, 1, 2, 100.0, 0, 0.0, -0.01, -1, 1e-8])


def _kwargs(rng, dtypes):
    """Each argument is there in about half of the cases, the numbers as Python's ints now and then."""
    choices = {
        "learning_rate": None,
        "beta_2_decay": [-0.8, -0.5, -1, -2.0, -0.1, 0.0],
        "epsilon_1": [1e-30, 1e-16, 1e-7, 1e-3, 1],
        "epsilon_2": [1e-3, 0.0, 0, 1e-2, 1],
        "clip_threshold": [1.0, 1, 0.1, 0.5, 10.0],
        "relative_step": [True, False],
        "weight_decay": [None, 0.0, 0, 0.004, 0.1, 1, -0.01],
        "clipnorm": [None, 0.1, 0.5, 1, 1e4, 0.0, -1.0],
        "clipvalue": [None, 0.1, 0.5, 1, 1e4, 0, -1.0],
        # The norm over variables of different dtypes is an error in tf_keras.
        "global_clipnorm": [None, 0.1, 0.5, 1, 1e4, 0.0, -1] if len(dtypes) == 1 else [None, 0.0, -1],
        "use_ema": [True, True, False],
        "ema_momentum": [0.99, 0.9, 0.5, 0.0, 1, 1.0],
        "ema_overwrite_frequency": [None, 1, 2, 3, 0],
        "jit_compile": [True, False],
        "name": ["Adafactor", "my_adafactor", "second"],
    }
    chance = _pick(rng, [0.2, 0.5, 0.9])
    kwargs = {
        name: _learning_rate(rng) if name == "learning_rate" else _pick(rng, values)
        for name, values in choices.items()
        if rng.random() < (0.85 if name == "learning_rate" else chance)
    }
    if kwargs.get("clipnorm") is not None and kwargs.get("global_clipnorm") is not None:
        kwargs[_pick(rng, ["clipnorm", "global_clipnorm"])] = None
    if not kwargs.get("use_ema") and rng.random() < 0.1:
        kwargs |= {"ema_momentum": 5.0, "ema_overwrite_frequency": -3}  # nobody looks at them then
    return kwargs


def _exclusion(rng, count):
    return _pick(rng, [None, {"names": _pick(rng, EXCLUSIONS)}, {"vars": [int(i) for i in np.flatnonzero(rng.random(count) < 0.5)]}])


def _initial_iterations(rng):
    return _pick(rng, [0, 0, 0, 0, 0, 0, 1, 7, 99, 1000, 10_000, 16_777_216])


def _events(rng, steps):
    if rng.random() < 0.8:
        return []
    at = sorted({int(step) for step in rng.integers(0, steps, 2)})
    return [{"before_step": step, "set_learning_rate": _pick(rng, [0.5, 0.001, 1, 0, 0.02])} for step in at]


def _steps(rng, variables, count):
    makers = [_gradient_maker(rng, v) for v in variables]
    missing = [_pick(rng, [0.0, 0.0, 0.0, 0.3, 1.0]) for _ in variables]
    missing[int(rng.integers(len(variables)))] = 0.0  # tf_keras refuses a step without any gradient
    missing_first = rng.random(len(variables)) < 0.1
    steps = []
    for index in range(count):
        gone = [rng.random() < m or (index == 0 and first and m > 0) for m, first in zip(missing, missing_first)]
        steps.append({"g": [None if is_gone else maker(index) for is_gone, maker in zip(gone, makers)]})
    return steps


def _gradient_maker(rng, v):
    """A function from the step's index to the gradient of the variable in that step."""
    shape, dtype = v["shape"], v["dtype"]
    scale = _pick(rng, [1e-2, 0.1, 1.0, 3.0] if dtype == "float16" else [1e-8, 1e-3, 0.1, 1.0, 1.0, 10.0, 1e10, 1e-20])
    alive = _alive(rng, shape)
    turn = int(rng.integers(1, 6))

    def times(factor):
        return encode((_normal(rng, shape, dtype, scale) * np.asarray(factor)).astype(numpy_dtype(dtype)))

    patterns = [
        *[lambda _: times(1.0)] * 3,
        lambda _: times(rng.random(shape) < 0.5),
        lambda _: times(0.0),
        lambda step: times(1.0 if step < turn else 0.0),
        lambda step: times(100.0 if step == turn else 1.0),
        lambda _: times(alive),
    ]
    if shape and shape[0] > 0:
        patterns += [lambda _: _sparse(rng, shape, dtype, scale)] * 2
    return _pick(rng, patterns)


def _alive(rng, shape):
    """Ones, with zeros where a slice of some axis never gets a gradient. A dead row crossing a dead column is tf_keras's NaN."""
    alive = np.ones(shape)
    for axis, size in enumerate(shape):
        if rng.random() < 0.5:
            alive = alive * (rng.random(size) < 0.7).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return alive


def _sparse(rng, shape, dtype, scale):
    """Rows with repetitions, out of order; none at all now and then."""
    count = int(rng.integers(0, shape[0] + 3))
    idx = [int(i) for i in rng.integers(0, shape[0], count)]
    return {"idx": idx, "val": encode(_normal(rng, [count] + shape[1:], dtype, scale))}
