/* What a board gives to a program. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>

int main(void);

/* To the host that debugs the board. */
void print(const char *text);
void print_number(size_t number);

/* How deep the stack has been. */
size_t stack_bytes(void);

#endif
