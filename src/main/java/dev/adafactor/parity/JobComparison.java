package dev.adafactor.parity;

import dev.adafactor.checkpoint.SavedState.Item;
import dev.adafactor.checkpoint.SavedState.Part;
import dev.adafactor.parity.JobSides.Moment;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.SortedSet;
import java.util.TreeSet;

/** How a job that was done here compares with the same job done by tf_keras. */
public final class JobComparison {
  /** In the order in which the tensors follow from one another: what parts first is the cause. */
  private static final List<Part> CAUSES =
      List.of(
          Part.LEARNING_RATE, Part.R, Part.C, Part.V, Part.VARIABLE, Part.AVERAGE, Part.ITERATIONS);

  /** What is to be said of a tensor or of the losses. */
  public enum Judgement {
    /** The same but for rounding. */
    SAME,

    /** tf_keras parts from itself as far, where its start is disturbed as by rounding. */
    UNDETERMINED,

    /** tf_keras has numbers that are not finite. */
    NOT_COMPARABLE,

    /** More than rounding is between them. */
    APART;

    /** Whether the job was done as tf_keras does it. */
    public boolean isGood() {
      return this == SAME || this == UNDETERMINED;
    }
  }

  /**
   * A tensor at one moment.
   *
   * @param noise how far tf_keras is from itself, where that was asked; NaN where not
   */
  public record Finding(Deviation deviation, double noise) {
    /** What is to be said of it. */
    public Judgement judgement() {
      if (!deviation.isComparable()) {
        return Judgement.NOT_COMPARABLE;
      }
      if (JobBound.allows(deviation)) {
        return Judgement.SAME;
      }
      return JobBound.allows(deviation, noise) ? Judgement.UNDETERMINED : Judgement.APART;
    }
  }

  /**
   * The loss of a step on both sides.
   *
   * @param scale the largest of tf_keras so far
   * @param noise how far tf_keras's is from its own in the other run; NaN where there is none
   */
  public record LossPair(long step, double computed, double recorded, double scale, double noise) {
    /** The distance. */
    public double apart() {
      return Math.abs(computed - recorded);
    }

    /** What is to be said of it. */
    public Judgement judgement() {
      if (!Double.isFinite(recorded)) {
        return Judgement.NOT_COMPARABLE;
      }
      if (JobBound.allowsLoss(computed, recorded, scale)) {
        return Judgement.SAME;
      }
      return apart() <= JobBound.OF_NOISE * noise ? Judgement.UNDETERMINED : Judgement.APART;
    }
  }

  private final JobSides sides;
  private final Map<Moment, List<Finding>> findings;
  private final List<LossPair> losses;

  private JobComparison(
      JobSides sides, Map<Moment, List<Finding>> findings, List<LossPair> losses) {
    this.sides = sides;
    this.findings = findings;
    this.losses = List.copyOf(losses);
  }

  /**
   * Compares.
   *
   * @throws IOException if a file is missing or damaged
   */
  public static JobComparison of(JobSides sides) throws IOException {
    Map<Moment, List<Finding>> findings = new LinkedHashMap<>();
    for (Moment moment : sides.moments()) {
      findings.put(
          moment,
          sides.compare(moment).stream().map(each -> new Finding(each, Double.NaN)).toList());
    }
    List<LossPair> losses = new ArrayList<>();
    double scale = 0;
    for (int i = 0; i < sides.computedLosses().size(); i++) {
      double recorded = sides.recordedLosses().get(i);
      scale = Double.isFinite(recorded) ? Math.max(scale, Math.abs(recorded)) : scale;
      losses.add(new LossPair(i + 1, sides.computedLosses().get(i), recorded, scale, Double.NaN));
    }
    return new JobComparison(sides, findings, losses);
  }

  /** After which steps the state parts so far that only tf_keras's own noise can tell. */
  public SortedSet<Long> doubtfulSteps() {
    SortedSet<Long> steps = new TreeSet<>();
    findings.forEach(
        (moment, each) -> {
          if (each.stream().anyMatch(found -> found.judgement() == Judgement.APART)) {
            steps.add(moment.step());
          }
        });
    return steps;
  }

  /**
   * The same, judged by how far tf_keras parts from itself.
   *
   * @param otherRun of {@code same_job.py} from disturbed variables, with the state of the doubtful
   *     steps
   */
  public JobComparison withNoise(Path otherRun) throws IOException {
    Map<Moment, List<Finding>> judged = new LinkedHashMap<>();
    for (Map.Entry<Moment, List<Finding>> entry : findings.entrySet()) {
      List<Item> doubtful =
          entry.getValue().stream()
              .filter(found -> found.judgement() == Judgement.APART)
              .map(found -> found.deviation().item())
              .toList();
      Map<Item, Double> noise =
          doubtful.isEmpty() ? Map.of() : sides.noise(entry.getKey(), otherRun, doubtful);
      judged.put(
          entry.getKey(),
          entry.getValue().stream()
              .map(
                  found ->
                      new Finding(
                          found.deviation(),
                          noise.getOrDefault(found.deviation().item(), Double.NaN)))
              .toList());
    }
    List<Double> again = JobSides.losses(otherRun);
    List<LossPair> judgedLosses = new ArrayList<>();
    for (LossPair loss : losses) {
      double noise = Math.abs(again.get((int) loss.step() - 1) - loss.recorded());
      judgedLosses.add(
          new LossPair(loss.step(), loss.computed(), loss.recorded(), loss.scale(), noise));
    }
    return new JobComparison(sides, judged, judgedLosses);
  }

  /** What is to be said of the whole: the worst of all that was compared. */
  public Judgement judgement() {
    Judgement worst = Judgement.SAME;
    for (LossPair loss : losses) {
      worst = worse(worst, loss.judgement());
    }
    for (List<Finding> each : findings.values()) {
      for (Finding found : each) {
        worst = worse(worst, found.judgement());
      }
    }
    return worst;
  }

  private static Judgement worse(Judgement one, Judgement other) {
    return one.compareTo(other) >= 0 ? one : other;
  }

  /** The losses of all steps. */
  public List<LossPair> losses() {
    return losses;
  }

  /** The loss that is furthest apart, relative to the largest; empty if none is comparable. */
  public Optional<LossPair> worstLoss() {
    return losses.stream()
        .filter(loss -> loss.judgement() != Judgement.NOT_COMPARABLE)
        .max(
            Comparator.comparingDouble(
                loss -> loss.scale() == 0 ? 0 : loss.apart() / loss.scale()));
  }

  /** The moments whose states were compared. */
  public List<Moment> moments() {
    return List.copyOf(findings.keySet());
  }

  /** Of what kind of tensor how far the elements are apart, over all variables and moments. */
  public Map<Part, Tally> tallies() {
    Map<Part, Tally> tallies = new EnumMap<>(Part.class);
    all()
        .forEach(
            found ->
                tallies.merge(
                    found.deviation().item().part(), found.deviation().tally(), Tally::plus));
    return tallies;
  }

  private List<Finding> all() {
    return findings.values().stream().flatMap(List::stream).toList();
  }

  /**
   * The worst moment of each tensor of a kind that moves, the furthest first: a moment that is
   * apart before one that is not, and then by the part of the way.
   */
  public List<Finding> worst(Part part) {
    Map<Item, Finding> worst = new HashMap<>();
    all().stream()
        .filter(found -> found.deviation().item().part() == part)
        .forEach(
            found ->
                worst.merge(
                    found.deviation().item(),
                    found,
                    (one, other) -> BY_GRAVITY.compare(one, other) >= 0 ? one : other));
    return worst.values().stream().sorted(BY_GRAVITY.reversed()).toList();
  }

  private static final Comparator<Finding> BY_GRAVITY =
      Comparator.comparing(Finding::judgement)
          .thenComparingDouble(found -> found.deviation().ofWay())
          .thenComparing(found -> found.deviation().item().variable());

  /** The first tensor that does not have the same bits. */
  public Optional<Deviation> firstDifference() {
    return first(all().stream().filter(found -> found.deviation().tally().different() > 0).toList())
        .map(Finding::deviation);
  }

  /** The first tensor that is apart by more than rounding. */
  public Optional<Deviation> firstParting() {
    return first(all().stream().filter(found -> found.judgement() == Judgement.APART).toList())
        .map(Finding::deviation);
  }

  /** The earliest, and of those of one step the cause. */
  static Optional<Finding> first(List<Finding> findings) {
    return findings.stream()
        .min(
            Comparator.<Finding>comparingLong(found -> found.deviation().step())
                .thenComparingInt(found -> CAUSES.indexOf(found.deviation().item().part())));
  }

  /**
   * What a report shows.
   *
   * @param id names the job
   * @param notes what there is to know of it
   * @throws IOException if a file cannot be read
   */
  public ComparedRun run(String id, List<String> notes) throws IOException {
    return ComparedJob.run(sides, findings, losses, judgement(), id, notes);
  }

  /** The first step whose loss, or whose state after it, is not finite in tf_keras. */
  public OptionalLong firstNotFinite() {
    SortedSet<Long> steps = new TreeSet<>();
    losses.stream()
        .filter(loss -> loss.judgement() == Judgement.NOT_COMPARABLE)
        .forEach(loss -> steps.add(loss.step()));
    all().stream()
        .filter(found -> found.judgement() == Judgement.NOT_COMPARABLE)
        .forEach(found -> steps.add(found.deviation().step()));
    return steps.isEmpty() ? OptionalLong.empty() : OptionalLong.of(steps.first());
  }
}
