package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.tensorflow.ConcreteFunction;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.GraphOperationBuilder;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.Signature;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

class FunctionGradientsTest {
  @BeforeAll
  static void register() {
    FunctionGradients.register();
  }

  private static GraphOperationBuilder identities(Ops tf, Output<?>... inputs) {
    return (GraphOperationBuilder)
        tf.scope()
            .env()
            .opBuilder("IdentityN", tf.scope().makeOpName("IdentityN"), tf.scope())
            .addInputList(inputs);
  }

  private static float run(Graph graph, Output<?> output) {
    try (Session session = new Session(graph);
        TFloat32 result = (TFloat32) session.runner().fetch(output).run().get(0)) {
      return result.getFloat();
    }
  }

  @Test
  void plainIdentitiesPassGradientsOn() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      var x = tf.constant(3f);
      GraphOperation op = identities(tf, x.asOutput(), x.asOutput()).build();
      var y = tf.math.square(op.<TFloat32>output(0));
      assertEquals(
          6f, run(graph, graph.addGradients(y.asOutput(), new Output<?>[] {x.asOutput()})[0]));
    }
  }

  @Test
  void namedFunctionsComputeGradients() {
    try (Graph graph = new Graph();
        Graph inner = new Graph()) {
      Ops body = Ops.create(inner);
      var dy = body.placeholder(TFloat32.class);
      var value = body.placeholder(TFloat32.class);
      var product = body.math.mul(body.math.mul(dy, value), body.constant(100f));
      ConcreteFunction function =
          ConcreteFunction.create(
              Signature.builder("hundredfold")
                  .input("dy", dy)
                  .input("value", value)
                  .output("result", product)
                  .build(),
              inner);
      graph.attachFunction(function);

      Ops tf = Ops.create(graph);
      var x = tf.constant(3f);
      var forward = tf.stopGradient(tf.math.neg(x));
      GraphOperation op =
          identities(tf, forward.asOutput(), x.asOutput())
              .setAttr(FunctionGradients.FUNCTION, function.getDefinedName())
              .setAttr(FunctionGradients.ARGUMENTS, new long[] {2, 1})
              .setAttr(FunctionGradients.INPUTS, new long[] {1})
              .build();
      var y = tf.math.mul(op.<TFloat32>output(0), tf.constant(2f));
      assertEquals(-6f, run(graph, y.asOutput()));
      assertEquals(
          600f, run(graph, graph.addGradients(y.asOutput(), new Output<?>[] {x.asOutput()})[0]));
    }
  }

  @Test
  void pythonsOwnGradientsFailRatherThanBeWrong() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      var x = tf.constant(3f);
      GraphOperation op =
          identities(tf, x.asOutput())
              .setAttr(FunctionGradients.PYTHON, "CustomGradient-12")
              .build();
      var y = tf.math.square(op.<TFloat32>output(0));
      assertEquals(9f, run(graph, y.asOutput()));
      Output<?> gradient = graph.addGradients(y.asOutput(), new Output<?>[] {x.asOutput()})[0];
      String message =
          assertThrows(IllegalArgumentException.class, () -> run(graph, gradient)).getMessage();
      assertTrue(message.contains("CustomGradient-12"), message);
    }
  }
}
