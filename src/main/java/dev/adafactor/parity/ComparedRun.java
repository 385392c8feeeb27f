package dev.adafactor.parity;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A run that was done on both sides, as a report shows it: what it was, how the two compare, and a
 * summary of the way that both went.
 *
 * @param id names the run within the report
 * @param tags free words
 * @param settings the arguments of the optimizer; not to be changed
 * @param notes what else there is to know of the run, each in a few words
 * @param variables what is optimized
 * @param steps how many were taken
 * @param standing what there is to say of it
 * @param error why it could not run here, if it could not
 * @param verdict if there is something to compare
 * @param points after how many steps the courses have their points
 * @param courses empty where nothing is compared
 */
public record ComparedRun(
    String id,
    List<String> tags,
    ObjectNode settings,
    List<String> notes,
    List<CaseVariable> variables,
    int steps,
    Standing standing,
    Optional<String> error,
    Optional<Verdict> verdict,
    List<Integer> points,
    List<Course> courses) {

  /** Keeps copies of the lists. */
  public ComparedRun {
    tags = List.copyOf(tags);
    notes = List.copyOf(notes);
    variables = List.copyOf(variables);
    points = List.copyOf(points);
    courses = List.copyOf(courses);
  }

  /**
   * Sums up the replay of a case.
   *
   * @param verdict of the judge, if the case is recorded and ran
   */
  public static ComparedRun of(Replayed replayed, Optional<Verdict> verdict) {
    Case input = replayed.input();
    Optional<String> error = Optional.empty();
    List<Span> spans = Span.of(input.steps().size());
    List<Course> courses = new ArrayList<>();
    if (replayed.outcome() instanceof Outcome.Failed failed) {
      error = Optional.of(failed.error());
    } else if (replayed.outcome() instanceof Outcome.Completed completed && verdict.isPresent()) {
      List<State> recorded = input.recorded().orElseThrow().states();
      List<State> computed = completed.trajectory().states();
      for (Map.Entry<Subject, List<Tally>> entry : verdict.get().steps().entrySet()) {
        Subject subject = entry.getKey();
        if (hasCourse(subject.quantity())) {
          courses.add(
              Course.of(
                  subject,
                  shape(subject, input),
                  entry.getValue(),
                  values(subject, recorded),
                  values(subject, computed),
                  spans));
        }
      }
    }
    return new ComparedRun(
        input.id(),
        input.tags(),
        input.settings(),
        notes(input),
        input.variables(),
        input.steps().size(),
        standing(error, verdict),
        error,
        verdict,
        spans.stream().map(span -> span.last() + 1).toList(),
        courses);
  }

  private static Standing standing(Optional<String> error, Optional<Verdict> verdict) {
    if (error.isPresent()) {
      return Standing.FAILED;
    }
    if (verdict.isEmpty()) {
      return Standing.UNRECORDED;
    }
    Verdict found = verdict.get();
    if (!found.isGood()) {
      return Standing.APART;
    }
    if (found.isBitEqual()) {
      return Standing.BIT_EQUAL;
    }
    return found.isFinite() ? Standing.WITHIN_ROUNDING : Standing.NOT_FINITE;
  }

  /** A counter is right or wrong, and final values are no course. */
  private static boolean hasCourse(Quantity quantity) {
    return quantity != Quantity.IT && quantity != Quantity.FINAL;
  }

  private static List<Long> shape(Subject subject, Case input) {
    if (subject.variable().isEmpty()) {
      return List.of();
    }
    CaseVariable variable = input.variables().get(subject.variable().getAsInt());
    return switch (subject.quantity()) {
      case R -> variable.rowShape();
      case C -> variable.columnShape();
      case LOSS, VAR, V, EMA, LR, IT, FINAL -> variable.shape();
    };
  }

  private static List<Values> values(Subject subject, List<State> states) {
    return states.stream().map(state -> values(subject, state)).toList();
  }

  private static Values values(Subject subject, State state) {
    if (subject.quantity() == Quantity.LR) {
      return state.learningRate();
    }
    VariableState variable = state.variables().get(subject.variable().getAsInt());
    return switch (subject.quantity()) {
      case VAR -> variable.value();
      case V -> variable.v();
      case R -> variable.r().orElseThrow();
      case C -> variable.c().orElseThrow();
      case EMA -> variable.average().orElseThrow();
      case LOSS, LR, IT, FINAL -> throw new IllegalArgumentException(subject + " has no course");
    };
  }

  private static List<String> notes(Case input) {
    List<String> notes = new ArrayList<>();
    if (input.exclusion() instanceof Exclusion.ByName names) {
      notes.add("no weight decay where the name has " + String.join(" or ", names.regexes()));
    } else if (input.exclusion() instanceof Exclusion.ByVariable indices) {
      List<String> names =
          indices.indices().stream().map(index -> input.variables().get(index).name()).toList();
      notes.add("no weight decay for " + (names.isEmpty() ? "none" : String.join(", ", names)));
    }
    if (input.initialIterations() > 0) {
      notes.add("goes on from iteration " + input.initialIterations());
    }
    for (int i = 0; i < input.steps().size(); i++) {
      int step = i + 1;
      input
          .steps()
          .get(i)
          .newLearningRate()
          .ifPresent(rate -> notes.add("learning rate set to " + rate + " before step " + step));
    }
    return notes;
  }
}
