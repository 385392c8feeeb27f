package dev.adafactor.files;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.proto.DataType;

class DataTypeNamesTest {
  @ParameterizedTest
  @CsvSource({
    "DT_HALF,half,float16",
    "DT_BFLOAT16,bfloat16,bfloat16",
    "DT_FLOAT,float,float32",
    "DT_DOUBLE,double,float64",
    "DT_INT64,int64,int64",
    "DT_STRING,string,string"
  })
  void namesTypesAsTensorFlowAndPythonDo(DataType type, String tensorFlow, String python) {
    assertEquals(tensorFlow, DataTypeNames.ofTensorFlow(type));
    assertEquals(python, DataTypeNames.ofPython(type));
  }
}
