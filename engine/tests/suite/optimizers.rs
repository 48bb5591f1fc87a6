//! Optimisers and schedules against Keras in double precision, on every instruction set.
//! `golden/keras_optimizers.py` made the file, `golden/torch_one_cycle.py` what Keras does not have.

use bantam::{
    Adagrad, Adam, AdamW, Adamax, CosineDecay, CosineDecayRestarts, Error, ExponentialDecay,
    InverseTimeDecay, Isa, Lion, Nadam, OneCycle, Optimizer, PiecewiseConstantDecay, PolynomialDecay,
    RmsProp, Schedule, Sgd,
};
use safetensors::SafeTensors;
use std::collections::BTreeSet;

struct Keras {
    file: SafeTensors<'static>,
    checked: BTreeSet<String>,
}

impl Keras {
    fn new() -> Keras {
        let file = include_bytes!("../golden/keras_optimizers.safetensors");
        Keras { file: SafeTensors::deserialize(file).unwrap(), checked: BTreeSet::new() }
    }

    fn array(&mut self, name: &str) -> Vec<f32> {
        self.checked.insert(name.into());
        let (words, _) = self.file.tensor(name).unwrap().data().as_chunks::<4>();
        words.iter().map(|&word| f32::from_le_bytes(word)).collect()
    }

    fn checked_all(&self, prefix: &str) {
        let all = self.file.names().into_iter().filter(|name| name.starts_with(prefix));
        let left: Vec<_> = all.filter(|name| !self.checked.contains(*name)).collect();
        assert!(left.is_empty(), "not compared: {left:?}");
    }
}

const KERNEL: usize = 3 * 5;

/// The weights after each step, and when the average, if there is one, has taken their place at the end.
fn run(
    isa: Isa,
    mut optimizer: Optimizer,
    initial: &[f32],
    gradients: &[f32],
) -> Result<(Vec<Vec<f32>>, Vec<f32>), Error> {
    let mut weights = initial.to_vec();
    let mut rows = Vec::new();
    for gradients in gradients.chunks_exact(initial.len()) {
        let mut step = optimizer.begin_step()?;
        let (kernel, bias) = gradients.split_at(KERNEL);
        [kernel, bias].iter().try_for_each(|part| step.observe(isa, part))?;
        let (w_kernel, w_bias) = weights.split_at_mut(KERNEL);
        step.update(isa, 0, w_kernel, kernel)?;
        step.update(isa, 1, w_bias, bias)?;
        rows.push(weights.clone());
    }
    let (kernel, bias) = weights.split_at_mut(KERNEL);
    optimizer.swap_ema(0, kernel)?;
    optimizer.swap_ema(1, bias)?;
    Ok((rows, weights))
}

/// Compares with what Keras's optimiser makes of the columns of some weights.
fn compare(keras: &mut Keras, name: &str, optimizer: &Optimizer, columns: std::ops::Range<usize>) {
    let (initial, gradients) = (keras.array("initial"), keras.array("gradients"));
    let (want, last) = (keras.array(&format!("{name}/weights")), keras.array(&format!("{name}/final")));
    let len = initial.len();
    let mut largest = 0.0f64;
    for isa in Isa::available() {
        let (got, got_last) = run(isa, optimizer.clone(), &initial, &gradients).unwrap();
        for column in columns.clone() {
            // A unit of each weight and some dozens of each step's length: those of the rules' own arithmetic.
            let (mut before, mut bound) = (f64::from(initial[column]), 0.0);
            for (step, row) in got.iter().enumerate() {
                let weight = f64::from(want[step * len + column]);
                bound += f64::from(f32::EPSILON) * (weight.abs() + 40.0 * (weight - before).abs());
                let difference = (f64::from(row[column]) - weight).abs();
                let at = format!("{name} on {isa}, step {step}, weight {column}");
                assert!(difference <= bound, "{at}: {} and not {weight}: {bound:e}", row[column]);
                largest = largest.max(difference);
                before = weight;
            }
            let difference = (f64::from(got_last[column]) - f64::from(last[column])).abs();
            assert!(difference <= bound, "{name} on {isa}, weight {column} at the end: {difference:e}");
        }
    }
    println!("{name}: {largest:.1e}");
}

#[test]
fn fifty_steps_are_keras_s() {
    let mut keras = Keras::new();
    let sgd = |rate: f32| Optimizer::from(Sgd { rate, ..Sgd::default() });
    let momentum = |nesterov| Sgd { momentum: 0.9, nesterov, ..Sgd::default() };
    let rmsprop = |momentum, centered| RmsProp { momentum, centered, ..RmsProp::default() };
    let warmed_up = CosineDecay {
        initial_rate: 0.001,
        decay_steps: 30,
        warmup_target: Some(0.05),
        warmup_steps: 10,
        ..CosineDecay::default()
    };
    let cases: [(&str, Optimizer); 21] = [
        ("sgd", Sgd::default().into()),
        ("sgd_momentum", momentum(false).into()),
        ("sgd_nesterov", momentum(true).into()),
        ("rmsprop", RmsProp::default().into()),
        ("rmsprop_momentum", rmsprop(0.8, false).into()),
        ("rmsprop_centered", rmsprop(0.0, true).into()),
        ("rmsprop_centered_momentum", rmsprop(0.8, true).into()),
        ("adagrad", Adagrad::default().into()),
        ("adam", Adam::default().into()),
        ("adam_amsgrad", Adam { amsgrad: true, ..Adam::default() }.into()),
        ("adamw", AdamW::default().into()),
        ("adamax", Adamax::default().into()),
        ("nadam", Nadam::default().into()),
        ("lion", Lion::default().into()),
        ("sgd_decay", sgd(0.01).weight_decay(0.5, &[])),
        ("sgd_clipvalue", sgd(0.1).clip_value(0.5)),
        ("sgd_clipnorm", sgd(0.1).clip_norm(2.0)),
        ("sgd_global_clipnorm", sgd(0.1).clip_global_norm(2.0)),
        ("sgd_ema", sgd(0.1).ema(0.9, None)),
        ("adam_ema_overwrite", Optimizer::from(Adam { rate: 0.1, ..Adam::default() }).ema(0.75, Some(7))),
        (
            "adamw_schedule_clip_ema",
            Optimizer::from(AdamW { weight_decay: 0.25, ..AdamW::default() })
                .ema(0.9, None)
                .clip_global_norm(1.5)
                .schedule(warmed_up),
        ),
    ];
    let all = keras.array("initial").len();
    for (name, optimizer) in cases {
        compare(&mut keras, name, &optimizer, 0..all);
    }
    // Which parameters decay is told by names, which a model has.
    let decaying = Optimizer::from(Adam::default()).weight_decay(0.25, &[]);
    compare(&mut keras, "adam_decay_no_bias", &decaying, 0..KERNEL);
    compare(&mut keras, "adam_decay_no_bias", &Adam::default().into(), KERNEL..all);
    for prefix in ["sgd", "rms", "ada", "nadam", "lion"] {
        keras.checked_all(prefix);
    }
}

/// That the rules differ from those that are often taken for Keras's.
#[test]
fn epsilon_is_where_keras_has_it() {
    let first_step = |rule: Optimizer, gradient: f32| {
        let (mut rule, mut weight) = (rule, [0.0]);
        rule.begin_step().unwrap().update(Isa::detect(), 0, &mut weight, &[gradient]).unwrap();
        weight[0]
    };
    // Keras 3.15.1; epsilon after the bias correction would give -0.0909.
    let adam = first_step(Adam { rate: 0.1, ..Adam::default() }.into(), 1e-6);
    assert!((adam + 0.024_025).abs() < 1e-6, "{adam}");
    // Outside the root it would give -0.0309.
    let rmsprop = first_step(RmsProp { rate: 0.1, ..RmsProp::default() }.into(), 1e-4);
    assert!((rmsprop + 0.031_466).abs() < 1e-6, "{rmsprop}");
}

/// Equal gradients have no variance, and what rounding leaves of it may be below zero: the step is finite.
#[test]
fn a_variance_is_not_negative() {
    let mut rmsprop = Optimizer::from(RmsProp { centered: true, rate: 1e-5, ..RmsProp::default() });
    let mut weights = [1.0; 40];
    let gradients: Vec<f32> = (0..40).map(|i| 1000.0 + 77.7 * i as f32).collect();
    for _ in 0..500 {
        rmsprop.begin_step().unwrap().update(Isa::detect(), 0, &mut weights, &gradients).unwrap();
    }
    assert!(weights.iter().all(|w| w.is_finite()), "{weights:?}");
}

fn rates(schedule: &impl Schedule, steps: usize) -> Vec<f32> {
    schedule.check().unwrap();
    (0..steps as u64).map(|step| schedule.rate(step)).collect()
}

/// The largest difference, which must be a rounding of the largest rate.
fn compare_rates(name: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{name}");
    let most = want.iter().fold(0.0f32, |most, &rate| most.max(rate));
    let mut largest = 0.0f32;
    for (step, (got, want)) in got.iter().zip(want).enumerate() {
        let difference = (got - want).abs();
        assert!(difference <= most * f32::EPSILON / 2.0, "{name}, step {step}: {got} and not {want}");
        largest = largest.max(difference);
    }
    println!("{name}: {largest:.1e}");
}

#[test]
fn schedules_are_keras_s() {
    let mut keras = Keras::new();
    let mut check = |name: &str, rates: &dyn Fn(usize) -> Vec<f32>| {
        let want = keras.array(&format!("schedule.{name}"));
        compare_rates(name, &rates(want.len()), &want);
    };
    let pieces = PiecewiseConstantDecay {
        boundaries: [40, 100, 101][..].into(),
        values: [0.5, 0.1, 0.02, 0.01][..].into(),
    };
    check("piecewise_constant", &|steps| rates(&pieces, steps));
    for (end, staircase) in [("", false), ("_staircase", true)] {
        let (initial_rate, decay_steps, decay_rate) = (0.1, 30, 0.8);
        let exponential = ExponentialDecay { initial_rate, decay_steps, decay_rate, staircase };
        check(&format!("exponential{end}"), &|steps| rates(&exponential, steps));
        let inverse = InverseTimeDecay { initial_rate, decay_steps, decay_rate, staircase };
        check(&format!("inverse_time{end}"), &|steps| rates(&inverse, steps));
    }
    let polynomial = PolynomialDecay { initial_rate: 0.1, decay_steps: 150, ..PolynomialDecay::default() };
    check("polynomial", &|steps| rates(&polynomial, steps));
    let power = PolynomialDecay { end_rate: 0.01, power: 1.5, ..polynomial };
    check("polynomial_power", &|steps| rates(&power, steps));
    let cycle = PolynomialDecay { decay_steps: 70, power: 2.0, cycle: true, ..polynomial };
    check("polynomial_cycle", &|steps| rates(&cycle, steps));
    let cosine = CosineDecay { initial_rate: 0.1, decay_steps: 150, alpha: 0.125, ..CosineDecay::default() };
    check("cosine", &|steps| rates(&cosine, steps));
    let warmup =
        CosineDecay { initial_rate: 0.001, alpha: 0.0, warmup_target: Some(0.1), warmup_steps: 40, ..cosine };
    check("cosine_warmup", &|steps| rates(&warmup, steps));
    let restarts =
        CosineDecayRestarts { initial_rate: 0.1, first_decay_steps: 50, ..CosineDecayRestarts::default() };
    check("cosine_restarts", &|steps| rates(&restarts, steps));
    let even = CosineDecayRestarts { t_mul: 1.0, m_mul: 0.75, alpha: 0.125, ..restarts };
    check("cosine_restarts_even", &|steps| rates(&even, steps));
    let slow = CosineDecayRestarts { first_decay_steps: 64, t_mul: 1.5, m_mul: 0.5, ..restarts };
    check("cosine_restarts_slow", &|steps| rates(&slow, steps));
    keras.checked_all("schedule.");
}

#[test]
fn one_cycle_is_pytorch_s() {
    let (words, _) = include_bytes!("../golden/torch_one_cycle.f32").as_chunks::<4>();
    let want: Vec<_> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
    let first = OneCycle { max_rate: 0.1, total_steps: 300, ..OneCycle::default() };
    compare_rates("one_cycle", &rates(&first, 300), &want[..300]);
    let half = OneCycle { total_steps: 301, up: 0.5, div_factor: 10.0, final_div_factor: 100.0, ..first };
    compare_rates("one_cycle_half", &rates(&half, 301), &want[300..]);
    // Past its end, and where there is hardly a cycle.
    assert_eq!(half.rate(301), half.rate(300));
    for (total_steps, up) in [(1, 0.3), (2, 0.0), (3, 1.0), (4, 0.5)] {
        let short = OneCycle { total_steps, up, ..first };
        assert!(rates(&short, 6).iter().all(|rate| (0.0..=0.1).contains(rate)), "{total_steps} {up}");
    }
}

/// Where logarithms of the growth are rounded down, too.
#[test]
fn a_restart_begins_at_the_top() {
    for growth in 2..=12u64 {
        let restarts = CosineDecayRestarts {
            initial_rate: 1.0,
            first_decay_steps: 1,
            t_mul: growth as f32,
            ..CosineDecayRestarts::default()
        };
        let (mut step, mut len) = (0, 1);
        while step < 1 << 40 {
            assert_eq!(restarts.rate(step), 1.0, "{growth}: step {step}");
            (step, len) = (step + len, len * growth);
        }
    }
}

#[test]
fn a_schedule_says_what_is_wrong_with_it() {
    let nan = f32::NAN;
    let refused = |schedule: Optimizer| {
        let mut schedule = schedule;
        schedule.begin_step().map(drop).unwrap_err().to_string()
    };
    let sgd = || Optimizer::from(Sgd::default());
    let exponential =
        ExponentialDecay { initial_rate: 0.1, decay_steps: 10, decay_rate: 0.5, staircase: false };
    let cosine = CosineDecay::default();
    let one_cycle = OneCycle::default();
    let restarts = CosineDecayRestarts::default();
    let pieces = |boundaries: &'static [u64], values: &'static [f32]| PiecewiseConstantDecay {
        boundaries: boundaries.into(),
        values: values.into(),
    };
    let cases = [
        (
            sgd().schedule(ExponentialDecay { decay_steps: 0, ..exponential }),
            "decay steps: expected at least one",
        ),
        (
            sgd().schedule(ExponentialDecay { initial_rate: -0.1, ..exponential }),
            "learning rate: expected a finite",
        ),
        (
            sgd().schedule(ExponentialDecay { decay_rate: nan, ..exponential }),
            "decay rate: expected a finite",
        ),
        (
            sgd().schedule(InverseTimeDecay {
                initial_rate: 0.1,
                decay_steps: 0,
                decay_rate: 0.5,
                staircase: true,
            }),
            "decay steps: expected at least one",
        ),
        (sgd().schedule(CosineDecay { decay_steps: 0, ..cosine }), "decay steps: expected at least one"),
        (sgd().schedule(CosineDecay { alpha: -1.0, ..cosine }), "alpha: expected a finite"),
        (
            sgd().schedule(CosineDecay { warmup_target: Some(nan), ..cosine }),
            "warm-up target: expected a finite",
        ),
        (sgd().schedule(PolynomialDecay { decay_steps: 0, ..PolynomialDecay::default() }), "decay steps"),
        (
            sgd().schedule(PolynomialDecay { end_rate: nan, ..PolynomialDecay::default() }),
            "last learning rate",
        ),
        (
            sgd().schedule(PolynomialDecay { power: -1.0, ..PolynomialDecay::default() }),
            "power: expected a finite",
        ),
        (sgd().schedule(CosineDecayRestarts { first_decay_steps: 0, ..restarts }), "first decay steps"),
        (
            sgd().schedule(CosineDecayRestarts { t_mul: 0.5, ..restarts }),
            "t_mul: expected a finite number of at least 1",
        ),
        (sgd().schedule(CosineDecayRestarts { m_mul: nan, ..restarts }), "m_mul: expected a finite"),
        (sgd().schedule(OneCycle { total_steps: 0, ..one_cycle }), "total steps: expected at least one"),
        (sgd().schedule(OneCycle { up: 1.5, ..one_cycle }), "share of the steps"),
        (
            sgd().schedule(OneCycle { div_factor: 0.0, ..one_cycle }),
            "div_factor: expected a finite number above 0",
        ),
        (sgd().schedule(pieces(&[5], &[0.1])), "rates of a schedule: expected 2"),
        (
            sgd().schedule(pieces(&[5, 5], &[0.1, 0.2, 0.3])),
            "boundary: expected more than the boundary before it",
        ),
        (sgd().schedule(pieces(&[5], &[0.1, f32::NAN])), "learning rate: expected a finite"),
        (sgd().schedule(exponential).schedule(cosine), "schedules: expected at most 1, got 2"),
        (sgd().clip_norm(1.0).clip_value(1.0), "ways to clip gradients: expected at most 1, got 2"),
        (sgd().clip_norm(0.0), "limit of gradients: expected a finite number above 0, got 0"),
        (sgd().clip_global_norm(nan), "limit of gradients: expected a finite number above 0, got NaN"),
        (sgd().weight_decay(-0.1, &[]), "weight decay: expected a finite number of at least 0"),
        (
            Optimizer::from(AdamW::default()).weight_decay(0.1, &[]),
            "weight decays: expected at most 1, got 2",
        ),
        (sgd().ema(1.5, None), "momentum of the average: expected from 0 to 1"),
        (sgd().ema(0.9, Some(0)), "steps until the average overwrites the weights: expected at least one"),
        (sgd().ema(0.9, None).ema(0.9, None), "moving averages: expected at most 1, got 2"),
        (Lion { beta1: 0.0, ..Lion::default() }.into(), "beta1: expected above 0 and less than 1"),
        (Adagrad { initial: -1.0, ..Adagrad::default() }.into(), "initial sum of squares"),
        (RmsProp { momentum: 1.0, ..RmsProp::default() }.into(), "momentum: expected"),
        (Adamax { beta2: nan, ..Adamax::default() }.into(), "beta2: expected"),
        (Nadam { epsilon: 0.0, ..Nadam::default() }.into(), "epsilon: expected"),
    ];
    for (optimizer, want) in cases {
        let got = refused(optimizer);
        assert!(got.starts_with(want), "{got}\nand not {want}");
    }
}

/// A step that is refused is none: nothing moves and nothing is counted.
#[test]
fn a_norm_that_is_not_finite_moves_nothing() {
    for clip in [Optimizer::clip_global_norm, Optimizer::clip_norm] {
        let mut optimizer = clip(Adam::default().into(), 1.0);
        let mut step = optimizer.begin_step().unwrap();
        for bad in [f32::NAN, f32::INFINITY, 1e30] {
            let refused = step.observe(Isa::detect(), &[1.0, bad]).unwrap_err().to_string();
            assert!(
                refused.starts_with("sum of the gradients' squares: expected a finite number"),
                "{refused}"
            );
        }
    }
    // Gradients that nobody told of cannot be clipped by the norm of all.
    let mut optimizer = Optimizer::from(Sgd::default()).clip_global_norm(1.0);
    let mut step = optimizer.begin_step().unwrap();
    let refused = step.update(Isa::detect(), 0, &mut [1.0], &[1.0]).unwrap_err().to_string();
    assert_eq!(refused, "gradients that the step observed: expected at least one, got none");
    let mut optimizer = Optimizer::from(Sgd::default()).weight_decay(0.1, &["bias"]);
    let refused = optimizer.begin_step().unwrap().update(Isa::detect(), 0, &mut [1.0], &[1.0]);
    assert!(refused.unwrap_err().to_string().starts_with("names of the parameter: expected"));
}

/// Gradients stop: nothing that is remembered, and no weight that decays, lingers among the subnormal numbers.
#[test]
fn nothing_decays_into_subnormal_numbers() {
    let decaying = |rule: Optimizer| rule.weight_decay(50.0, &[]).clip_norm(1.0).ema(0.9, None);
    let rules = [
        Optimizer::from(Sgd { momentum: 0.9, ..Sgd::default() }),
        RmsProp { momentum: 0.8, centered: true, rate: 0.01, ..RmsProp::default() }.into(),
        Adam { beta2: 0.99, amsgrad: true, rate: 0.01, ..Adam::default() }.into(),
        Adamax { beta2: 0.9, rate: 0.01, ..Adamax::default() }.into(),
        Nadam { beta2: 0.99, rate: 0.01, ..Nadam::default() }.into(),
        Lion { beta2: 0.95, rate: 0.01, ..Lion::default() }.into(),
    ];
    for (rule, mut optimizer) in rules.map(decaying).into_iter().enumerate() {
        let mut weights = [1.0; 19];
        for step in 0..4000 {
            let gradient = if step < 5 { 1.0 } else { f32::powi(0.7, step) };
            let gradients: [f32; 19] = std::array::from_fn(|i| gradient * (i as f32 - 9.0));
            let mut run = optimizer.begin_step().unwrap();
            run.update(Isa::detect(), 0, &mut weights, &gradients).unwrap();
            assert!(weights.iter().all(|w| !w.is_subnormal()), "rule {rule}, step {step}: {weights:?}");
            let mut average = weights;
            optimizer.swap_ema(0, &mut average).unwrap();
            assert!(average.iter().all(|w| !w.is_subnormal()), "rule {rule}, step {step}: {average:?}");
            optimizer.swap_ema(0, &mut average).unwrap();
        }
        assert_eq!(weights, [0.0; 19], "rule {rule}");
    }
}
