package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TType;

class SessionConfigTest {
  private static final int STEPS = 20;
  private static final int[] WIDTHS = {6, 8, 8, 3};

  private record Trained(double firstLoss, double lastLoss, List<double[]> variables) {}

  @ParameterizedTest
  @EnumSource
  void trainingGivesWhatItGivesWithTheDefault(VariableKind kind) {
    Trained expected = trained(kind, ConfigProto.getDefaultInstance());
    Trained actual = trained(kind, SessionConfig.forTraining());
    assertTrue(actual.lastLoss() < 0.9 * actual.firstLoss());
    assertEquals(expected.lastLoss(), actual.lastLoss(), 1e-5 * expected.firstLoss());
    for (int i = 0; i < expected.variables().size(); i++) {
      Elements.assertClose(expected.variables().get(i), actual.variables().get(i), 1e-5);
    }
  }

  /** A dense network, each layer but the last with a bias and relu. */
  private static Trained trained(VariableKind kind, ConfigProto config) {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      List<Output<? extends TType>> variables = new ArrayList<>();
      Operand<TFloat32> x = random(tf, 0, Shape.of(16, WIDTHS[0]));
      for (int i = 1; i < WIDTHS.length; i++) {
        Operand<TFloat32> start = random(tf, i, Shape.of(WIDTHS[i - 1], WIDTHS[i]));
        variables.add(kind.create(tf, "kernel_" + i, start));
        variables.add(kind.create(tf, "bias_" + i, random(tf, 9 + i, Shape.of(WIDTHS[i]))));
        Operand<TFloat32> sums =
            tf.nn.biasAdd(
                tf.linalg.matMul(x, value(kind, tf, variables.get(variables.size() - 2))),
                value(kind, tf, variables.get(variables.size() - 1)));
        x = i == WIDTHS.length - 1 ? sums : tf.nn.relu(sums);
      }
      Operand<TFloat32> loss = tf.nn.l2Loss(tf.math.sub(x, random(tf, 20, x.shape())));
      Operand<TFloat64> wide = tf.dtypes.cast(loss, TFloat64.class);
      Op train = Adafactor.builder(graph).learningRate(0.05).build().minimize(loss, variables);
      try (Session session = new Session(graph, config)) {
        session.initialize();
        double first = Elements.of(session, wide)[0];
        for (int step = 0; step < STEPS; step++) {
          session.run(train);
        }
        return new Trained(
            first,
            Elements.of(session, wide)[0],
            variables.stream()
                .map(
                    variable ->
                        Elements.of(
                            session, tf.dtypes.cast(value(kind, tf, variable), TFloat64.class)))
                .toList());
      }
    }
  }

  private static Operand<TFloat32> value(
      VariableKind kind, Ops tf, Output<? extends TType> variable) {
    return tf.identity(kind.read(tf, variable, TFloat32.class));
  }

  private static Operand<TFloat32> random(Ops tf, int seed, Shape shape) {
    return tf.random.statelessRandomNormal(
        tf.constant(shape.asArray()), tf.constant(new long[] {seed, 1}), TFloat32.class);
  }
}
