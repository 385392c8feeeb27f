"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const STANDINGS = {
    failed: { mark: "!", name: "could not run", short: "could not run" },
    apart: { mark: "≠", name: "further apart than allowed", short: "too far apart" },
    not_comparable: { mark: "∞", name: "not comparable: tf_keras is not finite", short: "not comparable" },
    not_finite: { mark: "∞", name: "within rounding as far as tf_keras is finite", short: "not finite in tf_keras", hollow: true },
    within_rounding: { mark: "≈", name: "within rounding", short: "within rounding", hollow: true },
    bit_equal: { mark: "✓", name: "bit-equal", short: "bit-equal" },
    unrecorded: { mark: "–", name: "nothing to compare with", short: "not recorded", hollow: true },
  };
  const SEVERITY = Object.keys(STANDINGS);
  const QUANTITIES = {
    loss: "loss before each step",
    var: "variables",
    v: "second moments",
    r: "their row averages",
    c: "their column averages",
    ema: "moving averages",
    final: "variables in the end",
    lr: "learning rate",
    it: "step counter",
  };
  const FACTS = { tf: "TensorFlow", numpy: "NumPy", adafactor: "Adafactor", java: "Java" };
  const ROLES = { worst: "furthest off", first: "first to differ", largest: "largest" };
  const UNITS = {
    relative: "relative to scale",
    scale_ulps: "ulp of scale for each step",
    ulps: "ulp",
  };

  // ---- Numbers and elements of the page. What comes from files is only ever set as text.

  const whole = (n) => n.toLocaleString("en-US");
  const plural = (n, noun) => `${whole(n)} ${noun}${n === 1 ? "" : "s"}`;
  const power = (text) => text.replace(/e([+-])(\d+)/, (_, sign, digits) => `e${sign === "-" ? "−" : ""}${digits}`);
  const minus = (text) => text.replace(/^-/, "−");
  /** A few digits, for tables and axes. */
  const short = (n, digits = 3) => {
    if (Number.isNaN(n)) return "NaN";
    if (!Number.isFinite(n)) return n > 0 ? "∞" : "−∞";
    if (n === 0) return "0";
    const size = Math.abs(n);
    const plain = size >= 1e-3 && size < 1e5;
    return minus(plain ? String(Number(n.toPrecision(digits))) : power(n.toExponential(digits - 1)));
  };
  const ulps = (n) => (Number.isFinite(n) ? (n < 1e9 ? whole(n) : short(n)) : "∞");
  /** All digits, for single numbers. */
  const exact = (n) => (Number.isFinite(n) ? minus(power(String(n))) : short(n));

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  function shape(tag, attributes = {}, text) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  const mark = (standing) =>
    element("span", { class: `mark ${standing}${STANDINGS[standing].hollow ? " hollow" : ""}`, "aria-hidden": "true" }, STANDINGS[standing].mark);

  const number = (text, zero) => element("td", { class: zero ? "number zero" : "number" }, text);

  // ---- What the runs say together.

  const numbers = (list) => list.map(Number);
  for (const run of data.runs) {
    const tallies = Object.values(run.tallies);
    run.ulps = Math.max(0, ...tallies.map((tally) => (tally.ulps = Number(tally.ulps))));
    run.relative = Math.max(0, ...tallies.map((tally) => (tally.relative = Number(tally.relative))));
    tallies.forEach((tally) => (tally.scale_ulps = Number(tally.scale_ulps)));
    run.severity = SEVERITY.indexOf(run.standing);
    run.text = [run.id, run.tags.join(" "), JSON.stringify(run.settings), run.variables.map((v) => `${v.name} ${v.dtype}`).join(" ")]
      .join(" ")
      .toLowerCase();
  }
  const count = (standing) => data.runs.filter((run) => run.standing === standing).length;
  const bad = count("failed") + count("apart") + count("not_comparable");
  const compared = data.runs.length - count("unrecorded") - count("failed");

  function verdict() {
    const all = data.runs.length;
    const of = (n) => (all === 1 ? `The ${data.noun}` : n === all ? `All ${plural(n, data.noun)}` : `${whole(n)} of ${plural(all, data.noun)}`);
    const is = (n) => (all === 1 || n === 1 ? "is" : "are");
    if (bad && bad === count("not_comparable")) {
      return ["not_comparable", `${of(bad)} ${is(bad)} not comparable: tf_keras's own numbers are not finite`];
    }
    if (bad) {
      const wrong = count("apart") ? (count("failed") ? "not as they should be" : "further apart than allowed") : "not able to run";
      return ["apart", `${of(bad)} ${is(bad)} ${all === 1 ? wrong.replace("they", "it") : wrong}`];
    }
    const equal = count("bit_equal");
    if (!compared) return ["unrecorded", "Nothing is recorded to compare with"];
    if (equal === compared) return ["bit_equal", `${of(equal)} ${is(equal)} bit-equal to tf_keras`];
    const lost = count("not_finite");
    return [
      lost === compared ? "not_finite" : "within_rounding",
      `${of(compared)} ${is(compared)} within rounding of tf_keras` +
        (lost ? " as far as that is finite" : "") +
        (equal ? `, ${whole(equal)} of them bit-equal` : ""),
    ];
  }

  function header() {
    const [standing, sentence] = verdict();
    document.getElementById("verdict").append(mark(standing), sentence);
    document.title = sentence;
    const steps = data.runs.reduce((sum, run) => sum + run.steps, 0);
    const elements = data.runs.reduce((sum, run) => sum + Object.values(run.tallies).reduce((n, tally) => n + tally.elements, 0), 0);
    const lost = count("not_finite");
    document.getElementById("lede").textContent =
      `Required: ${data.requirement.text}. ` +
      `Compared: ${plural(elements, "element")} in ${plural(steps, "step")}.` +
      (lost ? ` In ${plural(lost, data.noun)} tf_keras has NaN or infinities; where it has, nothing is required.` : "");
    document.getElementById("facts").append(
      ...data.facts.map((facts) =>
        element(
          "div",
          {},
          element("h3", {}, facts.title),
          element("dl", {}, ...Object.entries(facts.entries).flatMap(([name, value]) => [element("dt", {}, FACTS[name] ?? name), element("dd", {}, value)])),
        ),
      ),
    );
  }

  function quantities() {
    const found = data.runs.flatMap((run) => Object.keys(run.tallies));
    const rows = [...new Set([...Object.keys(QUANTITIES), ...found])].flatMap((quantity) => {
      const runs = data.runs.filter((run) => run.tallies[quantity]);
      if (!runs.length) return [];
      const of = (name) => runs.map((run) => run.tallies[quantity][name]);
      const sum = (name) => of(name).reduce((a, b) => a + b, 0);
      const most = (name) => of(name).reduce((a, b) => Math.max(a, b), 0);
      const key = (run) => run.tallies[quantity].scale_ulps;
      const furthest = runs.reduce((a, b) => (key(b) > key(a) ? b : a));
      const apart = sum("different") > 0;
      return element(
        "tr",
        {},
        element("th", { scope: "row" }, element("code", {}, quantity), " ", element("span", { class: "muted" }, QUANTITIES[quantity] ?? "")),
        element("td", { class: "number wide" }, whole(sum("elements"))),
        number(whole(sum("different")), !apart),
        element("td", { class: sum("not_finite") ? "number wide" : "number wide zero" }, whole(sum("not_finite"))),
        number(ulps(most("ulps")), !most("ulps")),
        number(short(most("relative")), !most("relative")),
        number(short(most("scale_ulps")), !most("scale_ulps")),
        element(
          "td",
          {},
          key(furthest) > 0
            ? element("button", { type: "button", class: "link", title: furthest.id, onclick: () => show(furthest, { quantity, reveal: true }) }, furthest.id)
            : "",
        ),
      );
    });
    document.querySelector("#quantities tbody").append(...rows);
  }

  // ---- The list of runs.

  const only = new Set();
  let order = { by: "standing", down: false };
  let chosen = null;

  const COMPARE = {
    standing: (a, b) => a.severity - b.severity || b.relative - a.relative,
    id: (a, b) => a.id.localeCompare(b.id, "en", { numeric: true }),
    ulps: (a, b) => (a.ulps === b.ulps ? 0 : a.ulps - b.ulps),
    relative: (a, b) => (a.relative === b.relative ? 0 : a.relative - b.relative),
  };

  function makeRow(run) {
    const finite = run.standing !== "failed" && run.standing !== "unrecorded";
    run.button = element("button", { type: "button", class: "link", title: run.id }, run.id);
    run.row = element(
      "tr",
      { onclick: () => show(run, {}) },
      element("td", { title: STANDINGS[run.standing].name }, mark(run.standing), element("span", { class: "hidden" }, ` ${STANDINGS[run.standing].name}`)),
      element("td", {}, run.button),
      element("td", { class: run.ulps ? "number wide" : "number wide zero" }, finite ? ulps(run.ulps) : ""),
      element("td", { class: run.relative ? "number" : "number zero" }, finite ? short(run.relative) : ""),
    );
  }

  function list() {
    const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const runs = data.runs.filter((run) => (!only.size || only.has(run.standing)) && words.every((word) => run.text.includes(word)));
    runs.sort((a, b) => COMPARE[order.by](a, b) * (order.down ? -1 : 1));
    document.querySelector("#run-table tbody").replaceChildren(...runs.map((run) => run.row));
    document.getElementById("shown").textContent =
      runs.length === data.runs.length ? "" : `${whole(runs.length)} of ${whole(data.runs.length)}`;
    for (const th of document.querySelectorAll("#run-table th")) {
      if (th.dataset.sort === order.by) th.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    }
  }

  function listControls() {
    document.getElementById("list-title").textContent = plural(data.runs.length, data.noun);
    const chips = SEVERITY.filter(count).map((standing) =>
      element(
        "button",
        {
          type: "button",
          class: "chip",
          "aria-pressed": "false",
          onclick: (event) => {
            const pressed = !only.delete(standing);
            if (pressed) only.add(standing);
            event.currentTarget.setAttribute("aria-pressed", pressed);
            list();
          },
        },
        mark(standing),
        ` ${whole(count(standing))} ${STANDINGS[standing].short}`,
      ),
    );
    document.getElementById("standings").append(...chips);
    document.getElementById("filter").addEventListener("input", list);
    for (const th of document.querySelectorAll("#run-table th")) {
      const by = th.dataset.sort;
      th.firstElementChild.addEventListener("click", () => {
        const numeric = by !== "standing" && by !== "id";
        order = { by, down: order.by === by ? !order.down : numeric };
        list();
      });
    }
    document.querySelector("#run-table tbody").addEventListener("keydown", (event) => {
      const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
      const row = next && event.target.closest("tr")[next];
      if (row) {
        event.preventDefault();
        const button = row.querySelector("button");
        button.focus();
        button.click();
      }
    });
  }

  // ---- One run.

  /** The index of an element along each axis, from its index in C order. */
  function place(index, dimensions) {
    if (!dimensions.length) return "";
    const axes = [];
    for (const size of [...dimensions].reverse()) {
      axes.unshift(index % size);
      index = Math.floor(index / size);
    }
    return `[${axes.join(", ")}]`;
  }

  function dimensions(quantity, variable) {
    const all = variable.shape;
    if (quantity === "r") return all.slice(0, -1);
    if (quantity === "c") return [...all.slice(0, -2), all[all.length - 1]];
    return all;
  }

  function setting(value) {
    if (value === null) return "none";
    if (typeof value !== "object") return String(value);
    const inner = Object.entries(value.config || {}).map(([name, v]) => `${name}=${typeof v === "object" ? JSON.stringify(v) : v}`);
    return `${value.class_name}(${inner.join(", ")})`;
  }

  function pairs(title, entries) {
    return element(
      "div",
      {},
      element("h3", {}, title),
      element("dl", { class: "arguments" }, ...entries.flatMap(([name, value]) => [element("dt", { class: "code" }, name), element("dd", { class: "code" }, value)])),
    );
  }

  function parting(run, difference, what) {
    const variable = run.variables.find((v) => v.name === difference.variable);
    const where = difference.variable !== "" ? ` of ${difference.variable}${variable ? place(difference.element, dimensions(difference.quantity, variable)) : ""}` : "";
    const distance = Number.isFinite(Number(difference.ulps)) && difference.ulps > 0 ? ` (${ulps(difference.ulps)} ulp)` : "";
    return element(
      "p",
      {},
      `${what}: step ${whole(difference.step + 1)}, `,
      element("code", {}, `${difference.quantity}${where}`),
      ". tf_keras has ",
      element("code", {}, exact(Number(difference.recorded))),
      ", Java ",
      element("code", {}, exact(Number(difference.computed))),
      `${distance}.`,
    );
  }

  function courseName(run, course) {
    return course.variable === null ? "" : run.variables[course.variable].name;
  }

  function show(run, { quantity, reveal }) {
    chosen?.row?.classList.remove("chosen");
    chosen?.button?.removeAttribute("aria-current");
    chosen = run;
    run.row.classList.add("chosen");
    run.button.setAttribute("aria-current", "true");
    history.replaceState(null, "", `#${encodeURIComponent(run.id)}`);
    const article = document.getElementById("run");
    const standing = STANDINGS[run.standing];
    const partings = element("div", { class: `parting ${run.standing}` });
    if (run.error) partings.append(element("p", {}, run.error));
    if (run.first_failure) partings.append(parting(run, run.first_failure, "First beyond what is allowed"));
    if (run.first && JSON.stringify(run.first) !== JSON.stringify(run.first_failure)) {
      partings.append(parting(run, run.first, run.first_failure ? "First of all" : "They part first here"));
    }
    const variables = run.variables.map((v) => [v.name, `${v.shape.length ? v.shape.join(" × ") : "scalar"} ${v.dtype}`]);
    const notes = [...run.notes, ...(run.tags.length ? [`tags: ${run.tags.join(", ")}`] : [])];
    article.replaceChildren(
      element(
        "header",
        {},
        element("p", { class: "eyebrow" }, `${data.noun}, ${plural(run.steps, "step")}`),
        element("h2", {}, run.id),
        element("p", { class: `status ${run.standing}` }, mark(run.standing), ` ${standing.name}`),
      ),
    );
    if (partings.childElementCount) article.append(partings);
    const settings = Object.entries(run.settings).map(([name, value]) => [name, setting(value)]);
    article.append(
      element(
        "div",
        { class: "pairs" },
        settings.length ? pairs("Arguments", settings) : element("div", {}, element("h3", {}, "Arguments"), "tf_keras's defaults"),
        element("div", {}, pairs("Variables", variables), ...notes.map((note) => element("p", { class: "muted" }, note))),
      ),
    );
    if (run.courses.length) plots(run, article, quantity);
    if (reveal || article.getBoundingClientRect().top > innerHeight * 0.8) article.scrollIntoView({ block: "start" });
  }

  // ---- The plots of a run.

  const chosenUnit = { unit: "relative" };

  function select(label, options, value, change) {
    const box = element("select", { onchange: (event) => change(event.target.value) });
    for (const [key, text] of options) box.append(element("option", { value: key, selected: String(key) === String(value) }, text));
    return element("label", {}, label, box);
  }

  /** The quantity that parts first, or the variables. */
  function firstCourse(run, quantity) {
    const of = (name, variable) => run.courses.find((course) => course.quantity === name && (variable === undefined || courseName(run, course) === variable));
    if (quantity && of(quantity)) {
      const worst = (course) => Math.max(0, ...numbers(course.relative ?? []));
      return run.courses.filter((course) => course.quantity === quantity).reduce((a, b) => (worst(b) > worst(a) ? b : a));
    }
    const first = run.first_failure ?? run.first;
    return (first && of(first.quantity, first.variable)) || of("var") || run.courses[0];
  }

  function plots(run, article, quantity) {
    let course = firstCourse(run, quantity);
    let series = "rms";
    let at = null;
    const choice = element("div", { class: "choice", role: "group", "aria-label": "Quantity" });
    const controls = element("div", { class: "controls" });
    const figures = element("div", { class: "plots" });
    const readout = element("p", { class: "readout", "aria-live": "polite" });
    const table = element("div", { class: "scroll", tabindex: "0" });
    const details = element("details", { ontoggle: () => fill() }, element("summary", {}, "The numbers"), table);
    article.append(element("h3", {}, "Over the steps"), choice, controls, readout, figures, details);

    const curve = () => {
      const found = series === "rms" || series === "largest" ? course[series] : course.elements.find((e) => `${e.index}` === series);
      const recorded = numbers(found.recorded);
      return { recorded, computed: found.computed ? numbers(found.computed) : recorded };
    };
    const zeros = () => run.points.map(() => 0);
    const differences = (name) => (course[name] ? numbers(course[name]) : zeros());
    const single = () => series !== "rms" && series !== "largest";
    const incomparable = () => differences("incomparable").map(Boolean);
    const apart = () => {
      const none = incomparable();
      const { recorded, computed } = curve();
      const values = single() ? recorded.map((value, i) => Math.abs(value - computed[i])) : differences(chosenUnit.unit);
      return values.map((value, i) => (none[i] || (single() && Number.isNaN(recorded[i])) ? NaN : Number.isNaN(value) ? Infinity : value));
    };

    function tell() {
      const i = at ?? run.points.length - 1;
      const { recorded, computed } = curve();
      const part = (name, value) => element("span", {}, `${name} `, element("b", {}, value));
      const parts = [part("step", whole(run.points[i])), part("tf_keras", exact(recorded[i])), part("Java", exact(computed[i]))];
      if (incomparable()[i]) parts.push(element("span", {}, "tf_keras has no finite number"));
      else {
        parts.push(part("worst of all elements", `${ulps(differences("ulps")[i])} ulp, ${short(differences("relative")[i])} of scale`));
        parts.push(part("other bits", whole(differences("different")[i])));
      }
      readout.replaceChildren(...parts);
    }

    function fill() {
      if (!details.open) return;
      const { recorded, computed } = curve();
      const columns = ["step", "tf_keras", "Java", "ulp", "relative to scale", "other bits"];
      const head = element("tr", {}, ...columns.map((name) => element("th", { scope: "col", class: "number" }, name)));
      const rows = run.points.map((step, i) =>
        element(
          "tr",
          {},
          ...[whole(step), exact(recorded[i]), exact(computed[i]), ulps(differences("ulps")[i]), short(differences("relative")[i]), whole(differences("different")[i])].map(
            (text) => number(text),
          ),
        ),
      );
      table.replaceChildren(element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows)));
    }

    function move(i) {
      at = i;
      for (const plot of figures.children) plot.point(i);
      tell();
    }

    function draw() {
      const width = Math.max(260, figures.clientWidth || article.clientWidth - 40);
      const { recorded, computed } = curve();
      const what = { rms: "root mean square", largest: "largest magnitude" }[series] ?? "element";
      const label = `${course.quantity}${course.variable === null ? "" : ` of ${courseName(run, course)}`}`;
      const spans = incomparable();
      const first = run.points.findIndex((_, i) => differences("different")[i] > 0);
      const shared = { run, width, spans, first, move };
      figures.replaceChildren(
        figure(
          { ...shared, caption: [`Both, ${what} of `, label], lines: [["python", recorded], ["java", computed]] },
          valueScale([...recorded, ...computed]),
        ),
        figure(
          {
            ...shared,
            caption: ["Difference of ", single() ? "this element, absolute" : `the worst element, ${UNITS[chosenUnit.unit]}`],
            lines: [["apart", apart()]],
            allowed: !single() && chosenUnit.unit === "scale_ulps" ? data.requirement.scale_ulps : null,
          },
          apartScale(apart(), !single() && chosenUnit.unit === "scale_ulps" ? data.requirement.scale_ulps : null),
        ),
      );
      if (at !== null) move(at);
      else tell();
      fill();
    }

    function offer() {
      const quantities = [...new Set(run.courses.map((c) => c.quantity))].sort((a, b) => Object.keys(QUANTITIES).indexOf(a) - Object.keys(QUANTITIES).indexOf(b));
      choice.replaceChildren(
        ...quantities.map((name) =>
          element(
            "button",
            {
              type: "button",
              title: QUANTITIES[name],
              "aria-pressed": String(name === course.quantity),
              onclick: () => {
                course = run.courses.find((c) => c.quantity === name && c.variable === course.variable) ?? run.courses.find((c) => c.quantity === name);
                series = "rms";
                offer();
                choice.querySelector('[aria-pressed="true"]').focus();
              },
            },
            element("code", {}, name),
          ),
        ),
      );
      const alike = run.courses.filter((c) => c.quantity === course.quantity);
      const elements = course.elements.map((e) => [
        e.index,
        `${course.shape.length ? `element ${place(e.index, course.shape)}` : "the number"}, ${e.roles.map((role) => ROLES[role]).join(", ")}`,
      ]);
      const redrawn = (change) => (value) => {
        change(value);
        draw();
      };
      controls.replaceChildren(
        ...(course.variable === null
          ? []
          : [
              select(
                "Variable",
                alike.map((c) => [c.variable, courseName(run, c)]),
                course.variable,
                (value) => {
                  course = alike.find((c) => String(c.variable) === value);
                  series = "rms";
                  offer();
                  controls.querySelector("select").focus();
                },
              ),
            ]),
        select("Values of", [["rms", "all elements, root mean square"], ["largest", "all elements, largest magnitude"], ...elements], series, redrawn((value) => (series = value))),
        select("Differences", Object.entries(UNITS), chosenUnit.unit, redrawn((value) => (chosenUnit.unit = value))),
      );
      draw();
    }

    offer();
    plots.observer?.disconnect();
    let width = figures.clientWidth;
    plots.observer = new ResizeObserver(() => {
      if (figures.clientWidth !== width) {
        width = figures.clientWidth;
        draw();
      }
    });
    plots.observer.observe(figures);
  }

  /** Round numbers from the least to the most, few enough to be read. */
  function ticks(least, most, wanted) {
    const step = 10 ** Math.floor(Math.log10((most - least) / wanted));
    const size = [1, 2, 5, 10].map((factor) => factor * step).find((s) => (most - least) / s <= wanted);
    const found = [];
    for (let n = Math.ceil(least / size - 1e-9); n * size <= most + size * 1e-9; n++) found.push(n * size);
    return found;
  }

  function decades(least, most) {
    const every = Math.max(1, Math.ceil((most - least) / 5));
    const found = [];
    for (let n = Math.ceil(least); n <= most; n += every) found.push(n);
    return found;
  }

  /** Values: logarithmic where all are positive and far from one another. */
  function valueScale(values) {
    const finite = values.filter(Number.isFinite);
    if (!finite.length) return { at: () => null, ticks: [], note: "" };
    let least = Math.min(...finite);
    let most = Math.max(...finite);
    if (least > 0 && most / least > 300) {
      const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
      return {
        at: (value) => (Number.isFinite(value) ? (Math.log10(value) - low) / (high - low) : null),
        ticks: decades(low, high).map((n) => [(n - low) / (high - low), power(`1e${n < 0 ? n : `+${n}`}`).replace("e+", "e")]),
        note: "logarithmic",
      };
    }
    const room = most - least || Math.abs(most) * 0.1 || 1;
    least -= room * 0.08;
    most += room * 0.08;
    const marks = ticks(least, most, 5);
    const digits = marks.length > 1 ? Math.max(2, Math.ceil(Math.log10(Math.max(...marks.map(Math.abs)) / (marks[1] - marks[0]))) + 1) : 4;
    return {
      at: (value) => (Number.isFinite(value) ? (value - least) / (most - least) : null),
      ticks: marks.map((n) => [(n - least) / (most - least), short(n, digits)]),
      note: "",
    };
  }

  /** Differences: logarithmic, with a lane for zero below and one for infinity above. */
  function apartScale(values, allowed) {
    const positive = [...values, ...(allowed ? [allowed] : [])].filter((value) => value > 0 && Number.isFinite(value));
    const infinite = values.some((value) => value === Infinity);
    const top = infinite ? 0.88 : 1;
    const scale = { note: "", ticks: [[0, "0"]], at: (value) => (Number.isNaN(value) ? null : value === Infinity ? 1 : 0) };
    if (infinite) scale.ticks.push([1, "∞"]);
    if (!positive.length) return scale;
    const low = Math.floor(Math.log10(Math.min(...positive)));
    const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))));
    const bottom = 0.16;
    const level = (n) => bottom + ((n - low) / (high - low)) * (top - bottom);
    scale.note = "logarithmic";
    scale.ticks.push(...decades(low, high).map((n) => [level(n), n >= 0 && n < 5 ? whole(10 ** n) : `1e${minus(String(n))}`]));
    scale.at = (value) => (Number.isNaN(value) ? null : value === Infinity ? 1 : value === 0 ? 0 : level(Math.log10(value)));
    return scale;
  }

  const LEFT = 64;
  const RIGHT = 12;
  const TOP = 10;
  const BOTTOM = 26;
  const HEIGHT = 200;

  function figure({ run, width, spans, first, move, caption, lines, allowed }, scale) {
    const points = run.points;
    const last = points.length - 1;
    const inner = width - LEFT - RIGHT;
    const tall = HEIGHT - TOP - BOTTOM;
    const [from, to] = [points[0], points[last]];
    const x = (step) => LEFT + (to === from ? inner / 2 : ((step - from) / (to - from)) * inner);
    const y = (share) => TOP + (1 - share) * tall;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": caption.join("") });

    const half = last ? inner / last / 2 : inner / 2;
    spans.forEach((none, i) => {
      if (none) {
        const left = Math.max(LEFT, x(points[i]) - half);
        svg.append(shape("rect", { class: "none", x: left, y: TOP, width: Math.min(width - RIGHT, x(points[i]) + half) - left, height: tall }));
      }
    });
    for (const [share, text] of scale.ticks) {
      svg.append(shape("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }));
      svg.append(shape("text", { x: LEFT - 8, y: y(share) + 4, "text-anchor": "end" }, text));
    }
    const stepTicks = to === from ? [from] : ticks(from, to, Math.max(2, Math.min(10, inner / 60))).filter(Number.isInteger);
    for (const step of stepTicks) {
      svg.append(shape("line", { class: "axis", x1: x(step), x2: x(step), y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM + 4 }));
      svg.append(shape("text", { x: x(step), y: HEIGHT - 6, "text-anchor": "middle" }, whole(step)));
    }
    svg.append(shape("line", { class: "axis", x1: LEFT, x2: width - RIGHT, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }));
    svg.append(shape("text", { x: LEFT - 8, y: HEIGHT - 6, "text-anchor": "end" }, "step"));
    if (first > 0) svg.append(shape("line", { class: "first", x1: x(points[first]), x2: x(points[first]), y1: TOP, y2: HEIGHT - BOTTOM }));
    if (allowed) {
      const level = y(scale.at(allowed));
      svg.append(shape("line", { class: "allowed", x1: LEFT, x2: width - RIGHT, y1: level, y2: level }));
      svg.append(shape("text", { class: "allowed-text", x: width - RIGHT, y: level + 13, "text-anchor": "end" }, `allowed: ${short(allowed)}`));
    }
    for (const [name, values] of lines) {
      const shares = values.map((value) => scale.at(value));
      let path = "";
      shares.forEach((share, i) => {
        if (share !== null) path += `${i === 0 || shares[i - 1] === null ? "M" : "L"}${x(points[i]).toFixed(1)} ${y(share).toFixed(1)}`;
      });
      if (name === "python" && points.length === 1) path += "h0.01";
      svg.append(shape("path", { class: `${name}-line`, d: path }));
      if (name !== "python" && points.length <= 60) {
        shares.forEach((share, i) => {
          if (share === null) return;
          const kind = name === "apart" && values[i] === 0 ? "zero" : name === "apart" && values[i] === Infinity ? "infinite" : name;
          svg.append(shape("circle", { class: `${kind}-dot`, cx: x(points[i]), cy: y(share), r: name === "apart" ? 3.2 : 2.4 }));
        });
      }
    }
    if (spans.some(Boolean)) {
      const start = x(points[spans.indexOf(true)]);
      const right = start > width / 2;
      svg.append(
        shape(
          "text",
          { class: "none-text", x: right ? width - RIGHT - 6 : Math.max(LEFT, start - half) + 6, y: TOP + 14, "text-anchor": right ? "end" : "start" },
          "tf_keras not finite",
        ),
      );
    }
    const cursor = shape("line", { class: "cursor", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    svg.append(cursor);

    const key = lines.length > 1 ? element("span", {}, element("span", { class: "key python" }, "tf_keras"), element("span", { class: "key" }, "Java")) : "";
    const made = element(
      "figure",
      { tabindex: "0", "aria-label": `${caption.join("")}; left and right arrow keys move from step to step` },
      element("figcaption", {}, element("span", {}, caption[0], element("b", {}, caption[1]), scale.note ? `, ${scale.note}` : ""), key),
      svg,
    );
    let now = null;
    made.point = (i) => {
      now = i;
      cursor.setAttribute("visibility", "visible");
      cursor.setAttribute("x1", x(points[i]));
      cursor.setAttribute("x2", x(points[i]));
    };
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      const step = from + ((event.clientX - box.left) * (width / box.width) - LEFT) / (inner / (to - from || 1));
      let nearest = 0;
      points.forEach((point, i) => {
        if (Math.abs(point - step) < Math.abs(points[nearest] - step)) nearest = i;
      });
      move(nearest);
    });
    made.addEventListener("keydown", (event) => {
      const to = { ArrowLeft: (now ?? last + 1) - 1, ArrowRight: (now ?? -1) + 1, Home: 0, End: last }[event.key];
      if (to !== undefined && to >= 0 && to <= last) {
        event.preventDefault();
        move(to);
      }
    });
    return made;
  }

  // ---- The page.

  header();
  quantities();
  data.runs.forEach(makeRow);
  listControls();
  list();
  document.getElementById("runs").classList.toggle("single", data.runs.length === 1);
  const wanted = decodeURIComponent(location.hash.slice(1));
  const first = data.runs.find((run) => run.id === wanted) ?? [...data.runs].sort(COMPARE.standing)[0];
  const { scrollX, scrollY } = window;
  show(first, {});
  scrollTo(scrollX, scrollY);
})();
