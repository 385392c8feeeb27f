package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.adafactor.Elements;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.DoubleStream;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;

class ShardedVariableTest {

  private static final Mesh MESH = Mesh.virtualCpus("x=2,y=2,z=2");

  private static final Shape SHAPE = Shape.of(4, 2, 6);

  private static double[] fetch(Session session, Operand<?> operand) {
    try (Result result = session.runner().fetch(operand).run()) {
      return Elements.copy(result.get(0));
    }
  }

  private static Operand<TFloat64> counting(Ops tf) {
    return tf.reshape(
        tf.range(tf.constant(0.0), tf.constant((double) SHAPE.size()), tf.constant(1.0)),
        tf.constant(SHAPE.asArray()));
  }

  @Property(tries = 16)
  void isPutTogetherFromItsParts(
      @ForAll @IntRange(max = 3) int first, @ForAll @IntRange(max = 2) int second) {
    List<String> names = List.of("x", "y", "z", Layout.UNSHARDED);
    String other = List.of("y", "z", Layout.UNSHARDED).get(second);
    String last = names.get(first).equals(other) ? Layout.UNSHARDED : other;
    Layout layout = new Layout(MESH, List.of(names.get(first), Layout.UNSHARDED, last));
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      ShardedVariable<TFloat64> w = ShardedVariable.create(tf, "layer/w", layout, counting(tf));
      assertEquals("layer/w", w.name());
      assertEquals("layer/w/shard_3", w.shard(3).op().name());
      double[] all = DoubleStream.iterate(0, x -> x + 1).limit(SHAPE.size()).toArray();
      try (Session session = new Session(graph, MESH.config())) {
        assertArrayEquals(all, fetch(session, w));
        assertArrayEquals(all, fetch(session, w.read(tf.withDevice(MESH.device(7)))));
        for (Layout.Shard shard : layout.shards()) {
          for (int device : shard.devices()) {
            double[] part = fetch(session, w.shard(device));
            assertEquals(w.sharding().localShape().size(), part.length);
            // The offsets along the axes tell the first element.
            double start = 0;
            for (int axis = 0; axis < 3; axis++) {
              start = start * SHAPE.get(axis) + w.sharding().offset(shard, axis);
            }
            assertEquals(start, part[0]);
          }
        }
      }
    }
  }

  @Example
  void gradientsFlowThroughIt() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Layout layout = new Layout(MESH, List.of("x", Layout.UNSHARDED, "y"));
      ShardedVariable<TFloat64> w = ShardedVariable.create(tf, "w", layout, counting(tf));
      Operand<TFloat64> loss = tf.reduceSum(tf.math.square(w), tf.constant(new int[] {0, 1, 2}));
      List<Variable<TFloat64>> owners =
          layout.shards().stream().map(shard -> w.shard(shard.owner())).toList();
      Output<?>[] gradients =
          graph.addGradients(
              loss.asOutput(), owners.stream().map(Operand::asOutput).toArray(Output<?>[]::new));
      try (Session session = new Session(graph, MESH.config())) {
        for (int i = 0; i < owners.size(); i++) {
          assertArrayEquals(
              DoubleStream.of(fetch(session, owners.get(i))).map(x -> 2 * x).toArray(),
              fetch(session, gradients[i]));
        }
      }
    }
  }

  /** As a SavedModel's variable is: restored before the shards are set. */
  @Example
  void startsWithTheValueOfAnotherVariable() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      var handle = tf.varHandleOp(TFloat64.class, SHAPE);
      Op restored = tf.assignVariableOp(handle, counting(tf));
      try (Session session = new Session(graph, MESH.config())) {
        session.run(restored);
        Layout layout = new Layout(MESH, List.of("x", "y", "z"));
        ShardedVariable<TFloat64> w =
            ShardedVariable.create(tf, "w", layout, tf.readVariableOp(handle, TFloat64.class));
        session.initialize();
        assertArrayEquals(fetch(session, counting(tf)), fetch(session, w));
      }
    }
  }

  /** The parts are of what is at their place, computed where they are, and never put together. */
  @Example
  void isInitializedWhereItsPartsAre() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Layout layout = new Layout(MESH, List.of("x", Layout.UNSHARDED, "y"));
      List<String> devices = new ArrayList<>();
      ShardedVariable<TFloat64> w =
          ShardedVariable.create(
              tf,
              "w",
              layout,
              SHAPE,
              (there, offset, shape) -> {
                Operand<TFloat64> part =
                    there.slice(
                        counting(there),
                        there.constant(offset.stream().mapToLong(Long::longValue).toArray()),
                        there.constant(shape.asArray()));
                devices.add(((GraphOperation) part.op()).device());
                return part;
              });
      assertEquals(
          layout.shards().stream().map(s -> MESH.devices().get(s.owner())).toList(), devices);
      try (Session session = new Session(graph, MESH.config())) {
        assertArrayEquals(fetch(session, counting(tf)), fetch(session, w));
      }
    }
  }

  @Example
  void hasReplicasOfTheSameBitsWhateverTheInitializer() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Layout layout = new Layout(MESH, List.of("x", Layout.UNSHARDED, Layout.UNSHARDED));
      ShardedVariable<TFloat64> w =
          ShardedVariable.create(
              tf,
              "w",
              layout,
              SHAPE,
              (there, offset, shape) ->
                  there.random.randomUniform(there.constant(shape.asArray()), TFloat64.class));
      try (Session session = new Session(graph, MESH.config())) {
        for (Layout.Shard shard : layout.shards()) {
          double[] owned = fetch(session, w.shard(shard.owner()));
          for (int device : shard.devices()) {
            assertArrayEquals(owned, fetch(session, w.shard(device)));
          }
        }
      }
    }
  }

  @Example
  void isSetOnAllDevices() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Layout layout = new Layout(MESH, List.of("x", Layout.UNSHARDED, "y"));
      ShardedVariable<TFloat64> w =
          ShardedVariable.create(
              tf, "w", layout, tf.zeros(tf.constant(SHAPE.asArray()), TFloat64.class));
      Placeholder<TFloat64> value = tf.placeholder(TFloat64.class);
      Op assign = w.assign(tf, value);
      try (Session session = new Session(graph, MESH.config());
          TFloat64 counted = Elements.tensor(SHAPE, fetch(session, counting(tf)));
          TFloat64 larger = TFloat64.tensorOf(Shape.of(8, 2, 6))) {
        session.runner().feed(value, counted).addTarget(assign).run().close();
        double[] whole = fetch(session, w);
        assertArrayEquals(fetch(session, counting(tf)), whole);
        for (Layout.Shard shard : layout.shards()) {
          for (int device : shard.devices()) {
            assertArrayEquals(
                fetch(session, w.shard(shard.owner())), fetch(session, w.shard(device)));
          }
        }
        assertThrows(
            TFInvalidArgumentException.class,
            () -> session.runner().feed(value, larger).addTarget(assign).run());
        assertArrayEquals(whole, fetch(session, w));
      }
      assertEquals(
          "variable 'w': a tensor of shape [8, 2, 6] is given, it must be of shape [4, 2, 6]",
          message(() -> w.assign(tf, tf.zeros(tf.constant(new int[] {8, 2, 6}), TFloat64.class))));
    }
  }

  @Example
  void refusesWhatCannotBeSharded() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Layout layout = Layout.batchSharded(MESH, "x", 1);
      assertEquals(
          "variable 'w': axis 0 of shape [3] has size 3, which mesh dimension 'x' of size 2 does not"
              + " divide; shards are of one size, so leave the axis UNSHARDED or pad it",
          message(() -> ShardedVariable.create(tf, "w", layout, tf.constant(new float[3]))));
      assertEquals(
          "variable 'w': the initial value is of type DT_INT32, it must be of floats",
          message(() -> ShardedVariable.create(tf, "w", layout, tf.constant(new int[4]))));
      assertEquals(
          "variable 'w': the initial value of a part has shape [4], it must be [2]",
          message(
              () ->
                  ShardedVariable.<TFloat32>create(
                      tf,
                      "w",
                      layout,
                      Shape.of(4),
                      (there, offset, shape) -> there.constant(new float[4]))));
      assertEquals(
          "variable 'my var' cannot have that name: give letters, digits, '.', '_', '-' and '/', the"
              + " first a letter, a digit or '.'",
          message(() -> ShardedVariable.create(tf, "my var", layout, tf.constant(new float[4]))));
      ShardedVariable.create(tf, "w", layout, tf.constant(new float[4]));
      assertEquals(
          "the graph has a sharded variable 'w' already; give another name",
          message(() -> ShardedVariable.create(tf, "w", layout, tf.constant(new float[4]))));
    }
  }

  private static String message(Runnable refused) {
    return assertThrows(IllegalArgumentException.class, refused::run).getMessage();
  }
}
