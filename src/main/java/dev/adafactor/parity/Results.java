package dev.adafactor.parity;

import com.fasterxml.jackson.core.JsonEncoding;
import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import java.io.IOException;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

/** Writes what was computed in the structure of a case file. */
public final class Results {
  private static final JsonFactory JSON =
      JsonFactory.builder()
          // As Python reads them.
          .disable(JsonWriteFeature.WRITE_NAN_AS_STRINGS)
          .build();

  private final JsonGenerator json;

  private Results(JsonGenerator json) {
    this.json = json;
  }

  /**
   * Writes the document, and closes the stream.
   *
   * @param meta goes to the top as it is
   * @throws IOException if the stream cannot be written to
   */
  public static void write(OutputStream out, Map<String, String> meta, List<Replayed> cases)
      throws IOException {
    try (JsonGenerator json = JSON.createGenerator(out, JsonEncoding.UTF8)) {
      new Results(json).document(meta, cases);
    }
  }

  private void document(Map<String, String> meta, List<Replayed> cases) throws IOException {
    json.writeStartObject();
    json.writeObjectFieldStart("meta");
    for (Map.Entry<String, String> entry : meta.entrySet()) {
      json.writeStringField(entry.getKey(), entry.getValue());
    }
    json.writeNumberField("n_cases", cases.size());
    json.writeEndObject();
    json.writeArrayFieldStart("cases");
    for (Replayed replayed : cases) {
      json.writeStartObject();
      json.writeStringField("id", replayed.input().id());
      variables(replayed.input().variables());
      outcome(replayed.outcome());
      json.writeEndObject();
    }
    json.writeEndArray();
    json.writeEndObject();
  }

  private void variables(List<CaseVariable> variables) throws IOException {
    json.writeArrayFieldStart("vars");
    for (CaseVariable variable : variables) {
      json.writeStartObject();
      json.writeStringField("name", variable.name());
      json.writeArrayFieldStart("shape");
      for (long dimension : variable.shape()) {
        json.writeNumber(dimension);
      }
      json.writeEndArray();
      json.writeStringField("dtype", variable.type().label());
      json.writeEndObject();
    }
    json.writeEndArray();
  }

  private void outcome(Outcome outcome) throws IOException {
    if (outcome instanceof Outcome.Failed failed) {
      json.writeStringField("error", failed.error());
    } else if (outcome instanceof Outcome.Completed completed) {
      json.writeArrayFieldStart("steps");
      for (State state : completed.trajectory().states()) {
        state(state);
      }
      json.writeEndArray();
      array("final", completed.trajectory().finalValues(), Optional::of);
    }
  }

  private void state(State state) throws IOException {
    List<VariableState> variables = state.variables();
    json.writeStartObject();
    array("var", variables, variable -> Optional.of(variable.value()));
    array("v", variables, variable -> Optional.of(variable.v()));
    array("r", variables, VariableState::r);
    array("c", variables, VariableState::c);
    if (variables.stream().anyMatch(variable -> variable.average().isPresent())) {
      array("ema", variables, VariableState::average);
    }
    json.writeNumberField("it", state.iterations());
    json.writeNumberField("lr", state.learningRate().get(0));
    json.writeEndObject();
  }

  private <T> void array(String name, List<T> elements, Function<T, Optional<Values>> values)
      throws IOException {
    json.writeArrayFieldStart(name);
    for (T element : elements) {
      Optional<Values> present = values.apply(element);
      if (present.isPresent()) {
        json.writeBinary(present.get().toByteArray());
      } else {
        json.writeNull();
      }
    }
    json.writeEndArray();
  }
}
