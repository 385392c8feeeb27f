package dev.adafactor.cli;

import dev.adafactor.parity.ComparedRun;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A page for people that shows how runs compare that were done by tf_keras and here: one file that
 * needs nothing from elsewhere.
 *
 * @param noun what a run is called
 * @param facts about the circumstances: versions, settings
 * @param expectation of every run
 * @param runs at least one
 */
record ReportPage(String noun, List<Facts> facts, Expectation expectation, List<ComparedRun> runs) {
  private static final Pattern PLACEHOLDER = Pattern.compile("\\{\\{(css|js|data)}}");

  /**
   * Some facts under one title.
   *
   * @param entries in their order
   */
  record Facts(String title, Map<String, String> entries) {}

  /**
   * What is asked of a run that is to be good.
   *
   * @param text for people
   * @param scaleUlps the largest difference of an element, in units of the last place of the
   *     largest magnitude that the tensor has had, for each step taken, if that is the measure
   */
  record Expectation(String text, OptionalDouble scaleUlps) {}

  /** The page, as UTF-8. */
  void writeTo(OutputStream out) throws IOException {
    String page =
        PLACEHOLDER
            .matcher(resource("html"))
            .replaceAll(found -> Matcher.quoteReplacement(part(found.group(1))));
    out.write(page.getBytes(StandardCharsets.UTF_8));
  }

  private String part(String name) {
    // As text of a script, the data must not end it.
    return name.equals("data") ? ReportJson.of(this).replace("<", "\\u003c") : resource(name);
  }

  private static String resource(String extension) {
    String name = "report/report." + extension;
    try (InputStream in = ReportPage.class.getResourceAsStream(name)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).strip();
    } catch (IOException e) {
      throw new IllegalStateException(name + " cannot be read", e);
    }
  }
}
