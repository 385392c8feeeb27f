package dev.adafactor.finetune;

import dev.adafactor.Elements;
import dev.adafactor.graph.RawVariable;
import dev.adafactor.savedmodel.ModelVariable;
import dev.adafactor.savedmodel.TrainableModel;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Result;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

/** Numbers from Python and from models, as plain arrays. */
final class PlainArrays {
  private PlainArrays() {}

  /** How far apart two points are. */
  static double distance(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += (a[i] - b[i]) * (a[i] - b[i]);
    }
    return Math.sqrt(sum);
  }

  /** The variables of a model's functions for training, by name. */
  static Map<String, double[]> weights(Path savedModel) throws IOException {
    Map<String, double[]> weights = new HashMap<>();
    try (TrainableModel model =
        TrainableModel.load(savedModel, "serving_default", Optional.empty())) {
      Ops tf = Ops.create(model.graph());
      for (ModelVariable variable : model.variables()) {
        Output<?> stored = new RawVariable(variable.handle(), variable.dtype()).read(tf);
        Operand<TFloat32> value = tf.dtypes.cast(StepFunction.numeric(stored), TFloat32.class);
        try (Result fetched = model.session().runner().fetch(value).run()) {
          weights.put(variable.name(), Elements.copy(fetched.get(0)));
        }
      }
    }
    return weights;
  }

  /** The arrays of an .npz file, which is a zip of .npy files. */
  static Map<String, double[]> arrays(Path npz) throws IOException {
    Map<String, double[]> arrays = new HashMap<>();
    try (ZipFile zip = new ZipFile(npz.toFile())) {
      for (ZipEntry entry : zip.stream().toList()) {
        Path file = Files.createTempFile("array", ".npy");
        try (InputStream in = zip.getInputStream(entry)) {
          Files.write(file, in.readAllBytes());
          arrays.put(entry.getName().replaceFirst("\\.npy$", ""), values(NpyFile.open(file)));
        } finally {
          Files.delete(file);
        }
      }
    }
    return arrays;
  }

  private static double[] values(NpyFile file) {
    int size = file.type().size();
    ByteBuffer raw = ByteBuffer.allocate(file.rowElements() * size);
    double[] values = new double[(int) file.shape().size()];
    for (int row = 0; row < file.rows(); row++) {
      file.copyRow(row, raw.clear());
      for (int i = 0; i < file.rowElements(); i++) {
        values[row * file.rowElements() + i] = file.type().toDouble(raw, i * size);
      }
    }
    return values;
  }
}
