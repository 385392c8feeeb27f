package dev.adafactor;

import dev.adafactor.schedules.ConfigurableSchedule;
import dev.adafactor.schedules.LearningRateSchedule;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/** The learning rate in a graph: a number, which can be changed there, or a schedule. */
final class LearningRate {

  private final LearningRateSchedule given;
  private final Ops ops;
  private final Variable<TInt64> iterations;
  private final Variable<TFloat32> variable;
  private final Placeholder<TFloat32> fed;
  private final Op setting;

  /** The number last set; 0 with a schedule. */
  private volatile float last;

  /**
   * Adds the variable to the graph, and its initializer.
   *
   * @param given a schedule; a {@link AdafactorConfig.Constant} for a number
   * @param iterations the number of steps taken
   */
  LearningRate(LearningRateSchedule given, Ops ops, Variable<TInt64> iterations) {
    this.given = given;
    this.ops = ops;
    this.iterations = iterations;
    this.last = given instanceof AdafactorConfig.Constant constant ? constant.value() : 0;
    Ops init = ops.withInitScope();
    this.variable =
        init.withName(isSchedule() ? "current_learning_rate" : "learning_rate")
            .variable(Shape.scalar(), TFloat32.class);
    init.assign(variable, first(init));
    this.fed = ops.placeholder(TFloat32.class, Placeholder.shape(Shape.scalar()));
    this.setting = ops.assign(variable, fed);
  }

  /** The rate before the first step; a user's own schedule may need what is fed with each step. */
  private Operand<TFloat32> first(Ops init) {
    return given instanceof ConfigurableSchedule schedule
        ? schedule.learningRate(init, init.constant(0L))
        : init.constant(last);
  }

  /** Whether it is a schedule, and not a number. */
  boolean isSchedule() {
    return !(given instanceof AdafactorConfig.Constant);
  }

  /** The rate, a scalar; of a schedule, that of the last step. */
  Variable<TFloat32> variable() {
    return variable;
  }

  /** The schedule, or the number set last. */
  LearningRateSchedule current() {
    return isSchedule() ? given : new AdafactorConfig.Constant(last);
  }

  /**
   * What a step has.
   *
   * @param value the learning rate as it is, not the relative step
   * @param kept when it is in the variable
   */
  record OfStep(Operand<TFloat32> value, Op kept) {}

  /**
   * Adds the operations of a step.
   *
   * @param gate runs when every gradient is known: nothing is written before
   */
  OfStep next(Op gate) {
    // The schedule's rate itself, not the variable read after it is set: Grappler moves a cast to a
    // narrower type before the read, where no control dependency holds it back.
    Operand<TFloat32> value = isSchedule() ? scheduled() : variable;
    Ops gated = ops.withControlDependencies(List.of(gate));
    return new OfStep(value, isSchedule() ? gated.assign(variable, value) : variable);
  }

  private Operand<TFloat32> scheduled() {
    Operand<TFloat32> scheduled = given.learningRate(ops, iterations);
    if (scheduled == null || !scheduled.shape().isCompatibleWith(Shape.scalar())) {
      throw new IllegalArgumentException(
          "the schedule of `learning_rate` must give a scalar. Received: "
              + (scheduled == null ? null : scheduled.asOutput()));
    }
    return scheduled;
  }

  /**
   * Changes the number from the next step on.
   *
   * @param session its monitor is held meanwhile
   * @throws IllegalStateException if it is a schedule
   * @throws IllegalArgumentException if the rate is not finite
   */
  void set(Session session, double rate) {
    if (isSchedule()) {
      throw new IllegalStateException(
          "This optimizer was created with a `LearningRateSchedule` object as its `learning_rate`"
              + " constructor argument, hence its learning rate is not settable. If you need the"
              + " learning rate to be settable, you should instantiate the optimizer with a float"
              + " `learning_rate` argument.");
    }
    new Argument("learning_rate", rate).requireFiniteFloat();
    try (TFloat32 value = TFloat32.scalarOf((float) rate)) {
      synchronized (session) {
        session.runner().feed(fed, value).addTarget(setting).run();
        note((float) rate);
      }
    }
  }

  /** Takes note of what the variable was set to. */
  void note(float rate) {
    if (!isSchedule()) {
      last = rate;
    }
  }
}
