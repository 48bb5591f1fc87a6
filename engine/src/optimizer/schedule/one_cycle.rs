use super::{Schedule, check_rate, check_steps, half_wave};
use crate::error::Error;
use crate::optimizer::rule::check_positive;

/// Up along half a wave to a large rate and down to a very small one, over all steps of a training (Smith and Topin,
/// arXiv 1708.07120). Keras has none; the rules and defaults are those of PyTorch's `OneCycleLR`, and the last rate
/// stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OneCycle {
    /// The largest rate.
    pub max_rate: f32,
    /// All steps.
    pub total_steps: u64,
    /// The share of the steps on which the rate goes up.
    pub up: f32,
    /// The largest rate is so many times the first.
    pub div_factor: f32,
    /// The first rate is so many times the last.
    pub final_div_factor: f32,
}

impl Default for OneCycle {
    fn default() -> OneCycle {
        OneCycle { max_rate: 0.01, total_steps: 1000, up: 0.3, div_factor: 25.0, final_div_factor: 1e4 }
    }
}

impl Schedule for OneCycle {
    fn rate(&self, step: u64) -> f32 {
        let most = f64::from(self.max_rate);
        let first = most / f64::from(self.div_factor);
        let last = first / f64::from(self.final_div_factor);
        let [step, total] = [step, self.total_steps].map(|steps| steps as f64);
        // The first step and the last of each way are one apart.
        let (top, end) = (f64::from(self.up) * total - 1.0, total - 1.0);
        let along = |[from, to]: [f64; 2], part: f64| to + (from - to) * half_wave(part.min(1.0));
        let rate = if step <= top && top > 0.0 {
            along([first, most], step / top)
        } else if step < end {
            along([most, last], (step - top) / (end - top))
        } else {
            last
        };
        rate as f32
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.max_rate)?;
        check_steps("total steps", self.total_steps)?;
        if !(0.0..=1.0).contains(&self.up) {
            let what = "share of the steps on which the rate goes up";
            return Err(Error::OutOfRange { what, expected: "from 0 to 1", got: self.up });
        }
        check_positive("div_factor", self.div_factor)?;
        check_positive("final_div_factor", self.final_div_factor)
    }
}
