package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.finetune.Digits;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is refused before any Python does a job. */
class SideBySideTest {
  @TempDir Path folder;

  private void assertRefused(List<String> options, String... parts) {
    StringWriter err = new StringWriter();
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "fine-tune",
                "--model=" + Digits.MODEL,
                "--features=" + Digits.TEST_IMAGES,
                "--labels=" + Digits.TEST_LABELS,
                "--loss=sparse_categorical_crossentropy",
                "--export=" + folder.resolve("export")));
    arguments.addAll(options);
    int exitCode =
        Main.commandLine()
            .setOut(new PrintWriter(new StringWriter()))
            .setErr(new PrintWriter(err))
            .execute(arguments.toArray(String[]::new));
    assertEquals(2, exitCode);
    assertEquals(1, err.toString().lines().count(), err::toString);
    for (String part : parts) {
      assertTrue(err.toString().contains(part), err::toString);
    }
    assertTrue(Files.notExists(folder.resolve("export")), "the job was done");
  }

  @Test
  void anInterpreterThatIsNone() {
    String missing = folder.resolve("python").toString();
    assertRefused(List.of("--compare-with=" + missing), "--compare-with", missing, "no program");
  }

  @Test
  void aProgramThatIsNoPython() {
    assertRefused(List.of("--compare-with=/bin/true"), "--compare-with", "is it a Python?");
  }

  @Test
  void aReportOfNothing() {
    assertRefused(
        List.of("--compare-report=" + folder.resolve("page.html")),
        "--compare-report",
        "--compare-with");
  }

  @Test
  void aPageInThePlaceOfTheJson() {
    for (String option : List.of("--report", "--json")) {
      assertRefused(
          List.of(option + "=" + folder.resolve("page.HTML")), "page.HTML", "--compare-report");
    }
  }

  @Test
  void aJobThatWasBegunBefore() {
    assertRefused(
        List.of("--compare-with=python3", "--checkpoint=" + folder.resolve("saved"), "--resume"),
        "--compare-with",
        "--resume");
  }
}
