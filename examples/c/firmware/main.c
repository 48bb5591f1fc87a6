/* Reads the digits that lie in flash, with the model that lies there too. */
#include "../digits.h"
#include "board.h"

extern const unsigned char model[], model_end[];
extern const struct digit digits[], digits_end[];

/* All that the net computes. Were it too small, the error would name the bytes that are missing. */
static _Alignas(BANTAM_ALIGNMENT) unsigned char memory[MEMORY_BYTES];

int main(void)
{
    static bantam_failure failure;
    bantam_net *net;
    struct score score;
    size_t count = (size_t)(digits_end - digits);

    bantam_status status =
        bantam_init(&net, model, (size_t)(model_end - model), 1, memory, sizeof memory, &failure);
    if (status == BANTAM_STATUS_OK)
        status = read_digits(net, digits, count, &score, &failure);
    if (status != BANTAM_STATUS_OK) {
        print(failure.text);
        print("\n");
        return 1;
    }
    print_number(score.right);
    print(" of ");
    print_number(count);
    print(" digits read right, ");
    print_number(score.as_desktop);
    print(" as on the desktop; ");
    print_number(sizeof memory);
    print(" bytes of memory, ");
    print_number(stack_bytes());
    print(" of stack\n");
    return count > 0 && score.as_desktop == count ? 0 : 1;
}
