use crate::error::Error;
use crate::parallel::Threads;
use crate::shape::Shape;
use bantam_kernels::Isa;
use bantam_kernels::conv2d::Activation;
use core::any::Any;
use core::ops::Range;

/// What a layer is lowered for.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The instruction set.
    pub isa: Isa,
    /// How many threads share the work.
    pub threads: Threads,
    /// Whether convolutions are to leave Winograd's algorithm out.
    pub direct_only: bool,
    /// Elements of all weights of the model, which pass through the caches between two runs of a step.
    pub model_weights: usize,
    /// Whether the layer is trainable, in training: what goes by statistics then goes by the batch's own.
    pub learns: bool,
    /// What the step does with its sums at last, if the layer
    /// [takes an activation](crate::LayerType::takes_activation).
    pub activation: Activation,
    /// Shapes of the inputs, a full batch: `[N, …]`.
    pub inputs: &'a [Shape],
    /// Shapes of the weights.
    pub weights: &'a [Shape],
}

/// A layer made ready to run: all is chosen and checked that does not depend on the numbers.
pub trait Step: Send + Sync {
    /// Elements that [`prepare`](Self::prepare) makes, such as packed weights.
    fn prepared_len(&self) -> usize {
        0
    }

    /// Turns weights into a form that is fast to use: once for a session, in each step of a training.
    ///
    /// # Errors
    /// The weights are beyond what the step can compute with.
    fn prepare(&self, _weights: &[&[f32]], _prepared: &mut [f32]) -> Result<(), Error> {
        Ok(())
    }

    /// Whether [`forward`](Self::forward) reads the weights of that index: those that are prepared may be of no more use.
    fn reads_weights(&self, _index: usize) -> bool {
        true
    }

    /// Elements of scratch that [`forward`](Self::forward) takes.
    fn scratch_len(&self) -> usize {
        0
    }

    /// Multiply-adds of a full batch, as direct computation counts them.
    fn multiply_adds(&self) -> u64 {
        0
    }

    /// Whether the output may lie where that input does.
    fn overwrites(&self, _input: usize) -> bool {
        false
    }

    /// Has an input or the output lie in some channels of a wider map, of so many: what it reads or writes there then
    /// begins with the first of its own elements and ends with the last. Gives whether the step can; if not, nothing
    /// changes. A step that can for some widths can for that of a map of its own.
    fn slice(&mut self, _port: Port, _width: usize) -> bool {
        false
    }

    /// Itself, for layers that merge steps: what they do with it is linked with them.
    #[doc(hidden)]
    fn merged(&mut self) -> Option<&mut dyn Any> {
        None
    }

    /// Computes the output.
    ///
    /// # Errors
    /// Sums overflow where the step cannot have that.
    fn forward(&self, run: Forward<'_>) -> Result<(), Error>;
}

/// Where numbers go into a step, or come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The input of that index.
    Input(usize),
    /// The output.
    Output,
}

/// A step that a backward pass follows.
pub trait TrainingStep: Step {
    /// Bytes that are saved for the backward pass, beside inputs and output.
    fn saved_len(&self) -> usize {
        0
    }

    /// As [`forward`](Step::forward), and fills what is saved. In training nothing is overwritten.
    ///
    /// # Errors
    /// As [`forward`](Step::forward).
    fn forward_saving(&self, run: Forward<'_>, _saved: &mut [u8]) -> Result<(), Error> {
        self.forward(run)
    }

    /// Elements of scratch that [`backward`](Self::backward) takes, with a gradient to the input or without.
    fn backward_scratch_len(&self, _d_input: bool) -> usize {
        0
    }

    /// What [`backward`](Self::backward) reads of what went forward: the rest need not be kept, and is empty then.
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::ALL
    }

    /// Whether [`backward`](Self::backward) leaves in `d_output` the gradient to every input, whichever it is asked for: as
    /// that of a sum is. The inputs may then have it where it lies, instead of copies.
    fn passes_gradient_on(&self) -> bool {
        false
    }

    /// Whether [`backward`](Self::backward) may change `d_output`.
    fn changes_gradient(&self) -> bool {
        true
    }

    /// What the step takes from the whole batch, if its output depends on that.
    fn batch_statistics(&self) -> Option<&dyn BatchStatistics> {
        None
    }

    /// Computes the gradients that are asked for, of a full batch.
    ///
    /// # Errors
    /// Sums overflow where the step cannot have that.
    fn backward(&self, run: Backward<'_>) -> Result<(), Error>;

    /// What the layer adds to the loss of a batch by itself, from its inputs. [`backward`](Self::backward) has the gradient of it.
    fn penalty(&self, _inputs: &[&[f32]]) -> f32 {
        0.0
    }

    /// How many rows the first weights have, if [`backward_rows`](Self::backward_rows) gives the gradients of
    /// some.
    fn weight_rows(&self) -> Option<usize> {
        None
    }

    /// The gradients of some rows of the first weights, after [`backward`](Self::backward), which has left in
    /// `d_output` what they are made of.
    ///
    /// # Errors
    /// There are no such rows.
    fn backward_rows(&self, _run: BackwardRows<'_>) -> Result<(), Error> {
        Err(Error::Empty { what: "rows of weights" })
    }
}

/// What a backward pass reads of what went forward, beside what was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackwardReads {
    /// The inputs.
    pub inputs: bool,
    /// The output.
    pub output: bool,
}

impl BackwardReads {
    /// Inputs and output.
    pub const ALL: BackwardReads = BackwardReads { inputs: true, output: true };
    /// The inputs alone.
    pub const INPUTS: BackwardReads = BackwardReads { inputs: true, output: false };
    /// The output alone.
    pub const OUTPUT: BackwardReads = BackwardReads { inputs: false, output: true };
    /// Neither.
    pub const NOTHING: BackwardReads = BackwardReads { inputs: false, output: false };

    /// The output, if an activation is to be undone.
    pub(crate) fn output_of(activation: Activation) -> BackwardReads {
        BackwardReads { inputs: false, output: activation != Activation::None }
    }

    /// And the inputs.
    pub(crate) fn and_inputs(self) -> BackwardReads {
        BackwardReads { inputs: true, ..self }
    }
}

/// What a step takes from all samples of a batch before it can give an output, and before it can give a gradient. A batch
/// may be computed in parts: each gathers what it can see, that is merged in an order which does not depend on threads, and
/// every part goes on with the same.
pub trait BatchStatistics {
    /// Numbers of the forward pass.
    fn statistics_len(&self) -> usize;

    /// Checks that a batch of as many samples as the step was lowered for has some, where it is no part of a larger one.
    ///
    /// # Errors
    /// They are too few.
    fn check_batch(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Fills them, for the samples at hand.
    ///
    /// # Errors
    /// The lengths differ.
    fn gather(&self, inputs: &[&[f32]], statistics: &mut [f32]) -> Result<(), Error>;

    /// Makes those of two parts of these, and of those of another part that is a `share` of both.
    ///
    /// # Errors
    /// The lengths differ.
    fn merge(&self, statistics: &mut [f32], other: &[f32], share: f32) -> Result<(), Error>;

    /// Numbers of the backward pass.
    fn means_len(&self) -> usize;

    /// Fills them, as means over the samples at hand, just before the backward pass.
    ///
    /// # Errors
    /// The lengths differ.
    fn gather_gradient(&self, run: &mut Backward<'_>, means: &mut [f32]) -> Result<(), Error>;

    /// Moves the weights of that index, which are [moving](crate::Signature::moving), towards what the batch has.
    fn update(&self, statistics: &[f32], index: usize, weights: &mut [f32]);
}

/// A forward pass: `output` is overwritten.
#[derive(Debug)]
pub struct Forward<'a> {
    /// Samples, a full batch at the most.
    pub samples: usize,
    /// What is read, `[samples, …]` each.
    pub inputs: &'a [&'a [f32]],
    /// The weights, as the signature lists them.
    pub weights: &'a [&'a [f32]],
    /// What [`Step::prepare`] has made.
    pub prepared: &'a [f32],
    /// The input whose numbers lie at the front of `output`; its place in `inputs` is empty.
    pub overwritten: Option<usize>,
    /// `[samples, …]`; longer if the input that it overwrites is.
    pub output: &'a mut [f32],
    /// Its contents are unspecified.
    pub scratch: &'a mut [f32],
    /// What randomness is drawn from in training, for the first sample: another number for each layer and step. The next sample
    /// draws from the next number, so that it draws the same whichever part of a batch it comes in.
    pub seed: u64,
    /// What [`BatchStatistics::gather`] found, over the whole batch.
    pub statistics: &'a [f32],
}

impl Forward<'_> {
    /// The same with an input's numbers at the front of the output, which are copied if they lie elsewhere.
    pub(crate) fn overwriting(mut self, input: usize) -> Self {
        if self.overwritten != Some(input) {
            self.output.copy_from_slice(self.inputs[input]);
            self.overwritten = Some(input);
        }
        self
    }
}

/// A backward pass: the gradients that are asked for are overwritten. A layer of several inputs is asked for one
/// gradient after the other.
#[derive(Debug)]
pub struct Backward<'a> {
    /// The inputs of the forward pass.
    pub inputs: &'a [&'a [f32]],
    /// The weights of the forward pass.
    pub weights: &'a [&'a [f32]],
    /// The output of the forward pass.
    pub output: &'a [f32],
    /// What the forward pass saved.
    pub saved: &'a [u8],
    /// The gradient to the output. A layer of one input may change it.
    pub d_output: &'a mut [f32],
    /// What part of the batch these samples are: gradients of several parts are added up.
    pub share: f32,
    /// Which input's gradient `d_input` is.
    pub input: usize,
    /// The gradient to that input.
    pub d_input: Option<&'a mut [f32]>,
    /// The gradients to the weights.
    pub d_weights: &'a mut [Option<&'a mut [f32]>],
    /// Its contents are unspecified.
    pub scratch: &'a mut [f32],
    /// As in the forward pass.
    pub statistics: &'a [f32],
    /// What [`BatchStatistics::gather_gradient`] found, over the whole batch.
    pub gradient_means: &'a [f32],
}

/// Gradients of some rows of the first weights: `d_weights` is overwritten.
#[derive(Debug)]
pub struct BackwardRows<'a> {
    /// The input of the forward pass.
    pub input: &'a [f32],
    /// The gradient to the output, as [`TrainingStep::backward`] has left it.
    pub d_output: &'a [f32],
    /// Which rows.
    pub rows: Range<usize>,
    /// Their gradients.
    pub d_weights: &'a mut [f32],
}
