/* What bantam.h promises about bad calls: border DIGITS TWO, a model of digits and one of capi/models. Prints what
 * failed. */
#include "check.h"

enum { INPUT = 784, BATCH = 2 };

/* The checksum of a model file: damage that is well signed. FNV-1a over all words of 64 bits but its own; since version 2
 * those after the header go into four sums in turn, as long as there are no more than a megabyte. */
static void sign(unsigned char *file, size_t bytes)
{
    const uint64_t start = 0xcbf29ce484222325, factor = 0x100000001b3;
    uint64_t sums[4] = {start, start, start, start};
    int wide = file[8] > 1;
    for (size_t at = 0; at + 8 <= bytes; at += 8) {
        uint64_t word = 0, *sum = &sums[wide && at >= 64 ? at / 8 % 4 : 0];
        for (int i = 7; i >= 0; i--)
            word = word << 8 | file[at + (size_t)i];
        if (at != 24)
            *sum = (*sum ^ word) * factor;
    }
    for (int i = 1; wide && i < 4; i++)
        sums[0] = (sums[0] ^ sums[i]) * factor;
    for (int i = 0; i < 8; i++)
        file[24 + i] = (unsigned char)(sums[0] >> 8 * i);
}

static unsigned char *copy(size_t bytes)
{
    unsigned char *file = malloc(bytes);
    memcpy(file, model, bytes);
    return file;
}

static void sizes(size_t needed)
{
    size_t bytes = 77;
    EXPECT(NULL_POINTER, "model", bantam_memory_size(NULL, model_bytes, 1, &bytes, &failure));
    EXPECT(NULL_POINTER, "answer", bantam_memory_size(model, model_bytes, 1, NULL, &failure));
    EXPECT(MISALIGNED, "multiple of 4", bantam_memory_size(model + 1, model_bytes - 1, 1, &bytes, &failure));
    EXPECT(MISALIGNED, "answer",
           bantam_memory_size(model, model_bytes, 1, (size_t *)((char *)&bytes + 1), &failure));
    EXPECT(BAD_BATCH, "batch: expected at least one", bantam_memory_size(model, model_bytes, 0, &bytes, &failure));
    EXPECT(BAD_BATCH, "isize::MAX", bantam_memory_size(model, model_bytes, SIZE_MAX, &bytes, &failure));
    EXPECT(BAD_BATCH, "", bantam_memory_size(model, model_bytes, SIZE_MAX / INPUT / 8, &bytes, &failure));
    EXPECT(BAD_LENGTH, "fits memory", bantam_memory_size(model, SIZE_MAX, 1, &bytes, &failure));
    CHECK(bantam_memory_size(model, model_bytes, 0, &bytes, NULL) == BANTAM_STATUS_BAD_BATCH);
    CHECK(bytes == 77);
    CHECK(bantam_memory_size(model, model_bytes, BATCH, &bytes, NULL) == BANTAM_STATUS_OK);
    CHECK(bytes == needed);
}

static void model_files(void)
{
    size_t bytes;
    for (size_t cut = 0; cut < model_bytes; cut += cut < 700 ? 1 : 9973) {
        unsigned char *file = copy(cut);
        bantam_status status = bantam_memory_size(file, cut, 1, &bytes, &failure);
        EXPECT(BAD_MODEL, "model file: expected", status);
        free(file);
    }
    unsigned char *file = copy(model_bytes);
    for (size_t at = 0; at < model_bytes; at += at < 700 ? 1 : 9973) {
        file[at] ^= 0x10;
        EXPECT(BAD_MODEL, "model file", bantam_memory_size(file, model_bytes, 1, &bytes, &failure));
        file[at] ^= 0x10;
    }
    /* Each byte of the table, then signed: whatever it says, nothing but a status comes of it. */
    for (size_t at = 64; at < 400 && at < model_bytes; at++) {
        file[at] ^= 0xff;
        sign(file, model_bytes);
        bantam_memory_size(file, model_bytes, 1, &bytes, &failure);
        file[at] ^= 0xff;
    }
    free(file);
}

/* A layer that does not fit: an error that itself takes memory. */
static void bad_layer(void *memory, size_t needed)
{
    unsigned char *file = copy(model_bytes);
    /* The width of the input, in either version. */
    file[file[8] == 1 ? 69 : 71] = 40;
    sign(file, model_bytes);
    bantam_net *net;
    int refused = 0;
    for (size_t bytes = 0; bytes < needed && bytes < 16384; bytes++) {
        bantam_status status = bantam_init(&net, file, model_bytes, 1, memory, bytes, &failure);
        refused += status == BANTAM_STATUS_BAD_MODEL;
        CHECK(status == BANTAM_STATUS_BAD_MODEL || status == BANTAM_STATUS_MEMORY_TOO_SMALL);
    }
    CHECK(refused > 0);
    free(file);
}

static void memories(unsigned char *memory, size_t needed)
{
    bantam_net *net = NULL;
    EXPECT(NULL_POINTER, "memory", bantam_init(&net, model, model_bytes, 1, NULL, needed, &failure));
    EXPECT(NULL_POINTER, "net", bantam_init(NULL, model, model_bytes, 1, memory, needed, &failure));
    EXPECT(MISALIGNED, "multiple of 64",
           bantam_init(&net, model, model_bytes, 1, memory + 32, needed - 32, &failure));
    EXPECT(BAD_LENGTH, "memory", bantam_init(&net, model, model_bytes, 1, memory, SIZE_MAX - 63, &failure));
    EXPECT(OVERLAP, "net",
           bantam_init((bantam_net **)(void *)memory, model, model_bytes, BATCH, memory, needed, &failure));
    unsigned char *both = aligned_alloc(BANTAM_ALIGNMENT, (model_bytes + needed + 63) / 64 * 64);
    memcpy(both, model, model_bytes);
    EXPECT(OVERLAP, "model", bantam_init(&net, both, model_bytes, BATCH, both, needed, &failure));
    EXPECT(OVERLAP, "model",
           bantam_init(&net, both, model_bytes, BATCH, both + model_bytes - 64, needed, &failure));
    CHECK(bantam_init(&net, both, model_bytes, BATCH, both + model_bytes, needed, &failure) ==
          BANTAM_STATUS_OK);
    free(both);

    net = NULL;
    memset(memory + needed, CANARY, 64);
    for (size_t bytes = 0; bytes < needed; bytes += bytes < 16384 ? 1 : 997)
        EXPECT(MEMORY_TOO_SMALL, "memory: expected",
               bantam_init(&net, model, model_bytes, BATCH, memory, bytes, &failure));
    bantam_init(&net, model, model_bytes, BATCH, memory, needed - 12, &failure);
    CHECK(strstr(failure.text, ": 12 are missing"));
    CHECK(net == NULL);
}

static void runs(bantam_net *net, unsigned char *memory, size_t needed)
{
    static float input[(BATCH + 1) * INPUT];
    float first[64];
    const float *output = NULL;
    size_t outputs = bantam_output_len(net);
    for (size_t i = 0; i < BATCH * INPUT; i++)
        input[i] = (float)(i * 7919 % 256) / 255.0F;
    CHECK(bantam_input_len(net) == INPUT && outputs > 0 && outputs <= 64);
    CHECK(bantam_input_len(NULL) == 0 && bantam_output_len(NULL) == 0);

    CHECK(bantam_run(net, input, BATCH * INPUT, &output, &failure) == BANTAM_STATUS_OK);
    CHECK((const unsigned char *)output >= memory && (const unsigned char *)(output + 2 * outputs) <= memory + needed);
    memcpy(first, output, outputs * sizeof *output);
    CHECK(bantam_run(net, input, INPUT, &output, &failure) == BANTAM_STATUS_OK);
    for (size_t i = 0; i < outputs; i++)
        CHECK(fabsf(output[i] - first[i]) <= 1e-4F * (1.0F + fabsf(first[i])));

    EXPECT(NULL_POINTER, "net", bantam_run(NULL, input, INPUT, &output, &failure));
    EXPECT(NULL_POINTER, "input", bantam_run(net, NULL, INPUT, &output, &failure));
    EXPECT(NULL_POINTER, "output", bantam_run(net, input, INPUT, NULL, &failure));
    EXPECT(MISALIGNED, "input", bantam_run(net, (const float *)((char *)input + 2), INPUT, &output, &failure));
    EXPECT(MISALIGNED, "net", bantam_run((bantam_net *)((char *)net + 1), input, INPUT, &output, &failure));
    EXPECT(BAD_NET, "bantam_init", bantam_run((bantam_net *)(void *)input, input, INPUT, &output, &failure));
    EXPECT(BAD_LENGTH, "input: expected 784 numbers, got 0", bantam_run(net, input, 0, &output, &failure));
    EXPECT(BAD_LENGTH, "input: expected 784 numbers, got 783", bantam_run(net, input, 783, &output, &failure));
    EXPECT(BAD_LENGTH, "input: expected 784 numbers, got 785", bantam_run(net, input, 785, &output, &failure));
    EXPECT(BAD_LENGTH, "got 2352", bantam_run(net, input, 3 * INPUT, &output, &failure));
    EXPECT(BAD_LENGTH, "fits memory", bantam_run(net, input, SIZE_MAX, &output, &failure));
    EXPECT(OVERLAP, "input", bantam_run(net, output, INPUT, &output, &failure));
    EXPECT(OVERLAP, "output", bantam_run(net, input, INPUT, (const float **)(void *)memory, &failure));
    input[400] = NAN;
    EXPECT(NOT_A_NUMBER, "NaN at index 400", bantam_run(net, input, INPUT, &output, &failure));
    input[400] = (float)(400 * 7919 % 256) / 255.0F;
    CHECK(bantam_run(net, input, INPUT, &output, NULL) == BANTAM_STATUS_OK);
    CHECK(fabsf(output[0] - first[0]) <= 1e-4F * (1.0F + fabsf(first[0])));
}

/* The model of capi/models: [a, b, c] and four numbers give the ReLU of the four, and [a + c + 1, b - c]. */
static void two_inputs_and_outputs(bantam_net *net, unsigned char *memory)
{
    float three[] = {1, 2, 3, 4, 5, 6}, four[] = {-1, 1, 0, 2, 3, -3, 4, -4};
    const float *inputs[] = {three, four}, *outputs[] = {NULL, NULL}, *output = NULL;
    size_t lens[] = {6, 8};
    CHECK(bantam_input_count(net) == 2 && bantam_output_count(net) == 2);
    CHECK(bantam_input_count(NULL) == 0 && bantam_output_count(NULL) == 0);
    CHECK(bantam_input_len_at(net, 0) == 3 && bantam_input_len_at(net, 1) == 4);
    CHECK(bantam_output_len_at(net, 0) == 4 && bantam_output_len_at(net, 1) == 2);
    CHECK(bantam_input_len_at(net, 2) == 0 && bantam_output_len_at(net, SIZE_MAX) == 0);
    CHECK(bantam_input_len_at(NULL, 0) == 0 && bantam_output_len_at(NULL, 0) == 0);
    CHECK(bantam_input_len(net) == 3 && bantam_output_len(net) == 4);

    CHECK(bantam_run_all(net, inputs, lens, 2, outputs, 2, &failure) == BANTAM_STATUS_OK);
    for (int i = 0; i < 8; i++)
        CHECK(outputs[0][i] == (four[i] > 0 ? four[i] : 0));
    for (int i = 0; i < 2; i++) {
        const float *of = three + 3 * i;
        CHECK(outputs[1][2 * i] == of[0] + of[2] + 1 && outputs[1][2 * i + 1] == of[1] - of[2]);
    }

#define RUN(inputs, lens, count, outputs, output_count)                                                                \
    bantam_run_all(net, inputs, lens, count, outputs, output_count, &failure)
    EXPECT(NULL_POINTER, "net", bantam_run_all(NULL, inputs, lens, 2, outputs, 2, &failure));
    EXPECT(NULL_POINTER, "inputs:", RUN(NULL, lens, 2, outputs, 2));
    EXPECT(NULL_POINTER, "input_lens:", RUN(inputs, NULL, 2, outputs, 2));
    EXPECT(NULL_POINTER, "outputs:", RUN(inputs, lens, 2, NULL, 2));
    EXPECT(MISALIGNED, "inputs:", RUN((const float *const *)((char *)inputs + 1), lens, 1, outputs, 2));
    EXPECT(MISALIGNED, "input_lens:", RUN(inputs, (const size_t *)((char *)lens + 1), 1, outputs, 2));
    EXPECT(MISALIGNED, "outputs:", RUN(inputs, lens, 2, (const float **)((char *)outputs + 1), 1));
    EXPECT(OVERLAP, "outputs:", RUN(inputs, lens, 2, (const float **)(void *)memory, 2));
    EXPECT(BAD_LENGTH, "inputs: expected 2, got 1", RUN(inputs, lens, 1, outputs, 2));
    EXPECT(BAD_LENGTH, "inputs: expected 2, got 0", RUN(inputs, lens, 0, outputs, 2));
    EXPECT(BAD_LENGTH, "inputs: expected 2, got 1", bantam_run(net, three, 3, &output, &failure));
    EXPECT(BAD_LENGTH, "outputs: expected 2, got 1", RUN(inputs, lens, 2, outputs, 1));
    EXPECT(BAD_LENGTH, "inputs: expected a length that fits memory", RUN(inputs, lens, SIZE_MAX, outputs, 2));
    EXPECT(BAD_LENGTH, "outputs: expected a length that fits memory", RUN(inputs, lens, 2, outputs, SIZE_MAX));

    const float *given = outputs[0];
    for (size_t i = 0; i < 2; i++) {
        const char *name = i == 0 ? "inputs[0]: " : "inputs[1]: ";
        const float *whole = inputs[i];
        size_t len = lens[i];
        inputs[i] = NULL;
        EXPECT(NULL_POINTER, name, RUN(inputs, lens, 2, outputs, 2));
        inputs[i] = (const float *)((const char *)whole + 2);
        EXPECT(MISALIGNED, name, RUN(inputs, lens, 2, outputs, 2));
        inputs[i] = given;
        EXPECT(OVERLAP, name, RUN(inputs, lens, 2, outputs, 2));
        inputs[i] = (const float *)(const void *)memory - 1;
        EXPECT(OVERLAP, name, RUN(inputs, lens, 2, outputs, 2));
        inputs[i] = whole;
        lens[i] = SIZE_MAX;
        EXPECT(BAD_LENGTH, name, RUN(inputs, lens, 2, outputs, 2));
        lens[i] = len - 1;
        EXPECT(BAD_LENGTH, name, RUN(inputs, lens, 2, outputs, 2));
        lens[i] = 0;
        EXPECT(BAD_LENGTH, name, RUN(inputs, lens, 2, outputs, 2));
        lens[i] = len;
        float *spoilt = i == 0 ? three : four, kept = spoilt[1];
        spoilt[1] = i == 0 ? NAN : -INFINITY;
        EXPECT(NOT_A_NUMBER, name, RUN(inputs, lens, 2, outputs, 2));
        spoilt[1] = kept;
    }
    lens[0] = 3;
    EXPECT(BAD_LENGTH, "inputs[1]: expected 4 numbers, got 8", RUN(inputs, lens, 2, outputs, 2));
    three[0] = three[2] = 3e38F;
    lens[1] = 4;
    EXPECT(NOT_A_NUMBER, "output", RUN(inputs, lens, 2, outputs, 2));
    three[0] = 1, three[2] = 3;
    CHECK(outputs[0] == given);
    CHECK(RUN(inputs, lens, 2, outputs, 2) == BANTAM_STATUS_OK);
    CHECK(outputs[0][1] == 1 && outputs[1][0] == 5);
#undef RUN
}

/* Layers that no library has: all are named, if there is memory for that. */
static void missing_layers(unsigned char *memory, size_t needed)
{
    unsigned char *file = copy(model_bytes);
    for (size_t at = 0; at + 5 <= model_bytes; at++)
        if (memcmp(file + at, "ReLU", 4) == 0 || memcmp(file + at, "Dense", 5) == 0)
            file[at] = 'X';
    sign(file, model_bytes);
    size_t size;
    bantam_net *net;
    EXPECT(MISSING_LAYERS, "built without XeLU, Xense", bantam_memory_size(file, model_bytes, 1, &size, &failure));
    bantam_status status = BANTAM_STATUS_OK;
    for (size_t bytes = 0; bytes <= needed; bytes++) {
        status = bantam_init(&net, file, model_bytes, 1, memory, bytes, &failure);
        CHECK(status == BANTAM_STATUS_MISSING_LAYERS || status == BANTAM_STATUS_MEMORY_TOO_SMALL);
    }
    CHECK(status == BANTAM_STATUS_MISSING_LAYERS);
    free(file);
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: %s DIGITS TWO\n", arguments[0]);
        return 2;
    }
    model = malloc(1 << 20);
    for (int i = 1; i <= 2; i++) {
        load(arguments[i]);
        size_t needed = 0;
        if (bantam_memory_size(model, model_bytes, BATCH, &needed, &failure) != BANTAM_STATUS_OK) {
            printf("%s: %.*s\n", arguments[i], BANTAM_TEXT_BYTES, failure.text);
            return 1;
        }
        CHECK(needed % 64 == 0);
        unsigned char *memory = aligned_alloc(BANTAM_ALIGNMENT, needed + 64);
        bantam_net *net;
        model_files();
        if (i == 1) {
            sizes(needed);
            bad_layer(memory, needed);
        } else {
            missing_layers(memory, needed);
        }
        memories(memory, needed);
        CHECK(bantam_init(&net, model, model_bytes, BATCH, memory, needed, &failure) == BANTAM_STATUS_OK);
        if (i == 1)
            runs(net, memory, needed);
        else
            two_inputs_and_outputs(net, memory);
        for (int at = 0; at < 64; at++)
            CHECK(memory[needed + (size_t)at] == CANARY);
        free(memory);
    }
    free(model);
    printf(failed ? "%d checks failed\n" : "every bad call was refused\n", failed);
    return failed != 0;
}
