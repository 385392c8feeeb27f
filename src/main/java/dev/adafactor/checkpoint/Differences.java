package dev.adafactor.checkpoint;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.adafactor.files.TensorBundle;
import dev.adafactor.files.TensorBundle.Kind;
import dev.adafactor.files.VariableKey;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tensorflow.proto.TrackableObjectGraphOuterClass.TrackableObjectGraph;

/** Compares a checkpoint with the state that it is to be put into. */
final class Differences {
  private static final int SHOWN = 3;

  /** What a model that Keras has loaded drags along: its former optimizer and metrics. */
  private static final List<String> OF_LOADED_MODELS =
      List.of("model/optimizer/", "model/keras_api/");

  private final Layout layout;
  private final Map<String, Cell> cells;
  private final String own;

  /**
   * @param layout what the state would be written as
   * @param cells where it is, by key
   * @param own begins the keys of exact values
   */
  Differences(Layout layout, Map<String, Cell> cells, String own) {
    this.layout = layout;
    this.cells = cells;
    this.own = own;
  }

  /**
   * Which tensors of a checkpoint belong where.
   *
   * @param files the checkpoint's prefix, for messages
   * @throws IllegalArgumentException if something is missing, too much, or of another shape
   * @throws IOException if the checkpoint's tree of objects cannot be read
   */
  Map<String, Cell> sources(TensorBundle bundle, Path files) throws IOException {
    TrackableObjectGraph given;
    try {
      given = TrackableObjectGraph.parseFrom(bundle.string(ObjectGraph.KEY));
    } catch (InvalidProtocolBufferException e) {
      throw new IOException("'" + files + "' is damaged: its tree of objects cannot be read", e);
    }
    Map<String, String> keys = Matching.keys(layout.objects(), given);
    Map<String, Kind> tensors = bundle.tensors();
    Map<String, Cell> sources = new LinkedHashMap<>();
    Set<String> expected = new HashSet<>(keys.values());
    List<String> differences = new ArrayList<>();
    for (String key : layout.tensors().keySet()) {
      String exact = own + key;
      Cell cell = cells.get(key);
      String there = keys.get(key);
      if (cell.destination().isEmpty()) {
        continue;
      }
      if (there == null || !tensors.containsKey(there)) {
        differences.add("it has no '%s'".formatted(name(key)));
      } else if (!tensors.get(there).shape().equals(cell.shape())) {
        differences.add(
            "its '%s' has the shape %s in place of %s"
                .formatted(name(there), tensors.get(there).shape(), cell.shape()));
      } else if (tensors.get(there).dtype() != cell.value().dataType()) {
        differences.add(
            "its '%s' is %s in place of %s"
                .formatted(
                    name(there),
                    tensors.get(there),
                    new Kind(cell.value().dataType(), cell.shape())));
      } else if (tensors.containsKey(exact) && cells.containsKey(exact)) {
        sources.put(exact, cells.get(exact));
      } else {
        sources.put(there, cell);
      }
    }
    for (String key : cells.keySet()) {
      if (key.startsWith(own) && !layout.tensors().containsKey(key.substring(own.length()))) {
        if (tensors.containsKey(key)) {
          sources.put(key, cells.get(key));
        } else {
          differences.add("it has no '%s'".formatted(key));
        }
      }
    }
    for (String key : tensors.keySet()) {
      boolean state =
          key.startsWith("optimizer/_variables/")
              || (key.startsWith("model/") && OF_LOADED_MODELS.stream().noneMatch(key::startsWith));
      if (state && !expected.contains(key)) {
        differences.add("it has '%s' besides".formatted(name(key)));
      }
    }
    if (!differences.isEmpty()) {
      throw new IllegalArgumentException(
          "the checkpoint '%s' is of another model or optimizer: %s%s"
              .formatted(
                  files,
                  String.join("; ", differences.subList(0, Math.min(SHOWN, differences.size()))),
                  differences.size() > SHOWN
                      ? " (and %d more)".formatted(differences.size() - SHOWN)
                      : ""));
    }
    return sources;
  }

  private static String name(String key) {
    return VariableKey.path(key).orElse(key);
  }
}
