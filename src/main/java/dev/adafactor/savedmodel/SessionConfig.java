package dev.adafactor.savedmodel;

import dev.adafactor.graph.Devices;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.RewriterConfig;
import org.tensorflow.proto.RewriterConfig.MemOptType;
import org.tensorflow.proto.RewriterConfig.NumIterationsType;
import org.tensorflow.proto.RewriterConfig.Toggle;

/**
 * How the session of a model that is trained is set up.
 *
 * <p>TensorFlow optimizes the graph before it first runs a part of it. With a thousand variables
 * that takes half a minute, so what is left out here is what changes nothing in a flat graph: the
 * second round, conversions to another format of graphs and back, and the exchange of functions.
 */
final class SessionConfig {
  private SessionConfig() {}

  static ConfigProto forTraining() {
    ConfigProto.Builder config =
        // A model from a machine with an accelerator runs on one without.
        ConfigProto.newBuilder().setAllowSoftPlacement(true);
    RewriterConfig.Builder rewriter =
        config
            .getGraphOptionsBuilder()
            .getRewriteOptionsBuilder()
            .setMetaOptimizerIterations(NumIterationsType.ONE)
            .setDisableTfgOptimizer(true)
            .setShapeOptimization(Toggle.OFF)
            .setImplementationSelector(Toggle.OFF);
    if (!Devices.hasGpu()) {
      // Layouts are converted for GPUs, and theirs is the memory that may be short.
      rewriter.setLayoutOptimizer(Toggle.OFF).setMemoryOptimization(MemOptType.NO_MEM_OPT);
    }
    return config.build();
  }
}
