package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tensorflow.ndarray.Shape;

/** The programs that XLA makes of the update, read from what XLA writes down. */
class CompiledProgramsTest {

  @TempDir private static Path dumps;

  /** What the process printed, by the first word of each line. */
  private static final Map<String, List<Integer>> PRINTED = new HashMap<>();

  @BeforeAll
  static void train() throws IOException, InterruptedException {
    ProcessBuilder builder =
        JavaProcess.builder(CompiledTraining.class, dumps)
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().put("XLA_FLAGS", "--xla_dump_hlo_as_text --xla_dump_to=" + dumps);
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    for (String line : output.lines().toList()) {
      List<String> words = List.of(line.split(" "));
      PRINTED.put(words.get(0), words.stream().skip(1).map(Integer::valueOf).toList());
    }
  }

  @ParameterizedTest
  @EnumSource
  void areCompiledInTheFirstStepOnly(VariableKind kind) {
    List<Integer> counts = PRINTED.get(kind.name());
    assertEquals(CompiledTraining.KINDS, counts.get(0));
    assertEquals(0, counts.get(1));
  }

  /** That the count above would see it. */
  @Test
  void compilationsOfLaterRunsAreSeen() {
    assertEquals(List.of(19), PRINTED.get("GROWING"));
  }

  @ParameterizedTest
  @EnumSource
  void areCountedFromTheTraceOfAStep(VariableKind kind) {
    List<Integer> counts = PRINTED.get(kind.name());
    assertEquals(CompiledTraining.VARIABLES, counts.get(2));
    assertEquals(counts.get(0), counts.get(3));
  }

  private static HloProgram of(Shape shape) throws IOException {
    String type = "f32[%d,%d]".formatted(shape.get(0), shape.get(1));
    return HloProgram.in(dumps).stream()
        .filter(program -> program.takes(0, type))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void passOverGradientAndVariableAsOftenAsTheMathematicsAsks() throws IOException {
    HloProgram.Passes passes = of(CompiledTraining.MATRIX).passes(CompiledTraining.MATRIX.size());
    // The means over rows and columns, rms(u), the update; rms(w), the update.
    assertEquals(Map.of(0, 3, 1, 2), passes.reads());
    // On CPUs XLA writes down what it sums up: g², u² and w², of which g² is read twice.
    assertTrue(passes.all() <= 5 + 3 + 4 + 1, passes.toString());
  }

  /** That a formulation which needs more passes would be seen. */
  @Test
  void furtherPassesAreCounted() throws IOException {
    HloProgram.Passes passes =
        of(CompiledTraining.NORMALIZED).passes(CompiledTraining.NORMALIZED.size());
    assertEquals(Map.of(0, CompiledTraining.NORMALIZATIONS + 1), passes.reads());
    assertEquals(CompiledTraining.NORMALIZATIONS + 1, passes.writes());
  }

  @Test
  void takeTheMemoryOfOneMoreVariable() throws IOException {
    HloProgram program = of(CompiledTraining.MATRIX);
    assertFalse(program.reusesArguments());
    long bytes = Float.BYTES * CompiledTraining.MATRIX.size();
    long extra = program.bytesBesidesArguments();
    assertTrue(bytes <= extra && extra < 1.1 * bytes, extra + " for " + bytes);
  }
}
