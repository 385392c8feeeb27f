package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.files.FirstFew;
import dev.adafactor.graph.Group;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.graph.VariableView;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.SpreadVariables;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TType;

/** The operations of a training job in a model's graph, and the session that runs them. */
final class TrainingGraph {

  /** What a step came to: its batch before the update, the rate of the update, and a report. */
  record Stepped(
      Measures.Values measured, double learningRate, Optional<UpdateReport> updateReport) {}

  /**
   * The random numbers of a run.
   *
   * @param placeholders take seed and draw, each for the part of a batch that a device computes;
   *     none if the model draws none
   */
  record Randomness(List<Output<?>> placeholders, long seed) {}

  /** The draw of every evaluation; those of the steps count from 1. */
  private static final long EVALUATION = 0;

  private static final int NAMES_SHOWN = 5;

  private final Session session;
  private final StepFunction function;
  private final Randomness randomness;
  private final int partsPerStep;
  private final Op checked;
  private final Update update;
  private final Optional<VariableWatch> watch;
  private final Op finish;
  private final Operand<TInt64> iterations;
  private final Finiteness finite;
  private final Finiteness trainable;

  /**
   * Adds the optimizer's operations and initializes its variables.
   *
   * @param function what a step computes
   * @param variables all of the model
   * @param spread how the optimizer takes them
   * @param partsPerStep how many parts a step's batch comes in, at most
   * @param wish what is told of the variables
   */
  TrainingGraph(
      Session session,
      Adafactor adafactor,
      StepFunction function,
      List<ModelVariable> variables,
      SpreadVariables spread,
      int partsPerStep,
      Randomness randomness,
      VariableWatch.Wish wish) {
    Ops tf = Ops.create(session.graph());
    this.session = session;
    this.function = function;
    this.partsPerStep = partsPerStep;
    this.randomness = randomness;
    Measures measures = function.measures();
    List<Op> measured = new ArrayList<>(measures.accuracy());
    measured.add(tf.debugging.checkNumerics(measures.loss(), "the loss"));
    // TensorFlow fuses a ReLU with what comes before it, and a fused one makes 0 of NaN: the loss
    // might not tell.
    this.trainable = Finiteness.ofSquares(tf, values(tf, trained(function, variables)));
    measured.add(
        tf.assertThat(
            tf.reduceAll(trainable.each(), tf.constant(0)),
            List.of(tf.constant("a variable is not finite"))));
    this.checked = Group.of(tf, measured);
    this.update =
        partsPerStep == 1
            ? Update.AtOnce.of(tf, function, adafactor, spread, checked)
            : Update.OfParts.of(tf, function, adafactor, spread);
    this.watch =
        wish.detail() == VariableDetail.NONE
            ? Optional.empty()
            : Optional.of(
                new VariableWatch(session, adafactor, updated(function, variables), spread, wish));
    this.iterations = adafactor.iterations();
    this.finish = spread.gather(adafactor.finalizeVariableValues());
    this.finite = Finiteness.of(tf, values(tf, variables));
    session.initialize();
  }

  private static List<ModelVariable> trained(StepFunction function, List<ModelVariable> variables) {
    return of(function.gradients().stream(), variables);
  }

  /** Those that are trained and have a gradient. */
  private static List<ModelVariable> updated(StepFunction function, List<ModelVariable> variables) {
    return of(
        function.gradients().stream().filter(pair -> StepFunction.isPresent(pair.getGradient())),
        variables);
  }

  private static List<ModelVariable> of(
      Stream<GradAndVar<? extends TType>> gradients, List<ModelVariable> variables) {
    Set<String> names =
        gradients.map(pair -> pair.getVariable().op().name()).collect(Collectors.toSet());
    return variables.stream()
        .filter(variable -> names.contains(variable.handle().op().name()))
        .toList();
  }

  private static List<Finiteness.Named> values(Ops tf, List<ModelVariable> variables) {
    return variables.stream()
        .filter(variable -> VariableView.isFloating(variable.dtype()))
        .map(
            variable ->
                new Finiteness.Named(
                    variable.name(),
                    StepFunction.numeric(
                        new RawVariable(variable.handle(), variable.dtype()).read(tf))))
        .toList();
  }

  /**
   * Trains on a batch.
   *
   * @param number of the step, from 1
   * @param reader gives the batch, in parts as they come
   * @param examples of the whole batch
   * @throws NotFiniteBatchException if the loss is not finite; what is trained is left as it was
   */
  Stepped step(long number, BatchReader reader, int examples) {
    watch.ifPresent(each -> each.before(number));
    try {
      return update instanceof Update.OfParts parts
          ? inParts(parts, number, reader, examples)
          : atOnce(number, reader);
    } finally {
      watch.ifPresent(VariableWatch::forget);
    }
  }

  private long draw(long number) {
    return (number - 1) * partsPerStep + 1;
  }

  private Stepped inParts(Update.OfParts parts, long number, BatchReader reader, int examples) {
    long draw = draw(number);
    Measures.Values sum = new Measures.Values(0, OptionalDouble.empty());
    for (int done = 0; done < examples; draw++) {
      try (Examples.Batch part = reader.next()) {
        float share = (float) part.size() / examples;
        Op gradients = done == 0 ? parts.first() : parts.next();
        sum = sum.plus(share, accumulate(parts.share(), part, share, gradients, draw));
        done += part.size();
      }
    }
    try (Result result = updating().run()) {
      return stepped(number, sum, result);
    }
  }

  private Stepped atOnce(long number, BatchReader reader) {
    try (Examples.Batch batch = reader.next();
        Result result = train(updating(), batch, draw(number))) {
      return stepped(number, function.measures().read(result, watch.isPresent() ? 2 : 1), result);
    }
  }

  /** Fetches what is known of the update, and so does it. */
  private Session.Runner updating() {
    Session.Runner runner = session.runner().fetch(update.rate());
    watch.ifPresent(each -> runner.fetch(each.numbers()));
    return runner;
  }

  private Stepped stepped(long number, Measures.Values measured, Result result) {
    return new Stepped(
        measured,
        ((TFloat32) result.get(0)).getFloat(),
        watch.flatMap(each -> each.after(number, (TFloat32) result.get(1))));
  }

  private Measures.Values accumulate(
      Placeholder<TFloat32> shareInput, Examples.Batch part, float share, Op gradients, long draw) {
    try (TFloat32 value = TFloat32.scalarOf(share);
        Result result =
            train(session.runner().feed(shareInput, value).addTarget(gradients), part, draw)) {
      return function.measures().read(result, 0);
    }
  }

  private Result train(Session.Runner runner, Examples.Batch batch, long draw) {
    runner.addTarget(checked);
    function.updates().ifPresent(runner::addTarget);
    try {
      return run(runner, function.measures(), batch, draw);
    } catch (TFInvalidArgumentException e) {
      double loss = lossBesideGradients(batch, draw);
      if (!Double.isFinite(loss)) {
        throw new NotFiniteBatchException(loss, reason(batch, draw), e);
      }
      if (!trainable.violations(session.runner()).isEmpty()) {
        throw new NotFiniteBatchException(Double.NaN, reason(batch, draw), e);
      }
      throw e;
    }
  }

  /**
   * The loss as a step computes it. Without the gradients TensorFlow might fuse operations, and a
   * fused ReLU makes 0 of NaN.
   */
  private double lossBesideGradients(Examples.Batch batch, long draw) {
    Session.Runner runner = session.runner();
    function.gradients().stream()
        .map(GradAndVar::getGradient)
        .filter(StepFunction::isPresent)
        .forEach(gradient -> runner.addTarget(gradient.op()));
    try (Result result = run(runner, function.measures(), batch, draw)) {
      return function.measures().read(result, 0).loss();
    }
  }

  /** Whether to measure a batch as a step does changes something beside what is trained. */
  boolean changesWhatItMeasures() {
    return function.updates().isPresent();
  }

  /** Measures a batch as a step does, and trains nothing. */
  Measures.Values evaluate(Examples.Batch batch) {
    return evaluate(function.measures(), batch);
  }

  /** Measures a batch, and trains nothing. */
  Measures.Values evaluate(Measures measures, Examples.Batch batch) {
    return measure(measures, batch, EVALUATION);
  }

  private Measures.Values measure(Measures measures, Examples.Batch batch, long draw) {
    try (Result result = run(session.runner(), measures, batch, draw)) {
      return measures.read(result, 0);
    }
  }

  private Result run(Session.Runner runner, Measures measures, Examples.Batch batch, long draw) {
    batch.feed(runner);
    measures.fetch(runner);
    return drawing(runner, draw, Session.Runner::run);
  }

  /** Does something with the random numbers of a draw. */
  private <T> T drawing(Session.Runner runner, long draw, Function<Session.Runner, T> action) {
    int devices = randomness.placeholders().size();
    List<TInt64> fed = new ArrayList<>();
    try {
      for (Output<?> placeholder : randomness.placeholders()) {
        // Each has draws of its own; of a single one they are those of the batches.
        TInt64 numbers = TInt64.vectorOf(randomness.seed(), (draw - 1) * devices + 1 + fed.size());
        fed.add(numbers);
        runner.feed(placeholder, numbers);
      }
      return action.apply(runner);
    } finally {
      fed.forEach(TInt64::close);
    }
  }

  /** Where a loss that is not finite comes from, as far as can be told. */
  private String reason(Examples.Batch batch, long draw) {
    List<String> variables = variablesNotFinite();
    if (!variables.isEmpty()) {
      return "not finite are the variables " + shortened(variables);
    }
    List<String> large = trainable.violations(session.runner());
    if (!large.isEmpty()) {
      return "the squares of variables do not fit into their type: " + shortened(large);
    }
    // Built for the one occasion: these operations would double those of the gradients.
    Ops tf = Ops.create(session.graph());
    List<Finiteness.Named> gradients = new ArrayList<>();
    for (GradAndVar<? extends TType> pair : function.gradients()) {
      if (StepFunction.isPresent(pair.getGradient())) {
        gradients.add(
            new Finiteness.Named(
                VariableView.of(session.graph(), pair.getVariable()).name(),
                StepFunction.numeric(pair.getGradient())));
      }
    }
    Session.Runner runner = session.runner();
    batch.feed(runner);
    List<String> names =
        drawing(runner, draw, ready -> Finiteness.of(tf, gradients).violations(ready));
    return names.isEmpty()
        ? "all variables and gradients are finite: the data or the loss make it so"
        : "the variables are finite, not so the gradients of " + shortened(names);
  }

  /** The first few of the names. */
  static String shortened(List<String> names) {
    return FirstFew.of(names, NAMES_SHOWN).asList();
  }

  /** The names of the model's variables that have a value which is NaN or infinite. */
  List<String> variablesNotFinite() {
    return finite.violations(session.runner());
  }

  /** How many steps the optimizer has done. */
  long iterations() {
    try (Result result = session.runner().fetch(iterations).run()) {
      return ((TInt64) result.get(0)).getLong();
    }
  }

  /** Gives the variables their final values: the moving averages, where they are in use. */
  void finish() {
    session.run(finish);
  }
}
