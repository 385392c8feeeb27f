package dev.adafactor.finetune;

import dev.adafactor.Adafactor;
import dev.adafactor.graph.Group;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.graph.VariableView;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.SpreadVariables;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;

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
   * @param spread how the optimizer takes them
   */
  KeptVariables(
      String name,
      Session session,
      List<ModelVariable> variables,
      SpreadVariables spread,
      Adafactor adafactor) {
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
      if (!VariableView.isFloating(variable.dtype())) {
        continue; // No optimizer has state for it.
      }
      Operand<?> trained = spread.trained(variable.handle());
      adafactor
          .readSlot(trained, Adafactor.AVERAGE)
          .ifPresent(
              average -> {
                // A reference variable is written to in place.
                Output<?> value = tf.deepCopy(average).asOutput();
                RawVariable copy = create(tf, value.dataType(), value.shape());
                keeping.add(copy.assign(tf, value));
                restoring.add(
                    adafactor.assignSlot(
                        trained, Adafactor.AVERAGE, StepFunction.numeric(copy.read(tf))));
              });
    }
    this.keep = Group.of(tf, keeping);
    this.restore = spread.scatter(Group.of(tf, restoring));
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

  void keep() {
    session.run(keep);
  }

  /** Gives back what was kept last. */
  void restore() {
    session.run(restore);
  }
}
