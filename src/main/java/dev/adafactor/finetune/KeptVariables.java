package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.savedmodel.ModelVariable;
import java.util.ArrayList;
import java.util.List;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.family.TType;

/**
 * Keeps the values that a model's variables, and their moving averages where they are in use, have
 * at one time, to give them back at a later one. It takes as much memory as these.
 */
final class KeptVariables {
  private final Session session;
  private final Op keep;
  private final Op restore;

  /**
   * Adds the operations.
   *
   * @param name what they are kept for, unique in the session
   */
  KeptVariables(String name, Session session, List<ModelVariable> variables, Adafactor adafactor) {
    this.session = session;
    Ops tf = Ops.create(session.graph());
    List<Op> keeping = new ArrayList<>();
    List<Op> restoring = new ArrayList<>();
    for (ModelVariable variable : variables) {
      RawVariable current = new RawVariable(variable.handle(), variable.dtype());
      RawVariable kept =
          RawVariable.create(tf, name(name, keeping), variable.dtype(), variable.shape());
      // The memory is shared until one of the two is written to, which takes a copy then.
      keeping.add(kept.assign(tf, current.read(tf)));
      restoring.add(current.assign(tf, kept.read(tf)));
    }
    for (ModelVariable variable : variables) {
      adafactor
          .getSlot(variable.handle(), Adafactor.AVERAGE)
          .ifPresent(average -> add(tf, name, average, keeping, restoring));
    }
    this.keep = tf.withControlDependencies(keeping).noOp();
    this.restore = tf.withControlDependencies(restoring).noOp();
  }

  private static <T extends TType> void add(
      Ops tf, String name, Variable<T> average, List<Op> keeping, List<Op> restoring) {
    // A reference variable is written to in place.
    Output<T> copy = tf.deepCopy(average).asOutput();
    RawVariable kept = RawVariable.create(tf, name(name, keeping), copy.dataType(), copy.shape());
    keeping.add(kept.assign(tf, copy));
    restoring.add(tf.assign(average, typed(kept.read(tf))));
  }

  private static String name(String name, List<Op> before) {
    return "fine_tuning/%s/%d".formatted(name, before.size());
  }

  @SuppressWarnings("unchecked") // Of the average's own type.
  private static <T extends TType> Output<T> typed(Output<?> value) {
    return (Output<T>) value;
  }

  void keep() {
    session.run(keep);
  }

  /** Gives back what was kept last. */
  void restore() {
    session.run(restore);
  }
}
