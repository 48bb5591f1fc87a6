/* What the tests of bantam.h share. A test is one file. */
#ifndef CHECK_H
#define CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bantam.h"

enum { CANARY = 0x5a };

static int failed;

#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            printf("%s:%d: %s; the last failure: %.*s\n", __FILE__, __LINE__, #condition, BANTAM_TEXT_BYTES,  \
                   failure.text);                                                                            \
            failed++;                                                                                        \
        }                                                                                                    \
    } while (0)

static bantam_failure failure;
static unsigned char *model;
static size_t model_bytes;

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

static void load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    model_bytes = fread(model, 1, 1 << 20, file);
    fclose(file);
}

#endif
