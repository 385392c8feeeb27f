package dev.adafactor.parity;

import java.util.Iterator;
import java.util.Optional;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.Tensor;

/** From where the value and the state of one variable are fetched. */
record VariableFetch(
    ElementType type,
    Operand<?> value,
    Operand<?> v,
    Optional<Operand<?>> r,
    Optional<Operand<?>> c,
    Optional<Operand<?>> average) {

  void addTo(Session.Runner runner) {
    runner.fetch(value).fetch(v);
    r.ifPresent(runner::fetch);
    c.ifPresent(runner::fetch);
    average.ifPresent(runner::fetch);
  }

  /** Copies what {@link #addTo} made the run fetch. */
  VariableState read(Iterator<Tensor> fetched) {
    return new VariableState(
        copy(fetched),
        copy(fetched),
        r.map(fetch -> copy(fetched)),
        c.map(fetch -> copy(fetched)),
        average.map(fetch -> copy(fetched)));
  }

  private Values copy(Iterator<Tensor> fetched) {
    return Values.copyOf(type, fetched.next());
  }
}
