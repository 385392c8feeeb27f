package dev.adafactor.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.tensorflow.Graph;
import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shaped;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.DataType;

/** Files of this process, of the values of a session that other processes run. */
record FilesOfThisProcess(Session session) implements StateFiles {
  /** Of one message; gRPC takes no more than 2 GiB. */
  private static final long MOST_BYTES = 1 << 28;

  private static final int MOST_BYTES_OF_ELEMENT = 8;

  @Override
  public Writer writer(Ops tf, Map<String, Operand<?>> values) {
    List<String> keys = List.copyOf(values.keySet());
    List<Operand<?>> tensors = List.copyOf(values.values());
    return (files, feeds) -> {
      List<Result> results = new ArrayList<>();
      try {
        Map<String, Tensor> fetched = new LinkedHashMap<>();
        for (List<Integer> message : messages(tensors)) {
          Session.Runner runner = feeds.apply(session.runner());
          message.forEach(i -> runner.fetch(tensors.get(i)));
          Result result = runner.run();
          results.add(result);
          message.forEach(i -> fetched.put(keys.get(i), result.get(i - message.get(0))));
        }
        write(files, fetched);
      } finally {
        results.forEach(Result::close);
      }
    };
  }

  /** Which tensors are sent together: neighbours. */
  private static List<List<Integer>> messages(List<? extends Shaped> tensors) {
    List<List<Integer>> messages = new ArrayList<>();
    long left = 0;
    for (int i = 0; i < tensors.size(); i++) {
      long bytes = Math.max(1, tensors.get(i).shape().size()) * MOST_BYTES_OF_ELEMENT;
      if (messages.isEmpty() || bytes > left) {
        messages.add(new ArrayList<>());
        left = MOST_BYTES;
      }
      messages.get(messages.size() - 1).add(i);
      left -= bytes;
    }
    return messages;
  }

  private static void write(Path files, Map<String, Tensor> tensors) throws IOException {
    try (Graph graph = new Graph();
        Session here = new Session(graph)) {
      Ops tf = Ops.create(graph);
      Map<String, Operand<?>> given = new LinkedHashMap<>();
      tensors.forEach((key, tensor) -> given.put(key, placeholder(tf, tensor.dataType())));
      new FilesOfSession(here)
          .writer(tf, given)
          .write(
              files,
              runner -> {
                tensors.forEach((key, tensor) -> runner.feed(given.get(key), tensor));
                return runner;
              });
    }
  }

  private static Output<?> placeholder(Ops tf, DataType type) {
    GraphOperation placeholder = Cell.operation(tf, "Placeholder").setAttr("dtype", type).build();
    return placeholder.output(0);
  }

  @Override
  public Reader reader(Ops tf, Map<String, DataType> tensors) {
    List<Output<?>> values =
        tensors.values().stream().<Output<?>>map(type -> placeholder(tf, type)).toList();
    return new Reader(
        values,
        (files, targets) -> {
          try (Graph graph = new Graph();
              Session here = new Session(graph);
              Result read = FilesOfSession.read(here, files, tensors)) {
            List<Tensor> given = IntStream.range(0, values.size()).mapToObj(read::get).toList();
            for (List<Integer> message : messages(given)) {
              Session.Runner runner = session.runner();
              message.forEach(
                  i -> runner.feed(values.get(i), given.get(i)).addTarget(targets.get(i)));
              runner.run().close();
            }
          }
        });
  }
}
