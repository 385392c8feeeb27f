package dev.adafactor.examples;

import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.adafactor.Adafactor;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TFOutOfRangeException;
import org.tensorflow.framework.data.Dataset;
import org.tensorflow.framework.data.DatasetIterator;
import org.tensorflow.framework.losses.CategoricalCrossentropy;
import org.tensorflow.framework.metrics.CategoricalAccuracy;
import org.tensorflow.framework.optimizers.Adam;
import org.tensorflow.framework.optimizers.Optimizer;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Variable;
import org.tensorflow.op.random.TruncatedNormal;
import org.tensorflow.types.TFloat32;

/**
 * A small network on the handwritten digits, in the style of TensorFlow Java's framework: its
 * datasets, its losses, its metrics. Adafactor stands where any {@link Optimizer} does.
 */
class DigitsMlpTest {

  private static final Path DATA = Path.of("savedmodels", "digits-data");
  private static final int PIXELS = 64;
  private static final int CLASSES = 10;
  private static final int EPOCHS = 15;

  @Test
  void adafactorLearnsTheDigits() throws IOException {
    float accuracy = train(graph -> Adafactor.builder(graph).learningRate(0.05).build());
    assertTrue(accuracy > 0.95, "accuracy " + accuracy);
  }

  @Test
  void soDoesAdamInTheSamePlace() throws IOException {
    float accuracy = train(graph -> new Adam(graph, 0.005f));
    assertTrue(accuracy > 0.95, "accuracy " + accuracy);
  }

  /** Trains on the training images, and gives the accuracy on the test images. */
  private static float train(Function<Graph, Optimizer> optimizer) throws IOException {
    try (Graph graph = new Graph()) {
      Ops tf = Ops.create(graph);
      Variable<TFloat32> w1 = weights(tf, "hidden.kernel", PIXELS, 128);
      Variable<TFloat32> b1 = zeros(tf, "hidden.bias", 128);
      Variable<TFloat32> w2 = weights(tf, "output.kernel", 128, CLASSES);
      Variable<TFloat32> b2 = zeros(tf, "output.bias", CLASSES);
      UnaryOperator<Operand<TFloat32>> network =
          images -> {
            Operand<TFloat32> hidden = tf.nn.relu(tf.math.add(tf.linalg.matMul(images, w1), b1));
            return tf.math.add(tf.linalg.matMul(hidden, w2), b2);
          };

      Batches training = Batches.of(tf, "train", 32);
      Operand<TFloat32> loss =
          new CategoricalCrossentropy(true)
              .call(tf, training.labels(), network.apply(training.images()));
      Op step = optimizer.apply(graph).minimize(loss);

      Batches test = Batches.of(tf, "test", 45);
      CategoricalAccuracy<TFloat32> accuracy = new CategoricalAccuracy<>(42L, TFloat32.class);
      Op update = accuracy.updateState(tf, test.labels(), network.apply(test.images()), null);
      Operand<TFloat32> result = accuracy.result(tf, TFloat32.class);

      try (Session session = new Session(graph)) {
        for (int epoch = 0; epoch < EPOCHS; epoch++) {
          session.run(training.start());
          runToTheEnd(session, step);
        }
        session.run(test.start());
        for (int batch = 0; batch < 10; batch++) {
          session.run(update);
        }
        try (var fetched = session.runner().fetch(result).run()) {
          return ((TFloat32) fetched.get(0)).getFloat();
        }
      }
    }
  }

  private static void runToTheEnd(Session session, Op target) {
    while (true) {
      try {
        session.run(target);
      } catch (TFOutOfRangeException end) {
        return;
      }
    }
  }

  private static Variable<TFloat32> weights(Ops tf, String name, int inputs, int outputs) {
    Ops init = tf.withInitScope();
    Operand<TFloat32> random =
        init.random.truncatedNormal(
            init.constant(new int[] {inputs, outputs}), TFloat32.class, TruncatedNormal.seed(7L));
    return variable(
        name, tf, init.math.div(random, init.constant((float) Math.sqrt(inputs))), inputs, outputs);
  }

  private static Variable<TFloat32> zeros(Ops tf, String name, int size) {
    Ops init = tf.withInitScope();
    return variable(name, tf, init.zeros(init.constant(new int[] {size}), TFloat32.class), size);
  }

  private static Variable<TFloat32> variable(
      String name, Ops tf, Operand<TFloat32> value, long... shape) {
    Ops init = tf.withInitScope();
    Variable<TFloat32> variable = init.withName(name).variable(Shape.of(shape), TFloat32.class);
    init.assign(variable, value);
    return variable;
  }

  /** The next batch of a dataset of images of 64 pixels and one-hot labels. */
  private record Batches(Op start, Operand<TFloat32> images, Operand<TFloat32> labels) {

    @SuppressWarnings("unchecked") // As the dataset is made.
    static Batches of(Ops tf, String split, int size) throws IOException {
      ByteBuffer pixels = npyData(DATA.resolve(split + "-images.npy"));
      float[] flat = new float[pixels.remaining() / Float.BYTES];
      pixels.asFloatBuffer().get(flat);
      ByteBuffer classes = npyData(DATA.resolve(split + "-labels.npy"));
      int[] indices = new int[classes.remaining() / Integer.BYTES];
      classes.asIntBuffer().get(indices);
      Operand<TFloat32> images =
          tf.reshape(tf.constant(flat), tf.constant(new int[] {indices.length, PIXELS}));
      Operand<TFloat32> labels =
          tf.oneHot(tf.constant(indices), tf.constant(CLASSES), tf.constant(1f), tf.constant(0f));
      DatasetIterator iterator =
          Dataset.fromTensorSlices(
                  tf, List.of(images, labels), List.of(TFloat32.class, TFloat32.class))
              .batch(size, true)
              .makeInitializeableIterator();
      List<Operand<?>> next = iterator.getNext();
      // The framework's metrics count by the static shape.
      return new Batches(
          iterator.getInitializer(),
          tf.ensureShape((Operand<TFloat32>) next.get(0), Shape.of(size, PIXELS)),
          tf.ensureShape((Operand<TFloat32>) next.get(1), Shape.of(size, CLASSES)));
    }
  }

  /** What follows the header of a .npy file. */
  private static ByteBuffer npyData(Path file) throws IOException {
    ByteBuffer npy = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int headerLength = npy.getShort(8);
    return npy.position(10 + headerLength).slice().order(ByteOrder.LITTLE_ENDIAN);
  }
}
