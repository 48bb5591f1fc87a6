use super::confusion::columns_of;
use super::{Metric, Predictions, Row, share};
use crate::error::Error;
use crate::loss::is_probability;

/// Keras's number of them.
const THRESHOLDS: usize = 200;

/// The area under a curve, from the counts at 200 thresholds between 0 and 1 as Keras has it: outputs are probabilities,
/// those of all classes are taken together, and there is a straight line between two thresholds of the ROC curve, and
/// what Davis and Goadrich (ICML 2006) put between two of the precision-recall curve. The mean over classes apart is
/// [`MeanOf`](crate::MeanOf) those of each.
#[derive(Clone, Debug)]
pub struct Auc {
    curve: Curve,
    class: Option<usize>,
    /// Of what is true, by the largest threshold that the output is above.
    positives: [f64; THRESHOLDS],
    /// Of what is not.
    negatives: [f64; THRESHOLDS],
}

#[derive(Clone, Copy, Debug)]
enum Curve {
    Roc,
    PrecisionRecall,
}

impl Auc {
    fn new(curve: Curve) -> Auc {
        Auc { curve, class: None, positives: [0.0; THRESHOLDS], negatives: [0.0; THRESHOLDS] }
    }

    /// Under the share of what is true and found over that of what is not and found all the same.
    pub fn roc() -> Auc {
        Auc::new(Curve::Roc)
    }

    /// Under the precision over the recall.
    pub fn precision_recall() -> Auc {
        Auc::new(Curve::PrecisionRecall)
    }

    /// Of the outputs of one class.
    pub fn class(self, class: usize) -> Auc {
        Auc { class: Some(class), ..self }
    }

    /// True and false positives at each threshold, from the largest to the smallest.
    fn points(&self) -> impl Iterator<Item = [f64; 2]> {
        let mut sums = [0.0; 2];
        self.positives.iter().zip(&self.negatives).rev().map(move |(positives, negatives)| {
            sums[0] += positives;
            sums[1] += negatives;
            sums
        })
    }
}

impl Metric for Auc {
    fn name(&self) -> &'static str {
        match self.curve {
            Curve::Roc => "auc",
            Curve::PrecisionRecall => "auc_precision_recall",
        }
    }

    fn reset(&mut self) {
        self.positives.fill(0.0);
        self.negatives.fill(0.0);
    }

    fn update(&mut self, batch: &Predictions<'_>) -> Result<(), Error> {
        let columns = columns_of(self.class, batch)?;
        for (row, Row { outputs, .. }) in batch.rows().enumerate() {
            if let Some(&got) = outputs[columns.clone()].iter().find(|&&output| !is_probability(output)) {
                return Err(Error::NoProbability { sample: row / batch.rows_of_sample, got });
            }
        }
        for row in batch.rows() {
            for column in columns.clone() {
                // Outputs are above a threshold or not, and so 1/199 is of the first bucket; the first threshold lies
                // below 0.
                let steps = libm::ceilf(row.outputs[column].min(1.0) * (THRESHOLDS - 1) as f32);
                let bucket = (steps as usize).saturating_sub(1);
                let counts =
                    if row.target(column) != 0.0 { &mut self.positives } else { &mut self.negatives };
                counts[bucket] += f64::from(row.weight);
            }
        }
        Ok(())
    }

    fn result(&self) -> f32 {
        let [all_true, all_false]: [f64; 2] = [self.positives.iter().sum(), self.negatives.iter().sum()];
        let steps = self.points().zip(self.points().skip(1));
        let areas = steps.map(|([tp, fp], [next_tp, next_fp])| match self.curve {
            Curve::Roc => {
                let height = (share(tp, all_true) + share(next_tp, all_true)) / 2.0;
                (share(next_fp, all_false) - share(fp, all_false)) * height
            }
            Curve::PrecisionRecall => {
                let (found, next) = (tp + fp, next_tp + next_fp);
                let slope = share(next_tp - tp, next - found);
                let intercept = tp - slope * found;
                let ratio = if found > 0.0 && next > 0.0 { next / found } else { 1.0 };
                share(slope * (next_tp - tp + intercept * libm::log(ratio)), all_true)
            }
        });
        areas.sum::<f64>() as f32
    }
}
