package dev.adafactor.savedmodel;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.google.protobuf.ByteString;
import com.google.protobuf.UnknownFieldSet;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** The layers of a Keras model that mask positions of sequences, by what model.save tells. */
final class KerasMasks {
  /** What model.save writes beside a SavedModel, and tf.saved_model.save of a model does not. */
  static final Path METADATA = Path.of("keras_metadata.pb");

  /** The numbers of the fields of Keras's SavedMetadata and SavedObject. */
  private static final int OBJECTS = 1;

  private static final int LAYER = 5;

  private static final JsonMapper JSON = new JsonMapper();

  private KerasMasks() {}

  /**
   * The names of the layers that make a mask.
   *
   * @return none if the folder has no such file, or one that cannot be read: nothing else needs it
   */
  static List<String> in(Path folder) {
    List<String> names = new ArrayList<>();
    Path file = folder.resolve(METADATA);
    if (!Files.isRegularFile(file)) {
      return names;
    }
    try {
      for (ByteString object : field(ByteString.copyFrom(Files.readAllBytes(file)), OBJECTS)) {
        for (ByteString text : field(object, LAYER)) {
          JsonNode layer = JSON.readTree(text.toStringUtf8());
          if (makesMask(layer)) {
            names.add(layer.path("name").asText());
          }
        }
      }
    } catch (IOException e) {
      return List.of();
    }
    return names;
  }

  private static List<ByteString> field(ByteString message, int number) throws IOException {
    return UnknownFieldSet.parseFrom(message).getField(number).getLengthDelimitedList();
  }

  private static boolean makesMask(JsonNode layer) {
    return switch (layer.path("class_name").asText()) {
      case "Masking" -> true;
      case "Embedding" -> layer.path("config").path("mask_zero").asBoolean();
      default -> false;
    };
  }
}
