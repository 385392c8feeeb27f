package dev.adafactor.parity;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import java.util.zip.GZIPOutputStream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.CharRange;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CaseFileTest {
  /** A matrix w of 2×1 and a float16 scalar s, one step, everything recorded. */
  private static final String SOUND =
      """
      {"meta": {"tf": "2.18.0"}, "cases": [{
        "id": "one", "tags": ["f16"],
        "kwargs": {"learning_rate": 0.5, "use_ema": true, "clipnorm": null},
        "exclude": {"vars": [1]},
        "vars": [{"name": "a/w", "shape": [2, 1], "dtype": "float32", "init": "AACAPwAAAEA="},
                 {"name": "s", "shape": [], "dtype": "float16", "init": "ADw="}],
        "initial_iterations": 7,
        "events": [{"before_step": 0, "set_learning_rate": 0.25}],
        "steps": [{"g": [{"idx": [1, 1], "val": "AACAPwAAAEA="}, null],
          "var": ["AACAPwAAAEA=", "ADw="], "v": ["AACAPwAAAEA=", "ADw="],
          "r": ["AACAPwAAAEA=", null], "c": ["AACAPw==", null],
          "ema": ["AACAPwAAAEA=", "ADw="], "it": 8, "lr": 0.25}],
        "final": ["AACAPwAAAEA=", "ADw="]}]}
      """;

  @TempDir Path folder;

  @Test
  void readsEverything() throws IOException {
    Case read = CaseFile.read(write(SOUND)).cases().get(0);
    assertEquals("one", read.id());
    assertEquals(List.of("f16"), read.tags());
    assertEquals(0.5, read.settings().get("learning_rate").doubleValue());
    assertEquals(
        List.of(1), assertInstanceOf(Exclusion.ByVariable.class, read.exclusion()).indices());
    assertEquals(7, read.initialIterations());
    CaseVariable w = read.variables().get(0);
    assertEquals("a/w", w.name());
    assertEquals(List.of(2L, 1L), w.shape());
    assertEquals(2.0, w.initial().get(1));
    assertEquals(ElementType.FLOAT16, read.variables().get(1).type());
    assertEquals(1.0, read.variables().get(1).initial().get(0));
    Step step = read.steps().get(0);
    assertEquals(OptionalDouble.of(0.25), step.newLearningRate());
    Gradient.Sparse sparse = assertInstanceOf(Gradient.Sparse.class, step.gradients().get(0));
    assertEquals(List.of(1, 1), sparse.indices());
    assertEquals(2.0, sparse.values().get(1));
    assertInstanceOf(Gradient.None.class, step.gradients().get(1));
    Trajectory recorded = read.recorded().orElseThrow();
    State state = recorded.states().get(0);
    assertEquals(8, state.iterations());
    assertEquals(0.25, state.learningRate().get(0));
    assertEquals(1, state.variables().get(0).c().orElseThrow().size());
    assertTrue(state.variables().get(1).r().isEmpty());
    assertEquals(1.0, state.variables().get(1).average().orElseThrow().get(0));
    assertArrayEquals(new byte[] {0, 0x3c}, recorded.finalValues().get(1).toByteArray());
  }

  @Test
  void readsCompressedFiles() throws IOException {
    Path file = folder.resolve("cases.json.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write(SOUND.getBytes(StandardCharsets.UTF_8));
    }
    assertEquals("one", CaseFile.read(file).cases().get(0).id());
  }

  @Test
  void inputsAloneAreACaseToo() throws IOException {
    String inputs =
        SOUND
            .replaceAll("(?s),\\s*\"var\":.*?\"lr\": 0.25", "")
            .replaceAll(",\\s*\"final\": \\[.*?]", "");
    assertFalse(inputs.contains("final"));
    assertTrue(CaseFile.read(write(inputs)).cases().get(0).recorded().isEmpty());
  }

  @Test
  void whatMayBeLeftOutHasADefault() throws IOException {
    String brief =
        SOUND
            .replaceAll("\"(tags|events)\": \\[.*?],", "")
            .replaceAll("\"exclude\": \\{.*?},", "")
            .replace("\"initial_iterations\": 7,", "");
    Case read = CaseFile.read(write(brief)).cases().get(0);
    assertEquals(0, read.initialIterations());
    assertInstanceOf(Exclusion.None.class, read.exclusion());
    assertEquals(OptionalDouble.empty(), read.steps().get(0).newLearningRate());
  }

  @Test
  void pythonsNanIsANumber() throws IOException {
    Case read = CaseFile.read(write(SOUND.replace("\"lr\": 0.25", "\"lr\": NaN"))).cases().get(0);
    assertEquals(Double.NaN, read.recorded().orElseThrow().states().get(0).learningRate().get(0));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"id\": \"one\"                | \"id\": 1              | cases[0]: id: is 1, not a text",
        "\"id\": \"one\",               | ``                     | has no \"id\"",
        "\"float32\"                    | \"int32\"              | vars[0].dtype: unknown dtype 'int32'",
        "\"float16\"                    | 3                      | vars[1].dtype: is 3, not a text",
        "[2, 1]                         | [2, -1]                | vars[0].shape[1]: -1 is not between",
        "[2, 1]                         | [2, 1.5]               | vars[0].shape[1]: is 1.5, not an integer",
        "[2, 1]                         | [2, 2]                 | vars[0].init: has 8 bytes, but shape [2, 2] of float32 needs 16",
        "[2, 1]                         | [2147483647, 2147483647] | larger than 2 GiB",
        "\"shape\": []                  | \"shape\": {}          | vars[1].shape: is an object, not an array",
        "\"init\": \"ADw=\"             | \"init\": \"AD*=\"     | vars[1].init: is no base64",
        "\"init\": \"ADw=\"             | \"init\": \"ADwA\"     | vars[1].init: has 3 bytes",
        "\"g\": [                       | \"g\": [null,          | steps[0].g: has 3 entries, but the case has 2 variables",
        "\"idx\": [1, 1]                | \"idx\": [1, 2]        | steps[0].g[0].idx[1]: 2 is not between 0 and 1",
        "\"idx\": [1, 1]                | \"idx\": [1]           | steps[0].g[0].val: has 8 bytes",
        "}, null]                       | }, {\"idx\":[],\"val\":\"\"}] | steps[0].g[1]: is sparse, but the variable is a scalar",
        "}, null]                       | }, 1.5]                | steps[0].g[1]: is 1.5, not an object",
        "\"c\": [\"AACAPw==\", null]    | \"c\": [\"AACAPw==\", \"ADw=\"] | steps[0].c[1]: has to be null",
        "\"r\": [\"AACAPwAAAEA=\"       | \"r\": [null           | steps[0].r[0]: is null, not a text",
        "\"v\": [                       | \"w\": [               | steps[0]: has no \"v\"",
        "\"ema\":                       | \"avg\":               | steps[0]: has no \"ema\"",
        "\"it\": 8                      | \"it\": \"8\"          | steps[0].it: is a text, not an integer",
        "\"lr\": 0.25                   | \"lr\": null           | steps[0].lr: is null, not a number",
        "\"final\"                      | \"end\"                | has no \"final\"",
        "\"before_step\": 0             | \"before_step\": 1     | events[0].before_step: 1 is not between 0 and 0",
        "\"set_learning_rate\": 0.25    | \"lr\": 0.25           | has no \"set_learning_rate\"",
        "{\"vars\": [1]}                | {\"vars\": [2]}        | exclude.vars[0]: 2 is not between 0 and 1",
        "{\"vars\": [1]}                | {}                     | needs either \"names\" or \"vars\"",
        "\"learning_rate\": 0.5         | \"learning_rate\": [1] | kwargs.learning_rate: is an array, not an object",
        "\"clipnorm\": null             | \"clipnorm\": {}       | kwargs.clipnorm: has no \"class_name\"",
        "\"initial_iterations\": 7      | \"initial_iterations\": -1 | initial_iterations: -1 is not between",
        "\"tags\": [\"f16\"]            | \"tags\": [\"f16\"], \"tags\": [] | is no sound JSON: Duplicate",
        "\"cases\"                      | \"Cases\"              | has no \"cases\"",
      })
  void damageIsRefusedByName(String sound, String damage, String message) {
    assertTrue(SOUND.contains(sound), sound);
    assertRefused(SOUND.replace(sound, damage), message);
  }

  @Test
  void aSecondCaseOfTheSameIdIsRefused() {
    String one = SOUND.substring(SOUND.indexOf("[{") + 1, SOUND.lastIndexOf("]"));
    assertRefused("{\"cases\": [" + one + "," + one + "]}", "case 'one': an earlier case");
  }

  @Test
  void stepsAreNeeded() {
    assertRefused(SOUND.replaceAll("(?s)\"steps\": .*}],", "\"steps\": [],"), "steps: is empty");
  }

  @ParameterizedTest
  @CsvSource({"0.0", "0.01", "0.5", "0.9", "0.99"})
  void truncationIsRefused(double share) {
    String text = SOUND.strip();
    assertRefused(text.substring(0, (int) (share * text.length())), "");
  }

  @Property(tries = 500)
  void anyDamageIsRefusedInOneLineOrHarmless(
      @ForAll @IntRange(max = 1200) int place, @ForAll @CharRange(from = ' ', to = '~') char wrong)
      throws IOException {
    StringBuilder text = new StringBuilder(SOUND.strip());
    text.setCharAt(place % text.length(), wrong);
    Path file = Files.createTempFile("cases", ".json");
    try {
      List<Case> read = CaseFile.read(Files.writeString(file, text)).cases();
      assertEquals(1, read.size());
    } catch (IllegalArgumentException refused) {
      assertEquals(1, refused.getMessage().lines().count(), refused.getMessage());
    } finally {
      Files.delete(file);
    }
  }

  @Test
  void truncatedCompressionIsRefused() throws IOException {
    Path file = folder.resolve("cases.json.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write(SOUND.getBytes(StandardCharsets.UTF_8));
    }
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, Arrays.copyOf(bytes, bytes.length / 2));
    assertThrows(IllegalArgumentException.class, () -> CaseFile.read(file));
  }

  @Test
  void whatFollowsTheEndIsRefused() {
    assertRefused(SOUND + "{}", "goes on after the end");
  }

  @Test
  void aMissingFileIsNoDamage() {
    assertThrows(NoSuchFileException.class, () -> CaseFile.read(folder.resolve("none.json")));
  }

  private void assertRefused(String text, String message) {
    IllegalArgumentException refused =
        assertThrows(IllegalArgumentException.class, () -> CaseFile.read(write(text)));
    assertTrue(refused.getMessage().contains(message), refused.getMessage());
    assertTrue(refused.getMessage().contains("cases.json"), refused.getMessage());
    assertEquals(1, refused.getMessage().lines().count(), refused.getMessage());
  }

  private Path write(String text) throws IOException {
    return Files.writeString(folder.resolve("cases.json"), text);
  }
}
