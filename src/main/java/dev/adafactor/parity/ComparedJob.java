package dev.adafactor.parity;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.checkpoint.SavedState.Item;
import dev.adafactor.checkpoint.SavedState.Part;
import dev.adafactor.parity.JobComparison.Finding;
import dev.adafactor.parity.JobComparison.Judgement;
import dev.adafactor.parity.JobComparison.LossPair;
import dev.adafactor.parity.JobSides.Moment;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;

/** Makes of the comparison of a job what a report shows. */
final class ComparedJob {
  private static final String END = "end";

  private final JobSides sides;
  private final Map<Moment, List<Finding>> findings;
  private final List<LossPair> losses;
  private final List<Moment> moments;
  private final List<CaseVariable> variables = new ArrayList<>();
  private final Map<String, Integer> indices = new LinkedHashMap<>();
  private final Map<Subject, List<Tally>> steps = new LinkedHashMap<>();
  private final List<Course> courses = new ArrayList<>();

  private ComparedJob(JobSides sides, Map<Moment, List<Finding>> findings, List<LossPair> losses) {
    this.sides = sides;
    this.findings = findings;
    this.losses = losses;
    // Between the last step and the end are no steps: the end is no point of a course.
    this.moments = findings.keySet().stream().filter(moment -> !moment.name().equals(END)).toList();
  }

  /**
   * Sums up.
   *
   * @param judgement of the whole
   * @param id names the job
   * @param notes what there is to know of it
   * @throws IOException if a file cannot be read
   */
  static ComparedRun run(
      JobSides sides,
      Map<Moment, List<Finding>> findings,
      List<LossPair> losses,
      Judgement judgement,
      String id,
      List<String> notes)
      throws IOException {
    return new ComparedJob(sides, findings, losses).run(judgement, id, notes);
  }

  private ComparedRun run(Judgement judgement, String id, List<String> notes) throws IOException {
    addLosses();
    // By their places: a tensor has the same one in each state.
    List<Item> items =
        findings.isEmpty()
            ? List.of()
            : findings.values().iterator().next().stream().map(f -> f.deviation().item()).toList();
    for (Item item : items) {
      if (item.part() == Part.VARIABLE && JobSides.type(item).isPresent()) {
        indices.put(item.variable(), variables.size());
        variables.add(
            new CaseVariable(
                item.variable(),
                item.shape().toListOrNull(),
                JobSides.type(item).get(),
                new Values(JobSides.type(item).get(), new byte[0])));
      }
    }
    for (int i = 0; i < items.size(); i++) {
      add(items.get(i), i);
    }
    Verdict verdict = new Verdict(steps, first(Judgement.SAME), first(Judgement.APART));
    return new ComparedRun(
        id,
        List.of(),
        (ObjectNode) sides.job().get("optimizer"),
        notes,
        variables,
        losses.size(),
        standing(judgement, verdict),
        Optional.empty(),
        Optional.of(verdict),
        moments.stream().map(moment -> (int) moment.step()).toList(),
        courses);
  }

  private static Standing standing(Judgement judgement, Verdict verdict) {
    return switch (judgement) {
      case SAME, UNDETERMINED ->
          verdict.isBitEqual() ? Standing.BIT_EQUAL : Standing.WITHIN_ROUNDING;
      case NOT_COMPARABLE -> Standing.NOT_COMPARABLE;
      case APART -> Standing.APART;
    };
  }

  private void addLosses() {
    Subject subject = new Subject(Quantity.LOSS, OptionalInt.empty());
    List<Values> recorded = new ArrayList<>();
    List<Values> computed = new ArrayList<>();
    List<Tally> tallies = new ArrayList<>();
    for (LossPair loss : losses) {
      recorded.add(number(loss.recorded()));
      computed.add(number(loss.computed()));
      tallies.add(tally(loss));
    }
    steps.put(subject, tallies);
    List<Span> spans = new ArrayList<>();
    int first = 0;
    for (Moment moment : moments) {
      spans.add(new Span(first, (int) moment.step() - 1));
      first = (int) moment.step();
    }
    courses.add(Course.of(subject, List.of(), tallies, recorded, computed, spans));
  }

  private static Values number(double value) {
    return new Values(
        ElementType.FLOAT64,
        ByteBuffer.allocate(Double.BYTES).order(ByteOrder.LITTLE_ENDIAN).putDouble(value).array());
  }

  private static Tally tally(LossPair loss) {
    boolean finite = Double.isFinite(loss.recorded());
    boolean same = !finite || loss.apart() == 0;
    double relative = same ? 0 : loss.apart() / loss.scale();
    long ulps =
        same
            ? 0
            : ElementType.FLOAT64.ulps(
                Double.doubleToRawLongBits(loss.recorded()),
                Double.doubleToRawLongBits(loss.computed()));
    double scaleUlps = same ? 0 : loss.apart() / ElementType.FLOAT32.ulp(loss.scale());
    return new Tally(1, finite ? 0 : 1, same ? 0 : 1, 0, ulps, relative, scaleUlps / loss.step());
  }

  private void add(Item item, int place) throws IOException {
    Quantity quantity = quantity(item.part());
    OptionalInt variable =
        indices.containsKey(item.variable())
            ? OptionalInt.of(indices.get(item.variable()))
            : OptionalInt.empty();
    if (variable.isEmpty() && !item.variable().isEmpty()) {
      return; // Integers, which no optimizer changes.
    }
    Subject subject = new Subject(quantity, variable);
    List<Tally> tallies = new ArrayList<>();
    List<Values> recorded = new ArrayList<>();
    List<Values> computed = new ArrayList<>();
    List<Span> spans = new ArrayList<>();
    for (Moment moment : moments) {
      tallies.add(forEachStep(findings.get(moment).get(place).deviation()));
      Optional<JobSides.Pair> pair = sides.values(moment, item);
      if (pair.isPresent()) {
        spans.add(new Span(spans.size(), spans.size()));
        recorded.add(pair.get().recorded());
        computed.add(pair.get().computed());
      }
    }
    steps.put(subject, tallies);
    if (!spans.isEmpty() && item.part() != Part.ITERATIONS) {
      courses.add(
          Course.of(subject, item.shape().toListOrNull(), tallies, recorded, computed, spans));
    }
    findings.forEach(
        (moment, each) -> {
          if (moment.name().equals(END) && item.part() == Part.VARIABLE) {
            steps.put(
                new Subject(Quantity.FINAL, variable),
                List.of(forEachStep(each.get(place).deviation())));
          }
        });
  }

  private static Tally forEachStep(Deviation deviation) {
    Tally tally = deviation.tally();
    return new Tally(
        tally.elements(),
        tally.notFinite(),
        tally.different(),
        tally.otherNaN(),
        tally.ulps(),
        tally.relative(),
        tally.scaleUlps() / deviation.step());
  }

  private static Quantity quantity(Part part) {
    return switch (part) {
      case VARIABLE -> Quantity.VAR;
      case R -> Quantity.R;
      case C -> Quantity.C;
      case V -> Quantity.V;
      case AVERAGE -> Quantity.EMA;
      case ITERATIONS -> Quantity.IT;
      case LEARNING_RATE -> Quantity.LR;
    };
  }

  /**
   * The first element that differs: the furthest one of the tensor that does so first.
   *
   * @param least how bad it has to be; any difference if it is {@link Judgement#SAME}
   */
  private Optional<Difference> first(Judgement least) throws IOException {
    Map<Long, Difference> found = new TreeMap<>();
    for (LossPair loss : losses) {
      if (loss.judgement() != Judgement.NOT_COMPARABLE
          && loss.apart() != 0
          && loss.judgement().compareTo(least) >= 0) {
        found.put(
            loss.step(),
            new Difference(
                (int) loss.step() - 1,
                Quantity.LOSS,
                "",
                0,
                loss.recorded(),
                loss.computed(),
                tally(loss).ulps()));
        break;
      }
    }
    Optional<Finding> tensor =
        JobComparison.first(
            findings.values().stream()
                .flatMap(List::stream)
                .filter(each -> each.deviation().tally().different() > 0)
                .filter(each -> each.judgement().compareTo(least) >= 0)
                .toList());
    if (tensor.isPresent()) {
      // The loss of a step comes before its state.
      found.putIfAbsent(tensor.get().deviation().step(), element(tensor.get()));
    }
    return found.values().stream().findFirst();
  }

  private Difference element(Finding finding) throws IOException {
    Deviation deviation = finding.deviation();
    // Not by the step: the end comes after the last one, too.
    Moment moment =
        findings.entrySet().stream()
            .filter(each -> each.getValue().contains(finding))
            .findFirst()
            .orElseThrow()
            .getKey();
    Item item = deviation.item();
    Optional<JobSides.Pair> pair = sides.values(moment, item);
    int worst = 0;
    double recorded = Double.NaN;
    double computed = Double.NaN;
    if (pair.isPresent()) {
      double furthest = -1;
      for (int i = 0; i < pair.get().recorded().size(); i++) {
        double distance = distance(pair.get().recorded().get(i), pair.get().computed().get(i));
        if (distance > furthest) {
          furthest = distance;
          worst = i;
        }
      }
      recorded = pair.get().recorded().get(worst);
      computed = pair.get().computed().get(worst);
    }
    return new Difference(
        (int) deviation.step() - 1,
        quantity(item.part()),
        item.variable(),
        worst,
        recorded,
        computed,
        deviation.tally().ulps());
  }

  /** Nothing is further than NaN from a number, and nothing nearer than the same to itself. */
  private static double distance(double recorded, double computed) {
    if (Double.compare(recorded, computed) == 0) {
      return -1;
    }
    double distance = Math.abs(recorded - computed);
    return Double.isNaN(distance) ? Double.POSITIVE_INFINITY : distance;
  }
}
