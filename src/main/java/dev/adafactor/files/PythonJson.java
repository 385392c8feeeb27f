package dev.adafactor.files;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;

/** JSON as Python's {@code json} writes and reads it: with NaN and Infinity. */
public final class PythonJson {
  public static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
          .build();

  private PythonJson() {}

  /** What is wrong with a text that is no JSON, in one line, without where. */
  public static String reason(JsonProcessingException e) {
    return e.getOriginalMessage()
        .replaceAll("\\s+", " ")
        .replaceFirst(" \\(start marker at .*", "");
  }

  /** A node's text; its own {@code toString} makes strings of NaN and Infinity. */
  public static String text(JsonNode node) {
    try {
      return MAPPER.writeValueAsString(node);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a tree of JSON is no JSON", e);
    }
  }
}
