/* Bantam: nets that read what a sensor sees, in memory that is yours.
 *
 * Made from capi/src by `cargo run -p bantam-header`; change it there. */

#ifndef BANTAM_H
#define BANTAM_H

#include <stddef.h>
#include <stdint.h>

/**
 * Bytes of an error's text, the zero at its end included.
 */
#define BANTAM_TEXT_BYTES 252

/**
 * The memory of a net begins at a multiple of so many bytes.
 */
#define BANTAM_ALIGNMENT 64

/**
 * What became of a call.
 */
enum bantam_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done.
   */
  BANTAM_STATUS_OK = 0,
  /**
   * A pointer that must point somewhere is null.
   */
  BANTAM_STATUS_NULL_POINTER = 1,
  /**
   * A pointer is not a multiple of what it must be.
   */
  BANTAM_STATUS_MISALIGNED = 2,
  /**
   * Arrays overlap that must not.
   */
  BANTAM_STATUS_OVERLAP = 3,
  /**
   * The memory has too few bytes for the net.
   */
  BANTAM_STATUS_MEMORY_TOO_SMALL = 4,
  /**
   * The model is no model file, of another version, cut short or damaged, or its layers do not fit.
   */
  BANTAM_STATUS_BAD_MODEL = 5,
  /**
   * The batch is zero, or more than memory can hold.
   */
  BANTAM_STATUS_BAD_BATCH = 6,
  /**
   * The net was not made by bantam_init.
   */
  BANTAM_STATUS_BAD_NET = 7,
  /**
   * An input is not a whole number of samples, more than the batch, or not as many samples as the others;
   * there are too few inputs or outputs, or too many; or an array is longer than memory.
   */
  BANTAM_STATUS_BAD_LENGTH = 8,
  /**
   * An input or an output holds a NaN or an infinity, or Winograd's algorithm overflowed.
   */
  BANTAM_STATUS_NOT_A_NUMBER = 9,
  /**
   * Another thread makes a net just now.
   */
  BANTAM_STATUS_BUSY = 10,
  /**
   * The model has layers that the library was built without: the text names all of them.
   */
  BANTAM_STATUS_MISSING_LAYERS = 11,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum bantam_status bantam_status;
#else
typedef int32_t bantam_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A net that is ready to run. It lives in the memory that bantam_init was given, and needs no end:
 * when it is no longer used that memory and the model's file are free for other things.
 *
 * Different nets may run in different threads, one net only in one at a time.
 */
typedef struct bantam_net bantam_net;

/**
 * Why a call was refused. It is the caller's, and written when a call fails.
 */
typedef struct bantam_failure {
  /**
   * What the call gave back.
   */
  bantam_status status;
  /**
   * What was expected and what came, in UTF-8, ended by a zero; cut where it is longer.
   */
  char text[BANTAM_TEXT_BYTES];
} bantam_failure;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * How many bytes of memory bantam_init needs for this model and this batch.
 *
 * The lists of layers are tried in 16 KiB of static memory, 1 MiB on computers of 64 bits, which the
 * linker leaves out of programs that do not call this. bantam_init needs no more stack than this does.
 *
 * @param model        bytes of a model file, at a multiple of 4
 * @param model_bytes  how many
 * @param batch        how many samples run at once at the most
 * @param bytes        where the answer goes
 * @param failure      where the reason goes if there is no answer, or null
 *
 * # Safety
 * Arrays are as long as stated.
 */
bantam_status bantam_memory_size(const void *model,
                                 size_t model_bytes,
                                 size_t batch,
                                 size_t *bytes,
                                 struct bantam_failure *failure);

/**
 * Makes a net. It uses the weights where they lie in the model's file, which may be flash.
 *
 * Only one thread at a time makes a net or asks for its size; others get BANTAM_STATUS_BUSY.
 *
 * @param net           where the net goes
 * @param model         bytes of a model file, at a multiple of 4; they stay as they are while the net is used
 * @param model_bytes   how many
 * @param batch         how many samples run at once at the most
 * @param memory        memory for the net alone, at a multiple of BANTAM_ALIGNMENT
 * @param memory_bytes  its length: bantam_memory_size or more
 * @param failure       where the reason goes if there is no net, or null
 *
 * # Safety
 * Arrays are as long as stated.
 */
bantam_status bantam_init(struct bantam_net **net,
                          const void *model,
                          size_t model_bytes,
                          size_t batch,
                          void *memory,
                          size_t memory_bytes,
                          struct bantam_failure *failure);

/**
 * How many inputs the model has. 0 if there is no such net.
 *
 * # Safety
 * The net is one of bantam_init's, or null.
 */
size_t bantam_input_count(const struct bantam_net *net);

/**
 * How many outputs the model has. 0 if there is no such net.
 *
 * # Safety
 * The net is one of bantam_init's, or null.
 */
size_t bantam_output_count(const struct bantam_net *net);

/**
 * Numbers of one sample: height × width × channels, channels last. Of the first input, if there are
 * several. 0 if there is no such net.
 *
 * # Safety
 * The net is one of bantam_init's, or null.
 */
size_t bantam_input_len(const struct bantam_net *net);

/**
 * Numbers of the output for one sample. Of the first output, if there are several. 0 if there is no
 * such net.
 *
 * # Safety
 * The net is one of bantam_init's, or null.
 */
size_t bantam_output_len(const struct bantam_net *net);

/**
 * As bantam_input_len, of the input of that index. 0 if there is none.
 *
 * # Safety
 * The net is one of bantam_init's, or null.
 */
size_t bantam_input_len_at(const struct bantam_net *net, size_t index);

/**
 * As bantam_output_len, of the output of that index. 0 if there is none.
 *
 * # Safety
 * The net is one of bantam_init's, or null.
 */
size_t bantam_output_len_at(const struct bantam_net *net, size_t index);

/**
 * Runs a net of one input on samples that follow each other. Allocates nothing.
 *
 * @param net        the net
 * @param input      bantam_input_len numbers for each sample
 * @param input_len  how many numbers: a whole number of samples, the batch at the most
 * @param output     where the address of the first output goes: bantam_output_len numbers for each
 *                   sample, in the net's memory, until it runs again
 * @param failure    where the reason goes if it did not run, or null
 *
 * # Safety
 * The net is one of bantam_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_run(struct bantam_net *net,
                         const float *input,
                         size_t input_len,
                         const float **output,
                         struct bantam_failure *failure);

/**
 * Runs a net on as many samples of each of its inputs. Allocates nothing.
 *
 * @param net           the net
 * @param inputs        an address for each input, of bantam_input_len_at numbers for each sample
 * @param input_lens    how many numbers each input has: a whole number of samples, the batch at the most
 * @param input_count   how many inputs: bantam_input_count
 * @param outputs       where the address of each output goes: bantam_output_len_at numbers for each
 *                      sample, in the net's memory, until it runs again
 * @param output_count  how many outputs: bantam_output_count
 * @param failure       where the reason goes if it did not run, or null
 *
 * # Safety
 * The net is one of bantam_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_run_all(struct bantam_net *net,
                             const float *const *inputs,
                             const size_t *input_lens,
                             size_t input_count,
                             const float **outputs,
                             size_t output_count,
                             struct bantam_failure *failure);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BANTAM_H */
