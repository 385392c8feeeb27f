package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.tensorflow.ndarray.Shape;

class FactoredShapeTest {

  @Test
  void scalarsAndVectorsAreNotFactored() {
    assertEquals(Optional.empty(), FactoredShape.of(Shape.scalar()));
    assertEquals(Optional.empty(), FactoredShape.of(Shape.of(7)));
  }

  @Test
  void matricesAreFactoredIntoRowsAndColumns() {
    assertEquals(
        Optional.of(new FactoredShape(Shape.of(3), Shape.of(4))), FactoredShape.of(Shape.of(3, 4)));
  }

  @Test
  void higherRanksAreFactoredOverTheirLastTwoAxes() {
    assertEquals(
        Optional.of(new FactoredShape(Shape.of(2, 3, 4), Shape.of(2, 3, 5))),
        FactoredShape.of(Shape.of(2, 3, 4, 5)));
  }

  @Test
  void sizesOfOneAndZeroAreSizesLikeOthers() {
    assertEquals(
        Optional.of(new FactoredShape(Shape.of(1), Shape.of(0))), FactoredShape.of(Shape.of(1, 0)));
  }
}
