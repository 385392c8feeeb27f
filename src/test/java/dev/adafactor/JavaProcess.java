package dev.adafactor;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Other JVMs, with the class path of the tests. Most live some seconds, half of which would go into
 * optimizing their code; so they compile it once.
 */
public final class JavaProcess {
  /** An option for those that are measured: they optimize code as JVMs do by themselves. */
  public static final String OPTIMIZING = "-XX:TieredStopAtLevel=4";

  private JavaProcess() {}

  /** What starts a JVM that runs a class. */
  public static ProcessBuilder builder(Class<?> main, Object... arguments) {
    return builder(List.of(), main, arguments);
  }

  /**
   * What starts a JVM that runs a class.
   *
   * @param options those of the JVM; what is among them is taken in place of what is set here, the
   *     class path of the tests included
   */
  public static ProcessBuilder builder(List<String> options, Class<?> main, Object... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-cp", System.getProperty("java.class.path")));
    command.add("-XX:TieredStopAtLevel=1");
    command.addAll(options);
    command.add(main.getName());
    Stream.of(arguments).map(Object::toString).forEach(command::add);
    return new ProcessBuilder(command);
  }
}
