//! What a file says of a training that goes on: the optimiser, and what it remembers.
//!
//! Keras 3 lists an optimiser's variables without names in `.keras`, and by names in the same order in `.h5`: how many steps it
//! has made; the rate, if that is a number; the average of each weight, if there are averages; and what the rule remembers, of some
//! rules weight by weight, of others array by array. Weights are in the order of the layers that learn.
//!
//! Keras 2 lists no rate, which its configuration has as it is by then. SGD there remembers arrays that it does not read. Until 2.10 all rules were listed array by array.

use super::config::{list, object};
use super::hdf5::{self, Array, Hdf5};
use super::{Import, Learnt};
use crate::import::{Cause, Unsupported, WeightProblem};
use bantam::{
    Adagrad, Adam, Adamax, CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, Lion, Model,
    Nadam, Optimizer, PiecewiseConstantDecay, PolynomialDecay, RmsProp, Schedule, Sgd,
};
use serde_json::{Map, Value as Json};

/// A model whose training goes on.
#[derive(Debug)]
pub struct Resumed {
    /// The model, and what was done to it.
    pub import: Import,
    /// The optimiser, whose next step is that which Keras would make: for [`Trainer::new`](bantam::Trainer::new).
    pub optimizer: Optimizer,
}

const TRAIN_ANEW: &str = "import the model without it, and train it by another";

/// Whose list it is of what an optimiser remembers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    Before2_11,
    Keras2,
    Keras3,
}

/// Numbers of an optimiser's configuration. What is wrong with them is collected.
struct Config<'c> {
    name: &'c str,
    numbers: &'c Map<String, Json>,
    problems: &'c mut Vec<Unsupported>,
}

impl Config<'_> {
    fn get(&self, key: &str) -> Option<&Json> {
        self.numbers.get(key).filter(|value| !value.is_null())
    }

    fn refuse(&mut self, what: impl Into<String>, advice: &str) {
        let (name, what) = (self.name.into(), what.into());
        self.problems.push(Unsupported { name, what, advice: advice.into() });
    }

    fn wrong(&mut self, key: &str, expected: &str) {
        let got = self.get(key).map_or_else(|| "nothing".into(), Json::to_string);
        self.refuse(format!("{key}: expected {expected}, got {got}"), "");
    }

    fn number(&mut self, key: &str) -> f32 {
        self.optional(key).unwrap_or_else(|| {
            self.wrong(key, "a number");
            0.0
        })
    }

    fn optional(&mut self, key: &str) -> Option<f32> {
        let number = self.get(key)?.as_f64().map(|number| number as f32);
        if number.is_none() {
            self.wrong(key, "a number");
        }
        number
    }

    fn count(&mut self, key: &str) -> u64 {
        let whole = |value: &Json| {
            value
                .as_u64()
                .or_else(|| value.as_f64().filter(|x| x.fract() == 0.0 && *x >= 0.0).map(|x| x as u64))
        };
        self.get(key).and_then(whole).unwrap_or_else(|| {
            self.wrong(key, "a whole number");
            1
        })
    }

    fn flag(&mut self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value == &Json::Bool(true))
    }
}

/// How a rule's arrays are listed, by their numbers in the engine.
#[derive(Default)]
struct Listed {
    /// Those of a weight beside each other.
    by_weight: Vec<usize>,
    /// Those of all weights, one after the other.
    by_array: Vec<usize>,
    /// Numbers at the end that follow from the steps.
    left_out: usize,
    /// Whether there are arrays that the rule does not read.
    unread: bool,
}

/// Adds the optimiser to a model that was imported.
pub(super) fn resume(
    mut import: Import,
    learnt: &[Learnt],
    training: Option<&Json>,
    major: u32,
    file: &Hdf5,
) -> Result<Resumed, Cause> {
    let refused = |what: &str, advice: &str| {
        let (name, what, advice) = ("optimizer".into(), what.into(), advice.into());
        Cause::Unsupported(vec![Unsupported { name, what, advice }])
    };
    let Some(described) =
        training.and_then(|training| training.get("optimizer").or_else(|| training.get("optimizer_config")))
    else {
        return Err(refused(
            "the file has none",
            "compile and train the model before it is saved, or import it without",
        ));
    };
    if major < 3 && hdf5::has_group(&file.root()?, "", "optimizer")? {
        return Err(refused(
            "of Keras 2 in an archive, which lists what it remembers otherwise",
            "load it with Keras 2 and save it as .h5",
        ));
    }
    let mut problems = Vec::new();
    let class = described.get("class_name").and_then(Json::as_str).unwrap_or_default();
    // As tf-keras registers its own.
    let class = class.strip_prefix("Custom>").unwrap_or(class);
    let numbers = object(described.get("config"), "optimizer")?;
    let era = match major {
        3.. => Era::Keras3,
        _ if numbers.contains_key("decay") => Era::Before2_11,
        _ => Era::Keras2,
    };
    let variables = variables(file)?;
    let scheduled = numbers.get("learning_rate").is_some_and(Json::is_object);
    // The rate may be another by now.
    let rate = match variables.get(1) {
        Some(rate) if era == Era::Keras3 && !scheduled => Some(single(rate)?),
        _ => None,
    };
    let mut config = Config { name: class, numbers, problems: &mut problems };
    let Some((rule, listed)) = rule(&mut config, class, rate, era) else {
        config.refuse("an optimiser that the engine has not", TRAIN_ANEW);
        return Err(Cause::Unsupported(problems));
    };
    let averages = config.flag("use_ema");
    let rule = around(&mut config, rule);
    if config.get("weight_decay").is_some() {
        let warning = "optimizer: which weights do not decay is not in the file: all do";
        import.report.warnings.push(warning.into());
    }
    if !problems.is_empty() {
        return Err(Cause::Unsupported(problems));
    }
    let steps = variables.first().map_or(Ok(0), Array::read_count)?;
    let head = 1 + usize::from(era == Era::Keras3 && !scheduled);
    let state = match variables.get(head..) {
        Some(arrays) if !arrays.is_empty() && !listed.unread => {
            state(arrays, &listed, averages, learnt, &import.model)?
        }
        // It was compiled, and has made no step yet.
        _ => Vec::new(),
    };
    import.report.notes.push(format!("optimizer: {class} after {steps} steps"));
    Ok(Resumed { import, optimizer: rule.resumed(steps, state)? })
}

/// The optimiser's variables, in order.
fn variables(file: &Hdf5) -> Result<Vec<Array>, Cause> {
    let root = file.root()?;
    if hdf5::has_group(&root, "", "optimizer_weights")? {
        let within = "optimizer_weights";
        let group = hdf5::group(&root, "", within)?;
        let names = hdf5::texts(&group, within, "weight_names")?.unwrap_or_default();
        return names.iter().map(|name| file.array(&group, within, name)).collect();
    }
    let within = "optimizer/vars";
    if !hdf5::has_group(&root, "", "optimizer")?
        || !hdf5::has_group(&hdf5::group(&root, "", "optimizer")?, "optimizer", "vars")?
    {
        return Ok(Vec::new());
    }
    file.numbered(&hdf5::group(&root, "", within)?, within)
}

/// The one number of an array.
fn single(array: &Array) -> Result<f32, Cause> {
    match array.read()?[..] {
        [number] => Ok(number),
        ref numbers => {
            Err(Cause::damaged(&array.path, format!("expected one number, got {}", numbers.len())))
        }
    }
}

/// A rule of the engine, and how Keras lists what it remembers.
fn rule(config: &mut Config<'_>, class: &str, rate: Option<f32>, era: Era) -> Option<(Optimizer, Listed)> {
    // A schedule takes its place.
    let rate = rate.or_else(|| config.get("learning_rate")?.as_f64().map(|rate| rate as f32)).unwrap_or(0.0);
    let mut listed = Listed::default();
    let rule = match class {
        "SGD" => {
            let momentum = config.number("momentum");
            listed.by_array.extend((momentum != 0.0).then_some(0));
            listed.unread = momentum == 0.0;
            Sgd { rate, momentum, nesterov: config.flag("nesterov") }.into()
        }
        "RMSprop" => {
            let (momentum, centered) = (config.number("momentum"), config.flag("centered"));
            listed.by_array.push(0);
            listed.by_array.extend((momentum != 0.0).then_some(1 + usize::from(centered)));
            listed.by_array.extend(centered.then_some(1));
            let (rho, epsilon) = (config.number("rho"), config.number("epsilon"));
            if era == Era::Before2_11 && momentum == 0.0 {
                config.refuse("of Keras before 2.11, whose epsilon is not in the root", TRAIN_ANEW);
            }
            RmsProp { rate, rho, momentum, epsilon, centered }.into()
        }
        "Adagrad" => {
            listed.by_array.push(0);
            let initial = config.number("initial_accumulator_value");
            Adagrad { rate, initial, epsilon: config.number("epsilon") }.into()
        }
        "Lion" => {
            listed.by_array.push(0);
            Lion { rate, beta1: config.number("beta_1"), beta2: config.number("beta_2") }.into()
        }
        "Adam" | "AdamW" | "Nadam" | "Adamax" => {
            match era {
                Era::Before2_11 => listed.by_array.extend([0, 1]),
                Era::Keras2 | Era::Keras3 => listed.by_weight.extend([0, 1]),
            }
            let (beta1, beta2, epsilon) =
                (config.number("beta_1"), config.number("beta_2"), config.number("epsilon"));
            match class {
                "Nadam" => {
                    // The product of its momenta.
                    listed.left_out = 1;
                    if era != Era::Keras3 {
                        config.refuse("of Keras 2, whose momenta are others", TRAIN_ANEW);
                    }
                    Nadam { rate, beta1, beta2, epsilon }.into()
                }
                "Adamax" => Adamax { rate, beta1, beta2, epsilon }.into(),
                _ => {
                    let amsgrad = config.flag("amsgrad");
                    listed.by_array.extend(amsgrad.then_some(2));
                    Adam { rate, beta1, beta2, epsilon, amsgrad }.into()
                }
            }
        }
        _ => return None,
    };
    Some((rule, listed))
}

/// What all optimisers of Keras have in common.
fn around(config: &mut Config<'_>, mut rule: Optimizer) -> Optimizer {
    if let Some(described) = config.get("learning_rate").filter(|rate| rate.is_object()).cloned() {
        rule = schedule(config, rule, &described);
    }
    // Until Keras 2.10.
    if let Some(decay_rate) = config.optional("decay").filter(|&decay| decay != 0.0) {
        if config.get("learning_rate").is_some_and(Json::is_object) {
            config.wrong("decay", "0 beside a schedule");
        }
        let (initial_rate, staircase) = (rule.rate(), false);
        rule = rule.schedule(InverseTimeDecay { initial_rate, decay_steps: 1, decay_rate, staircase });
    }
    if let Some(limit) = config.optional("clipvalue") {
        rule = rule.clip_value(limit);
    }
    if let Some(limit) = config.optional("clipnorm") {
        rule = rule.clip_norm(limit);
    }
    if let Some(limit) = config.optional("global_clipnorm") {
        rule = rule.clip_global_norm(limit);
    }
    if let Some(decay) = config.optional("weight_decay") {
        rule = rule.weight_decay(decay, &[]);
    }
    for key in ["loss_scale_factor", "gradient_accumulation_steps"] {
        if config.get(key).is_some() {
            config.wrong(key, "none");
        }
    }
    if config.flag("use_ema") {
        let overwrite =
            config.get("ema_overwrite_frequency").is_some().then(|| config.count("ema_overwrite_frequency"));
        let momentum = config.number("ema_momentum");
        rule = rule.ema(momentum, overwrite);
    }
    rule
}

fn schedule(config: &mut Config<'_>, rule: Optimizer, described: &Json) -> Optimizer {
    let class = described.get("class_name").and_then(Json::as_str).unwrap_or_default();
    let none = Map::new();
    let numbers = described.get("config").and_then(Json::as_object).unwrap_or(&none);
    let mut of = Config { name: class, numbers, problems: &mut *config.problems };
    let initial_rate =
        if class == "PiecewiseConstantDecay" { 0.0 } else { of.number("initial_learning_rate") };
    fn with(rule: Optimizer, schedule: impl Schedule) -> Optimizer {
        rule.schedule(schedule)
    }
    match class {
        "CosineDecay" => {
            let warmup_target = of.optional("warmup_target");
            let warmup_steps = if of.get("warmup_steps").is_some() { of.count("warmup_steps") } else { 0 };
            let (decay_steps, alpha) = (of.count("decay_steps"), of.number("alpha"));
            with(rule, CosineDecay { initial_rate, decay_steps, alpha, warmup_target, warmup_steps })
        }
        "CosineDecayRestarts" => {
            let first_decay_steps = of.count("first_decay_steps");
            let [t_mul, m_mul, alpha] = ["t_mul", "m_mul", "alpha"].map(|key| of.number(key));
            with(rule, CosineDecayRestarts { initial_rate, first_decay_steps, t_mul, m_mul, alpha })
        }
        "ExponentialDecay" => {
            let (decay_steps, decay_rate) = (of.count("decay_steps"), of.number("decay_rate"));
            with(
                rule,
                ExponentialDecay { initial_rate, decay_steps, decay_rate, staircase: of.flag("staircase") },
            )
        }
        "InverseTimeDecay" => {
            let (decay_steps, decay_rate) = (of.count("decay_steps"), of.number("decay_rate"));
            with(
                rule,
                InverseTimeDecay { initial_rate, decay_steps, decay_rate, staircase: of.flag("staircase") },
            )
        }
        "PolynomialDecay" => {
            let (decay_steps, end_rate) = (of.count("decay_steps"), of.number("end_learning_rate"));
            let (power, cycle) = (of.number("power"), of.flag("cycle"));
            with(rule, PolynomialDecay { initial_rate, decay_steps, end_rate, power, cycle })
        }
        "PiecewiseConstantDecay" => {
            let numbers = |key| -> Option<Vec<f64>> {
                list(numbers.get(key), key).ok()?.iter().map(Json::as_f64).collect()
            };
            match (numbers("boundaries"), numbers("values")) {
                (Some(boundaries), Some(values)) if values.len() == boundaries.len() + 1 => {
                    let boundaries = boundaries.into_iter().map(|step| step.max(0.0) as u64).collect();
                    let values: Vec<f32> = values.into_iter().map(|rate| rate as f32).collect();
                    with(rule, PiecewiseConstantDecay { boundaries, values: values.into() })
                }
                _ => {
                    of.refuse("expected boundaries, and one value more, got something else", "");
                    rule
                }
            }
        }
        _ => {
            of.refuse(
                "a schedule that the engine has not",
                "give the model a number as its rate before it is saved",
            );
            rule
        }
    }
}

/// What is remembered of each parameter of the model.
fn state(
    arrays: &[Array],
    listed: &Listed,
    averages: bool,
    learnt: &[Learnt],
    model: &Model<'_>,
) -> Result<Vec<Vec<f32>>, Cause> {
    let Listed { by_weight, by_array, left_out, .. } = listed;
    let own = by_weight.len() + by_array.len();
    // Which array of which weight each is.
    let all = |slot: usize| (0..learnt.len()).map(move |weight| (weight, slot));
    let mut expected: Vec<(usize, usize)> = Vec::new();
    if averages {
        expected.extend(all(own));
    }
    expected.extend((0..learnt.len()).flat_map(|weight| by_weight.iter().map(move |&slot| (weight, slot))));
    expected.extend(by_array.iter().flat_map(|&slot| all(slot)));
    if arrays.len() != expected.len() + left_out {
        let expected =
            format!("{} arrays for {} weights that learn", expected.len() + left_out, learnt.len());
        let got = format!("{}", arrays.len());
        return Err(Cause::Weights(vec![WeightProblem::Arrays { name: "optimizer".into(), expected, got }]));
    }
    let wrong: Vec<WeightProblem> = expected
        .iter()
        .zip(arrays)
        .filter_map(|(&(weight, _), array)| {
            let Learnt { name, shape, .. } = &learnt[weight];
            super::wrong("optimizer", name, *shape, array)
        })
        .collect();
    if !wrong.is_empty() {
        return Err(Cause::Weights(wrong));
    }
    let each = own + usize::from(averages);
    let mut state = vec![Vec::new(); model.parameters().len()];
    for (&(weight, slot), array) in expected.iter().zip(arrays) {
        let Learnt { parameter, shape, .. } = &learnt[weight];
        let (len, values) = (shape.elements(), array.read()?);
        let state: &mut Vec<f32> = &mut state[*parameter];
        state.resize(each * len, 0.0);
        if values.len() != len {
            return Err(Cause::damaged(&array.path, format!("expected {len} numbers, got {}", values.len())));
        }
        state[slot * len..][..len].copy_from_slice(&values);
    }
    Ok(state)
}
