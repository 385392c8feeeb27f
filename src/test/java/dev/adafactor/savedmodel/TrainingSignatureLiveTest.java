package dev.adafactor.savedmodel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.adafactor.Adafactor;
import dev.adafactor.graph.VariableView;
import dev.adafactor.python.Python;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.Tensor;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TType;

/** A model that brings its own loss and gradients, trained in Java and in Python. */
@Tag("live")
class TrainingSignatureLiveTest {
  private static final int BATCH = 8;
  private static final int LENGTH = 6;

  @TempDir static Path folder;

  @Test
  void twentyStepsAreThoseOfPython() throws Exception {
    Python.run("training_signature.py", folder);
    JsonNode expected = new ObjectMapper().readTree(folder.resolve("expected.json").toFile());
    ModelDescription.Signature described =
        ModelDescription.of(folder.resolve("model")).signature("train");
    assertEquals(Optional.of(Mode.TRAINING), described.mode());
    assertEquals(Optional.empty(), described.problem());
    try (TrainableModel model =
        TrainableModel.load(folder.resolve("model"), "train", Optional.empty())) {
      assertEquals(Mode.TRAINING, model.mode());
      ProvidedGradients provided = model.providedGradients().orElseThrow();
      Adafactor adafactor =
          Adafactor.builder(model.graph()).learningRate(0.03).epsilon1(1e-16).build();
      List<GradAndVar<? extends TType>> pairs = new ArrayList<>();
      provided
          .gradients()
          .forEach((variable, gradient) -> pairs.add(pair(gradient, variable.handle())));
      Op step = adafactor.applyGradients(pairs, "train");
      model.session().initialize();

      JsonNode losses = expected.get("losses");
      double[] accuracies = new double[losses.size()];
      for (int i = 0; i < losses.size(); i++) {
        try (TInt32 ids = ints(expected.get("ids"), i, Shape.of(BATCH, LENGTH));
            TInt32 labels = ints(expected.get("labels"), i, Shape.of(BATCH));
            Tensor weights = weights(expected.get("sample_weights"), i);
            Result result =
                model
                    .session()
                    .runner()
                    .feed(provided.inputs().get("ids"), ids)
                    .feed(provided.inputs().get(ProvidedGradients.LABELS), labels)
                    .feed(provided.inputs().get(ProvidedGradients.SAMPLE_WEIGHTS), weights)
                    .fetch(provided.loss())
                    .fetch(provided.accuracy().orElseThrow())
                    .addTarget(step)
                    .run()) {
          assertEquals(
              losses.get(i).asDouble(), ((TFloat32) result.get(0)).getFloat(), 1e-5, "step " + i);
          accuracies[i] = ((TFloat32) result.get(1)).getFloat();
        }
      }
      assertTrue(Arrays.stream(accuracies).allMatch(a -> a * BATCH == Math.rint(a * BATCH)));
      assertEquals(expected.get("after").size(), model.variables().size());
      for (ModelVariable variable : model.variables()) {
        compare(model, variable, expected);
      }
    }
  }

  private static void compare(TrainableModel model, ModelVariable variable, JsonNode expected) {
    float[] value = new float[(int) variable.shape().size()];
    try (Result result =
        model
            .session()
            .runner()
            .fetch(
                VariableView.of(model.graph(), variable.handle()).read(Ops.create(model.graph())))
            .run()) {
      ((TFloat32) result.get(0)).copyTo(DataBuffers.of(value, false, false));
    }
    double way = 0;
    double off = 0;
    for (int i = 0; i < value.length; i++) {
      double after = expected.get("after").get(variable.name()).get(i).asDouble();
      way += Math.pow(after - expected.get("before").get(variable.name()).get(i).asDouble(), 2);
      off += Math.pow(after - value[i], 2);
    }
    assertTrue(way > 0, variable.name());
    double part = Math.sqrt(off / way);
    System.out.printf("%s: %.5f%% of the way from Python's%n", variable.name(), 100 * part);
    assertTrue(part < 1e-3, variable.name() + " differs by " + part + " of the way");
  }

  @SuppressWarnings("unchecked") // A resource has no type in Java.
  private static GradAndVar<? extends TType> pair(Output<?> gradient, Output<?> handle) {
    return new GradAndVar<>((Output<TType>) gradient, (Output<TType>) handle);
  }

  private static TInt32 ints(JsonNode numbers, int step, Shape shape) {
    int[] values = new int[(int) shape.size()];
    Arrays.setAll(values, i -> numbers.get(step * values.length + i).asInt());
    return TInt32.tensorOf(shape, DataBuffers.of(values));
  }

  private static Tensor weights(JsonNode numbers, int step) {
    float[] values = new float[BATCH];
    for (int i = 0; i < BATCH; i++) {
      values[i] = (float) numbers.get(step * BATCH + i).asDouble();
    }
    return TFloat32.tensorOf(Shape.of(BATCH), DataBuffers.of(values));
  }
}
