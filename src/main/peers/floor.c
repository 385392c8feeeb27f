/*
 * The update of tf_keras's Adafactor with its default arguments, fused by hand: three passes over each gradient and three over each
 * variable. How fast it can be on a machine's memory, for the command `bench`, which compiles it on the spot:
 *
 *     cc -O3 -march=native -fopenmp floor.c -o floor -lm
 *
 * It speaks the protocol that peers.py describes.
 */

#include <math.h>
#include <omp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_RANK 16
#define MAX_LINE 4096

/* Below it a variable is one thread's work, however few there are. */
#define SMALL (1L << 16)

static const float learning_rate = 1e-3f, epsilon_1 = 1e-30f, epsilon_2 = 1e-3f, clip_threshold = 1.0f;
static const double beta_2_decay = -0.8;

/* A matrix of `rows` by `columns`, `batch` times; one row if it has no more than one dimension. */
typedef struct {
  int rank;
  long batch, rows, columns, elements;
  float *w, *g; /* value; gradient, or the summed rows of a sparse one */
  float *r, *c; /* state; of rank < 2 the second moment in c */
  float *a, *b; /* 1/sqrt of row and column factors */
  float *column_sums; /* of each thread */
  long sparse; /* rows of the gradient as it is given; 0: it is dense */
  float *given;
  int32_t *index, *touched, *slot; /* row of each given row; of each summed row; summed row of each row, or -1 */
  long distinct;
} Variable;

typedef struct {
  int number, count; /* of this thread; of threads that work on the variable together */
} Team;

/* Sums of the variable that is in work. */
typedef struct {
  double w2, u2;
} Sums;

static Variable *variables;
static int variable_count, threads = 1;
static long step_number, all_elements;
static int *order; /* of the variables, the largest first */
static Sums *partial; /* of each thread */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static void *allocate(size_t bytes) {
  void *p = NULL;
  if (posix_memalign(&p, 64, bytes + 64)) fail("out of memory");
  memset(p, 0, bytes + 64);
  return p;
}

/* The numbers that all peers begin with. */
static void fill(float *to, long n, uint32_t first, uint32_t a, uint32_t b) {
  for (long k = 0; k < n; k++) {
    uint32_t i = first + (uint32_t)k;
    to[k] = (float)(int32_t)(i * (i * b + a)) * 0x1p-32f;
  }
}

static void wait_for(Team team) {
  if (team.count > 1) {
#pragma omp barrier
  }
}

static long part(long n, int i, Team team) { return n * i / team.count; }

static double total(Team team, size_t offset) {
  double sum = 0;
  for (int i = 0; i < team.count; i++) sum += *(double *)((char *)&partial[team.count > 1 ? i : omp_get_thread_num()] + offset);
  return sum;
}

static double squares(const float *x, long from, long to) {
  double sum = 0;
  for (long start = from; start < to; start += 4096) {
    long end = start + 4096 < to ? start + 4096 : to;
    float s = 0;
#pragma omp simd reduction(+ : s)
    for (long i = start; i < end; i++) s += x[i] * x[i];
    sum += s;
  }
  return sum;
}

static float decay(void) { return (float)(1 - pow((double)step_number, beta_2_decay)); }

/* What u is to be multiplied with. */
static float scale(double w2, double u2, double n) {
  float rho = fminf(learning_rate, (float)(1 / sqrt((double)step_number)));
  float alpha = fmaxf(epsilon_2, (float)sqrt(w2 / n)) * rho;
  return alpha / fmaxf(1, (float)sqrt(u2 / n) / clip_threshold);
}

static void update_vector(Variable *x, Team team) {
  Sums *mine = &partial[omp_get_thread_num()];
  long from = part(x->elements, team.number, team), to = part(x->elements, team.number + 1, team);
  const float *g = x->g;
  float *v = x->c, *w = x->w, beta = decay(), u2 = 0;
  mine->w2 = squares(w, from, to);
#pragma omp simd reduction(+ : u2)
  for (long i = from; i < to; i++) {
    float g2 = g[i] * g[i];
    v[i] = beta * v[i] + (1 - beta) * (g2 + epsilon_1);
    u2 += g2 / v[i];
  }
  mine->u2 = u2;
  wait_for(team);
  float k = scale(total(team, offsetof(Sums, w2)), total(team, offsetof(Sums, u2)), x->elements);
#pragma omp simd
  for (long i = from; i < to; i++) w[i] -= k * g[i] / sqrtf(v[i]);
  wait_for(team);
}

/* Sums the given rows that are for the same row. */
static void sum_duplicates(Variable *x, Team team) {
  if (team.number == 0) {
    for (long i = 0; i < x->distinct; i++) x->slot[x->touched[i]] = -1;
    x->distinct = 0;
    for (long i = 0; i < x->sparse; i++)
      if (x->slot[x->index[i]] < 0) {
        x->touched[x->distinct] = x->index[i];
        x->slot[x->index[i]] = (int32_t)x->distinct++;
      }
  }
  wait_for(team);
  long from = part(x->columns, team.number, team), to = part(x->columns, team.number + 1, team);
  for (long i = 0; i < x->distinct; i++) memset(x->g + i * x->columns + from, 0, (to - from) * sizeof(float));
  for (long i = 0; i < x->sparse; i++) {
    float *sum = x->g + (long)x->slot[x->index[i]] * x->columns;
    const float *row = x->given + i * x->columns;
#pragma omp simd
    for (long j = from; j < to; j++) sum[j] += row[j];
  }
  wait_for(team);
}

static void update_matrix(Variable *x, Team team) {
  Sums *mine = &partial[omp_get_thread_num()];
  long n = x->columns, all_rows = x->batch * x->rows, columns = x->batch * n;
  if (x->sparse) sum_duplicates(x, team);
  long given = x->sparse ? x->distinct : all_rows;
  long from = part(given, team.number, team), to = part(given, team.number + 1, team);
  float *column_sums = x->column_sums + team.number * columns, beta = decay();

  /* First pass: sums of squares of rows and columns, and of the variable. */
  memset(column_sums, 0, columns * sizeof(float));
  mine->w2 = squares(x->w, part(all_rows, team.number, team) * n, part(all_rows, team.number + 1, team) * n);
  if (x->sparse) {
    for (long i = part(all_rows, team.number, team); i < part(all_rows, team.number + 1, team); i++)
      x->r[i] = beta * x->r[i] + (1 - beta) * epsilon_1;
    wait_for(team);
  }
  for (long i = from; i < to; i++) {
    const float *g = x->g + i * n;
    float *sums = column_sums + i / x->rows * n, s = 0;
#pragma omp simd reduction(+ : s)
    for (long j = 0; j < n; j++) {
      float g2 = g[j] * g[j];
      sums[j] += g2;
      s += g2;
    }
    if (x->sparse)
      x->r[x->touched[i]] += (1 - beta) * (s / n);
    else
      x->r[i] = beta * x->r[i] + (1 - beta) * (s / n + epsilon_1);
  }
  wait_for(team);

  /* The factors. */
  for (long j = part(columns, team.number, team); j < part(columns, team.number + 1, team); j++) {
    float s = 0;
    for (int i = 0; i < team.count; i++) s += x->column_sums[i * columns + j];
    x->c[j] = beta * x->c[j] + (1 - beta) * (s / x->rows + epsilon_1);
    x->b[j] = 1 / sqrtf(x->c[j]);
  }
  long previous = -1;
  float mean = 0;
  for (long i = from; i < to; i++) {
    long batch = x->sparse ? 0 : i / x->rows;
    if (batch != previous) {
      double sum = 0;
      for (long k = batch * x->rows; k < (batch + 1) * x->rows; k++) sum += x->r[k];
      mean = (float)(sum / x->rows);
      previous = batch;
    }
    x->a[i] = sqrtf(mean / x->r[x->sparse ? x->touched[i] : i]);
  }
  wait_for(team);

  /* Second pass: the squares of u. */
  mine->u2 = 0;
  for (long i = from; i < to; i++) {
    const float *g = x->g + i * n, *b = x->b + i / x->rows * n;
    float s = 0;
#pragma omp simd reduction(+ : s)
    for (long j = 0; j < n; j++) s += g[j] * b[j] * (g[j] * b[j]);
    mine->u2 += (double)s * x->a[i] * x->a[i];
  }
  wait_for(team);

  /* Third pass. */
  float k = scale(total(team, offsetof(Sums, w2)), total(team, offsetof(Sums, u2)), x->elements);
  for (long i = from; i < to; i++) {
    const float *g = x->g + i * n, *b = x->b + i / x->rows * n;
    float *w = x->w + (x->sparse ? x->touched[i] : i) * n, factor = k * x->a[i];
#pragma omp simd
    for (long j = 0; j < n; j++) w[j] -= factor * (g[j] * b[j]);
  }
  wait_for(team);
}

static void update(Variable *x, Team team) {
  if (x->rank < 2)
    update_vector(x, team);
  else
    update_matrix(x, team);
}

/* Whether a thread updates it alone: the others have enough to do meanwhile, and need not be waited for. */
static int is_small(const Variable *x) { return x->elements < SMALL || x->elements * 2 * threads <= all_elements; }

static int larger_first(const void *a, const void *b) {
  long x = variables[*(const int *)a].elements, y = variables[*(const int *)b].elements;
  return (x < y) - (x > y);
}

static void step(void) {
  step_number++;
#pragma omp parallel num_threads(threads)
  {
    Team all = {omp_get_thread_num(), threads}, alone = {0, 1};
    for (int i = 0; i < variable_count; i++)
      if (!is_small(&variables[i])) update(&variables[i], all);
#pragma omp for schedule(dynamic)
    for (int i = 0; i < variable_count; i++)
      if (is_small(&variables[order[i]])) update(&variables[order[i]], alone);
  }
}

static void add_variable(char *arguments) {
  variables = realloc(variables, (variable_count + 1) * sizeof *variables);
  Variable *x = &variables[variable_count];
  memset(x, 0, sizeof *x);
  long dimensions[MAX_RANK];
  char *token = strtok(arguments, " \n");
  x->sparse = atol(token);
  while ((token = strtok(NULL, " \n"))) {
    if (x->rank == MAX_RANK) fail("too many dimensions");
    dimensions[x->rank++] = atol(token);
  }
  if (x->sparse && x->rank != 2) fail("sparse gradients of matrices only");
  x->batch = x->rows = x->columns = 1;
  if (x->rank > 0) x->columns = dimensions[x->rank - 1];
  if (x->rank > 1) x->rows = dimensions[x->rank - 2];
  for (int i = 0; i < x->rank - 2; i++) x->batch *= dimensions[i];
  x->elements = x->batch * x->rows * x->columns;
  variable_count++;
}

static long make(Variable *x, int number) {
  uint32_t first = number * 7919u % (1u << 20);
  x->w = allocate(x->elements * sizeof(float));
  fill(x->w, x->elements, first, 0x9E3779B1u, 0x2C1B3C6Cu);
  long given = x->sparse ? x->sparse * x->columns : x->elements;
  float *gradient = allocate(given * sizeof(float));
  fill(gradient, given, first, 0x85EBCA6Bu, 0xC2B2AE34u);
  x->g = gradient;
  if (x->sparse) {
    x->given = gradient;
    x->g = allocate(given * sizeof(float));
    x->index = allocate(x->sparse * sizeof(int32_t));
    x->touched = allocate(x->sparse * sizeof(int32_t));
    x->slot = allocate(x->rows * sizeof(int32_t));
    memset(x->slot, -1, x->rows * sizeof(int32_t));
    for (long i = 0; i < x->sparse; i++) {
      double u = ((uint32_t)i * 0x9E3779B1u) * 0x1p-32;
      x->index[i] = (int32_t)(x->rows * (u * u));
    }
  }
  long columns = x->batch * x->columns, rows = x->rank < 2 ? 0 : x->batch * x->rows;
  x->c = allocate(columns * sizeof(float));
  x->b = allocate(columns * sizeof(float));
  x->r = allocate(rows * sizeof(float));
  x->a = allocate(rows * sizeof(float));
  x->column_sums = allocate(threads * columns * sizeof(float));
  return (rows + columns) * sizeof(float);
}

int main(void) {
  char line[MAX_LINE];
  while (fgets(line, sizeof line, stdin)) {
    if (!strncmp(line, "threads ", 8)) {
      threads = atoi(line + 8);
    } else if (!strncmp(line, "dtype ", 6)) {
      if (strncmp(line + 6, "float32", 7)) fail("float32 only");
    } else if (!strncmp(line, "variable ", 9)) {
      add_variable(line + 9);
    } else if (!strcmp(line, "build\n")) {
      double start = now();
      long state = sizeof step_number;
      partial = allocate(threads * sizeof *partial);
      order = allocate(variable_count * sizeof *order);
      for (int i = 0; i < variable_count; i++) {
        state += make(&variables[i], i);
        all_elements += variables[i].elements;
        order[i] = i;
      }
      qsort(order, variable_count, sizeof *order, larger_first);
      double built = now();
      step();
      double first = now() - built;
      for (int i = 0; i < 3; i++) step();
      printf("{\"version\": \"%s\", \"state_bytes\": %ld, \"build_ms\": %.3f, \"first_step_ms\": %.3f, \"peak_transient_bytes\": null}\n",
             __VERSION__, state, built - start, first);
    } else if (!strncmp(line, "steps ", 6)) {
      for (int i = 0, n = atoi(line + 6); i < n; i++) {
        double start = now();
        step();
        printf("%s%.6f", i ? ", " : "[", now() - start);
      }
      printf("]\n");
    } else if (!strcmp(line, "values\n")) {
      const char *separator = "[";
      for (int i = 0; i < variable_count; i++)
        for (long k = 0; k < variables[i].elements; k++, separator = ", ") printf("%s%.9g", separator, variables[i].w[k]);
      printf("]\n");
    } else {
      fail("an unknown command");
    }
    fflush(stdout);
  }
  return 0;
}
