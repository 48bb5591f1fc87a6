use super::{Optimizer, Rule, Update, check_epsilon, check_rate, check_share};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::optimizer;

/// Adam with Nesterov's momentum (Dozat, ICLR 2016 workshop).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nadam {
    /// Learning rate.
    pub rate: f32,
    /// The share of the gradient's mean that is kept in a step.
    pub beta1: f32,
    /// The share of its mean square that is kept in a step.
    pub beta2: f32,
    /// Added to the root of the mean square.
    pub epsilon: f32,
}

impl Default for Nadam {
    fn default() -> Nadam {
        Nadam { rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-7 }
    }
}

impl From<Nadam> for Optimizer {
    fn from(rule: Nadam) -> Optimizer {
        Optimizer::new(&rule)
    }
}

impl Rule for Nadam {
    fn name(&self) -> &'static str {
        "Nadam"
    }

    fn check(&self) -> Result<(), Error> {
        check_rate(self.rate)?;
        check_share("beta1", self.beta1)?;
        check_share("beta2", self.beta2)?;
        check_epsilon(self.epsilon)
    }

    fn rate(&self, _: u64) -> f32 {
        self.rate
    }

    fn arrays(&self) -> usize {
        2
    }

    fn update(&self, run: Update<'_>) -> Result<(), Error> {
        let Nadam { beta1, beta2, epsilon, .. } = *self;
        let Momentum { now, next, product } = Momentum::at(beta1.into(), run.step);
        let root = libm::sqrt(1.0 - libm::pow(beta2.into(), run.step as f64));
        let rate = f64::from(run.rate) * root;
        let factors = [rate * next / (1.0 - product * next), rate * (1.0 - now) / (1.0 - product)];
        // Above zero still, so that nothing is divided by it.
        let epsilon = ((f64::from(epsilon) * root) as f32).max(f32::MIN_POSITIVE);
        let [mean, square] = run.state.split();
        let (isa, weights, gradients) = (run.isa, run.weights, run.gradients);
        let factors = factors.map(|factor| factor as f32);
        Ok(optimizer::nadam(isa, factors, beta1, beta2, epsilon, weights, mean, square, gradients)?)
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(*self)
    }
}

/// The momentum grows from half of beta1 to beta1.
struct Momentum {
    /// Of this step.
    now: f64,
    /// Of the next one.
    next: f64,
    /// Of all so far.
    product: f64,
}

impl Momentum {
    fn at(beta1: f64, step: u64) -> Momentum {
        let of = |power: f64| beta1 * (1.0 - 0.5 * power);
        let power = libm::pow(DECAY, step as f64);
        let (mut product, mut at) = (1.0, 1.0);
        for _ in 0..step {
            at *= DECAY;
            product *= of(at);
            // One less that is one still.
            if product < f64::EPSILON / 4.0 {
                break;
            }
        }
        Momentum { now: of(power), next: of(power * DECAY), product }
    }
}

/// Of what the momentum falls short.
const DECAY: f64 = 0.96;
