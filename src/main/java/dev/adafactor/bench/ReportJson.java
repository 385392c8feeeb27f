package dev.adafactor.bench;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.adafactor.graph.CompiledCalls;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.tensorflow.TensorFlow;

/** What was measured, as JSON for other programs. */
public final class ReportJson {
  private static final JsonMapper JSON = new JsonMapper();

  /** Of the format: a program that reads it can rely on it. */
  private static final int VERSION = 1;

  private ReportJson() {}

  /** An object: what ran on which machine, and under {@code runs} each optimizer, ours first. */
  public static ObjectNode of(Report report) {
    Workload workload = report.workload();
    ObjectNode root = JSON.createObjectNode().put("version", VERSION);
    root.putObject("machine")
        .put("os", System.getProperty("os.name"))
        .put("arch", System.getProperty("os.arch"))
        .put("processors", Runtime.getRuntime().availableProcessors())
        .put("java", System.getProperty("java.version"))
        .put("tf", TensorFlow.version());
    root.putObject("settings")
        .put("dtype", workload.type().label())
        .put("threads", workload.threads())
        .put("variables", label(report.variant().variables()))
        .put("numerics", label(report.variant().numerics()))
        .put("jit_compile", label(report.variant().jitCompile()));
    ArrayNode runs = root.putArray("runs");
    add(runs, workload, report.own(), Optional.empty());
    report.peers().forEach(peer -> add(runs, workload, peer, Optional.of(report.own())));
    ArrayNode leftOut = root.putArray("left_out");
    report
        .leftOut()
        .forEach(
            each ->
                leftOut.addObject().put("peer", each.peer().label()).put("reason", each.reason()));
    ArrayNode profile = root.putArray("profile");
    report
        .profile()
        .operations()
        .forEach(
            kind ->
                profile
                    .addObject()
                    .put("type", kind.type())
                    .put("count", kind.count())
                    .put("ms", kind.millis())
                    .put("allocated_bytes", kind.allocatedBytes()));
    report.distribution().ifPresent(distribution -> add(root.putObject("mesh"), distribution));
    return root;
  }

  private static void add(ObjectNode node, Distribution distribution) {
    node.put("dimensions", distribution.mesh().toString())
        .put("sent_bytes", distribution.sentBytes())
        .put("computed_sent_bytes", distribution.computedBytes())
        .put("sent_tensors", distribution.tensors())
        .put("sent_signals", distribution.signals())
        .put("transfer_chain", distribution.chain());
    ArrayNode devices = node.putArray("devices");
    for (Distribution.Device each : distribution.devices()) {
      devices
          .addObject()
          .put("device", each.name())
          .put("state_bytes", each.stateBytes())
          .put("sent_bytes", each.sentBytes())
          .put("received_bytes", each.receivedBytes());
    }
  }

  private static void add(ArrayNode runs, Workload workload, Run run, Optional<Run> own) {
    Facts facts = run.facts();
    Spread step = run.step();
    ObjectNode node =
        runs.addObject()
            .put("shapes", workload.shapes().name())
            .put("peer", run.peer().map(Peer::label).orElse(null))
            .put("library", facts.version())
            .put("parameters", workload.shapes().elements())
            .put("variables", workload.shapes().parameters().size())
            .put("median_ms", step.median())
            .put("min_ms", step.least())
            .put("lower_quartile_ms", step.lowerQuartile())
            .put("upper_quartile_ms", step.upperQuartile())
            .put("state_bytes", facts.stateBytes())
            .put("parameter_bytes", workload.parameterBytes())
            .put("peak_transient_bytes", orNull(facts.peakTransientBytes()))
            .put("operations", orNull(facts.operations()))
            .put("compiled_calls", facts.compiled().map(CompiledCalls::calls).orElse(null))
            .put("compiled_programs", facts.compiled().map(CompiledCalls::programs).orElse(null))
            .put("build_ms", facts.buildMillis())
            .put("first_step_ms", facts.firstStepMillis());
    own.ifPresent(
        ours -> {
          Spread ratio = ours.ratioTo(run);
          node.putObject("ratio")
              .put("of_medians", ours.step().median() / step.median())
              .put("lower_quartile", ratio.lowerQuartile())
              .put("median", ratio.median())
              .put("upper_quartile", ratio.upperQuartile());
        });
    ArrayNode rounds = node.putArray("rounds_ms");
    run.rounds().forEach(round -> rounds.add(Spread.of(round).median()));
  }

  private static Long orNull(OptionalLong value) {
    return value.isPresent() ? (Long) value.getAsLong() : null;
  }

  private static Integer orNull(OptionalInt value) {
    return value.isPresent() ? (Integer) value.getAsInt() : null;
  }

  private static String label(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT);
  }
}
