package dev.adafactor;

import dev.adafactor.files.FirstFew;
import dev.adafactor.files.TensorKind;
import dev.adafactor.graph.Constants;
import dev.adafactor.graph.Placement;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.tensorflow.Operand;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.op.core.Variable;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/** The operations that take an optimizer's state out of a session and put it into one. */
final class StateTransfer {
  private static final int DIFFERENCES_SHOWN = 3;

  /** A tensor of the state: what reads it, and what sets it to what is fed. */
  private record Cell(Operand<? extends TNumber> read, Placeholder<? extends TNumber> fed, Op set) {
    static <T extends TNumber> Cell of(Ops tf, Variable<T> variable) {
      Placeholder<T> fed = tf.placeholder(variable.type(), Placeholder.shape(variable.shape()));
      return new Cell(variable, fed, tf.assign(variable, fed));
    }

    static Cell ofSlot(Ops tf, Placement placement, KnownVariable variable, String slot) {
      Operand<? extends TNumber> read = variable.slot(tf, placement, slot);
      return of(tf, read, fed -> variable.setSlot(tf, placement, slot, fed));
    }

    static Cell ofValue(Ops tf, Placement placement, KnownVariable variable) {
      Operand<? extends TNumber> read = variable.value(tf, placement);
      return of(tf, read, fed -> variable.setValue(tf, placement, fed));
    }

    private static <T extends TNumber> Cell of(
        Ops tf, Operand<T> read, Function<Operand<T>, Op> set) {
      Placeholder<T> fed = tf.placeholder(read.type(), Placeholder.shape(read.shape()));
      return new Cell(read, fed, set.apply(fed));
    }

    TensorKind kind() {
      return new TensorKind(fed.asOutput().dataType(), fed.shape());
    }
  }

  private final Cell iterations;
  private final Cell learningRate;

  /** By the name of the variable and of the part. */
  private final Map<String, Map<String, Cell>> variables = new LinkedHashMap<>();

  /**
   * Adds the operations.
   *
   * @throws IllegalArgumentException if two variables have one name
   */
  StateTransfer(
      Ops ops,
      Variable<TInt64> iterations,
      Variable<TFloat32> learningRate,
      Collection<KnownVariable> known) {
    Ops tf = ops.withSubScope("state");
    Placement placement = new Placement(new Constants(tf));
    this.iterations = Cell.of(tf, iterations);
    this.learningRate = Cell.of(tf, learningRate);
    for (KnownVariable variable : known) {
      Map<String, Cell> parts = new LinkedHashMap<>();
      for (String slot : variable.slots()) {
        parts.put(slot, Cell.ofSlot(tf, placement, variable, slot));
      }
      parts.put(Snapshot.Form.VALUE, Cell.ofValue(tf, placement, variable));
      String name = variable.variable().name();
      if (variables.put(name, parts) != null) {
        throw new IllegalArgumentException(
            "two variables are named '" + name + "': a snapshot tells them by their names");
      }
    }
  }

  /** How many variables there are. */
  int size() {
    return variables.size();
  }

  private List<Cell> cells() {
    List<Cell> all = new ArrayList<>(List.of(iterations, learningRate));
    variables.values().forEach(parts -> all.addAll(parts.values()));
    return all;
  }

  /** Copies the state, all of it in one run. */
  Snapshot take(Session session, boolean scheduled) {
    Session.Runner runner = session.runner();
    cells().forEach(cell -> runner.fetch(cell.read()));
    try (Result result = runner.run()) {
      int next = 2;
      List<Snapshot.OfVariable> taken = new ArrayList<>();
      for (Map.Entry<String, Map<String, Cell>> variable : variables.entrySet()) {
        Map<String, TensorValue> parts = new LinkedHashMap<>();
        for (String part : variable.getValue().keySet()) {
          parts.put(part, TensorValue.copyOf((TNumber) result.get(next++)));
        }
        TensorValue value = parts.remove(Snapshot.Form.VALUE);
        taken.add(new Snapshot.OfVariable(variable.getKey(), value, parts));
      }
      return new Snapshot(
          ((TInt64) result.get(0)).getLong(),
          ((TFloat32) result.get(1)).getFloat(),
          scheduled,
          taken);
    }
  }

  /**
   * Sets the state, all of it in one run.
   *
   * @throws IllegalArgumentException if it is that of another optimizer; nothing is changed
   */
  void put(Session session, Snapshot snapshot, boolean scheduled) {
    requireSame(snapshot, scheduled);
    List<TNumber> tensors = new ArrayList<>();
    Session.Runner runner = session.runner();
    try {
      feed(runner, iterations, TInt64.scalarOf(snapshot.iterations()), tensors);
      feed(runner, learningRate, TFloat32.scalarOf(snapshot.learningRate()), tensors);
      for (Snapshot.OfVariable variable : snapshot.variables()) {
        Map<String, Cell> parts = variables.get(variable.name());
        feed(runner, parts.get(Snapshot.Form.VALUE), variable.value().tensor(), tensors);
        variable
            .slots()
            .forEach((slot, value) -> feed(runner, parts.get(slot), value.tensor(), tensors));
      }
      runner.run().close();
    } finally {
      tensors.forEach(TNumber::close);
    }
  }

  private static void feed(
      Session.Runner runner, Cell cell, TNumber tensor, List<TNumber> tensors) {
    tensors.add(tensor);
    runner.feed(cell.fed(), tensor).addTarget(cell.set());
  }

  private void requireSame(Snapshot snapshot, boolean scheduled) {
    Map<String, Map<String, TensorKind>> kinds = new LinkedHashMap<>();
    variables.forEach(
        (name, parts) -> {
          Map<String, TensorKind> kindsOfParts = new LinkedHashMap<>();
          parts.forEach((part, cell) -> kindsOfParts.put(part, cell.kind()));
          kinds.put(name, kindsOfParts);
        });
    List<String> differences = snapshot.differences(new Snapshot.Form(scheduled, kinds));
    if (!differences.isEmpty()) {
      throw new IllegalArgumentException(
          "the snapshot is of another optimizer: "
              + FirstFew.of(differences, DIFFERENCES_SHOWN).asClauses());
    }
  }
}
