package dev.adafactor.parity;

import static dev.adafactor.parity.Samples.float32;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.parity.Course.Role;
import java.util.Collections;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;

class CourseTest {
  private static final Subject SUBJECT = new Subject(Quantity.VAR, OptionalInt.of(0));

  private static Course course(List<Values> recorded, List<Values> computed) {
    List<Tally> tallies = Collections.nCopies(recorded.size(), Tally.NOTHING);
    return Course.of(SUBJECT, List.of(3L), tallies, recorded, computed, Span.of(recorded.size()));
  }

  @Test
  void showsTheWorstTheFirstAndTheLargestElement() {
    Course course =
        course(
            List.of(float32(0, 1, 2), float32(0, 1, -9)),
            List.of(float32(0.5f, 1, 2), float32(0, 4, -9)));
    assertEquals(
        List.of(Set.of(Role.FIRST), Set.of(Role.WORST), Set.of(Role.LARGEST)),
        course.elements().stream().map(Course.Element::roles).toList());
    assertEquals(List.of(0, 1, 2), course.elements().stream().map(Course.Element::index).toList());
    assertEquals(new Curve(List.of(1.0, 1.0), List.of(1.0, 4.0)), course.elements().get(1).curve());
    assertTrue(course.elements().get(2).curve().isSame());
  }

  @Test
  void anElementMayBeAllThree() {
    Course course = course(List.of(float32(0, 0, 7)), List.of(float32(0, 0, 8)));
    assertEquals(
        List.of(
            new Course.Element(2, Set.of(Role.values()), new Curve(List.of(7.0), List.of(8.0)))),
        course.elements());
  }

  @Test
  void whatIsTheSameHasNeitherWorstNorFirst() {
    Course course = course(List.of(float32(Float.NaN, 2, 1)), List.of(float32(Float.NaN, 2, 1)));
    assertEquals(
        List.of(Set.of(Role.LARGEST)),
        course.elements().stream().map(Course.Element::roles).toList());
    assertEquals(1, course.elements().get(0).index());
  }

  @Test
  void nothingIsFarFromWhatIsNotFiniteButInfinityIsFarFromANumber() {
    Course course =
        course(
            List.of(float32(Float.NaN, 2, 1)),
            List.of(float32(100, 2.5f, Float.POSITIVE_INFINITY)));
    assertEquals(Set.of(Role.FIRST), course.elements().get(0).roles());
    assertEquals(Set.of(Role.LARGEST), course.elements().get(1).roles());
    assertEquals(Set.of(Role.WORST), course.elements().get(2).roles());
  }

  @Test
  void meansAreOfWhatIsFiniteInTfKeras() {
    Course course =
        course(
            List.of(float32(3, -4, Float.NaN), float32(Float.NaN, Float.NaN, Float.NaN)),
            List.of(float32(6, 8, 100), float32(Float.NaN, 5, 5)));
    assertEquals(List.of(Math.sqrt(12.5), Double.NaN), rounded(course.rms().recorded()));
    assertEquals(List.of(Math.sqrt(50), 5.0), rounded(course.rms().computed()));
    assertEquals(new Curve(List.of(4.0, Double.NaN), List.of(8.0, 5.0)), course.largest());
  }

  /** Without the last bits, which depend on the order of operations. */
  private static List<Double> rounded(List<Double> numbers) {
    return numbers.stream()
        .map(x -> Double.isNaN(x) ? x : Math.sqrt(Math.round(x * x * 1e9) / 1e9))
        .toList();
  }

  @Test
  void squaresNeitherOverflowNorVanish() {
    for (float size : new float[] {1e38f, 1e-38f}) {
      Course course =
          course(List.of(float32(size, size, -size)), List.of(float32(size, size, -size)));
      assertEquals(size, course.rms().recorded().get(0), size * 1e-12);
    }
  }

  @Test
  void ofNoElementsThereIsNothingToShow() {
    Course course = course(List.of(float32()), List.of(float32()));
    assertEquals(List.of(), course.elements());
    assertEquals(List.of(Double.NaN), course.rms().recorded());
  }

  @Test
  void aPointOfManyStepsHasTheirWorstDifferenceAndTheLastValues() {
    Tally apart = new Tally(1, 0, 1, 0, 5, 0.5, 0.25);
    Course course =
        Course.of(
            SUBJECT,
            List.of(1L),
            List.of(Tally.NOTHING, apart, Tally.NOTHING),
            List.of(float32(1), float32(2), float32(3)),
            List.of(float32(1), float32(7), float32(3)),
            List.of(new Span(0, 2)));
    assertEquals(List.of(apart), course.differences());
    assertEquals(List.of(3.0), course.largest().recorded());
    // It was apart in a step that has no point of its own.
    assertEquals(Set.of(Role.WORST, Role.FIRST, Role.LARGEST), course.elements().get(0).roles());
    assertFalse(course.differences().isEmpty());
  }
}
