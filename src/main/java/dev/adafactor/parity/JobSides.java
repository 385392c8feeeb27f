package dev.adafactor.parity;

import com.fasterxml.jackson.databind.JsonNode;
import dev.adafactor.checkpoint.SavedState;
import dev.adafactor.checkpoint.SavedState.Item;
import dev.adafactor.checkpoint.SavedState.Part;
import dev.adafactor.files.DataTypeNames;
import dev.adafactor.files.PythonJson;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A job that was recorded here and done by tf_keras too: the files of both sides. */
public final class JobSides {
  private static final String START = "start";

  /**
   * A moment of which both sides have the state.
   *
   * @param name of its files
   * @param step after which it is
   */
  public record Moment(String name, long step) {}

  private final Path recording;
  private final Path python;
  private final JsonNode job;
  private final List<Double> computed;
  private final List<Double> recorded;

  private final Map<Moment, States> states = new HashMap<>();

  /** The largest magnitude that each tensor of tf_keras has had, as far as it was compared. */
  private final Map<Item, Double> scales = new HashMap<>();

  /**
   * Opens both.
   *
   * @param recording what {@code FineTuning} recorded
   * @param python what {@code same_job.py} made of it
   * @throws IOException if a file is missing or damaged
   */
  public JobSides(Path recording, Path python) throws IOException {
    this.recording = recording;
    this.python = python;
    this.job = PythonJson.MAPPER.readTree(recording.resolve("job.json").toFile());
    this.computed = numbers(job.get("losses"));
    this.recorded = losses(python);
    if (computed.size() != recorded.size()) {
      throw new IOException(
          "'%s' has the losses of %d steps, not of %d"
              .formatted(python, recorded.size(), computed.size()));
    }
  }

  /** The losses of a run of Python's, NaN or infinite where they are not finite. */
  static List<Double> losses(Path run) throws IOException {
    DoubleBuffer losses =
        ByteBuffer.wrap(Files.readAllBytes(run.resolve("losses.float64")))
            .order(ByteOrder.LITTLE_ENDIAN)
            .asDoubleBuffer();
    List<Double> numbers = new ArrayList<>();
    while (losses.hasRemaining()) {
      numbers.add(losses.get());
    }
    return numbers;
  }

  /**
   * How many steps a run of Python's has done so far.
   *
   * @param run exists once the first step begins
   */
  public static int stepsDone(Path run) {
    return (int) (run.resolve("losses.float64").toFile().length() / Double.BYTES);
  }

  private static List<Double> numbers(JsonNode array) {
    List<Double> numbers = new ArrayList<>();
    array.forEach(number -> numbers.add(number.doubleValue()));
    return numbers;
  }

  /** What was done, as the recording describes it. */
  public JsonNode job() {
    return job;
  }

  /** The loss of each step here. */
  List<Double> computedLosses() {
    return computed;
  }

  /** The loss of each step in Python. */
  List<Double> recordedLosses() {
    return recorded;
  }

  /** The moments to compare, in order. */
  List<Moment> moments() {
    List<Moment> moments = new ArrayList<>();
    job.get("snapshots")
        .forEach(step -> moments.add(new Moment("step-" + step.longValue(), step.longValue())));
    if (!job.get("ending").isNull()) {
      moments.add(new Moment("end", computed.size()));
    }
    return moments;
  }

  /** The states of a moment. */
  private record States(SavedState here, SavedState there) {}

  private States states(Moment moment) throws IOException {
    States known = states.get(moment);
    if (known == null) {
      SavedState here = SavedState.read(recording.resolve(moment.name()));
      known = new States(here, here.counterpart(python.resolve(moment.name())));
      states.put(moment, known);
    }
    return known;
  }

  /** The values of a tensor of floats on both sides. */
  record Pair(Values recorded, Values computed) {}

  /** The values of a tensor; empty for integers. */
  Optional<Pair> values(Moment moment, Item item) throws IOException {
    Optional<ElementType> type = type(item);
    if (type.isEmpty()) {
      return Optional.empty();
    }
    States both = states(moment);
    return Optional.of(
        new Pair(
            new Values(type.get(), both.there().elements(item)),
            new Values(type.get(), both.here().elements(item))));
  }

  /** Compares all tensors of a moment; to be called in the order of the moments. */
  List<Deviation> compare(Moment moment) throws IOException {
    SavedState start = SavedState.read(recording.resolve(START));
    SavedState here = states(moment).here();
    SavedState there = states(moment).there();
    List<Deviation> deviations = new ArrayList<>();
    for (Item item : here.items()) {
      Optional<ElementType> type = type(item);
      byte[] ours = here.elements(item);
      byte[] theirs = there.elements(item);
      deviations.add(
          type.isPresent()
              ? compare(
                  item,
                  moment.step(),
                  new Values(type.get(), ours),
                  new Values(type.get(), theirs),
                  beginning(start, item, type.get()))
              : Bits.compare(item, moment.step(), ours, theirs));
    }
    return deviations;
  }

  /** The type of a tensor's elements; empty for integers. */
  static Optional<ElementType> type(Item item) {
    return ElementType.of(DataTypeNames.ofPython(item.dtype()));
  }

  /** From where a tensor moves; moments and rates do not. */
  private static Optional<Values> beginning(SavedState start, Item item, ElementType type)
      throws IOException {
    return item.part() == Part.VARIABLE || item.part() == Part.AVERAGE
        ? Optional.of(new Values(type, start.elements(item)))
        : Optional.empty();
  }

  private Deviation compare(
      Item item, long step, Values ours, Values theirs, Optional<Values> beginning) {
    double scale = scales.merge(item, theirs.largestMagnitude(), Math::max);
    ElementType type = ours.type();
    double ulp = type.ulp(scale);
    Norm apart = new Norm();
    Norm moved = new Norm();
    Tally sum = Tally.NOTHING;
    for (int i = 0; i < theirs.size(); i++) {
      long then = theirs.bits(i);
      long now = ours.bits(i);
      boolean finite = type.isFinite(then);
      boolean same = then == now || (type.isNaN(then) && type.isNaN(now));
      double distance = 0;
      if (finite) {
        double value = theirs.get(i);
        distance = type.isFinite(now) ? Math.abs(value - ours.get(i)) : Double.POSITIVE_INFINITY;
        apart.add(distance);
        moved.add(beginning.isPresent() ? value - beginning.get().get(i) : value);
      }
      sum =
          sum.plus(
              new Tally(
                  1,
                  finite ? 0 : 1,
                  same ? 0 : 1,
                  then != now && same ? 1 : 0,
                  finite && !same ? type.ulps(then, now) : 0,
                  distance == 0 ? 0 : distance / scale,
                  distance / ulp));
    }
    return new Deviation(item, step, sum, apart.value(), moved.value());
  }

  /** How far tf_keras is from itself in another run, for some tensors of a moment. */
  Map<Item, Double> noise(Moment moment, Path otherRun, List<Item> items) throws IOException {
    SavedState there = states(moment).there();
    SavedState again = states(moment).here().counterpart(otherRun.resolve(moment.name()));
    Map<Item, Double> noise = new HashMap<>();
    for (Item item : items) {
      Optional<ElementType> type = type(item);
      if (type.isPresent()) {
        Values one = new Values(type.get(), there.elements(item));
        Values other = new Values(type.get(), again.elements(item));
        Norm apart = new Norm();
        for (int i = 0; i < one.size(); i++) {
          apart.add(one.get(i) - other.get(i));
        }
        noise.put(item, apart.value());
      }
    }
    return noise;
  }

  /** Tensors of integers: their elements are the same or not. */
  private static final class Bits {
    private Bits() {}

    static Deviation compare(Item item, long step, byte[] ours, byte[] theirs) {
      int width = (int) Math.max(1, theirs.length / Math.max(1, item.shape().size()));
      long different = 0;
      for (int i = 0; i < theirs.length; i += width) {
        different += Arrays.equals(ours, i, i + width, theirs, i, i + width) ? 0 : 1;
      }
      double off = different == 0 ? 0 : Double.POSITIVE_INFINITY;
      return new Deviation(
          item,
          step,
          new Tally(
              item.shape().size(), 0, different, 0, different == 0 ? 0 : Long.MAX_VALUE, off, off),
          off,
          1);
    }
  }

  /** A Euclidean norm, without overflow. */
  private static final class Norm {
    private double largest;
    private double sum;

    void add(double element) {
      double magnitude = Math.abs(element);
      if (magnitude > largest) {
        double ratio = largest / magnitude;
        sum = 1 + sum * ratio * ratio;
        largest = magnitude;
      } else if (magnitude > 0 && largest < Double.POSITIVE_INFINITY) {
        double ratio = magnitude / largest;
        sum += ratio * ratio;
      } else if (Double.isNaN(magnitude)) {
        largest = Double.POSITIVE_INFINITY;
      }
    }

    double value() {
      return largest == 0 || largest == Double.POSITIVE_INFINITY
          ? largest
          : largest * Math.sqrt(sum);
    }
  }
}
