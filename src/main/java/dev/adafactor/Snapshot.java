package dev.adafactor;

import dev.adafactor.files.TensorKind;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * All that the next step of an optimizer follows from, but for the gradients: its variables, their
 * state, the number of steps and the learning rate. A copy, which does not change; taken by {@link
 * Adafactor#snapshot} and put into any session, graph or optimizer by {@link Adafactor#restore}.
 *
 * <p>Every value is kept in the type and with the bits that it has in the session: also the state
 * of float16 and bfloat16 variables, which is of float32 with {@link Numerics#STABLE}. What goes on
 * from a snapshot therefore ends with the same bits.
 *
 * @param iterations the number of steps taken
 * @param learningRate the rate; of a schedule, that of the last step
 * @param scheduled whether the rate is a schedule's
 * @param variables in the order in which the optimizer came to know them
 */
public record Snapshot(
    long iterations, float learningRate, boolean scheduled, List<OfVariable> variables) {

  public Snapshot {
    variables = List.copyOf(variables);
    Set<String> names = new HashSet<>();
    for (OfVariable variable : variables) {
      if (!names.add(variable.name())) {
        throw new IllegalArgumentException(
            "two variables are named '%s': a snapshot tells them by their names"
                .formatted(variable.name()));
      }
    }
  }

  /**
   * A variable and its state.
   *
   * @param name the name as Python's {@code variable.name} has it, without the {@code :0}
   * @param value of the variable
   * @param slots {@link Adafactor#R} and {@link Adafactor#C}, or {@link Adafactor#V}; with moving
   *     averages {@link Adafactor#AVERAGE}, too
   */
  public record OfVariable(String name, TensorValue value, Map<String, TensorValue> slots) {
    public OfVariable {
      slots = Collections.unmodifiableMap(new LinkedHashMap<>(slots));
    }
  }

  /** The variable of that name and its state; empty if there is none. */
  public Optional<OfVariable> variable(String name) {
    return variables.stream().filter(variable -> variable.name().equals(name)).findFirst();
  }

  /**
   * The same for a graph in which the variables have other names.
   *
   * @param name gives the other name of a variable
   * @throws IllegalArgumentException if it gives two variables one name
   */
  public Snapshot renamed(UnaryOperator<String> name) {
    return new Snapshot(
        iterations,
        learningRate,
        scheduled,
        variables.stream()
            .map(of -> new OfVariable(name.apply(of.name()), of.value(), of.slots()))
            .toList());
  }

  /** What would have to be equal in another one, and is not, in words. */
  List<String> differences(Snapshot.Form wanted) {
    List<String> differences = new ArrayList<>();
    if (scheduled != wanted.scheduled()) {
      differences.add(
          "its learning rate is %s, here it is %s"
              .formatted(rate(scheduled), rate(wanted.scheduled())));
    }
    Map<String, Map<String, TensorValue>> given = new LinkedHashMap<>();
    for (OfVariable variable : variables) {
      Map<String, TensorValue> parts = new LinkedHashMap<>(variable.slots());
      parts.put(Form.VALUE, variable.value());
      given.put(variable.name(), parts);
    }
    wanted
        .variables()
        .forEach(
            (name, parts) -> {
              Map<String, TensorValue> found = given.remove(name);
              if (found == null) {
                differences.add("it has no variable '%s'".formatted(name));
              } else {
                differences.addAll(differences(name, found, parts));
              }
            });
    given.keySet().forEach(name -> differences.add("it has '%s' besides".formatted(name)));
    return differences;
  }

  private static String rate(boolean scheduled) {
    return scheduled ? "a schedule's" : "a number";
  }

  private static List<String> differences(
      String name, Map<String, TensorValue> given, Map<String, TensorKind> wanted) {
    List<String> differences = new ArrayList<>();
    wanted.forEach(
        (part, kind) -> {
          TensorValue value = given.get(part);
          if (value == null) {
            differences.add("it has no %s of '%s'".formatted(part, name));
          } else if (!value.kind().equals(kind)) {
            differences.add(
                "its %s of '%s' is %s, here it is %s".formatted(part, name, value.kind(), kind));
          }
        });
    for (String part : given.keySet()) {
      if (!wanted.containsKey(part)) {
        differences.add("it has the %s of '%s' besides".formatted(part, name));
      }
    }
    return differences;
  }

  /**
   * What a snapshot of an optimizer looks like.
   *
   * @param variables the parts of each variable, by name
   */
  record Form(boolean scheduled, Map<String, Map<String, TensorKind>> variables) {
    /** The part that is the variable itself. */
    static final String VALUE = "value";
  }
}
