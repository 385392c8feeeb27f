package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.tensorflow.ConcreteFunction;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperationBuilder;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Signature;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.StdArrays;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphOptions;
import org.tensorflow.proto.RewriterConfig;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.types.TFloat32;

class CompiledFunctionTest {

  private static final Shape SHAPE = Shape.of(3);

  private static Operand<TFloat32> body(Ops tf, Operand<TFloat32> x) {
    return tf.math.mul(x, tf.nn.l2Loss(x));
  }

  /** The types of the operations that ran, those within functions included. */
  private static Set<String> ran(Graph graph, Operand<TFloat32> x, Output<?> scaled) {
    // Without the rewriting of graphs, which would put the function's operations in their place.
    ConfigProto asWritten =
        ConfigProto.newBuilder()
            .setGraphOptions(
                GraphOptions.newBuilder()
                    .setRewriteOptions(RewriterConfig.newBuilder().setDisableMetaOptimizer(true)))
            .build();
    RunOptions trace =
        RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.FULL_TRACE).build();
    try (Session session = new Session(graph, true, asWritten);
        TFloat32 fed = TFloat32.vectorOf(1, -2, 3);
        Result result =
            session.runner().feed(x, fed).fetch(scaled).setOptions(trace).runAndFetchMetadata()) {
      assertEquals(StdArrays.ndCopyOf(new float[] {7, -14, 21}), result.get(0));
      return result.getMetadata().orElseThrow().getStepStats().getDevStatsList().stream()
          .flatMap(device -> device.getNodeStatsList().stream())
          .map(node -> node.getTimelineLabel().replaceFirst("^.* = ", ""))
          .map(label -> label.replaceFirst("\\(.*$", ""))
          .collect(Collectors.toSet());
    }
  }

  @Test
  void runsAsOneProgram() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      CompiledFunction function =
          CompiledFunction.create(
              graph,
              "Scaled",
              List.of(new CompiledFunction.Argument(TFloat32.class, SHAPE)),
              (inner, inputs) -> List.of(body(inner, typed(inputs.get(0)))));
      Operand<TFloat32> x = tf.placeholder(TFloat32.class, Placeholder.shape(SHAPE));
      Set<String> ran = ran(graph, x, function.call(tf, List.of(x)).get(0));
      assertTrue(ran.contains("PartitionedCall"), ran.toString());
      assertFalse(ran.contains("L2Loss"), ran.toString());
    }
  }

  @SuppressWarnings("unchecked") // Declared so.
  private static Operand<TFloat32> typed(Operand<?> operand) {
    return (Operand<TFloat32>) operand;
  }

  /** What the test above would see without compilation. */
  @Test
  void otherCallsRunOperationByOperation() {
    try (Graph graph = new Graph();
        Graph inner = new Graph()) {
      Ops in = Ops.create(inner);
      Operand<TFloat32> argument = in.placeholder(TFloat32.class, Placeholder.shape(SHAPE));
      ConcreteFunction function =
          ConcreteFunction.create(
              Signature.builder("Scaled")
                  .input("x", argument)
                  .output("y", body(in, argument))
                  .build(),
              inner);
      graph.attachFunction(function);
      Ops tf = Ops.create(graph);
      Operand<TFloat32> x = tf.placeholder(TFloat32.class, Placeholder.shape(SHAPE));
      GraphOperationBuilder call = graph.opBuilder("PartitionedCall", "call", tf.scope());
      Output<?> output =
          call.addInputList(new Output<?>[] {x.asOutput()})
              .setAttr("Tout", new DataType[] {DataType.DT_FLOAT})
              .setAttr("f", function)
              .build()
              .output(0);
      Set<String> ran = ran(graph, x, output);
      assertTrue(ran.contains("L2Loss"), ran.toString());
    }
  }
}
