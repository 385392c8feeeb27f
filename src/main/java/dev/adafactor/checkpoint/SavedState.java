package dev.adafactor.checkpoint;

import dev.adafactor.files.TensorBundle;
import dev.adafactor.files.TensorKind;
import dev.adafactor.files.VariableKey;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph.TrackableObject.SerializedTensor;

/**
 * The state of a model and its optimizer in files, to be looked at tensor by tensor, and the same
 * tensors in files of another writer.
 */
public final class SavedState {
  private static final String MODEL = "model/";
  private static final String OPTIMIZER = "optimizer/_variables/";

  /** What a tensor is the value of. */
  public enum Part {
    /** A variable of the model. */
    VARIABLE,

    /** The moving average of the second moment over the last axis. */
    R,

    /** That over the axis before the last. */
    C,

    /** The second moment. */
    V,

    /** The moving average of a variable. */
    AVERAGE,

    /** The optimizer's steps. */
    ITERATIONS,

    /** The rate of the last step, or of the next. */
    LEARNING_RATE
  }

  /**
   * A tensor.
   *
   * @param variable the name of the variable that it belongs to; empty if it belongs to none
   */
  public record Item(Part part, String variable, DataType dtype, Shape shape) {

    Item(Part part, String variable, TensorKind kind) {
      this(part, variable, kind.dtype(), kind.shape());
    }

    TensorKind kind() {
      return new TensorKind(dtype, shape);
    }
  }

  private final TensorBundle bundle;
  private final TrackableObjectGraph objects;
  private final Map<Item, String> keys;

  private SavedState(TensorBundle bundle, TrackableObjectGraph objects, Map<Item, String> keys) {
    this.bundle = bundle;
    this.objects = objects;
    this.keys = Collections.unmodifiableMap(keys);
  }

  /**
   * Opens what {@link TrainingState#save} wrote.
   *
   * @param files the prefix of the files
   * @throws IOException if a file is missing or damaged
   */
  public static SavedState read(Path files) throws IOException {
    TensorBundle bundle = TensorBundle.read(files);
    TrackableObjectGraph objects = ObjectGraph.read(bundle);
    Map<String, TensorKind> tensors = bundle.tensors();
    Map<Name, Integer> names = new HashMap<>();
    Map<Item, String> keys = new LinkedHashMap<>();
    for (TrackableObject object : objects.getNodesList()) {
      for (SerializedTensor tensor : object.getAttributesList()) {
        String key = tensor.getCheckpointKey();
        TensorKind kind = tensors.get(key);
        if (kind != null) {
          item(key, tensor.getFullName(), kind)
              .ifPresent(item -> keys.put(distinct(item, names), key));
        }
      }
    }
    return new SavedState(bundle, objects, keys);
  }

  /**
   * Opens the same tensors in other files, those of a {@code tf.train.Checkpoint(model=model,
   * optimizer=optimizer)}.
   *
   * @throws IOException if a file is missing or damaged, or lacks one of the tensors, or has
   *     another type or shape of it
   */
  public SavedState counterpart(Path others) throws IOException {
    TensorBundle theirs = TensorBundle.read(others);
    TrackableObjectGraph given = ObjectGraph.read(theirs);
    Map<String, String> matched = new Matching(objects, given).keys();
    Map<String, TensorKind> tensors = theirs.tensors();
    Map<Item, String> found = new LinkedHashMap<>();
    for (Map.Entry<Item, String> entry : keys.entrySet()) {
      String key = matched.get(entry.getValue());
      TensorKind kind = key == null ? null : tensors.get(key);
      if (!entry.getKey().kind().equals(kind)) {
        throw new IOException(
            "'%s' has %s in place of %s, '%s'"
                .formatted(
                    others,
                    kind == null ? "nothing" : kind,
                    entry.getKey().kind(),
                    entry.getValue()));
      }
      found.put(entry.getKey(), key);
    }
    return new SavedState(theirs, given, found);
  }

  private static Optional<Item> item(String key, String name, TensorKind kind) {
    if (key.equals(VariableKey.of("optimizer/_iterations"))) {
      return Optional.of(new Item(Part.ITERATIONS, "", kind));
    }
    if (key.equals(VariableKey.of("optimizer/_learning_rate"))
        || key.equals(VariableKey.of("optimizer/_current_learning_rate"))) {
      return Optional.of(new Item(Part.LEARNING_RATE, "", kind));
    }
    if (key.startsWith(MODEL)) {
      return Optional.of(new Item(Part.VARIABLE, name, kind));
    }
    if (key.startsWith(OPTIMIZER)) {
      int end = name.indexOf('/');
      Part part = Part.valueOf(name.substring(0, end).toUpperCase(Locale.ROOT));
      return Optional.of(new Item(part, name.substring(end + 1), kind));
    }
    return Optional.empty();
  }

  /** What an item is told by. */
  private record Name(Part part, String variable) {}

  /**
   * The item under a name that none before it has: variables may have the same.
   *
   * @param known the names in use, with the last number that was given to one of the name
   */
  private static Item distinct(Item item, Map<Name, Integer> known) {
    Name wanted = new Name(item.part(), item.variable());
    Name name = wanted;
    int number = known.getOrDefault(wanted, 1);
    while (known.putIfAbsent(name, 1) != null) {
      number++;
      name = new Name(item.part(), "%s (%d)".formatted(item.variable(), number));
    }
    known.put(wanted, number);
    return new Item(name.part(), name.variable(), item.kind());
  }

  /** The tensors, the model's variables first. */
  public List<Item> items() {
    return List.copyOf(keys.keySet());
  }

  /**
   * The elements of a tensor, in C order and little-endian.
   *
   * @throws IOException if it cannot be read
   */
  public byte[] elements(Item item) throws IOException {
    return bundle.elements(keys.get(item));
  }

  @Override
  public String toString() {
    return bundle.prefix().toString();
  }
}
