package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.graph;
import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

class StatelessRandomnessTest {
  private static final String SHAPE =
      "node { name: 'shape' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } }"
          + " attr { key: 'value' value { tensor { dtype: DT_INT32 tensor_shape { dim { size: 1 } }"
          + " int_val: 3 } } } }";

  private static FlatGraph rewrite(GraphDef graph) {
    return StatelessRandomness.rewrite(new FlatGraph(graph, Map.of(), Optional.empty()));
  }

  private static String draw(Session session, String operation, long... seedAndStep) {
    var runner = session.runner().fetch(operation);
    try (TInt64 numbers = TInt64.vectorOf(seedAndStep)) {
      if (seedAndStep.length > 0) {
        runner.feed("seed_and_step", numbers);
      }
      try (Tensor drawn = runner.run().get(0)) {
        StringBuilder text = new StringBuilder();
        ((TFloat32) drawn).scalars().forEach(s -> text.append(s.getFloat()).append(' '));
        return text.toString();
      }
    }
  }

  @Test
  void numbersFollowFromSeedOperationAndStep() {
    for (String op : new String[] {"RandomUniform", "RandomStandardNormal", "TruncatedNormal"}) {
      FlatGraph flat =
          rewrite(
              graph(
                  SHAPE,
                  node("a", op, "shape", "T:INT32 dtype:FLOAT"),
                  node("b", op, "shape", "T:INT32 dtype:FLOAT")));
      assertEquals(Optional.of("seed_and_step"), flat.randomness());
      try (Graph graph = new Graph();
          Session session = new Session(graph)) {
        graph.importGraphDef(flat.graphDef());
        String first = draw(session, "a", 7, 1);
        assertEquals(first, draw(session, "a", 7, 1));
        assertNotEquals(first, draw(session, "b", 7, 1));
        assertNotEquals(first, draw(session, "a", 7, 2));
        assertNotEquals(first, draw(session, "a", 8, 1));
        assertNotEquals(draw(session, "a"), draw(session, "a"));
      }
    }
  }

  @Test
  void graphsWithoutRandomNumbersStay() {
    FlatGraph flat = new FlatGraph(graph(SHAPE), Map.of(), Optional.empty());
    assertSame(flat, StatelessRandomness.rewrite(flat));
  }
}
