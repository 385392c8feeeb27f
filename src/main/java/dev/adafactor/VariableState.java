package dev.adafactor;

import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Slot;
import dev.adafactor.graph.VariableView;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * What the optimizer keeps for a variable in one piece, or for a shard, between steps.
 *
 * @param slots r and c, or v; then the moving average if there is one
 */
record VariableState(VariableView<?> variable, Map<String, Slot<?>> slots) {

  /**
   * Adds the slots to the graph.
   *
   * @param init the constants of the scope for initializers
   * @param type the type of r, c and v
   */
  static VariableState create(
      Constants init, VariableView<?> variable, Class<? extends TNumber> type, boolean average) {
    Map<String, Slot<?>> slots = new LinkedHashMap<>();
    Optional<FactoredShape> factored = FactoredShape.of(variable.shape());
    if (factored.isPresent()) {
      slots.put(Adafactor.R, zeros(init, variable, Adafactor.R, factored.get().r(), type));
      slots.put(Adafactor.C, zeros(init, variable, Adafactor.C, factored.get().c(), type));
    } else {
      slots.put(Adafactor.V, zeros(init, variable, Adafactor.V, variable.shape(), type));
    }
    if (average) {
      slots.put(Adafactor.AVERAGE, Slot.copy(init, variable, Adafactor.AVERAGE));
    }
    return new VariableState(variable, slots);
  }

  private static <T extends TNumber> Slot<T> zeros(
      Constants init, VariableView<?> variable, String name, Shape shape, Class<T> type) {
    return Slot.zeros(init, variable, name, shape, type);
  }

  /** The slots of the second moment, in the order of {@link SecondMoment#parts}. */
  List<Slot<?>> secondMomentSlots() {
    List<Slot<?>> parts = new ArrayList<>(slots.values());
    parts.remove(slots.get(Adafactor.AVERAGE));
    return parts;
  }

  /** The second moment as it is when it is read. */
  @SuppressWarnings("unchecked") // C is the type with which the slots were created.
  <C extends TNumber> SecondMoment<C> secondMoment() {
    return slots.containsKey(Adafactor.V)
        ? new SecondMoment.Full<>(((Slot<C>) slots.get(Adafactor.V)).read())
        : new SecondMoment.Factored<>(
            ((Slot<C>) slots.get(Adafactor.R)).read(), ((Slot<C>) slots.get(Adafactor.C)).read());
  }

  /**
   * Adds the writes of a second moment.
   *
   * @param parts of the type of the slots
   */
  <C extends TNumber> List<Op> assign(Ops ops, List<Operand<C>> parts) {
    List<Slot<?>> slotsOfParts = secondMomentSlots();
    List<Op> writes = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      writes.add(VariableState.<C>typed(slotsOfParts.get(i)).assign(ops, parts.get(i)));
    }
    return writes;
  }

  @SuppressWarnings("unchecked") // The slots have the type of the computation.
  static <C extends TNumber> Slot<C> typed(Slot<?> slot) {
    return (Slot<C>) slot;
  }

  /** The moving average of a variable of type T. */
  @SuppressWarnings("unchecked") // It was created with the variable's type.
  <T extends TNumber> Slot<T> average() {
    return (Slot<T>) slots.get(Adafactor.AVERAGE);
  }
}
