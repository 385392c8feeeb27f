package dev.adafactor.checkpoint;

import dev.adafactor.checkpoint.Quantity.Counter;
import dev.adafactor.checkpoint.Quantity.OfModel;
import dev.adafactor.checkpoint.Quantity.OfOptimizer;
import dev.adafactor.checkpoint.Quantity.Part;
import dev.adafactor.files.FirstFew;
import dev.adafactor.files.TensorBundle;
import dev.adafactor.files.TensorBundle.Extreme;
import dev.adafactor.files.TensorKind;
import dev.adafactor.files.VariableKey;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeSet;

/**
 * Compares a checkpoint with the state that it is to be put into, and finds which of its tensors
 * belong where. Nothing is changed here.
 */
final class Selection {
  private static final int SHOWN = 3;

  private final Layout layout;
  private final Map<String, Cell> cells;
  private final String own;
  private final TensorBundle bundle;
  private final Map<String, Extreme> extremes;
  private final Map<String, TensorKind> tensors;
  private final Matching matching;
  private final boolean hasOptimizer;

  /**
   * Reads the checkpoint.
   *
   * @param layout what the state would be written as
   * @param cells where it is, by key
   * @param own begins the keys that Python does not look at
   * @throws IOException if it is damaged
   */
  Selection(Layout layout, Map<String, Cell> cells, String own, TensorBundle bundle)
      throws IOException {
    this.layout = layout;
    this.cells = cells;
    this.own = own;
    this.bundle = bundle;
    this.extremes = bundle.requireIntact();
    this.tensors = bundle.tensors();
    this.matching = new Matching(layout.objects(), ObjectGraph.read(bundle));
    // One that was made and not used yet, of whatever kind, is as good as none.
    hasOptimizer = matching.hasOptimizer() && (matching.hasStates() || iterations().orElse(0) > 0);
  }

  /**
   * What is going to be put back.
   *
   * @param sources where the checkpoint's tensors belong, by their keys
   * @param freshAverages the variables, by number, whose moving averages have no value there: they
   *     start again from the variable
   */
  record Choice(Map<String, Cell> sources, List<Integer> freshAverages, Restored restored) {}

  /** The optimizer's steps, if it says how many. */
  OptionalLong iterations() throws IOException {
    Optional<String> key =
        layout.tensors().entrySet().stream()
            .filter(each -> each.getValue() == Counter.ITERATIONS)
            .map(each -> matching.keys().get(each.getKey()))
            .filter(there -> there != null && tensors.containsKey(there))
            .findFirst();
    return key.isPresent() ? bundle.integer(key.get()) : OptionalLong.empty();
  }

  /**
   * Chooses.
   *
   * @throws IllegalArgumentException if something is missing, too much, or of another shape or
   *     type, unless the extent allows it
   * @throws IOException if the values cannot be those of a job
   */
  Choice choose(Extent extent) throws IOException {
    Map<String, String> keys = new LinkedHashMap<>(matching.keys());
    if (!hasOptimizer) {
      keys.keySet().removeIf(key -> layout.tensors().get(key) instanceof Counter);
    }
    if (extent == Extent.WHAT_FITS) {
      keys.keySet().removeIf(key -> isOfOptimizer(key));
      keys.putAll(matching.statesByName());
    }
    Map<String, String> problems = problems(keys, extent);
    Set<String> unused = new LinkedHashSet<>(matching.given());
    if (extent == Extent.WHAT_FITS) {
      keys.keySet().removeAll(alsoLeft(problems.keySet()));
      if (states(keys).isEmpty()) {
        // Without what it has seen, an optimizer that is far on would hardly learn any more.
        keys.keySet().removeIf(key -> layout.tensors().get(key) instanceof Counter);
      }
    } else {
      requireNone(differences(keys, problems, extent));
    }
    unused.removeAll(keys.values());
    Map<String, Cell> sources = new LinkedHashMap<>();
    layout
        .tensors()
        .forEach(
            (key, quantity) -> {
              String there = keys.get(key);
              if (there != null && cells.get(key).destination().isPresent()) {
                boolean exact = tensors.containsKey(own + there) && cells.containsKey(own + key);
                sources.put(exact ? own + there : there, cells.get(exact ? own + key : key));
              }
            });
    if (sources.isEmpty()) {
      throw new IllegalArgumentException(
          "nothing in the checkpoint '%s' fits: %s"
              .formatted(
                  bundle.prefix(), FirstFew.of(List.copyOf(problems.values()), SHOWN).asClauses()));
    }
    if (extent == Extent.ALL) {
      for (String key : beside()) {
        requireSound(key, Extreme.NAN);
        sources.put(key, cells.get(key));
      }
    }
    requireSound(keys);
    return new Choice(sources, freshAverages(keys), restored(keys, unused));
  }

  private boolean isOfOptimizer(String key) {
    Quantity quantity = layout.tensors().get(key);
    return quantity instanceof OfOptimizer
        || ((quantity == Counter.ITERATIONS || quantity == Counter.LEARNING_RATE)
            && !matching.hasAdafactor());
  }

  /** What does not fit, by the layout's keys. */
  private Map<String, String> problems(Map<String, String> keys, Extent extent) {
    Map<String, String> problems = new LinkedHashMap<>();
    layout
        .tensors()
        .forEach(
            (key, quantity) -> {
              boolean wanted =
                  quantity instanceof OfModel || extent != Extent.MODEL || hasOptimizer;
              if (wanted && cells.get(key).destination().isPresent()) {
                String there = keys.get(key);
                (quantity == Counter.LEARNING_RATE && there == null
                        ? rateProblem(key)
                        : problem(cells.get(key), key, there))
                    .or(() -> exactProblem(key, there))
                    .ifPresent(problem -> problems.put(key, problem));
              }
            });
    return problems;
  }

  private Optional<String> rateProblem(String key) {
    if (matching.hasSchedule()) {
      return Optional.of("its learning rate is a schedule, this one's is a number");
    }
    return Optional.of(
        matching.hasNumber()
            ? "its learning rate is a number, this one's is a schedule"
            : "it has no '%s'".formatted(name(key)));
  }

  private Optional<String> exactProblem(String key, String there) {
    Cell exact = cells.get(own + key);
    return exact == null || !tensors.containsKey(own + there)
        ? Optional.empty()
        : problem(exact, own + key, own + there);
  }

  private Optional<String> problem(Cell cell, String key, String there) {
    TensorKind kind = there == null ? null : tensors.get(there);
    if (kind == null) {
      return Optional.of("it has no '%s'".formatted(name(key)));
    }
    if (!kind.shape().equals(cell.shape())) {
      return Optional.of(
          "its '%s' has the shape %s in place of %s"
              .formatted(name(there), kind.shape(), cell.shape()));
    }
    TensorKind wanted = new TensorKind(cell.value().dataType(), cell.shape());
    return kind.dtype() == wanted.dtype()
        ? Optional.empty()
        : Optional.of("its '%s' is %s in place of %s".formatted(name(there), kind, wanted));
  }

  /** A variable's state is whole, or it is left: these keys, and those that go with them. */
  private Set<String> alsoLeft(Set<String> left) {
    Set<Integer> incomplete = new TreeSet<>();
    for (String key : left) {
      if (layout.tensors().get(key) instanceof OfOptimizer state) {
        incomplete.add(state.variable());
      }
    }
    Set<String> all = new LinkedHashSet<>(left);
    layout
        .tensors()
        .forEach(
            (key, quantity) -> {
              if (quantity instanceof OfOptimizer state && incomplete.contains(state.variable())) {
                all.add(key);
              }
            });
    return all;
  }

  /** The keys of what belongs to the state beside model and optimizer. */
  private List<String> beside() {
    return cells.keySet().stream()
        .filter(key -> key.startsWith(own))
        .filter(key -> !layout.tensors().containsKey(key.substring(own.length())))
        .toList();
  }

  /**
   * Checks that the model is ours, whatever the optimizer is.
   *
   * @throws IllegalArgumentException if it is another one; the message names the first differences
   */
  void requireModel() {
    List<String> differences = new ArrayList<>();
    problems(matching.keys(), Extent.MODEL)
        .forEach(
            (key, problem) -> {
              if (layout.tensors().get(key) instanceof OfModel) {
                differences.add(problem);
              }
            });
    Set<String> besides = new LinkedHashSet<>(matching.given());
    besides.removeAll(matching.keys().values());
    besides.removeAll(matching.givenStates());
    besides.forEach(key -> differences.add("it has '%s' besides".formatted(name(key))));
    if (!differences.isEmpty()) {
      throw new IllegalArgumentException(
          "the checkpoint '%s' is of another model: %s"
              .formatted(bundle.prefix(), FirstFew.of(differences, SHOWN).asClauses()));
    }
  }

  /** Where the checkpoint's tensors belong. */
  Matching matching() {
    return matching;
  }

  /** Whether there is the state of an optimizer, of whatever kind, that was used. */
  boolean hasOptimizer() {
    return hasOptimizer;
  }

  /** What keeps all of the model and of an optimizer that is there from being put back. */
  Optional<String> difference() {
    List<String> differences =
        differences(matching.keys(), problems(matching.keys(), Extent.MODEL), Extent.MODEL);
    return differences.isEmpty()
        ? Optional.empty()
        : Optional.of(FirstFew.of(differences, SHOWN).asClauses());
  }

  private List<String> differences(
      Map<String, String> keys, Map<String, String> problems, Extent extent) {
    List<String> differences = new ArrayList<>();
    Set<String> besides = new LinkedHashSet<>(matching.given());
    besides.removeAll(keys.values());
    Optional<String> otherKind = hasOptimizer ? otherKind() : Optional.empty();
    if (otherKind.isPresent()) {
      // Its variables have other numbers: to compare them one by one would explain nothing.
      differences.add(otherKind.get());
      besides.removeAll(matching.givenStates());
    }
    problems.forEach(
        (key, problem) -> {
          if (otherKind.isEmpty() || layout.tensors().get(key) instanceof OfModel) {
            differences.add(problem);
          }
        });
    if (extent == Extent.ALL) {
      for (String key : beside()) {
        problem(cells.get(key), key, key).ifPresent(differences::add);
      }
    }
    besides.forEach(key -> differences.add("it has '%s' besides".formatted(name(key))));
    return differences;
  }

  private void requireNone(List<String> differences) {
    if (!differences.isEmpty()) {
      throw new IllegalArgumentException(
          "the checkpoint '%s' is of another model or optimizer: %s"
              .formatted(bundle.prefix(), FirstFew.of(differences, SHOWN).asClauses()));
    }
  }

  /** How its optimizer is of another kind than ours, so that they have other variables. */
  private Optional<String> otherKind() {
    if (!matching.hasAdafactor()) {
      return Optional.of("its optimizer is no Adafactor");
    }
    boolean averages =
        layout.tensors().values().stream()
            .anyMatch(each -> each instanceof OfOptimizer of && of.part() == Part.AVERAGE);
    if (averages == matching.hasAverages()) {
      return Optional.empty();
    }
    return Optional.of(
        averages
            ? "its optimizer keeps no moving averages (use_ema), this one does"
            : "its optimizer keeps moving averages (use_ema), this one does not");
  }

  /**
   * No step follows from NaN. An infinite second moment is another matter: an element that float16
   * does not hold is not trained on, and that is all.
   */
  private void requireSound(Map<String, String> keys) throws IOException {
    for (Map.Entry<String, Quantity> each : layout.tensors().entrySet()) {
      String there = keys.get(each.getKey());
      if (there != null && cells.get(each.getKey()).destination().isPresent()) {
        requireSound(
            there, each.getValue() instanceof OfOptimizer ? Extreme.NAN : Extreme.INFINITE);
        if (tensors.containsKey(own + there)) {
          requireSound(own + there, Extreme.NAN);
        }
      }
    }
  }

  private void requireSound(String key, Extreme least) throws IOException {
    Extreme found = extremes.getOrDefault(key, Extreme.NONE);
    if (found.compareTo(least) >= 0) {
      throw new IOException(
          "'%s' holds values that are %s, of '%s'"
              .formatted(bundle.prefix(), found == Extreme.NAN ? "NaN" : "infinite", name(key)));
    }
  }

  private List<Integer> freshAverages(Map<String, String> keys) {
    List<Integer> fresh = new ArrayList<>();
    layout
        .tensors()
        .forEach(
            (key, quantity) -> {
              if (quantity instanceof OfOptimizer state
                  && state.part() == Part.AVERAGE
                  && !keys.containsKey(key)) {
                fresh.add(state.variable());
              }
            });
    return fresh;
  }

  private Restored restored(Map<String, String> keys, Set<String> unused) throws IOException {
    int variables = 0;
    Set<Integer> states = states(keys);
    List<String> left = new ArrayList<>();
    for (Map.Entry<String, Quantity> each : layout.tensors().entrySet()) {
      boolean there = keys.containsKey(each.getKey());
      if (each.getValue() instanceof OfModel && there) {
        variables++;
      } else if (!there
          && cells.get(each.getKey()).destination().isPresent()
          && (each.getValue() instanceof OfModel || matching.hasAdafactor())) {
        left.add(name(each.getKey()));
      }
    }
    boolean counted =
        layout.tensors().entrySet().stream()
            .anyMatch(
                each -> each.getValue() == Counter.ITERATIONS && keys.containsKey(each.getKey()));
    return new Restored(
        bundle.prefix(),
        variables,
        states.size(),
        counted ? iterations() : OptionalLong.empty(),
        learningRate(keys),
        left,
        unused.stream().map(Selection::name).toList());
  }

  /** The variables, by number, whose state is there. */
  private Set<Integer> states(Map<String, String> keys) {
    Set<Integer> states = new TreeSet<>();
    for (String key : keys.keySet()) {
      if (layout.tensors().get(key) instanceof OfOptimizer state && state.part() != Part.UNUSED) {
        states.add(state.variable());
      }
    }
    return states;
  }

  private OptionalDouble learningRate(Map<String, String> keys) throws IOException {
    String key = keys.get(VariableKey.of("optimizer/_learning_rate"));
    return key == null
        ? OptionalDouble.empty()
        : OptionalDouble.of(
            ByteBuffer.wrap(bundle.elements(key)).order(ByteOrder.LITTLE_ENDIAN).getFloat());
  }

  private static String name(String key) {
    return VariableKey.path(key).orElse(key);
  }
}
