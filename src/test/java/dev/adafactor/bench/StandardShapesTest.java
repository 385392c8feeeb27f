package dev.adafactor.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class StandardShapesTest {

  /** BERT-base uncased and ResNet-50 have as many parameters by the accounts of others. */
  @ParameterizedTest
  @CsvSource({
    "SMALL, 16, 8396800",
    "BIG, 1, 16777216",
    "TRANSFORMER, 199, 109482240",
    "EMBEDDING, 1, 192000000",
    "CONV, 161, 25557032"
  })
  void haveTheirVariables(StandardShapes set, int variables, long elements) {
    ShapeSet shapes = set.shapes(100);
    assertEquals(variables, shapes.parameters().size());
    assertEquals(elements, shapes.elements());
    assertEquals(variables, shapes.parameters().stream().map(Parameter::name).distinct().count());
  }

  @ParameterizedTest
  @CsvSource({"SMALL, 8396800", "EMBEDDING, 76800"})
  void haveGradientsOfAllElementsOrOfSomeRows(StandardShapes set, long elements) {
    assertEquals(
        elements,
        set.shapes(100).parameters().stream().mapToLong(each -> each.gradientShape().size()).sum());
  }
}
