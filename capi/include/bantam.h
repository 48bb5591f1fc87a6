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
 * The memory of a net or a trainer begins at a multiple of so many bytes.
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
   * The memory has too few bytes for the net or the trainer, or the budget too few for the training.
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
   * The net was not made by bantam_init, or the trainer by bantam_trainer_init.
   */
  BANTAM_STATUS_BAD_NET = 7,
  /**
   * An input is not a whole number of samples, more than the batch, or not as many samples as the others;
   * there are too few inputs or outputs, or too many; what is learnt is no whole batch; or an array is longer than memory.
   */
  BANTAM_STATUS_BAD_LENGTH = 8,
  /**
   * An input, an output, a weight or the loss is a NaN or an infinity, or Winograd's algorithm overflowed.
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
  /**
   * A target is nothing that the loss can be measured against: a class that there is not, for one.
   */
  BANTAM_STATUS_BAD_TARGET = 12,
  /**
   * The model cannot learn so: the rate, the momentum or the loss is none, no layer has that name, or none learns.
   */
  BANTAM_STATUS_BAD_TRAINING = 13,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum bantam_status bantam_status;
#else
typedef int32_t bantam_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What training makes small.
 */
enum bantam_loss
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Cross-entropy of the softmax of the outputs. Targets are a class for each sample, from 0, or a probability for each
   * output.
   */
  BANTAM_LOSS_SOFTMAX_CROSS_ENTROPY = 0,
  /**
   * Cross-entropy of the sigmoid of each output. Targets are from 0 to 1, one for each output.
   */
  BANTAM_LOSS_BINARY_CROSS_ENTROPY = 1,
  /**
   * The squared differences from the targets, one for each output.
   */
  BANTAM_LOSS_MEAN_SQUARED_ERROR = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum bantam_loss bantam_loss;
#else
typedef int32_t bantam_loss;
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
 * A net that learns. It lives in the memory that bantam_trainer_init was given, and needs no end. The model stays as it
 * is.
 *
 * Different trainers may learn in different threads, one trainer only in one at a time.
 */
typedef struct bantam_trainer bantam_trainer;

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

/**
 * How a net learns: by stochastic gradient descent. What is zero is as if it were not there.
 */
typedef struct bantam_training {
  /**
   * Learning rate.
   */
  float rate;
  /**
   * The share of the last step that is taken again, from 0 to below 1. It takes memory if it is not 0.
   */
  float momentum;
  /**
   * One of bantam_loss. A softmax or sigmoid that is in the loss is left out at the end of the model.
   */
  int32_t loss;
  /**
   * The name of the first layer that learns, ended by a zero: those before stay as they are. Null is as the model's
   * file has it, which is all layers where nothing else was said.
   */
  const char *first_layer;
  /**
   * Bytes that what a step computes, and the weights, may take at the most: outputs are dropped and computed again
   * where that is too little, and what is learnt is the same. 0 is what is fastest.
   */
  size_t budget;
  /**
   * What dropout and noise are drawn from.
   */
  uint64_t seed;
} bantam_training;

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

/**
 * How many bytes of memory bantam_trainer_init needs for this model, this batch and this training.
 *
 * @param model        bytes of a model file, at a multiple of 4
 * @param model_bytes  how many
 * @param batch        how many samples a step learns
 * @param training     how
 * @param bytes        where the answer goes
 * @param failure      where the reason goes if there is no answer, or null
 *
 * # Safety
 * Arrays are as long as stated.
 */
bantam_status bantam_trainer_memory_size(const void *model,
                                         size_t model_bytes,
                                         size_t batch,
                                         const struct bantam_training *training,
                                         size_t *bytes,
                                         struct bantam_failure *failure);

/**
 * Makes a trainer: its weights begin as the model has them. Those that do not learn are used where they lie in the
 * model's file, which may be flash.
 *
 * Only one thread at a time makes a net or a trainer or asks for its size; others get BANTAM_STATUS_BUSY.
 *
 * @param trainer       where the trainer goes
 * @param model         bytes of a model file, at a multiple of 4; they stay as they are while the trainer is used
 * @param model_bytes   how many
 * @param batch         how many samples a step learns
 * @param training      how; it is not used afterwards
 * @param memory        memory for the trainer alone, at a multiple of BANTAM_ALIGNMENT
 * @param memory_bytes  its length: bantam_trainer_memory_size or more
 * @param failure       where the reason goes if there is no trainer, or null
 *
 * # Safety
 * Arrays are as long as stated.
 */
bantam_status bantam_trainer_init(struct bantam_trainer **trainer,
                                  const void *model,
                                  size_t model_bytes,
                                  size_t batch,
                                  const struct bantam_training *training,
                                  void *memory,
                                  size_t memory_bytes,
                                  struct bantam_failure *failure);

/**
 * Learns a batch. The figures are of the weights as they were before. Allocates nothing. If it fails, the weights are
 * as they were, unless a gradient overflowed.
 *
 * @param trainer     the trainer
 * @param inputs      bantam_trainer_input_len numbers for each sample of the batch
 * @param input_len   how many numbers
 * @param targets     what each sample should give, as bantam_loss tells
 * @param target_len  how many numbers
 * @param loss        where the mean loss of a sample goes, or null
 * @param accuracy    where the share of samples goes that were right, a NaN if the loss knows no right and wrong, or null
 * @param failure     where the reason goes if it did not learn, or null
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_train_step(struct bantam_trainer *trainer,
                                const float *inputs,
                                size_t input_len,
                                const float *targets,
                                size_t target_len,
                                float *loss,
                                float *accuracy,
                                struct bantam_failure *failure);

/**
 * Runs what is learnt so far on samples that follow each other. A softmax or sigmoid at the end that the loss has in it
 * is left out. Allocates nothing.
 *
 * @param trainer    the trainer
 * @param input      bantam_trainer_input_len numbers for each sample
 * @param input_len  how many numbers: a whole number of samples, the batch at the most
 * @param output     where the address of the output goes: bantam_trainer_output_len numbers for each sample, in the
 *                   trainer's memory, until it runs or learns again
 * @param failure    where the reason goes if it did not run, or null
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_trainer_run(struct bantam_trainer *trainer,
                                 const float *input,
                                 size_t input_len,
                                 const float **output,
                                 struct bantam_failure *failure);

/**
 * Numbers of one sample. 0 if there is no such trainer.
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's, or null.
 */
size_t bantam_trainer_input_len(const struct bantam_trainer *trainer);

/**
 * Numbers of the output for one sample. 0 if there is no such trainer.
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's, or null.
 */
size_t bantam_trainer_output_len(const struct bantam_trainer *trainer);

/**
 * How many weights learn, moving statistics among them. 0 if there is no such trainer.
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's, or null.
 */
size_t bantam_trainer_weights_len(const struct bantam_trainer *trainer);

/**
 * Copies what was learnt: all weights that learn, in the order of the model.
 *
 * @param trainer      the trainer
 * @param weights      where they go
 * @param weights_len  how many: bantam_trainer_weights_len
 * @param failure      where the reason goes if they were not copied, or null
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_trainer_get_weights(const struct bantam_trainer *trainer,
                                         float *weights,
                                         size_t weights_len,
                                         struct bantam_failure *failure);

/**
 * Overwrites all weights that learn, with what bantam_trainer_get_weights gave. The optimiser begins anew.
 *
 * @param trainer      the trainer
 * @param weights      the weights, of a trainer of the same model with the same layers that learn
 * @param weights_len  how many: bantam_trainer_weights_len
 * @param failure      where the reason goes if the weights are as they were, or null
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_trainer_set_weights(struct bantam_trainer *trainer,
                                         const float *weights,
                                         size_t weights_len,
                                         struct bantam_failure *failure);

/**
 * How many bytes of memory bantam_trainer_init needs for this model, this batch and this training.
 *
 * @param model        bytes of a model file, at a multiple of 4
 * @param model_bytes  how many
 * @param batch        how many samples a step learns
 * @param training     how
 * @param bytes        where the answer goes
 * @param failure      where the reason goes if there is no answer, or null
 *
 * # Safety
 * Arrays are as long as stated.
 */
bantam_status bantam_trainer_memory_size(const void *model,
                                         size_t model_bytes,
                                         size_t batch,
                                         const struct bantam_training *training,
                                         size_t *bytes,
                                         struct bantam_failure *failure);

/**
 * Makes a trainer: its weights begin as the model has them. Those that do not learn are used where they lie in the
 * model's file, which may be flash.
 *
 * Only one thread at a time makes a net or a trainer or asks for its size; others get BANTAM_STATUS_BUSY.
 *
 * @param trainer       where the trainer goes
 * @param model         bytes of a model file, at a multiple of 4; they stay as they are while the trainer is used
 * @param model_bytes   how many
 * @param batch         how many samples a step learns
 * @param training      how; it is not used afterwards
 * @param memory        memory for the trainer alone, at a multiple of BANTAM_ALIGNMENT
 * @param memory_bytes  its length: bantam_trainer_memory_size or more
 * @param failure       where the reason goes if there is no trainer, or null
 *
 * # Safety
 * Arrays are as long as stated.
 */
bantam_status bantam_trainer_init(struct bantam_trainer **trainer,
                                  const void *model,
                                  size_t model_bytes,
                                  size_t batch,
                                  const struct bantam_training *training,
                                  void *memory,
                                  size_t memory_bytes,
                                  struct bantam_failure *failure);

/**
 * Learns a batch. The figures are of the weights as they were before. Allocates nothing. If it fails, the weights are
 * as they were, unless a gradient overflowed.
 *
 * @param trainer     the trainer
 * @param inputs      bantam_trainer_input_len numbers for each sample of the batch
 * @param input_len   how many numbers
 * @param targets     what each sample should give, as bantam_loss tells
 * @param target_len  how many numbers
 * @param loss        where the mean loss of a sample goes, or null
 * @param accuracy    where the share of samples goes that were right, a NaN if the loss knows no right and wrong, or null
 * @param failure     where the reason goes if it did not learn, or null
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_train_step(struct bantam_trainer *trainer,
                                const float *inputs,
                                size_t input_len,
                                const float *targets,
                                size_t target_len,
                                float *loss,
                                float *accuracy,
                                struct bantam_failure *failure);

/**
 * Runs what is learnt so far on samples that follow each other. A softmax or sigmoid at the end that the loss has in it
 * is left out. Allocates nothing.
 *
 * @param trainer    the trainer
 * @param input      bantam_trainer_input_len numbers for each sample
 * @param input_len  how many numbers: a whole number of samples, the batch at the most
 * @param output     where the address of the output goes: bantam_trainer_output_len numbers for each sample, in the
 *                   trainer's memory, until it runs or learns again
 * @param failure    where the reason goes if it did not run, or null
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_trainer_run(struct bantam_trainer *trainer,
                                 const float *input,
                                 size_t input_len,
                                 const float **output,
                                 struct bantam_failure *failure);

/**
 * Numbers of one sample. 0 if there is no such trainer.
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's, or null.
 */
size_t bantam_trainer_input_len(const struct bantam_trainer *trainer);

/**
 * Numbers of the output for one sample. 0 if there is no such trainer.
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's, or null.
 */
size_t bantam_trainer_output_len(const struct bantam_trainer *trainer);

/**
 * How many weights learn, moving statistics among them. 0 if there is no such trainer.
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's, or null.
 */
size_t bantam_trainer_weights_len(const struct bantam_trainer *trainer);

/**
 * Copies what was learnt: all weights that learn, in the order of the model.
 *
 * @param trainer      the trainer
 * @param weights      where they go
 * @param weights_len  how many: bantam_trainer_weights_len
 * @param failure      where the reason goes if they were not copied, or null
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_trainer_get_weights(const struct bantam_trainer *trainer,
                                         float *weights,
                                         size_t weights_len,
                                         struct bantam_failure *failure);

/**
 * Overwrites all weights that learn, with what bantam_trainer_get_weights gave. The optimiser begins anew.
 *
 * @param trainer      the trainer
 * @param weights      the weights, of a trainer of the same model with the same layers that learn
 * @param weights_len  how many: bantam_trainer_weights_len
 * @param failure      where the reason goes if the weights are as they were, or null
 *
 * # Safety
 * The trainer is one of bantam_trainer_init's or null, and arrays are as long as stated.
 */
bantam_status bantam_trainer_set_weights(struct bantam_trainer *trainer,
                                         const float *weights,
                                         size_t weights_len,
                                         struct bantam_failure *failure);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BANTAM_H */
