use super::{Schedule, check_rate, check_steps, half_wave};
use crate::error::Error;
use crate::optimizer::rule::check_not_negative;

/// Down along half a wave to the share `alpha` of the rate, after a warm-up along a line if there is one (Loshchilov
/// and Hutter, arXiv 1608.03983).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CosineDecay {
    /// Of the first step.
    pub initial_rate: f32,
    /// Steps from the top to the bottom.
    pub decay_steps: u64,
    /// The last rate is this share of the one at the top.
    pub alpha: f32,
    /// The rate at the top, where the warm-up ends. Without it there is none, and the first rate is the top.
    pub warmup_target: Option<f32>,
    /// Steps of the warm-up, before the others.
    pub warmup_steps: u64,
}

impl Default for CosineDecay {
    fn default() -> CosineDecay {
        CosineDecay {
            initial_rate: 1e-3,
            decay_steps: 1000,
            alpha: 0.0,
            warmup_target: None,
            warmup_steps: 0,
        }
    }
}

impl Schedule for CosineDecay {
    fn rate(&self, step: u64) -> f32 {
        let [initial, alpha] = [self.initial_rate, self.alpha].map(f64::from);
        let (top, warmup) = match self.warmup_target {
            Some(target) => (f64::from(target), self.warmup_steps),
            None => (initial, 0),
        };
        if step < warmup {
            return ((top - initial) * (step as f64 / warmup as f64) + initial) as f32;
        }
        let steps = self.decay_steps.max(1);
        let part = (step - warmup).min(steps) as f64 / steps as f64;
        (top * ((1.0 - alpha) * half_wave(part) + alpha)) as f32
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.initial_rate)?;
        check_steps("decay steps", self.decay_steps)?;
        check_not_negative("alpha", self.alpha)?;
        self.warmup_target.map_or(Ok(()), |target| check_not_negative("warm-up target", target))
    }
}
