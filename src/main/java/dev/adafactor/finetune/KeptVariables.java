package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.savedmodel.ModelVariable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.family.TType;

/**
 * Keeps the values that a model's variables, and their moving averages where they are in use, have
 * at one time, to give them back at a later one. It takes as much memory as these.
 */
final class KeptVariables {
  private final String name;
  private final Session session;
  private final Op keep;
  private final Op restore;
  private final Map<String, Output<?>> kept = new LinkedHashMap<>();

  /**
   * Adds the operations.
   *
   * @param name what they are kept for, unique in the session
   */
  KeptVariables(String name, Session session, List<ModelVariable> variables, Adafactor adafactor) {
    this.name = name;
    this.session = session;
    Ops tf = Ops.create(session.graph());
    List<Op> keeping = new ArrayList<>();
    List<Op> restoring = new ArrayList<>();
    for (ModelVariable variable : variables) {
      RawVariable current = new RawVariable(variable.handle(), variable.dtype());
      RawVariable copy = create(tf, variable.dtype(), variable.shape());
      // The memory is shared until one of the two is written to, which takes a copy then.
      keeping.add(copy.assign(tf, current.read(tf)));
      restoring.add(current.assign(tf, copy.read(tf)));
    }
    for (ModelVariable variable : variables) {
      adafactor
          .getSlot(variable.handle(), Adafactor.AVERAGE)
          .ifPresent(average -> add(tf, average, keeping, restoring));
    }
    this.keep = tf.withControlDependencies(keeping).noOp();
    this.restore = tf.withControlDependencies(restoring).noOp();
  }

  private <T extends TType> void add(
      Ops tf, Variable<T> average, List<Op> keeping, List<Op> restoring) {
    // A reference variable is written to in place.
    Output<T> value = tf.deepCopy(average).asOutput();
    RawVariable copy = create(tf, value.dataType(), value.shape());
    keeping.add(copy.assign(tf, value));
    restoring.add(tf.assign(average, typed(copy.read(tf))));
  }

  private RawVariable create(Ops tf, DataType dtype, Shape shape) {
    String unique = "fine_tuning/%s/%d".formatted(name, kept.size());
    RawVariable variable = RawVariable.create(tf, unique, dtype, shape);
    kept.put(unique, variable.handle());
    return variable;
  }

  /** Where the values are kept, handles of variables, by name. */
  Map<String, Output<?>> variables() {
    return Collections.unmodifiableMap(kept);
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
