/* Reads digits: desktop MODEL DIGITS */
#include <stdio.h>
#include <stdlib.h>

#include "digits.h"

/* A file's bytes, at an address that a model can be used from. */
static void *load(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "rb");
    void *data = NULL;
    if (file && fseek(file, 0, SEEK_END) == 0) {
        long end = ftell(file);
        rewind(file);
        data = end > 0 ? malloc((size_t)end) : NULL;
        *bytes = data ? fread(data, 1, (size_t)end, file) : 0;
    }
    if (file)
        fclose(file);
    if (!data)
        perror(path);
    return data;
}

int main(int count, char **arguments)
{
    if (count != 3) {
        fprintf(stderr, "usage: %s MODEL DIGITS\n", arguments[0]);
        return 2;
    }
    size_t model_bytes, digits_bytes, memory_bytes = 0;
    void *model = load(arguments[1], &model_bytes);
    struct digit *digits = load(arguments[2], &digits_bytes);
    void *memory = NULL;
    bantam_net *net;
    bantam_failure failure = {BANTAM_STATUS_OK, "not a file"};
    struct score score = {0, 0};
    size_t digit_count = digits ? digits_bytes / sizeof *digits : 0;

    bantam_status status = BANTAM_STATUS_NULL_POINTER;
    if (model && digits)
        status = bantam_memory_size(model, model_bytes, 1, &memory_bytes, &failure);
    if (status == BANTAM_STATUS_OK) {
        memory = aligned_alloc(BANTAM_ALIGNMENT, memory_bytes);
        status = bantam_init(&net, model, model_bytes, 1, memory, memory_bytes, &failure);
    }
    if (status == BANTAM_STATUS_OK)
        status = read_digits(net, digits, digit_count, &score, &failure);
    if (status == BANTAM_STATUS_OK)
        printf("%zu of %zu digits read right, %zu as in Rust; %zu bytes of memory\n", score.right, digit_count,
               score.as_desktop, memory_bytes);
    else
        fprintf(stderr, "%s\n", failure.text);
    free(memory);
    free(digits);
    free(model);
    return status == BANTAM_STATUS_OK && digit_count > 0 && score.as_desktop == digit_count ? 0 : 1;
}
