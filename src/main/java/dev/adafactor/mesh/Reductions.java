package dev.adafactor.mesh;

import dev.adafactor.graph.OrderedSum;
import java.util.Collections;
import java.util.List;
import org.tensorflow.Operand;
import org.tensorflow.types.family.TNumber;

/** The ways in which sums over shards are taken. */
public enum Reductions implements Reduction {

  /** Adds up on the device of the first part, from where the others have the sum sent. */
  ADD_N {
    @Override
    public <T extends TNumber> List<Operand<T>> sum(List<Part<T>> parts) {
      List<Operand<T>> values = parts.stream().map(Part::value).toList();
      Operand<T> sum = OrderedSum.of(parts.get(0).ops(), values);
      return Collections.nCopies(parts.size(), sum);
    }
  },

  /**
   * Has TensorFlow's collective operations, {@code CollectiveReduceV2}, pass the parts around a
   * ring: of two parts to the bits of {@link #ADD_N}, of more in another order. For devices of one
   * process: between several, they need a group leader among them, and fail for good once one was
   * started again.
   *
   * <p>Between CPU devices it is slower than {@link #ADD_N}, and takes two threads for each part
   * that is on its way. TensorFlow keeps some 50 bytes for each part and step until the session is
   * closed: 10,000 steps with 100 parts take 50 MB.
   */
  COLLECTIVE {
    @Override
    public <T extends TNumber> List<Operand<T>> sum(List<Part<T>> parts) {
      return CollectiveReduce.sum(parts);
    }

    @Override
    public void requireSoundOver(Mesh mesh) {
      CollectiveReduce.requireOneProcess(mesh);
    }
  }
}
