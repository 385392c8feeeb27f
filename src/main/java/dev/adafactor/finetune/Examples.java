package dev.adafactor.finetune;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.Tensor;

/** Features and labels that go together, row by row, and where the graph takes them. */
final class Examples {

  /**
   * The files, before it is known what the model takes.
   *
   * @param role what the user knows the data by: "" or "validation "
   * @param features by the name of the input, {@link #ONLY_INPUT} for the only one
   */
  record Files(String role, Map<String, NpyFile> features, NpyFile labels) {

    /** Opens all files and checks that they have the same number of rows. */
    static Files open(String role, Map<String, Path> features, Path labels) throws IOException {
      NpyFile labelFile = NpyFile.open(labels);
      Map<String, NpyFile> featureFiles = new LinkedHashMap<>();
      for (Map.Entry<String, Path> feature : features.entrySet()) {
        NpyFile file = NpyFile.open(feature.getValue());
        featureFiles.put(feature.getKey(), file);
        if (file.rows() != labelFile.rows()) {
          throw new IllegalArgumentException(
              "%sfeatures %s has %d rows, %slabels %s has %d; each example needs both"
                  .formatted(
                      role, file.path(), file.rows(), role, labelFile.path(), labelFile.rows()));
        }
      }
      if (labelFile.rows() == 0 || labelFile.rows() > Integer.MAX_VALUE - 8) {
        throw new IllegalArgumentException(
            "%slabels %s has %d rows; 1 to 2^31 - 9 are wanted"
                .formatted(role, labelFile.path(), labelFile.rows()));
      }
      return new Files(role, featureFiles, labelFile);
    }
  }

  /** Stands for the name of the input where a model has but one. */
  static final String ONLY_INPUT = "";

  private record Feed(Output<?> placeholder, Column column) {}

  private final int rows;
  private final List<Feed> feeds;

  private Examples(int rows, List<Feed> feeds) {
    this.rows = rows;
    this.feeds = feeds;
  }

  /**
   * Matches files to a model, and checks every value.
   *
   * @param inputs the model's placeholders by name
   * @throws IllegalArgumentException if inputs are left without a file or files without an input,
   *     if shapes or types do not fit, or if values are not usable
   */
  static Examples match(
      Files files, Map<String, Output<?>> inputs, Objective objective, Loss loss, long classes) {
    List<Feed> feeds = new ArrayList<>();
    Set<String> missing = new TreeSet<>(inputs.keySet());
    files
        .features()
        .forEach(
            (name, file) -> {
              String input = resolve(name, file, inputs.keySet(), files.role());
              missing.remove(input);
              Output<?> placeholder = inputs.get(input);
              Column column =
                  Column.of(
                      "%sfeatures of input '%s'".formatted(files.role(), input),
                      file,
                      placeholder.dataType(),
                      placeholder.shape());
              column.requireUsable();
              feeds.add(new Feed(placeholder, column));
            });
    if (!missing.isEmpty()) {
      throw new IllegalArgumentException(
          "%sfeatures of input '%s' are missing; the model's inputs are %s"
              .formatted(files.role(), missing.iterator().next(), inputs.keySet()));
    }
    Output<?> labels = objective.labels();
    Column column =
        Column.of(
            files.role() + "labels", files.labels(), labels.dataType(), objective.labelShape());
    column.requireEach(loss.wantedLabels(classes), loss.acceptedLabels(classes));
    feeds.add(new Feed(labels, column));
    return new Examples((int) files.labels().rows(), List.copyOf(feeds));
  }

  private static String resolve(String name, NpyFile file, Set<String> inputs, String role) {
    if (name.equals(ONLY_INPUT) && inputs.size() == 1) {
      return inputs.iterator().next();
    }
    if (!inputs.contains(name)) {
      throw new IllegalArgumentException(
          "%sfeatures %s: the model has %s; its inputs are %s"
              .formatted(
                  role,
                  file.path(),
                  name.equals(ONLY_INPUT) ? "several inputs, name one" : "no input '" + name + "'",
                  inputs));
    }
    return name;
  }

  int rows() {
    return rows;
  }

  /** The batch size that a placeholder insists on, if one does. */
  Optional<Long> fixedBatchSize() {
    return feeds.stream()
        .map(feed -> feed.placeholder().shape())
        .filter(shape -> !shape.isUnknown() && !shape.isScalar() && shape.get(0) >= 0)
        .map(shape -> shape.get(0))
        .findFirst();
  }

  /** A batch in native memory. */
  final class Batch implements AutoCloseable {
    private final List<Tensor> tensors = new ArrayList<>();

    private Batch(int[] batchRows) {
      for (Feed feed : feeds) {
        tensors.add(feed.column().batch(batchRows));
      }
    }

    void feed(Session.Runner runner) {
      for (int i = 0; i < tensors.size(); i++) {
        runner.feed(feeds.get(i).placeholder(), tensors.get(i));
      }
    }

    @Override
    public void close() {
      tensors.forEach(Tensor::close);
    }
  }

  /** Gathers the rows; to be closed by the caller. */
  Batch batch(int[] batchRows) {
    return new Batch(batchRows);
  }
}
