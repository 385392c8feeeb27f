package dev.adafactor.bench;

import dev.adafactor.Adafactor;
import dev.adafactor.IndexedSlices;
import dev.adafactor.SessionConfig;
import dev.adafactor.bench.Variables.Trained;
import dev.adafactor.graph.CompiledCalls;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.parity.VariableKind;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.TensorFlow;
import org.tensorflow.framework.optimizers.Adam;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.RunMetadata;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.proto.StepStats;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

/** An optimizer of TensorFlow Java, in this process. */
final class GraphContender implements Contender {
  private static final String STEP = "step";

  /** Which operations run at the same time differs from step to step, and with it the peak. */
  private static final int TRACED_STEPS = STEPS_TO_BEGIN - 1;

  private static final RunOptions TRACE =
      RunOptions.newBuilder().setTraceLevel(RunOptions.TraceLevel.SOFTWARE_TRACE).build();

  /** Adds a step to the graph. */
  private interface Optimizer {
    Op addStep(Graph graph, Variables variables);
  }

  private final Graph graph = new Graph();
  private final Session session;
  private final List<Operand<TFloat32>> values = new ArrayList<>();
  private final Op step;
  private final Facts facts;
  private final StepProfile profile;
  private final Map<String, Long> stateBytes;

  private GraphContender(Workload workload, Keeping keeping, String version, Optimizer optimizer) {
    this.session = new Session(graph, keeping.holding().with(config(workload.threads())));
    try {
      Variables variables =
          new Variables(
              graph, workload.type().tensorType(), keeping, workload.shapes().parameters());
      Ops tf = Ops.create(graph);
      for (Trained each : variables.all()) {
        values.add(tf.dtypes.cast(each.value(), TFloat32.class));
      }
      variables.initialize(session);
      GraphSize before = GraphSize.of(graph);
      long start = System.nanoTime();
      this.step = optimizer.addStep(graph, variables);
      double build = millisSince(start);
      GraphSize added = GraphSize.of(graph).minus(before);
      session.initialize();
      double first = run(1)[0];
      StepStats last = trace();
      long peak = StepProfile.of(last).peakBytes();
      for (int i = 1; i < TRACED_STEPS; i++) {
        last = trace();
        peak = Math.max(peak, StepProfile.of(last).peakBytes());
      }
      this.profile = StepProfile.of(last);
      this.stateBytes = added.bytesByDevice();
      CompiledCalls compiled = CompiledCalls.of(graph, last);
      this.facts =
          new Facts(
              version,
              added.variableBytes(),
              // What XLA's programs allocate is in no record.
              compiled.calls() > 0 ? OptionalLong.empty() : OptionalLong.of(peak),
              OptionalInt.of(added.operations()),
              Optional.of(compiled),
              build,
              first);
    } catch (RuntimeException | Error e) {
      close();
      throw e;
    }
  }

  /** This library's optimizer, with tf_keras's default for every argument. */
  static GraphContender adafactor(Workload workload, Variant variant) {
    Keeping keeping = variant.keeping();
    return new GraphContender(
        workload,
        keeping,
        "TensorFlow Java, TensorFlow " + TensorFlow.version(),
        (graph, variables) ->
            keeping
                .holding()
                .with(Adafactor.builder(graph))
                .numerics(variant.numerics())
                .jitCompile(variant.jitCompile())
                .build()
                .applyGradients(variables.pairs(), STEP));
  }

  /**
   * The framework's own Adam. It knows reference variables and dense gradients only: the rows of a
   * sparse gradient are summed into a dense one, which is part of a step.
   */
  static GraphContender frameworkAdam(Workload workload) {
    return new GraphContender(
        workload,
        new InOnePiece(VariableKind.REFERENCE),
        "TensorFlow Java, TensorFlow " + TensorFlow.version(),
        (graph, variables) -> {
          Ops tf = Ops.create(graph);
          return new Adam(graph)
              .applyGradients(
                  variables.all().stream()
                      .<GradAndVar<? extends TType>>map(each -> dense(tf, each))
                      .toList(),
                  STEP);
        });
  }

  private static GradAndVar<? extends TType> dense(Ops tf, Trained trained) {
    return IndexedSlices.from(trained.pair())
        .<GradAndVar<? extends TType>>map(rows -> summed(tf, rows, trained))
        .orElse(trained.pair());
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // The gradient is of the variable's type.
  private static GradAndVar<? extends TType> summed(
      Ops tf, IndexedSlices<?> rows, Trained trained) {
    int count = Math.toIntExact(trained.parameter().shape().get(0));
    Operand<?> sums = tf.math.unsortedSegmentSum(rows.values(), rows.indices(), tf.constant(count));
    return new GradAndVar(sums.asOutput(), trained.pair().getVariable());
  }

  private static ConfigProto config(int threads) {
    return SessionConfig.forTraining().toBuilder()
        .setIntraOpParallelismThreads(threads)
        .setInterOpParallelismThreads(threads)
        .build();
  }

  private static double millisSince(long start) {
    return (System.nanoTime() - start) / 1e6;
  }

  private StepStats trace() {
    return run(TRACE).getStepStats();
  }

  private RunMetadata run(RunOptions options) {
    try (Result result =
        session.runner().addTarget(step).setOptions(options).runAndFetchMetadata()) {
      return result.getMetadata().orElseThrow();
    }
  }

  /** Of the last step that was traced. */
  StepProfile profile() {
    return profile;
  }

  /**
   * Takes a step and says what the devices have to do with it.
   *
   * @param mesh over which the variables are sharded
   * @param computed what they should send each other
   */
  Distribution distribution(Mesh mesh, Traffic computed) {
    int chain = TransferChain.before(graph.toGraphDef(), step.op().name(), mesh.devices().get(0));
    return Distribution.of(mesh, stateBytes, transfers(), computed, chain);
  }

  /** Takes a step and says what devices sent each other. */
  List<Transfer> transfers() {
    return Transfer.of(run(TRACE.toBuilder().setOutputPartitionGraphs(true).build()));
  }

  @Override
  public Facts facts() {
    return facts;
  }

  @Override
  public double[] run(int steps) {
    double[] millis = new double[steps];
    for (int i = 0; i < steps; i++) {
      long start = System.nanoTime();
      session.runner().addTarget(step).run().close();
      millis[i] = millisSince(start);
    }
    return millis;
  }

  @Override
  public float[] values() {
    int elements = Math.toIntExact(values.stream().mapToLong(each -> each.shape().size()).sum());
    float[] all = new float[elements];
    int next = 0;
    for (Operand<TFloat32> each : values) {
      try (Result result = session.runner().fetch(each).run()) {
        for (var scalar : ((TFloat32) result.get(0)).scalars()) {
          all[next++] = scalar.getFloat();
        }
      }
    }
    return all;
  }

  @Override
  public void close() {
    session.close();
    graph.close();
  }
}
