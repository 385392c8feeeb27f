package dev.adafactor.graph;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;

class GroupTest {

  @Test
  void waitsForAll() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Op before = tf.noOp();
      List<Op> all = List.of(tf.noOp(), tf.constant(1));
      GraphOperation group =
          (GraphOperation) Group.of(tf.withControlDependencies(List.of(before)), all).op();
      assertEquals(Set.of(all.get(0).op(), all.get(1).op()), group.controlInputs());
      assertEquals("NoOp", group.type());
    }
  }

  @Test
  void oneStandsForItself() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Op only = tf.constant(1);
      assertSame(only, Group.of(tf, List.of(only)));
    }
  }

  @Test
  void noneIsAnOperationToo() {
    try (Graph graph = new Graph()) {
      GraphOperation group = (GraphOperation) Group.of(Ops.create(graph), List.of()).op();
      assertEquals("NoOp", group.type());
      assertEquals(Set.of(), group.controlInputs());
    }
  }
}
