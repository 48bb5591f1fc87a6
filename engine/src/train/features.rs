use super::batch::Batch;
use super::data::{Dataset, Samples};
use crate::error::Error;
use crate::graph::Model;
use crate::memory::buffer::Buffer;
use crate::memory::heap;
use crate::parallel;
use crate::plan::Options;
use crate::plan::inference::Layout;
use crate::plan::training::few_at_a_time;
use crate::run::session::check_finite;
use crate::tensor::Tensor;
use alloc::vec::Vec;

/// What a base that does not learn gives for each sample of a data set, computed once: a head is then trained on that alone.
///
/// The base runs as [`fit`](crate::Trainer::fit) runs frozen layers: [folded](Model::fold), unless code is scalar, and few samples
/// at a time, so that their maps stay in a cache. What it gives differs by rounding from what a [`Session`](crate::Session) of it
/// gives that is not folded. An epoch of the head takes none of the base's time, and with the head's weights in the whole model it
/// is what training that, with all layers of the base frozen and none behind them, would have made, to the bit, where the data
/// set gives the same samples in every epoch and the head draws no random numbers.
///
/// ```
/// use bantam::{Features, Loss, Options, Samples, Sequential, Sgd, Tensor, Trainer};
/// use std::ops::ControlFlow;
/// let net = Sequential::new([8, 8, 1]).conv2d(4, 3).relu().max_pool2d(2).named("features");
/// let mut model = net.flatten().dense(2).build(1)?;
/// let images = Samples::new(Tensor::zeros(&[6, 8, 8, 1])?, Tensor::new(&[6, 1], vec![0., 1., 0., 1., 0., 1.])?)?;
///
/// let (base, mut head) = model.split_at("features")?;
/// let features = Features::new(&base, &images, Options::new(4))?.collect(&mut |_done| {})?;
/// let mut trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).epochs(3);
/// trainer.fit(&mut head, &features, None, &mut |_| ControlFlow::Continue(()))?;
///
/// let learnt: Vec<&[f32]> = head.weights("dense")?.iter().map(|weights| weights.values()).collect();
/// model.set_weights("dense", &learnt)?;
/// # Ok::<(), bantam::Error>(())
/// ```
pub struct Features<'a> {
    base: &'a Model<'a>,
    /// It, if there is something to fold.
    folded: Option<Model<'static>>,
    /// For few samples at a time.
    layout: Layout,
    arena: Buffer,
    data: &'a dyn Dataset,
    room: Batch,
    batch: usize,
    /// What the base gave for the last batch.
    given: Vec<f32>,
    /// The first sample of the next batch.
    next: usize,
}

/// Some samples, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct FeatureBatch<'f> {
    /// The first one's number in the data set.
    pub first: usize,
    /// What the base gives, `[N, …]`.
    pub features: &'f [f32],
    /// The data set's targets, `[N, target_len]`.
    pub targets: &'f [f32],
    /// The data set's weights, `[N]`.
    pub weights: &'f [f32],
}

impl<'a> Features<'a> {
    /// Samples are read, and given, so many at a time as `options` says. Their bits do not depend on that, nor on the threads.
    ///
    /// # Errors
    /// The data set or the batch is empty; its samples do not have the base's shape; the base has several inputs or outputs, or
    /// a normalisation that cannot be [folded](Model::fold); or there is no memory.
    pub fn new(base: &'a Model<'a>, data: &'a dyn Dataset, options: Options) -> Result<Features<'a>, Error> {
        if data.is_empty() {
            return Err(Error::Empty { what: "data set" });
        }
        base.only_input()?.require("samples of the data set", data.input_shape())?;
        base.only_output()?;
        let batch = options.batch.min(data.len());
        let options = few_at_a_time(base, Options { batch, ..options });
        let folded = base.folded_base(base.outputs(), options.isa)?;
        let model = folded.as_ref().unwrap_or(base);
        let layout = Layout::new(model, model.outputs(), options)?;
        let mut arena = Buffer::try_new(layout.arena_len())?;
        layout.prepare(model, &mut arena)?;
        let room = Batch::new(batch, data)?;
        let given = heap::zeros(batch.saturating_mul(base.output_shape().elements()))?;
        Ok(Features { base, folded, layout, arena, data, room, batch, given, next: 0 })
    }

    /// The next samples, none after the last.
    ///
    /// # Errors
    /// A sample cannot be read, or it or what the base gives is not finite.
    pub fn next_batch(&mut self) -> Result<Option<FeatureBatch<'_>>, Error> {
        let first = self.next;
        let rows = self.batch.min(self.data.len() - first);
        if rows == 0 {
            return Ok(None);
        }
        self.room.read(self.data, None, first..first + rows)?;
        self.run(rows).map_err(|error| error.after(first))?;
        self.next += rows;
        let features = &self.given[..rows * self.base.output_shape().elements()];
        let [targets, weights] = [self.room.targets(rows), self.room.weights(rows)];
        Ok(Some(FeatureBatch { first, features, targets, weights }))
    }

    /// Runs the base on so many samples, which were read and checked.
    fn run(&mut self, rows: usize) -> Result<(), Error> {
        let Features { base, folded, layout, arena, room, given, .. } = self;
        let model = folded.as_ref().unwrap_or(base);
        let (sample_len, output_len) = (model.input_shape().elements(), model.output_shape().elements());
        let (inputs, given) = (room.inputs(rows), &mut given[..rows * output_len]);
        let (prepared, values) = arena.split_at_mut(layout.prepared);
        let Options { batch: at_a_time, threads, .. } = layout.options;
        let output = layout.steps[layout.outputs[0]].place.start;
        parallel::together(threads, || -> Result<(), Error> {
            let few = inputs.chunks(at_a_time * sample_len).zip(given.chunks_mut(at_a_time * output_len));
            for (i, (samples, given)) in few.enumerate() {
                let run = layout.run(model, prepared, values, &[samples], samples.len() / sample_len);
                run.map_err(|error| error.after(i * at_a_time))?;
                given.copy_from_slice(&values[output..][..given.len()]);
            }
            Ok(())
        })?;
        check_finite("output", output_len, given)
    }

    /// All that are left, in memory. `progress` is told how many there are after each batch.
    ///
    /// # Errors
    /// As [`next_batch`](Features::next_batch), or there is no memory.
    pub fn collect(mut self, progress: &mut dyn FnMut(usize)) -> Result<Samples, Error> {
        let count = self.data.len() - self.next;
        if count == 0 {
            return Err(Error::Empty { what: "data set" });
        }
        let shape = self.base.output_shape().with_batch(count)?;
        let target_len = self.data.target_len();
        let mut inputs = heap::list(shape.elements())?;
        let mut targets = heap::list(count.saturating_mul(target_len))?;
        let mut weights = heap::list(count)?;
        while let Some(batch) = self.next_batch()? {
            inputs.extend_from_slice(batch.features);
            targets.extend_from_slice(batch.targets);
            weights.extend_from_slice(batch.weights);
            progress(weights.len());
        }
        let inputs = Tensor::new(shape.dims(), inputs)?;
        Samples::new(inputs, Tensor::new(&[count, target_len], targets)?)?.weighted(weights)
    }
}
