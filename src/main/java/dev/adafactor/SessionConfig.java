package dev.adafactor;

import dev.adafactor.graph.Devices;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.RewriterConfig;
import org.tensorflow.proto.RewriterConfig.MemOptType;
import org.tensorflow.proto.RewriterConfig.NumIterationsType;
import org.tensorflow.proto.RewriterConfig.Toggle;

/**
 * How a session that trains is set up, so that its first step does not keep one waiting.
 *
 * <p>TensorFlow's graph optimizer, Grappler, rewrites what a session is asked to run before it runs
 * it for the first time. In a graph of hundreds of variables that takes seconds, and most of it
 * gains a training step nothing.
 */
public final class SessionConfig {
  private SessionConfig() {}

  /**
   * The configuration of a session that trains:
   *
   * <pre>{@code
   * Session session = new Session(graph, SessionConfig.forTraining());
   * }</pre>
   *
   * <p>It turns off
   *
   * <ul>
   *   <li>the second round of the optimizer, which finds what the first one has left, and little of
   *       it;
   *   <li>the rewriting by way of another format of graphs (TFG), and the conversions to it and
   *       back;
   *   <li>the passes for shapes and for the choice of functions by device, which a graph of
   *       TensorFlow Java gives nothing to do;
   *   <li>where there is no GPU, the passes for the layout of images and for memory, which are for
   *       GPUs.
   * </ul>
   *
   * <p>What is left is constant folding, arithmetic, dependencies, loops, functions and the fusing
   * of operations: the passes that make steps faster. All passes, those that run and those that do
   * not, keep the meaning of the graph, so that results are the same up to rounding. {@link
   * Numerics#TF_KERAS} is tf_keras's bits only without any ({@code disable_meta_optimizer}).
   *
   * @return nothing else is set; {@code toBuilder()} takes further settings
   */
  public static ConfigProto forTraining() {
    ConfigProto.Builder config = ConfigProto.newBuilder();
    RewriterConfig.Builder rewriter =
        config
            .getGraphOptionsBuilder()
            .getRewriteOptionsBuilder()
            .setMetaOptimizerIterations(NumIterationsType.ONE)
            .setDisableTfgOptimizer(true)
            .setShapeOptimization(Toggle.OFF)
            .setImplementationSelector(Toggle.OFF);
    if (!Devices.hasGpu()) {
      rewriter.setLayoutOptimizer(Toggle.OFF).setMemoryOptimization(MemOptType.NO_MEM_OPT);
    }
    return config.build();
  }
}
