"""Exports one small SavedModel for each kind of operation, with its gradients by tf.GradientTape.

    python gradients.py FOLDER

FOLDER/NAME is the SavedModel, FOLDER/NAME.json holds the input x, a cotangent for the output y, y itself
and, for each variable that has one, the gradient of sum(y * cotangent); "refused" marks a model whose gradient the
Java side must not trust.
"""

import json
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf

raw = tf.raw_ops
rng = np.random.default_rng(7)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def unary(f, positive=False, scale=1.0):
    """y = f(x * w), where f wants values within (0, 1) or of any sign."""
    w = normal(4) * scale
    return [np.abs(w) + 0.1 if positive else w], np.abs(normal(3, 4)) * scale + 0.05, lambda x, w: f(x * w)


def binary(f, positive=False):
    """y = f(x * w, v) with broadcasting, both differentiated."""
    w, v = normal(4), normal(3, 1)
    if positive:
        w, v = np.abs(w) + 0.5, np.abs(v) + 0.5
    return [w, v], np.abs(normal(3, 4)) + 0.1, lambda x, w, v: f(x * w, v)


def conv(f, kernel=(3, 3, 2, 4), image=(2, 7, 8, 2)):
    return [normal(*kernel)], normal(*image), f


def image(f, shape=(2, 8, 6, 3)):
    """y = f(x * w) on images."""
    return [normal(shape[-1])], normal(*shape), lambda x, w: f(x * w)


def matrix(f):
    """y = f(x w) on a matrix [3, 5]."""
    return [normal(4, 5)], normal(3, 4), lambda x, w: f(x @ w)


def positive_definite(f):
    """y = f(a) for positive definite matrices [2, 3, 3]."""

    def serve(x, w):
        a = tf.reshape(x * w, [-1, 3, 3])
        return f(tf.matmul(a, a, transpose_b=True) + 2.0 * tf.eye(3))

    return [normal(9)], normal(2, 9), serve


def penalty(activation, x, w):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(activation(x @ w) ** 2, 1)
    return y + tf.reduce_sum(tape.gradient(y, x) ** 2, 1)


def batch_norm(x, gamma, beta, mean, variance):
    return raw.FusedBatchNormV3(
        x=x * 2.0, scale=gamma, offset=beta, mean=mean, variance=tf.abs(variance) + 0.5, is_training=False
    ).y


def batch_norm_training(x, gamma, beta):
    empty = tf.zeros([0])
    return raw.FusedBatchNormV3(x=x, scale=gamma, offset=beta, mean=empty, variance=empty, is_training=True).y


def layer_norm(x, w, gamma, beta):
    """As tf_keras's LayerNormalization does it: each row is a channel."""
    a = tf.reshape(x @ w, [1, 3, 5, 1])
    normal = raw.FusedBatchNormV3(
        x=a, scale=tf.ones([3]), offset=tf.zeros([3]), mean=[], variance=[], epsilon=1e-3, data_format="NCHW"
    )
    return tf.reshape(normal.y, [3, 5]) * gamma + beta


@tf.custom_gradient
def doubled_gradient(x):
    return tf.identity(x), lambda dy: 2.0 * dy


@tf.custom_gradient
def scaled_gradient(x, v):
    y = x * v
    return y, lambda dy: (3.0 * dy * tf.tanh(v) * y, tf.reduce_sum(dy * x, 0))


def weighted(x, w, v):
    """A custom gradient that captures variables, of which it returns gradients."""

    @tf.custom_gradient
    def layer(x):
        y = tf.tanh(x @ w) * v

        def gradient(dy, variables):
            of = {w.ref(): 2.0 * tf.transpose(x) @ (dy * v), v.ref(): tf.reduce_sum(dy * y, 0)}
            return dy @ tf.transpose(w) + v[0], [of[variable.ref()] for variable in variables]

        return y, gradient

    return layer


def recomputed(x, w, v):
    layer = tf.recompute_grad(lambda x: tf.tanh(x @ w + v))
    return layer(layer(x))


def array_loop(a):
    rows = tf.TensorArray(tf.float32, 3).unstack(a)
    kept = tf.TensorArray(tf.float32, 4)

    def body(i, kept, last):
        last = tf.tanh(rows.read(i) + last)
        return i + 1, kept.write(i, last * rows.read(0)), last

    _, kept, _ = tf.while_loop(lambda i, *_: i < 3, body, [0, kept.write(3, a[0] * a[1]), tf.zeros([5])])
    return kept.stack() * rows.read(2) + tf.reduce_sum(kept.gather([1, 1, 3]), 0)


def assigning_loop(x, w, counter):
    def body(i, b):
        counter.assign_add(1.0)
        return i + 1, b * (x @ w) * counter

    return tf.while_loop(lambda i, b: i < 3, body, [0, x @ w])[1]


def through_calls(x, w, v):
    @tf.function
    def inner(a, b):
        return tf.tanh(a @ b)

    @tf.function
    def outer(a, b):
        return inner(a, b) + inner(a * 2.0, b)

    return outer(x, w) * outer(x, w + 1.0) + v


# Two projective transforms of images.
WARPS = [[1.1, 0.2, -0.3, -0.1, 0.9, 0.4, 0.01, 0.02], [0.8, -0.2, 0.7, 0.3, 1.2, -0.6, 0.0, 0.0]]

CASES = {
    "calls": ([normal(4, 5), normal(5)], normal(3, 4), through_calls),
    "dense": ([normal(4, 5), normal(5)], normal(3, 4), lambda x, w, b: tf.nn.relu(tf.nn.bias_add(x @ w, b))),
    "batch_matmul": ([normal(2, 4, 5)], normal(2, 3, 4), lambda x, w: tf.matmul(x, w)),
    "batch_matmul_transposed": ([normal(1, 5, 4)], normal(2, 3, 4), lambda x, w: tf.matmul(x, w, transpose_b=True)),
    "matmul_transposed": ([normal(5, 4)], normal(3, 4), lambda x, w: tf.matmul(x, w, transpose_b=True)),
    "conv_same": conv(lambda x, w: tf.nn.conv2d(x, w, 1, "SAME")),
    "conv_valid_strides": conv(lambda x, w: tf.nn.conv2d(x, w, 2, "VALID")),
    "conv_of_conv": (
        [normal(3, 3, 2, 3), normal(2, 2, 3, 4)],
        normal(2, 7, 8, 2),
        lambda x, w, v: tf.nn.conv2d(tf.nn.conv2d(x, w, 1, "SAME"), v, [1, 2, 1, 1], "SAME"),
    ),
    "depthwise": conv(lambda x, w: tf.nn.depthwise_conv2d(x, w, [1, 1, 1, 1], "SAME"), (3, 3, 2, 2)),
    "max_pool": image(lambda x: tf.nn.max_pool2d(x, 2, 2, "VALID")),
    "max_pool_same": image(lambda x: tf.nn.max_pool2d(x, 3, 2, "SAME")),
    "avg_pool": image(lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID")),
    "avg_pool_same": image(lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME")),
    "batch_norm_inference": ([normal(3), normal(3), normal(3), normal(3)], normal(2, 4, 4, 3), batch_norm),
    "batch_norm_of_variable": (
        [normal(3), normal(3)],
        normal(2, 4, 4, 3),
        lambda x, w, gamma: raw.FusedBatchNormV3(
            x=x * w, scale=gamma, offset=tf.ones(3), mean=tf.ones(3), variance=2 * tf.ones(3), is_training=False
        ).y,
    ),
    "batch_norm_training": ([normal(3), normal(3)], normal(2, 4, 4, 3), batch_norm_training),
    "layer_norm": ([normal(4, 5), normal(5), normal(5)], normal(3, 4), layer_norm),
    "relu6": unary(tf.nn.relu6, scale=4.0),
    "elu": unary(tf.nn.elu),
    "selu": unary(tf.nn.selu),
    "leaky_relu": unary(lambda x: tf.nn.leaky_relu(x, 0.3)),
    "softplus": unary(tf.nn.softplus),
    "softsign": unary(tf.nn.softsign),
    "softmax": matrix(tf.nn.softmax),
    "log_softmax": matrix(tf.nn.log_softmax),
    "sigmoid": unary(tf.sigmoid),
    "tanh": unary(tf.tanh),
    "exp": unary(tf.exp),
    "expm1": unary(tf.math.expm1),
    "log": unary(tf.math.log, positive=True),
    "log1p": unary(tf.math.log1p, positive=True),
    "sqrt": unary(tf.sqrt, positive=True),
    "rsqrt": unary(tf.math.rsqrt, positive=True),
    "square": unary(tf.square),
    "reciprocal": unary(tf.math.reciprocal, positive=True),
    "neg": unary(tf.negative),
    "abs": unary(tf.abs),
    "sin": unary(tf.sin),
    "cos": unary(tf.cos),
    "erf": unary(tf.math.erf),
    "sinh": unary(tf.sinh),
    "cosh": unary(tf.cosh),
    "add": binary(lambda a, b: raw.Add(x=a, y=b)),
    "add_v2": binary(lambda a, b: a + b),
    "sub": binary(lambda a, b: a - b),
    "mul": binary(lambda a, b: a * b),
    "real_div": binary(lambda a, b: a / b, positive=True),
    "div_no_nan": binary(tf.math.divide_no_nan, positive=True),
    "squared_difference": binary(tf.math.squared_difference),
    "pow": binary(tf.pow, positive=True),
    "maximum": binary(tf.maximum),
    "minimum": binary(tf.minimum),
    "add_n": ([normal(4), normal(3, 4)], normal(3, 4), lambda x, w, v: tf.add_n([x * w, v, v])),
    "reshape": matrix(lambda a: tf.reshape(a, [5, 3])),
    "reshape_dynamic": matrix(lambda a: tf.reshape(a, [tf.shape(a)[0], -1, 1])),
    "expand_dims": matrix(lambda a: tf.expand_dims(a, 1)),
    "squeeze": matrix(lambda a: tf.squeeze(tf.expand_dims(a, 1), [1])),
    "transpose": matrix(tf.transpose),
    "cast": matrix(lambda a: tf.cast(tf.cast(a, tf.float64) * 2.0, tf.float32)),
    "identity": matrix(tf.identity),
    "mean": matrix(lambda a: tf.reduce_mean(a, 0)),
    "mean_keep": matrix(lambda a: tf.reduce_mean(a, -1, keepdims=True) * a),
    "sum": matrix(lambda a: tf.reduce_sum(a, 1)),
    "max": matrix(lambda a: tf.reduce_max(a, 1)),
    "min": matrix(lambda a: tf.reduce_min(a, 0)),
    "prod": matrix(lambda a: tf.reduce_prod(a, 1)),
    "concat": ([normal(4, 5), normal(3, 2)], normal(3, 4), lambda x, w, v: tf.concat([v, x @ w, v], 1)),
    "pack": matrix(lambda a: tf.stack([a, tf.tanh(a)], 1)),
    "unpack": matrix(lambda a: tf.unstack(a, num=5, axis=1)[3]),
    "split": matrix(lambda a: tf.split(a, 5, 1)[2] * tf.split(a, 5, 1)[1]),
    "split_v": matrix(lambda a: tf.split(a, [2, 3], 1)[1]),
    "strided_slice": matrix(lambda a: a[1:, ::-2]),
    "strided_slice_masks": matrix(lambda a: a[..., tf.newaxis, 1]),
    "slice": matrix(lambda a: tf.slice(a, [1, 1], [2, 3])),
    "pad": matrix(lambda a: tf.pad(a, [[1, 2], [0, 1]])),
    "pad_v2": matrix(lambda a: tf.pad(a, [[1, 2], [0, 1]], constant_values=3.0)),
    "mirror_pad": matrix(lambda a: tf.pad(a, [[1, 1], [2, 1]], mode="REFLECT")),
    "tile": matrix(lambda a: tf.tile(a, [2, 3])),
    "broadcast_to": ([normal(1, 4)], normal(3, 4), lambda x, w: x * tf.broadcast_to(w, [3, 4])),
    "reverse": matrix(lambda a: tf.reverse(a, [1])),
    "gather": matrix(lambda a: tf.gather(a, [2, 0, 0], axis=1)),
    "gather_nd": matrix(lambda a: tf.gather_nd(a, [[0, 1], [2, 2]])),
    "einsum": ([normal(4, 2, 3)], normal(2, 5, 4), lambda x, w: tf.einsum("bse,ehd->bshd", x, w)),
    "select": matrix(lambda a: tf.where(a > 0.0, a, 2.0 * a)),
    "cumsum": matrix(lambda a: tf.cumsum(a, 1)),
    "fill": matrix(lambda a: tf.fill([3, 2], a[0, 0])),
    "l2_loss": matrix(tf.nn.l2_loss),
    "softmax_cross_entropy": matrix(
        lambda a: tf.nn.softmax_cross_entropy_with_logits(labels=tf.one_hot([1, 0, 4], 5), logits=a)
    ),
    "space_to_depth": image(lambda x: tf.nn.space_to_depth(x, 2)),
    "depth_to_space": image(lambda x: tf.nn.depth_to_space(x, 2), (2, 3, 3, 4)),
    "space_to_batch": image(lambda x: tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]])),
    "batch_to_space": image(lambda x: tf.batch_to_space(x, [2, 1], [[0, 0], [0, 0]])),
    "resize_nearest": image(lambda x: tf.image.resize(x, [16, 12], "nearest")),
    "resize_bilinear": image(lambda x: tf.image.resize(x, [11, 9], "bilinear")),
    "lrn": image(tf.nn.local_response_normalization),
    "band_part": matrix(lambda a: tf.linalg.band_part(a, 1, 1)),
    # No gradient flows through these.
    "stop_gradient": matrix(lambda a: a * tf.stop_gradient(a)),
    "shape": matrix(lambda a: a * tf.cast(tf.size(a) + raw.Rank(input=a) + tf.shape(a)[0], tf.float32)),
    "like": matrix(lambda a: a + raw.ZerosLike(x=a)),
    "greater": matrix(lambda a: a * tf.cast((a > 0.0) & ~(a < -1.0) | (a >= 2.0), tf.float32)),
    "less_equal": matrix(lambda a: tf.where((a <= 0.3) | (a == 1.0) | (a != 2.0), a, a * a)),
    # Gradients of our own.
    "range": matrix(lambda a: a * tf.range(0.0, 5.0, tf.math.floor(tf.reduce_sum(tf.abs(a)) * 0.0) + 1.0)),
    "ones_like": matrix(lambda a: a * raw.OnesLike(x=a)),
    "steps": matrix(
        lambda a: a * (tf.round(a) + tf.floor(a) + tf.math.ceil(a) + tf.sign(a) + tf.math.rint(a) + a // 2.0 + 5.0)
    ),
    "arg_max": matrix(lambda a: a * tf.one_hot(tf.argmax(a, 1), 5)),
    "integer_cast": matrix(lambda a: a + tf.cast(tf.cast(a, tf.int32), tf.float32)),
    "floor_mod": binary(tf.math.floormod, positive=True),
    "clip_by_value": matrix(lambda a: raw.ClipByValue(t=a, clip_value_min=-1.0, clip_value_max=0.5)),
    "erfc": unary(tf.math.erfc),
    "cumprod": matrix(lambda a: tf.math.cumprod(a, 1)),
    "cumprod_reverse": matrix(lambda a: tf.math.cumprod(a, 0, exclusive=True, reverse=True)),
    "euclidean_norm": matrix(lambda a: tf.math.reduce_euclidean_norm(a, 1)),
    "top_k": matrix(lambda a: tf.math.top_k(a, 2).values),
    "top_k_cube": image(lambda x: tf.math.top_k(x, 2).values),
    "ensure_shape": matrix(lambda a: tf.ensure_shape(a, [None, 5])),
    "scatter_add": matrix(lambda a: tf.tensor_scatter_nd_add(tf.tanh(a), [[1], [1]], a[:2] * a[1:])),
    "scatter_sub": matrix(lambda a: tf.tensor_scatter_nd_sub(tf.tanh(a), [[1], [1]], a[:2] * a[1:])),
    "scatter_update": matrix(lambda a: tf.tensor_scatter_nd_update(tf.tanh(a), [[2], [0]], a[:2] * a[1:])),
    "sparse_softmax_cross_entropy": matrix(
        lambda a: tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[1, 0, 4], logits=a)
    ),
    "conv_dilated": conv(lambda x, w: tf.nn.conv2d(x, w, 1, "VALID", dilations=2)),
    "conv_dilated_same": conv(
        lambda x, w: raw.Conv2D(input=x, filter=w, strides=[1, 1, 1, 1], padding="SAME", dilations=[1, 2, 2, 1])
    ),
    "depthwise_dilated": conv(
        lambda x, w: raw.DepthwiseConv2dNative(
            input=x, filter=w, strides=[1, 1, 1, 1], padding="SAME", dilations=[1, 2, 2, 1]
        ),
        (3, 3, 2, 2),
    ),
    "conv_explicit": conv(lambda x, w: tf.nn.conv2d(x, w, 1, [[0, 0], [1, 2], [0, 1], [0, 0]])),
    "conv_dilated_of_conv": (
        [normal(3, 3, 2, 3), normal(2, 2, 3, 4)],
        normal(2, 7, 8, 2),
        lambda x, w, v: tf.nn.conv2d(tf.nn.conv2d(x, w, 1, "SAME"), v, 1, "SAME", dilations=2),
    ),
    "conv_transposed": ([normal(3, 3, 4, 2)], normal(2, 4, 5, 2), lambda x, w: tf.nn.conv2d_transpose(x, w, [2, 8, 10, 4], 2)),
    "conv_transposed_of_variable": (
        [normal(2, 4, 5, 2)],
        normal(3, 3, 4, 2),
        lambda x, w: tf.nn.conv2d_transpose(w, x, [2, 8, 10, 4], 2),
    ),
    "conv3d": ([normal(2, 2, 2, 2, 3), normal(2, 2, 2, 3, 2)], normal(2, 4, 5, 6, 2), lambda x, w, v: tf.nn.conv3d(
        tf.nn.conv3d(x, w, [1, 1, 2, 1, 1], "SAME"), v, [1] * 5, "VALID")),
    "conv3d_transposed": (
        [normal(2, 2, 2, 3, 2), normal(2)],
        normal(2, 3, 3, 3, 2),
        lambda x, w, v: tf.nn.conv3d_transpose(x * v, w, [2, 6, 6, 6, 3], 2),
    ),
    "max_pool3d": image(lambda x: tf.nn.max_pool3d(x, 2, 2, "VALID"), (2, 4, 4, 6, 2)),
    "avg_pool3d": image(lambda x: tf.nn.avg_pool3d(x, 2, 2, "SAME"), (2, 4, 4, 5, 2)),
    "resize_bicubic": image(lambda x: tf.image.resize(x, [11, 9], "bicubic")),
    "embedding": ([normal(5, 3)], normal(2), lambda x, w: tf.nn.embedding_lookup(w, [1, 1, 4]) * x[0]),
    "embedding_batch": ([normal(2, 5, 3)], normal(2), lambda x, w: tf.gather(w, [[1, 1], [0, 4]], axis=1, batch_dims=1) * x[0]),
    "embedding_nd": ([normal(5, 3)], normal(2), lambda x, w: tf.gather_nd(w, [[1, 2], [4, 0], [1, 2]]) * x[0]),
    "gather_rows": matrix(lambda a: tf.gather(a, [[2, 0], [0, 1]])),
    "gather_batch": matrix(lambda a: tf.gather(a, [[2, 0], [0, 1], [3, 3]], axis=1, batch_dims=1)),
    "reverse_sequence": matrix(lambda a: tf.reverse_sequence(a, [2, 5, 3], 1)),
    "roll": matrix(lambda a: tf.roll(a, 2, 1)),
    "select_v1": matrix(lambda a: raw.Select(condition=a > 0.0, x=a, y=2.0 * a)),
    "custom_gradient": matrix(doubled_gradient),
    "custom_gradient_with_variable": ([normal(4, 5), normal(5)], normal(3, 4), lambda x, w, v: scaled_gradient(tf.tanh(x @ w), v)),
    "custom_gradient_of_resources": (
        [normal(4, 4), normal(4)],
        normal(3, 4),
        lambda x, w, v: tf.sin(weighted(x, w, v)(tf.cos(x * v))) + weighted(x, w, v)(x),
    ),
    "custom_gradient_of_resources_called": (
        [normal(4, 4), normal(4)],
        normal(3, 4),
        lambda x, w, v: tf.function(lambda x: weighted(x, w, v)(x))(tf.function(lambda x: weighted(x, w, v)(x))(x * v)),
    ),
    # Python itself cannot do this in a branch or a loop.
    "custom_gradient_recomputed_resources": ([normal(4, 4), normal(4)], normal(3, 4), recomputed),
    "tan": unary(tf.tan),
    "asin": unary(tf.asin, scale=0.2),
    "acos": unary(tf.acos, scale=0.2),
    "atan": unary(tf.atan),
    "asinh": unary(tf.asinh),
    "acosh": unary(lambda x: tf.acosh(1.5 + x), positive=True),
    "atanh": unary(tf.atanh, scale=0.2),
    "atan2": binary(tf.atan2, positive=True),
    "lgamma": unary(tf.math.lgamma, positive=True),
    "check_numerics": matrix(lambda a: tf.debugging.check_numerics(a, "a")),
    "diag": unary(tf.linalg.diag),
    "scatter_nd": matrix(lambda a: tf.scatter_nd([[1], [1], [4]], a, [6, 5])),
    "crop_and_resize": image(
        lambda x: tf.image.crop_and_resize(x, [[0.0, 0.1, 0.7, 0.9], [0.2, 0.0, 1.0, 1.0]], [1, 0], [5, 4])
    ),
    "segment_sum": matrix(lambda a: tf.math.segment_sum(a, [0, 0, 1])),
    "dynamic_stitch": matrix(lambda a: tf.dynamic_stitch([[0, 2], [1]], [a[:2], tf.sin(a[2:])])),
    "dynamic_partition": matrix(lambda a: tf.dynamic_partition(a, [0, 1, 0], 2)[0]),
    "one_hot": matrix(lambda a: a * tf.one_hot([1, 0, 2], 5, on_value=a[0, 0], off_value=a[1, 1])),
    "scatter_non_aliasing": matrix(
        lambda a: raw.ScatterNdNonAliasingAdd(input=tf.tanh(a), indices=[[1], [2]], updates=a[:2] * a[1:])
    ),
    "unsorted_segment_sum": matrix(lambda a: tf.math.unsorted_segment_sum(a, [1, -1, 1], 3)),
    "unsorted_segment_max": matrix(lambda a: tf.math.unsorted_segment_max(a, [1, 0, 1], 2)),
    "unsorted_segment_min": matrix(lambda a: tf.math.unsorted_segment_min(a, [1, 0, 1], 2)),
    "segment_mean": matrix(lambda a: tf.math.segment_mean(a, [0, 0, 1])),
    "sparse_segments": matrix(
        lambda a: tf.sparse.segment_sum(a, [0, 2, 1], [0, 0, 1])
        + tf.sparse.segment_mean(a, [0, 2, 1], [0, 0, 1])
        + tf.sparse.segment_sqrt_n(a, [0, 2, 1], [0, 0, 1])
    ),
    "sparse_segments_numbered": matrix(
        lambda a: tf.sparse.segment_sum(a, [0, 2, 1], [0, 0, 2], num_segments=4)
        + tf.sparse.segment_mean(a, [0, 2, 1], [0, 0, 2], num_segments=4)
        + tf.sparse.segment_sqrt_n(a, [0, 2, 1], [0, 0, 2], num_segments=4)
    ),
    "batch_matmul_v3": image(lambda x: raw.BatchMatMulV3(x=x, y=tf.sin(x), Tout=tf.float32, adj_y=True)),
    "max_pool_v2": image(lambda x: raw.MaxPoolV2(input=x, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="VALID")),
    "max_pool_argmax": image(lambda x: tf.nn.max_pool_with_argmax(x, 2, 2, "VALID")[0]),
    "resize_antialias": image(lambda x: tf.image.resize(x, [4, 3], "bilinear", antialias=True)),
    # Channels first, as oneDNN's kernels know it on a CPU
    "first_conv": conv(lambda x, w: tf.nn.conv2d(x, w, 1, "SAME", "NCHW"), image=(2, 2, 7, 8)),
    "first_conv_strides": conv(lambda x, w: tf.nn.conv2d(x, w, [1, 1, 2, 1], "VALID", "NCHW"), image=(2, 2, 7, 8)),
    "first_conv_of_conv": (
        [normal(3, 3, 2, 3), normal(2, 2, 3, 4)],
        normal(2, 2, 7, 8),
        lambda x, w, v: tf.nn.conv2d(tf.nn.conv2d(x, w, 1, "SAME", "NCHW"), v, 1, "SAME", "NCHW", dilations=2),
    ),
    "first_conv_explicit": conv(
        lambda x, w: tf.nn.conv2d(x, w, 1, [[0, 0], [0, 0], [1, 2], [0, 1]], "NCHW"), image=(2, 2, 7, 8)
    )
    + ("refused",),
    "first_conv_transposed": (
        [normal(3, 3, 4, 2), normal(2, 1, 1)],
        normal(2, 2, 4, 5),
        lambda x, w, v: tf.nn.conv2d_transpose(x * v, w, [2, 4, 8, 10], [1, 1, 2, 2], "SAME", "NCHW"),
    ),
    "first_depthwise": (
        [normal(3, 3, 2, 2), normal(2, 1, 1)],
        normal(2, 2, 7, 8),
        lambda x, w, v: raw.DepthwiseConv2dNative(
            input=x * v, filter=w, strides=[1, 1, 1, 1], padding="SAME", data_format="NCHW"
        ),
    ),
    "first_bias": ([normal(2, 1, 1), normal(2)], normal(2, 2, 6, 8), lambda x, w, b: tf.sin(raw.BiasAdd(value=x * w, bias=b, data_format="NCHW"))),
    "first_avg_pool": ([normal(2, 1, 1)], normal(2, 2, 6, 8), lambda x, w: tf.nn.avg_pool2d(x * w, 3, 2, "SAME", "NCHW")),
    "first_max_pool": (
        [normal(2, 1, 1)],
        normal(2, 2, 6, 8),
        lambda x, w: tf.nn.max_pool2d(x * w, 3, 2, "SAME", "NCHW"),
        "refused",
    ),
    "first_batch_norm": (
        [normal(2), normal(2), normal(2, 1, 1)],
        normal(2, 2, 6, 8),
        lambda x, gamma, beta, w: raw.FusedBatchNormV3(
            x=x * w, scale=gamma, offset=beta, mean=tf.ones(2), variance=2 * tf.ones(2), is_training=False, data_format="NCHW"
        ).y,
    ),
    "first_batch_norm_training": (
        [normal(2), normal(2), normal(2, 6, 8)],
        normal(2, 2, 6, 8),
        lambda x, gamma, beta, w: raw.FusedBatchNormV3(
            x=x + w, scale=gamma, offset=beta, mean=[], variance=[], data_format="NCHW"
        ).y,
    ),
    "first_conv3d": (
        [normal(2, 2, 2, 2, 3), normal(2, 2, 2, 3, 2)],
        normal(2, 2, 4, 5, 6),
        lambda x, w, v: tf.nn.conv3d(tf.nn.conv3d(x, w, [1, 1, 1, 2, 1], "SAME", "NCDHW"), v, [1] * 5, "VALID", "NCDHW"),
    ),
    "first_conv3d_transposed": (
        [normal(2, 2, 2, 3, 2), normal(2, 1, 1, 1)],
        normal(2, 2, 3, 3, 3),
        lambda x, w, v: tf.nn.conv3d_transpose(x * v, w, [2, 3, 6, 6, 6], 2, "SAME", "NCDHW"),
    ),
    "first_avg_pool3d": ([normal(2, 1, 1, 1)], normal(2, 2, 4, 4, 6), lambda x, w: tf.nn.avg_pool3d(x * w, 2, 2, "VALID", "NCDHW")),
    "first_max_pool3d": (
        [normal(2, 1, 1, 1)],
        normal(2, 2, 4, 4, 6),
        lambda x, w: tf.nn.max_pool3d(x * w, 2, 2, "VALID", "NCDHW"),
        "refused",
    ),
    "dilation2d": conv(lambda x, w: tf.nn.dilation2d(tf.sin(x), w, [1, 1, 1, 1], "SAME", "NHWC", [1, 2, 2, 1]), (3, 3, 2)),
    "ctc_loss": (
        [normal(3)],
        normal(5, 1, 3),
        lambda x, w: raw.CTCLoss(
            inputs=x * w, labels_indices=[[0, 0]], labels_values=[1], sequence_length=[5], ctc_merge_repeated=True
        ).loss,
    ),
    "projective_transform": image(
        lambda x: raw.ImageProjectiveTransformV3(
            images=x, transforms=WARPS, output_shape=[8, 7], interpolation="BILINEAR", fill_mode="REFLECT", fill_value=0.5
        )
    ),
    "projective_transform_v2": image(
        lambda x: raw.ImageProjectiveTransformV2(images=x, transforms=WARPS[:1], output_shape=[7, 6], interpolation="NEAREST")
    ),
    "erfinv": unary(lambda x: tf.math.erfinv(tf.tanh(x)), scale=0.3),
    "ndtri": unary(lambda x: tf.math.ndtri(tf.sigmoid(x)), scale=0.3),
    "digamma": unary(tf.math.digamma, positive=True),
    "polygamma": unary(lambda x: tf.math.polygamma(2.0, x + 0.5), positive=True),
    "xlogy": binary(tf.math.xlogy, positive=True),
    "xlog1py": binary(tf.math.xlog1py, positive=True),
    "xdivy": binary(tf.math.xdivy, positive=True),
    "mul_no_nan": binary(tf.math.multiply_no_nan, positive=True),
    "truncate_div": matrix(lambda a: a * raw.TruncateDiv(x=a, y=0.1 * tf.ones_like(a))),
    "placeholder_with_default": matrix(lambda a: raw.PlaceholderWithDefault(input=a, shape=[None, 5]) * a),
    "print": matrix(lambda a: raw.Print(input=a, data=[tf.shape(a)], message="a", first_n=0) * a),
    "fake_quant": matrix(lambda a: tf.quantization.fake_quant_with_min_max_args(a, -1.0, 1.0, 4)),
    "fake_quant_variables": (
        [normal(4, 5), np.float32(-1), np.float32(1)],
        normal(3, 4),
        lambda x, w, low, high: tf.quantization.fake_quant_with_min_max_vars(x @ w, low, high),
    ),
    "fake_quant_channels": (
        [normal(4, 5), np.full(5, -1, np.float32), np.full(5, 1, np.float32)],
        normal(3, 4),
        lambda x, w, low, high: tf.quantization.fake_quant_with_min_max_vars_per_channel(x @ w, low, high, 6),
    ),
    "quantize_dequantize": matrix(lambda a: tf.quantization.quantize_and_dequantize_v2(a, -1.0, 1.0, range_given=True)),
    "penalty_of_tanh": ([normal(4, 5)], normal(3, 4), lambda x, w: penalty(tf.tanh, x, w)),
    "penalty_of_sigmoid": ([normal(4, 5)], normal(3, 4), lambda x, w: penalty(tf.sigmoid, x, w)),
    "penalty_of_relu": ([normal(4, 5)], normal(3, 4), lambda x, w: penalty(tf.nn.relu, x, w)),
    "cholesky": positive_definite(tf.linalg.cholesky),
    "inverse": positive_definite(lambda a: tf.linalg.inv(a + tf.sin(a))),
    "inverse_adjoint": positive_definite(lambda a: raw.MatrixInverse(input=tf.linalg.set_diag(tf.sin(a), a[:, 0]), adjoint=True)),
    "determinant": positive_definite(tf.linalg.det),
    "log_determinant": positive_definite(lambda a: tf.linalg.slogdet(a)[1]),
    "solve": positive_definite(lambda a: tf.linalg.solve(a, tf.sin(a))),
    "solve_adjoint": positive_definite(lambda a: tf.linalg.solve(a, tf.sin(a), adjoint=True)),
    "triangular_solve": positive_definite(lambda a: tf.linalg.triangular_solve(a, tf.sin(a[:1]))),
    "triangular_solve_adjoint": positive_definite(
        lambda a: tf.linalg.triangular_solve(a, tf.sin(a), lower=False, adjoint=True)
    ),
    "diag_part": positive_definite(lambda a: tf.linalg.diag_part(a, k=(-1, 1), align="LEFT_RIGHT")),
    "set_diag": positive_definite(lambda a: tf.linalg.set_diag(tf.sin(a), a[:, :2, 0], k=1)),
    "sparse_matmul": (
        [normal(4, 5), normal(3)],
        normal(3, 4),
        lambda x, w, v: tf.sparse.sparse_dense_matmul(tf.SparseTensor([[0, 1], [1, 0], [2, 2]], x[:, 0] * v, [3, 4]), w),
    ),
    "sparse_matmul_adjoint": (
        [normal(5, 3), normal(3)],
        normal(3, 4),
        lambda x, w, v: tf.sparse.sparse_dense_matmul(
            tf.SparseTensor([[0, 1], [1, 0], [2, 2]], x[:, 0] * v, [3, 4]), w, adjoint_a=True, adjoint_b=True
        ),
    ),
    "sparse_to_dense": (
        [normal(3), normal()],
        normal(3, 4),
        lambda x, w, v: tf.sparse.to_dense(tf.SparseTensor([[0, 1], [1, 0], [2, 2]], x[:, 0] * w, [3, 4]), v),
    ),
    # Not trusted.
    "bessel": unary(tf.math.bessel_i0, positive=True) + ("refused",),
    "branch_without_gradient": matrix(
        lambda a: tf.cond(tf.shape(a)[0] > 2, lambda: tf.math.bessel_i0(a), lambda: a)
    )
    + ("refused",),
    "loop_that_assigns": ([normal(4, 5), normal()], normal(3, 4), assigning_loop, "refused"),
    # Branches and loops.
    "branch": matrix(lambda a: tf.cond(tf.shape(a)[0] > 2, lambda: a * a, lambda: a)),
    "branch_of_value": matrix(lambda a: tf.cond(tf.reduce_sum(a) > 1e6, lambda: (a, tf.sin(a)), lambda: (a * a, a))[0]),
    "branch_of_resources": (
        [normal(4, 5), normal(4, 5), normal(5)],
        normal(3, 4),
        lambda x, w, v, b: tf.cond(tf.shape(x)[0] > 2, lambda: tf.tanh(x @ w) * b, lambda: x @ v) + b + v[1],
    ),
    "branch_in_branch": matrix(
        lambda a: tf.cond(
            tf.shape(a)[0] > 2, lambda: tf.cond(tf.shape(a)[1] > 7, lambda: a, lambda: tf.exp(a)), lambda: -a
        )
    ),
    "branches": matrix(
        lambda a: tf.switch_case(tf.shape(a)[0] - 2, [lambda: a * a, lambda: tf.sin(a), lambda: a, lambda: -a])
    ),
    "branches_default": matrix(
        lambda a: tf.switch_case(tf.shape(a)[0], {0: lambda: (a, tf.exp(a)), 1: lambda: (a, a)}, lambda: (a, a * a))[1]
    ),
    "branches_of_resources": (
        [normal(4, 5), normal(4, 5), normal(5)],
        normal(3, 4),
        lambda x, w, v, b: tf.switch_case(
            tf.shape(x)[0] - 2, [lambda: x @ v, lambda: tf.tanh(x @ w) * b, lambda: x @ v + x @ w]
        )
        + b
        + v[1],
    ),
    "branches_in_loop": matrix(
        lambda a: tf.while_loop(
            lambda i, b: i < 5,
            lambda i, b: (
                i + 1,
                tf.switch_case(
                    i, [lambda: b * a, lambda: tf.sin(b), lambda: tf.cond(i < 9, lambda: b + a, lambda: b), lambda: b * b]
                ),
            ),
            [0, a],
        )[1]
    ),
    "branches_without_gradient": matrix(
        lambda a: tf.switch_case(tf.shape(a)[0], [lambda: a, lambda: tf.math.bessel_i0(a), lambda: -a])
    )
    + ("refused",),
    "loop": matrix(lambda a: tf.while_loop(lambda i, b: i < 3, lambda i, b: (i + 1, b * a), [0, a])[1]),
    "loop_of_no_iteration": matrix(
        lambda a: tf.while_loop(lambda i, b: i < 3, lambda i, b: (i + 1, b * a), [3, tf.sin(a)])[1]
    ),
    "loop_of_value": matrix(
        lambda a: tf.while_loop(
            lambda b, c: tf.reduce_max(tf.abs(b)) > 0.1, lambda b, c: (b * 0.5, c + tf.sin(b)), [a, a]
        )[1]
    ),
    "loop_of_batch": matrix(
        lambda a: tf.while_loop(
            lambda i, b: i < tf.shape(a)[0], lambda i, b: (i + 1, b * a[i] + tf.tanh(b)), [0, tf.ones([5])]
        )[1]
    ),
    "loop_of_resources": (
        [normal(4, 4) * 0.5, normal(4)],
        normal(3, 4),
        lambda x, w, b: tf.while_loop(lambda i, h: i < 4, lambda i, h: (i + 1, tf.tanh(h @ w + b)), [0, x])[1],
    ),
    "loop_over_embedding": (
        [normal(6, 3)],
        normal(2),
        lambda x, w: tf.while_loop(
            lambda i, h: i < 4, lambda i, h: (i + 1, h * tf.gather(w, [i, 1])), [0, x[0] * tf.ones([2, 3])]
        )[1],
    ),
    "loop_in_loop_of_resources": (
        [normal(4, 4) * 0.5],
        normal(3, 4),
        lambda x, w: tf.while_loop(
            lambda i, h: i < 2,
            lambda i, h: (
                i + 1,
                tf.while_loop(lambda j, g: j < i + 2, lambda j, g: (j + 1, tf.tanh(g @ w) + h), [0, h])[1],
            ),
            [0, x],
        )[1],
    ),
    "loop_with_branch": matrix(
        lambda a: tf.while_loop(
            lambda i, b: i < 4,
            lambda i, b: (i + 1, tf.cond(i % 2 == 0, lambda: b * a, lambda: tf.sin(b))),
            [0, a],
        )[1]
    ),
    "loop_with_custom_gradient": matrix(
        lambda a: tf.while_loop(lambda i, b: i < 3, lambda i, b: (i + 1, doubled_gradient(b) * a), [0, a])[1]
    ),
    "loop_with_arrays": matrix(array_loop),
    # What is drawn at random does not matter here.
    "random_numbers": matrix(lambda a: a + 0.0 * (tf.random.normal(tf.shape(a)) + tf.random.uniform(tf.shape(a)))),
}


def takes_resources(f):
    """Whether a case wants the variables themselves, not their values."""
    names = [name for name, case in CASES.items() if case[2] is f]
    return any(word in names[0] for word in ("embedding", "resources", "assigns"))


class Model(tf.Module):
    def __init__(self, variables, x, f):
        super().__init__()
        self.variables_ = [tf.Variable(value, name=f"v{i}") for i, value in enumerate(variables)]
        shape = [None] + list(x.shape[1:])

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="x")])
        def serve(x):
            return {"y": f(x, *[tf.convert_to_tensor(v) for v in self.variables_])}

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="x")])
        def serve_resources(x):
            return {"y": f(x, *self.variables_)}

        self.serve = serve_resources if takes_resources(f) else serve


def numbers(a):
    return {"shape": list(np.shape(a)), "values": np.ravel(a).tolist()}


def export(folder, name, model, serve, variables, x, refused, tolerance=1e-6):
    """Writes the model, and what serve(x)["y"] and its gradients by the variables are.

    The tolerance is a part of the largest element of a tensor.
    """
    tf.saved_model.save(model, os.path.join(folder, name), signatures={"serving_default": serve})
    with tf.GradientTape() as tape:
        y = serve(x)["y"]
        cotangent = normal(*y.shape)
        loss = tf.reduce_sum(y * cotangent)
    gradients = [] if refused else [
        {"variable": v.name.split(":")[0], **numbers(tf.convert_to_tensor(g).numpy())}
        for v, g in zip(variables, tape.gradient(loss, variables))
        if g is not None
    ]
    with open(os.path.join(folder, name + ".json"), "w") as out:
        json.dump(
            {
                "refused": bool(refused),
                "tolerance": tolerance,
                "x": numbers(x),
                "y": numbers(y.numpy()),
                "cotangent": numbers(cotangent),
                "gradients": gradients,
            },
            out,
        )


def main(folder):
    for name, (variables, x, f, *refused) in CASES.items():
        model = Model(variables, x, f)
        export(folder, name, model, model.serve, model.variables_, x, refused)


if __name__ == "__main__":
    main(sys.argv[1])
