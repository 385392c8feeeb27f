package dev.adafactor.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import dev.adafactor.Adafactor;
import dev.adafactor.Numerics;
import dev.adafactor.files.TensorBundle;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.python.Python;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.SpreadVariables;
import dev.adafactor.savedmodel.TrainableModel;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

/** Java restores Python's checkpoints, and Python Java's. */
@Tag("live")
@Tag("newest")
class CheckpointLiveTest {
  @TempDir Path folder;

  @Test
  void isTheSameInPythonAndJava() throws Exception {
    Python.run("checkpoints.py", "write", folder);
    for (Path job : cases()) {
      passThroughJava(job);
    }
    Python.run("checkpoints.py", "check", folder);
  }

  @Test
  void goesOnWithTheSameBitsInTurns() throws Exception {
    Python.run("shared_steps.py", "begin", folder);
    for (Path steps : cases()) {
      try (SharedSteps training = new SharedSteps(steps)) {
        restore(training, steps.resolve("python"));
        training.take(1);
        new CheckpointFolder(steps.resolve("java"), 1).save(training.state(), 6, "");
      }
      try (SharedSteps training = new SharedSteps(steps)) {
        training.take(0);
        new CheckpointFolder(steps.resolve("first"), 1).save(training.state(), 3, "");
      }
    }
    Python.run("shared_steps.py", "go_on", folder);
    for (Path steps : cases()) {
      try (SharedSteps training = new SharedSteps(steps)) {
        restore(training, steps.resolve("second"));
        training.take(2);
        new CheckpointFolder(steps.resolve("third"), 1).save(training.state(), 9, "");
      }
    }
    Python.run("shared_steps.py", "end", folder);
  }

  /** What shards have of a state is taken from them by Python, and by variables in one piece. */
  @Test
  void readsIntoShardsAndBack() throws Exception {
    Python.run("shared_steps.py", "begin", folder);
    Optional<Mesh> mesh = Optional.of(Mesh.virtualCpus("x=2,y=3"));
    for (Path steps : cases()) {
      Path sharded = steps.resolve("sharded");
      Path whole = steps.resolve("whole");
      try (SharedSteps training = new SharedSteps(steps, mesh, Numerics.STABLE)) {
        restore(training, steps.resolve("python"));
        new CheckpointFolder(sharded, 1).save(training.state(), 3, "");
      }
      try (SharedSteps training = new SharedSteps(steps)) {
        restore(training, sharded);
        new CheckpointFolder(whole, 1).save(training.state(), 3, "");
      }
      TensorBundle python = TensorBundle.read(steps.resolve("python").resolve("ckpt-1"));
      TensorBundle java = TensorBundle.read(whole.resolve("ckpt-3"));
      for (String key : python.tensors().keySet()) {
        if (key.startsWith("model/") || key.startsWith("optimizer/_variables/")) {
          assertArrayEquals(python.elements(key), java.elements(key), steps + " " + key);
        }
      }
    }
    Python.run("shared_steps.py", "back", folder);
  }

  private List<Path> cases() throws IOException {
    try (Stream<Path> cases = Files.list(folder)) {
      return cases.toList();
    }
  }

  private static void restore(SharedSteps training, Path from) throws IOException {
    Restored restored = StoredState.find(from).restore(training.state(), Extent.ALL);
    assertEquals(List.of(), restored.left());
    assertEquals(5, restored.variables());
    assertEquals(5, restored.states());
  }

  private static void passThroughJava(Path job) throws Exception {
    try (TrainableModel model = TrainableModel.load(job.resolve("model"), "serving_default")) {
      Adafactor adafactor =
          Adafactor.fromConfig(model.graph(), Files.readString(job.resolve("optimizer.json")))
              .build();
      List<ModelVariable> trained =
          model.variables().stream().filter(ModelVariable::trainable).toList();
      Ops tf = Ops.create(model.graph());
      List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
      for (ModelVariable variable : trained) {
        pairs.add(pair(tf, variable));
      }
      adafactor.applyGradients(pairs, "train");
      TrainingState state =
          new TrainingState(
              model, adafactor, trained, SpreadVariables.none(model.graph()), Map.of());
      model.session().initialize();
      Optional<Path> restored =
          new CheckpointFolder(job.resolve("python"), 1)
              .resume(state, content -> assertEquals(Optional.empty(), content.note()))
              .map(Restored::checkpoint);
      assertEquals(Optional.of(job.resolve("python").resolve("ckpt-1")), restored);
      new CheckpointFolder(job.resolve("java"), 1).save(state, 3, "");
    }
  }

  @SuppressWarnings({"unchecked", "rawtypes"}) // The handle has a type of its own.
  private static GradAndVar<? extends TType> pair(Ops tf, ModelVariable variable) {
    return new GradAndVar(
        tf.zeros(tf.constant(variable.shape().asArray()), TFloat32.class).asOutput(),
        variable.handle());
  }
}
