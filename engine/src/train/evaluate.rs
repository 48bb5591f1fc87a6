//! How a model does on a data set.

use super::batch::Batch;
use super::running::Running;
use super::trainer::{INFERENCE_BATCH, Trainer};
use crate::error::Error;
use crate::graph::{Model, Node};
use crate::loss::{Examples, penalties, penalty};
use crate::memory::heap;
use crate::metrics::{Evaluation, Metric};
use crate::run::Session;
use crate::train::Dataset;
use alloc::vec::Vec;

impl Trainer {
    /// Loss and accuracy of a model on a data set. Samples have their weights in the loss; classes have none. What a layer
    /// adds to the loss by itself, as [`ActivityRegularization`](crate::ActivityRegularization) does, is in it.
    ///
    /// # Errors
    /// The data set is empty or does not fit the model, a sample cannot be read, it or the model's output is
    /// not finite, or a target, a weight or a penalty is not valid.
    pub fn evaluate(&self, model: &Model<'_>, data: &dyn Dataset) -> Result<Evaluation, Error> {
        self.evaluate_with(model, data, &mut [])
    }

    /// As [`evaluate`](Trainer::evaluate), with metrics, which forget what they measured before. Where the loss takes logits
    /// metrics are of the probabilities that these mean.
    ///
    /// ```
    /// use bantam::{Auc, Loss, Metric, Samples, Sequential, Sgd, Tensor, TopKAccuracy, Trainer};
    /// let model = Sequential::new([2]).dense(4).softmax().build(1)?;
    /// let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy);
    /// let (x, t) = (Tensor::new(&[3, 2], vec![0.5; 6])?, Tensor::new(&[3, 1], vec![0., 1., 2.])?);
    /// let (mut top, mut auc) = (TopKAccuracy::new(4), Auc::roc());
    /// trainer.evaluate_with(&model, &Samples::new(x, t)?, &mut [&mut top, &mut auc])?;
    /// assert_eq!((top.name(), top.result()), ("top_k_categorical_accuracy", 1.0));
    /// println!("{} {}", auc.name(), auc.result());
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`evaluate`](Trainer::evaluate), or a metric cannot measure the model's outputs.
    pub fn evaluate_with(
        &self,
        model: &Model<'_>,
        data: &dyn Dataset,
        metrics: &mut [&mut dyn Metric],
    ) -> Result<Evaluation, Error> {
        let criterion = self.criterion(model, data)?;
        let penalties = penalties(&self.regularizers, model)?;
        let batch_size = INFERENCE_BATCH.min(data.len());
        let options = self.options(batch_size);
        let adding = adding_to_loss(model)?;
        let mut values = heap::list(1 + adding.len())?;
        values.push(self.loss.output(model)?.0);
        values.extend(adding.iter().map(|node| model.inputs_of(node)[0]));
        let (mut session, mut added) = (Session::of(model, &values, options)?, 0.0);
        let mut batch = Batch::new(batch_size, data)?;
        let mut wanted = heap::zeros(batch_size.saturating_mul(criterion.wanted_len()))?;
        let measured = if metrics.is_empty() { 0 } else { model.output_shape().elements() };
        let mut probabilities = heap::zeros(batch_size.saturating_mul(measured))?;
        metrics.iter_mut().for_each(|metric| metric.reset());
        let mut total = Running::default();
        for first in (0..data.len()).step_by(batch_size) {
            let rows = batch_size.min(data.len() - first);
            batch.read(data, Some(&criterion), first..first + rows)?;
            session.run_all(&[batch.inputs(rows)]).map_err(|error| error.after(first))?;
            let outputs = session.output(0);
            for (node, which) in adding.iter().zip(1..) {
                added += f64::from(node.added_to_loss(options.isa, session.output(which)));
            }
            criterion.check_outputs(outputs).map_err(|error| error.after(first))?;
            let examples = Examples { outputs, targets: batch.targets(rows), weights: batch.weights(rows) };
            let loss = criterion.value(&examples, criterion.wanted(examples.targets, &mut wanted))?;
            if !loss.is_finite() {
                return Err(Error::OutOfRange { what: "loss", expected: "a finite number", got: loss });
            }
            total.add(rows, &criterion, loss, criterion.correct(&examples));
            if !metrics.is_empty() {
                let outputs = criterion.probabilities(options.isa, outputs, &mut probabilities)?;
                let weighted = criterion.predictions(&Examples { outputs, ..examples });
                let unweighted = weighted.unweighted();
                metrics.iter_mut().try_for_each(|metric| {
                    metric.update(if metric.is_weighted() { &weighted } else { &unweighted })
                })?;
            }
        }
        let Evaluation { loss, accuracy } = total.result();
        let loss =
            (f64::from(loss) + added / data.len() as f64 + penalty(&penalties, options.isa, model)) as f32;
        Ok(Evaluation { loss, accuracy })
    }
}

/// The nodes that add something to the loss by themselves.
fn adding_to_loss<'a, 'm>(model: &'a Model<'m>) -> Result<Vec<&'a Node<'m>>, Error> {
    let mut adding = Vec::new();
    if model.nodes().iter().all(|node| node.layer_type().adds_to_loss.is_none()) {
        return Ok(adding);
    }
    let needed = model.needed()?;
    for (node, &needed) in model.nodes().iter().zip(&needed[model.input_shapes().len()..]) {
        if needed && node.layer_type().adds_to_loss.is_some() {
            heap::push(&mut adding, node)?;
        }
    }
    Ok(adding)
}
