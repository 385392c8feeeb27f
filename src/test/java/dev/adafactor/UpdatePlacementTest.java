package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.DeviceSpec;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.DeviceStepStats;
import org.tensorflow.proto.NodeExecStats;
import org.tensorflow.proto.NodeOutput;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.proto.TensorShapeProto;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

/** On what devices the update runs, of several that a CPU is divided into. */
class UpdatePlacementTest {

  private static final int STEPS = 3;

  /** The variable on each device after the first. No two have a dimension in common. */
  private static final List<Shape> SHAPES =
      List.of(Shape.of(17, 19), Shape.of(23), Shape.of(29, 31, 37));

  private static final ConfigProto DEVICES =
      ConfigProto.newBuilder().putDeviceCount("CPU", 4).setAllowSoftPlacement(false).build();

  /** Variables with gradients on devices, a step, and a session. */
  private static final class Training implements AutoCloseable {
    private final Graph graph = new Graph();
    private final List<Output<? extends TType>> variables = new ArrayList<>();
    private final Adafactor adafactor;
    private final Op train;
    private final Session session;

    /**
     * @param on gives the scope of each variable: 1, 2 and 3; 0 is that of the gradients
     */
    Training(VariableKind kind, UnaryOperator<Adafactor.Builder> arguments, Placing on) {
      Ops tf = Ops.create(graph);
      List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
      for (int i = 0; i < SHAPES.size(); i++) {
        Ops beside = on.device(tf, i + 1);
        Operand<TFloat32> initial = random(beside.withInitScope(), SHAPES.get(i), 1);
        Output<? extends TType> variable = kind.create(beside, "w" + i, initial);
        variables.add(variable);
        pairs.add(pair(random(on.device(tf, 0), SHAPES.get(i), 2), variable));
      }
      adafactor = arguments.apply(Adafactor.builder(graph)).build();
      train = adafactor.applyGradients(pairs, "train");
      session = new Session(graph, true, DEVICES);
    }

    private static Operand<TFloat32> random(Ops tf, Shape shape, int seed) {
      return tf.random.statelessRandomNormal(
          tf.constant(shape.asArray()), tf.constant(new int[] {1, seed}), TFloat32.class);
    }

    @SuppressWarnings("unchecked") // The handle of a resource variable is typed as a resource.
    private static GradAndVar<? extends TType> pair(
        Operand<TFloat32> gradient, Output<?> variable) {
      return new GradAndVar<>(gradient.asOutput(), (Output<TFloat32>) variable);
    }

    /** The dimensions and device of each output of the optimizer's operations in a step. */
    List<Map.Entry<List<Long>, String>> step() {
      RunOptions trace =
          RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.FULL_TRACE).build();
      try (Result result =
          session.runner().addTarget(train).setOptions(trace).runAndFetchMetadata()) {
        List<Map.Entry<List<Long>, String>> outputs = new ArrayList<>();
        for (DeviceStepStats device :
            result.getMetadata().orElseThrow().getStepStats().getDevStatsList()) {
          for (NodeExecStats node : device.getNodeStatsList()) {
            if (node.getNodeName().startsWith(adafactor.getOptimizerName())) {
              for (NodeOutput output : node.getOutputList()) {
                TensorShapeProto shape = output.getTensorDescription().getShape();
                outputs.add(
                    Map.entry(
                        shape.getDimList().stream().map(TensorShapeProto.Dim::getSize).toList(),
                        device.getDevice().replaceFirst("^.*:CPU:", "")));
              }
            }
          }
        }
        return outputs;
      }
    }

    Snapshot snapshot() {
      return adafactor.snapshot(session);
    }

    @Override
    public void close() {
      session.close();
      graph.close();
    }
  }

  /** Which device a scope is on. */
  private interface Placing {
    Ops device(Ops tf, int i);

    Placing SPREAD =
        (tf, i) ->
            tf.withDevice(
                DeviceSpec.newBuilder()
                    .deviceType(DeviceSpec.DeviceType.CPU)
                    .deviceIndex(i)
                    .build());

    Placing NOWHERE = (tf, i) -> tf;
  }

  /** How many outputs that hold a part of a variable's size were on each device. */
  private static Map<String, Integer> devices(Training training, int variable) {
    List<Long> own =
        IntStream.range(0, SHAPES.get(variable).numDimensions())
            .mapToObj(i -> SHAPES.get(variable).get(i))
            .toList();
    Map<String, Integer> devices = new TreeMap<>();
    training.step().stream()
        .filter(output -> output.getKey().stream().anyMatch(own::contains))
        .forEach(output -> devices.merge(output.getValue(), 1, Integer::sum));
    return devices;
  }

  private static Adafactor.Builder everything(Adafactor.Builder builder) {
    return builder.weightDecay(0.01).useEma(true).emaOverwriteFrequency(2);
  }

  static Stream<Arguments> arguments() {
    return Stream.of(VariableKind.values())
        .flatMap(
            kind ->
                Stream.of(
                    Arguments.of(kind, named("clipnorm", b -> b.clipnorm(1))),
                    Arguments.of(kind, named("global", b -> b.globalClipnorm(1))),
                    Arguments.of(kind, named("tf_keras", b -> b.numerics(Numerics.TF_KERAS))),
                    Arguments.of(kind, named("compiled", b -> b.jitCompile(JitCompile.ALWAYS)))));
  }

  private static Named<UnaryOperator<Adafactor.Builder>> named(
      String name, UnaryOperator<Adafactor.Builder> arguments) {
    return Named.of(name, b -> arguments.apply(everything(b)));
  }

  @ParameterizedTest
  @MethodSource("arguments")
  void runsWhereTheVariablesAre(VariableKind kind, UnaryOperator<Adafactor.Builder> arguments) {
    try (Training training = new Training(kind, arguments, Placing.SPREAD)) {
      training.step();
      for (int i = 0; i < SHAPES.size(); i++) {
        Map<String, Integer> devices = devices(training, i);
        assertEquals(
            List.of(Integer.toString(i + 1)), List.copyOf(devices.keySet()), devices.toString());
        // The variable's slots, what is assigned to them, and some operations.
        assertTrue(devices.values().iterator().next() > 5, devices.toString());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("arguments")
  void givesTheBitsOfOneDevice(VariableKind kind, UnaryOperator<Adafactor.Builder> arguments) {
    try (Training spread = new Training(kind, arguments, Placing.SPREAD);
        Training together = new Training(kind, arguments, Placing.NOWHERE)) {
      for (int step = 0; step < STEPS; step++) {
        spread.step();
        together.step();
      }
      assertEquals(together.snapshot(), spread.snapshot());
    }
  }

  /** That the devices above are not those of any update. */
  @Test
  void runsWhereTensorFlowWantsWithoutDevices() {
    try (Training training =
        new Training(VariableKind.RESOURCE, UnaryOperator.identity(), Placing.NOWHERE)) {
      assertEquals(List.of("0"), List.copyOf(devices(training, 0).keySet()));
    }
  }
}
