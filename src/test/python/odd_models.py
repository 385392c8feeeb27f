"""Exports SavedModels that are legal and odd, with their gradients by tf.GradientTape.

    python odd_models.py FOLDER [NAME...]
    python odd_models.py --list

FOLDER/NAME is the SavedModel, FOLDER/NAME.json holds the inputs, a cotangent for the output y, y itself and the gradient
of sum(y * cotangent) by each trainable variable, null where there is none. FOLDER/NAME.x.INPUT.npy and FOLDER/NAME.y.npy are
the files for a step of fine-tune.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf

raw = tf.raw_ops
rng = np.random.default_rng(11)
v1 = tf.compat.v1


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


class Model(tf.Module):
    """serve(inputs) = {"y": f(*inputs, *variables)}."""

    def __init__(self, variables, inputs, f, specs=None, outputs=None, **function):
        super().__init__()
        self.variables_ = [
            v if isinstance(v, tf.Variable) else tf.Variable(v, name=f"v{i}") for i, v in enumerate(variables)
        ]
        self.inputs = inputs if isinstance(inputs, dict) else {"x": inputs}
        specs = specs or {k: tf.TensorSpec([None, *v.shape[1:]], v.dtype) for k, v in self.inputs.items()}
        signature = [tf.TensorSpec(s.shape, s.dtype, name=k) for k, s in specs.items()]

        @tf.function(input_signature=signature, **function)
        def serve(*inputs):
            y = f(*inputs, *self.variables_)
            return y if isinstance(y, dict) else {"y": y}

        self.serve = serve


def matrix(f, **options):
    """y = f(x w), a matrix [3, 5]."""
    return lambda: Model([normal(4, 5)], normal(3, 4), lambda x, w: f(x @ w), **options)


def square(f):
    """y = f(a) for positive definite matrices [2, 3, 3] that depend on w."""

    def serve(x, w):
        a = tf.reshape(x * w, [-1, 3, 3])
        return f(tf.matmul(a, a, transpose_b=True) + 2.0 * tf.eye(3))

    return lambda: Model([normal(9)], normal(2, 9), serve)


def image(f, shape=(2, 8, 6, 3)):
    return lambda: Model([normal(shape[-1])], normal(*shape), lambda x, w: f(x * w))


def positive(f):
    """y = f(a) for a within (0.1, 0.9)."""
    return lambda: Model([normal(4)], normal(3, 4), lambda x, w: f(0.1 + 0.8 * tf.sigmoid(x * w)))


def with_variables(f, *variables, x=None, **options):
    return lambda: Model(list(variables), normal(3, 4) if x is None else x, f, **options)


def mapped(a):
    return tf.map_fn(lambda row: tf.sin(row) * row, a)


def array_from_branch(a):
    def filled(k):
        array = tf.TensorArray(tf.float32, 3, element_shape=[5], clear_after_read=False)
        for i in range(3):
            array = array.write(i, a[i] * k)
        return array.stack()

    return tf.cond(tf.reduce_sum(a) > 0.0, lambda: filled(2.0), lambda: filled(a[0, 0]))


def array_passed_through_branch(a):
    array = tf.TensorArray(tf.float32, 3, element_shape=[5], clear_after_read=False).unstack(a)
    flow = tf.cond(tf.reduce_sum(a) > 0.0, lambda: array.write(0, a[1] * a[2]).flow, lambda: array.write(1, a[0]).flow)
    return raw.TensorListStack(input_handle=flow, element_shape=[5], element_dtype=tf.float32)


def growing_array(a):
    array = tf.TensorArray(tf.float32, 0, dynamic_size=True, element_shape=[5])
    return tf.while_loop(
        lambda i, _: i < tf.shape(a)[0], lambda i, array: (i + 1, array.write(i, a[i] * tf.sin(a[0]))), [0, array]
    )[1].stack()


def nested(a):
    def inner(b):
        return tf.while_loop(lambda j, _: j < 2, lambda j, b: (j + 1, b * tf.sin(a)), [0, b])[1]

    def body(i, b):
        return i + 1, tf.cond(i % 2 == 0, lambda: inner(b), lambda: tf.cos(b))

    return tf.while_loop(lambda i, _: i < 3, body, [0, a])[1]


def ragged_sum(a):
    ragged = tf.RaggedTensor.from_row_lengths(tf.reshape(a, [-1]), [4, 0, 11])
    return tf.reduce_sum(ragged * ragged, 1)


def ragged_dense(a):
    return tf.RaggedTensor.from_row_splits(a, [0, 2, 2, 3]).to_tensor()


def sparse_matmul(x, w):
    s = tf.sparse.from_dense(tf.where(x > 0.0, x, 0.0))
    return tf.sparse.sparse_dense_matmul(s, w)


def sparse_values(x, w):
    s = tf.SparseTensor([[0, 1], [1, 0], [2, 2]], w[0, :3] * 2.0, [3, 4])
    return tf.sparse.sparse_dense_matmul(s, tf.transpose(x)) + tf.sparse.reduce_sum(s)


def sparse_to_dense(x, w):
    return tf.sparse.to_dense(tf.SparseTensor([[0, 1], [1, 0], [2, 2]], x[:, 0] * w, [3, 4]))


def sparse_softmax(x, w):
    s = tf.SparseTensor([[0, 1], [0, 2], [2, 2]], x[:, 0] * w, [3, 4])
    return tf.sparse.softmax(s).values


def sparse_add(x, w):
    s = tf.SparseTensor([[0, 1], [0, 2], [2, 2]], x[:, 0] * w, [3, 4])
    return tf.sparse.to_dense(tf.sparse.add(s, s))


def fft(a):
    return tf.math.real(tf.signal.ifft(tf.signal.fft(tf.complex(a, tf.sin(a))) * tf.complex(2.0, 1.0)))


def complex_ops(a):
    c = tf.complex(a, a * a)
    return tf.abs(c * tf.math.conj(c) + c) + tf.math.angle(c) + tf.math.imag(tf.exp(c))


def fake_quant(a):
    return tf.quantization.fake_quant_with_min_max_args(a, -2.0, 2.0)


def quantize_dequantize(a):
    return tf.quantization.quantize_and_dequantize_v2(a, -2.0, 2.0, range_given=True)


def penalty(x, w):
    y = tf.reduce_sum(tf.sin(x @ w) ** 2, 1)
    return y + tf.reduce_sum(tf.gradients(y, x)[0] ** 2, 1)


def tape_penalty(x, w):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.tanh(x @ w) ** 2, 1)
    return y + tf.reduce_sum(tape.gradient(y, x) ** 2, 1)


@tf.custom_gradient
def outer_custom(x):
    @tf.custom_gradient
    def inner(z):
        return z * z, lambda dy: 5.0 * dy * z

    return inner(x) + x, lambda dy: 7.0 * dy


@tf.custom_gradient
def two_results(x):
    return (x * 2.0, tf.sin(x)), lambda da, db: 3.0 * da + db * tf.cos(x)


@tf.custom_gradient
def upstream_none(x, y):
    return x * y, lambda dy: (dy * y, None)


class CustomWithVariables(tf.Module):
    def __init__(self, use=lambda layer, x: layer(x)):
        super().__init__()
        self.w = tf.Variable(normal(4, 5), name="v0")
        self.variables_ = [self.w]
        self.inputs = {"x": normal(3, 4)}

        @tf.custom_gradient
        def layer(x):
            y = x @ self.w

            def grad(dy, variables=None):
                return dy @ tf.transpose(self.w), [2.0 * tf.transpose(x) @ dy]

            return y, grad

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
        def serve(x):
            return {"y": tf.sin(use(layer, tf.tanh(x)))}

        self.serve = serve


class Recomputed(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(normal(4, 4), name="v0")
        self.variables_ = [self.w]
        self.inputs = {"x": normal(3, 4)}
        layer = tf.recompute_grad(lambda x: tf.tanh(x @ self.w))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
        def serve(x):
            return {"y": layer(layer(x))}

        self.serve = serve


class Wrapped(tf.Module):
    """A function of TensorFlow 1."""

    def __init__(self, f):
        super().__init__()
        self.w = tf.Variable(normal(4, 5), name="v0")
        self.variables_ = [self.w]
        self.inputs = {"x": normal(3, 4)}

        self.old = v1.wrap_function(lambda x: f(x @ self.w), [tf.TensorSpec([None, 4], name="x")])

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
        def serve(x):
            return {"y": self.old(x)}

        self.serve = serve


def old_graph(f):
    """f as a graph with the control flow of TensorFlow 1."""
    v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            a = v1.placeholder(tf.float32, [None, 5], name="a")
            y = tf.identity(f(a), name="y")
    finally:
        v1.enable_control_flow_v2()
    return lambda a: tf.graph_util.import_graph_def(graph.as_graph_def(), {"a": a}, ["y:0"])[0]


def switch(a):
    return v1.cond(tf.reduce_sum(a) > 1e6, lambda: a * a, lambda: tf.sin(a))


def enter(a):
    return v1.while_loop(lambda i, b: i < 3, lambda i, b: (i + 1, b * tf.sin(a)), [0, a])[1]


def queue(a):
    q = raw.FIFOQueueV2(component_types=[tf.float32], shapes=[[3, 5]], capacity=2)
    with tf.control_dependencies([raw.QueueEnqueueV2(handle=q, components=[a])]):
        return raw.QueueDequeueV2(handle=q, component_types=[tf.float32])[0] + a


def dataset(a):
    total = a
    for i in tf.data.Dataset.range(3):
        total = total * a + tf.cast(i, tf.float32)
    return total


def dataset_reduce(a):
    return a * tf.data.Dataset.range(3).reduce(tf.constant(0.0), lambda s, i: s + tf.cast(i, tf.float32))


def case_of_branches(a):
    return tf.switch_case(tf.shape(a)[0] % 3, [lambda: a * a, lambda: tf.sin(a), lambda: a])


def printed(a):
    tf.print("a", tf.shape(a), output_stream=sys.stderr)
    return a * a


def asserted(a):
    tf.debugging.assert_greater(tf.shape(a)[0], 0)
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(tf.math.is_finite(a)), [a])]):
        return tf.identity(a) * a


def counted(x, w, n):
    n.assign_add(1.0)
    return x @ w * n


def scattered(x, w, n):
    n.scatter_update(tf.IndexedSlices(tf.ones([1, 5]), [1]))
    return x @ w + n[1]


def assigned_then_read(x, w):
    before = x @ w
    w.assign(w * 0.5)
    return before + x @ w


def nms(x, w):
    boxes = tf.nn.sigmoid(x * w)
    return tf.gather(boxes, tf.image.non_max_suppression(boxes, boxes[:, 0], 3, 0.9))


def ctc(a):
    logits = tf.reshape(a, [5, 1, 3])
    return tf.nn.ctc_loss(tf.constant([[1, 2]]), logits, [2], [5], blank_index=0)


def sampled(x, w):
    return tf.nn.sampled_softmax_loss(
        w, tf.zeros([8]), tf.constant([[1], [2], [3]], tf.int64), x, 3, 8,
        sampled_values=(tf.constant([0, 4, 5], tf.int64), tf.ones([3, 1]), tf.ones([3])),
    )  # fmt: skip


def nce(x, w):
    return tf.nn.nce_loss(
        w, tf.zeros([8]), tf.constant([[1], [2], [3]], tf.int64), x, 3, 8,
        sampled_values=(tf.constant([0, 4, 5], tf.int64), tf.ones([3, 1]), tf.ones([3])),
    )  # fmt: skip


def half_loss(a):
    h = tf.cast(a, tf.float16)
    return tf.cast(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[0, 1, 2], logits=h), tf.float32)


def strings(x, w):
    text = tf.strings.as_string(x)
    return tf.cast(tf.strings.length(text), tf.float32) * w * x + tf.strings.to_number(text) * w


def text_input(x, w):
    return tf.gather(w, tf.strings.to_hash_bucket_fast(x, 4)) * 2.0


class Table(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(normal(4, 3), name="v0")
        self.variables_ = [self.w]
        self.inputs = {"x": np.array(["a", "b", "zz"])}
        self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, 3)

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="x")])
        def serve(x):
            self.table.insert(x, tf.range(tf.size(x), dtype=tf.int64))
            return {"y": tf.gather(self.w, self.table.lookup(x)) ** 2}

        self.serve = serve


class Mirrored(tf.Module):
    def __init__(self):
        super().__init__()
        with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
            self.w = tf.Variable(normal(4, 5), name="v0")
        self.variables_ = [self.w]
        self.inputs = {"x": normal(3, 4)}

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
        def serve(x):
            return {"y": tf.sin(x @ self.w)}

        self.serve = serve


class Sharded(tf.Module):
    def __init__(self):
        super().__init__()
        with v1.variable_scope("s", use_resource=True):
            parts = v1.get_variable(
                "w", initializer=tf.constant(normal(4, 5)), partitioner=v1.fixed_size_partitioner(2), use_resource=True
            )
        self.variables_ = list(parts)
        self.inputs = {"x": normal(3, 4)}

        @tf.function(input_signature=[tf.TensorSpec([None, 4], name="x")])
        def serve(x):
            return {"y": tf.sin(x @ tf.concat(self.variables_, 0))}

        self.serve = serve


class SparseInput(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(W, name="v0")
        self.variables_ = [self.w]
        # The signature takes the parts of the sparse tensor.
        self.inputs = {
            "x": np.array([[0, 1], [1, 0], [2, 2]]), "x_1": normal(3), "x_2": np.array([3, 4])
        }  # fmt: skip

        @tf.function(input_signature=[tf.SparseTensorSpec([None, 4], tf.float32)])
        def serve(x):
            return {"y": tf.sparse.sparse_dense_matmul(x, self.w)}

        self.serve = serve

    def run(self, *parts):
        return self.serve(tf.SparseTensor(*parts))


def numpy_function(a):
    return tf.ensure_shape(tf.numpy_function(np.sin, [a], tf.float32), [None, 5]) + a


def py_function(a):
    return tf.ensure_shape(tf.py_function(tf.sin, [a], tf.float32), [None, 5]) * a


def text_variable(x, w, s):
    return x @ w * tf.cast(tf.strings.length(s), tf.float32)


def integer_variables(x, w, n, flag):
    return tf.where(flag, x @ w * tf.cast(n, tf.float32), x @ w)


def unknown_shape(x, w):
    return tf.reshape(tf.sin(w), [-1])[0] * x


def fractional(x):
    return tf.nn.fractional_max_pool(x, [1.0, 1.5, 1.5, 1.0], seed=3).output


def fractional_avg(x):
    return tf.nn.fractional_avg_pool(x, [1.0, 1.5, 1.5, 1.0], seed=3).output


def recursive_branches(a):
    return tf.cond(tf.reduce_sum(a) > 0.0, lambda: case_of_branches(a), lambda: mapped(a))


def optional_value(a):
    o = tf.experimental.Optional.from_value(a * a)
    return o.get_value() + a


def parallel_map(a):
    return tf.vectorized_map(lambda r: tf.sin(r) * tf.reduce_sum(r), a)


def remote(a):
    f = tf.function(lambda b: tf.sin(b) * b).get_concrete_function(tf.TensorSpec([None, 5]))
    return raw.RemoteCall(target="/device:CPU:0", args=[a], Tout=[tf.float32], f=f)[0]


def map_defun(a):
    f = tf.function(lambda b: tf.sin(b) * b).get_concrete_function(tf.TensorSpec([5]))
    return raw.MapDefun(arguments=[a], captured_inputs=[], output_types=[tf.float32], output_shapes=[[5]], f=f)[0]


def symbolic(a):
    f = tf.function(lambda b: tf.sin(b) * b)
    y = f(a)
    return y + tf.gradients(y, a)[0]


X = normal(3, 4)
W = normal(4, 5)
MODELS = {
    # Control flow
    "case": matrix(case_of_branches),
    "case_in_branch": matrix(recursive_branches),
    "map_fn": matrix(mapped),
    "vectorized_map": matrix(parallel_map),
    "scan": matrix(lambda a: tf.scan(lambda s, row: tf.tanh(s * row), a)),
    "foldl": matrix(lambda a: tf.foldl(lambda s, row: s * row, a)),
    "array_from_branch": matrix(array_from_branch),
    "array_passed_through_branch": matrix(array_passed_through_branch),
    "growing_array": matrix(growing_array),
    "nested_loops": matrix(nested),
    "dynamic_partition": matrix(lambda a: tf.dynamic_stitch([[0, 2], [1]], tf.dynamic_partition(a, [0, 1, 0], 2))),
    "switch_and_merge": lambda: Wrapped(old_graph(switch)),
    "enter_and_exit": lambda: Wrapped(old_graph(enter)),
    "wrapped": lambda: Wrapped(tf.sin),
    "dataset_loop": matrix(dataset),
    "dataset_reduce": matrix(dataset_reduce),
    "remote_call": matrix(remote),
    "map_defun": matrix(map_defun),
    # Ragged and sparse
    "ragged_sum": matrix(ragged_sum),
    "ragged_dense": matrix(ragged_dense),
    "sparse_matmul": with_variables(sparse_matmul, W),
    "sparse_values": with_variables(sparse_values, W),
    "sparse_to_dense": with_variables(sparse_to_dense, normal(3)),
    "sparse_softmax": with_variables(sparse_softmax, normal(3)),
    "sparse_add": with_variables(sparse_add, normal(3)),
    "embedding_sparse": with_variables(
        lambda x, w: tf.nn.embedding_lookup_sparse(
            w, tf.SparseTensor([[0, 0], [0, 1], [2, 0]], tf.constant([1, 2, 1], tf.int64), [3, 2]), None, combiner="mean"
        ),
        W,
    ),
    "safe_embedding_sparse": with_variables(
        lambda x, w: tf.nn.safe_embedding_lookup_sparse(
            w,
            tf.SparseTensor([[0, 0], [0, 1], [2, 0]], tf.constant([1, 2, 1], tf.int64), [3, 2]),
            tf.SparseTensor([[0, 0], [0, 1], [2, 0]], [0.3, 1.0, 2.0], [3, 2]),
            combiner="sqrtn",
        ),
        W,
    ),
    # Text and tables
    "strings": with_variables(strings, normal(4)),
    "text_input": with_variables(text_input, normal(4, 3), x=np.array(["a", "b", "zz"])),
    "mutable_table": Table,
    "text_variable": with_variables(text_variable, W, tf.Variable("abc", trainable=False, name="s")),
    "text_variable_trainable": with_variables(text_variable, W, tf.Variable("abc", name="s")),
    # Complex numbers
    "fft": matrix(fft),
    "rfft": matrix(lambda a: tf.abs(tf.signal.rfft(a))),
    "irfft": matrix(lambda a: tf.signal.irfft(tf.complex(a, tf.sin(a)))),
    "fft2d": matrix(lambda a: tf.math.real(tf.signal.fft2d(tf.cast(a, tf.complex64)))),
    "stft": matrix(lambda a: tf.abs(tf.signal.stft(a, 4, 2))),
    "dct": matrix(lambda a: tf.signal.dct(a)),
    "complex": matrix(complex_ops),
    "complex_variable": with_variables(
        lambda x, w, c: tf.math.real(tf.cast(x @ w, tf.complex64) * c), W, (normal(5) + 1j * normal(5)).astype(np.complex64)
    ),
    # Quantized
    "fake_quant_args": matrix(fake_quant),
    "fake_quant_vars": with_variables(
        lambda x, w, lo, hi: tf.quantization.fake_quant_with_min_max_vars(x @ w, lo, hi), W, np.float32(-1), np.float32(1)
    ),
    "fake_quant_channel": with_variables(
        lambda x, w, lo, hi: tf.quantization.fake_quant_with_min_max_vars_per_channel(x @ w, lo, hi),
        W, np.full(5, -1, np.float32), np.full(5, 1, np.float32),
    ),  # fmt: skip
    "quantize_dequantize": matrix(quantize_dequantize),
    "quantize": matrix(lambda a: a + tf.quantization.dequantize(*tf.quantization.quantize(a, -3.0, 3.0, tf.quint8))),
    # Linear algebra
    "cholesky": square(tf.linalg.cholesky),
    "inverse": square(tf.linalg.inv),
    "determinant": square(tf.linalg.det),
    "log_determinant": square(tf.linalg.logdet),
    "slogdet": square(lambda a: tf.linalg.slogdet(a)[1]),
    "solve": square(lambda a: tf.linalg.solve(a, tf.sin(a))),
    "triangular_solve": square(lambda a: tf.linalg.triangular_solve(a, tf.sin(a))),
    "least_squares": square(lambda a: tf.linalg.lstsq(a, tf.sin(a))),
    "qr": square(lambda a: tf.matmul(*tf.linalg.qr(a))),
    "svd": square(lambda a: tf.linalg.svd(a, compute_uv=False)),
    "svd_uv": square(lambda a: tf.abs(tf.linalg.svd(a)[1])),
    "eigenvalues": square(tf.linalg.eigvalsh),
    "eigenvectors": square(lambda a: tf.abs(tf.linalg.eigh(a)[1])),
    "eig": square(lambda a: tf.math.real(tf.linalg.eig(a)[0])),
    "lu": square(lambda a: tf.linalg.lu(a)[0]),
    "expm": square(lambda a: tf.linalg.expm(a * 0.1)),
    "logm": square(lambda a: tf.math.real(tf.linalg.logm(tf.cast(a, tf.complex64)))),
    "sqrtm": square(tf.linalg.sqrtm),
    "tridiagonal_solve": square(lambda a: tf.linalg.tridiagonal_solve(a, tf.sin(a))),
    "diag_part": square(tf.linalg.diag_part),
    "set_diag": square(lambda a: tf.linalg.set_diag(tf.sin(a), a[:, 0])),
    "trace": square(tf.linalg.trace),
    "adjoint": square(tf.linalg.adjoint),
    "cross": square(lambda a: tf.linalg.cross(a, tf.sin(a))),
    "norm": square(lambda a: tf.linalg.norm(a, axis=[1, 2])),
    "nuclear_norm": square(lambda a: tf.norm(a, ord=2, axis=[1, 2])),
    "einsum_ellipsis": square(lambda a: tf.einsum("...ij,...jk->...ik", a, tf.sin(a))),
    "einsum_repeated": square(lambda a: tf.einsum("bii->bi", a)),
    "einsum_trace": square(lambda a: tf.einsum("bii->b", a)),
    "einsum_three": square(lambda a: tf.einsum("bij,bjk,bkl->il", a, a, a)),
    "tensordot": square(lambda a: tf.tensordot(a, a, [[1, 2], [1, 2]])),
    "batch_matmul_v3": square(lambda a: raw.BatchMatMulV3(x=a, y=a, Tout=tf.float32)),
    "matmul_adjoint": square(lambda a: tf.matmul(a, tf.sin(a), adjoint_a=True)),
    # Images
    "resize_area": image(lambda x: tf.image.resize(x, [4, 3], "area")),
    "resize_lanczos": image(lambda x: tf.image.resize(x, [11, 9], "lanczos3")),
    "resize_gaussian": image(lambda x: tf.image.resize(x, [11, 9], "gaussian")),
    "resize_mitchell": image(lambda x: tf.image.resize(x, [11, 9], "mitchellcubic")),
    "resize_antialias": image(lambda x: tf.image.resize(x, [4, 3], "bilinear", antialias=True)),
    "resize_corners": image(lambda x: v1.image.resize_bilinear(x, [11, 9], align_corners=True)),
    "resize_bicubic_corners": image(lambda x: v1.image.resize_bicubic(x, [11, 9], align_corners=True)),
    "adjust_contrast": image(lambda x: tf.image.adjust_contrast(x, 1.5)),
    "adjust_hue": image(lambda x: tf.image.adjust_hue(x, 0.1)),
    "adjust_saturation": image(lambda x: tf.image.adjust_saturation(x, 1.5)),
    "rgb_to_hsv": image(lambda x: tf.image.rgb_to_hsv(tf.sigmoid(x))),
    "hsv_to_rgb": image(lambda x: tf.image.hsv_to_rgb(tf.sigmoid(x))),
    "standardized": image(tf.image.per_image_standardization),
    "total_variation": image(tf.image.total_variation),
    "ssim": image(lambda x: tf.image.ssim(tf.sigmoid(x), tf.sigmoid(x * x), 1.0, filter_size=3)),
    "sobel": image(tf.image.sobel_edges),
    "flip": image(lambda x: tf.image.flip_left_right(x)),
    "non_max_suppression": with_variables(nms, normal(4), x=normal(5, 4)),
    "extract_patches": image(lambda x: tf.image.extract_patches(x, [1, 3, 3, 1], [1, 2, 2, 1], [1, 1, 1, 1], "VALID")),
    "extract_glimpse": image(lambda x: tf.image.extract_glimpse(x, [3, 3], [[0.0, 0.0], [0.1, 0.2]])),
    "crop_boxes_of_variable": with_variables(
        lambda x, b: tf.image.crop_and_resize(x, tf.sigmoid(b), [1, 0], [5, 4]), normal(2, 4), x=normal(2, 8, 6, 3)
    ),
    "transform": image(
        lambda x: raw.ImageProjectiveTransformV3(
            images=x, transforms=[[1.0, 0.1, 0.2, 0.0, 1.0, 0.3, 0.0, 0.0]], output_shape=[8, 6], fill_value=0.0,
            interpolation="BILINEAR",
        )
    ),  # fmt: skip
    # Sorting, segments, gather, scatter
    "unique": matrix(lambda a: tf.gather(a, tf.unique([1, 0, 1])[0]) * a[:2]),
    "unique_of_values": matrix(lambda a: tf.unique(tf.reshape(a, [-1]))[0]),
    "sets": matrix(lambda a: a * tf.cast(tf.size(tf.sets.intersection([[1, 2]], [[2, 3]]).values), tf.float32)),
    "sort": matrix(tf.sort),
    "argsort": matrix(lambda a: tf.gather(a, tf.argsort(a, axis=1), batch_dims=1)),
    "nth_element": matrix(lambda a: raw.NthElement(input=a, n=2)),
    "in_top_k": matrix(lambda a: a * tf.cast(tf.math.in_top_k([1, 2, 3], a, 2), tf.float32)[:, None]),
    "segment_mean": matrix(lambda a: tf.math.segment_mean(a, [0, 0, 1])),
    "segment_max": matrix(lambda a: tf.math.segment_max(a, [0, 0, 1])),
    "segment_min": matrix(lambda a: tf.math.segment_min(a, [0, 0, 1])),
    "segment_prod": matrix(lambda a: tf.math.segment_prod(a, [0, 0, 1])),
    "unsorted_segment_sum": matrix(lambda a: tf.math.unsorted_segment_sum(a, [1, 0, 1], 3)),
    "unsorted_segment_sum_negative": matrix(lambda a: tf.math.unsorted_segment_sum(a, [1, -1, 1], 3)),
    "unsorted_segment_mean": matrix(lambda a: tf.math.unsorted_segment_mean(a, [1, 0, 1], 2)),
    "unsorted_segment_max": matrix(lambda a: tf.math.unsorted_segment_max(a, [1, 0, 1], 2)),
    "unsorted_segment_min": matrix(lambda a: tf.math.unsorted_segment_min(a, [1, 0, 1], 2)),
    "unsorted_segment_prod": matrix(lambda a: tf.math.unsorted_segment_prod(a, [1, 0, 1], 2)),
    "sparse_segment_sum": matrix(lambda a: tf.sparse.segment_sum(a, [0, 2, 1], [0, 0, 1])),
    "sparse_segment_mean": matrix(lambda a: tf.sparse.segment_mean(a, [0, 2, 1], [0, 0, 1])),
    "sparse_segment_sqrt": matrix(lambda a: tf.sparse.segment_sqrt_n(a, [0, 2, 1], [0, 0, 1])),
    "gather_nd_batch": matrix(lambda a: tf.gather_nd(a, [[1], [0], [4]], batch_dims=1)),
    "scatter_min": matrix(lambda a: tf.tensor_scatter_nd_min(tf.tanh(a), [[1], [2]], a[:2] * a[1:])),
    "scatter_max": matrix(lambda a: tf.tensor_scatter_nd_max(tf.tanh(a), [[1], [2]], a[:2] * a[1:])),
    "scatter_non_aliasing": matrix(
        lambda a: raw.ScatterNdNonAliasingAdd(input=tf.tanh(a), indices=[[1], [2]], updates=a[:2] * a[1:])
    ),
    "boolean_mask": matrix(lambda a: tf.boolean_mask(a, a > 0.0)),
    "where": matrix(lambda a: tf.gather_nd(a, tf.where(a > 0.0))),
    "parallel_stack": matrix(lambda a: v1.parallel_stack([tf.ensure_shape(a, [3, 5]), tf.sin(tf.ensure_shape(a, [3, 5]))])),
    "meshgrid": matrix(lambda a: tf.meshgrid(a[0], a[1])[0]),
    "repeat": matrix(lambda a: tf.repeat(a, [1, 0, 2], axis=0)),
    "searchsorted": matrix(lambda a: a * tf.cast(tf.searchsorted(tf.sort(a), a), tf.float32)),
    "one_hot_of_variable": matrix(lambda a: tf.one_hot([1, 0, 2], 4, on_value=a[0, 0], off_value=a[1, 1])),
    "strided_slice_of_variable": with_variables(lambda x, w: x[:, :2] @ w[1:3, ::2], W),
    "linspace": matrix(lambda a: tf.linspace(a[0], a[1], 4)),
    "histogram": matrix(lambda a: a * tf.cast(tf.histogram_fixed_width(a, [-1.0, 1.0], 5), tf.float32)),
    "tensor_strided_update": matrix(
        lambda a: raw.TensorStridedSliceUpdate(input=tf.tanh(a), begin=[1, 0], end=[2, 5], strides=[1, 1], value=a[:1] ** 2)
    ),
    "empty_dimension": matrix(lambda a: tf.concat([a, a[:, :0]], 1) + tf.reduce_sum(a[:0])),
    "empty_variable": with_variables(lambda x, w, e: x @ w + tf.reduce_sum(e), W, normal(0, 3)),
    # Special functions
    "digamma": positive(tf.math.digamma),
    "polygamma": positive(lambda a: tf.math.polygamma(2.0, a)),
    "zeta": positive(lambda a: tf.math.zeta(2.0 + a, 1.0 + a)),
    "igamma": positive(lambda a: tf.math.igamma(a, a * 2.0)),
    "igammac": positive(lambda a: tf.math.igammac(2.0, a)),
    "betainc": positive(lambda a: tf.math.betainc(2.0, 3.0, a)),
    "ndtri": positive(tf.math.ndtri),
    "erfinv": positive(tf.math.erfinv),
    "erfcinv": positive(tf.math.erfcinv),
    "lbeta": positive(tf.math.lbeta),
    "bessel_i0": positive(tf.math.bessel_i0),
    "bessel_i1e": positive(tf.math.bessel_i1e),
    "bessel_j0": positive(tf.math.special.bessel_j0),
    "bessel_k1e": positive(tf.math.special.bessel_k1e),
    "bessel_y1": positive(tf.math.special.bessel_y1),
    "dawsn": positive(tf.math.special.dawsn),
    "expint": positive(tf.math.special.expint),
    "fresnel": positive(tf.math.special.fresnel_cos),
    "spence": positive(tf.math.special.spence),
    "xlogy": positive(lambda a: tf.math.xlogy(a, a * 2.0)),
    "xlog1py": positive(lambda a: tf.math.xlog1py(a, a * 2.0)),
    "xdivy": positive(lambda a: tf.math.xdivy(a, a + 2.0)),
    "mul_no_nan": positive(lambda a: tf.math.multiply_no_nan(a, a * 2.0)),
    "nextafter": positive(lambda a: tf.math.nextafter(a, 2.0)),
    "truncate_mod": positive(lambda a: tf.truncatemod(a, 0.3)),
    "truncate_div": positive(lambda a: a * raw.TruncateDiv(x=a, y=a * a)),
    "cumulative_logsumexp": matrix(lambda a: tf.math.cumulative_logsumexp(a, 1)),
    "cumulative_logsumexp_reverse": matrix(lambda a: tf.math.cumulative_logsumexp(a, 0, exclusive=True, reverse=True)[:2]),
    "cumsum_exclusive_reverse": matrix(lambda a: tf.cumsum(a, 1, exclusive=True, reverse=True)),
    "logsumexp": matrix(lambda a: tf.reduce_logsumexp(a, 1)),
    "reduce_variance": matrix(lambda a: tf.math.reduce_std(a, 1)),
    "approximate_top_k": matrix(lambda a: tf.math.approx_max_k(a, 2)[0]),
    "population_count": matrix(lambda a: a * tf.cast(raw.PopulationCount(x=tf.cast(a, tf.int32)), tf.float32)),
    "bitcast": matrix(lambda a: a + tf.cast(tf.bitcast(a, tf.int32), tf.float32) * 0.0),
    "prod_with_zero": matrix(lambda a: tf.reduce_prod(tf.nn.relu(a), 1)),
    "max_with_ties": matrix(lambda a: tf.reduce_max(tf.nn.relu(a), 1) + tf.reduce_max(tf.zeros_like(a) * a, 0)[0]),
    "pow_zero_base": matrix(lambda a: tf.nn.relu(a) ** 2.0 + 2.0 ** a),
    "clip_by_norm": matrix(lambda a: tf.clip_by_norm(a, 1.0, axes=[1])),
    "clip_of_value": matrix(lambda a: tf.clip_by_value(a, a[0, 0], a[0, 0] + 1.0)),
    "cast_half": matrix(lambda a: tf.cast(tf.sin(tf.cast(a, tf.bfloat16)), tf.float32) + a),
    "float8": matrix(lambda a: a + tf.cast(tf.cast(a, tf.dtypes.experimental.float8_e5m2), tf.float32)),
    # Layers
    "ctc_loss": matrix(ctc),
    "ctc_loss_v1": matrix(
        lambda a: raw.CTCLoss(
            inputs=tf.reshape(a, [5, 1, 3]), labels_indices=[[0, 0]], labels_values=[1], sequence_length=[5]
        ).loss
    ),
    "max_pool_argmax": image(lambda x: tf.nn.max_pool_with_argmax(x, 2, 2, "VALID")[0]),
    "max_pool_v2": image(lambda x: raw.MaxPoolV2(input=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")),
    "max_pool_explicit": image(lambda x: tf.nn.max_pool2d(x, 2, 2, [[0, 0], [1, 0], [0, 1], [0, 0]])),
    "max_pool_nchw": image(
        lambda x: raw.MaxPool(input=x, ksize=[1, 1, 2, 2], strides=[1, 1, 2, 2], padding="VALID", data_format="NCHW")
    ),
    "avg_pool_nchw": image(
        lambda x: raw.AvgPool(value=x, ksize=[1, 1, 2, 2], strides=[1, 1, 2, 2], padding="VALID", data_format="NCHW")
    ),
    "fractional_max_pool": image(fractional),
    "fractional_avg_pool": image(fractional_avg),
    "conv_nchw": with_variables(
        lambda x, w: tf.nn.conv2d(x, w, 1, "SAME", data_format="NCHW"), normal(3, 3, 2, 4), x=normal(2, 2, 7, 8)
    ),
    "conv_nchw_dilated": with_variables(
        lambda x, w: tf.nn.conv2d(x, w, 1, "VALID", data_format="NCHW", dilations=2), normal(3, 3, 2, 4), x=normal(2, 2, 7, 8)
    ),
    "conv_grouped": with_variables(lambda x, w: tf.nn.conv2d(x, w, 1, "SAME"), normal(3, 3, 2, 4), x=normal(2, 7, 8, 4)),
    "conv_grouped_dilated": with_variables(
        lambda x, w: tf.nn.conv2d(x, w, 1, "VALID", dilations=2), normal(2, 2, 2, 4), x=normal(2, 7, 8, 4)
    ),
    "conv1d": with_variables(lambda x, w: tf.nn.conv1d(x, w, 2, "SAME"), normal(3, 2, 4), x=normal(2, 7, 2)),
    "conv1d_transposed": with_variables(
        lambda x, w: tf.nn.conv1d_transpose(x, w, [2, 14, 4], 2), normal(3, 4, 2), x=normal(2, 7, 2)
    ),
    "conv_transposed_nchw": with_variables(
        lambda x, w: tf.nn.conv2d_transpose(x, w, [2, 4, 8, 10], 2, data_format="NCHW"), normal(3, 3, 4, 2), x=normal(2, 2, 4, 5)
    ),
    "conv3d_dilated": with_variables(
        lambda x, w: tf.nn.conv3d(x, w, [1] * 5, "VALID", dilations=[1, 2, 2, 2, 1]), normal(2, 2, 2, 2, 3), x=normal(2, 4, 5, 6, 2)
    ),
    "conv3d_ncdhw": with_variables(
        lambda x, w: tf.nn.conv3d(x, w, [1] * 5, "VALID", data_format="NCDHW"), normal(2, 2, 2, 2, 3), x=normal(2, 2, 4, 5, 6)
    ),
    "convolution_any": with_variables(
        lambda x, w: raw.Conv(input=x, filter=w, strides=[1, 1, 1, 1], padding="SAME", data_format="CHANNELS_LAST"),
        normal(3, 3, 2, 4), x=normal(2, 7, 8, 2),
    ),  # fmt: skip
    "atrous": with_variables(lambda x, w: tf.nn.atrous_conv2d(x, w, 2, "SAME"), normal(3, 3, 2, 4), x=normal(2, 7, 8, 2)),
    "depthwise_nchw": with_variables(
        lambda x, w: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME", data_format="NCHW"),
        normal(3, 3, 2, 2), x=normal(2, 2, 7, 8),
    ),  # fmt: skip
    "separable": with_variables(
        lambda x, d, p: tf.nn.separable_conv2d(x, d, p, [1, 1, 1, 1], "SAME"),
        normal(3, 3, 2, 2), normal(1, 1, 4, 3), x=normal(2, 7, 8, 2),
    ),  # fmt: skip
    "dilation2d": with_variables(
        lambda x, w: tf.nn.dilation2d(x, w, [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]), normal(3, 3, 2), x=normal(2, 7, 8, 2)
    ),
    "erosion2d": with_variables(
        lambda x, w: tf.nn.erosion2d(x, w, [1, 1, 1, 1], "SAME", "NHWC", [1, 1, 1, 1]), normal(3, 3, 2), x=normal(2, 7, 8, 2)
    ),
    "bias_nchw": image(lambda x: tf.nn.bias_add(x, tf.range(8.0), data_format="NCHW")),
    "batch_norm_nchw_inference": with_variables(
        lambda x, g, b: raw.FusedBatchNormV3(
            x=x * g[0], scale=g, offset=b, mean=[0.1, 0.2], variance=[1.1, 1.2], data_format="NCHW", is_training=False
        ).y,
        normal(2), normal(2), x=normal(3, 2, 4, 5),
    ),  # fmt: skip
    "batch_norm_statistics": with_variables(
        lambda x, g, b: raw.FusedBatchNormV3(x=x * g, scale=g, offset=b, mean=[], variance=[]).batch_mean * x, normal(2), normal(2),
        x=normal(3, 4, 5, 2),
    ),  # fmt: skip
    "batch_norm_v1": with_variables(
        lambda x, g, b: raw.FusedBatchNorm(x=x, scale=g, offset=b, mean=[], variance=[]).y, normal(2), normal(2), x=normal(3, 4, 5, 2)
    ),
    "batch_norm_3d": with_variables(
        lambda x, g, b: raw.FusedBatchNormV3(x=x, scale=g, offset=b, mean=[], variance=[], data_format="NDHWC").y,
        normal(2), normal(2), x=normal(3, 2, 4, 5, 2),
    ),  # fmt: skip
    "sampled_softmax": with_variables(sampled, normal(8, 4)),
    "nce_loss": with_variables(nce, normal(8, 4)),
    "label_gradient": matrix(
        lambda a: tf.nn.softmax_cross_entropy_with_logits(labels=tf.nn.softmax(a), logits=tf.sin(a))
    ),
    "half_loss": matrix(half_loss),
    "dropout": matrix(lambda a: a + 0.0 * tf.nn.dropout(a, 0.5)),
    "gelu": matrix(tf.nn.gelu),
    "swish": matrix(tf.nn.silu),
    "crelu": matrix(tf.nn.crelu),
    "weighted_moments": matrix(lambda a: tf.nn.weighted_moments(a, 0, tf.nn.sigmoid(a))[1]),
    "lstm_block": with_variables(
        lambda x, w: raw.LSTMBlockCell(
            x=x, cs_prev=x, h_prev=x, w=w, wci=tf.zeros(4), wcf=tf.zeros(4), wco=tf.zeros(4), b=tf.zeros(16)
        ).h,
        normal(8, 16),
    ),
    "gru_block": with_variables(
        lambda x, w, v: raw.GRUBlockCell(x=x, h_prev=x, w_ru=w, w_c=v, b_ru=tf.zeros(8), b_c=tf.zeros(4)).h,
        normal(8, 8), normal(8, 4),
    ),  # fmt: skip
    # Python, queues, messages
    "py_function": matrix(py_function),
    "numpy_function": matrix(numpy_function),
    "queue": matrix(queue),
    "optional": matrix(optional_value),
    "printed": matrix(printed),
    "asserted": matrix(asserted),
    "print_v1": matrix(lambda a: raw.Print(input=a, data=[tf.shape(a)], message="a") * a),
    "timestamp": matrix(lambda a: a + 0.0 * tf.cast(tf.timestamp(), tf.float32)),
    "snapshot": matrix(lambda a: raw.Snapshot(input=a) * a),
    "prevent_gradient": matrix(lambda a: raw.PreventGradient(input=a, message="no") * a),
    "placeholder_with_default": matrix(lambda a: raw.PlaceholderWithDefault(input=a, shape=[None, 5]) * a),
    "barrier": matrix(lambda a: raw.Identity(input=raw.DeepCopy(x=a)) * a),
    "broadcast_args": matrix(lambda a: tf.broadcast_to(a, tf.broadcast_dynamic_shape(tf.shape(a), [2, 1, 5]))),
    "copy": matrix(lambda a: raw.Copy(input=a) * a),
    "stateless_random": matrix(lambda a: a * tf.random.stateless_uniform([5], [1, 2])),
    "random_gamma": positive(lambda a: tf.random.stateless_gamma([3, 4], [1, 2], a)),
    # Variables
    "counter": with_variables(counted, W, tf.Variable(0.0, trainable=False, name="n")),
    "counter_trainable": with_variables(counted, W, np.float32(0.0)),
    "scatter_update": with_variables(scattered, W, tf.Variable(normal(2, 5), trainable=False, name="n")),
    "assigned": with_variables(assigned_then_read, W),
    "slice_assigned": with_variables(
        lambda x, w, n: (n[0].assign(tf.ones([5])), x @ w + n[0])[1], W, tf.Variable(normal(2, 5), trainable=False, name="n")
    ),
    "integer_variables": with_variables(
        integer_variables, W, tf.Variable(3, trainable=False, name="n"), tf.Variable(True, trainable=False, name="flag")
    ),
    "integer_variables_trainable": with_variables(integer_variables, W, tf.Variable(3, name="n"), tf.Variable(True, name="flag")),
    "variable_of_unknown_shape": lambda: Model(
        [tf.Variable(normal(2, 3), shape=tf.TensorShape(None), name="v0")], X, unknown_shape
    ),
    "variable_of_partly_known_shape": lambda: Model(
        [tf.Variable(normal(4, 5), shape=tf.TensorShape([None, 5]), name="v0")], X, lambda x, w: tf.sin(x @ w)
    ),
    "mirrored": Mirrored,
    "sharded": Sharded,
    "scalar_variable": with_variables(lambda x, w: x * w, np.float32(1.5)),
    "half_variable": with_variables(lambda x, w: tf.cast(x, tf.float16) @ w, W.astype(np.float16)),
    "double_variable": with_variables(lambda x, w: tf.cast(x, tf.float64) @ w, W.astype(np.float64)),
    "variable_shape": with_variables(lambda x, w: x @ w * tf.cast(raw.VariableShape(input=w.handle)[0], tf.float32), W),
    "is_initialized": with_variables(lambda x, w: tf.where(raw.VarIsInitializedOp(resource=w.handle), x @ w, 0.0), W),
    "sparse_read": with_variables(lambda x, w: w.sparse_read([0, 1, 1]) * x[:, :1], W),
    "many_reads": with_variables(lambda x, w: x @ w + tf.sin(x @ w.read_value()) + w[0], W),
    # Inputs and outputs
    "unknown_rank": lambda: Model([normal(4)], X, lambda x, w: x * w, {"x": tf.TensorSpec(None)}),
    "one_row": lambda: Model([W], normal(1, 4), lambda x, w: x @ w, {"x": tf.TensorSpec([1, 4])}),
    "fixed_batch": lambda: Model([W], X, lambda x, w: x @ w, {"x": tf.TensorSpec([3, 4])}),
    "scalar_input": lambda: Model([normal(4)], np.float32(2.0), lambda x, w: x * w, {"x": tf.TensorSpec([])}),
    "scalar_input_too": lambda: Model(
        [W], {"x": X, "rate": np.float32(0.5)}, lambda x, rate, w: x @ w * rate,
        {"x": tf.TensorSpec([None, 4]), "rate": tf.TensorSpec([])},
    ),  # fmt: skip
    "unused_input": lambda: Model([W], {"x": X, "z": X}, lambda x, z, w: x @ w),
    "no_input": lambda: Model([W], {}, lambda w: w * w),
    "integer_input": with_variables(lambda x, w: tf.gather(w, x) ** 2, W, x=np.array([[1, 0], [3, 3]])),
    "bool_input": with_variables(lambda x, w: tf.where(x[:, None], w, w * w), normal(5), x=np.array([True, False, True])),
    "complex_input": with_variables(lambda x, w: tf.math.abs(x) @ w, W, x=X.astype(np.complex64)),
    "half_input": with_variables(lambda x, w: tf.cast(x, tf.float32) @ w, W, x=X.astype(np.float16)),
    "unsigned_input": with_variables(lambda x, w: tf.cast(x, tf.float32) @ w, W, x=np.arange(12, dtype=np.uint8).reshape(3, 4)),
    "sparse_input": SparseInput,
    "scalar_output": matrix(tf.reduce_sum),
    "vector_output": matrix(lambda a: a[:, 0]),
    "empty_output": matrix(lambda a: a[:, :0]),
    "integer_output": matrix(lambda a: tf.argmax(a, 1)),
    "text_output": matrix(lambda a: tf.strings.as_string(a)),
    "bool_output": matrix(lambda a: a > 0.0),
    "complex_output": matrix(lambda a: tf.complex(a, a)),
    "ragged_output": matrix(lambda a: tf.RaggedTensor.from_row_lengths(tf.reshape(a, [-1]), [4, 0, 11])),
    "many_outputs": matrix(lambda a: {"y": a, "again": a, "sin": tf.sin(a), "sum": tf.reduce_sum(a)}),
    "input_as_output": with_variables(lambda x, w: {"y": x @ w, "same": x}, W),
    "only_input_as_output": with_variables(lambda x, w: {"y": x}, W),
    "independent_output": with_variables(lambda x, w: x @ tf.stop_gradient(w), W),
    "variable_as_output": with_variables(lambda x, w: w + 0.0, normal(3, 4)),
    "constant_output": with_variables(lambda x, w: tf.ones([3, 2]), W),
    # Gradients and functions
    "gradient_penalty": with_variables(penalty, W),
    "tape_penalty": with_variables(tape_penalty, W),
    "gradients_of_call": matrix(symbolic),
    "custom_nested": matrix(outer_custom),
    "custom_two_results": matrix(lambda a: two_results(a)[1] + a),
    "custom_two_results_used": matrix(lambda a: two_results(a)[1] * two_results(a)[0]),
    "custom_without_upstream": matrix(lambda a: upstream_none(a, tf.sin(a))),
    "custom_with_variables": CustomWithVariables,
    "custom_with_variables_in_branch": lambda: CustomWithVariables(
        lambda layer, x: tf.cond(tf.shape(x)[0] > 1, lambda: layer(x), lambda: layer(-x))
    ),
    "custom_with_variables_in_loop": lambda: CustomWithVariables(
        lambda layer, x: tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y + layer(x)), [0, layer(x)])[1]
    ),
    "custom_in_loop": matrix(
        lambda a: tf.while_loop(lambda i, b: i < 2, lambda i, b: (i + 1, outer_custom(b) * a), [0, a])[1]
    ),
    "custom_in_branch": matrix(lambda a: tf.cond(tf.shape(a)[0] > 1, lambda: outer_custom(a), lambda: a)),
    "grad_pass_through": matrix(lambda a: tf.grad_pass_through(tf.round)(a) * a),
    "recomputed": Recomputed,
    "stop_gradient": matrix(lambda a: a * tf.stop_gradient(tf.sin(a))),
    "jit": matrix(tf.sin, jit_compile=True),
    "jit_inside": matrix(lambda a: tf.function(lambda b: tf.sin(b) @ tf.ones([5, 2]), jit_compile=True)(a)),
    "relaxed": matrix(lambda a: tf.function(lambda b: b * b, reduce_retracing=True)(a) + 1.0),
    "implements": matrix(lambda a: tf.function(lambda b: b * b, experimental_implements="my.square")(a)),
    "attributes": matrix(lambda a: tf.function(lambda b: b * b, experimental_attributes={"api_implements": "x", "api_preferred_device": "CPU"})(a)),
    "device": matrix(lambda a: with_device(a)),
    "colocated": matrix(lambda a: with_colocation(a)),
    "deep_calls": matrix(lambda a: calls(a, 40)),
    "uninterned_autograph": matrix(lambda a: autographed(a)),
}


def with_device(a):
    with tf.device("/device:CPU:0"):
        return a * a


def with_colocation(a):
    with v1.colocate_with(a):
        return a * a


def calls(a, depth):
    return a * 1.01 if depth == 0 else tf.function(lambda b: calls(tf.sin(b), depth - 1))(a)


@tf.function
def autographed(a):
    total = tf.zeros_like(a)
    for row in a:
        if tf.reduce_sum(row) > 0.0:
            total += row * a
        else:
            continue
        if tf.reduce_max(total) > 100.0:
            break
    return total + a


def numbers(a):
    a = np.asarray(a)
    values = np.ravel(a)
    if a.dtype.kind in "SUO":
        values = [v.decode() if isinstance(v, bytes) else str(v) for v in values]
    elif a.dtype.kind == "c":
        values = [float(v.real) for v in values]
    else:
        values = values.astype(np.float64 if a.dtype.kind not in "iub" else a.dtype).tolist()
    return {"dtype": a.dtype.name if a.dtype.kind not in "SUO" else "string", "shape": list(a.shape), "values": list(values)}


def run(model, inputs):
    return getattr(model, "run", model.serve)(*inputs.values())


def forward(model, inputs):
    """y, or zeros where Python cannot run the model, or not without a gradient."""
    try:
        return numbers(run(model, inputs)["y"].numpy())
    except Exception:
        return numbers(np.zeros([3, 5], np.float32))


def export(folder, name):
    model = MODELS[name]()
    path = os.path.join(folder, name)
    tf.saved_model.save(model, path, signatures={"serving_default": model.serve})
    inputs = {k: tf.constant(v) for k, v in model.inputs.items()}
    trainable = [v for v in model.variables_ if v.trainable]
    values = [(v, v.numpy() if v.dtype != tf.string else None) for v in model.variables_]
    about = {"inputs": {k: numbers(v) for k, v in model.inputs.items()}, "gradients": None}
    try:
        with tf.GradientTape() as tape:
            y = run(model, inputs)["y"]
            about["y"] = numbers(y.numpy())
            np.save(path + ".y.npy", y.numpy())
            if y.dtype.is_floating:
                cotangent = tf.constant(np.asarray(rng.normal(size=y.shape)), y.dtype)
                loss = tf.reduce_sum(y * cotangent)
        if y.dtype.is_floating:
            about["cotangent"] = numbers(cotangent.numpy())
            about["gradients"] = {
                v.name.split(":")[0]: None if g is None else numbers(tf.convert_to_tensor(g).numpy())
                for v, g in zip(trainable, tape.gradient(loss, trainable))
            }
    except Exception as e:  # Python itself cannot run or differentiate some of them.
        print(name, "without gradients in Python:", type(e).__name__, str(e).splitlines()[0][:150])
        about["failure"] = type(e).__name__
        if "y" not in about:
            about["y"] = forward(model, inputs)
        np.save(path + ".y.npy", np.zeros(about["y"]["shape"], np.float32))
    for k, v in model.inputs.items():
        np.save(f"{path}.x.{k}.npy", v)
    with open(path + ".json", "w") as out:
        json.dump(about, out)


if __name__ == "__main__":
    if sys.argv[1] == "--list":
        print(*MODELS, sep="\n")
    else:
        for name in sys.argv[2:] or MODELS:
            export(sys.argv[1], name)
