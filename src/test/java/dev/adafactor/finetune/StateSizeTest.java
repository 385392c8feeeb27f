package dev.adafactor.finetune;

import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.finetune.StateSize.Parameter;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.DataType;

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
}
