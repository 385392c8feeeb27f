package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.ShardedTraining.Fed;
import dev.adafactor.ShardedTraining.Start;
import dev.adafactor.ShardedTraining.Way;
import dev.adafactor.mesh.Layout;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.mesh.NoReduction;
import dev.adafactor.mesh.Reductions;
import dev.adafactor.mesh.ShardedVariable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.framework.constraints.MaxNorm;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DeviceStepStats;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.proto.StepStats;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;

/** Training of sharded variables; unsharded training is the oracle. */
class ShardedUpdateTest {

  private static final int STEPS = 4;

  private static final List<String> MESHES =
      List.of("x=1", "x=3", "x=2,y=2", "y=4", "x=2,y=1,z=3", "x=2,y=2,z=2");

  private static final List<Class<? extends TNumber>> TYPES =
      List.of(TFloat32.class, TFloat64.class, TFloat16.class, TBfloat16.class);

  /** The arguments of an optimizer of given variables. */
  private interface Arguments
      extends BiFunction<Adafactor.Builder, List<Operand<? extends TNumber>>, Adafactor.Builder> {}

  /** By how much of the largest element values of a type may be apart. */
  private static double tolerance(TensorValue value) {
    return switch (value.dtype()) {
      case DT_HALF -> 2e-3;
      case DT_BFLOAT16 -> 1.6e-2;
      case DT_FLOAT -> 4e-6;
      default -> 1e-13;
    };
  }

  private static double[] elements(TensorValue value) {
    try (TNumber tensor = value.tensor()) {
      return Elements.copy(tensor);
    }
  }

  /** The largest distance of two values, as a multiple of what is tolerated. */
  private static double distance(TensorValue expected, TensorValue actual) {
    assertEquals(expected.kind(), actual.kind());
    double[] one = elements(expected);
    double[] other = elements(actual);
    double scale = Arrays.stream(one).map(Math::abs).max().orElse(0);
    double most =
        IntStream.range(0, one.length)
            .mapToDouble(i -> Math.abs(one[i] - other[i]))
            .max()
            .orElse(0);
    assertTrue(Double.isFinite(most), () -> Arrays.toString(one) + " " + Arrays.toString(other));
    return most == 0 ? 0 : most / (scale * tolerance(expected));
  }

  private static double distance(Snapshot expected, Snapshot actual) {
    assertEquals(expected.iterations(), actual.iterations());
    assertEquals(expected.variables().size(), actual.variables().size());
    double most = 0;
    for (int i = 0; i < expected.variables().size(); i++) {
      Snapshot.OfVariable one = expected.variables().get(i);
      Snapshot.OfVariable other = actual.variables().get(i);
      assertEquals(one.name(), other.name());
      assertEquals(one.slots().keySet(), other.slots().keySet());
      most = Math.max(most, distance(one.value(), other.value()));
      for (Map.Entry<String, TensorValue> slot : one.slots().entrySet()) {
        most = Math.max(most, distance(slot.getValue(), other.slots().get(slot.getKey())));
      }
    }
    return most;
  }

  /** Variables, of which most are sharded, and gradients. */
  private static final class Randomly {
    private final Random random;

    Randomly(long seed) {
      this.random = new Random(seed);
    }

    List<Double> normal(long size) {
      return DoubleStream.generate(random::nextGaussian).limit(size).boxed().toList();
    }

    <X> X one(List<X> of) {
      return of.get(random.nextInt(of.size()));
    }

    Start start(Mesh mesh, int rank) {
      List<String> left = new ArrayList<>(mesh.dimNames());
      List<String> specs = new ArrayList<>();
      long[] shape = new long[rank];
      for (int axis = 0; axis < rank; axis++) {
        boolean cut = !left.isEmpty() && random.nextInt(3) > 0;
        specs.add(cut ? left.remove(random.nextInt(left.size())) : Layout.UNSHARDED);
        shape[axis] = (cut ? mesh.dimSize(specs.get(axis)) : 1) * (long) (1 + random.nextInt(4));
        if (random.nextInt(25) == 0) {
          shape[axis] = 0;
        }
      }
      Shape size = Shape.of(shape);
      List<Way> ways = List.of(Way.LOSS, Way.WHOLE, Way.ROWS, Way.LOOKED_UP);
      return new Start(
          one(TYPES),
          size,
          random.nextInt(5) == 0 ? Optional.empty() : Optional.of(specs),
          rank == 0 || shape[0] == 0 ? one(ways.subList(0, 2)) : one(ways),
          normal(size.size()));
    }

    /** Some of them alike, which are updated together. */
    List<Start> starts(Mesh mesh) {
      List<Start> starts = new ArrayList<>();
      for (int i = 0; i < 6; i++) {
        Start start = start(mesh, i % 5);
        starts.add(start);
        if (random.nextBoolean()) {
          List<Double> others = normal(start.shape().size());
          starts.add(new Start(start.type(), start.shape(), start.specs(), start.way(), others));
        }
      }
      return starts;
    }

    /** The same variable, cut over another mesh. */
    Start cutOtherwise(Mesh mesh, Start start) {
      List<String> left = new ArrayList<>(mesh.dimNames());
      List<String> specs = new ArrayList<>();
      for (int axis = 0; axis < start.shape().numDimensions(); axis++) {
        String dimension = left.isEmpty() ? Layout.UNSHARDED : one(left);
        boolean cut =
            left.contains(dimension) && start.shape().get(axis) % mesh.dimSize(dimension) == 0;
        specs.add(cut ? dimension : Layout.UNSHARDED);
        left.remove(specs.get(axis));
      }
      return new Start(
          start.type(), start.shape(), Optional.of(specs), start.way(), start.elements());
    }

    List<Fed> gradients(List<Start> starts) {
      return starts.stream().map(this::gradient).toList();
    }

    private Fed gradient(Start start) {
      if (!start.way().isOfRows()) {
        return new Fed(normal(start.shape().size()), Optional.empty());
      }
      int count = random.nextInt(5);
      List<Long> rows = random.longs(count, 0, start.shape().get(0)).boxed().toList();
      return new Fed(normal(start.shape().tail().size() * count), Optional.of(rows));
    }

    Arguments arguments() {
      int clipping = random.nextInt(4);
      boolean decay = random.nextBoolean();
      boolean averages = random.nextBoolean();
      int frequency = random.nextInt(4);
      boolean constrained = random.nextInt(4) == 0;
      Reductions reductions = one(List.of(Reductions.values()));
      return (builder, variables) -> {
        builder.reductions(reductions);
        switch (clipping) {
          case 0 -> builder.clipnorm(0.5);
          case 1 -> builder.globalClipnorm(0.5);
          case 2 -> builder.clipvalue(0.5);
          default -> builder.clipThreshold(0.7);
        }
        if (decay) {
          builder.weightDecay(0.1).excludeFromWeightDecay(variables.subList(2, 3), "^w4:0$");
        }
        if (constrained) {
          builder.constraint(variables.get(2), new MaxNorm(0.9f));
        }
        return builder.learningRate(0.3).useEma(averages).emaOverwriteFrequency(frequency);
      };
    }
  }

  private static List<Start> inOnePiece(List<Start> starts) {
    return starts.stream().map(Start::inOnePiece).toList();
  }

  private static void assertReplicasAreTheSame(ShardedTraining training, List<Start> starts) {
    for (int i = 0; i < starts.size(); i++) {
      if (starts.get(i).specs().isPresent()) {
        for (List<TensorValue> shard : training.replicas(i)) {
          assertEquals(1, shard.stream().distinct().count(), "w" + i);
        }
      }
    }
  }

  @Property(tries = 15)
  void isThatOfTheWhole(@ForAll long seed, @ForAll @IntRange(max = 5) int which) {
    Randomly random = new Randomly(seed);
    Mesh mesh = Mesh.virtualCpus(MESHES.get(which));
    List<Start> starts = random.starts(mesh);
    Arguments arguments = random.arguments();
    try (ShardedTraining whole = new ShardedTraining(mesh, arguments, inOnePiece(starts));
        ShardedTraining sharded = new ShardedTraining(mesh, arguments, starts)) {
      for (int step = 1; step <= STEPS; step++) {
        List<Fed> gradients = random.gradients(starts);
        whole.step(gradients);
        sharded.step(gradients);
        double distance = distance(whole.snapshot(), sharded.snapshot());
        assertTrue(distance <= step, () -> "off by " + distance);
        assertReplicasAreTheSame(sharded, starts);
      }
      whole.overwriteByAverages();
      sharded.overwriteByAverages();
      double distance = distance(whole.snapshot(), sharded.snapshot());
      assertTrue(distance <= STEPS, () -> "off by " + distance);
      assertReplicasAreTheSame(sharded, starts);
    }
  }

  private static final Mesh SQUARE = Mesh.virtualCpus("x=2,y=2");

  private static Start matrix(List<String> specs, int rows, int columns, Way way) {
    Shape shape = Shape.of(rows, columns);
    return new Start(
        TFloat32.class, shape, Optional.of(specs), way, new Randomly(1).normal(shape.size()));
  }

  private static Adafactor.Builder plain(
      Adafactor.Builder builder, List<Operand<? extends TNumber>> variables) {
    return builder.learningRate(0.3);
  }

  /** How far training is from that of the whole after some steps. */
  private static double distanceAfterSteps(Arguments arguments, Arguments ofWhole, Start start) {
    Randomly random = new Randomly(2);
    List<Start> starts = List.of(start);
    try (ShardedTraining whole = new ShardedTraining(SQUARE, ofWhole, inOnePiece(starts));
        ShardedTraining sharded = new ShardedTraining(SQUARE, arguments, starts)) {
      for (int step = 0; step < STEPS; step++) {
        List<Fed> gradients = random.gradients(starts);
        whole.step(gradients);
        sharded.step(gradients);
      }
      return distance(whole.snapshot(), sharded.snapshot());
    }
  }

  @Example
  void isAnotherWithoutReductions() {
    Arguments off = (builder, variables) -> builder.learningRate(0.3).reductions(new NoReduction());
    for (List<String> specs :
        List.of(
            List.of("x", "y"), List.of("x", Layout.UNSHARDED), List.of(Layout.UNSHARDED, "y"))) {
      Start start = matrix(specs, 4, 6, Way.WHOLE);
      assertTrue(
          distanceAfterSteps(ShardedUpdateTest::plain, ShardedUpdateTest::plain, start) <= STEPS);
      assertTrue(distanceAfterSteps(off, ShardedUpdateTest::plain, start) > 1000);
    }
  }

  /** Variables that are alike take fewer operations, and the same step as one by one. */
  @Example
  void updatesSmallVariablesThatAreAlikeTogether() {
    Randomly random = new Randomly(5);
    for (List<String> specs : List.of(List.of("x"), List.of("y", "x"))) {
      long[] axes = specs.stream().mapToLong(spec -> 4).toArray();
      List<Start> alike =
          Stream.generate(
                  () -> {
                    Shape shape = Shape.of(axes);
                    List<Double> elements = random.normal(shape.size());
                    return new Start(
                        TFloat32.class, shape, Optional.of(specs), Way.WHOLE, elements);
                  })
              .limit(5)
              .toList();
      List<Fed> gradients = random.gradients(alike);
      try (ShardedTraining together =
          new ShardedTraining(SQUARE, ShardedUpdateTest::plain, alike)) {
        together.step(gradients);
        int operations = 0;
        for (int i = 0; i < alike.size(); i++) {
          List<Start> one = alike.subList(i, i + 1);
          try (ShardedTraining alone = new ShardedTraining(SQUARE, ShardedUpdateTest::plain, one)) {
            alone.step(gradients.subList(i, i + 1));
            Snapshot.OfVariable expected = alone.snapshot().variables().get(0);
            Snapshot.OfVariable actual = together.snapshot().variables().get(i);
            assertTrue(distance(expected.value(), actual.value()) <= 1);
            operations += operations(alone);
          }
        }
        assertReplicasAreTheSame(together, alike);
        assertTrue(operations(together) < 0.8 * operations, specs::toString);
      }
    }
  }

  private static int operations(ShardedTraining training) {
    int operations = 0;
    for (var all = training.graph().operations(); all.hasNext(); all.next()) {
      operations++;
    }
    return operations;
  }

  @Example
  void worksThroughLargeShardsInBlocks() {
    Arguments little = (builder, variables) -> builder.learningRate(0.3).transientBytes(1 << 20);
    for (Way way : List.of(Way.WHOLE, Way.ROWS)) {
      double distance =
          distanceAfterSteps(little, little, matrix(List.of("x", "y"), 700, 400, way));
      assertTrue(distance <= STEPS, () -> way + " off by " + distance);
    }
  }

  @Property(tries = 5)
  void snapshotsAreOfTheWholeUnderWhateverMesh(@ForAll long seed) {
    Randomly random = new Randomly(seed);
    Mesh cube = Mesh.virtualCpus("x=2,y=2,z=2");
    List<Start> starts = random.starts(cube);
    List<Start> others = starts.stream().map(start -> random.cutOtherwise(SQUARE, start)).toList();
    Arguments arguments = random.arguments();
    try (ShardedTraining one = new ShardedTraining(cube, arguments, starts);
        ShardedTraining two = new ShardedTraining(SQUARE, arguments, others);
        ShardedTraining whole = new ShardedTraining(SQUARE, arguments, inOnePiece(starts))) {
      one.step(random.gradients(starts));
      Snapshot taken = one.snapshot();
      two.step(random.gradients(starts));
      two.restore(taken);
      whole.restore(taken);
      assertEquals(taken, two.snapshot());
      assertEquals(taken, whole.snapshot());
      assertReplicasAreTheSame(two, others);
      List<Fed> gradients = random.gradients(starts);
      one.step(gradients);
      two.step(gradients);
      whole.step(gradients);
      assertTrue(distance(whole.snapshot(), one.snapshot()) <= 2);
      assertTrue(distance(whole.snapshot(), two.snapshot()) <= 2);
      one.restore(taken);
      assertEquals(taken, one.snapshot());
      assertReplicasAreTheSame(one, starts);
    }
  }

  @Example
  void statisticsAreThoseOfTheWhole() {
    Start start = matrix(List.of("x", "y"), 4, 6, Way.WHOLE);
    List<Fed> gradients = new Randomly(3).gradients(List.of(start));
    try (ShardedTraining whole =
            new ShardedTraining(SQUARE, ShardedUpdateTest::plain, List.of(start.inOnePiece()));
        ShardedTraining sharded =
            new ShardedTraining(SQUARE, ShardedUpdateTest::plain, List.of(start))) {
      Elements.assertClose(whole.statistics(gradients), sharded.statistics(gradients), 1e-6);
    }
  }

  /** The devices on which what has a size ran, and how often. */
  private static Map<String, Integer> devices(StepStats trace, String scope, long... sizes) {
    Map<String, Integer> devices = new TreeMap<>();
    for (DeviceStepStats device : trace.getDevStatsList()) {
      for (NodeExecStats node : device.getNodeStatsList()) {
        boolean sized =
            node.getOutputList().stream()
                .flatMap(output -> output.getTensorDescription().getShape().getDimList().stream())
                .anyMatch(dim -> Arrays.stream(sizes).anyMatch(size -> size == dim.getSize()));
        if (sized && node.getNodeName().startsWith(scope)) {
          devices.merge(device.getDevice().replaceFirst("^.*/device:", ""), 1, Integer::sum);
        }
      }
    }
    return devices;
  }

  @Example
  void runsWhereTheShardsAre() {
    Start start = matrix(List.of("x", "y"), 2 * 17, 2 * 19, Way.LOSS);
    Arguments arguments = (builder, variables) -> builder.clipnorm(1).weightDecay(0.1).useEma(true);
    List<Fed> gradients = new Randomly(4).gradients(List.of(start));
    try (ShardedTraining training = new ShardedTraining(SQUARE, arguments, List.of(start))) {
      training.step(gradients);
      StepStats trace = training.trace(gradients);
      String scope = training.adafactor().getOptimizerName() + "/";
      // Nothing of the optimizer's has the size of the whole, and each device does a part.
      assertEquals(Map.of(), devices(trace, scope, 2 * 17, 2 * 19));
      Map<String, Integer> ofShards = devices(trace, scope, 17, 19);
      assertEquals(Set.of("CPU:0", "CPU:1", "CPU:2", "CPU:3"), ofShards.keySet());
      assertTrue(ofShards.values().stream().allMatch(n -> n > 30), ofShards.toString());
      ShardedVariable<?> variable = (ShardedVariable<?>) training.variables().get(0);
      for (int i = 0; i < 4; i++) {
        String device = "CPU:" + i;
        Output<?> shard = variable.shard(i).asOutput();
        for (String slot : List.of(Adafactor.R, Adafactor.C, Adafactor.AVERAGE)) {
          String name = training.adafactor().getSlot(shard, slot).orElseThrow().op().name();
          assertEquals(Set.of(device), devicesOf(trace, name));
        }
        assertEquals(Set.of(device), devicesOf(trace, shard.op().name()));
      }
      assertEquals(
          Set.of("CPU:0"), devicesOf(trace, training.adafactor().iterations().op().name()));
    }
  }

  /** Clipping sees each value of a row that is looked up several times, and not their sum. */
  @Example
  void clipsTheRowsThatAreLookedUp() {
    List<Arguments> clippings =
        List.of(
            (builder, variables) -> builder.clipnorm(0.1),
            (builder, variables) -> builder.globalClipnorm(0.1),
            (builder, variables) -> builder.clipvalue(0.2));
    List<Double> values = List.of(5.0, 1.0, -1.0, 2.0, 0.5, -0.1, 3.0, 0.1);
    List<Fed> gradients = List.of(new Fed(values, Optional.of(List.of(1L, 1L, 1L, 2L))));
    for (Mesh mesh : List.of(SQUARE, Mesh.virtualCpus("x=1,y=2"))) {
      for (List<String> specs :
          List.of(
              List.of("x", "y"), List.of("x", Layout.UNSHARDED), List.of(Layout.UNSHARDED, "y"))) {
        List<Start> starts = List.of(matrix(specs, 4, 2, Way.LOOKED_UP));
        for (Arguments clipping : clippings) {
          try (ShardedTraining whole = new ShardedTraining(mesh, clipping, inOnePiece(starts));
              ShardedTraining sharded = new ShardedTraining(mesh, clipping, starts)) {
            whole.step(gradients);
            sharded.step(gradients);
            double distance = distance(whole.snapshot(), sharded.snapshot());
            assertTrue(distance <= 1, () -> specs + " over " + mesh + " off by " + distance);
          }
        }
      }
    }
  }

  private static Set<String> devicesOf(StepStats trace, String operation) {
    return trace.getDevStatsList().stream()
        .filter(
            device ->
                device.getNodeStatsList().stream()
                    .anyMatch(node -> node.getNodeName().equals(operation)))
        .map(device -> device.getDevice().replaceFirst("^.*/device:", ""))
        .collect(Collectors.toSet());
  }

  /** Of a table without rows there is no row that a negative number could stand for. */
  @Example
  void ignoresNegativeRowsOfTablesWithoutElements() {
    Start start = matrix(List.of(Layout.UNSHARDED, Layout.UNSHARDED), 0, 3, Way.ROWS);
    Fed gradient = new Fed(List.of(1.0, 2.0, 3.0), Optional.of(List.of(-1L)));
    for (Start each : List.of(start, start.inOnePiece())) {
      try (ShardedTraining training =
          new ShardedTraining(SQUARE, ShardedUpdateTest::plain, List.of(each))) {
        training.step(List.of(gradient));
        assertEquals(1, training.snapshot().iterations());
      }
    }
  }

  private static Operand<TFloat64> manyNumbers(Ops tf, int seed) {
    return Elements.constant(
        tf, TFloat64.class, Shape.of(40_000), new Random(seed).doubles(40_000, 1, 2).toArray());
  }

  private static ShardedGradient<TFloat64> shards(ShardedVariable<TFloat64> variable) {
    return new ShardedGradient<>(
        variable.layout().shards().stream()
            .<Operand<TFloat64>>map(shard -> variable.shard(shard.owner()))
            .toList());
  }

  /** Which of the variables a step writes first is chance. */
  @Example
  void gradientsThatAreShardsAreThoseOfTheOldValues() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Layout layout = Layout.batchSharded(SQUARE, "x", 1);
      ShardedVariable<TFloat64> a = ShardedVariable.create(tf, "a", layout, manyNumbers(tf, 1));
      ShardedVariable<TFloat64> b = ShardedVariable.create(tf, "b", layout, manyNumbers(tf, 2));
      Output<TFloat64> wholeA = tf.variable(manyNumbers(tf, 1)).asOutput();
      Output<TFloat64> wholeB = tf.variable(manyNumbers(tf, 2)).asOutput();
      Op train =
          Adafactor.builder(graph)
              .mesh(SQUARE)
              .learningRate(0.3)
              .weightDecay(0.5)
              .build()
              .applyGradients(List.of(shards(b).of(a), shards(a).of(b)), "train");
      Op trainWholes =
          Adafactor.builder(graph)
              .learningRate(0.3)
              .weightDecay(0.5)
              .build()
              .applyGradients(
                  List.of(new GradAndVar<>(wholeB, wholeA), new GradAndVar<>(wholeA, wholeB)),
                  "train_wholes");
      try (Session session = new Session(graph, SQUARE.config())) {
        for (int step = 0; step < 10; step++) {
          session.run(train);
          session.run(trainWholes);
        }
        Elements.assertClose(Elements.of(session, wholeA), Elements.of(session, a), 1e-12);
        Elements.assertClose(Elements.of(session, wholeB), Elements.of(session, b), 1e-12);
      }
    }
  }

  /** A table that each device looks rows up in: the gradient has these rows, the update as well. */
  @Example
  void replicasOfATableGetTheRowsThatAreLookedUp() {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      ShardedVariable<TFloat32> table =
          ShardedVariable.create(
              tf, "table", Layout.replicated(SQUARE, 2), tf.constant(new float[6][3]));
      Operand<TFloat32> whole = tf.variable(tf.constant(new float[6][3]));
      List<Operand<TFloat32>> losses = new ArrayList<>();
      List<Operand<TFloat32>> ofWhole = new ArrayList<>();
      for (int device = 0; device < SQUARE.size(); device++) {
        Operand<TInt32> rows = tf.constant(new int[] {device, 5});
        losses.add(loss(tf, tf.gather(table.shard(device), rows, tf.constant(0)), device));
        ofWhole.add(loss(tf, tf.gather(whole, rows, tf.constant(0)), device));
      }
      Adafactor adafactor = Adafactor.builder(graph).mesh(SQUARE).clipnorm(0.5).build();
      Adafactor plain = Adafactor.builder(graph).clipnorm(0.5).name("Plain").build();
      GradAndVar<?> pair = adafactor.computeGradients(tf.math.addN(losses), List.of(table)).get(0);
      assertEquals(Shape.of(8), IndexedSlices.from(pair).orElseThrow().indices().shape());
      Op train = adafactor.applyGradients(List.of(pair), "train");
      Op trainWhole = plain.minimize(tf.math.addN(ofWhole), List.of(whole));
      try (Session session = new Session(graph, SQUARE.config())) {
        for (int step = 0; step < STEPS; step++) {
          session.run(train);
          session.run(trainWhole);
        }
        double[] expected = Elements.of(session, tf.dtypes.cast(whole, TFloat64.class));
        assertTrue(expected[0] != 0 && expected[12] == 0, Arrays.toString(expected));
        for (int device = 0; device < SQUARE.size(); device++) {
          double[] actual =
              Elements.of(session, tf.dtypes.cast(table.shard(device), TFloat64.class));
          Elements.assertClose(expected, actual, 1e-6);
        }
      }
    }
  }

  private static Operand<TFloat32> loss(Ops tf, Operand<TFloat32> rows, int device) {
    return tf.reduceSum(
        tf.math.mul(rows, tf.constant(new float[] {1, -2, device + 0.5f})),
        tf.constant(new int[] {0, 1}));
  }
}
