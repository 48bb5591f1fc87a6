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
    /// When the epoch's first batch was learnt, and how many samples that has.
    first: (Instant, usize),
}

impl Bar {
    /// Of a training that is called so, or by an empty name, of epochs of so many samples; or none, where it is not `shown`.
    pub fn new(name: impl Into<String>, samples: usize, shown: bool) -> Bar {
        let bar = if shown { ProgressBar::new(samples as u64) } else { ProgressBar::hidden() };
        let template = "{prefix} {bar:24} {percent:>3} %, {eta} left, {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Bar { bar, name: name.into(), samples, first: (Instant::now(), 0) }
    }

    /// Shows what happened.
    pub fn see(&mut self, event: &Event<'_>) {
        if let Event::Batch { epoch, epochs, batch, samples, training, .. } = *event {
            if batch == 1 {
                self.first = (Instant::now(), samples);
                self.bar.set_length(epochs.saturating_mul(self.samples) as u64);
                let prefix = format!("{} epoch {epoch}/{epochs}", self.name);
                self.bar.set_prefix(prefix.trim_start().to_string());
            }
            let (start, before) = self.first;
            let speed = (samples - before) as f64 / start.elapsed().as_secs_f64().max(1e-9);
            self.bar.set_position(((epoch - 1) * self.samples + samples) as u64);
            self.bar.set_message(format!("{speed:.0} images/s, {}", figures(training)));
        }
    }

    /// Takes the bar away while something is written.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
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
