//! How outputs are measured against targets.

use super::Loss;
use super::kind::{Link, Targets};
use crate::error::Error;
use crate::metrics::{Predictions, argmax};
use crate::shape::Shape;
use bantam_kernels::elementwise::{self, Sigmoid};
use bantam_kernels::loss::Rows;
use bantam_kernels::{Isa, softmax};

/// A loss of outputs of one shape, `[N, rows, columns]`, and what classes count.
#[derive(Clone, Copy)]
pub(crate) struct Criterion<'a> {
    loss: Loss,
    rows: usize,
    columns: usize,
    /// Whether a row's target is its class.
    labels: bool,
    /// One for each class; none if all count the same.
    class_weights: &'a [f32],
}

/// Outputs of a batch, and what they are measured against.
#[derive(Clone, Copy)]
pub(crate) struct Examples<'a> {
    pub outputs: &'a [f32],
    pub targets: &'a [f32],
    /// One for each sample; none if all count the same.
    pub weights: &'a [f32],
}

impl<'a> Criterion<'a> {
    /// For samples of `target_len` targets each and outputs of that shape. The loss is as it is measured there.
    pub fn new(loss: Loss, output: Shape, target_len: usize) -> Result<Criterion<'a>, Error> {
        loss.check()?;
        let columns = output.dims().last().copied().unwrap_or(1);
        let rows = output.elements() / columns;
        let classes = loss.targets() == Targets::Classes;
        if classes && columns == 1 {
            return Err(Error::OneOutput);
        }
        if target_len == 0 {
            return Err(Error::Empty { what: "targets of a sample" });
        }
        let labels = classes && target_len == rows;
        if !labels {
            let expected = Shape::new(&[output.elements()])?;
            expected.require("targets of a sample", Shape::new(&[target_len])?)?;
        }
        Ok(Criterion { loss, rows, columns, labels, class_weights: &[] })
    }

    /// With a weight for each class.
    pub fn weighted(self, class_weights: &'a [f32]) -> Result<Criterion<'a>, Error> {
        let expected = match self.loss.targets() {
            Targets::Classes => self.columns,
            Targets::Shares if self.columns == 1 => 2,
            _ => return Err(Error::NoClasses),
        };
        if class_weights.len() != expected {
            let (what, got) = ("class weights", class_weights.len());
            return Err(bantam_kernels::Error::Length { what, expected, got }.into());
        }
        if let Some(class) = class_weights.iter().position(|&weight| !is_weight(weight)) {
            return Err(Error::Weight { what: "class", index: class, got: class_weights[class] });
        }
        Ok(Criterion { class_weights, ..self })
    }

    /// The fewest targets that a sample with such an output can have.
    pub fn fewest_targets(loss: Loss, output: Shape) -> usize {
        let columns = output.dims().last().copied().unwrap_or(1);
        if loss.targets() == Targets::Classes { output.elements() / columns } else { output.elements() }
    }

    /// Numbers of a sample's targets if they are not as they came: rows for labels, or smoother ones.
    pub fn wanted_len(&self) -> usize {
        if self.labels || self.loss.how.smoothing != 0.0 { self.rows * self.columns } else { 0 }
    }

    /// How many rows of a sample are right or wrong.
    pub fn judged(&self) -> usize {
        self.rows
    }

    /// Checks the targets of a sample.
    pub fn check(&self, sample: usize, targets: &[f32]) -> Result<(), Error> {
        if self.labels {
            let classes = self.columns;
            return match targets.iter().find(|&&label| !is_class(label, classes)) {
                Some(&label) => Err(Error::Label { sample, label, classes }),
                None => Ok(()),
            };
        }
        let (expected, fits): (_, fn(f32) -> bool) = match self.loss.targets() {
            Targets::Classes | Targets::Shares => ("numbers from 0 to 1", |t| (0.0..=1.0).contains(&t)),
            Targets::Sides => ("-1 or 0, and 1", |t| t == 0.0 || t.abs() == 1.0),
            Targets::Numbers => ("finite numbers", f32::is_finite),
        };
        if let Some(&got) = targets.iter().find(|&&target| !fits(target)) {
            return Err(Error::Target { sample, expected, got });
        }
        let mut rows = targets.chunks_exact(self.columns);
        if self.loss.targets() == Targets::Classes && rows.any(|row| row.iter().all(|&share| share == 0.0)) {
            return Err(Error::Target { sample, expected: "a number above 0 for one class", got: 0.0 });
        }
        Ok(())
    }

    /// Checks that outputs, where they are to be probabilities, are some.
    pub fn check_outputs(&self, outputs: &[f32]) -> Result<(), Error> {
        if self.loss.how.from_logits || self.loss.kind.about().link.is_none() {
            return Ok(());
        }
        match outputs.iter().position(|&p| !is_probability(p)) {
            Some(at) => {
                let sample = at / (self.rows * self.columns);
                Err(Error::NoProbability { sample, got: outputs[at] })
            }
            None => Ok(()),
        }
    }

    /// What metrics are of: probabilities, in `room`, where outputs are logits, and else the outputs.
    pub fn probabilities<'b>(
        &self,
        isa: Isa,
        outputs: &'b [f32],
        room: &'b mut [f32],
    ) -> Result<&'b [f32], Error> {
        let Some(link) = self.loss.kind.about().link.filter(|_| self.loss.how.from_logits) else {
            return Ok(outputs);
        };
        let room = &mut room[..outputs.len()];
        match link {
            Link::Softmax => softmax::forward(outputs.len() / self.columns, self.columns, outputs, room)?,
            Link::Sigmoid => elementwise::map(isa, Sigmoid, outputs, room)?,
        }
        Ok(room)
    }

    /// A batch as metrics see it.
    pub fn predictions<'b>(&self, batch: &Examples<'b>) -> Predictions<'b> {
        let Examples { outputs, targets, weights } = *batch;
        Predictions::checked(self.columns, self.rows, self.labels, [outputs, targets, weights])
    }

    /// Targets to compute with: in `room`, if labels are to become rows, or targets are smoothed.
    pub fn wanted<'b>(&self, targets: &'b [f32], room: &'b mut [f32]) -> &'b [f32] {
        let smoothing = self.loss.how.smoothing;
        if !self.labels && smoothing == 0.0 {
            return targets;
        }
        let len = if self.labels { targets.len() * self.columns } else { targets.len() };
        let room = &mut room[..len];
        if self.labels {
            fill_one_hot(room, self.columns, targets);
        } else {
            room.copy_from_slice(targets);
        }
        if smoothing != 0.0 {
            let classes = self.loss.targets() == Targets::Classes;
            let even = if classes { smoothing / self.columns as f32 } else { 0.5 * smoothing };
            room.iter_mut().for_each(|t| *t = *t * (1.0 - smoothing) + even);
        }
        room
    }

    /// The loss of a batch, with targets as [`wanted`](Self::wanted) gives them.
    pub fn value(&self, batch: &Examples<'_>, wanted: &[f32]) -> Result<f32, Error> {
        let weight = |row| self.weight(batch, row);
        let rows = self.measured(batch, wanted, &weight);
        Ok(self.loss.kind.value(&self.loss.how, &rows)?)
    }

    /// The gradient of `share` of that loss to the outputs.
    pub fn gradient(
        &self,
        batch: &Examples<'_>,
        wanted: &[f32],
        share: f32,
        d_outputs: &mut [f32],
    ) -> Result<(), Error> {
        let weight = |row| self.weight(batch, row);
        let rows = self.measured(batch, wanted, &weight);
        Ok(self.loss.kind.gradient(&self.loss.how, &rows, share, d_outputs)?)
    }

    fn measured<'b>(
        &self,
        batch: &Examples<'b>,
        targets: &'b [f32],
        weight: &'b dyn Fn(usize) -> f32,
    ) -> Rows<'b> {
        Rows { columns: self.columns, outputs: batch.outputs, targets, weight }
    }

    /// What a row of a batch counts: its sample's weight times its class's.
    fn weight(&self, batch: &Examples<'_>, row: usize) -> f32 {
        let sample = batch.weights.get(row / self.rows).copied().unwrap_or(1.0);
        if self.class_weights.is_empty() {
            return sample;
        }
        let class = self.class(batch.targets, row);
        sample * self.class_weights.get(class).copied().unwrap_or(1.0)
    }

    /// The class of a row's target.
    fn class(&self, targets: &[f32], row: usize) -> usize {
        if self.labels {
            return targets[row] as usize;
        }
        match &targets[row * self.columns..][..self.columns] {
            [share] => usize::from(*share > 0.5),
            shares => argmax(shares).unwrap_or(0),
        }
    }

    /// How many rows of a batch are right: the largest output is the class, or where each output is by itself, all are on
    /// their targets' sides. A loss of numbers has no right and wrong.
    pub fn correct(&self, batch: &Examples<'_>) -> Option<usize> {
        let rows = batch.outputs.chunks_exact(self.columns).enumerate();
        let middle = if self.loss.how.from_logits { 0.0 } else { 0.5 };
        Some(match self.loss.targets() {
            Targets::Classes => {
                rows.filter(|(row, y)| argmax(y) == Some(self.class(batch.targets, *row))).count()
            }
            targets @ (Targets::Shares | Targets::Sides) => {
                let middles = if targets == Targets::Shares { [middle, 0.5] } else { [0.0; 2] };
                let of_row = |row: usize| &batch.targets[row * self.columns..][..self.columns];
                let right = |(y, t): (&f32, &f32)| (*y > middles[0]) == (*t > middles[1]);
                rows.filter(|(row, y)| y.iter().zip(of_row(*row)).all(right)).count()
            }
            Targets::Numbers => return None,
        })
    }
}

impl Loss {
    fn targets(&self) -> Targets {
        self.kind.about().targets
    }
}

/// Checks weights of samples: none, or one for each.
pub(crate) fn check_weights(weights: &[f32], samples: usize) -> Result<(), Error> {
    if weights.is_empty() {
        return Ok(());
    }
    if weights.len() != samples {
        let (what, got) = ("weights of a batch", weights.len());
        return Err(bantam_kernels::Error::Length { what, expected: samples, got }.into());
    }
    match weights.iter().position(|&weight| !is_weight(weight)) {
        Some(index) => Err(Error::Weight { what: "sample", index, got: weights[index] }),
        None => Ok(()),
    }
}

fn is_weight(weight: f32) -> bool {
    (0.0..=f32::MAX).contains(&weight)
}

/// Whether an output is a probability. Rounding may leave a sum of some a little above 1.
pub(crate) fn is_probability(output: f32) -> bool {
    const MOST: f32 = 1.001;
    (0.0..=MOST).contains(&output)
}

/// Whether a label is a class, a whole number below their count.
pub(crate) fn is_class(label: f32, classes: usize) -> bool {
    let class = label as usize;
    label >= 0.0 && class < classes && class as f32 == label
}

/// Rows that are 1 at their label and 0 elsewhere.
pub(crate) fn fill_one_hot(rows: &mut [f32], classes: usize, labels: &[f32]) {
    rows.fill(0.0);
    for (row, &label) in rows.chunks_exact_mut(classes).zip(labels) {
        row[label as usize] = 1.0;
    }
}
