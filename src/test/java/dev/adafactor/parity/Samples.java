package dev.adafactor.parity;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.stream.IntStream;

/** Small cases for tests. */
final class Samples {
  private Samples() {}

  static Values float32(float... elements) {
    ByteBuffer bytes =
        ByteBuffer.allocate(Float.BYTES * elements.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float element : elements) {
      bytes.putFloat(element);
    }
    return new Values(ElementType.FLOAT32, bytes.array());
  }

  /** A trajectory of one vector w: its value after each step, everything else the same. */
  static Trajectory trajectory(Values... values) {
    List<State> states =
        IntStream.range(0, values.length)
            .mapToObj(
                step ->
                    new State(
                        List.of(
                            new VariableState(
                                values[step],
                                values[step],
                                Optional.empty(),
                                Optional.empty(),
                                Optional.empty())),
                        step + 1,
                        Values.of(0.5f)))
            .toList();
    return new Trajectory(states, List.of(values[values.length - 1]));
  }

  /** A case of one vector w and one step that records {@code recorded}. */
  static Case vector(String id, Optional<Trajectory> recorded) {
    ObjectNode settings = JsonNodeFactory.instance.objectNode();
    Values ones = float32(1, 1);
    return new Case(
        id,
        List.of(),
        settings,
        new Exclusion.None(),
        List.of(new CaseVariable("w", List.of(2L), ElementType.FLOAT32, ones)),
        0,
        List.of(new Step(OptionalDouble.empty(), List.of(new Gradient.Dense(ones)))),
        recorded);
  }
}
