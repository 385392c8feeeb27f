package dev.adafactor.mesh;

import java.util.Collections;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.types.family.TNumber;

/** {@link Reduction#ADD_N}. */
final class AddN implements Reduction {

  @Override
  public <T extends TNumber> List<Operand<T>> sum(List<Part<T>> parts) {
    List<Operand<T>> values = parts.stream().map(Part::value).toList();
    Operand<T> sum = values.size() == 1 ? values.get(0) : parts.get(0).ops().math.addN(values);
    return Collections.nCopies(parts.size(), sum);
  }
}
