package dev.adafactor.mesh;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.ndarray.Shape;

class LayoutTest {

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "x=2,y=2 | '' | []",
        "x=2,y=2 | 4 | [x]",
        "x=2,y=2 | 3 | [unsharded]",
        "x=2,y=2 | 4,6 | [x, y]",
        "x=2,y=2 | 3,6 | [unsharded, y]",
        "x=2,y=2 | 4,5 | [x, unsharded]",
        "x=2,y=2 | 2,4,6 | [unsharded, x, y]",
        "x=2,y=2,z=2 | 8,8,8 | [unsharded, x, y]",
        "y=4 | 8 | [unsharded]",
        "y=4 | 8,8 | [unsharded, y]",
        "x=3 | 9,9 | [x, unsharded]",
        "a=2 | 8,8 | [unsharded, unsharded]",
      })
  void cutsTheLastAxesWhereTheyDivide(String mesh, String shape, String specs) {
    long[] sizes =
        shape.isEmpty()
            ? new long[0]
            : Arrays.stream(shape.split(",")).mapToLong(Long::parseLong).toArray();
    assertEquals(
        specs,
        Layout.ofMatrices(Mesh.virtualCpus(mesh), Shape.of(sizes)).shardingSpecs().toString());
  }
}
