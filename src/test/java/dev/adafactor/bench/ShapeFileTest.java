package dev.adafactor.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.ndarray.Shape;

class ShapeFileTest {
  @TempDir Path folder;

  private ShapeSet read(String json) throws IOException {
    return ShapeFile.read(Files.writeString(folder.resolve("shapes.json"), json));
  }

  @Test
  void readsShapesWithAndWithoutNames() throws IOException {
    ShapeSet set =
        read("[[64, 10], [], {\"shape\": [7]}, {\"name\": \"e\", \"shape\": [9, 2], \"rows\": 3}]");
    assertEquals(
        List.of(
            new Parameter("variable_1", Shape.of(64, 10), OptionalInt.empty()),
            new Parameter("variable_2", Shape.scalar(), OptionalInt.empty()),
            new Parameter("variable_3", Shape.of(7), OptionalInt.empty()),
            new Parameter("e", Shape.of(9, 2), OptionalInt.of(3))),
        set.parameters());
    assertEquals("shapes.json", set.name());
    assertEquals(Shape.of(3, 2), set.parameters().get(3).gradientShape());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "[[1, 2]                        | is no JSON",
        "{}                             | holds no list of shapes",
        "[]                             | has no variables",
        "[[2, -1]]                      | 'variable_1': -1 is no dimension",
        "[[2, 1.5]]                     | 'variable_1': 1.5 is no dimension",
        "[[2], [\"a\"]]                 | 'variable_2': \"a\" is no dimension",
        "[5]                            | 'variable_1' has no shape",
        "[{\"name\": \"w\"}]            | 'w' has no shape",
        "[{\"shape\": [], \"rows\": 1}] | 'variable_1' is a scalar: it has no rows",
        "[{\"shape\": [2], \"rows\": 0}]     | 'variable_1': 0 is no number of rows",
        "[{\"shape\": [2], \"rows\": \"a\"}] | 'variable_1': \"a\" is no number of rows",
        "[{\"shape\": [9], \"row\": 3}]       | 'variable_1': 'row' is none of name, shape, rows",
        "[[2]] [[3]]                    | is no JSON: Trailing token",
        "[{\"shape\": [2], \"shape\": [3]}]   | is no JSON: Duplicate field 'shape'",
        "[{\"shape\": [0, 4], \"rows\": 2}]   | 'variable_1' of shape [0, 4] has no rows",
        "[[100000, 100000]]             | 'variable_1' of shape [100000, 100000] is too large",
        "[[3000000000, 0]]              | 'variable_1' of shape [3000000000, 0] is too large",
        "[[9000000000000000000, 9000000000000000000, 0]] | is too large"
      })
  void saysWhatIsWrong(String json, String message) {
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> read(json.strip()));
    assertTrue(e.getMessage().contains(message), e.getMessage());
    assertTrue(e.getMessage().contains("shapes.json"), e.getMessage());
  }

  @Test
  void refusesMoreDimensionsThanTensorsHave() throws IOException {
    String most = "1" + ",1".repeat(253);
    assertEquals(254, read("[[" + most + "]]").parameters().get(0).shape().numDimensions());
    String message =
        assertThrows(IllegalArgumentException.class, () -> read("[[" + most + ",1]]")).getMessage();
    assertTrue(message.contains("'variable_1' has 255 dimensions"), message);
  }
}
