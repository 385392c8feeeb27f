package dev.adafactor.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * A file for an input of a model: {@code FILE} for the only input, {@code INPUT=FILE} for one of
 * several. What is before the equals sign is no name if it holds a {@code /}, or if the whole text
 * is a file.
 */
record InputFile(Optional<String> input, Path file) {

  static InputFile parse(String text) {
    int equals = text.indexOf('=');
    boolean named = equals >= 0 && !text.substring(0, equals).contains("/");
    return named && !Files.exists(Path.of(text))
        ? new InputFile(Optional.of(text.substring(0, equals)), Path.of(text.substring(equals + 1)))
        : new InputFile(Optional.empty(), Path.of(text));
  }

  @Override
  public String toString() {
    return input.map(name -> name + "=").orElse("") + file;
  }

  static final class Converter implements ITypeConverter<InputFile> {
    @Override
    public InputFile convert(String value) {
      InputFile parsed = parse(value);
      if (parsed.file().toString().isEmpty()) {
        throw new TypeConversionException(
            value.isEmpty() ? "'' is no path" : "no file after '%s'".formatted(value));
      }
      return parsed;
    }
  }
}
