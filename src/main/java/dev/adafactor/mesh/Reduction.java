package dev.adafactor.mesh;

import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/**
 * How tensors that several devices have become their sum, which all of them have then; {@link
 * Reductions} has the ways that there are.
 */
public interface Reduction {

  /**
   * What one device has.
   *
   * @param ops of a scope on the device
   */
  record Part<T extends TNumber>(Ops ops, Operand<T> value) {}

  /**
   * Adds the operations.
   *
   * @param parts of one shape, at least one
   * @return the sum for each device, in the order of the parts; all have the same bits
   */
  <T extends TNumber> List<Operand<T>> sum(List<Part<T>> parts);

  /**
   * Checks that sums can be taken so.
   *
   * @throws IllegalArgumentException if they cannot between the devices of the mesh
   */
  default void requireSoundOver(Mesh mesh) {}
}
