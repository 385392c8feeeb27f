package dev.adafactor.graph;

import java.util.List;
import java.util.Set;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TType;

/**
 * Copies of tensors that would change under their reader: a reference variable is written in place,
 * and what some operations give is not a copy of it but the same memory.
 */
public final class Snapshots {

  /**
   * Operations that can hand on the memory of an input; or do so in pairs, of which the rewriting
   * of graphs leaves nothing, as {@code Neg} of {@code Neg}.
   */
  private static final Set<String> FORWARDING =
      Set.of(
          "AddN",
          "BatchToSpaceND",
          "Bitcast",
          "BroadcastTo",
          "Cast",
          "CheckNumerics",
          "CheckNumericsV2",
          "Concat",
          "ConcatV2",
          "Conj",
          "ConjugateTranspose",
          "DebugGradientIdentity",
          "EnsureShape",
          "ExpandDims",
          "Identity",
          "IdentityN",
          "Max",
          "Mean",
          "Inv",
          "Merge",
          "Min",
          "MirrorPad",
          "Neg",
          "Pack",
          "Pad",
          "PadV2",
          "PlaceholderWithDefault",
          "PreventGradient",
          "Prod",
          "Real",
          "Reciprocal",
          "Reshape",
          "Reverse",
          "ReverseV2",
          "Select",
          "SelectV2",
          "Slice",
          "SpaceToBatchND",
          "Split",
          "SplitV",
          "Squeeze",
          "StopGradient",
          "StridedSlice",
          "Sum",
          "Switch",
          "Tile",
          "Transpose",
          "Unpack");

  private Snapshots() {}

  /** The tensor itself, or a copy of it where it can be the memory of a reference variable. */
  public static Output<?> of(Ops tf, Output<?> tensor) {
    return isLive(tensor) ? copy(tf, tensor) : tensor;
  }

  private static <T extends TType> Output<T> copy(Ops tf, Output<T> tensor) {
    return tf.deepCopy(tensor).asOutput();
  }

  private static boolean isLive(Output<?> tensor) {
    Set<Output<?>> shared =
        Reachable.from(
            List.of(tensor),
            output ->
                FORWARDING.contains(output.op().type())
                    ? ((GraphOperation) output.op())
                        .inputs().stream().<Output<?>>map(Operand::asOutput).toList()
                    : List.of());
    return shared.stream().anyMatch(ReferenceVariable::isReference);
  }
}
