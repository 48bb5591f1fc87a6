/* Digits as ../firmware/data/digits.bin has them. */
#ifndef DIGITS_H
#define DIGITS_H

#include <stddef.h>
#include <stdint.h>

#include "bantam.h"

enum { PIXELS = 28 * 28 };

struct digit {
    uint8_t class;
    uint8_t read_by_desktop;
    uint8_t pixels[PIXELS];
};

static inline size_t largest(const float *numbers, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (numbers[i] > numbers[best])
            best = i;
    return best;
}

struct score {
    size_t right;
    size_t as_desktop;
};

/* Reads so many digits; how many of them right, and how many as the desktop. */
static inline bantam_status read_digits(bantam_net *net, const struct digit *digits, size_t count,
                                        struct score *score, bantam_failure *failure)
{
    float image[PIXELS];
    *score = (struct score){0, 0};
    for (size_t i = 0; i < count; i++) {
        const float *output;
        for (size_t k = 0; k < PIXELS; k++)
            image[k] = (float)digits[i].pixels[k] / 255.0F;
        bantam_status status = bantam_run(net, image, PIXELS, &output, failure);
        if (status != BANTAM_STATUS_OK)
            return status;
        size_t read = largest(output, bantam_output_len(net));
        score->right += read == digits[i].class;
        score->as_desktop += read == digits[i].read_by_desktop;
    }
    return BANTAM_STATUS_OK;
}

#endif
