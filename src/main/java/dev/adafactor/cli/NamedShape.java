package dev.adafactor.cli;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A variable of an option: {@code 64x10}, {@code NAME=64x10}, or {@code scalar}.
 *
 * @param name if it is given
 * @param shape its dimensions, in order
 */
record NamedShape(Optional<String> name, List<Integer> shape) {
  private static final String SCALAR = "scalar";

  /** The product of the dimensions. */
  double elements() {
    return shape.stream().mapToDouble(Integer::doubleValue).reduce(1, (a, b) -> a * b);
  }

  static NamedShape parse(String text) {
    int equals = text.lastIndexOf('=');
    String dimensions = text.substring(equals + 1).strip();
    String name = equals < 0 ? "" : text.substring(0, equals).strip();
    if (equals >= 0 && name.isEmpty()) {
      throw new TypeConversionException("no name before '=' in '%s'".formatted(text));
    }
    if (!dimensions.equals(SCALAR) && !dimensions.matches("\\d{1,9}(x\\d{1,9})*")) {
      throw new TypeConversionException(
          "'%s' is no shape; one is like 64x10, or 10, or %s, with NAME= before it if you like"
              .formatted(dimensions, SCALAR));
    }
    return new NamedShape(
        Optional.of(name).filter(given -> !given.isEmpty()),
        dimensions.equals(SCALAR)
            ? List.of()
            : Arrays.stream(dimensions.split("x")).map(Integer::valueOf).toList());
  }

  static final class Converter implements ITypeConverter<NamedShape> {
    @Override
    public NamedShape convert(String value) {
      return parse(value);
    }
  }
}
