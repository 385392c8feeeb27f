package dev.adafactor.bench;

import dev.adafactor.Adafactor;
import dev.adafactor.IndexedSlices;
import dev.adafactor.bench.Variables.Trained;
import dev.adafactor.graph.CompiledCalls;
import dev.adafactor.parity.VariableKind;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.TensorFlow;
import org.tensorflow.framework.optimizers.Adam;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.RunOptions;
import org.tensorflow.proto.StepStats;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;
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
    Op addStep(Graph graph, List<Trained> variables);
  }

  private final Graph graph = new Graph();
  private final Session session;
  private final List<Operand<TFloat32>> values = new ArrayList<>();
  private final Op step;
  private final Facts facts;
  private final StepProfile profile;

  private GraphContender(
      Workload workload, VariableKind kind, String version, Optimizer optimizer) {
    this.session = new Session(graph, config(workload.threads()));
    try {
      Variables variables =
          new Variables(graph, workload.type().tensorType(), kind, workload.shapes().parameters());
      Ops tf = Ops.create(graph);
      for (Trained each : variables.all()) {
        values.add(tf.dtypes.cast(each.value(), TFloat32.class));
      }
      variables.initialize(session);
      GraphSize before = GraphSize.of(graph);
      long start = System.nanoTime();
      this.step = optimizer.addStep(graph, variables.all());
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
    return new GraphContender(
        workload,
        variant.variables(),
        "TensorFlow Java, TensorFlow " + TensorFlow.version(),
        (graph, variables) -> {
          Adafactor adafactor =
              Adafactor.builder(graph)
                  .numerics(variant.numerics())
                  .jitCompile(variant.jitCompile())
                  .build();
          List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
          for (Trained each : variables) {
            pairs.add(
                each.rows().isPresent()
                    ? new IndexedSlices<>(each.gradient(), each.rows().get()).of(each.variable())
                    : pair(each.gradient().asOutput(), each.variable()));
          }
          return adafactor.applyGradients(pairs, STEP);
        });
  }

  /**
   * The framework's own Adam. It knows reference variables and dense gradients only: the rows of a
   * sparse gradient are summed into a dense one, which is part of a step.
   */
  static GraphContender frameworkAdam(Workload workload) {
    return new GraphContender(
        workload,
        VariableKind.REFERENCE,
        "TensorFlow Java, TensorFlow " + TensorFlow.version(),
        (graph, variables) -> {
          Ops tf = Ops.create(graph);
          List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
          for (Trained each : variables) {
            Operand<? extends TNumber> gradient =
                each.rows().isPresent() ? dense(tf, each, each.rows().get()) : each.gradient();
            pairs.add(pair(gradient.asOutput(), each.variable()));
          }
          return new Adam(graph).applyGradients(pairs, STEP);
        });
  }

  private static Operand<? extends TNumber> dense(Ops tf, Trained of, Operand<TInt32> rows) {
    int count = Math.toIntExact(of.parameter().shape().get(0));
    return tf.math.unsortedSegmentSum(of.gradient(), rows, tf.constant(count));
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // The handle of a variable has a type of its own.
  private static GradAndVar<? extends TType> pair(Output<?> gradient, Output<?> variable) {
    return new GradAndVar(gradient, variable);
  }

  private static ConfigProto config(int threads) {
    return ConfigProto.newBuilder()
        .setIntraOpParallelismThreads(threads)
        .setInterOpParallelismThreads(threads)
        .build();
  }

  private static double millisSince(long start) {
    return (System.nanoTime() - start) / 1e6;
  }

  private StepStats trace() {
    try (Result result = session.runner().addTarget(step).setOptions(TRACE).runAndFetchMetadata()) {
      return result.getMetadata().orElseThrow().getStepStats();
    }
  }

  /** Of the last step that was traced. */
  StepProfile profile() {
    return profile;
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
