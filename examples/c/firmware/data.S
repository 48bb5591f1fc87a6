/* The model and the digits, in flash. */
    .section .rodata
    .balign 64
    .global model, model_end, digits, digits_end
model:
    .incbin "mnist.bantam"
model_end:
    .balign 4
digits:
    .incbin "digits.bin"
digits_end:
