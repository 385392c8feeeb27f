package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.VarHandleOp;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;

class AdafactorTest {

  private static float value(Session session, Operand<TFloat32> operand) {
    try (var result = session.runner().fetch(operand).run()) {
      return ((TFloat32) result.get(0)).getFloat();
    }
  }

  @Test
  void minimizesALossOfReferenceVariables() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Variable<TFloat32> w = tf.variable(tf.constant(new float[][] {{3, -2}, {1, 5}}));
      Variable<TFloat32> b = tf.variable(tf.constant(new float[] {4, -4}));
      Operand<TFloat32> loss = tf.math.add(tf.nn.l2Loss(w), tf.nn.l2Loss(b));
      Adafactor adafactor = Adafactor.builder(graph).learningRate(0.1).build();
      Op train = adafactor.minimize(loss);
      try (Session session = new Session(graph)) {
        float before = value(session, loss);
        for (int i = 0; i < 50; i++) {
          session.run(train);
        }
        float after = value(session, loss);
        assertTrue(after < before / 10, before + " -> " + after);
        try (var result = session.runner().fetch(adafactor.iterations()).run()) {
          assertEquals(50, ((org.tensorflow.types.TInt64) result.get(0)).getLong());
        }
      }
    }
  }

  @Test
  void minimizesALossOfResourceVariables() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      VarHandleOp w = tf.varHandleOp(TFloat32.class, Shape.of(2, 2));
      Ops init = tf.withInitScope();
      init.assignVariableOp(w, init.constant(new float[][] {{3, -2}, {1, 5}}));
      Operand<TFloat32> loss = tf.nn.l2Loss(tf.readVariableOp(w, TFloat32.class));
      Adafactor adafactor =
          Adafactor.builder(graph)
              .learningRate(0.1)
              .useEma(true)
              .emaMomentum(0.5)
              .emaOverwriteFrequency(3)
              .weightDecay(0.01)
              .jitCompile(JitCompile.ALWAYS)
              .build();
      Op train = adafactor.minimize(loss, List.of(w));
      Op done = adafactor.finalizeVariableValues();
      try (Session session = new Session(graph)) {
        float before = value(session, loss);
        for (int i = 0; i < 50; i++) {
          session.run(train);
        }
        session.run(done);
        float after = value(session, loss);
        assertTrue(after < before / 2, before + " -> " + after);
      }
    }
  }
}
