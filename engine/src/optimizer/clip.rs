use super::rule::{check_once, check_positive};
use super::{Asks, Names, Optimizer, Rule, Update};
use crate::error::Error;
use alloc::boxed::Box;
use bantam_kernels::{Isa, optimizer, reduce};

impl Optimizer {
    /// With gradients that are clipped to `-limit..=limit`. An optimiser clips in one way, else
    /// [`begin_step`](Optimizer::begin_step) gives an error.
    pub fn clip_value(self, limit: f32) -> Optimizer {
        self.within(|rule| Clip { rule, limit, by: Value })
    }

    /// With the gradients to each parameter made shorter where their norm is above `limit`.
    pub fn clip_norm(self, limit: f32) -> Optimizer {
        self.within(|rule| Clip { rule, limit, by: Norm })
    }

    /// With all gradients made shorter where their norm, as one vector, is above `limit`.
    pub fn clip_global_norm(self, limit: f32) -> Optimizer {
        self.within(|rule| Clip { rule, limit, by: GlobalNorm })
    }
}

/// A rule with gradients that are clipped.
struct Clip<B> {
    rule: Box<dyn Rule>,
    limit: f32,
    by: B,
}

/// What gradients are clipped by; a type each, so that a program has the code of those that it names.
trait By: Copy + Send + Sync + 'static {
    fn asks(self, asks: Asks) -> bool;

    /// Adds the squares of gradients to a sum.
    fn add_squares(self, isa: Isa, gradients: &[f32], sum: f32) -> Result<f32, Error>;

    /// What [`clip`](By::clip) goes by.
    fn factor(self, run: &Update<'_>, limit: f32) -> Result<f32, Error>;

    fn clip(self, isa: Isa, factor: f32, gradients: &[f32], clipped: &mut [f32]) -> Result<(), Error>;
}

#[derive(Clone, Copy)]
struct Value;

#[derive(Clone, Copy)]
struct Norm;

#[derive(Clone, Copy)]
struct GlobalNorm;

/// Gradients that are clipped at a time.
const BLOCK: usize = 512;

impl<B: By> Rule for Clip<B> {
    fn name(&self) -> &'static str {
        self.rule.name()
    }

    fn check(&self) -> Result<(), Error> {
        check_once(&*self.rule, Asks::Clipping, "ways to clip gradients")?;
        check_positive("limit of gradients", self.limit)?;
        self.rule.check()
    }

    fn rate(&self, step: u64) -> f32 {
        self.rule.rate(step)
    }

    fn arrays(&self) -> usize {
        self.rule.arrays()
    }

    fn initial(&self) -> f32 {
        self.rule.initial()
    }

    fn asks(&self, asks: Asks) -> bool {
        asks == Asks::Clipping || self.by.asks(asks) || self.rule.asks(asks)
    }

    fn add_squares(&self, isa: Isa, gradients: &[f32], sum: f32) -> Result<f32, Error> {
        self.by.add_squares(isa, gradients, sum)
    }

    fn check_names(&self, names: &dyn Names) -> Result<(), Error> {
        self.rule.check_names(names)
    }

    fn update(&self, mut run: Update<'_>) -> Result<(), Error> {
        let factor = self.by.factor(&run, self.limit)?;
        let (mut clipped, gradients) = ([0.0; BLOCK], run.gradients);
        for (i, gradients) in gradients.chunks(BLOCK).enumerate() {
            let clipped = &mut clipped[..gradients.len()];
            self.by.clip(run.isa, factor, gradients, clipped)?;
            let start = i * BLOCK;
            self.rule.update(run.part(start..start + gradients.len(), clipped))?;
        }
        Ok(())
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(Clip { rule: self.rule.clone(), ..*self })
    }
}

impl By for Value {
    fn asks(self, _: Asks) -> bool {
        false
    }

    fn add_squares(self, _: Isa, _: &[f32], sum: f32) -> Result<f32, Error> {
        Ok(sum)
    }

    fn factor(self, _: &Update<'_>, limit: f32) -> Result<f32, Error> {
        Ok(limit)
    }

    fn clip(self, isa: Isa, limit: f32, gradients: &[f32], clipped: &mut [f32]) -> Result<(), Error> {
        Ok(optimizer::clip(isa, limit, gradients, clipped)?)
    }
}

impl By for Norm {
    fn asks(self, asks: Asks) -> bool {
        asks == Asks::WholeGradients
    }

    fn add_squares(self, isa: Isa, gradients: &[f32], sum: f32) -> Result<f32, Error> {
        add_squares(isa, gradients, sum)
    }

    fn factor(self, run: &Update<'_>, limit: f32) -> Result<f32, Error> {
        Ok(shortened(add_squares(run.isa, run.gradients, 0.0)?, limit))
    }

    fn clip(self, isa: Isa, factor: f32, gradients: &[f32], clipped: &mut [f32]) -> Result<(), Error> {
        Ok(optimizer::scale(isa, factor, gradients, clipped)?)
    }
}

impl By for GlobalNorm {
    fn asks(self, asks: Asks) -> bool {
        matches!(asks, Asks::WholeGradients | Asks::AllGradients)
    }

    fn add_squares(self, isa: Isa, gradients: &[f32], sum: f32) -> Result<f32, Error> {
        add_squares(isa, gradients, sum)
    }

    fn factor(self, run: &Update<'_>, limit: f32) -> Result<f32, Error> {
        Ok(shortened(run.squares, limit))
    }

    fn clip(self, isa: Isa, factor: f32, gradients: &[f32], clipped: &mut [f32]) -> Result<(), Error> {
        Norm.clip(isa, factor, gradients, clipped)
    }
}

/// What makes a vector, of which the sum of squares is given, no longer than the limit.
fn shortened(squares: f32, limit: f32) -> f32 {
    let norm = libm::sqrtf(squares);
    if norm > limit { limit / norm } else { 1.0 }
}

fn add_squares(isa: Isa, gradients: &[f32], sum: f32) -> Result<f32, Error> {
    let got = sum + reduce::sum_squares(isa, gradients);
    if got.is_finite() {
        Ok(got)
    } else {
        Err(Error::OutOfRange { what: "sum of the gradients' squares", expected: "a finite number", got })
    }
}
