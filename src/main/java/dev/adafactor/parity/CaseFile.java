package dev.adafactor.parity;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.adafactor.files.PythonJson;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;

/**
 * Reads case files: JSON, or JSON compressed by gzip. Everything is checked before anything is
 * returned, so that a file is either sound as a whole or refused.
 */
public final class CaseFile {
  private static final int GZIP_MAGIC = 0x1f8b;

  /** TensorFlow aborts the process on more. */
  private static final int MAX_RANK = 254;

  /** What tf_keras computed in a step. */
  private static final List<String> RECORDED = List.of("var", "v", "r", "c", "ema", "it", "lr");

  private static final JsonMapper JSON =
      JsonMapper.builder(
              JsonFactory.builder()
                  .streamReadConstraints(
                      StreamReadConstraints.builder().maxStringLength(Integer.MAX_VALUE).build())
                  .build())
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          // As Python writes them.
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          .build();

  private final Path path;
  private final Set<String> ids = new HashSet<>();

  private CaseFile(Path path) {
    this.path = path;
  }

  /**
   * Reads a file.
   *
   * @throws IOException if the file cannot be opened
   * @throws IllegalArgumentException if the file is damaged: the message names the file, the case,
   *     the step and the field
   */
  public static Recording read(Path path) throws IOException {
    try (InputStream file = new BufferedInputStream(Files.newInputStream(path))) {
      return new CaseFile(path).recording(file);
    }
  }

  private Recording recording(InputStream file) {
    try (JsonParser json = JSON.createParser(decompressed(file))) {
      Map<String, String> versions = Map.of();
      Optional<List<Case>> cases = Optional.empty();
      if (json.nextToken() != JsonToken.START_OBJECT) {
        throw damaged("holds no JSON object");
      }
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        String name = json.currentName();
        json.nextToken();
        if (name.equals("cases")) {
          cases = Optional.of(caseArray(json));
        } else if (name.equals("meta")) {
          versions = texts(JSON.readTree(json));
        } else {
          json.skipChildren();
        }
      }
      if (json.nextToken() != null) {
        throw damaged("goes on after the end of its JSON object");
      }
      return new Recording(
          versions,
          cases
              .filter(list -> !list.isEmpty())
              .orElseThrow(() -> damaged("has no \"cases\", or none in it")));
    } catch (JsonProcessingException e) {
      throw damaged(
          String.format(
              "is no sound JSON: %s (line %d, column %d)",
              PythonJson.reason(e),
              e.getLocation() == null ? 0 : e.getLocation().getLineNr(),
              e.getLocation() == null ? 0 : e.getLocation().getColumnNr()));
    } catch (IOException e) {
      throw damaged("cannot be read: " + e.getMessage());
    }
  }

  private static Map<String, String> texts(JsonNode meta) {
    Map<String, String> texts = new LinkedHashMap<>();
    meta.properties().stream()
        .filter(entry -> entry.getValue().isTextual())
        .forEach(entry -> texts.put(entry.getKey(), entry.getValue().textValue()));
    return texts;
  }

  private static InputStream decompressed(InputStream file) throws IOException {
    file.mark(2);
    int magic = file.read() << 8 | file.read();
    file.reset();
    return magic == GZIP_MAGIC ? new GZIPInputStream(file) : file;
  }

  private List<Case> caseArray(JsonParser json) throws IOException {
    if (json.currentToken() != JsonToken.START_ARRAY) {
      throw damaged("\"cases\" is no array");
    }
    List<Case> cases = new ArrayList<>();
    while (json.nextToken() != JsonToken.END_ARRAY) {
      JsonNode node = JSON.readTree(json);
      if (node == null) {
        throw damaged("ends within its cases");
      }
      cases.add(readCase(Field.root(path + ": cases[" + cases.size() + "]", node)));
    }
    return cases;
  }

  private IllegalArgumentException damaged(String problem) {
    return new IllegalArgumentException(path + ": " + problem);
  }

  private Case readCase(Field anonymous) {
    String id = anonymous.get("id").text();
    Field field = anonymous.named(path + ": case '" + id + "'");
    if (!ids.add(id)) {
      throw field.bad("an earlier case has the same id");
    }
    Field settings = field.get("kwargs");
    checkSettings(settings);
    List<CaseVariable> variables = field.get("vars").list(CaseFile::variable);
    List<Field> steps = field.get("steps").list(step -> step);
    if (steps.isEmpty()) {
      throw field.get("steps").bad("is empty; a case takes at least one step");
    }
    Case unrecorded =
        new Case(
            id,
            field.find("tags").map(tags -> tags.list(Field::text)).orElse(List.of()),
            settings.object(),
            exclusion(field, variables.size()),
            variables,
            field
                .find("initial_iterations")
                .map(iterations -> iterations.integer(0, Long.MAX_VALUE - steps.size()))
                .orElse(0L),
            steps(field, steps, variables),
            Optional.empty());
    return isRecorded(field, steps) ? withRecording(unrecorded, field, steps) : unrecorded;
  }

  /** Only the kinds: whether the values make sense is the optimizer's to say. */
  private static void checkSettings(Field settings) {
    for (Field setting : settings.members()) {
      boolean scalar =
          setting.isNull() || setting.isNumber() || setting.isBoolean() || setting.isText();
      if (!scalar) {
        setting.get("class_name").text();
        setting.get("config").object();
      }
    }
  }

  private static CaseVariable variable(Field field) {
    String dtype = field.get("dtype").text();
    ElementType type =
        ElementType.of(dtype)
            .orElseThrow(
                () ->
                    field
                        .get("dtype")
                        .bad(
                            "unknown dtype '"
                                + dtype
                                + "'; known are "
                                + Stream.of(ElementType.values())
                                    .map(ElementType::label)
                                    .collect(Collectors.joining(", "))));
    Field shapeField = field.get("shape");
    List<Long> shape = shapeField.list(dimension -> dimension.integer(0, Integer.MAX_VALUE));
    if (shape.size() > MAX_RANK) {
      throw shapeField.bad("has rank " + shape.size() + ", more than " + MAX_RANK);
    }
    double bytes = type.bytes();
    for (long dimension : shape) {
      bytes *= Math.max(1, dimension);
    }
    if (bytes > Integer.MAX_VALUE) {
      throw shapeField.bad(shape + " of " + type.label() + " is larger than 2 GiB");
    }
    return new CaseVariable(
        field.get("name").text(), shape, type, field.get("init").values(type, shape));
  }

  private static Exclusion exclusion(Field field, int variables) {
    Optional<Field> exclude = field.find("exclude");
    if (exclude.isEmpty()) {
      return new Exclusion.None();
    }
    Optional<Field> names = exclude.get().find("names");
    Optional<Field> indices = exclude.get().find("vars");
    if (names.isPresent() == indices.isPresent()) {
      throw exclude.get().bad("needs either \"names\" or \"vars\"");
    }
    return names.isPresent()
        ? new Exclusion.ByName(names.get().list(Field::text))
        : new Exclusion.ByVariable(
            indices.get().list(index -> Math.toIntExact(index.integer(0, variables - 1))));
  }

  private static List<Step> steps(Field field, List<Field> fields, List<CaseVariable> variables) {
    List<OptionalDouble> rates = new ArrayList<>();
    fields.forEach(step -> rates.add(OptionalDouble.empty()));
    field
        .find("events")
        .ifPresent(
            events -> {
              for (Field event : events.list(e -> e)) {
                long step = event.get("before_step").integer(0, fields.size() - 1);
                rates.set((int) step, OptionalDouble.of(event.get("set_learning_rate").number()));
              }
            });
    List<Step> steps = new ArrayList<>();
    for (Field step : fields) {
      List<Field> gradientFields = step.get("g").perVariable(variables.size());
      List<Gradient> gradients = new ArrayList<>();
      for (int i = 0; i < variables.size(); i++) {
        gradients.add(gradient(gradientFields.get(i), variables.get(i)));
      }
      steps.add(new Step(rates.get(steps.size()), gradients));
    }
    return steps;
  }

  private static Gradient gradient(Field field, CaseVariable variable) {
    if (field.isNull()) {
      return new Gradient.None();
    }
    if (field.isText()) {
      return new Gradient.Dense(field.values(variable.type(), variable.shape()));
    }
    List<Field> indexFields = field.get("idx").list(index -> index);
    if (variable.shape().isEmpty()) {
      throw field.bad("is sparse, but the variable is a scalar");
    }
    long rows = variable.shape().get(0);
    List<Integer> indices =
        indexFields.stream().map(index -> (int) index.integer(0, rows - 1)).toList();
    return new Gradient.Sparse(
        indices, field.get("val").values(variable.type(), variable.sliceShape(indices.size())));
  }

  /** A case records all that tf_keras computed or, as a mere input, nothing of it. */
  private static boolean isRecorded(Field field, List<Field> steps) {
    return field.has("final")
        || steps.stream().anyMatch(step -> RECORDED.stream().anyMatch(step::has));
  }

  private static Case withRecording(Case inputs, Field field, List<Field> steps) {
    List<CaseVariable> variables = inputs.variables();
    List<State> states = new ArrayList<>();
    for (Field step : steps) {
      states.add(state(inputs, step));
    }
    List<Field> finals = field.get("final").perVariable(variables.size());
    List<Values> finalValues = new ArrayList<>();
    for (int i = 0; i < variables.size(); i++) {
      finalValues.add(finals.get(i).values(variables.get(i).type(), variables.get(i).shape()));
    }
    return new Case(
        inputs.id(),
        inputs.tags(),
        inputs.settings(),
        inputs.exclusion(),
        variables,
        inputs.initialIterations(),
        inputs.steps(),
        Optional.of(new Trajectory(states, finalValues)));
  }

  private static State state(Case inputs, Field step) {
    List<CaseVariable> variables = inputs.variables();
    List<Field> value = step.get("var").perVariable(variables.size());
    List<Field> v = step.get("v").perVariable(variables.size());
    List<Field> r = step.get("r").perVariable(variables.size());
    List<Field> c = step.get("c").perVariable(variables.size());
    Optional<List<Field>> ema =
        inputs.usesEma()
            ? Optional.of(step.get("ema").perVariable(variables.size()))
            : Optional.empty();
    List<VariableState> states = new ArrayList<>();
    for (int i = 0; i < variables.size(); i++) {
      int place = i;
      CaseVariable variable = variables.get(i);
      ElementType type = variable.type();
      Optional<Values> rows = Optional.empty();
      Optional<Values> columns = Optional.empty();
      if (variable.isFactored()) {
        rows = Optional.of(r.get(i).values(type, variable.rowShape()));
        columns = Optional.of(c.get(i).values(type, variable.columnShape()));
      } else {
        requireNull(r.get(i));
        requireNull(c.get(i));
      }
      states.add(
          new VariableState(
              value.get(i).values(type, variable.shape()),
              v.get(i).values(type, variable.shape()),
              rows,
              columns,
              ema.map(averages -> averages.get(place).values(type, variable.shape()))));
    }
    return new State(
        states,
        step.get("it").integer(0, Long.MAX_VALUE),
        Values.of((float) step.get("lr").number()));
  }

  private static void requireNull(Field field) {
    if (!field.isNull()) {
      throw field.bad("has to be null, for a variable of rank < 2");
    }
  }
}
