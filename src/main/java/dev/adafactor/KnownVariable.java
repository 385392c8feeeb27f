package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Group;
import dev.adafactor.graph.Placement;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.family.TNumber;

/**
 * A variable that the optimizer has state for.
 *
 * @param parts the state of each of the variable's parts
 */
record KnownVariable(LogicalVariable variable, List<VariableState> parts) {

  /** What its state consists of beside the value, the same for all parts. */
  Set<String> slots() {
    return parts.get(0).slots().keySet();
  }

  /**
   * Adds the operations that read a slot, as a whole.
   *
   * @param <S> the type of the slot
   */
  @SuppressWarnings("unchecked") // The slots of one name are of one type.
  <S extends TNumber> Operand<S> slot(Ops tf, Placement placement, String name) {
    List<Operand<S>> ofParts =
        parts.stream().map(part -> (Operand<S>) part.slots().get(name).read()).toList();
    return variable.join(tf, placement, name, ofParts);
  }

  /** Adds the operations that set a slot. */
  @SuppressWarnings("unchecked") // The slots of one name are of one type.
  <S extends TNumber> Op setSlot(Ops tf, Placement placement, String name, Operand<S> whole) {
    List<Operand<S>> each = variable.cut(tf, name, whole);
    List<Op> writes = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      VariableState part = parts.get(i);
      Ops beside = placement.beside(part.variable()).ops();
      writes.add(VariableState.<S>typed(part.slots().get(name)).assign(beside, each.get(i)));
    }
    return Group.of(tf, writes);
  }

  /**
   * Adds the operations that read the variable as a whole.
   *
   * @param <T> the type of the variable
   */
  <T extends TNumber> Operand<T> value(Ops tf, Placement placement) {
    List<Operand<T>> ofParts = new ArrayList<>();
    for (VariableState part : parts) {
      VariableView<T> view = VariableView.typed(part.variable());
      ofParts.add(view.read(placement.beside(view).ops()));
    }
    return variable.join(tf, placement, Snapshot.Form.VALUE, ofParts);
  }

  /** Adds the operations that set the variable, on all devices that have parts of it. */
  <T extends TNumber> Op setValue(Ops tf, Placement placement, Operand<T> whole) {
    List<Operand<T>> each = variable.cut(tf, Snapshot.Form.VALUE, whole);
    List<Op> writes = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      VariableView<T> view = VariableView.typed(parts.get(i).variable());
      Op written = view.assign(placement.beside(view).ops(), each.get(i));
      writes.add(variable.spread(placement, i, written, null));
    }
    return Group.of(tf, writes);
  }

  /** Adds the operations that set the variable to its moving average, on all devices. */
  List<Op> overwriteByAverages(Placement placement) {
    List<Op> writes = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      VariableState part = parts.get(i);
      writes.add(variable.spread(placement, i, overwrite(placement, part.variable(), part), null));
    }
    return writes;
  }

  private static <T extends TNumber> Op overwrite(
      Placement placement, VariableView<T> variable, VariableState state) {
    // A copy: a resource variable would share the memory of the average.
    Ops tf = placement.beside(variable).ops();
    return variable.assign(tf, tf.deepCopy(state.<T>average().read()));
  }

  /**
   * Adds the operations for tf_keras's v. The derived one is 0 until the first gradient: while r
   * and c are 0 and the variable is finite. Afterwards it is the formula, its 0/0 included.
   */
  Operand<? extends TNumber> v(Placement placement) {
    VariableView<?> kind = parts.get(0).variable();
    return v(placement.beside(kind), placement, kind);
  }

  private static Operand<TBool> isFinite(Constants constants, VariableState part) {
    Ops tf = constants.ops();
    Operand<? extends TNumber> w = part.variable().read(tf);
    return tf.reduceAll(tf.math.isFinite(w), constants.allAxes(w));
  }

  private <T extends TNumber, C extends TNumber> Operand<T> v(
      Constants constants, Placement placement, VariableView<T> kind) {
    Ops ops = constants.ops();
    if (slots().contains(Adafactor.V)) {
      return WholeUpdateStep.cast(ops, this.<C>slot(ops, placement, Adafactor.V), kind.type());
    }
    Operand<C> r = slot(ops, placement, Adafactor.R);
    Operand<C> c = slot(ops, placement, Adafactor.C);
    List<Operand<TBool>> conditions = new ArrayList<>();
    for (Operand<C> factor : List.of(r, c)) {
      Operand<C> zero = constants.number(factor.type(), 0);
      conditions.add(ops.reduceAll(ops.math.equal(factor, zero), constants.allAxes(factor)));
    }
    parts.forEach(part -> conditions.add(isFinite(placement.beside(part.variable()), part)));
    Operand<TBool> untouched = ops.reduceAll(ops.stack(conditions), constants.axes(0));
    // With ones for r the formula itself gives 0, as c is 0.
    Operand<C> factor = ops.select(untouched, ops.onesLike(r), r);
    return WholeUpdateStep.cast(
        ops, TfKerasUpdate.v(constants, new SecondMoment.Factored<>(factor, c)), kind.type());
  }
}
