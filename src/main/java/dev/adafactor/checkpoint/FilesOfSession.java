package dev.adafactor.checkpoint;

import dev.adafactor.graph.ErrorLine;
import dev.adafactor.mesh.ClusterException;
import dev.adafactor.mesh.ClusterSession;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFInvalidArgumentException;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.ndarray.NdArrays;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TString;

/** Files that the session itself reads and writes: those of the process that runs it. */
record FilesOfSession(Session session) implements StateFiles {

  @Override
  public Writer writer(Ops tf, Map<String, Operand<?>> values) {
    Placeholder<TString> prefix = prefix(tf);
    Op save =
        tf.train.save(
            prefix,
            strings(tf, values.keySet()),
            noSlices(tf, values.size()),
            List.copyOf(values.values()));
    return (files, feeds) -> {
      try (TString path = TString.scalarOf(files.toString())) {
        feeds.apply(session.runner()).feed(prefix, path).addTarget(save).run().close();
      } catch (TensorFlowException | TFInvalidArgumentException e) {
        throw failure(session, e);
      }
    };
  }

  @Override
  public Reader reader(Ops tf, Map<String, DataType> tensors) {
    Placeholder<TString> prefix = prefix(tf);
    List<Output<?>> values = read(tf, prefix, tensors);
    return new Reader(
        values,
        (files, targets) -> {
          Session.Runner runner = session.runner();
          targets.forEach(runner::addTarget);
          try (TString path = TString.scalarOf(files.toString())) {
            runner.feed(prefix, path).run().close();
          } catch (TensorFlowException | TFInvalidArgumentException e) {
            throw failure(session, e);
          }
        });
  }

  /** Reads tensors by a session, in this order. */
  static Result read(Session session, Path files, Map<String, DataType> tensors)
      throws IOException {
    Ops tf = Ops.create(session.graph());
    Placeholder<TString> prefix = prefix(tf);
    Session.Runner runner = session.runner();
    read(tf, prefix, tensors).forEach(runner::fetch);
    try (TString path = TString.scalarOf(files.toString())) {
      return runner.feed(prefix, path).run();
    } catch (TensorFlowException | TFInvalidArgumentException e) {
      throw failure(session, e);
    }
  }

  private static List<Output<?>> read(
      Ops tf, Operand<TString> prefix, Map<String, DataType> tensors) {
    GraphOperation restored =
        Cell.operation(tf, "RestoreV2")
            .addInput(prefix.asOutput())
            .addInput(strings(tf, tensors.keySet()).asOutput())
            .addInput(noSlices(tf, tensors.size()).asOutput())
            .setAttr("dtypes", tensors.values().toArray(DataType[]::new))
            .build();
    return IntStream.range(0, tensors.size()).<Output<?>>mapToObj(restored::output).toList();
  }

  private static Placeholder<TString> prefix(Ops tf) {
    return tf.placeholder(TString.class, Placeholder.shape(Shape.scalar()));
  }

  /** Where a process of the session is lost, nothing is wrong with the files. */
  private static IOException failure(Session session, RuntimeException e) {
    if (ClusterSession.explain(session, e) instanceof ClusterException lost) {
      throw lost;
    }
    return new IOException(ErrorLine.of(e), e);
  }

  private static Operand<TString> strings(Ops tf, Collection<String> values) {
    return tf.constant(NdArrays.vectorOfObjects(values.toArray(String[]::new)));
  }

  private static Operand<TString> noSlices(Ops tf, int count) {
    String[] slices = new String[count];
    Arrays.fill(slices, "");
    return tf.constant(NdArrays.vectorOfObjects(slices));
  }
}
