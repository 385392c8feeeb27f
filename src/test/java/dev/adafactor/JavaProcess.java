package dev.adafactor;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** Other JVMs, with the class path of the tests. */
public final class JavaProcess {
  private JavaProcess() {}

  /** What starts a JVM that runs a class. */
  public static ProcessBuilder builder(Class<?> main, Object... arguments) {
    return builder(List.of(), main, arguments);
  }

  /**
   * What starts a JVM that runs a class.
   *
   * @param options those of the JVM; a class path among them is taken in place of the one of the
   *     tests
   */
  public static ProcessBuilder builder(List<String> options, Class<?> main, Object... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.addAll(options);
    command.add(main.getName());
    Stream.of(arguments).map(Object::toString).forEach(command::add);
    return new ProcessBuilder(command);
  }
}
