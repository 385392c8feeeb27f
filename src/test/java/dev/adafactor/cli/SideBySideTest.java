package dev.adafactor.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.finetune.Digits;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What is refused before any Python does a job. */
class SideBySideTest extends ProgramFixture {
  private void assertRefused(List<String> options, String... parts) {
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
    assertEquals(2, run(arguments));
    assertOneLine(parts);
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
