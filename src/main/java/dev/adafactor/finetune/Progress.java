package dev.adafactor.finetune;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.finetune.TrainingListener.Epoch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * How far a job is, beside the values of its variables: what a checkpoint notes, as JSON.
 *
 * @param before how many steps the optimizer had done when the job began
 * @param steps how many are done
 * @param finished how many epochs are done
 * @param epochs what is known of them; nothing, where Python did them
 * @param epoch the sums over the steps of the epoch that is not
 * @param best the best epoch so far, with early stopping
 */
record Progress(
    long before,
    long steps,
    int finished,
    List<Epoch> epochs,
    Evaluation.Accumulator epoch,
    Optional<BestEpoch.State> best) {

  private static final JsonMapper JSON = new JsonMapper();

  /** Whether a job can have done so many steps. */
  static boolean isPossible(long steps, int stepsPerEpoch) {
    return steps >= 0 && steps / stepsPerEpoch < Integer.MAX_VALUE;
  }

  /** All that is known of a job that Python has gone on with. */
  static Progress ofSteps(long before, long steps, int stepsPerEpoch) {
    return new Progress(
        before,
        steps,
        Math.toIntExact(steps / stepsPerEpoch),
        List.of(),
        new Evaluation.Accumulator(),
        Optional.empty());
  }

  /**
   * Writes it.
   *
   * @param job what the course of the job depends on, as far as it is not in the data or the model
   */
  String toJson(Map<String, String> job) {
    ObjectNode note = JSON.createObjectNode();
    note.put("before", before).put("steps", steps).put("finished", finished);
    job.forEach(note.putObject("job")::put);
    ArrayNode done = note.putArray("epochs");
    for (Epoch each : epochs) {
      ObjectNode node = done.addObject();
      put(node.putObject("training"), each.training());
      each.validation().ifPresent(validation -> put(node.putObject("validation"), validation));
    }
    put(note.putObject("epoch"), epoch.sums());
    best.ifPresent(
        state ->
            note.putObject("best")
                .put("score", number(state.score()))
                .put("epoch", state.epoch())
                .put("epochs", state.epochs())
                .put("waiting", state.waiting()));
    return note.toString();
  }

  private static void put(ObjectNode node, Evaluation evaluation) {
    node.put("loss", number(evaluation.loss())).put("examples", evaluation.examples());
    evaluation.accuracy().ifPresent(accuracy -> node.put("accuracy", number(accuracy)));
  }

  /** As text: JSON has neither NaN nor infinity. */
  private static String number(double value) {
    return Double.toString(value);
  }

  /**
   * Reads it.
   *
   * @param job what {@link #toJson} was given, or would be
   * @throws IllegalArgumentException if it is of a job that goes another way
   * @throws IOException if it is not whole, or cannot be
   */
  static Progress fromJson(String text, Map<String, String> job, int stepsPerEpoch)
      throws IOException {
    JsonNode note;
    try {
      note = JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new IOException("has a note that is no JSON", e);
    }
    job.forEach(
        (name, value) -> {
          String before = note.path("job").path(name).asText("nothing");
          if (!before.equals(value)) {
            throw new IllegalArgumentException(
                ("is of a job with %s %s, this one has %s; give the same, or another folder of"
                        + " checkpoints")
                    .formatted(name, before, value));
          }
        });
    Progress progress;
    try {
      progress = read(note);
    } catch (NumberFormatException e) {
      throw new IOException("has a note that is not whole", e);
    }
    if (!progress.isConsistent(stepsPerEpoch)) {
      throw new IOException(
          "has a note that contradicts itself: %d steps, %d epochs of %d steps each are done"
              .formatted(progress.steps(), progress.finished(), stepsPerEpoch));
    }
    return progress;
  }

  private static Progress read(JsonNode note) {
    List<Epoch> epochs = new ArrayList<>();
    for (JsonNode node : note.path("epochs")) {
      epochs.add(
          new Epoch(
              epochs.size() + 1,
              evaluation(node.path("training")),
              node.has("validation")
                  ? Optional.of(evaluation(node.path("validation")))
                  : Optional.empty()));
    }
    JsonNode best = note.path("best");
    return new Progress(
        note.has("before") ? count(note.path("before"), Long.MAX_VALUE) : 0,
        count(note.path("steps"), Long.MAX_VALUE),
        (int) count(note.path("finished"), Integer.MAX_VALUE),
        List.copyOf(epochs),
        Evaluation.Accumulator.of(evaluation(note.path("epoch"))),
        best.isMissingNode()
            ? Optional.empty()
            : Optional.of(
                new BestEpoch.State(
                    number(best.path("score")),
                    (int) count(best.path("epoch"), Integer.MAX_VALUE),
                    (int) count(best.path("epochs"), Integer.MAX_VALUE),
                    (int) count(best.path("waiting"), Integer.MAX_VALUE))));
  }

  private boolean isConsistent(int stepsPerEpoch) {
    long beyond = steps - (long) finished * stepsPerEpoch;
    return beyond >= 0
        && beyond <= stepsPerEpoch
        && epochs.size() <= finished
        && best.stream()
            .allMatch(state -> state.epoch() <= state.epochs() && state.epoch() <= epochs.size());
  }

  private static Evaluation evaluation(JsonNode node) {
    return new Evaluation(
        number(node.path("loss")),
        node.has("accuracy")
            ? OptionalDouble.of(number(node.path("accuracy")))
            : OptionalDouble.empty(),
        count(node.path("examples"), Long.MAX_VALUE));
  }

  private static long count(JsonNode node, long most) {
    if (!node.canConvertToLong()
        || !node.isIntegralNumber()
        || node.longValue() < 0
        || node.longValue() > most) {
      throw new NumberFormatException(node.toString());
    }
    return node.longValue();
  }

  private static double number(JsonNode node) {
    return Double.parseDouble(node.asText());
  }
}
