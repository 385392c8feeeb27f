package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.graph;
import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

class ModelFunctionTest {
  /** A graph in which {@code layer/op} is an operation of a variable of one number. */
  private static final class Model implements AutoCloseable {
    final Graph graph = new Graph();
    final ModelFunction function;
    final ModelVariable variable;

    Model(String op) {
      GraphDef flat =
          graph(
              """
              node { name: 'w' op: 'VarHandleOp' attr { key: 'dtype' value { type: DT_FLOAT } }
                     attr { key: 'shape' value { shape { } } } }
              """,
              node("read", "ReadVariableOp", "w", "dtype:FLOAT"),
              node("layer/op", op, "read", "T:FLOAT"));
      FlatCopy copy =
          FlatCopy.add(
              new FlatGraph(flat, Map.of(), Optional.empty()),
              graph,
              GraphDef.getDefaultInstance(),
              "trainable");
      function =
          new ModelFunction(
              "signature 'serve'",
              copy,
              Map.of("y", copy.operation("layer/op").output(0)),
              List.of(),
              Optional.empty());
      variable =
          new ModelVariable(
              "w", copy.operation("w").output(0), Shape.scalar(), DataType.DT_FLOAT, true);
    }

    @SuppressWarnings("unchecked") // A resource has no type in Java.
    Operand<? extends TType> handle() {
      return (Operand<? extends TType>) variable.handle();
    }

    void require(UncheckedGradients unchecked) {
      function.requireGradients("y", List.of(variable), unchecked);
    }

    String refusal(UncheckedGradients unchecked) {
      return assertThrows(IllegalArgumentException.class, () -> require(unchecked)).getMessage();
    }

    @Override
    public void close() {
      graph.close();
    }
  }

  @Test
  void operationsThatWereNotCheckedAreRefusedByName() {
    try (Model model = new Model("Inv")) {
      assertEquals(
          "Output 'y' of signature 'serve' cannot be trained: Inv 'layer/op' has no gradient"
              + " that was checked; --allow-unchecked-gradients trusts TensorFlow's own gradient, if"
              + " there is one",
          model.refusal(UncheckedGradients.REFUSE));
    }
  }

  @Test
  void operationsThatWereNotCheckedAreDifferentiatedWhereThatIsAllowed() {
    try (Model model = new Model("Inv")) {
      model.require(UncheckedGradients.ALLOW);
      Output<?> y = model.function.outputs().get("y");
      Output<?> gradient =
          model.graph.addGradients(y, new Output<?>[] {model.handle().asOutput()})[0];
      Ops tf = Ops.create(model.graph);
      try (Session session = new Session(model.graph)) {
        session.run(tf.assignVariableOp(model.handle(), tf.constant(0.3f)));
        double slope = -Math.pow(fetch(session, y), 2);
        assertEquals(slope, fetch(session, gradient), 1e-6 * Math.abs(slope));
      }
    }
  }

  private static float fetch(Session session, Output<?> scalar) {
    try (TFloat32 value = (TFloat32) session.runner().fetch(scalar).run().get(0)) {
      return value.getFloat();
    }
  }

  @Test
  void operationsWithoutGradientAreRefusedByNameEitherWay() {
    for (UncheckedGradients unchecked : UncheckedGradients.values()) {
      try (Model model = new Model("BesselI0")) {
        String refusal = model.refusal(unchecked);
        assertTrue(refusal.contains("signature 'serve'"), refusal);
        assertTrue(refusal.contains("BesselI0 'layer/op'"), refusal);
      }
    }
  }
}
