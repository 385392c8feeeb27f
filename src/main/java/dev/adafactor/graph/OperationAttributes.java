package dev.adafactor.graph;

import java.util.Optional;
import org.bytedeco.javacpp.PointerScope;
import org.tensorflow.GraphOperation;
import org.tensorflow.internal.c_api.TF_Status;
import org.tensorflow.internal.c_api.global.tensorflow;
import org.tensorflow.proto.AttrValue;

/** Attributes that an operation need not have: TensorFlow Java reads only those that it has. */
final class OperationAttributes {

  private OperationAttributes() {}

  static Optional<AttrValue> find(GraphOperation op, String name) {
    try (PointerScope scope = new PointerScope()) {
      TF_Status status = TF_Status.newStatus();
      tensorflow.TF_OperationGetAttrMetadata(op.getUnsafeNativeHandle(), name, status);
      return tensorflow.TF_GetCode(status) == tensorflow.TF_OK
          ? Optional.of(op.attributes().getAttrValueProto(name))
          : Optional.empty();
    }
  }

  /** Of an attribute that is a text. */
  static Optional<String> text(GraphOperation op, String name) {
    return find(op, name).filter(AttrValue::hasS).map(value -> value.getS().toStringUtf8());
  }
}
