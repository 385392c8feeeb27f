package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.mesh.DataParallel;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.mesh.ShardedVariable;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.framework.constraints.Constraint;
import org.tensorflow.framework.constraints.NonNeg;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

/** What an optimizer with a mesh takes, and what it refuses. */
class MeshArgumentTest {

  private static final Mesh MESH = Mesh.virtualCpus("x=2,y=2");

  private Graph graph;
  private Ops tf;
  private ShardedVariable<TFloat32> w;

  @BeforeEach
  void addVariable() {
    graph = new Graph();
    tf = Ops.create(graph);
    Operand<TFloat32> initial = tf.constant(new float[][] {{1, 2}, {3, 4}, {5, 6}, {7, 8}});
    w = ShardedVariable.create(tf, "w", new Layout(MESH, List.of("x", "y")), initial);
  }

  @AfterEach
  void close() {
    graph.close();
  }

  private Operand<TFloat32> loss() {
    return tf.reduceSum(tf.math.square(w), tf.constant(new int[] {0, 1}));
  }

  private Op minimize(Adafactor.Builder builder) {
    return builder.build().minimize(loss(), List.of(w));
  }

  private static void assertRefused(String message, Executable refused) {
    assertEquals(message, assertThrows(IllegalArgumentException.class, refused).getMessage());
  }

  private static final String CPUS = "[/device:CPU:0, /device:CPU:1, /device:CPU:2, /device:CPU:3]";

  @Test
  void needsTheMeshOfTheVariables() {
    assertRefused(
        "variable 'w' is sharded over the mesh x=2,y=2 of %s, the optimizer has none: give it the same by Adafactor.builder(graph).mesh(mesh)"
            .formatted(CPUS),
        () -> minimize(Adafactor.builder(graph)));
    assertRefused(
        "variable 'w' is sharded over the mesh x=2,y=2 of %s, the optimizer has x=4 of %s: give it the same by Adafactor.builder(graph).mesh(mesh)"
            .formatted(CPUS, CPUS),
        () -> minimize(Adafactor.builder(graph).mesh(Mesh.virtualCpus("x=4"))));
  }

  @Test
  void doesWithoutTheBitsOfTfKerasAndWithoutCompilation() {
    assertRefused(
        "variable 'w' is sharded: the bits of tf_keras depend on the order of its sums, which shards do not have; use Numerics.STABLE",
        () -> minimize(Adafactor.builder(graph).mesh(MESH).numerics(Numerics.TF_KERAS)));
    assertRefused(
        "variable 'w' is sharded: its update is of several devices, and XLA compiles for one; use JitCompile.WHERE_GPU or OFF",
        () -> minimize(Adafactor.builder(graph).mesh(MESH).jitCompile(JitCompile.ALWAYS)));
  }

  @Test
  void takesCollectiveOperationsWithinOneProcessAlone() {
    Mesh processes = Mesh.parse("x=2", List.of("/job:worker/task:0", "/job:worker/task:1"));
    Adafactor.Builder builder = Adafactor.builder(graph).mesh(processes);
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> builder.reductions(Reductions.COLLECTIVE).build())
            .getMessage();
    assertTrue(message.startsWith("collective operations are for devices of one process"), message);
  }

  @Test
  void trainsShardsOnlyTogether() {
    Adafactor adafactor = Adafactor.builder(graph).mesh(MESH).build();
    String message =
        "'w/shard_0' is a shard of variable 'w', which is trained as a whole: give the ShardedVariable, as in minimize(loss, variables)";
    assertRefused(message, () -> adafactor.minimize(loss()));
    assertRefused(message, () -> adafactor.minimize(loss(), List.of(w.shard(0))));
    Adafactor.Builder builder = Adafactor.builder(graph).mesh(MESH);
    assertRefused(message, () -> builder.excludeFromWeightDecay(List.of(w.shard(0))));
    assertRefused(message, () -> builder.constraint(w.shard(0), new NonNeg()));
    assertRefused(message, () -> adafactor.decays(w.shard(0)));
  }

  @ParameterizedTest
  @EnumSource
  void takesAVariableAndItsCopyForOne(VariableKind kind) {
    Output<?> original = kind.create(tf, "v", tf.constant(new double[][] {{1, -2}, {3, -4}}));
    ShardedVariable<?> copy =
        ShardedVariable.copyOf(tf, original, new Layout(MESH, List.of("x", "y")));
    Adafactor.Builder builder =
        Adafactor.builder(graph)
            .mesh(MESH)
            .weightDecay(0.1)
            .excludeFromWeightDecay(List.of(original))
            .constraint(original, new NonNeg());
    Adafactor adafactor = builder.build();
    assertFalse(adafactor.decays(copy));
    assertFalse(adafactor.decays(original));
    assertTrue(adafactor.decays(w));
    Op train = adafactor.minimize(copy, List.of(copy));
    try (Session session = new Session(graph, MESH.config())) {
      session.run(train);
      double[] values = Elements.of(session, tf.dtypes.cast(number(copy), TFloat64.class));
      assertEquals(0, values[1], 1e-12);
      assertTrue(values[2] > 2);
    }
    assertFalse(builder.excludeFromWeightDecay(List.of(copy)).build().decays(original));
  }

  @Test
  void needsTheVariableAndNotItsValue() {
    String message =
        "'w/whole:0' is the whole of sharded variable 'w', which only Adafactor trains: give that the ShardedVariable";
    Adafactor.Builder builder = Adafactor.builder(graph).mesh(MESH);
    assertRefused(message, () -> builder.excludeFromWeightDecay(List.of(w.asOutput())));
    assertRefused(message, () -> builder.constraint(w.asOutput(), new NonNeg()));
    Adafactor adafactor = builder.build();
    assertRefused(message, () -> adafactor.decays(w.asOutput()));
    assertRefused(message, () -> adafactor.readSlot(w.asOutput(), Adafactor.R));
    DataParallel<TFloat32> towers =
        DataParallel.split(tf, MESH.devices(), List.of(w), (ops, part) -> loss());
    assertRefused(message, () -> towers.gradients(List.of(w)));
  }

  private static Operand<? extends TNumber> number(ShardedVariable<?> variable) {
    return variable;
  }

  @Test
  void takesGradientsOfTheVariablesTypeAndShape() {
    Adafactor adafactor = Adafactor.builder(graph).mesh(MESH).build();
    Operand<TFloat32> narrow = tf.constant(new float[4][1]);
    assertRefused(
        "the gradient of variable 'w' has shape [4, 1], it must be [4, 2]",
        () -> adafactor.applyGradients(List.of(ShardedGradient.ofWhole(narrow, w)), "t"));
    assertRefused(
        "the gradient of variable 'w' has shape [?, 1], it must be [?, 2]".replace("?", "4"),
        () ->
            adafactor.applyGradients(
                List.of(new IndexedSlices<>(narrow, tf.constant(new int[] {0, 0, 1, 9})).of(w)),
                "t"));
    assertRefused(
        "variable 'w' has 4 shards, but gradients of 1 are given",
        () -> new ShardedGradient<>(List.of(narrow)).of(w));
    assertRefused(
        "variable 'w' is given twice; add its gradients up",
        () ->
            adafactor.applyGradients(
                List.of(ShardedGradient.ofWhole(w, w), ShardedGradient.ofWhole(w, w)), "t"));
  }

  /** Of what is larger no part may be taken for the whole. */
  @Test
  void takesValuesOfTheVariablesShape() {
    Adafactor adafactor = Adafactor.builder(graph).mesh(MESH).build();
    adafactor.minimize(loss(), List.of(w));
    assertRefused(
        "variable 'w', r: a tensor of shape [7] is given, it must be of shape [4]",
        () -> adafactor.assignSlot(w, Adafactor.R, tf.constant(new float[7])));
    assertRefused(
        "a tensor of shape [9, 2] is given, it must be of shape [4, 2]",
        () -> w.sharding().cut(tf, tf.constant(new float[9][2])));
    Constraint doubled =
        new Constraint() {
          @Override
          public <T extends TNumber> Operand<T> call(Ops ops, Operand<T> weights) {
            return ops.concat(List.of(weights, weights), ops.constant(0));
          }
        };
    assertRefused(
        "variable 'w', value: a tensor of shape [8, 2] is given, it must be of shape [4, 2]",
        () -> minimize(Adafactor.builder(graph).mesh(MESH).constraint(w, doubled)));
    Placeholder<TFloat32> any = tf.placeholder(TFloat32.class);
    Op assign = adafactor.assignSlot(w, Adafactor.R, any);
    try (Session session = new Session(graph, MESH.config());
        TFloat32 four = TFloat32.vectorOf(1, 2, 3, 4);
        TFloat32 five = TFloat32.vectorOf(1, 2, 3, 4, 5)) {
      session.runner().feed(any, four).addTarget(assign).run().close();
      assertThrows(
          TFInvalidArgumentException.class,
          () -> session.runner().feed(any, five).addTarget(assign).run());
    }
  }

  @Test
  void givesPairsThatCanBeChanged() {
    Adafactor adafactor = Adafactor.builder(graph).mesh(MESH).learningRate(0.1).build();
    GradAndVar<?> pair = adafactor.computeGradients(loss(), List.of(w)).get(0);
    ShardedGradient<?> parts = ShardedGradient.from(pair).orElseThrow();
    assertEquals(4, parts.shards().size());
    Operand<TFloat32> whole = pair.getGradient().expect(TFloat32.class);
    try (Session session = new Session(graph, MESH.config())) {
      Operand<TFloat64> wide = tf.dtypes.cast(whole, TFloat64.class);
      assertEquals(16, Elements.of(session, wide)[7]);
      // What is made of the pair by hand is known to be of the variable.
      Op train =
          adafactor.applyGradients(
              List.of(new GradAndVar<>(tf.math.neg(whole).asOutput(), w.asOutput())), "train");
      session.run(train);
      assertTrue(Elements.of(session, tf.dtypes.cast(w, TFloat64.class))[7] > 8);
    }
  }

  @Test
  void hasStateByShardAndAsAWhole() {
    Adafactor adafactor = Adafactor.builder(graph).mesh(MESH).useEma(true).build();
    assertEquals(Optional.empty(), adafactor.readSlot(w, Adafactor.R));
    adafactor.minimize(loss(), List.of(w));
    assertEquals(List.of(w), adafactor.variables());
    assertEquals("[4]", adafactor.readSlot(w, Adafactor.R).orElseThrow().shape().toString());
    assertEquals("[2]", adafactor.readSlot(w, Adafactor.C).orElseThrow().shape().toString());
    assertEquals(Optional.empty(), adafactor.readSlot(w, Adafactor.V));
    assertEquals("[4, 2]", adafactor.secondMoment(w).shape().toString());
    assertEquals(Optional.empty(), adafactor.getSlot(w.asOutput(), Adafactor.R));
    assertEquals(
        "[2, 1]",
        adafactor
            .getSlot(w.shard(3).asOutput(), Adafactor.AVERAGE)
            .orElseThrow()
            .shape()
            .toString());
  }
}
