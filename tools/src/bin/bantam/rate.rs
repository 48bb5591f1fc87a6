use bantam::{CosineDecay, ExponentialDecay, OneCycle, Optimizer, ReduceLrOnPlateau, Trainer};
use bantam_tools::options::{OptimizerChoice, loss_of};
use clap::{Args, ValueEnum};

/// What weights learn by, and how fast.
#[derive(Args, Clone, Copy)]
pub struct Rate {
    /// What weights learn by
    #[arg(long, value_enum, default_value_t = OptimizerChoice::Rmsprop)]
    optimizer: OptimizerChoice,
    /// The learning rate; the largest, where it changes
    #[arg(long, default_value_t = 1e-4)]
    rate: f32,
    /// How the learning rate changes
    #[arg(long, value_enum, default_value_t = Schedule::Constant)]
    schedule: Schedule,
}

#[derive(Clone, Copy, ValueEnum)]
enum Schedule {
    /// Not at all
    Constant,
    /// Down to nothing, along half a wave over the whole training
    Cosine,
    /// Down to a hundredth, by the same factor in each step
    Exponential,
    /// Up in the first three tenths of the training, then down to almost nothing
    OneCycle,
    /// Down to a tenth whenever the loss of the validation set has not fallen in 5 epochs
    Plateau,
}

impl Rate {
    /// What trains that model in so many steps.
    pub fn trainer(self, model: &bantam::Model<'_>, steps: u64) -> Trainer {
        let Rate { optimizer, rate, schedule } = self;
        let optimizer: Optimizer = optimizer.with_rate(rate);
        let optimizer = match schedule {
            Schedule::Constant | Schedule::Plateau => optimizer,
            Schedule::Cosine => optimizer.schedule(CosineDecay {
                initial_rate: rate,
                decay_steps: steps,
                ..CosineDecay::default()
            }),
            Schedule::Exponential => optimizer.schedule(ExponentialDecay {
                initial_rate: rate,
                decay_steps: steps,
                decay_rate: 0.01,
                staircase: false,
            }),
            Schedule::OneCycle => {
                optimizer.schedule(OneCycle { max_rate: rate, total_steps: steps, ..OneCycle::default() })
            }
        };
        let trainer = Trainer::new(optimizer, loss_of(model));
        match schedule {
            Schedule::Plateau => trainer
                .reduce_lr_on_plateau(ReduceLrOnPlateau { patience: 5, ..ReduceLrOnPlateau::default() }),
            _ => trainer,
        }
    }
}
