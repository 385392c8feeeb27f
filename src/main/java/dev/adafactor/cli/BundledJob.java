package dev.adafactor.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.files.PythonJson;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * A command's options in a JSON file: an object whose keys are long names of options without the
 * dashes. Its paths are relative to the file.
 */
record BundledJob(Path settings) {

  /**
   * The options as arguments of the command.
   *
   * @param given options that are left out, as the user has given them
   * @throws IOException if the file cannot be read
   * @throws IllegalArgumentException if the command has no such option
   */
  List<String> arguments(CommandSpec command, Predicate<OptionSpec> given) throws IOException {
    if (!Files.isRegularFile(settings)) {
      throw new IllegalArgumentException(
          ("--model is missing, and the bundled job %s is not here; give --model, or start the"
                  + " program where the folder '%s' is")
              .formatted(settings, settings.getName(0)));
    }
    JsonNode json;
    try {
      json = new JsonMapper().readTree(Files.readAllBytes(settings));
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          "%s: not JSON: %s".formatted(settings, PythonJson.reason(e)), e);
    }
    List<String> arguments = new ArrayList<>();
    for (Map.Entry<String, JsonNode> setting : json.properties()) {
      OptionSpec option = command.findOption("--" + setting.getKey());
      if (option == null) {
        throw new IllegalArgumentException(
            "%s: %s has no option --%s".formatted(settings, command.name(), setting.getKey()));
      }
      if (!given.test(option)) {
        Iterable<JsonNode> values =
            setting.getValue().isArray() ? setting.getValue() : List.of(setting.getValue());
        for (JsonNode value : values) {
          arguments.addAll(argument(option, setting.getKey(), value));
        }
      }
    }
    return arguments;
  }

  private List<String> argument(OptionSpec option, String key, JsonNode value) {
    if (value.isBoolean() && option.arity().max() == 0) {
      return List.of((value.booleanValue() ? "--" : "--no-") + key);
    }
    String text = value.asText();
    // Of Optional<Path> and List<InputFile>, what is within.
    Class<?> type = option.auxiliaryTypes()[0];
    if (type == Path.class) {
      text = settings.resolveSibling(text).toString();
    } else if (type == InputFile.class) {
      InputFile file = InputFile.parse(text);
      text = new InputFile(file.input(), settings.resolveSibling(file.file())).toString();
    }
    return List.of("--" + key, text);
  }
}
