package dev.adafactor.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;

/** How the values of a session's tensors get into files, and back. */
interface StateFiles {

  /** Writes tensors of a session. */
  @FunctionalInterface
  interface Writer {
    /**
     * Writes the files.
     *
     * @param files their common prefix, absolute
     * @param feeds what the tensors are computed with
     * @throws IOException if the files cannot be written
     */
    void write(Path files, UnaryOperator<Session.Runner> feeds) throws IOException;
  }

  /**
   * Takes the values of files into a session.
   *
   * @param values the tensors that become these values
   */
  record Reader(List<Output<?>> values, Taking taking) {}

  /** Reads what a {@link Reader} is for. */
  @FunctionalInterface
  interface Taking {
    /**
     * Reads all values, and then runs what takes them.
     *
     * @param files their common prefix, absolute
     * @param targets what takes each of the values
     * @throws IOException if the files cannot be read, or the values cannot be taken
     */
    void run(Path files, List<Op> targets) throws IOException;
  }

  /**
   * Adds the operations that write tensors.
   *
   * @param values by the keys that they have in the files
   */
  Writer writer(Ops tf, Map<String, Operand<?>> values);

  /**
   * Adds the operations that read tensors.
   *
   * @param tensors the types of the values, by their keys
   */
  Reader reader(Ops tf, Map<String, DataType> tensors);
}
