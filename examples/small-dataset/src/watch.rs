//! What is shown and drawn of a training.

use bantam::{Dataset, Event, Model, Trainer};
use bantam_tools::bar::Bar;
use bantam_tools::pictures::Chart;
use bantam_tools::pictures::curves::Curves;
use bantam_tools::{Failure, training};
use std::io::{Stdout, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Where the output goes.
pub struct Watch<'o> {
    /// Lines of JSON, one for each epoch, if there are any.
    pub out: &'o mut Stdout,
    /// Whether there are, in place of a bar.
    pub json: bool,
    /// What curves are called: `small-dataset-plain.svg` where this ends in `small-dataset`.
    pub curves: PathBuf,
}

impl Watch<'_> {
    /// Where the curves of a training go.
    pub fn curves_of(&self, name: &str) -> PathBuf {
        let mut path = self.curves.clone().into_os_string();
        path.push(format!("-{name}.svg"));
        path.into()
    }

    /// Trains a model while one looks on, and draws how it went. Gives the time that it took, with the validation.
    ///
    /// # Errors
    /// As [`Trainer::fit`]; or what is shown cannot be written.
    pub fn fit(
        &mut self,
        name: &str,
        trainer: &mut Trainer,
        model: &mut Model<'_>,
        train: &dyn Dataset,
        validation: &dyn Dataset,
    ) -> Result<Duration, Failure> {
        let (mut bar, start) = (Bar::new(name, train.len(), !self.json), Instant::now());
        let mut written = Ok(());
        let history = trainer.fit(model, train, Some(validation), &mut |event| {
            bar.see(&event);
            if let Event::Epoch(epoch, _) = event
                && self.json
            {
                let mut line = training::line(&epoch);
                line["training"] = name.into();
                written = writeln!(self.out, "{line}");
            }
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let took = start.elapsed();
        drop(bar);
        written?;
        Curves::new(&history.epochs).save(self.curves_of(name))?;
        Ok(took)
    }
}
