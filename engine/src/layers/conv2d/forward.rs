use crate::error::Error;
use crate::layers::{Forward, Port, Site, Step};
use crate::parallel::{Threads, WORTH_SHARING, for_each_chunk_with, for_each_columns};
use bantam_kernels::conv2d::{Activation, Algorithm, Convolution, Geometry};
use bantam_kernels::{Columns, Isa};
use core::any::Any;

/// A convolution or dense layer. Threads share it by images, rows or pixels.
pub struct ConvolutionStep {
    isa: Isa,
    convolution: Convolution,
    activation: Activation,
    threads: Threads,
    /// How threads share a full batch, if there are several.
    #[cfg(feature = "parallel")]
    parts: Option<Parts>,
    scratch_len: usize,
}

/// A 1×1 convolution with stride 1.
#[derive(Clone, Copy)]
pub(crate) struct Pointwise {
    pub channels: usize,
    pub filters: usize,
    pub activation: Activation,
    /// Added to a second input, before this activation.
    pub adds: Option<Activation>,
}

impl ConvolutionStep {
    pub(crate) fn on_one_thread(isa: Isa, geometry: &Geometry, activation: Activation) -> ConvolutionStep {
        let (threads, learns, direct_only) = (Threads::ONE, false, false);
        let site = Site {
            isa,
            threads,
            direct_only,
            model_weights: 0,
            learns,
            activation,
            inputs: &[],
            weights: &[],
        };
        ConvolutionStep::new(geometry, &site)
    }

    #[inline(never)] // One copy for convolutions and dense layers.
    pub(crate) fn new(geometry: &Geometry, site: &Site<'_>) -> ConvolutionStep {
        let Site { isa, threads, activation, .. } = *site;
        let convolution = Convolution::new(isa, geometry);
        #[cfg(feature = "parallel")]
        let mut parts = None;
        let mut scratch_len = convolution.scratch_len();
        if threads.are_more_than(1) {
            let [batch, ..] = geometry.input();
            // There may be fewer images than a full batch, in no more parts than there are threads and in none larger
            // than those of the batch. One may be parted by rows; a few may be one part, where more are several.
            let one = geometry.first(1).multiply_adds().max(1);
            let few = ((WORTH_SHARING - 1) / one).clamp(1, batch as u64) as usize;
            let full = Parts::new(isa, threads, convolution, batch);
            scratch_len = full.all_scratch_len;
            if full.by == By::Images {
                scratch_len = threads.count().min(batch).saturating_mul(full.scratch_len);
            }
            for batch in [1, few] {
                scratch_len = scratch_len.max(Parts::new(isa, threads, convolution, batch).all_scratch_len);
            }
            #[cfg(feature = "parallel")]
            {
                parts = Some(full);
            }
        }
        ConvolutionStep {
            isa,
            convolution,
            activation,
            threads,
            #[cfg(feature = "parallel")]
            parts,
            scratch_len,
        }
    }

    /// Has it add what it computes to a second input, which [may be overwritten](Step::overwrites), and apply the activation to
    /// the sums. Gives whether it can; if not, nothing changes.
    pub(crate) fn add(&mut self, activation: Activation) -> bool {
        if self.activation != Activation::None || self.convolution.adds() {
            return false;
        }
        let Some(adding) = self.convolution.adding() else { return false };
        #[cfg(feature = "parallel")]
        if let Some(parts) = &mut self.parts {
            let Some(whole) = parts.whole.adding() else { return false };
            parts.whole = whole;
        }
        (self.convolution, self.activation) = (adding, activation);
        true
    }

    /// As a 1×1 convolution, if it is one.
    pub(crate) fn pointwise(&self) -> Option<Pointwise> {
        let geometry = self.convolution.geometry();
        let ([_, rows, columns, channels], [kh, kw, seen, filters]) = (geometry.input(), geometry.weights());
        let [_, height, width, _] = geometry.output();
        let plain = [kh, kw, height, width, seen] == [1, 1, rows, columns, channels];
        let (activation, adds) = match self.convolution.adds() {
            true => (Activation::None, Some(self.activation)),
            false => (self.activation, None),
        };
        let own = self.convolution.widths() == [channels, filters];
        (plain && own).then_some(Pointwise { channels, filters, activation, adds })
    }

    /// How threads share so many images.
    fn parts(&self, batch: usize) -> Parts {
        #[cfg(feature = "parallel")]
        if let Some(full) = self.parts
            && batch == self.convolution.geometry().input()[0]
        {
            return full;
        }
        Parts::new(self.isa, self.threads, self.convolution, batch)
    }
}

impl Step for ConvolutionStep {
    fn prepared_len(&self) -> usize {
        self.convolution.packed_len()
    }

    fn prepare(&self, weights: &[&[f32]], prepared: &mut [f32]) -> Result<(), Error> {
        Ok(self.convolution.pack(weights[0], prepared)?)
    }

    /// Not the kernel, if it is packed.
    fn reads_weights(&self, index: usize) -> bool {
        index > 0 || self.prepared_len() == 0
    }

    fn scratch_len(&self) -> usize {
        self.scratch_len
    }

    fn multiply_adds(&self) -> u64 {
        self.convolution.geometry().multiply_adds()
    }

    fn overwrites(&self, input: usize) -> bool {
        self.convolution.adds() && input == 1
    }

    fn merged(&mut self) -> Option<&mut dyn Any> {
        Some(self)
    }

    fn slice(&mut self, port: Port, width: usize) -> bool {
        if self.convolution.adds() && port != Port::Input(0) {
            return width == self.convolution.geometry().output()[3];
        }
        let [mut read, mut write] = self.convolution.widths();
        *(if port == Port::Output { &mut write } else { &mut read }) = width;
        let can = self.convolution.slice([read, write]);
        #[cfg(feature = "parallel")]
        if let Some(parts) = &mut self.parts {
            // What the whole can, as many pixels can.
            return can && parts.whole.slice([read, write]);
        }
        can
    }

    fn forward(&self, mut run: Forward<'_>) -> Result<(), Error> {
        if self.convolution.adds() {
            run = run.overwriting(1);
        }
        let (input, weights, activation) = (run.inputs[0], Weights::of(&run), self.activation);
        let (output, scratch) = (run.output, run.scratch);
        if !self.threads.are_more_than(1) {
            let convolution = self.convolution.first(run.samples);
            return weights.convolve(&convolution, activation, input, output, scratch);
        }
        let Parts { whole, by, part, scratch_len, .. } = self.parts(run.samples);
        let ([_, height, width, channels], [_, output_height, output_width, features]) =
            (whole.geometry().input(), whole.geometry().output());
        let [read, write] = whole.widths();
        let (input_row, output_row) = (width * read, output_width * write);
        let (input_len, output_len) = (height * input_row, output_height * output_row);
        // A slice of wider maps ends with its own last channel.
        let (past_input, past_output) = (read - channels, write - features);
        if by == By::Features {
            let Weights { prepared, bias } = weights;
            let columns =
                Columns::of_wider(output, run.samples * output_height * output_width, write, features)?;
            let of_part = |index| whole.features(index, part).ok_or(Error::Empty { what: "features" });
            let first_of = |index| of_part(index).map_or(0, |features| features.range().start);
            return for_each_columns(
                0..part,
                columns,
                (scratch, scratch_len),
                &first_of,
                &|index, output, scratch| {
                    let features = of_part(index)?;
                    let scratch = &mut scratch[..features.scratch_len()];
                    Ok(features.forward(input, prepared, bias, activation, output, scratch)?)
                },
            );
        }
        if by == By::Images {
            let chunks = (output, part * output_len);
            return for_each_chunk_with(chunks, (scratch, scratch_len), |i, output, scratch| {
                let here = output.len().div_ceil(output_len);
                let input = &input[i * part * input_len..][..here * input_len - past_input];
                let output = &mut output[..here * output_len - past_output];
                weights.convolve(&whole.first(here), activation, input, output, scratch)
            });
        }
        for (input, output) in input.chunks(input_len).zip(output.chunks_mut(output_len)) {
            let chunks = (output, part * output_row);
            for_each_chunk_with(chunks, (&mut *scratch, scratch_len), |i, output, scratch| {
                let here = output.len().div_ceil(output_row);
                let Some((part, seen)) = whole.rows(i * part..i * part + here) else { return Ok(()) };
                let input = &input[seen.start * input_row..seen.end * input_row - past_input];
                let output = &mut output[..here * output_row - past_output];
                weights.convolve(&part, activation, input, output, scratch)
            })?;
        }
        Ok(())
    }
}

/// What a forward pass multiplies by and adds.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    prepared: &'a [f32],
    bias: Option<&'a [f32]>,
}

impl<'a> Weights<'a> {
    /// Where there was nothing to prepare the weights themselves serve.
    pub fn of(run: &Forward<'a>) -> Weights<'a> {
        let prepared = if run.prepared.is_empty() { run.weights[0] } else { run.prepared };
        Weights { prepared, bias: run.weights.get(1).copied() }
    }

    /// A convolution on one thread, with scratch at the front of what there is.
    pub fn convolve(
        self,
        convolution: &Convolution,
        activation: Activation,
        input: &[f32],
        output: &mut [f32],
        scratch: &mut [f32],
    ) -> Result<(), Error> {
        let scratch = &mut scratch[..convolution.scratch_len()];
        Ok(convolution.forward(input, self.prepared, self.bias, activation, output, scratch)?)
    }
}

/// What threads share a forward pass by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Images, or as many pixels if the window is a single one.
    Images,
    /// Rows of each image.
    Rows,
    /// Features of all pixels, where the weights are more than the input: then each thread reads some of them.
    Features,
}

/// How a forward pass is parted among threads.
#[derive(Clone, Copy)]
struct Parts {
    /// Of all images, or of pixels.
    whole: Convolution,
    by: By,
    /// Images, pixels or rows of a part; how many parts of the features.
    part: usize,
    /// Elements of scratch of a part, the largest, and of all.
    scratch_len: usize,
    all_scratch_len: usize,
}

impl Parts {
    fn new(isa: Isa, threads: Threads, convolution: Convolution, batch: usize) -> Parts {
        let whole = convolution.first(batch);
        if whole.geometry().multiply_adds() >= WORTH_SHARING
            && let Some(parts) = Parts::of_features(threads, &whole)
        {
            return parts;
        }
        let geometry = whole.geometry();
        if !threads.are_more_than(batch) || geometry.first(1).multiply_adds() < WORTH_SHARING {
            return Parts::of_images(threads, whole);
        }
        let ([n, h, w, cin], [kh, kw, seen, cout], [_, oh, ow, _]) =
            (geometry.input(), geometry.weights(), geometry.output());
        if [kh, kw, oh, ow, seen] == [1, 1, h, w, cin]
            && let Ok(pixels) = Geometry::dense(n * h * w, cin, cout)
            // On weights that are packed: of a single pixel they might be taken as they are.
            && let Ok(mut pixels) = Convolution::with_algorithm(isa, &pixels, Algorithm::Direct)
            && pixels.slice(whole.widths())
            && let Some(pixels) = if whole.adds() { pixels.adding() } else { Some(pixels) }
        {
            return Parts::of_images(threads, pixels);
        }
        // Tiles stay whole, so that the bits stay the same.
        let part = threads.part_of(oh).next_multiple_of(whole.algorithm().rows()).min(oh);
        if (0..oh).step_by(part).any(|row| geometry.rows(row..oh.min(row + part)).is_none()) {
            return Parts::of_images(threads, whole);
        }
        let scratch_len = whole.rows(0..part).map_or(0, |(part, _)| part.scratch_len());
        let all_scratch_len = oh.div_ceil(part).saturating_mul(scratch_len);
        Parts { whole, by: By::Rows, part, scratch_len, all_scratch_len }
    }

    /// By features, if that is less to read, and about as much work for each thread.
    fn of_features(threads: Threads, whole: &Convolution) -> Option<Parts> {
        let (geometry, parts) = (whole.geometry(), threads.count());
        let [input, weights] =
            [&geometry.input(), &geometry.weights()].map(|shape| shape.iter().product::<usize>());
        if weights <= input {
            return None;
        }
        let (mut widest, mut scratch_len) = (0, 0);
        for part in 0..parts {
            let features = whole.features(part, parts)?;
            widest = widest.max(features.range().len());
            scratch_len = scratch_len.max(features.scratch_len());
        }
        let all_scratch_len = parts.saturating_mul(scratch_len);
        let even = widest.saturating_mul(parts) <= geometry.output()[3].saturating_mul(9) / 8;
        even.then_some(Parts { whole: *whole, by: By::Features, part: parts, scratch_len, all_scratch_len })
    }

    fn of_images(threads: Threads, whole: Convolution) -> Parts {
        let [count, ..] = whole.geometry().input();
        let part = threads.part_of_work(count, whole.geometry().multiply_adds());
        let scratch_len = whole.first(part).scratch_len();
        let all_scratch_len = count.div_ceil(part).saturating_mul(scratch_len);
        Parts { whole, by: By::Images, part, scratch_len, all_scratch_len }
    }
}
