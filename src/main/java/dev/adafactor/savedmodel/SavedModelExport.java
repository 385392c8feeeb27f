package dev.adafactor.savedmodel;

import com.google.protobuf.InvalidProtocolBufferException;
import dev.adafactor.files.OutputPath;
import dev.adafactor.graph.ErrorLine;
import java.io.IOException;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.EnumSet;
import java.util.Optional;
import java.util.UUID;
import java.util.stream.Stream;
import org.tensorflow.Graph;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.FingerprintDef;
import org.tensorflow.types.TString;
import org.tensorflow.types.TUint8;

/** Writes a SavedModel's folder anew, with the variables' values of a session. */
final class SavedModelExport {
  private static final String FINGERPRINT = "fingerprint.pb";

  private final Path source;
  private final FolderContent content;
  private final ModelSession session;

  /**
   * An export.
   *
   * @param source the folder that the model was loaded from
   * @param content what was in it then
   * @param session where the variables are
   */
  SavedModelExport(Path source, FolderContent content, ModelSession session) {
    this.source = source;
    this.content = content;
    this.session = session;
  }

  /** Writes everything beside the target, and moves it there when it is complete. */
  void writeTo(Path target, ExistingFolder existing) throws IOException {
    requireWritable(target, existing);
    OutputPath output = output(target);
    Path real = output.real();
    Path draft = real.resolveSibling("." + real.getFileName() + "." + UUID.randomUUID());
    try {
      Files.createDirectories(real.getParent());
      copyAllButVariables(draft);
      content.requireIn(draft);
      saveVariables(draft);
      updateFingerprint(draft);
      moveInto(draft, real);
    } catch (IOException e) {
      throw output.failure(e);
    } finally {
      deleteTree(draft);
    }
  }

  private static OutputPath output(Path target) {
    return new OutputPath("Cannot export to", target, OutputPath.Kind.WHOLE_FOLDER);
  }

  /** Checks that the target may be written. */
  void requireWritable(Path target, ExistingFolder existing) throws IOException {
    OutputPath output = output(target);
    output.requireApartFrom(source, "the input model");
    output.requireWritable();
    requireFree(output, existing);
    try {
      fingerprint(source);
    } catch (IOException e) {
      throw output.failure(e);
    }
  }

  private static void requireFree(OutputPath output, ExistingFolder existing) throws IOException {
    Path target = output.real();
    if (!Files.exists(target) || isEmpty(target)) {
      return;
    }
    if (existing == ExistingFolder.REFUSE) {
      throw output.refusal(
          "the folder exists and is not empty; name another one, or allow it to be overwritten"
              + " (--overwrite)");
    }
    if (!Files.exists(target.resolve("saved_model.pb"))) {
      throw output.refusal("the folder is no SavedModel, and will not be replaced");
    }
  }

  private static boolean isEmpty(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.findAny().isEmpty();
    }
  }

  /** The old values stay behind: they may be in another number of files than the new ones. */
  private void copyAllButVariables(Path draft) throws IOException {
    Files.walkFileTree(
        source,
        EnumSet.of(FileVisitOption.FOLLOW_LINKS),
        Integer.MAX_VALUE,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes)
              throws IOException {
            Files.createDirectories(draft.resolve(source.relativize(folder)));
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Path name = source.relativize(file);
            if (!SavedModelFolder.isVariables(name)) {
              Files.copy(file, draft.resolve(name));
            }
            return FileVisitResult.CONTINUE;
          }
        });
  }

  private void saveVariables(Path draft) throws IOException {
    Path prefix = draft.resolve(SavedModelFolder.VARIABLES);
    Files.createDirectories(prefix.getParent());
    session.save(prefix);
  }

  /**
   * The fingerprint names hashes of the model's parts. Of these only the variables' index changes.
   */
  private static void updateFingerprint(Path draft) throws IOException {
    Path file = draft.resolve(FINGERPRINT);
    Path index = draft.resolve(SavedModelFolder.VARIABLES).resolveSibling("variables.index");
    Optional<FingerprintDef> fingerprint = fingerprint(draft);
    if (fingerprint.isPresent() && Files.exists(index)) {
      long hash = fingerprint64(Files.readAllBytes(index));
      // The copy of a read-only file is read-only.
      Files.delete(file);
      Files.write(
          file, fingerprint.get().toBuilder().setCheckpointHash(hash).build().toByteArray());
    }
  }

  private static Optional<FingerprintDef> fingerprint(Path model) throws IOException {
    Path file = model.resolve(FINGERPRINT);
    if (!Files.exists(file)) {
      return Optional.empty();
    }
    try {
      return Optional.of(FingerprintDef.parseFrom(Files.readAllBytes(file)));
    } catch (InvalidProtocolBufferException e) {
      throw new IOException("the model's " + FINGERPRINT + " is damaged: " + ErrorLine.of(e), e);
    }
  }

  /** TensorFlow's own hash, which is that of its {@code Fingerprint} operation. */
  static long fingerprint64(byte[] bytes) {
    try (Graph graph = new Graph();
        Session hashing = new Session(graph);
        TUint8 row =
            TUint8.tensorOf(Shape.of(1, bytes.length), DataBuffers.of(bytes, true, false));
        TString method = TString.scalarOf("farmhash64")) {
      Ops tf = Ops.create(graph);
      Placeholder<TUint8> data = tf.placeholder(TUint8.class);
      var hash = tf.fingerprint(data, tf.constant(method));
      try (TUint8 result = (TUint8) hashing.runner().feed(data, row).fetch(hash).run().get(0)) {
        long value = 0;
        for (int i = 7; i >= 0; i--) {
          value = value << 8 | Byte.toUnsignedLong(result.getByte(0, i));
        }
        return value;
      }
    }
  }

  private static void moveInto(Path draft, Path target) throws IOException {
    if (!Files.exists(target)) {
      Files.move(draft, target, StandardCopyOption.ATOMIC_MOVE);
      return;
    }
    Path old = draft.resolveSibling(draft.getFileName() + ".old");
    Files.move(target, old, StandardCopyOption.ATOMIC_MOVE);
    try {
      Files.move(draft, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      Files.move(old, target, StandardCopyOption.ATOMIC_MOVE);
      throw e;
    }
    deleteTree(old);
  }

  private static void deleteTree(Path root) throws IOException {
    if (!Files.exists(root)) {
      return;
    }
    Files.walkFileTree(
        root,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            Files.delete(file);
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path folder, IOException e) throws IOException {
            if (e != null) {
              throw e;
            }
            Files.delete(folder);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
