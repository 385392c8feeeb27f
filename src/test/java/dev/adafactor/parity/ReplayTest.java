package dev.adafactor.parity;

import static dev.adafactor.parity.Samples.float32;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.Numerics;
import dev.adafactor.files.PythonJson;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class ReplayTest {
  private static final Values ONES = float32(1, 1);

  private static Case vectors(String settings, Exclusion exclusion, String... names)
      throws IOException {
    ObjectNode arguments = JsonNodeFactory.instance.objectNode();
    JsonNode read = PythonJson.MAPPER.readTree(settings);
    read.properties().forEach(entry -> arguments.set(entry.getKey(), entry.getValue()));
    List<CaseVariable> variables = new ArrayList<>();
    List<Gradient> gradients = new ArrayList<>();
    for (String name : names) {
      variables.add(new CaseVariable(name, List.of(2L), ElementType.FLOAT32, ONES));
      gradients.add(new Gradient.Dense(ONES));
    }
    List<Step> steps =
        List.of(
            new Step(OptionalDouble.empty(), gradients),
            new Step(OptionalDouble.of(0.25), gradients));
    return new Case(
        "sample", List.of(), arguments, exclusion, variables, 3, steps, Optional.empty());
  }

  private static Trajectory run(VariableKind kind, Case input) {
    Outcome outcome =
        new Replay(Numerics.TF_KERAS, kind, new Host.ThisProcess()).replay(input).outcome();
    return assertInstanceOf(Outcome.Completed.class, outcome, outcome::toString).trajectory();
  }

  private static String error(VariableKind kind, Case input) {
    Outcome outcome =
        new Replay(Numerics.TF_KERAS, kind, new Host.ThisProcess()).replay(input).outcome();
    return assertInstanceOf(Outcome.Failed.class, outcome).error();
  }

  @ParameterizedTest
  @EnumSource
  void followsTheCase(VariableKind kind) throws IOException {
    Trajectory trajectory =
        run(kind, vectors("{\"learning_rate\": 0.125}", new Exclusion.None(), "a/w"));
    State first = trajectory.states().get(0);
    State second = trajectory.states().get(1);
    assertEquals(4, first.iterations());
    assertEquals(5, second.iterations());
    assertEquals(0.125, first.learningRate().get(0));
    assertEquals(0.25, second.learningRate().get(0));
    // rms(w) is 1, the update is g/sqrt(v), and v differs from 1 by 4^-0.8.
    double beta2 = 1 - Math.pow(4, -0.8);
    double update = Math.min(1, 1 / Math.sqrt(1 - beta2));
    assertEquals(1 - 0.125 * update, first.variables().get(0).value().get(1), 1e-6);
    assertEquals(1 - beta2, first.variables().get(0).v().get(1), 1e-6);
    assertEquals(second.variables().get(0).value().get(0), trajectory.finalValues().get(0).get(0));
  }

  @ParameterizedTest
  @EnumSource
  void anArgumentMayBeInfinite(VariableKind kind) throws IOException {
    String settings = "{\"learning_rate\": 0.125, \"clip_threshold\": Infinity}";
    State first = run(kind, vectors(settings, new Exclusion.None(), "w")).states().get(0);
    double beta2 = 1 - Math.pow(4, -0.8);
    assertEquals(1 - 0.125 / Math.sqrt(1 - beta2), first.variables().get(0).value().get(0), 1e-6);
  }

  @ParameterizedTest
  @EnumSource
  void namesThatNoGraphTakesAreChanged(VariableKind kind) throws IOException {
    Trajectory trajectory =
        run(kind, vectors("{}", new Exclusion.None(), "w", "w", "my w", "_w", ""));
    List<VariableState> last = trajectory.states().get(1).variables();
    assertEquals(5, last.size());
    last.forEach(variable -> assertEquals(last.get(0).value().get(0), variable.value().get(0)));
  }

  @ParameterizedTest
  @EnumSource
  void exclusionByNameNeedsTheNames(VariableKind kind) throws IOException {
    Exclusion exclusion = new Exclusion.ByName(List.of("w$"));
    String settings = "{\"weight_decay\": 0.5}";
    assertTrue(error(kind, vectors(settings, exclusion, "w", "w")).contains("'w'"));
  }

  @ParameterizedTest
  @EnumSource
  void whatCannotRunSaysWhy(VariableKind kind) throws IOException {
    assertTrue(
        error(kind, vectors("{\"learning_rote\": 1}", new Exclusion.None(), "w"))
            .contains("learning_rote"));
    String schedule =
        "{\"learning_rate\": {\"class_name\": \"TestNoam\", \"config\": {\"base\": 1, \"warmup\":"
            + " 4}}}";
    // The rate is set before the second step.
    assertTrue(
        error(kind, vectors(schedule, new Exclusion.None(), "w")).contains("LearningRateSchedule"));
  }

  @ParameterizedTest
  @EnumSource
  void stepsMayDifferInWhichGradientsThereAre(VariableKind kind) throws IOException {
    Case both = vectors("{}", new Exclusion.None(), "a", "b");
    Case input =
        new Case(
            both.id(),
            both.tags(),
            both.settings(),
            both.exclusion(),
            both.variables(),
            0,
            List.of(
                new Step(
                    OptionalDouble.empty(), List.of(new Gradient.None(), new Gradient.Dense(ONES))),
                new Step(
                    OptionalDouble.empty(),
                    List.of(new Gradient.Sparse(List.of(1, 1), ONES), new Gradient.None()))),
            Optional.empty());
    Trajectory trajectory = run(kind, input);
    List<VariableState> first = trajectory.states().get(0).variables();
    List<VariableState> second = trajectory.states().get(1).variables();
    assertEquals(1, first.get(0).value().get(1));
    assertEquals(0, first.get(0).v().get(1));
    assertTrue(first.get(1).value().get(1) < 1);
    assertTrue(second.get(0).value().get(1) < 1);
    // Both rows of the sparse gradient are the same one: 1 + 1, squared.
    assertEquals(Math.pow(2, -0.8) * 4, second.get(0).v().get(1), 1e-5);
    assertEquals(first.get(1).value().get(1), second.get(1).value().get(1));
    assertEquals(2, trajectory.states().get(1).iterations());
  }
}
