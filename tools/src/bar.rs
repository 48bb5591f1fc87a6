//! A bar that shows how far a training is.

use bantam::{Evaluation, Event};
use indicatif::{ProgressBar, ProgressStyle};
use std::time::Instant;

/// Shows epochs, speed and figures on standard error while a training goes on, if that is a terminal.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    name: String,
    /// Of an epoch.
    samples: usize,
    epoch_start: Instant,
}

impl Bar {
    /// Of a training that is called so, of epochs of so many samples; or none, where it is not `shown`.
    pub fn new(name: impl Into<String>, samples: usize, shown: bool) -> Bar {
        let bar = if shown { ProgressBar::new(samples as u64) } else { ProgressBar::hidden() };
        let template = "{prefix} {bar:24} {percent:>3} %, {eta} left, {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Bar { bar, name: name.into(), samples, epoch_start: Instant::now() }
    }

    /// Shows what happened.
    pub fn see(&mut self, event: &Event<'_>) {
        match *event {
            Event::Batch { epoch, epochs, batch, samples, training, .. } => {
                if batch == 1 {
                    self.bar.set_length(epochs.saturating_mul(self.samples) as u64);
                    self.bar.set_prefix(format!("{} epoch {epoch}/{epochs}", self.name));
                }
                let speed = samples as f64 / self.epoch_start.elapsed().as_secs_f64();
                self.bar.set_position(((epoch - 1) * self.samples + samples) as u64);
                self.bar.set_message(format!("{speed:.0} images/s, {}", figures(training)));
            }
            Event::Epoch(..) => self.epoch_start = Instant::now(),
            _ => {}
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Loss and accuracy as text.
pub fn figures(evaluation: Evaluation) -> String {
    let accuracy = evaluation.accuracy.map(|accuracy| format!(", accuracy {accuracy:.4}"));
    format!("loss {:.4}{}", evaluation.loss, accuracy.unwrap_or_default())
}
