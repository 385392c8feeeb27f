package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.UpdateStatistics;
import dev.adafactor.finetune.UpdateReport.Distributions;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.SpreadVariables;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TNumber;

/**
 * Watches the updates of variables: reads their numbers in the run of each step, and gives a report
 * of the first and then every so many steps.
 */
final class VariableWatch {

  /**
   * What is wanted.
   *
   * @param every the steps that a report is of are its multiples, and the first
   */
  record Wish(VariableDetail detail, int every) {}

  /** The numbers that are the same for all variables; they come before those of the variables. */
  private static final int SHARED = 2;

  private static final int PER_VARIABLE = 4;

  private final Session session;
  private final Wish wish;
  private final List<String> names;

  /** rho and beta2; then alpha, rms of update and variable, and clipping, of each variable. */
  private final Operand<TFloat32> numbers;

  /** Of each variable, with histograms. */
  private final List<Distributed<?>> distributed;

  /** Of each variable, since the last report. */
  private final int[] clipped;

  /** Since the last report. */
  private int steps;

  /** The variables before a step that is to be reported. */
  private Optional<Result> before = Optional.empty();

  /**
   * Adds what is to be read to the graph.
   *
   * @param variables those that the optimizer has an update of, one or more
   * @param spread how it takes them
   */
  VariableWatch(
      Session session,
      Adafactor adafactor,
      List<ModelVariable> variables,
      SpreadVariables spread,
      Wish wish) {
    Ops tf = Ops.create(session.graph());
    this.session = session;
    this.wish = wish;
    this.names = distinct(variables.stream().map(ModelVariable::name).toList());
    this.numbers =
        numbers(
            tf,
            variables.stream()
                .<UpdateStatistics<?>>map(
                    variable -> adafactor.statistics(spread.trained(variable.handle())))
                .toList());
    this.distributed =
        wish.detail() == VariableDetail.HISTOGRAMS
            ? variables.stream()
                .<Distributed<?>>map(variable -> Distributed.of(tf, variable))
                .toList()
            : List.of();
    this.clipped = new int[variables.size()];
  }

  private static List<String> distinct(List<String> names) {
    Set<String> distinct = new LinkedHashSet<>();
    for (String name : names) {
      String free = name;
      for (int i = 1; !distinct.add(free); i++) {
        free = name + "_" + i;
      }
    }
    return List.copyOf(distinct);
  }

  private static Operand<TFloat32> numbers(Ops tf, List<UpdateStatistics<?>> updates) {
    List<Operand<? extends TNumber>> numbers = new ArrayList<>();
    for (UpdateStatistics<?> statistics : updates) {
      if (numbers.isEmpty()) {
        numbers.add(statistics.rho());
        numbers.add(statistics.beta2());
      }
      numbers.add(statistics.alpha());
      numbers.add(statistics.updateRms());
      numbers.add(statistics.variableRms());
      numbers.add(statistics.clipping());
    }
    return tf.stack(numbers.stream().map(number -> single(tf, number)).toList());
  }

  @SuppressWarnings("unchecked") // Of that type already.
  private static Operand<TFloat32> single(Ops tf, Operand<? extends TNumber> x) {
    return x.type() == TFloat32.class ? (Operand<TFloat32>) x : tf.dtypes.cast(x, TFloat32.class);
  }

  /**
   * The elements of a variable in the graph.
   *
   * @param copy the elements before the step
   * @param given where they are fed after it
   */
  private record Distributed<T extends TNumber>(
      Operand<T> copy, Placeholder<T> given, Operand<TFloat32> values, Operand<TFloat32> changes) {

    static Distributed<?> of(Ops tf, ModelVariable variable) {
      return of(
          tf,
          StepFunction.numeric(new RawVariable(variable.handle(), variable.dtype()).read(tf)),
          variable);
    }

    private static <T extends TNumber> Distributed<T> of(
        Ops tf, Operand<T> value, ModelVariable variable) {
      Placeholder<T> given = tf.placeholder(value.type(), Placeholder.shape(variable.shape()));
      return new Distributed<>(
          tf.deepCopy(value),
          given,
          single(tf, value),
          variable.dtype() == DataType.DT_DOUBLE
              ? single(tf, tf.math.sub(value, given))
              : tf.math.sub(single(tf, value), single(tf, given)));
    }

    Distributions read(Result result, int index) {
      return new Distributions(histogram(result, index), histogram(result, index + 1));
    }

    private static Histogram histogram(Result result, int index) {
      return Histogram.of(((TFloat32) result.get(index)).asRawTensor().data().asFloats());
    }
  }

  /** The first step is: a job may have no more than a few. */
  private boolean isDue(long step) {
    return step == 1 || step % wish.every() == 0;
  }

  /** To be called before the run of a step. */
  void before(long step) {
    if (isDue(step) && !distributed.isEmpty()) {
      Session.Runner runner = session.runner();
      distributed.forEach(each -> runner.fetch(each.copy()));
      before = Optional.of(runner.run());
    }
  }

  /** To be called after a step, however it ended: gives the copies of the variables back. */
  void forget() {
    before.ifPresent(Result::close);
    before = Optional.empty();
  }

  /** What the run of a step fetches. */
  Operand<TFloat32> numbers() {
    return numbers;
  }

  /**
   * Takes what the run of a step gave for {@link #numbers}.
   *
   * @return the report, if one is due
   */
  Optional<UpdateReport> after(long step, TFloat32 fetched) {
    float[] read = new float[SHARED + PER_VARIABLE * names.size()];
    fetched.asRawTensor().data().asFloats().read(read);
    steps++;
    for (int i = 0; i < clipped.length; i++) {
      if (read[SHARED + PER_VARIABLE * i + 3] > 1) {
        clipped[i]++;
      }
    }
    if (!isDue(step)) {
      return Optional.empty();
    }
    List<Distributions> distributions = distributions();
    List<UpdateReport.Variable> variables = new ArrayList<>();
    for (int i = 0; i < clipped.length; i++) {
      int first = SHARED + PER_VARIABLE * i;
      variables.add(
          new UpdateReport.Variable(
              names.get(i),
              read[first],
              read[first + 1],
              read[first + 2],
              (double) clipped[i] / steps,
              distributions.isEmpty() ? Optional.empty() : Optional.of(distributions.get(i))));
      clipped[i] = 0;
    }
    steps = 0;
    return Optional.of(
        new UpdateReport(step, wish.detail(), read[0], read[1], List.copyOf(variables)));
  }

  private List<Distributions> distributions() {
    if (before.isEmpty()) {
      return List.of();
    }
    Session.Runner runner = session.runner();
    for (int i = 0; i < distributed.size(); i++) {
      Distributed<?> each = distributed.get(i);
      runner.feed(each.given(), before.get().get(i)).fetch(each.values()).fetch(each.changes());
    }
    List<Distributions> distributions = new ArrayList<>();
    try (Result result = runner.run()) {
      for (int i = 0; i < distributed.size(); i++) {
        distributions.add(distributed.get(i).read(result, 2 * i));
      }
    }
    return distributions;
  }
}
