package dev.adafactor.savedmodel;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.adafactor.SessionConfig;
import dev.adafactor.graph.ErrorLine;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemLoopException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.proto.AssetFileDef;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.SavedModel;
import org.tensorflow.proto.SignatureDef;

/**
 * A SavedModel's folder, read and checked without native code.
 *
 * @param path the folder
 * @param metaGraph what {@code saved_model.pb} holds for serving
 */
record SavedModelFolder(Path path, MetaGraphDef metaGraph) {
  /** Where the folder keeps the values of the variables: the files' common prefix. */
  static final Path VARIABLES = Path.of("variables", "variables");

  private static final Path ASSETS = Path.of("assets");

  /**
   * Reads the folder's description of the model and looks for the files that must be beside it.
   *
   * @throws IOException if a file is missing or damaged
   */
  static SavedModelFolder read(Path path) throws IOException {
    Path file = path.resolve("saved_model.pb");
    if (!Files.isDirectory(path)) {
      throw new IOException(
          Files.exists(path)
              ? "'" + path + "' is not a folder; a SavedModel is a folder with a saved_model.pb"
              : "There is no folder '" + path + "'");
    }
    if (!Files.isRegularFile(file)) {
      throw new IOException(
          "'" + path + "' is not a SavedModel: it has no saved_model.pb" + otherKind(path));
    }
    SavedModel model;
    try (InputStream in = new BufferedInputStream(Files.newInputStream(file))) {
      model = SavedModel.parseFrom(in);
    } catch (InvalidProtocolBufferException e) {
      throw new IOException("'" + file + "' is damaged: " + ErrorLine.of(e), e);
    }
    SavedModelFolder folder = new SavedModelFolder(path, servingGraph(model, file));
    ModelCheck.require(folder.metaGraph());
    folder.requireVariables();
    folder.assets();
    folder.files();
    return folder;
  }

  private static String otherKind(Path path) {
    for (String other : List.of("saved_model.pbtxt", "saved_model.cpb", "config.json")) {
      if (Files.exists(path.resolve(other))) {
        return " (a " + other + " is there, which cannot be read)";
      }
    }
    return "";
  }

  private static MetaGraphDef servingGraph(SavedModel model, Path file) throws IOException {
    if (model.getMetaGraphsCount() == 0) {
      throw new IOException("'" + file + "' is damaged: it holds no graph");
    }
    return model.getMetaGraphsList().stream()
        .filter(graph -> graph.getMetaInfoDef().getTagsList().contains("serve"))
        .findFirst()
        .orElse(model.getMetaGraphs(0));
  }

  private void requireVariables() throws IOException {
    if (metaGraph.getGraphDef().getNodeList().stream()
        .noneMatch(node -> node.getOp().equals("VarHandleOp"))) {
      return;
    }
    SavedValues.require(metaGraph.getGraphDef(), path.resolve(VARIABLES));
  }

  /** Whether a file, named within the folder, holds values of variables. */
  static boolean isVariables(Path file) {
    return VARIABLES.getParent().equals(file.getParent())
        && file.getFileName().toString().startsWith(VARIABLES.getFileName() + ".");
  }

  /**
   * All files of the folder, as paths within it, sorted.
   *
   * @throws IOException if links make it endless, or a part of it cannot be read
   */
  List<Path> files() throws IOException {
    try (Stream<Path> all = Files.walk(path, FileVisitOption.FOLLOW_LINKS)) {
      return all.filter(Files::isRegularFile).map(path::relativize).sorted().toList();
    } catch (UncheckedIOException e) {
      if (e.getCause() instanceof FileSystemLoopException loop) {
        throw new IOException(
            "The model's folder is endless: '" + loop.getFile() + "' is a link that leads back", e);
      }
      throw new IOException("The model's folder cannot be read: " + ErrorLine.of(e.getCause()), e);
    }
  }

  /**
   * The files that the model's functions read, within its folder.
   *
   * @throws IOException if one is missing, or would be outside the folder
   */
  List<Path> assets() throws IOException {
    List<Path> assets = new ArrayList<>();
    for (AssetFileDef asset : metaGraph.getAssetFileDefList()) {
      Path file;
      try {
        file = ASSETS.resolve(asset.getFilename()).normalize();
      } catch (InvalidPathException e) {
        throw new IOException("The model's asset has an impossible name: " + ErrorLine.of(e), e);
      }
      if (!file.startsWith(ASSETS) || file.equals(ASSETS)) {
        throw new IOException(
            "The model's asset '" + asset.getFilename() + "' is not in its folder of assets");
      }
      if (!Files.isRegularFile(path.resolve(file))) {
        throw new IOException(
            "The model's asset is missing: there is no '" + path.resolve(file) + "'");
      }
      assets.add(file);
    }
    return assets;
  }

  /** The signatures that a user can call, by name. */
  Map<String, SignatureDef> signatures() {
    Map<String, SignatureDef> signatures = new TreeMap<>(metaGraph.getSignatureDefMap());
    signatures.keySet().removeIf(name -> name.startsWith("__saved_model_"));
    return signatures;
  }

  /**
   * One signature.
   *
   * @throws IllegalArgumentException if the model has none of that name
   */
  SignatureDef signature(String name) {
    SignatureDef signature = signatures().get(name);
    if (signature == null) {
      throw new IllegalArgumentException(
          String.format(
              "The model '%s' has no signature '%s'; it has %s",
              path, name, signatures().isEmpty() ? "none" : signatures().keySet()));
    }
    return signature;
  }

  /**
   * Loads graph and variables into TensorFlow.
   *
   * @param devices settings beside those for training
   * @throws IOException if TensorFlow refuses them
   */
  SavedModelBundle open(ConfigProto devices) throws IOException {
    try {
      return SavedModelBundle.loader(path.toString())
          .withTags(metaGraph.getMetaInfoDef().getTagsList().toArray(String[]::new))
          // A model from a machine with an accelerator runs on one without.
          .withConfigProto(
              SessionConfig.forTraining().toBuilder()
                  .mergeFrom(devices)
                  .setAllowSoftPlacement(true)
                  .build())
          .load();
    } catch (TensorFlowException | IllegalArgumentException | IllegalStateException e) {
      throw new IOException(
          "TensorFlow cannot load the model '" + path + "': " + ErrorLine.of(e), e);
    }
  }
}
