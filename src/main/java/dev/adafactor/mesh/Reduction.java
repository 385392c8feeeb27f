package dev.adafactor.mesh;

import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.family.TNumber;

/** How tensors that several devices have become their sum, which all of them have then. */
public interface Reduction {

  /** Adds up on the device of the first part, from where the others have the sum sent. */
  Reduction ADD_N = new AddN();

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
}
