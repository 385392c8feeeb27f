package dev.adafactor.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.adafactor.parity.CaseVariable;
import dev.adafactor.parity.ComparedRun;
import dev.adafactor.parity.Course;
import dev.adafactor.parity.Curve;
import dev.adafactor.parity.Difference;
import dev.adafactor.parity.Quantity;
import dev.adafactor.parity.Tally;
import dev.adafactor.parity.Verdict;
import java.io.IOException;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * The data of a {@link ReportPage} as its script reads them. Numbers that are not finite are text;
 * arrays of differences are left out where there is none, and what was computed where it is the
 * same as what was recorded.
 */
final class ReportJson {
  /** More digits of a sum or a mean nobody reads. */
  private static final MathContext SHORT = new MathContext(6);

  private final JsonGenerator json;

  private ReportJson(JsonGenerator json) {
    this.json = json;
  }

  static String of(ReportPage page) {
    StringWriter text = new StringWriter();
    try (JsonGenerator json = new JsonFactory(new ObjectMapper()).createGenerator(text)) {
      new ReportJson(json).page(page);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return text.toString();
  }

  private void page(ReportPage page) throws IOException {
    json.writeStartObject();
    json.writeStringField("noun", page.noun());
    json.writeArrayFieldStart("facts");
    for (ReportPage.Facts facts : page.facts()) {
      json.writeStartObject();
      json.writeStringField("title", facts.title());
      json.writeObjectFieldStart("entries");
      for (Map.Entry<String, String> entry : facts.entries().entrySet()) {
        json.writeStringField(entry.getKey(), entry.getValue());
      }
      json.writeEndObject();
      json.writeEndObject();
    }
    json.writeEndArray();
    expectation(page.expectation());
    json.writeArrayFieldStart("runs");
    for (ComparedRun run : page.runs()) {
      run(run);
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void expectation(ReportPage.Expectation expectation) throws IOException {
    json.writeObjectFieldStart("requirement");
    json.writeStringField("text", expectation.text());
    if (expectation.scaleUlps().isPresent()) {
      json.writeNumberField("scale_ulps", expectation.scaleUlps().getAsDouble());
    }
    json.writeEndObject();
  }

  private void run(ComparedRun run) throws IOException {
    json.writeStartObject();
    json.writeStringField("id", run.id());
    json.writeStringField("standing", ConstantConverter.label(run.standing()));
    strings("tags", run.tags());
    json.writeFieldName("settings");
    json.writeTree(run.settings());
    strings("notes", run.notes());
    json.writeArrayFieldStart("variables");
    for (CaseVariable variable : run.variables()) {
      json.writeStartObject();
      json.writeStringField("name", variable.name());
      shape(variable.shape());
      json.writeStringField("dtype", variable.type().label());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeNumberField("steps", run.steps());
    if (run.error().isPresent()) {
      json.writeStringField("error", run.error().get());
    }
    json.writeObjectFieldStart("tallies");
    if (run.verdict().isPresent()) {
      for (Map.Entry<Quantity, Tally> entry : run.verdict().get().tallies().entrySet()) {
        tally(entry.getKey(), entry.getValue());
      }
    }
    json.writeEndObject();
    if (run.verdict().isPresent()) {
      partings(run.verdict().get());
    }
    json.writeArrayFieldStart("points");
    for (int point : run.points()) {
      json.writeNumber(point);
    }
    json.writeEndArray();
    json.writeArrayFieldStart("courses");
    for (Course course : run.courses()) {
      course(course);
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void tally(Quantity quantity, Tally tally) throws IOException {
    json.writeObjectFieldStart(quantity.label());
    json.writeNumberField("elements", tally.elements());
    json.writeNumberField("not_finite", tally.notFinite());
    json.writeNumberField("different", tally.different());
    json.writeFieldName("ulps");
    number(ulps(tally));
    json.writeFieldName("relative");
    summary(tally.relative());
    json.writeFieldName("scale_ulps");
    summary(tally.scaleUlps());
    json.writeEndObject();
  }

  private void partings(Verdict verdict) throws IOException {
    if (verdict.first().isPresent()) {
      difference("first", verdict.first().get());
    }
    if (verdict.firstFailure().isPresent()) {
      difference("first_failure", verdict.firstFailure().get());
    }
  }

  private void difference(String name, Difference difference) throws IOException {
    json.writeObjectFieldStart(name);
    json.writeNumberField("step", difference.step());
    json.writeStringField("quantity", difference.quantity().label());
    json.writeStringField("variable", difference.variable());
    json.writeNumberField("element", difference.element());
    json.writeFieldName("recorded");
    number(difference.recorded());
    json.writeFieldName("computed");
    number(difference.computed());
    json.writeFieldName("ulps");
    number(finite(difference.ulps()));
    json.writeEndObject();
  }

  private void course(Course course) throws IOException {
    json.writeStartObject();
    json.writeStringField("quantity", course.subject().quantity().label());
    json.writeFieldName("variable");
    if (course.subject().variable().isPresent()) {
      json.writeNumber(course.subject().variable().getAsInt());
    } else {
      json.writeNull();
    }
    shape(course.shape());
    differences("different", course.differences(), Tally::different);
    differences("incomparable", course.differences(), ReportJson::incomparable);
    differences("ulps", course.differences(), ReportJson::ulps);
    differences("relative", course.differences(), Tally::relative);
    differences("scale_ulps", course.differences(), Tally::scaleUlps);
    json.writeObjectFieldStart("rms");
    curve(course.rms(), this::summary);
    json.writeEndObject();
    json.writeObjectFieldStart("largest");
    curve(course.largest(), this::number);
    json.writeEndObject();
    json.writeArrayFieldStart("elements");
    for (Course.Element element : course.elements()) {
      json.writeStartObject();
      json.writeNumberField("index", element.index());
      strings("roles", element.roles().stream().sorted().map(ConstantConverter::label).toList());
      curve(element.curve(), this::number);
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void differences(String name, List<Tally> tallies, ToDoubleFunction<Tally> value)
      throws IOException {
    if (tallies.stream().allMatch(tally -> value.applyAsDouble(tally) == 0)) {
      return;
    }
    json.writeArrayFieldStart(name);
    for (Tally tally : tallies) {
      summary(value.applyAsDouble(tally));
    }
    json.writeEndArray();
  }

  /** How a number is written. */
  private interface Digits {
    void write(double number) throws IOException;
  }

  private void curve(Curve curve, Digits digits) throws IOException {
    numbers("recorded", curve.recorded(), digits);
    if (!curve.isSame()) {
      numbers("computed", curve.computed(), digits);
    }
  }

  private void numbers(String name, List<Double> numbers, Digits digits) throws IOException {
    json.writeArrayFieldStart(name);
    for (double number : numbers) {
      digits.write(number);
    }
    json.writeEndArray();
  }

  private void strings(String name, List<String> strings) throws IOException {
    json.writeArrayFieldStart(name);
    for (String string : strings) {
      json.writeString(string);
    }
    json.writeEndArray();
  }

  private void shape(List<Long> shape) throws IOException {
    json.writeArrayFieldStart("shape");
    for (long dimension : shape) {
      json.writeNumber(dimension);
    }
    json.writeEndArray();
  }

  /** 1 where tf_keras has no finite number at all. */
  private static double incomparable(Tally tally) {
    return tally.elements() > 0 && tally.notFinite() == tally.elements() ? 1 : 0;
  }

  private static double ulps(Tally tally) {
    return finite(tally.ulps());
  }

  private static double finite(long ulps) {
    return ulps == Long.MAX_VALUE ? Double.POSITIVE_INFINITY : ulps;
  }

  private void summary(double number) throws IOException {
    number(Double.isFinite(number) ? new BigDecimal(number).round(SHORT).doubleValue() : number);
  }

  /** The fewest digits that tell the number, be it a double or a narrower type. */
  private void number(double number) throws IOException {
    if (number == Math.rint(number) && Math.abs(number) < 1e15 && !isNegativeZero(number)) {
      json.writeNumber((long) number);
    } else if (number == (float) number) {
      json.writeNumber((float) number);
    } else {
      json.writeNumber(number);
    }
  }

  private static boolean isNegativeZero(double number) {
    return number == 0 && 1 / number < 0;
  }
}
