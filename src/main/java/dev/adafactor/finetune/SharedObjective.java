package dev.adafactor.finetune;

import dev.adafactor.mesh.DataParallel;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TNumber;

/**
 * The objective of a batch, which is computed as a whole, or in parts by several devices: means
 * over the batch.
 *
 * @param loss as {@link Objective#loss}; in parts, one that is differentiated on their devices
 * @param accuracy as {@link Objective#accuracy}
 */
record SharedObjective(Operand<? extends TNumber> loss, Optional<Operand<TFloat32>> accuracy) {

  /**
   * Adds the operations.
   *
   * @param devices one for each of several parts; of a single one it does not matter
   * @param parts of one kind
   */
  static SharedObjective of(Ops tf, List<String> devices, List<Objective> parts) {
    return parts.size() == 1
        ? new SharedObjective(parts.get(0).loss(), parts.get(0).accuracy())
        : new SharedObjective(
            mean(tf, devices, parts, SharedObjective::loss),
            parts.get(0).accuracy().isPresent()
                ? Optional.of(mean(tf, devices, parts, part -> part.accuracy().orElseThrow()))
                : Optional.empty());
  }

  @SuppressWarnings("unchecked") // The losses of all parts are of one type.
  private static <T extends TNumber> Operand<T> loss(Objective part) {
    return (Operand<T>) part.loss();
  }

  private static <T extends TNumber> Operand<T> mean(
      Ops tf, List<String> devices, List<Objective> parts, Function<Objective, Operand<T>> each) {
    Iterator<Objective> next = parts.iterator();
    return DataParallel.ofParts(
        tf,
        devices,
        parts.stream().map(part -> new DataParallel.Part(List.of(part.labels()))).toList(),
        (ops, part) -> each.apply(next.next()));
  }
}
