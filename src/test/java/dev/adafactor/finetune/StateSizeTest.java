package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.adafactor.Adafactor;
import dev.adafactor.finetune.StateSize.Parameter;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Graph;
import org.tensorflow.Output;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.proto.DataType;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.family.TNumber;

class StateSizeTest {
  @Test
  void countsTheStateOfEachOptimizer() {
    List<Parameter> variables =
        List.of(
            new Parameter(Shape.of(3, 3, 4, 5), DataType.DT_FLOAT),
            new Parameter(Shape.of(7), DataType.DT_FLOAT),
            new Parameter(Shape.scalar(), DataType.DT_DOUBLE),
            new Parameter(Shape.of(10, 20), DataType.DT_HALF));
    StateSize size = StateSize.of(variables, 1000, 100);
    long parameters = 4 * 180 + 4 * 7 + 8 + 2 * 200;
    long factors = 4 * (3 * 3 * 4 + 3 * 3 * 5) + 2 * (10 + 20);
    assertEquals(parameters, size.parameters());
    assertEquals(1000, size.adafactor());
    assertEquals(parameters + factors + 100, size.tfKerasAdafactor());
    assertEquals(2 * parameters + 100, size.adam());
  }

  @ParameterizedTest
  @ValueSource(classes = {TFloat16.class, TBfloat16.class, TFloat32.class, TFloat64.class})
  <T extends TNumber> void slotsAreAsWideAsTheirType(Class<T> type) {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Variable<T> matrix = tf.variable(Shape.of(10, 20), type);
      Adafactor adafactor = Adafactor.builder(graph).useEma(true).build();
      adafactor.minimize(tf.math.mean(matrix, tf.constant(new int[] {0, 1})));
      List<Output<?>> variables = List.of(matrix.asOutput());
      long width = type == TFloat64.class ? 8 : type == TFloat32.class ? 4 : 2;
      List<String> factors = List.of(Adafactor.R, Adafactor.C, Adafactor.V);
      // Rows and columns of the half types are kept in float32.
      assertEquals((10 + 20) * Math.max(4, width), StateSize.slots(adafactor, variables, factors));
      Parameter parameter = new Parameter(Shape.of(10, 20), dtype(type));
      assertEquals(
          StateSize.slots(adafactor, variables, factors),
          StateSize.byDefault(List.of(parameter)).adafactor());
      List<String> averages = List.of(Adafactor.AVERAGE);
      assertEquals(10 * 20 * width, StateSize.slots(adafactor, variables, averages));
    }
  }

  @Test
  void anUnknownTypeIsNoFourBytes() {
    assertThrows(IllegalArgumentException.class, () -> StateSize.width(DataType.DT_STRING));
  }

  private static DataType dtype(Class<? extends TNumber> type) {
    return Map.of(
            TFloat16.class, DataType.DT_HALF,
            TBfloat16.class, DataType.DT_BFLOAT16,
            TFloat32.class, DataType.DT_FLOAT,
            TFloat64.class, DataType.DT_DOUBLE)
        .get(type);
  }
}
