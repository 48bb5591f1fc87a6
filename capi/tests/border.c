/* What bantam.h promises about bad calls: border MODEL, a model of 784 inputs. Prints what failed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bantam.h"

static int failed;

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            printf("%s:%d: %s; the last failure: %.*s\n", __FILE__, __LINE__, #condition, BANTAM_TEXT_BYTES,  \
                   failure.text);                                                                            \
            failed++;                                                                                        \
        }                                                                                                    \
    } while (0)

enum { INPUT = 784, BATCH = 2, CANARY = 0x5a };

static bantam_failure failure;
static unsigned char *model;
static size_t model_bytes;

/* FNV-1a over words of 64 bits, which the header states for all but itself: damage that is well signed. */
static void sign(unsigned char *file, size_t bytes)
{
    uint64_t sum = 0xcbf29ce484222325;
    for (size_t at = 0; at + 8 <= bytes; at += 8) {
        uint64_t word = 0;
        if (at == 24)
            continue;
        for (int i = 7; i >= 0; i--)
            word = word << 8 | file[at + (size_t)i];
        sum = (sum ^ word) * 0x100000001b3;
    }
    for (int i = 0; i < 8; i++)
        file[24 + i] = (unsigned char)(sum >> 8 * i);
}

static void expect(bantam_status status, bantam_status got, const char *text, int line)
{
    size_t length = 0;
    while (length < BANTAM_TEXT_BYTES && failure.text[length])
        length++;
    if (got != status || failure.status != status || length == 0 || length == BANTAM_TEXT_BYTES ||
        !strstr(failure.text, text)) {
        printf("%s:%d: expected status %d, got %d and %d: %.*s\n", __FILE__, line, (int)status, (int)got,
               (int)failure.status, (int)length, failure.text);
        failed++;
    }
    memset(&failure, CANARY, sizeof failure);
}

#define EXPECT(name, text, call) expect(BANTAM_STATUS_##name, call, text, __LINE__)

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
    for (size_t at = 64; at < 400; at++) {
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
    /* The width of the input. */
    file[69] = 40;
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
    for (int i = 0; i < 64; i++)
        CHECK(memory[needed + (size_t)i] == CANARY);

    EXPECT(NULL_POINTER, "net", bantam_run(NULL, input, INPUT, &output, &failure));
    EXPECT(NULL_POINTER, "input", bantam_run(net, NULL, INPUT, &output, &failure));
    EXPECT(NULL_POINTER, "output", bantam_run(net, input, INPUT, NULL, &failure));
    EXPECT(MISALIGNED, "input", bantam_run(net, (const float *)((char *)input + 2), INPUT, &output, &failure));
    EXPECT(MISALIGNED, "net", bantam_run((bantam_net *)((char *)net + 1), input, INPUT, &output, &failure));
    EXPECT(BAD_NET, "bantam_init", bantam_run((bantam_net *)(void *)input, input, INPUT, &output, &failure));
    EXPECT(BAD_LENGTH, "expected 784 elements, got 0", bantam_run(net, input, 0, &output, &failure));
    EXPECT(BAD_LENGTH, "expected 784 elements, got 783", bantam_run(net, input, 783, &output, &failure));
    EXPECT(BAD_LENGTH, "expected 784 elements, got 785", bantam_run(net, input, 785, &output, &failure));
    EXPECT(BAD_LENGTH, "got 2352", bantam_run(net, input, 3 * INPUT, &output, &failure));
    EXPECT(BAD_LENGTH, "fits memory", bantam_run(net, input, SIZE_MAX, &output, &failure));
    EXPECT(OVERLAP, "input", bantam_run(net, output, INPUT, &output, &failure));
    input[400] = NAN;
    EXPECT(NOT_A_NUMBER, "NaN at index 400", bantam_run(net, input, INPUT, &output, &failure));
    input[400] = (float)(400 * 7919 % 256) / 255.0F;
    CHECK(bantam_run(net, input, INPUT, &output, NULL) == BANTAM_STATUS_OK);
    CHECK(fabsf(output[0] - first[0]) <= 1e-4F * (1.0F + fabsf(first[0])));
}

int main(int count, char **arguments)
{
    FILE *file = count == 2 ? fopen(arguments[1], "rb") : NULL;
    if (!file) {
        fprintf(stderr, "usage: %s MODEL\n", arguments[0]);
        return 2;
    }
    model = malloc(1 << 20);
    model_bytes = fread(model, 1, 1 << 20, file);
    fclose(file);

    size_t needed = 0;
    if (bantam_memory_size(model, model_bytes, BATCH, &needed, &failure) != BANTAM_STATUS_OK) {
        printf("%s\n", failure.text);
        return 1;
    }
    CHECK(needed % 64 == 0);
    unsigned char *memory = aligned_alloc(BANTAM_ALIGNMENT, needed + 64);
    sizes(needed);
    model_files();
    bad_layer(memory, needed);
    memories(memory, needed);
    bantam_net *net;
    CHECK(bantam_init(&net, model, model_bytes, BATCH, memory, needed, &failure) == BANTAM_STATUS_OK);
    runs(net, memory, needed);
    free(memory);
    free(model);
    printf(failed ? "%d checks failed\n" : "every bad call was refused\n", failed);
    return failed != 0;
}
