/* What bantam.h promises about learning: training BARS TWO, models of capi/models. Prints what failed. */
#include "check.h"

enum { SIDE = 12, INPUT = SIDE * SIDE, BATCH = 8, STEPS = 30 };

static float bars[(BATCH + 1) * INPUT], labels[BATCH];

/* Lying and standing bars. */
static void draw(void)
{
    for (size_t i = 0; i < BATCH; i++) {
        labels[i] = (float)(i % 2);
        for (size_t k = 0; k < SIDE; k++)
            bars[i * INPUT + (i % 2 ? k * SIDE + i : i * SIDE + k)] = 1;
    }
}

static size_t size_of(const bantam_training *how)
{
    size_t bytes = 0;
    CHECK(bantam_trainer_memory_size(model, model_bytes, BATCH, how, &bytes, &failure) == BANTAM_STATUS_OK);
    CHECK(bytes > 0 && bytes % 64 == 0);
    return bytes;
}

/* A trainer in memory that begins with it, and has a canary behind. */
struct made {
    unsigned char *memory;
    size_t bytes;
    bantam_trainer *trainer;
};

static struct made make(const bantam_training *how)
{
    struct made made = {NULL, size_of(how), NULL};
    made.memory = aligned_alloc(BANTAM_ALIGNMENT, made.bytes + 64);
    memset(made.memory + made.bytes, CANARY, 64);
    CHECK(bantam_trainer_init(&made.trainer, model, model_bytes, BATCH, how, made.memory, made.bytes, &failure) ==
          BANTAM_STATUS_OK);
    if (!made.trainer)
        exit(1);
    return made;
}

static void end(struct made made)
{
    for (int at = 0; at < 64; at++)
        CHECK(made.memory[made.bytes + (size_t)at] == CANARY);
    free(made.memory);
}

/* Learns the bars some times, and gives the last loss. */
static float learn(bantam_trainer *trainer, int steps)
{
    float loss = NAN;
    for (int step = 0; step < steps; step++)
        CHECK(bantam_train_step(trainer, bars, BATCH * INPUT, labels, BATCH, &loss, NULL, &failure) ==
              BANTAM_STATUS_OK);
    return loss;
}

static float *weights_of(const bantam_trainer *trainer)
{
    size_t count = bantam_trainer_weights_len(trainer);
    float *weights = malloc(count * sizeof *weights);
    CHECK(bantam_trainer_get_weights(trainer, weights, count, &failure) == BANTAM_STATUS_OK);
    return weights;
}

static int same(const bantam_trainer *trainer, const float *weights)
{
    float *others = weights_of(trainer);
    int equal = memcmp(others, weights, bantam_trainer_weights_len(trainer) * sizeof *weights) == 0;
    free(others);
    return equal;
}

static void learns(const bantam_training *how)
{
    struct made one = make(how), other = make(how);
    size_t count = bantam_trainer_weights_len(one.trainer);
    CHECK(bantam_trainer_input_len(one.trainer) == INPUT && bantam_trainer_output_len(one.trainer) == 2);
    float first = learn(one.trainer, 1), last = learn(one.trainer, 10 * STEPS), accuracy = 0;
    CHECK(last < first / 4);
    CHECK(bantam_train_step(one.trainer, bars, BATCH * INPUT, labels, BATCH, NULL, &accuracy, &failure) ==
          BANTAM_STATUS_OK);
    CHECK(accuracy == 1);

    /* Labels and rows of probabilities are the same. */
    float rows[2 * BATCH], loss;
    for (int i = 0; i < 2 * BATCH; i++)
        rows[i] = labels[i / 2] == (float)(i % 2);
    first = learn(other.trainer, 1);
    float *learnt = weights_of(other.trainer);
    end(other), other = make(how);
    CHECK(bantam_train_step(other.trainer, bars, BATCH * INPUT, rows, 2 * BATCH, &loss, NULL, &failure) ==
          BANTAM_STATUS_OK);
    CHECK(loss == first && same(other.trainer, learnt));
    free(learnt);

    /* What was learnt goes out, and in elsewhere: outputs are the same, and so is what is learnt from there. */
    const float *output;
    float outputs[2 * BATCH];
    learnt = weights_of(one.trainer);
    CHECK(!same(other.trainer, learnt));
    CHECK(bantam_trainer_set_weights(other.trainer, learnt, count, &failure) == BANTAM_STATUS_OK);
    CHECK(same(other.trainer, learnt));
    CHECK(bantam_trainer_run(one.trainer, bars, BATCH * INPUT, &output, &failure) == BANTAM_STATUS_OK);
    memcpy(outputs, output, sizeof outputs);
    CHECK(bantam_trainer_run(other.trainer, bars, BATCH * INPUT, &output, &failure) == BANTAM_STATUS_OK);
    CHECK(memcmp(outputs, output, sizeof outputs) == 0);
    CHECK((const unsigned char *)output >= other.memory &&
          (const unsigned char *)(output + 2 * BATCH) <= other.memory + other.bytes);
    for (int i = 0; i < BATCH; i++)
        CHECK((output[2 * i + 1] > output[2 * i]) == (i % 2 == 1));
    CHECK(bantam_trainer_run(other.trainer, bars + INPUT, INPUT, &output, &failure) == BANTAM_STATUS_OK);
    CHECK(fabsf(output[0] - outputs[2]) <= 1e-4F * (1 + fabsf(outputs[2])));
    CHECK(bantam_trainer_set_weights(one.trainer, learnt, count, &failure) == BANTAM_STATUS_OK);
    CHECK(learn(one.trainer, 3) == learn(other.trainer, 3));
    free(learnt);
    learnt = weights_of(one.trainer);
    CHECK(same(other.trainer, learnt));
    free(learnt);
    end(one), end(other);
}

static void less_memory(bantam_training how)
{
    struct made all = make(&how);
    float loss = learn(all.trainer, STEPS);
    float *learnt = weights_of(all.trainer);
    how.budget = SIZE_MAX;
    /* The same plan, and what trying others may leave of the lists. */
    CHECK(size_of(&how) <= all.bytes + 2048);
    size_t size = 0;
    how.budget = 1;
    EXPECT(MEMORY_TOO_SMALL, "memory for training: expected",
           bantam_trainer_memory_size(model, model_bytes, BATCH, &how, &size, &failure));
    how.budget = all.bytes / 4 * 3;
    struct made less = make(&how);
    CHECK(less.bytes < all.bytes);
    CHECK(learn(less.trainer, STEPS) == loss && same(less.trainer, learnt));
    free(learnt);

    /* Too little of it, whatever the list that it is too little for. */
    bantam_trainer *trainer = NULL;
    for (int budget = 0; budget < 2; budget++, how.budget = 0) {
        size_t needed = size_of(&how);
        unsigned char *memory = budget == 0 ? less.memory : all.memory;
        for (size_t bytes = 0; bytes < needed; bytes += bytes < 32768 ? 8 : 997)
            EXPECT(MEMORY_TOO_SMALL, "memory: expected",
                   bantam_trainer_init(&trainer, model, model_bytes, BATCH, &how, memory, bytes, &failure));
        bantam_trainer_init(&trainer, model, model_bytes, BATCH, &how, memory, needed - 12, &failure);
        CHECK(strstr(failure.text, ": 12 are missing"));
        CHECK(!trainer);
    }
    end(all), end(less);
}

static void first_layer(bantam_training how)
{
    struct made all = make(&how);
    how.first_layer = "dense";
    struct made last = make(&how);
    size_t count = bantam_trainer_weights_len(last.trainer), all_count = bantam_trainer_weights_len(all.trainer);
    CHECK(count == 6 * 6 * 6 * 2 + 2 && count < all_count && last.bytes < all.bytes);
    float *begin = weights_of(last.trainer), *of_all = weights_of(all.trainer);
    CHECK(memcmp(begin, of_all + all_count - count, count * sizeof *begin) == 0);
    float first = learn(last.trainer, 1);
    CHECK(learn(last.trainer, STEPS) < first && !same(last.trainer, begin));
    EXPECT(BAD_LENGTH, "weights: expected 434 numbers",
           bantam_trainer_set_weights(last.trainer, of_all, all_count, &failure));
    free(begin), free(of_all);
    end(last), end(all);

    size_t size;
#define SIZE() bantam_trainer_memory_size(model, model_bytes, BATCH, &how, &size, &failure)
    how.first_layer = "dens";
    EXPECT(BAD_TRAINING, "first_layer: expected the name", SIZE());
    how.first_layer = "";
    EXPECT(BAD_TRAINING, "first_layer: expected the name", SIZE());
    how.first_layer = "softmax";
    EXPECT(BAD_TRAINING, "trainable layers", SIZE());
#undef SIZE
}

static void bad_trainings(bantam_training how, unsigned char *memory, size_t needed)
{
    bantam_training good = how;
    bantam_trainer *trainer = NULL;
    size_t size = 77;
#define SIZE() bantam_trainer_memory_size(model, model_bytes, BATCH, &how, &size, &failure)
#define INIT(trainer, model, how, memory) \
    bantam_trainer_init(trainer, model, model_bytes, BATCH, how, memory, needed, &failure)
    how.rate = NAN;
    EXPECT(BAD_TRAINING, "rate", SIZE());
    how.rate = -1;
    EXPECT(BAD_TRAINING, "rate", SIZE());
    how = good, how.momentum = 1;
    EXPECT(BAD_TRAINING, "momentum", SIZE());
    how = good, how.loss = 3;
    EXPECT(BAD_TRAINING, "loss: expected one of bantam_loss, got 3", SIZE());
    how.loss = -1;
    EXPECT(BAD_TRAINING, "got -1", SIZE());
    how = good;
    EXPECT(BAD_BATCH, "batch", bantam_trainer_memory_size(model, model_bytes, 0, &how, &size, &failure));
    EXPECT(BAD_BATCH, "", bantam_trainer_memory_size(model, model_bytes, SIZE_MAX, &how, &size, &failure));
    EXPECT(BAD_MODEL, "model file", bantam_trainer_memory_size(model, 100, 1, &how, &size, &failure));
    EXPECT(NULL_POINTER, "model", bantam_trainer_memory_size(NULL, 100, 1, &how, &size, &failure));
    EXPECT(NULL_POINTER, "training", bantam_trainer_memory_size(model, model_bytes, 1, NULL, &size, &failure));
    EXPECT(MISALIGNED, "training",
           bantam_trainer_memory_size(model, model_bytes, 1, (bantam_training *)((char *)&how + 1), &size, &failure));
    EXPECT(NULL_POINTER, "answer", bantam_trainer_memory_size(model, model_bytes, 1, &how, NULL, &failure));
    CHECK(size == 77);

    EXPECT(NULL_POINTER, "trainer", INIT(NULL, model, &how, memory));
    EXPECT(NULL_POINTER, "model", INIT(&trainer, NULL, &how, memory));
    EXPECT(NULL_POINTER, "training", INIT(&trainer, model, NULL, memory));
    EXPECT(NULL_POINTER, "memory", INIT(&trainer, model, &how, NULL));
    EXPECT(MISALIGNED, "multiple of 64", INIT(&trainer, model, &how, memory + 32));
    EXPECT(OVERLAP, "trainer", INIT((bantam_trainer **)(void *)memory, model, &how, memory));
    EXPECT(OVERLAP, "model", INIT(&trainer, model, &how, model - (size_t)model % 64));
    memcpy(memory, &how, sizeof how);
    EXPECT(OVERLAP, "training", INIT(&trainer, model, (bantam_training *)(void *)memory, memory));
    strcpy((char *)memory + needed - 6, "dense");
    how.first_layer = (char *)memory + needed - 6;
    EXPECT(OVERLAP, "first_layer", INIT(&trainer, model, &how, memory));
#undef INIT
#undef SIZE
    CHECK(!trainer);
}

static void bad_calls(const bantam_training *how)
{
    struct made made = make(how);
    bantam_trainer *trainer = made.trainer, *none = (bantam_trainer *)(void *)bars;
    float *inside = (float *)(void *)made.memory, loss = 77, kept;
    const float *output = NULL;
    size_t count = bantam_trainer_weights_len(trainer);
    float *weights = weights_of(trainer), *before = weights_of(trainer);
    CHECK(bantam_trainer_weights_len(NULL) == 0 && bantam_trainer_weights_len(none) == 0);
    CHECK(bantam_trainer_input_len(NULL) == 0 && bantam_trainer_output_len(none) == 0);

#define STEP(trainer, inputs, input_len, targets, target_len) \
    bantam_train_step(trainer, inputs, input_len, targets, target_len, &loss, NULL, &failure)
    EXPECT(NULL_POINTER, "trainer", STEP(NULL, bars, BATCH * INPUT, labels, BATCH));
    EXPECT(BAD_NET, "bantam_trainer_init", STEP(none, bars, BATCH * INPUT, labels, BATCH));
    EXPECT(NULL_POINTER, "inputs", STEP(trainer, NULL, BATCH * INPUT, labels, BATCH));
    EXPECT(NULL_POINTER, "targets", STEP(trainer, bars, BATCH * INPUT, NULL, BATCH));
    EXPECT(MISALIGNED, "inputs", STEP(trainer, (float *)((char *)bars + 2), BATCH * INPUT, labels, BATCH));
    EXPECT(MISALIGNED, "targets", STEP(trainer, bars, BATCH * INPUT, (float *)((char *)labels + 2), BATCH));
    EXPECT(OVERLAP, "inputs", STEP(trainer, inside, BATCH * INPUT, labels, BATCH));
    EXPECT(OVERLAP, "inputs", STEP(trainer, inside - 1, BATCH * INPUT, labels, BATCH));
    EXPECT(OVERLAP, "targets", STEP(trainer, bars, BATCH * INPUT, inside, BATCH));
    EXPECT(BAD_LENGTH, "inputs: expected 1152 numbers, got 1151", STEP(trainer, bars, BATCH * INPUT - 1, labels, BATCH));
    EXPECT(BAD_LENGTH, "inputs: expected 1152 numbers, got 144", STEP(trainer, bars, INPUT, labels, BATCH));
    EXPECT(BAD_LENGTH, "got 1296", STEP(trainer, bars, (BATCH + 1) * INPUT, labels, BATCH));
    EXPECT(BAD_LENGTH, "got 0", STEP(trainer, bars, 0, labels, BATCH));
    EXPECT(BAD_LENGTH, "fits memory", STEP(trainer, bars, SIZE_MAX, labels, BATCH));
    EXPECT(BAD_LENGTH, "targets", STEP(trainer, bars, BATCH * INPUT, labels, 0));
    EXPECT(BAD_LENGTH, "targets", STEP(trainer, bars, BATCH * INPUT, labels, BATCH - 1));
    EXPECT(BAD_LENGTH, "targets", STEP(trainer, bars, BATCH * INPUT, bars, 3 * BATCH));
    EXPECT(BAD_LENGTH, "fits memory", STEP(trainer, bars, BATCH * INPUT, labels, SIZE_MAX));
    bars[INPUT + 5] = NAN;
    EXPECT(NOT_A_NUMBER, "input of sample 1: expected finite numbers, got NaN at index 5",
           STEP(trainer, bars, BATCH * INPUT, labels, BATCH));
    bars[INPUT + 5] = 0;
    for (int i = 0; i < 4; i++) {
        labels[3] = (float[]){2, -1, 0.5F, NAN}[i];
        EXPECT(BAD_TARGET, "sample 3", STEP(trainer, bars, BATCH * INPUT, labels, BATCH));
    }
    labels[3] = 1;
    EXPECT(BAD_TARGET, "", STEP(trainer, bars, BATCH * INPUT, bars, 2 * BATCH));
#undef STEP
#define STEP(loss, accuracy) \
    bantam_train_step(trainer, bars, BATCH * INPUT, labels, BATCH, loss, accuracy, &failure)
    EXPECT(OVERLAP, "loss", STEP(inside, NULL));
    EXPECT(OVERLAP, "accuracy", STEP(NULL, inside));
    EXPECT(MISALIGNED, "loss", STEP((float *)((char *)&loss + 1), NULL));
    EXPECT(MISALIGNED, "accuracy", STEP(NULL, (float *)((char *)&loss + 1)));
#undef STEP
    CHECK(loss == 77 && same(trainer, before));

#define RUN(trainer, input, len, output) bantam_trainer_run(trainer, input, len, output, &failure)
    EXPECT(NULL_POINTER, "trainer", RUN(NULL, bars, INPUT, &output));
    EXPECT(BAD_NET, "bantam_trainer_init", RUN(none, bars, INPUT, &output));
    EXPECT(NULL_POINTER, "input", RUN(trainer, NULL, INPUT, &output));
    EXPECT(NULL_POINTER, "output", RUN(trainer, bars, INPUT, NULL));
    EXPECT(OVERLAP, "input", RUN(trainer, inside, INPUT, &output));
    EXPECT(OVERLAP, "output", RUN(trainer, bars, INPUT, (const float **)(void *)inside));
    EXPECT(BAD_LENGTH, "input: expected 144 numbers, got 143", RUN(trainer, bars, INPUT - 1, &output));
    EXPECT(BAD_LENGTH, "input: expected 144 numbers, got 0", RUN(trainer, bars, 0, &output));
    EXPECT(BAD_LENGTH, "input: expected 1152 numbers, got 1296", RUN(trainer, bars, (BATCH + 1) * INPUT, &output));
    kept = bars[7], bars[7] = INFINITY;
    EXPECT(NOT_A_NUMBER, "index 7", RUN(trainer, bars, INPUT, &output));
    bars[7] = kept;
#undef RUN
    CHECK(!output);

#define GET(trainer, weights, len) bantam_trainer_get_weights(trainer, weights, len, &failure)
    EXPECT(NULL_POINTER, "trainer", GET(NULL, weights, count));
    EXPECT(BAD_NET, "bantam_trainer_init", GET(none, weights, count));
    EXPECT(NULL_POINTER, "weights", GET(trainer, NULL, count));
    EXPECT(MISALIGNED, "weights", GET(trainer, (float *)((char *)weights + 2), count));
    EXPECT(OVERLAP, "weights", GET(trainer, inside, count));
    EXPECT(BAD_LENGTH, "weights: expected", GET(trainer, weights, count - 1));
    EXPECT(BAD_LENGTH, "weights: expected", GET(trainer, weights, SIZE_MAX));
#undef GET
#define SET(trainer, weights, len) bantam_trainer_set_weights(trainer, weights, len, &failure)
    EXPECT(NULL_POINTER, "trainer", SET(NULL, weights, count));
    EXPECT(BAD_NET, "bantam_trainer_init", SET(none, weights, count));
    EXPECT(NULL_POINTER, "weights", SET(trainer, NULL, count));
    EXPECT(MISALIGNED, "weights", SET(trainer, (float *)((char *)weights + 2), count));
    EXPECT(OVERLAP, "weights", SET(trainer, inside, count));
    EXPECT(BAD_LENGTH, "weights: expected", SET(trainer, weights, count - 1));
    weights[0] += 1, weights[count - 1] = NAN;
    EXPECT(NOT_A_NUMBER, "weights: expected finite numbers", SET(trainer, weights, count));
#undef SET
    CHECK(same(trainer, before));
    free(weights), free(before);
    end(made);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: %s BARS TWO\n", arguments[0]);
        return 2;
    }
    model = malloc(1 << 20);
    draw();
    load(arguments[1]);
    bantam_training how = {.rate = 0.05F, .loss = BANTAM_LOSS_SOFTMAX_CROSS_ENTROPY, .seed = 1};
    learns(&how);
    how.momentum = 0.5F;
    learns(&how);
    less_memory(how);
    first_layer(how);
    bad_calls(&how);
    size_t needed = size_of(&how);
    unsigned char *memory = aligned_alloc(BANTAM_ALIGNMENT, needed + 64);
    bad_trainings(how, memory, needed);
    free(memory);

    /* The other losses measure each output by itself. */
    for (int loss = BANTAM_LOSS_BINARY_CROSS_ENTROPY; loss <= BANTAM_LOSS_MEAN_SQUARED_ERROR; loss++) {
        how.loss = loss;
        struct made made = make(&how);
        float rows[2 * BATCH], first = NAN, last = NAN, accuracy = 77;
        for (int i = 0; i < 2 * BATCH; i++)
            rows[i] = labels[i / 2] == (float)(i % 2);
        for (int step = 0; step < 2 * STEPS; step++)
            CHECK(bantam_train_step(made.trainer, bars, BATCH * INPUT, rows, 2 * BATCH, step ? &last : &first, &accuracy,
                                    &failure) == BANTAM_STATUS_OK);
        CHECK(last < first);
        CHECK(loss == BANTAM_LOSS_MEAN_SQUARED_ERROR ? isnan(accuracy) : accuracy >= 0 && accuracy <= 1);
        EXPECT(BAD_LENGTH, "targets",
               bantam_train_step(made.trainer, bars, BATCH * INPUT, labels, BATCH, NULL, NULL, &failure));
        end(made);
    }

    load(arguments[2]);
    size_t size;
    EXPECT(BAD_TRAINING, "inputs of a model: expected 1",
           bantam_trainer_memory_size(model, model_bytes, BATCH, &how, &size, &failure));
    free(model);
    printf(failed ? "%d checks failed\n" : "what was to be learnt was learnt, and every bad call refused\n", failed);
    return failed != 0;
}
