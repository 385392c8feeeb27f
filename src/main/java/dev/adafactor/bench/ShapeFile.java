package dev.adafactor.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalInt;
import java.util.stream.LongStream;
import org.tensorflow.ndarray.Shape;

/**
 * A set of variables in a JSON file: a list of shapes, {@code [[64, 10], [10]]}, or of objects,
 * {@code {"name": "embedding", "shape": [1000, 64], "rows": 32}}, of which only the shape must be
 * there. With {@code rows} the gradient is sparse and has so many rows.
 */
public final class ShapeFile {
  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .build();

  private static final List<String> KEYS = List.of("name", "shape", "rows");

  private ShapeFile() {}

  /**
   * Reads a file.
   *
   * @throws IllegalArgumentException if it holds something else
   * @throws IOException if it cannot be read
   */
  public static ShapeSet read(Path file) throws IOException {
    JsonNode root;
    try {
      root = JSON.readTree(file.toFile());
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          "'%s' is no JSON: %s".formatted(file, e.getOriginalMessage()), e);
    }
    if (!root.isArray()) {
      throw new IllegalArgumentException(
          "'%s' holds no list of shapes, as [[64, 10], [10]]".formatted(file));
    }
    List<Parameter> parameters = new ArrayList<>();
    for (JsonNode each : root) {
      try {
        parameters.add(parameter(each, parameters.size() + 1));
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException("'%s': %s".formatted(file, e.getMessage()), e);
      }
    }
    return new ShapeSet(file.getFileName().toString(), parameters);
  }

  /** What {@link #read} reads. */
  public static String text(ShapeSet shapes) {
    ArrayNode root = JSON.createArrayNode();
    for (Parameter each : shapes.parameters()) {
      ObjectNode node = root.addObject().put("name", each.name());
      ArrayNode shape = node.putArray("shape");
      LongStream.of(each.shape().asArray()).forEach(shape::add);
      each.gradientRows().ifPresent(rows -> node.put("rows", rows));
    }
    return root.toString();
  }

  private static Parameter parameter(JsonNode node, int number) {
    String name = node.path("name").asText("variable_" + number);
    JsonNode shape = node.isObject() ? node.path("shape") : node;
    if (!shape.isArray()) {
      throw new IllegalArgumentException(
          "'%s' has no shape, a list of dimensions as [64, 10]".formatted(name));
    }
    List<Long> dimensions = new ArrayList<>();
    for (JsonNode dimension : shape) {
      if (!dimension.canConvertToExactIntegral() || !dimension.canConvertToLong()) {
        throw new IllegalArgumentException("'%s': %s is no dimension".formatted(name, dimension));
      }
      dimensions.add(dimension.longValue());
    }
    node.fieldNames()
        .forEachRemaining(
            key -> {
              if (!KEYS.contains(key)) {
                throw new IllegalArgumentException(
                    "'%s': '%s' is none of %s".formatted(name, key, String.join(", ", KEYS)));
              }
            });
    JsonNode rows = node.path("rows");
    if (!rows.isMissingNode() && !rows.isInt()) {
      throw new IllegalArgumentException("'%s': %s is no number of rows".formatted(name, rows));
    }
    return new Parameter(
        name,
        Shape.of(dimensions.stream().mapToLong(Long::longValue).toArray()),
        rows.isMissingNode() ? OptionalInt.empty() : OptionalInt.of(rows.intValue()));
  }
}
