package dev.adafactor.cli;

import dev.adafactor.finetune.Digits;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Runs commands on damaged models, one after the other, in a process of its own: what takes it down
 * takes nothing else down. Prints a line before each, and one after it.
 */
final class DamagedModels {
  private DamagedModels() {}

  /** Arguments: a model, a folder for scratch, the first seed, how many; then the command's. */
  public static void main(String[] arguments) throws IOException {
    Path model = Path.of(arguments[0]);
    Path scratch = Path.of(arguments[1]);
    long first = Long.parseLong(arguments[2]);
    int count = Integer.parseInt(arguments[3]);
    NativeEnvironment.prepare();
    PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (long seed = first; seed < first + count; seed++) {
      Path folder = scratch.resolve("model-" + seed);
      copy(model, folder);
      String damage = new Damage(seed).apply(folder);
      out.printf("SEED %d %s%n", seed, oneLine(damage));
      Map<String, Integer> before = contents(folder);
      Set<Path> besides = list(scratch);
      StringWriter err = new StringWriter();
      String[] command =
          Stream.of(arguments)
              .skip(4)
              .map(
                  argument ->
                      argument
                          .replace("MODEL", folder.toString())
                          .replace("EXPORT", scratch.resolve("export").toString()))
              .toArray(String[]::new);
      long start = System.nanoTime();
      int exitCode =
          Main.commandLine()
              .setOut(new PrintWriter(new StringWriter()))
              .setErr(new PrintWriter(err))
              .execute(command);
      long millis = (System.nanoTime() - start) / 1_000_000;
      deleteTree(scratch.resolve("export"));
      String verdict = before.equals(contents(folder)) ? "" : " CHANGED INPUT";
      verdict += besides.equals(list(scratch)) ? "" : " LEFTOVERS";
      if (exitCode != 0 && err.toString().lines().count() != 1) {
        verdict += " NOT ONE LINE";
      }
      deleteTree(folder);
      out.printf("DONE %d in %d ms%s: %s%n", exitCode, millis, verdict, oneLine(err.toString()));
    }
  }

  private static Set<Path> list(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.collect(Collectors.toSet());
    }
  }

  private static String oneLine(String text) {
    return text.replaceAll("\\p{Cntrl}", " ").strip();
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()));
      }
    }
  }

  private static Map<String, Integer> contents(Path folder) throws IOException {
    Map<String, Integer> contents = new TreeMap<>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.toList()) {
        contents.put(
            file.toString(),
            Files.isRegularFile(file) ? Arrays.hashCode(Files.readAllBytes(file)) : 0);
      }
    }
    return contents;
  }

  private static void deleteTree(Path root) throws IOException {
    if (Files.exists(root)) {
      List<Path> files;
      try (Stream<Path> walk = Files.walk(root)) {
        files = walk.sorted(Comparator.reverseOrder()).toList();
      }
      for (Path file : files) {
        Files.delete(file);
      }
    }
  }

  static final List<String> FINE_TUNE =
      List.of(
          "fine-tune",
          "--model=MODEL",
          "--features=" + Digits.TEST_IMAGES,
          "--labels=" + Digits.TEST_LABELS,
          "--loss=sparse-categorical-crossentropy",
          "--epochs=1",
          "--batch-size=225",
          "--learning-rate=0.01",
          "--epsilon-1=1e-16",
          "--export=EXPORT");
}
