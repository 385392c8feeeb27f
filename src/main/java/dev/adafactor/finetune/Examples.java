package dev.adafactor.finetune;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.DoublePredicate;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;

/** A data set, and where the graph takes its arrays. */
final class Examples {

  /**
   * Where the graph takes an array, and what may be in it.
   *
   * @param placeholder to feed
   * @param shape of a batch, the batch dimension first
   * @param wanted what each number must be, in words
   * @param accepted what {@code wanted} says
   */
  record Target(Output<?> placeholder, Shape shape, String wanted, DoublePredicate accepted) {

    /** One that takes all that its type can hold. */
    static Target ofNumbers(Output<?> placeholder) {
      ElementType type = ElementType.of(placeholder.dataType());
      return new Target(
          placeholder, placeholder.shape(), "a finite number that fits " + type, type::holds);
    }
  }

  /**
   * Where the graph takes everything.
   *
   * @param features the model's placeholders by name
   * @param sampleWeights present where the data set has some
   */
  record Targets(Map<String, Output<?>> features, Target labels, Optional<Target> sampleWeights) {}

  /** Hears how far the check of the values has come. */
  @FunctionalInterface
  interface Progress {

    /**
     * Called after every few thousand rows.
     *
     * @param what is being checked
     * @param row the row that comes next
     * @param rows how many there are
     */
    void at(String what, long row, long rows);
  }

  /**
   * An array.
   *
   * @param placeholders for each part of a batch
   */
  private record Feed(List<Output<?>> placeholders, Column column) {}

  private final int rows;
  private final List<Feed> feeds;

  private Examples(int rows, List<Feed> feeds) {
    this.rows = rows;
    this.feeds = feeds;
  }

  /**
   * Matches data to a model, and checks every value.
   *
   * @param parts where the graph takes a batch; if there are several, each a part of it
   * @throws IllegalArgumentException if inputs are left without data or data without an input, if
   *     shapes or types do not fit, or if values are not usable
   */
  static Examples match(Dataset data, List<Targets> parts, Progress progress) {
    Targets targets = parts.get(0);
    List<Feed> feeds = new ArrayList<>();
    Set<String> inputs = targets.features().keySet();
    Set<String> missing = new TreeSet<>(inputs);
    data.features()
        .forEach(
            (name, array) -> {
              String input = resolve(name, array, inputs, data.role());
              if (!missing.remove(input)) {
                throw new IllegalArgumentException(
                    "%sfeatures %s: the input '%s' has features already"
                        .formatted(data.role(), array.path(), input));
              }
              Output<?> placeholder = targets.features().get(input);
              Column column =
                  Column.of(
                      "%sfeatures of input '%s'".formatted(data.role(), input),
                      array,
                      placeholder.dataType(),
                      placeholder.shape());
              feeds.add(
                  new Feed(
                      parts.stream().<Output<?>>map(part -> part.features().get(input)).toList(),
                      column));
            });
    if (!missing.isEmpty()) {
      throw new IllegalArgumentException(
          "%sfeatures of input '%s' are missing; the model's inputs are %s"
              .formatted(data.role(), missing.iterator().next(), inputs));
    }
    Feed labels =
        feed(data.role() + "labels", data.labels(), parts.stream().map(Targets::labels).toList());
    Optional<Feed> weights =
        data.sampleWeights()
            .map(
                array ->
                    feed(
                        data.role() + "sample weights",
                        array,
                        parts.stream().map(part -> part.sampleWeights().orElseThrow()).toList()));
    feeds.forEach(feed -> feed.column().requireUsable(of(progress, feed)));
    requireEach(labels, targets.labels(), progress);
    weights.ifPresent(feed -> requireEach(feed, targets.sampleWeights().orElseThrow(), progress));
    feeds.add(labels);
    weights.ifPresent(feeds::add);
    return new Examples((int) data.labels().rows(), List.copyOf(feeds));
  }

  private static Feed feed(String name, Rows array, List<Target> parts) {
    Target target = parts.get(0);
    return new Feed(
        parts.stream().<Output<?>>map(Target::placeholder).toList(),
        Column.of(name, array, target.placeholder().dataType(), target.shape()));
  }

  private static void requireEach(Feed feed, Target target, Progress progress) {
    feed.column().requireEach(target.wanted(), target.accepted(), of(progress, feed));
  }

  private static Column.Progress of(Progress progress, Feed feed) {
    return row -> progress.at(feed.column().name(), row, feed.column().rows().rows());
  }

  private static String resolve(String name, Rows array, Set<String> inputs, String role) {
    if (name.equals(DataFiles.ONLY_INPUT) && inputs.size() == 1) {
      return inputs.iterator().next();
    }
    if (!inputs.contains(name)) {
      throw new IllegalArgumentException(
          "%sfeatures %s: the model has %s; its inputs are %s"
              .formatted(
                  role,
                  array.path(),
                  name.equals(DataFiles.ONLY_INPUT)
                      ? "several inputs, name one"
                      : "no input '" + name + "'",
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
        .map(feed -> feed.placeholders().get(0).shape())
        .filter(shape -> !shape.isUnknown() && !shape.isScalar() && shape.get(0) >= 0)
        .map(shape -> shape.get(0))
        .findFirst();
  }

  /** A batch in native memory. */
  final class Batch implements AutoCloseable {
    private final int[] picked;

    /** Each for a placeholder. */
    private final List<Tensor> tensors = new ArrayList<>();

    private Batch(int[] picked) {
      this.picked = picked;
      boolean complete = false;
      try {
        for (Feed feed : feeds) {
          BatchDivision.divided(picked, feed.placeholders().size())
              .forEach(rows -> tensors.add(feed.column().batch(rows)));
        }
        complete = true;
      } finally {
        if (!complete) {
          close();
        }
      }
    }

    /** How many examples it has. */
    int size() {
      return picked.length;
    }

    void feed(Session.Runner runner) {
      Iterator<Tensor> next = tensors.iterator();
      for (Feed feed : feeds) {
        feed.placeholders().forEach(placeholder -> runner.feed(placeholder, next.next()));
      }
    }

    @Override
    public void close() {
      tensors.forEach(Tensor::close);
    }
  }

  /** Gathers the rows; to be closed by the caller. */
  Batch batch(int[] picked) {
    return new Batch(picked);
  }
}
