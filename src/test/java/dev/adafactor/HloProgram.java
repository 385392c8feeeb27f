package dev.adafactor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A program as XLA wrote it down after all optimizations: how often its kernels pass over tensors
 * of a size, and what memory it takes.
 *
 * @param text of the module
 * @param buffers the assignment of its memory
 */
record HloProgram(String text, String buffers) {

  private static final String OPTIMIZED = ".cpu_after_optimizations.txt";
  private static final String BUFFERS = ".cpu_after_optimizations-buffer-assignment.txt";

  /** Name, shape, operation and operands; a tuple's shape has blanks, of which the first matter. */
  private static final Pattern INSTRUCTION =
      Pattern.compile("^ +(?:ROOT )?(\\S+) = (\\(.*?\\)|\\S+) ([\\w-]+)\\((.*?)\\)(?:, .*)?$");

  private static final Pattern ALLOCATION = Pattern.compile("^allocation \\d+: size (\\d+), (.*)$");

  private static final Pattern DIMENSIONS = Pattern.compile("\\[([\\d,]*)\\]");

  /** Which move no data. */
  private static final Set<String> FREE =
      Set.of("parameter", "constant", "tuple", "get-tuple-element", "bitcast");

  /**
   * How often kernels pass over tensors of the size.
   *
   * @param reads by the number of the parameter that is read
   * @param temporaryReads of what other kernels have written
   * @param writes of results and of temporaries
   */
  record Passes(Map<Integer, Integer> reads, int temporaryReads, int writes) {
    int all() {
      return reads.values().stream().mapToInt(Integer::intValue).sum() + temporaryReads + writes;
    }
  }

  static boolean isOptimized(Path file) {
    return file.toString().endsWith(OPTIMIZED);
  }

  /** All programs of a folder. */
  static List<HloProgram> in(Path dumps) throws IOException {
    List<HloProgram> programs = new ArrayList<>();
    try (Stream<Path> files = Files.list(dumps)) {
      for (Path file : files.filter(HloProgram::isOptimized).sorted().toList()) {
        Path buffers = Path.of(file.toString().replace(OPTIMIZED, BUFFERS));
        programs.add(new HloProgram(Files.readString(file), Files.readString(buffers)));
      }
    }
    return programs;
  }

  private Stream<Matcher> entry() {
    return text.substring(text.indexOf("\nENTRY "))
        .lines()
        .map(INSTRUCTION::matcher)
        .filter(Matcher::matches);
  }

  /** Whether a parameter has a shape, written as {@code f32[160,96]}. */
  boolean takes(int parameter, String shape) {
    return entry()
        .anyMatch(
            m ->
                m.group(3).equals("parameter")
                    && m.group(4).equals(Integer.toString(parameter))
                    && m.group(2).startsWith(shape));
  }

  /** Whether a result is written to the memory of an argument. */
  boolean reusesArguments() {
    return text.lines().findFirst().orElseThrow().contains("input_output_alias");
  }

  /** The bytes that it takes besides its arguments, for results and temporaries. */
  long bytesBesidesArguments() {
    return buffers
        .lines()
        .map(ALLOCATION::matcher)
        .filter(m -> m.matches() && !m.group(2).startsWith("parameter"))
        .mapToLong(m -> Long.parseLong(m.group(1)))
        .sum();
  }

  /** Counts passes over tensors of so many elements, whatever their shape. */
  Passes passes(long elements) {
    Map<String, Integer> parameters = new HashMap<>();
    Map<String, String> large = new HashMap<>();
    Map<Integer, Integer> reads = new HashMap<>();
    int[] temporaryReads = {0};
    int[] writes = {0};
    entry()
        .forEach(
            m -> {
              String name = m.group(1);
              String operation = m.group(3);
              List<String> operands =
                  Stream.of(m.group(4).split(", ")).map(o -> o.replaceFirst("^.* ", "")).toList();
              long results = count(m.group(2), elements);
              if (results > 0) {
                large.put(name, operation.equals("bitcast") ? large.get(operands.get(0)) : name);
              }
              if (operation.equals("parameter")) {
                parameters.put(name, Integer.valueOf(operands.get(0)));
              }
              if (FREE.contains(operation)) {
                return;
              }
              writes[0] += (int) results;
              for (String operand : Set.copyOf(operands)) {
                String read = large.get(operand);
                if (parameters.containsKey(read)) {
                  reads.merge(parameters.get(read), 1, Integer::sum);
                } else if (read != null) {
                  temporaryReads[0]++;
                }
              }
            });
    return new Passes(reads, temporaryReads[0], writes[0]);
  }

  private static long count(String shapes, long elements) {
    return DIMENSIONS
        .matcher(shapes)
        .results()
        .filter(
            m ->
                !m.group(1).isEmpty()
                    && Stream.of(m.group(1).split(","))
                            .mapToLong(Long::parseLong)
                            .reduce(1, (a, b) -> a * b)
                        == elements)
        .count();
  }
}
