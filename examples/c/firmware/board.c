/* A Cortex-M4F: vectors, start, and semihosting, which QEMU answers. */
#include "board.h"

#include <stdint.h>

extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_start[], stack_end[];

enum { SYS_WRITE0 = 0x04, SYS_EXIT_EXTENDED = 0x20, STOPPED_APPLICATION_EXIT = 0x20026 };

static const uint32_t PAINT = 0xdeadbeef;

static void ask_host(uint32_t operation, const void *parameter)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = parameter;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void print(const char *text)
{
    ask_host(SYS_WRITE0, text);
}

void print_number(size_t number)
{
    char text[12];
    char *at = text + sizeof text;
    *--at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    print(at);
}

size_t stack_bytes(void)
{
    const uint32_t *at = stack_start;
    while (*at == PAINT)
        at++;
    return (size_t)((const char *)stack_end - (const char *)at);
}

static _Noreturn void leave(uint32_t status)
{
    const uint32_t why[] = {STOPPED_APPLICATION_EXIT, status};
    ask_host(SYS_EXIT_EXTENDED, why);
    for (;;)
        ;
}

static __attribute__((used)) void report(void)
{
    print("error: a fault, as of a stack that is too small\n");
    leave(3);
}

/* Begins the stack anew: it may be what overflowed. */
static __attribute__((naked)) void fault(void)
{
    __asm__("ldr r0, =stack_end\n\tmov sp, r0\n\tb report");
}

void reset(void)
{
    /* Armv7-M, B3.2.20: coprocessors 10 and 11, the FPU, are accessible. */
    *(volatile uint32_t *)0xe000ed88 |= 0xfU << 20;
    /* B3.5: nothing may touch the 64 KiB below the stack. The emulated board ignores what is written there. */
    *(volatile uint32_t *)0xe000ed9c = ((uintptr_t)stack_start - 0x10000) | 1U << 4;
    *(volatile uint32_t *)0xe000eda0 = 15U << 1 | 1;
    *(volatile uint32_t *)0xe000ed94 = 1U << 2 | 1;
    __asm__ volatile("dsb\n\tisb");
    for (uint32_t *to = data_start, *from = data_load; to < data_end;)
        *to++ = *from++;
    for (uint32_t *to = bss_start; to < bss_end;)
        *to++ = 0;
    uint32_t *here = __builtin_frame_address(0);
    for (uint32_t *to = stack_start; to < here - 16;)
        *to++ = PAINT;
    leave((uint32_t)main());
}

/* Armv7-M, B1.5.2: the initial stack pointer, reset, then NMI and the faults. */
struct vectors {
    const uint32_t *stack;
    void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    stack_end,
    {reset, fault, fault, fault, fault, fault},
};
