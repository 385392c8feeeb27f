package dev.adafactor.benchmarks;

import dev.adafactor.Adafactor;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;

/** How long {@code minimize} takes to build its operations, for a growing number of variables. */
final class GraphBuilding {

  private GraphBuilding() {}

  public static void main(String[] arguments) {
    System.setProperty("org.bytedeco.javacpp.maxphysicalbytes", "0");
    System.setProperty("org.bytedeco.javacpp.maxbytes", "0");
    measure(1_000); // warms the JVM up
    System.out.printf("%10s %22s %10s%n", "variables", "operations/variable", "seconds");
    for (int variables : new int[] {1_000, 2_000, 5_000, 10_000}) {
      Measurement measurement = measure(variables);
      System.out.printf(
          "%10d %22.1f %10.2f%n", variables, measurement.operations(), measurement.seconds());
    }
  }

  private record Measurement(double operations, double seconds) {}

  private static Measurement measure(int variables) {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Ops init = tf.withInitScope();
      Shape shape = Shape.of(8, 4);
      Operand<TFloat32> ones = init.fill(init.constant(shape.asArray()), init.constant(1f));
      List<Operand<TFloat32>> losses = new ArrayList<>();
      for (int i = 0; i < variables; i++) {
        Variable<TFloat32> variable = init.variable(shape, TFloat32.class);
        init.assign(variable, ones);
        losses.add(tf.nn.l2Loss(variable));
      }
      Operand<TFloat32> loss = tf.math.addN(losses);
      Adafactor adafactor = new Adafactor(graph);
      int before = operations(graph);
      long start = System.nanoTime();
      adafactor.minimize(loss);
      double seconds = (System.nanoTime() - start) / 1e9;
      return new Measurement((operations(graph) - before) / (double) variables, seconds);
    }
  }

  private static int operations(Graph graph) {
    int count = 0;
    for (Iterator<GraphOperation> it = graph.operations(); it.hasNext(); it.next()) {
      count++;
    }
    return count;
  }
}
