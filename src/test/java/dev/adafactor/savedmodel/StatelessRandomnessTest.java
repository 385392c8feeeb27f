package dev.adafactor.savedmodel;

import static dev.adafactor.savedmodel.Operations.graph;
import static dev.adafactor.savedmodel.Operations.node;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;
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
    return StatelessRandomness.rewrite(
        new FlatGraph(graph.toBuilder().clearLibrary().build(), Map.of(), Optional.empty()),
        graph,
        Operations.ALL);
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

  private static String vector(String name, int value) {
    return SHAPE.replace("'shape'", "'" + name + "'").replace("int_val: 3", "int_val: " + value);
  }

  /** A number from a generator, as Python draws it by the algorithm Philox. */
  private static String generated(String name) {
    String read = name + "_read";
    String words = "T:INT64 Index:INT32";
    String unsigned = "T:INT64 type:UINT64";
    return String.join(
        "",
        node(read, "RngReadAndSkip", "state algorithm count", ""),
        node(name + "_first", "Slice", read + " zero two", words),
        node(name + "_last", "Slice", read + " two one", words),
        node(name + "_counter", "Bitcast", name + "_first", unsigned),
        node(name + "_key", "Bitcast", name + "_last", unsigned),
        node(
            name,
            "StatelessRandomUniformV2",
            "one %1$s_key %1$s_counter algorithm".formatted(name),
            "Tshape:INT32 dtype:FLOAT"));
  }

  /** The generator's variable does not even have a value. */
  @Test
  void generatorsDrawFromTheSeedToo() {
    String generator =
        """
        node { name: 'state' op: 'VarHandleOp' attr { key: 'dtype' value { type: DT_INT64 } }
               attr { key: 'shape' value { shape { dim { size: 3 } } } } }
        node { name: 'algorithm' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } }
               attr { key: 'value' value { tensor { dtype: DT_INT32 tensor_shape { } int_val: 1 } } } }
        node { name: 'count' op: 'Const' attr { key: 'dtype' value { type: DT_UINT64 } }
               attr { key: 'value' value { tensor { dtype: DT_UINT64 tensor_shape { } uint64_val: 1 } } } }
        """;
    FlatGraph flat =
        rewrite(
            graph(
                generator,
                vector("zero", 0),
                vector("one", 1),
                vector("two", 2),
                generated("a"),
                generated("b")));
    try (Graph graph = new Graph();
        Session session = new Session(graph)) {
      graph.importGraphDef(flat.graphDef());
      String first = draw(session, "a", 7, 1);
      assertEquals(first, draw(session, "a", 7, 1));
      assertNotEquals(first, draw(session, "b", 7, 1));
      assertNotEquals(first, draw(session, "a", 8, 1));
      double[] numbers =
          IntStream.range(0, 500)
              .mapToDouble(step -> Double.parseDouble(draw(session, "a", 7, step)))
              .sorted()
              .toArray();
      // Kolmogorov and Smirnov: of uniform samples, one in a thousand is farther off.
      for (int i = 0; i < numbers.length; i++) {
        assertEquals((i + 0.5) / numbers.length, numbers[i], 1.95 / Math.sqrt(numbers.length));
      }
    }
  }

  /** The operations of a function that draw three numbers. */
  private static final String DRAWN =
      """
      node_def { name: 'shape' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } }
                 attr { key: 'value' value { tensor { dtype: DT_INT32
                        tensor_shape { dim { size: 1 } } int_val: 3 } } } }
      node_def { name: 'drawn' op: 'RandomUniform' input: 'shape:output:0'
                 attr { key: 'T' value { type: DT_INT32 } }
                 attr { key: 'dtype' value { type: DT_FLOAT } } }
      """;

  /** A function that returns its argument, or three numbers if it is to draw some. */
  private static String branch(String name, boolean draws) {
    return """
    function {
      signature { name: '%s' input_arg { name: 'x' type: DT_FLOAT }
                  output_arg { name: 'r' type: DT_FLOAT } }
      %s
      ret { key: 'r' value: '%s' } }
    """
        .formatted(name, DRAWN, draws ? "drawn:output:0" : "x");
  }

  private static String branches(String name) {
    return """
    node { name: '%s' op: 'If' input: 'condition' input: 'x'
           attr { key: 'Tcond' value { type: DT_BOOL } }
           attr { key: 'Tin' value { list { type: DT_FLOAT } } }
           attr { key: 'Tout' value { list { type: DT_FLOAT } } }
           attr { key: 'then_branch' value { func { name: 'then' } } }
           attr { key: 'else_branch' value { func { name: 'else' } } } }
    """
        .formatted(name);
  }

  private static final String CONDITION =
      """
      node { name: 'condition' op: 'Const' attr { key: 'dtype' value { type: DT_BOOL } }
             attr { key: 'value' value { tensor { dtype: DT_BOOL tensor_shape { } bool_val: true } } } }
      node { name: 'x' op: 'Const' attr { key: 'dtype' value { type: DT_FLOAT } }
             attr { key: 'value' value { tensor { dtype: DT_FLOAT tensor_shape { } float_val: 1 } } } }
      """;

  @Test
  void branchesDrawFromTheSeedToo() {
    FlatGraph flat =
        rewrite(
            graph(
                CONDITION,
                branches("a"),
                branches("b"),
                "library {" + branch("then", true) + branch("else", false) + "}"));
    // Both branches take the seed, and both uses share them.
    assertEquals(2, flat.graphDef().getLibrary().getFunctionCount());
    try (Graph graph = new Graph();
        Session session = new Session(graph)) {
      graph.importGraphDef(flat.graphDef());
      String first = draw(session, "a", 7, 1);
      assertEquals(first, draw(session, "a", 7, 1));
      assertNotEquals(first, draw(session, "b", 7, 1));
      assertNotEquals(first, draw(session, "a", 7, 2));
    }
  }

  @Test
  void branchesWithoutResultsDoWhatTheyDid() {
    String writing =
        """
        node { name: 'v' op: 'VarHandleOp' attr { key: 'dtype' value { type: DT_FLOAT } }
               attr { key: 'shape' value { shape { dim { size: 3 } } } } }
        node { name: 'if' op: 'If' input: 'condition' input: 'v'
               attr { key: 'Tcond' value { type: DT_BOOL } }
               attr { key: 'Tin' value { list { type: DT_RESOURCE } } }
               attr { key: 'Tout' value { list { } } }
               attr { key: 'then_branch' value { func { name: 'writes' } } }
               attr { key: 'else_branch' value { func { name: 'writes' } } } }
        node { name: 'read' op: 'ReadVariableOp' input: 'v' input: '^if'
               attr { key: 'dtype' value { type: DT_FLOAT } } }
        library { function {
          signature { name: 'writes' is_stateful: true control_output: 'end'
                      input_arg { name: 'v' type: DT_RESOURCE } }
          %s
          node_def { name: 'write' op: 'AssignVariableOp' input: 'v' input: 'drawn:output:0'
                     attr { key: 'dtype' value { type: DT_FLOAT } } }
          control_ret { key: 'end' value: 'write' } } }
        """
            .formatted(DRAWN);
    FlatGraph flat = rewrite(graph(CONDITION, writing));
    try (Graph graph = new Graph();
        Session session = new Session(graph)) {
      graph.importGraphDef(flat.graphDef());
      String first = draw(session, "read", 7, 1);
      assertEquals(first, draw(session, "read", 7, 1));
      assertNotEquals(first, draw(session, "read", 7, 2));
    }
  }

  @Test
  void eachIterationDrawsOthers() {
    // Two rounds of: i + 1, and the list of numbers drawn so far with one more.
    String loop =
        """
        node { name: 'start' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } }
               attr { key: 'value' value { tensor { dtype: DT_INT32 tensor_shape { } int_val: 0 } } } }
        node { name: 'none' op: 'Const' attr { key: 'dtype' value { type: DT_FLOAT } }
               attr { key: 'value' value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 0 } } } } } }
        node { name: 'loop' op: 'While' input: 'start' input: 'none'
               attr { key: 'T' value { list { type: DT_INT32 type: DT_FLOAT } } }
               attr { key: 'cond' value { func { name: 'goes_on' } } }
               attr { key: 'body' value { func { name: 'iteration' } } }
               attr { key: 'output_shapes' value { list { shape { } shape { dim { size: -1 } } } } } }
        node { name: 'drawn' op: 'Identity' input: 'loop:1' attr { key: 'T' value { type: DT_FLOAT } } }
        library {
          function {
            signature { name: 'goes_on' input_arg { name: 'i' type: DT_INT32 }
                        input_arg { name: 'x' type: DT_FLOAT } output_arg { name: 'r' type: DT_BOOL } }
            node_def { name: 'end' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } }
                       attr { key: 'value' value { tensor { dtype: DT_INT32 tensor_shape { } int_val: 2 } } } }
            node_def { name: 'less' op: 'Less' input: 'i' input: 'end:output:0'
                       attr { key: 'T' value { type: DT_INT32 } } }
            ret { key: 'r' value: 'less:z:0' } }
          function {
            signature { name: 'iteration' input_arg { name: 'i' type: DT_INT32 }
                        input_arg { name: 'x' type: DT_FLOAT } output_arg { name: 'r' type: DT_INT32 }
                        output_arg { name: 's' type: DT_FLOAT } }
            node_def { name: 'one' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } }
                       attr { key: 'value' value { tensor { dtype: DT_INT32 tensor_shape { } int_val: 1 } } } }
            node_def { name: 'zero' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } }
                       attr { key: 'value' value { tensor { dtype: DT_INT32 tensor_shape { } int_val: 0 } } } }
            node_def { name: 'shape' op: 'Const' attr { key: 'dtype' value { type: DT_INT32 } }
                       attr { key: 'value' value { tensor { dtype: DT_INT32
                              tensor_shape { dim { size: 1 } } int_val: 1 } } } }
            node_def { name: 'next' op: 'AddV2' input: 'i' input: 'one:output:0'
                       attr { key: 'T' value { type: DT_INT32 } } }
            node_def { name: 'drawn' op: 'RandomUniform' input: 'shape:output:0'
                       attr { key: 'T' value { type: DT_INT32 } }
                       attr { key: 'dtype' value { type: DT_FLOAT } } }
            node_def { name: 'list' op: 'ConcatV2' input: 'x' input: 'drawn:output:0'
                       input: 'zero:output:0' attr { key: 'N' value { i: 2 } }
                       attr { key: 'T' value { type: DT_FLOAT } }
                       attr { key: 'Tidx' value { type: DT_INT32 } } }
            ret { key: 'r' value: 'next:z:0' } ret { key: 's' value: 'list:output:0' } } }
        """;
    FlatGraph flat = rewrite(graph(loop));
    try (Graph graph = new Graph();
        Session session = new Session(graph)) {
      graph.importGraphDef(flat.graphDef());
      String first = draw(session, "drawn", 7, 1);
      assertEquals(first, draw(session, "drawn", 7, 1));
      String[] numbers = first.split(" ", -1);
      assertEquals(3, numbers.length, "two numbers, each with a space behind it");
      assertNotEquals(numbers[0], numbers[1]);
      assertFalse(draw(session, "drawn", 7, 2).contains(numbers[1]), "the steps overlap");
    }
  }

  @Test
  void graphsWithoutRandomNumbersStay() {
    FlatGraph flat = new FlatGraph(graph(SHAPE), Map.of(), Optional.empty());
    assertSame(flat, StatelessRandomness.rewrite(flat, flat.graphDef(), Operations.ALL));
  }
}
