/** The Adafactor optimizer of tf_keras for TensorFlow Java's graph mode. */
module dev.adafactor {
  requires transitive tensorflow;
  requires transitive tensorflow.framework;
  requires java.logging;
  requires org.tensorflow.ndarray;
  requires org.bytedeco.javacpp;
  requires com.fasterxml.jackson.databind;
  requires static info.picocli;
  requires static me.tongfei.progressbar;
  requires static java.desktop;
  requires static org.knowm.xchart;
  requires static com.sun.jna;
  requires static org.jline.terminal;

  exports dev.adafactor;
  exports dev.adafactor.checkpoint;
  exports dev.adafactor.finetune;
  exports dev.adafactor.mesh;
  exports dev.adafactor.savedmodel;
  exports dev.adafactor.schedules;

  uses dev.adafactor.schedules.ScheduleProvider;

  opens dev.adafactor.cli to
      info.picocli;
}
