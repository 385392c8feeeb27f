package dev.adafactor.graph;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.internal.c_api.TF_Graph;
import org.tensorflow.internal.c_api.global.tensorflow;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;

/**
 * Derivatives whose operations run on one device. TensorFlow asks for none for the operations that
 * it adds, so that those of all losses would run on the session's first.
 */
final class PinnedGradients {

  private PinnedGradients() {}

  /**
   * Adds the derivatives of a tensor.
   *
   * @param tf the scope that they are added to, on a device
   * @return closed where there is none
   * @throws IllegalStateException if Java permits no reflection on TensorFlow's classes
   */
  static Output<?>[] add(Ops tf, Output<?> y, Output<?>[] xs) {
    Graph graph = (Graph) tf.scope().env();
    // TensorFlow Java sets devices of operations while they are built, and of no others.
    TF_Graph handle = Internals.find("gradients on a device").handle(graph);
    String prefix = tf.scope().makeOpName("gradients");
    Output<?>[] gradients = graph.addGradients(prefix, new Output<?>[] {y}, xs, null);
    for (GraphOperation op : added(gradients, prefix + "/")) {
      // What takes the handle of a variable runs where the variable is, and so does what TensorFlow
      // itself asks to run beside another operation, as the shape of what rows are gathered from.
      if (op.inputs().stream().noneMatch(PinnedGradients::isHandle) && !isColocated(op)) {
        tensorflow.TF_SetRequestedDevice(
            handle, op.getUnsafeNativeHandle(), tf.scope().getDeviceString());
      }
    }
    return gradients;
  }

  /** The operations that gradients are computed by, of those whose names begin with the prefix. */
  private static Set<GraphOperation> added(Output<?>[] gradients, String prefix) {
    List<GraphOperation> last =
        Gradients.operations(
            Arrays.stream(gradients).filter(gradient -> !gradient.isClosed()).toList());
    return Reachable.from(added(last, prefix), op -> added(sources(op), prefix));
  }

  private static List<GraphOperation> added(List<GraphOperation> all, String prefix) {
    return all.stream().filter(op -> op.name().startsWith(prefix)).toList();
  }

  private static List<GraphOperation> sources(GraphOperation op) {
    List<GraphOperation> sources = new ArrayList<>(Gradients.operations(op.inputs()));
    sources.addAll(op.controlInputs());
    return sources;
  }

  private static boolean isColocated(GraphOperation op) {
    return OperationAttributes.find(op, "_class")
        .filter(value -> value.getList().getSCount() > 0)
        .isPresent();
  }

  private static boolean isHandle(Operand<?> input) {
    return input.asOutput().dataType() == DataType.DT_RESOURCE;
  }
}
