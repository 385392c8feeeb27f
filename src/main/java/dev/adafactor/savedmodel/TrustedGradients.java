package dev.adafactor.savedmodel;

import dev.adafactor.graph.FunctionGradients;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;

/**
 * The operations whose native gradient was checked against Python's {@code tf.GradientTape}.
 *
 * <p>The one place that decides it. TensorFlow's C API has no gradient for some operations, a wrong
 * one for others, and ends the process for a few; nothing that is not listed here gets there.
 */
final class TrustedGradients {
  /** Attribute of a node that was found to have no gradient, with what stands in the way. */
  static final String REFUSED = "_without_gradient";

  /** What is wrong with an operation that native code cannot differentiate. */
  static final String MISSING = "has no gradient in TensorFlow's C API";

  private static final Set<String> TRUSTED =
      Set.of(
          // Variables, and what passes values on
          "ReadVariableOp",
          "Identity",
          "Cast",
          // Layers
          "MatMul",
          "BatchMatMulV2",
          "BatchMatMulV3",
          "Einsum",
          "BiasAdd",
          "Conv2D",
          "DepthwiseConv2dNative",
          "MaxPool",
          "MaxPoolV2",
          "MaxPool3D",
          "AvgPool3D",
          "AvgPool",
          "FusedBatchNormV3",
          "LRN",
          // Activations
          "LeakyRelu",
          "Elu",
          "Selu",
          "Softplus",
          "Softsign",
          "Softmax",
          "LogSoftmax",
          "Sigmoid",
          "Tanh",
          // Element by element
          "Abs",
          "Add",
          "AddN",
          "AddV2",
          "Cos",
          "Cosh",
          "DivNoNan",
          "Erf",
          "Erfinv",
          "Exp",
          "Expm1",
          "Log",
          "Log1p",
          "Maximum",
          "Minimum",
          "Mul",
          "Ndtri",
          "Neg",
          "Pow",
          "RealDiv",
          "Reciprocal",
          "Rsqrt",
          "Select",
          "SelectV2",
          "Tan",
          "Asin",
          "Acos",
          "Atan",
          "Asinh",
          "Acosh",
          "Atanh",
          "Lgamma",
          "CheckNumerics",
          "Sin",
          "Sinh",
          "Sqrt",
          "Square",
          "SquaredDifference",
          "Sub",
          // Reductions
          "Cumsum",
          "L2Loss",
          "Max",
          "Mean",
          "Min",
          "Prod",
          "SoftmaxCrossEntropyWithLogits",
          "Sum",
          // Shapes
          "BatchToSpaceND",
          "BroadcastTo",
          "ConcatV2",
          "DepthToSpace",
          "ExpandDims",
          "Fill",
          "GatherNd",
          "GatherV2",
          "MatrixBandPart",
          "MirrorPad",
          "Pack",
          "Pad",
          "PadV2",
          "Reshape",
          "ResizeBicubic",
          "ResizeBilinear",
          "CropAndResize",
          "ResizeNearestNeighbor",
          "ReverseV2",
          "Slice",
          "SpaceToBatchND",
          "SpaceToDepth",
          "Split",
          "SplitV",
          "Squeeze",
          "StridedSlice",
          "Roll",
          "ReverseSequence",
          "Tile",
          "Transpose",
          "DynamicStitch",
          "ScaleAndTranslate",
          "ScatterNd",
          "ScatterNdNonAliasingAdd",
          "SegmentSum",
          "UnsortedSegmentMax",
          "UnsortedSegmentMin",
          "UnsortedSegmentSum",
          "Unpack");

  /** No gradient flows through these, in Python as in C++. */
  private static final Set<String> BLOCKING =
      Set.of(
          "Equal",
          "Greater",
          "GreaterEqual",
          "Less",
          "LessEqual",
          "LogicalAnd",
          "LogicalNot",
          "LogicalOr",
          "NotEqual",
          "OneHot",
          "Rank",
          "Shape",
          "Size",
          "StopGradient",
          "ZerosLike");

  /** Python passes no gradient through these, C++ may pass a wrong one. */
  private static final Set<String> FLAT =
      Set.of(
          "Ceil", "Floor", "FloorDiv", "OnesLike", "Range", "Rint", "Round", "Sign", "TruncateDiv");

  /** What native code must not be asked for: it would fail at the first step, or crash. */
  private static final Set<String> NEVER =
      Set.of(
          "Case",
          "EagerPyFunc",
          "Enter",
          "Exit",
          "If",
          "LoopCond",
          "Merge",
          "NextIteration",
          "PartitionedCall",
          "PyFunc",
          "PyFuncStateless",
          "StatefulPartitionedCall",
          "StatelessCase",
          "StatelessIf",
          "StatelessWhile",
          "Switch",
          "SymbolicGradient",
          "While");

  private TrustedGradients() {}

  /** Whether a node's results are real numbers that change in steps, if at all. */
  static boolean isFlat(NodeDef node) {
    return FLAT.contains(node.getOp());
  }

  /** Whether a node's results do not change with its inputs, as far as gradients are concerned. */
  static boolean blocks(NodeDef node) {
    return BLOCKING.contains(node.getOp());
  }

  /** All the operations whose native gradients are trusted, if their attributes are. */
  static Stream<String> operations() {
    return Stream.of(TRUSTED, BLOCKING, FLAT).flatMap(Set::stream);
  }

  /** Why the native gradient of a node must not be used; empty if it may. */
  static Optional<String> objection(NodeDef node) {
    return objection(node, UncheckedGradients.REFUSE);
  }

  /** The same, with trust in operations that were not checked. */
  static Optional<String> objection(NodeDef node, UncheckedGradients unchecked) {
    Optional<String> fault = fault(node);
    boolean isTrusted =
        unchecked == UncheckedGradients.ALLOW
            || TRUSTED.contains(node.getOp())
            || node.containsAttr(FunctionGradients.FUNCTION);
    return fault.isPresent() || isTrusted ? fault : Optional.of("has no gradient that was checked");
  }

  /** What was found to stand in the way of a node's gradient, if anything was. */
  static Optional<String> refusal(NodeDef node) {
    return node.containsAttr(REFUSED) ? Optional.of(text(node, REFUSED)) : Optional.empty();
  }

  /** What is known to be wrong with the native gradient of a node. */
  private static Optional<String> fault(NodeDef node) {
    if (node.containsAttr(FunctionGradients.FUNCTION)) {
      return Optional.empty();
    }
    if (refusal(node).isPresent()) {
      return refusal(node).map("has no gradient because of "::concat);
    }
    if (node.containsAttr(FunctionGradients.PYTHON)) {
      return Optional.of("has a gradient of its own (tf.custom_gradient)");
    }
    if (NEVER.contains(node.getOp())) {
      return Optional.of(MISSING);
    }
    return switch (node.getOp()) {
      case "Conv2D", "DepthwiseConv2dNative" -> convolution(node);
      case "AvgPool", "AvgPool3D" -> padding(node);
      case "MaxPool", "MaxPoolV2", "MaxPool3D" -> padding(node).or(() -> layout(node));
      case "Cast" ->
          Stream.of("SrcT", "DstT").allMatch(type -> isReal(node, type))
              ? Optional.empty()
              : Optional.of("converts to or from a type that has no gradient");
      default -> Optional.empty();
    };
  }

  private static Optional<String> convolution(NodeDef node) {
    List<Long> dilations = attribute(node, "dilations").getList().getIList();
    if (dilations.stream().anyMatch(dilation -> dilation != 1)) {
      return Optional.of("has dilations " + dilations + ", whose native gradient is wrong");
    }
    return padding(node);
  }

  private static Optional<String> padding(NodeDef node) {
    return hasExplicitPadding(node)
        ? Optional.of("has explicit padding, which native gradients do not support")
        : Optional.empty();
  }

  private static Optional<String> layout(NodeDef node) {
    return hasChannelsFirst(node)
        ? Optional.of("has channels first, for which TensorFlow has no gradient on a CPU")
        : Optional.empty();
  }

  static boolean hasExplicitPadding(NodeDef node) {
    return text(node, "padding").equals("EXPLICIT");
  }

  static boolean hasChannelsFirst(NodeDef node) {
    return text(node, "data_format").startsWith("NC");
  }

  private static boolean isReal(NodeDef node, String type) {
    DataType dtype = attribute(node, type).getType();
    return dtype == DataType.DT_FLOAT
        || dtype == DataType.DT_DOUBLE
        || dtype == DataType.DT_HALF
        || dtype == DataType.DT_BFLOAT16;
  }

  private static String text(NodeDef node, String attribute) {
    return attribute(node, attribute).getS().toStringUtf8();
  }

  private static AttrValue attribute(NodeDef node, String name) {
    return node.getAttrOrDefault(name, AttrValue.getDefaultInstance());
  }
}
