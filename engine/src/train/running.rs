use crate::loss::Criterion;
use crate::metrics::Evaluation;

/// A running mean over samples.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Running {
    pub samples: usize,
    pub loss: f64,
    pub judged: usize,
    pub correct: Option<usize>,
}

impl Running {
    pub fn add(&mut self, samples: usize, criterion: &Criterion<'_>, loss: f32, correct: Option<usize>) {
        self.samples += samples;
        self.loss += f64::from(loss) * samples as f64;
        self.judged += samples * criterion.judged();
        self.correct = correct.map(|correct| self.correct.unwrap_or(0) + correct);
    }

    pub fn result(&self) -> Evaluation {
        Evaluation {
            loss: (self.loss / self.samples as f64) as f32,
            accuracy: self.correct.map(|correct| (correct as f64 / self.judged as f64) as f32),
        }
    }
}
