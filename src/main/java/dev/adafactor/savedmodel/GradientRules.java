package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.GradientGraph.attributes;
import static dev.adafactor.savedmodel.GradientGraph.number;
import static dev.adafactor.savedmodel.GradientGraph.truth;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.GraphOperation;
import org.tensorflow.Output;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.NodeDef;

/**
 * Gradients that TensorFlow's C++ does not have, or has wrong. Each is the one that Python
 * registers.
 */
final class GradientRules {
  private static final String[] CONVOLUTION = {
    "strides", "padding", "explicit_paddings", "data_format", "dilations"
  };
  private static final String[] WARP = {"interpolation", "fill_mode"};
  private static final Set<String> CONVOLUTIONS = Set.of("Conv2D", "DepthwiseConv2dNative");
  private static final Map<String, Rule> RULES = new HashMap<>();

  private GradientRules() {}

  /** The gradient of one operation. */
  interface Rule {
    /** A gradient, or null, for each input. */
    List<Output<?>> gradients(Step step);
  }

  /**
   * What a gradient is computed from.
   *
   * @param graph where to write it
   * @param node the operation
   * @param x its inputs
   * @param y its outputs
   * @param dy the gradients of its outputs
   */
  record Step(
      GradientGraph graph, NodeDef node, List<Output<?>> x, List<Output<?>> y, List<Output<?>> dy) {
    Output<?> x(int i) {
      return x.get(i);
    }

    Output<?> y(int i) {
      return y.get(i);
    }

    Output<?> d() {
      return dy.get(0);
    }

    Output<?> op(String type, Output<?>... inputs) {
      return graph.op(type, inputs);
    }

    Output<?> op(String type, Map<String, AttrValue> attributes, Output<?>... inputs) {
      return graph.op(type, attributes, inputs);
    }

    Output<?> integers(int... values) {
      return graph.tf().constant(values).asOutput();
    }

    Output<?> integer(int value) {
      return graph.tf().constant(value).asOutput();
    }

    /** A number of the type of an operation's attribute {@code T}. */
    Output<?> real(double value) {
      return op(
          "Cast", Map.of("DstT", node.getAttrOrThrow("T")), graph.tf().constant(value).asOutput());
    }

    Output<?> shape(Output<?> tensor) {
      return op("Shape", tensor);
    }

    /** The sizes of all dimensions but the first. */
    Output<?> elementShape(Output<?> tensor) {
      return op("Slice", shape(tensor), integers(1), integers(-1));
    }

    /** Sums what broadcasting repeated. */
    Output<?> sumTo(Output<?> gradient, int input) {
      var axes = graph.operation("BroadcastGradientArgs", Map.of(), shape(x(0)), shape(x(1)));
      return op("Reshape", op("Sum", gradient, axes.output(input)), shape(x(input)));
    }

    Map<String, AttrValue> like(String... names) {
      return attributes(node, names);
    }
  }

  /**
   * The gradient of an operation, or null if it has none here: with channels first, TensorFlow has
   * none for explicit padding on a CPU.
   */
  static Rule of(NodeDef node) {
    boolean isNative =
        CONVOLUTIONS.contains(node.getOp()) && TrustedGradients.objection(node).isEmpty();
    boolean isMissing =
        TrustedGradients.hasChannelsFirst(node) && TrustedGradients.hasExplicitPadding(node);
    return isNative || isMissing ? null : RULES.get(node.getOp());
  }

  /** The types of the operations that have a gradient here. */
  static Set<String> operations() {
    return RULES.keySet();
  }

  private static List<Output<?>> list(Output<?>... gradients) {
    return Arrays.asList(gradients);
  }

  static {
    // Convolutions
    RULES.put("Conv2D", s -> convolution(s, "Conv2DBackpropInput", "Conv2DBackpropFilter"));
    RULES.put(
        "DepthwiseConv2dNative",
        s ->
            convolution(
                s, "DepthwiseConv2dNativeBackpropInput", "DepthwiseConv2dNativeBackpropFilter"));
    RULES.put("Conv3D", s -> convolution(s, "Conv3DBackpropInputV2", "Conv3DBackpropFilterV2"));
    RULES.put(
        "Conv2DBackpropInput", s -> transposedConvolution(s, "Conv2D", "Conv2DBackpropFilter"));
    RULES.put(
        "Conv3DBackpropInputV2", s -> transposedConvolution(s, "Conv3D", "Conv3DBackpropFilterV2"));

    RULES.put(
        "Dilation2D",
        s -> {
          Map<String, AttrValue> attributes = s.like("strides", "rates", "padding");
          return list(
              s.op("Dilation2DBackpropInput", attributes, s.x(0), s.x(1), s.d()),
              s.op("Dilation2DBackpropFilter", attributes, s.x(0), s.x(1), s.d()));
        });
    RULES.put(
        "MaxPoolWithArgmax",
        s ->
            list(
                s.op(
                    "MaxPoolGradWithArgmax",
                    s.like("ksize", "strides", "padding", "include_batch_in_index"),
                    s.x(0),
                    s.d(),
                    s.y(1))));

    RULES.put(
        "ImageProjectiveTransformV2",
        s ->
            list(
                s.op("ImageProjectiveTransformV2", s.like(WARP), s.d(), inverse(s), imageSize(s)),
                null,
                null));
    RULES.put(
        "ImageProjectiveTransformV3",
        s -> {
          Output<?> nothing = s.graph().tf().constant(0f).asOutput();
          return list(
              s.op(
                  "ImageProjectiveTransformV3",
                  s.like(WARP),
                  s.d(),
                  inverse(s),
                  imageSize(s),
                  nothing),
              null,
              null,
              null);
        });

    // Element by element
    RULES.put(
        "Erfc",
        s ->
            list(
                s.op(
                    "Mul",
                    s.d(),
                    s.op(
                        "Mul",
                        s.real(-2 / Math.sqrt(Math.PI)),
                        s.op("Exp", s.op("Neg", s.op("Square", s.x(0))))))));
    RULES.put(
        "FloorMod",
        s ->
            list(
                s.sumTo(s.d(), 0),
                s.sumTo(s.op("Mul", s.d(), s.op("Neg", s.op("FloorDiv", s.x(0), s.x(1)))), 1)));
    RULES.put(
        "ClipByValue",
        s -> {
          Output<?> outside =
              s.op("LogicalOr", s.op("Less", s.x(0), s.x(1)), s.op("Greater", s.x(0), s.x(2)));
          return list(s.op("SelectV2", outside, s.op("ZerosLike", s.d()), s.d()), null, null);
        });
    RULES.put(
        "Atan2",
        s -> {
          Output<?> scaled =
              s.op("RealDiv", s.d(), s.op("AddV2", s.op("Square", s.x(0)), s.op("Square", s.x(1))));
          return list(
              s.sumTo(s.op("Mul", s.x(1), scaled), 0),
              s.sumTo(s.op("Neg", s.op("Mul", s.x(0), scaled)), 1));
        });
    RULES.put(
        "MatrixDiagV3",
        s ->
            list(
                s.op("MatrixDiagPartV3", s.like("align"), s.d(), s.x(1), s.real(0)),
                null,
                null,
                null,
                null));
    RULES.put("EnsureShape", s -> list(s.d()));
    // Those of C++ take the input, for whose sake nothing can be fused with the operation.
    RULES.put("Relu", s -> list(s.op("ReluGrad", s.d(), s.y(0))));
    RULES.put("Relu6", s -> list(s.op("Relu6Grad", s.d(), s.y(0))));
    RULES.put("PlaceholderWithDefault", s -> list(s.d(), null));
    RULES.put("Print", s -> list(s.d()));
    RULES.put("Digamma", s -> list(s.op("Mul", s.d(), s.op("Polygamma", s.real(1), s.x(0)))));
    RULES.put(
        "Polygamma",
        s ->
            list(
                null,
                s.sumTo(
                    s.op("Mul", s.d(), s.op("Polygamma", s.op("AddV2", s.x(0), s.real(1)), s.x(1))),
                    1)));
    RULES.put(
        "Xlogy",
        s ->
            list(
                s.sumTo(s.op("Mul", s.d(), s.op("Xlogy", unlessZero(s), s.x(1))), 0),
                s.sumTo(s.op("Mul", s.d(), s.op("Xdivy", s.x(0), s.x(1))), 1)));
    RULES.put(
        "Xlog1py",
        s ->
            list(
                s.sumTo(s.op("Mul", s.d(), s.op("Xlog1py", unlessZero(s), s.x(1))), 0),
                s.sumTo(
                    s.op("Mul", s.d(), s.op("Xdivy", s.x(0), s.op("AddV2", s.x(1), s.real(1)))),
                    1)));
    RULES.put(
        "Xdivy",
        s ->
            list(
                s.sumTo(s.op("Mul", s.d(), s.op("Xdivy", unlessZero(s), s.x(1))), 0),
                s.sumTo(
                    s.op("Mul", s.d(), s.op("Xdivy", s.op("Neg", s.x(0)), s.op("Square", s.x(1)))),
                    1)));
    RULES.put(
        "MulNoNan",
        s ->
            list(
                s.sumTo(s.op("MulNoNan", s.d(), s.x(1)), 0),
                s.sumTo(s.op("MulNoNan", s.x(0), s.d()), 1)));

    // Quantized training
    RULES.put(
        "FakeQuantWithMinMaxArgs",
        s ->
            list(
                s.op(
                    "FakeQuantWithMinMaxArgsGradient",
                    s.like("min", "max", "num_bits", "narrow_range"),
                    s.d(),
                    s.x(0))));
    for (String op : List.of("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")) {
      RULES.put(
          op,
          s ->
              all(
                  s,
                  op + "Gradient",
                  s.like("num_bits", "narrow_range"),
                  s.d(),
                  s.x(0),
                  s.x(1),
                  s.x(2)));
    }
    RULES.put(
        "QuantizeAndDequantizeV4",
        s -> all(s, "QuantizeAndDequantizeV4Grad", s.like("axis"), s.d(), s.x(0), s.x(1), s.x(2)));

    // Gradients within the model, as of a gradient penalty
    RULES.put(
        "TanhGrad",
        s ->
            list(
                s.op("Mul", s.op("Mul", s.d(), s.real(-2)), s.op("Mul", s.x(1), s.x(0))),
                s.op("TanhGrad", s.x(0), s.d())));
    RULES.put(
        "SigmoidGrad",
        s -> {
          Output<?> scaled = s.op("Mul", s.d(), s.x(1));
          Output<?> twice = s.op("Mul", s.op("Mul", s.real(2), scaled), s.x(0));
          return list(s.op("Sub", scaled, twice), s.op("SigmoidGrad", s.x(0), s.d()));
        });
    RULES.put("ReluGrad", s -> list(s.op("ReluGrad", s.d(), s.x(1)), s.op("ZerosLike", s.x(1))));

    RULES.putAll(MatrixGradients.RULES);

    // Losses
    RULES.put(
        "SparseSoftmaxCrossEntropyWithLogits",
        s -> list(s.op("Mul", s.op("ExpandDims", s.d(), s.integer(-1)), s.y(1)), null));
    RULES.put("CTCLoss", s -> list(s.op("Mul", s.op("ExpandDims", s.d(), s.integer(-1)), s.y(1))));

    // Reductions
    RULES.put("Cumprod", GradientRules::cumulativeProduct);
    RULES.put(
        "EuclideanNorm",
        s -> {
          Output<?> norm = s.op("EuclideanNorm", Map.of("keep_dims", truth(true)), s.x(0), s.x(1));
          Output<?> gradient = s.op("Reshape", s.d(), s.shape(norm));
          return list(s.op("RealDiv", s.x(0), s.op("RealDiv", norm, gradient)), null);
        });
    RULES.put("TopKV2", GradientRules::topK);
    RULES.put(
        "SegmentMean",
        s -> {
          Output<?> counts = s.op("SegmentSum", s.op("OnesLike", s.x(0)), s.x(1));
          Output<?> scaled = s.op("RealDiv", s.d(), counts);
          return list(s.op("GatherV2", scaled, s.x(1), s.integer(0)), null);
        });
    for (String op : List.of("SparseSegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN")) {
      Rule rule =
          s -> {
            Output<?> rows = s.op("Slice", s.shape(s.x(0)), s.integers(0), s.integers(1));
            return list(s.op(op + "Grad", s.d(), s.x(1), s.x(2), s.op("Squeeze", rows)));
          };
      RULES.put(op, rule);
      RULES.put(op + "WithNumSegments", rule);
    }

    // Scatter
    RULES.put("TensorScatterAdd", s -> list(s.d(), null, s.op("GatherNd", s.d(), s.x(1))));
    RULES.put(
        "TensorScatterSub", s -> list(s.d(), null, s.op("Neg", s.op("GatherNd", s.d(), s.x(1)))));
    RULES.put(
        "TensorScatterUpdate",
        s ->
            list(
                s.op("TensorScatterUpdate", s.d(), s.x(1), s.op("ZerosLike", s.x(2))),
                null,
                s.op("GatherNd", s.d(), s.x(1))));

    // The native one fails where a part is not used.
    RULES.put("DynamicPartition", GradientRules::partition);

    // Lists of tensors, the loops' arrays
    RULES.put(
        "TensorListFromTensor",
        s ->
            list(
                s.op("TensorListStack", s.like("element_dtype"), s.d(), s.elementShape(s.x(0))),
                null));
    RULES.put(
        "TensorListStack",
        s -> list(s.op("TensorListFromTensor", s.d(), s.elementShape(s.d())), null));
    RULES.put(
        "TensorListGetItem",
        s -> {
          Output<?> empty =
              s.op(
                  "TensorListReserve",
                  s.like("element_dtype"),
                  s.shape(s.y(0)),
                  s.op("TensorListLength", s.x(0)));
          return list(s.op("TensorListSetItem", empty, s.x(1), s.d()), null, null);
        });
    RULES.put(
        "TensorListGather",
        s ->
            list(
                s.op(
                    "TensorListScatterV2",
                    s.d(),
                    s.x(1),
                    s.elementShape(s.d()),
                    s.op("TensorListLength", s.x(0))),
                null,
                null));
    RULES.put(
        "TensorListSetItem",
        s ->
            list(
                s.op("TensorListSetItem", s.d(), s.x(1), s.op("ZerosLike", s.x(2))),
                null,
                s.op(
                    "TensorListGetItem", s.like("element_dtype"), s.d(), s.x(1), s.shape(s.x(2)))));
  }

  /** All outputs of an operation, each the gradient of the input in its place. */
  private static List<Output<?>> all(
      Step s, String type, Map<String, AttrValue> attributes, Output<?>... inputs) {
    GraphOperation op = s.graph().operation(type, attributes, inputs);
    return List.of(op.outputList(0, op.numOutputs()));
  }

  /** 1 where the first input is not 0, else 0. */
  private static Output<?> unlessZero(Step s) {
    Output<?> isNot = s.op("NotEqual", s.x(0), s.op("ZerosLike", s.x(0)));
    return s.op("Cast", Map.of("DstT", s.node().getAttrOrThrow("T")), isNot);
  }

  private static List<Output<?>> convolution(Step s, String inputGradient, String filterGradient) {
    Map<String, AttrValue> attributes = s.like(CONVOLUTION);
    return list(
        s.op(inputGradient, attributes, s.shape(s.x(0)), s.x(1), s.d()),
        s.op(filterGradient, attributes, s.x(0), s.shape(s.x(1)), s.d()));
  }

  private static List<Output<?>> transposedConvolution(
      Step s, String convolution, String filterGradient) {
    Map<String, AttrValue> attributes = s.like(CONVOLUTION);
    return list(
        null,
        s.op(filterGradient, attributes, s.d(), s.shape(s.x(1)), s.x(2)),
        s.op(convolution, attributes, s.d(), s.x(1)));
  }

  private static Output<?> imageSize(Step s) {
    return s.op("Slice", s.shape(s.x(0)), s.integers(1), s.integers(2));
  }

  /** The inverse transforms of images: as in Python not the exact gradient, but close. */
  private static Output<?> inverse(Step s) {
    Output<?> last = s.graph().tf().constant(new int[][] {{0, 0}, {0, 1}}).asOutput();
    Output<?> nine = s.op("PadV2", s.x(1), last, s.graph().tf().constant(1f).asOutput());
    Output<?> matrices = s.op("Reshape", nine, s.integers(-1, 3, 3));
    Output<?> flat = s.op("Reshape", s.op("MatrixInverse", matrices), s.integers(-1, 9));
    Output<?> scale = s.op("Slice", flat, s.integers(0, 8), s.integers(-1, 1));
    return s.op("Slice", s.op("RealDiv", flat, scale), s.integers(0, 0), s.integers(-1, 8));
  }

  private static List<Output<?>> cumulativeProduct(Step s) {
    Map<String, AttrValue> reversed = new HashMap<>(s.like("exclusive"));
    AttrValue reverse = s.node().getAttrOrDefault("reverse", truth(false));
    reversed.put("reverse", truth(!reverse.getB()));
    Output<?> sums = s.op("Cumsum", reversed, s.op("Mul", s.y(0), s.d()), s.x(1));
    return list(s.op("DivNoNan", sums, s.x(0)), null);
  }

  private static List<Output<?>> partition(Step s) {
    Output<?> places = s.op("Range", s.integer(0), s.op("Size", s.x(1)), s.integer(1));
    GraphOperation parts =
        s.graph()
            .operation(
                "DynamicPartition",
                s.like("num_partitions"),
                s.op("Reshape", places, s.shape(s.x(1))),
                s.x(1));
    Output<?> gradients = concatenated(s, s.dy());
    Output<?> indices = concatenated(s, List.of(parts.outputList(0, parts.numOutputs())));
    Output<?> rows =
        s.op("ScatterNd", s.op("ExpandDims", indices, s.integer(1)), gradients, s.shape(gradients));
    return list(s.op("Reshape", rows, s.shape(s.x(0))), null);
  }

  private static Output<?> concatenated(Step s, List<Output<?>> parts) {
    return parts.size() == 1
        ? parts.get(0)
        : s.graph()
            .call(
                "ConcatV2",
                Map.of("N", number(parts.size())),
                List.of(),
                parts,
                List.of(s.integer(0)))
            .get(0);
  }

  /** Each gradient goes to the place that its value came from. */
  private static List<Output<?>> topK(Step s) {
    Output<?> shape = s.shape(s.x(0));
    Output<?> last =
        s.op("ExpandDims", s.op("Sub", s.op("Rank", s.x(0)), s.integer(1)), s.integer(0));
    Output<?> width = s.op("Slice", shape, last, s.integers(1));
    Output<?> k = s.op("Slice", s.shape(s.y(1)), last, s.integers(1));
    Output<?> size = s.op("Size", s.x(0));
    Output<?> starts = s.op("Range", s.integer(0), size, s.op("Squeeze", width));
    Output<?> count = s.op("ExpandDims", s.op("Size", starts), s.integer(0));
    Output<?> rows =
        s.graph()
            .call(
                "ConcatV2",
                Map.of("N", number(2)),
                List.of(),
                List.of(count, k),
                List.of(s.integer(0)))
            .get(0);
    Output<?> places =
        s.op("AddV2", s.op("Reshape", s.y(1), rows), s.op("ExpandDims", starts, s.integer(1)));
    Output<?> flat =
        s.op(
            "ScatterNd",
            s.op("Reshape", places, s.integers(-1, 1)),
            s.op("Reshape", s.d(), s.integers(-1)),
            s.op("ExpandDims", size, s.integer(0)));
    return list(s.op("Reshape", flat, shape), null);
  }
}
