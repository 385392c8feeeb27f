package dev.adafactor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.adafactor.Endurance.Course;
import dev.adafactor.Endurance.Sample;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** That memory and graph do not grow with the number of steps. */
@EnabledOnOs(value = OS.LINUX, disabledReason = "the memory is read from /proc")
class EnduranceTest {

  private static final int STEPS = 3_000;
  private static final int MANY_STEPS = 100_000;

  /** A step feeds 64 KiB: what keeps every eighth batch is beyond it. */
  private static final long TOLERANCE = 16 << 20;

  /** The samples after the start, when pools of memory have been filled. */
  private static List<Sample> samples(Course course, int steps)
      throws IOException, InterruptedException {
    ProcessBuilder builder =
        JavaProcess.builder(
                List.of(
                    JavaProcess.OPTIMIZING,
                    "-Xms96m",
                    "-Xmx96m",
                    "-XX:+AlwaysPreTouch",
                    "-XX:+UseSerialGC"),
                Endurance.class,
                course,
                steps)
            .redirectError(ProcessBuilder.Redirect.INHERIT);
    // Otherwise each thread has its own, of which some grow late.
    builder.environment().put("MALLOC_ARENA_MAX", "2");
    Process process = builder.start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    System.out.println("step, resident bytes, heap bytes, ns a step, operations: " + course);
    System.out.print(output);
    List<Sample> all = output.lines().map(Sample::parse).toList();
    assertEquals(Endurance.SAMPLES, all.size());
    return all.subList(Endurance.SAMPLES / 5, all.size());
  }

  private static void assertFlat(List<Sample> samples) {
    Sample first = samples.get(0);
    Sample last = samples.get(samples.size() - 1);
    assertTrue(last.resident() - first.resident() < TOLERANCE, samples.toString());
    assertTrue(last.heap() - first.heap() < TOLERANCE, samples.toString());
    assertEquals(1, samples.stream().mapToLong(Sample::operations).distinct().count());
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "LEAK")
  void memoryAndGraphStayAsTheyAre(Course course) throws IOException, InterruptedException {
    assertFlat(samples(course, STEPS));
  }

  @Test
  @Tag("live")
  void memoryAndGraphStayAsTheyAreForLong() throws IOException, InterruptedException {
    assumeTrue(Boolean.getBoolean("live.full"), "-Dlive.full=true runs it");
    assertFlat(samples(Course.TRAINING, MANY_STEPS));
  }

  /** That a tensor which each step forgets would be seen. */
  @Test
  void aLeakIsSeen() throws IOException, InterruptedException {
    List<Sample> samples = samples(Course.LEAK, STEPS);
    long growth = samples.get(samples.size() - 1).resident() - samples.get(0).resident();
    assertTrue(growth > 4 * TOLERANCE, samples.toString());
  }
}
