package dev.adafactor.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Sets of variables that are known by name. */
public enum StandardShapes {
  /** Eight matrices of 1024 × 1024, each with a bias. */
  SMALL {
    @Override
    List<Parameter> parameters(int rows) {
      List<Parameter> parameters = new ArrayList<>();
      for (int i = 0; i < 8; i++) {
        parameters.add(Parameter.dense("layer_" + i + "/kernel", 1024, 1024));
        parameters.add(Parameter.dense("layer_" + i + "/bias", 1024));
      }
      return parameters;
    }
  },

  /** One matrix of 4096 × 4096. */
  BIG {
    @Override
    List<Parameter> parameters(int rows) {
      return List.of(Parameter.dense("kernel", 4096, 4096));
    }
  },

  /** The 199 variables of BERT-base, with the pooler and without a head. */
  TRANSFORMER {
    private static final int LAYERS = 12;
    private static final int WIDTH = 768;
    private static final int INNER = 4 * WIDTH;

    @Override
    List<Parameter> parameters(int rows) {
      List<Parameter> parameters = new ArrayList<>();
      parameters.add(Parameter.dense("embeddings/word", 30_522, WIDTH));
      parameters.add(Parameter.dense("embeddings/position", 512, WIDTH));
      parameters.add(Parameter.dense("embeddings/type", 2, WIDTH));
      normalization(parameters, "embeddings/norm");
      for (int i = 0; i < LAYERS; i++) {
        String layer = "layer_" + i + "/";
        for (String part : List.of("query", "key", "value", "output")) {
          dense(parameters, layer + "attention/" + part, WIDTH, WIDTH);
        }
        normalization(parameters, layer + "attention/norm");
        dense(parameters, layer + "intermediate", WIDTH, INNER);
        dense(parameters, layer + "output", INNER, WIDTH);
        normalization(parameters, layer + "norm");
      }
      dense(parameters, "pooler", WIDTH, WIDTH);
      return parameters;
    }

    private void normalization(List<Parameter> parameters, String name) {
      parameters.add(Parameter.dense(name + "/gamma", WIDTH));
      parameters.add(Parameter.dense(name + "/beta", WIDTH));
    }
  },

  /** An embedding of 250,000 words, 768 wide, with a gradient for some of the words. */
  EMBEDDING {
    @Override
    List<Parameter> parameters(int rows) {
      return List.of(Parameter.sparse("embedding", rows, 250_000, 768));
    }
  },

  /** The 161 trainable variables of ResNet-50: convolutions without biases, normalizations. */
  CONV {
    private static final int CLASSES = 1000;

    @Override
    List<Parameter> parameters(int rows) {
      List<Parameter> parameters = new ArrayList<>();
      convolution(parameters, "stem", 7, 3, 64);
      int[] blocks = {3, 4, 6, 3};
      int channels = 64;
      for (int stage = 0; stage < blocks.length; stage++) {
        int width = 64 << stage;
        for (int block = 0; block < blocks[stage]; block++) {
          String name = "stage_" + stage + "/block_" + block + "/";
          if (block == 0) {
            convolution(parameters, name + "shortcut", 1, channels, 4 * width);
          }
          convolution(parameters, name + "conv_0", 1, channels, width);
          convolution(parameters, name + "conv_1", 3, width, width);
          convolution(parameters, name + "conv_2", 1, width, 4 * width);
          channels = 4 * width;
        }
      }
      dense(parameters, "classes", channels, CLASSES);
      return parameters;
    }

    private void convolution(List<Parameter> parameters, String name, int size, int in, int out) {
      parameters.add(Parameter.dense(name + "/kernel", size, size, in, out));
      parameters.add(Parameter.dense(name + "/gamma", out));
      parameters.add(Parameter.dense(name + "/beta", out));
    }
  };

  abstract List<Parameter> parameters(int rows);

  private static void dense(List<Parameter> parameters, String name, int in, int out) {
    parameters.add(Parameter.dense(name + "/kernel", in, out));
    parameters.add(Parameter.dense(name + "/bias", out));
  }

  /**
   * The set.
   *
   * @param rows of each sparse gradient, where there are any
   */
  public ShapeSet shapes(int rows) {
    return new ShapeSet(name().toLowerCase(Locale.ROOT), parameters(rows));
  }
}
