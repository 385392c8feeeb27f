package dev.adafactor.checkpoint;

import dev.adafactor.Adafactor;
import dev.adafactor.mesh.Mesh;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.SpreadVariables;
import dev.adafactor.savedmodel.TrainableModel;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.framework.optimizers.Optimizer.GradAndVar;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

/** The digits model, being trained to say the same of any image. */
final class DigitsJob implements AutoCloseable {
  private static final Path DIGITS = Path.of("savedmodels", "digits");

  private final TrainableModel model;
  private final Op train;
  private final TrainingState state;

  DigitsJob(UnaryOperator<Adafactor.Builder> optimizer) throws IOException {
    this(Optional.empty(), optimizer);
  }

  /**
   * @param mesh over which the variables are spread
   */
  DigitsJob(Optional<Mesh> mesh, UnaryOperator<Adafactor.Builder> optimizer) throws IOException {
    model =
        TrainableModel.load(
            DIGITS,
            "serving_default",
            Optional.empty(),
            mesh.map(Mesh::config).orElse(ConfigProto.getDefaultInstance()));
    Ops tf = Ops.create(model.graph());
    @SuppressWarnings("unchecked") // The model's output is of that type.
    Operand<TFloat32> output =
        (Operand<TFloat32>) (Operand<?>) model.training().outputs().get("probabilities");
    List<ModelVariable> trained =
        model.variables().stream().filter(ModelVariable::trainable).toList();
    SpreadVariables spread =
        mesh.map(grid -> SpreadVariables.over(grid, model.graph(), trained))
            .orElseGet(() -> SpreadVariables.none(model.graph()));
    Adafactor.Builder builder = optimizer.apply(Adafactor.builder(model.graph()));
    mesh.ifPresent(builder::mesh);
    Adafactor adafactor = builder.build();
    List<GradAndVar<? extends TType>> gradients =
        adafactor.computeGradients(
            tf.nn.l2Loss(output), trained.stream().<Output<?>>map(ModelVariable::handle).toList());
    Op update =
        adafactor.applyGradients(
            gradients.stream().<GradAndVar<? extends TType>>map(spread::pair).toList(), "train");
    train = spread.gather(update);
    state = new TrainingState(model, adafactor, trained, spread, Map.of());
    model.session().initialize();
  }

  void train(int steps) {
    try (TFloat32 images =
        TFloat32.tensorOf(
            Shape.of(5, 8, 8, 1),
            x ->
                x.scalars()
                    .forEachIndexed((i, s) -> s.setFloat((float) ((i[0] + i[1] * i[2]) % 7))))) {
      for (int step = 0; step < steps; step++) {
        model
            .session()
            .runner()
            .feed(model.inputs().get("image"), images)
            .addTarget(train)
            .run()
            .close();
      }
    }
  }

  @Override
  public void close() {
    model.close();
  }

  TrainingState state() {
    return state;
  }
}
