package dev.adafactor.parity;

import dev.adafactor.Adafactor;
import dev.adafactor.JitCompile;
import dev.adafactor.Numerics;
import dev.adafactor.files.PythonJson;
import dev.adafactor.graph.ErrorLine;
import dev.adafactor.mesh.ClusterException;
import dev.adafactor.schedules.ScheduleRegistry;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.GraphOptions;
import org.tensorflow.proto.RewriterConfig;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/** Does here what a case says that tf_keras did. */
public final class Replay {
  /**
   * Neither rewriting of the graph nor threads that share a reduction: both change the order of
   * additions.
   */
  private static final ConfigProto EXACT =
      ConfigProto.newBuilder()
          .setIntraOpParallelismThreads(1)
          .setInterOpParallelismThreads(1)
          .setGraphOptions(
              GraphOptions.newBuilder()
                  .setRewriteOptions(RewriterConfig.newBuilder().setDisableMetaOptimizer(true)))
          .build();

  private static final ScheduleRegistry SCHEDULES =
      ScheduleRegistry.standard().with(NoamSchedule.NAME, NoamSchedule::of);

  private final Numerics numerics;
  private final Holding holding;
  private final Host host;

  /**
   * @param numerics which operations compute the update
   * @param holding of the variables to be trained
   * @param host on which the devices of the holding are
   */
  public Replay(Numerics numerics, Holding holding, Host host) {
    this.numerics = numerics;
    this.holding = holding;
    this.host = host;
  }

  /**
   * Replays a case in a graph and a session of its own. What goes wrong is part of the outcome.
   *
   * @throws ClusterException if a process of the host is lost: then nothing is known of the case
   * @throws IllegalArgumentException if one has become that of another cluster
   */
  public Replayed replay(Case input) {
    try (Graph graph = new Graph()) {
      return new Replayed(input, new Outcome.Completed(new Run(graph, input).trajectory()));
    } catch (ClusterException e) {
      throw e;
    } catch (RuntimeException e) {
      host.requireUsable();
      // Whatever the optimizer or TensorFlow objects to: the other cases go on.
      return new Replayed(input, new Outcome.Failed(ErrorLine.of(e)));
    }
  }

  /** The graph of one case. */
  private final class Run {
    private final Graph graph;
    private final Ops tf;
    private final Case input;
    private final List<Operand<? extends TType>> variables = new ArrayList<>();
    private final Adafactor adafactor;
    private final List<GradientInput<?>> gradients = new ArrayList<>();

    /** Which variables have a gradient, and of which kind, decides what a step consists of. */
    private final Map<List<Class<?>>, Op> steps = new HashMap<>();

    private final List<VariableFetch> fetches = new ArrayList<>();

    Run(Graph graph, Case input) {
      this.graph = graph;
      this.tf = Ops.create(graph);
      this.input = input;
      List<String> names = names();
      for (int i = 0; i < names.size(); i++) {
        CaseVariable variable = input.variables().get(i);
        Operand<? extends TType> handle = holding.declare(tf, names.get(i), constant(variable));
        variables.add(handle);
        gradients.add(
            new GradientInput<>(tf, variable, holding, handle, variable.type().tensorType()));
      }
      adafactor = optimizer();
      for (Step step : input.steps()) {
        steps.computeIfAbsent(pattern(step), pattern -> train(step));
      }
      for (int i = 0; i < variables.size(); i++) {
        fetches.add(fetch(variables.get(i), input.variables().get(i)));
      }
    }

    /** What the variables are called in the graph. */
    private List<String> names() {
      List<String> names = new ArrayList<>();
      Set<String> taken = new HashSet<>();
      boolean byName = input.exclusion() instanceof Exclusion.ByName;
      for (CaseVariable variable : input.variables()) {
        String clean = variable.name().replaceAll("[^A-Za-z0-9_./-]", "_");
        if (!clean.matches("[A-Za-z0-9.].*")) {
          clean = "variable" + clean;
        }
        String name = clean;
        for (int suffix = 1; !taken.add(name); suffix++) {
          name = clean + "_" + suffix;
        }
        if (byName && !name.equals(variable.name())) {
          throw new IllegalArgumentException(
              "variables are excluded by name, but '"
                  + variable.name()
                  + "' is no unique name of an operation in a graph");
        }
        names.add(name);
      }
      return names;
    }

    private Operand<? extends TNumber> constant(CaseVariable variable) {
      try (TNumber tensor = variable.initial().toTensor(variable.shape())) {
        return tf.constantOf(tensor);
      }
    }

    private Adafactor optimizer() {
      Adafactor.Builder builder =
          holding
              .with(Adafactor.fromConfig(graph, PythonJson.text(input.settings()), SCHEDULES))
              .numerics(numerics)
              .jitCompile(JitCompile.OFF);
      if (input.exclusion() instanceof Exclusion.ByName names) {
        builder.excludeFromWeightDecay(names.regexes().toArray(String[]::new));
      } else if (input.exclusion() instanceof Exclusion.ByVariable indices) {
        builder.excludeFromWeightDecay(indices.indices().stream().map(variables::get).toList());
      }
      return builder.build();
    }

    private List<Class<?>> pattern(Step step) {
      List<Class<?>> pattern = new ArrayList<>();
      step.gradients().forEach(gradient -> pattern.add(gradient.getClass()));
      return pattern;
    }

    private Op train(Step step) {
      List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
      for (int i = 0; i < variables.size(); i++) {
        pairs.add(gradients.get(i).pair(step.gradients().get(i)));
      }
      return adafactor.applyGradients(pairs, "train_" + steps.size());
    }

    private VariableFetch fetch(Operand<? extends TType> handle, CaseVariable variable) {
      Optional<Operand<?>> r = Optional.empty();
      Optional<Operand<?>> c = Optional.empty();
      if (variable.isFactored()) {
        r = Optional.of(slot(handle, variable, Adafactor.R));
        c = Optional.of(slot(handle, variable, Adafactor.C));
      }
      return new VariableFetch(
          variable.type(),
          holding.read(tf, handle, variable.type().tensorType()),
          adafactor.secondMoment(handle),
          r,
          c,
          input.usesEma()
              ? Optional.of(slot(handle, variable, Adafactor.AVERAGE))
              : Optional.empty());
    }

    /** A slot in the type of the variable, which it may be wider than. */
    private Operand<?> slot(Operand<?> handle, CaseVariable variable, String name) {
      Operand<? extends TNumber> slot = adafactor.readSlot(handle, name).orElseThrow();
      return tf.dtypes.cast(slot, variable.type().tensorType());
    }

    Trajectory trajectory() {
      Placeholder<TInt64> iterations = tf.placeholder(TInt64.class);
      Op setIterations = tf.assign(adafactor.iterations(), iterations);
      Op finalize = adafactor.finalizeVariableValues();
      return host.run(
          graph,
          holding.with(EXACT),
          session -> {
            try (TInt64 initial = TInt64.scalarOf(input.initialIterations())) {
              session.runner().feed(iterations, initial).addTarget(setIterations).run().close();
            }
            List<State> states = new ArrayList<>();
            for (Step step : input.steps()) {
              step.newLearningRate().ifPresent(rate -> adafactor.setLearningRate(session, rate));
              take(session, step);
              states.add(state(session));
            }
            session.run(finalize);
            return new Trajectory(
                states, state(session).variables().stream().map(VariableState::value).toList());
          });
    }

    private void take(Session session, Step step) {
      Session.Runner runner = session.runner().addTarget(steps.get(pattern(step)));
      List<Tensor> fed = new ArrayList<>();
      try {
        for (int i = 0; i < variables.size(); i++) {
          fed.addAll(gradients.get(i).feed(runner, step.gradients().get(i)));
        }
        runner.run().close();
      } finally {
        fed.forEach(Tensor::close);
      }
    }

    private State state(Session session) {
      Session.Runner runner = session.runner();
      fetches.forEach(fetch -> fetch.addTo(runner));
      runner.fetch(adafactor.iterations()).fetch(adafactor.learningRate());
      try (Result result = runner.run()) {
        Iterator<Tensor> fetched =
            IntStream.range(0, result.size()).mapToObj(result::get).iterator();
        return new State(
            fetches.stream().map(fetch -> fetch.read(fetched)).toList(),
            ((TInt64) fetched.next()).getLong(),
            Values.copyOf(ElementType.FLOAT32, fetched.next()));
      }
    }
  }
}
