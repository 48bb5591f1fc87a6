//! Training goes on: two epochs and two more are four to the bit, in one process and through a file; and what else is
//! around the rules, moving averages, weights that do not decay, a plateau.

use crate::common::mend;
use bantam::{
    Adagrad, Adam, AdamW, Adamax, Dataset, Error, Event, ExponentialDecay, Lion, Loss, Model, Monitor, Nadam,
    Optimizer, ReduceLrOnPlateau, RmsProp, Samples, Sequential, Sgd, Shape, Tensor, Trainer, TrainingPlan,
    TrainingSession, trainable_layers,
};
use safetensors::SafeTensors;
use std::cell::Cell;
use std::ops::ControlFlow;

const SAMPLES: usize = 70;

/// Points of two classes, within a circle and outside.
fn points() -> Samples {
    let numbers = crate::common::numbers(3 * SAMPLES);
    let inside = |x: &[f32]| if x.iter().map(|x| x * x).sum::<f32>() < 0.8 { 1.0 } else { 0.0 };
    let labels = numbers.chunks_exact(3).map(inside).collect();
    let inputs = Tensor::new(&[SAMPLES, 3], numbers).unwrap();
    Samples::new(inputs, Tensor::new(&[SAMPLES, 1], labels).unwrap()).unwrap()
}

fn network() -> Model<'static> {
    Sequential::new([3]).dense(8).relu().dropout(0.25).dense(2).build(2).unwrap()
}

fn optimizers() -> Vec<Optimizer> {
    let rmsprop = RmsProp { momentum: 0.5, centered: true, ..RmsProp::default() };
    let schedule = ExponentialDecay { initial_rate: 0.1, decay_steps: 3, decay_rate: 0.75, staircase: true };
    let sgd = || Optimizer::from(Sgd::default());
    vec![
        sgd(),
        Sgd { momentum: 0.9, nesterov: true, ..Sgd::default() }.into(),
        RmsProp::default().into(),
        rmsprop.into(),
        Adagrad::default().into(),
        Adam::default().into(),
        Adam { amsgrad: true, ..Adam::default() }.into(),
        AdamW::default().into(),
        Adamax::default().into(),
        Nadam::default().into(),
        Lion::default().into(),
        sgd().schedule(schedule),
        sgd().ema(0.75, None),
        Optimizer::from(Adam::default()).ema(0.5, Some(3)).clip_norm(0.5).schedule(schedule),
        Optimizer::from(Nadam::default()).clip_global_norm(0.5).weight_decay(0.1, &["bias"]).ema(0.9, None),
        Optimizer::from(Lion::default()).clip_value(0.1),
    ]
}

fn go_on(_: Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A plateau that cuts soon, where no schedule is.
fn trainer(optimizer: Optimizer, threads: usize) -> Trainer {
    Trainer::new(optimizer, Loss::SoftmaxCrossEntropy).batch_size(40).seed(3).threads(threads)
}

fn plateau() -> ReduceLrOnPlateau {
    ReduceLrOnPlateau { monitor: Monitor::Loss, patience: 1, min_delta: 0.05, ..ReduceLrOnPlateau::default() }
}

fn fit(trainer: &mut Trainer, model: &mut Model<'_>) {
    trainer.fit(model, &points(), None, &mut go_on).unwrap();
}

#[test]
fn two_epochs_and_two_more_are_four_through_a_file() {
    for (case, optimizer) in optimizers().into_iter().enumerate() {
        for threads in [1, 2] {
            let scheduled = [11, 13].contains(&case);
            let new = || {
                let trainer = trainer(optimizer.clone(), threads);
                if scheduled { trainer } else { trainer.reduce_lr_on_plateau(plateau()) }
            };
            let mut at_once = network();
            let mut whole = new().epochs(4);
            fit(&mut whole, &mut at_once);

            let mut in_parts = network();
            let mut part = new().epochs(2);
            fit(&mut part, &mut in_parts);
            let file = part.checkpoint(&in_parts).unwrap();
            assert!(file == part.checkpoint(&in_parts).unwrap());
            fit(&mut part, &mut in_parts);
            assert!(in_parts == at_once, "case {case}, {threads} threads: in one process");

            // The seed and where its numbers are come from the file.
            let mut other = new().seed(99).epochs(2);
            let mut read = other.restore(&file).unwrap();
            assert!(other.checkpoint(&read).unwrap() == file, "case {case}");
            fit(&mut other, &mut read);
            assert!(read == at_once, "case {case}, {threads} threads: through a file");
            assert_eq!(whole.rate(), other.rate(), "case {case}");
            assert!(other.checkpoint(&read).unwrap() == whole.checkpoint(&at_once).unwrap(), "case {case}");
        }
    }
}

/// An epoch that is stopped after any of its batches goes on there, in the same process and through a file.
#[test]
fn a_stopped_epoch_goes_on_where_it_was() {
    let data = Drawn(points(), Cell::new(0));
    for (case, optimizer) in optimizers().into_iter().enumerate() {
        let whole = trainer(optimizer, 1).batch_size(20).epochs(3);
        let whole = if [11, 13].contains(&case) { whole } else { whole.reduce_lr_on_plateau(plateau()) };
        let model = network();
        let mut wanted = model.clone();
        let history = whole.clone().fit(&mut wanted, &data, None, &mut go_on).unwrap();
        for after in 1..12 {
            for through_a_file in [false, true] {
                let (mut first, mut trained, mut batches) = (whole.clone(), model.clone(), 0);
                let mut stop = |event: Event| {
                    batches += usize::from(matches!(event, Event::Batch { .. }));
                    if batches == after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                first.fit(&mut trained, &data, None, &mut stop).unwrap();
                let left = 3 - first.epochs_learnt();
                if through_a_file {
                    let file = first.checkpoint(&trained).unwrap();
                    let mut again = whole.clone();
                    trained = again.restore(&file).unwrap().into_owned();
                    assert_eq!(again.epochs_learnt(), 3 - left);
                    first = again;
                }
                let mut second = first.epochs(left);
                let rest = second.fit(&mut trained, &data, None, &mut go_on).unwrap();
                assert!(trained == wanted, "case {case}, after {after} batches");
                assert_eq!(second.epochs_learnt(), 3);
                let figures = |history: &bantam::History| history.epochs.last().map(|epoch| epoch.training);
                assert_eq!(figures(&rest), figures(&history), "case {case}, after {after} batches");
            }
        }
    }
}

/// Samples that depend on what an epoch begins with, as augmented ones do.
struct Drawn(Samples, Cell<u64>);

impl Dataset for Drawn {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn input_shape(&self) -> Shape {
        self.0.input_shape()
    }

    fn target_len(&self) -> usize {
        self.0.target_len()
    }

    fn begin_epoch(&self, _order: &[usize], seed: u64) -> Result<(), Error> {
        self.1.set(seed);
        Ok(())
    }

    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        self.0.read(index, input, target)?;
        input[0] += (self.1.get() % 1000) as f32 / 1000.0;
        Ok(())
    }
}

#[cfg(feature = "std")]
#[test]
fn a_file_is_written_as_a_whole_and_read() {
    let folder = std::env::temp_dir().join(format!("bantam-checkpoint-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("training.checkpoint");
    let mut model = network();
    let mut trainer = trainer(Adam::default().into(), 1);
    fit(&mut trainer, &mut model);
    trainer.save_checkpoint(&path, &model).unwrap();
    let mut again = self::trainer(Adam::default().into(), 1);
    assert!(again.load_checkpoint(&path).unwrap() == model);
    assert!(again.checkpoint(&model).unwrap() == std::fs::read(&path).unwrap());
    let missing = again.load_checkpoint(folder.join("none")).unwrap_err();
    assert!(matches!(missing, bantam::Error::File { .. }), "{missing}");
    std::fs::remove_dir_all(folder).unwrap();
}

fn file_of(optimizer: Optimizer) -> Vec<u8> {
    let mut model = network();
    let mut trainer = trainer(optimizer, 1);
    fit(&mut trainer, &mut model);
    trainer.checkpoint(&model).unwrap()
}

fn refused(optimizer: Optimizer, file: &[u8]) -> String {
    trainer(optimizer, 1).restore(file).map(drop).unwrap_err().to_string()
}

#[test]
fn state_of_another_optimizer_is_refused() {
    let file = file_of(Adam::default().into());
    let cases: [(Optimizer, &str); 4] = [
        (Sgd::default().into(), "checkpoint: expected the state of SGD, found that of Adam"),
        (
            Adam { amsgrad: true, ..Adam::default() }.into(),
            "checkpoint: expected the state of Adam by AMSGrad, found that of Adam",
        ),
        (
            Optimizer::from(Adam::default()).ema(0.9, None),
            "checkpoint: expected the state of Adam with a moving average, found that of Adam",
        ),
        (Nadam::default().into(), "checkpoint: expected the state of Nadam, found that of Adam"),
    ];
    for (optimizer, want) in cases {
        assert_eq!(refused(optimizer, &file), want);
    }
    // Both have two arrays, of other things.
    let centered = RmsProp { centered: true, ..RmsProp::default() };
    let with_momentum = RmsProp { momentum: 0.5, ..RmsProp::default() };
    assert_eq!(
        refused(with_momentum.into(), &file_of(centered.into())),
        "checkpoint: expected the state of RMSprop with momentum, found that of centered RMSprop"
    );
    // What does not change the state may differ.
    let rated = Optimizer::from(Adam { rate: 0.5, ..Adam::default() }).clip_norm(1.0);
    trainer(rated, 1).restore(&file).unwrap();

    // A rate that was cut, and a schedule.
    let mut model = network();
    let mut cut = trainer(Adam::default().into(), 1).epochs(6).reduce_lr_on_plateau(plateau());
    fit(&mut cut, &mut model);
    assert!(cut.rate() < 1e-3);
    let schedule = ExponentialDecay { initial_rate: 0.1, decay_steps: 3, decay_rate: 0.75, staircase: true };
    assert_eq!(
        refused(Optimizer::from(Adam::default()).schedule(schedule), &cut.checkpoint(&model).unwrap()),
        "checkpoint: expected a learning rate by a schedule, found one that a plateau has cut"
    );

    // Layers that the program does not name.
    let error = trainer(Adam::default().into(), 1).restore_with(&file, trainable_layers![bantam::Dense]);
    assert!(matches!(error, Err(Error::UnknownLayerTypes { .. })));
}

#[test]
fn a_checkpoint_is_of_a_model_as_training_left_it() {
    let (mut model, other) = (network(), network());
    let mut trainer = trainer(Adam::default().into(), 1);
    let want = "checkpoint: expected the model as the last training left it, got another";
    assert_eq!(trainer.checkpoint(&model).unwrap_err().to_string(), want);
    fit(&mut trainer, &mut model);
    assert_eq!(trainer.checkpoint(&other).unwrap_err().to_string(), want);
    // What is refused leaves the trainer as it was.
    let mut at_once = network();
    fit(&mut self::trainer(Adam::default().into(), 1).epochs(2), &mut at_once);
    trainer.restore(&file_of(Sgd::default().into())).unwrap_err();
    fit(&mut trainer, &mut model);
    assert!(model == at_once);
}

#[test]
fn damage_is_always_noticed() {
    let file = file_of(Optimizer::from(Adam::default()).ema(0.9, None));
    let refused = |bytes: &[u8]| refused(Optimizer::from(Adam::default()).ema(0.9, None), bytes);
    for len in 0..file.len() {
        let said = refused(&file[..len]);
        assert!(said.starts_with("checkpoint: expected"), "{len}: {said}");
    }
    let mut damaged = file.clone();
    for bit in 0..8 * file.len() {
        damaged[bit / 8] ^= 1 << (bit % 8);
        let said = refused(&damaged);
        assert!(said.starts_with("checkpoint: expected"), "{bit}: {said}");
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused(&network().to_bytes().unwrap()).contains("\"BANTAMC\" at its start"));
    let longer = [&file[..], &[0; 8]].concat();
    assert!(refused(&longer).contains(&format!("expected {} bytes, found {}", file.len(), longer.len())));
}

/// What a file says is not believed because its checksum is right.
#[test]
fn a_hostile_file_is_refused() {
    let optimizer = || Optimizer::from(Adam::default()).ema(0.9, None);
    let file = file_of(optimizer());
    let model_len = u64::from_le_bytes(file[32..40].try_into().unwrap()) as usize;
    let state = 64 + model_len;
    let mut accepted = 0;
    for at in (8..64).chain(state..file.len()) {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut hostile = file.clone();
            hostile[at] = value;
            mend(&mut hostile);
            let mut trainer = trainer(optimizer(), 1);
            if let Ok(mut model) = trainer.restore(&hostile) {
                accepted += 1;
                if at % 7 == 0 {
                    // What can be told from nothing learns, or says why not.
                    let _ = trainer.fit(&mut model, &points(), None, &mut go_on);
                }
            }
        }
    }
    assert!(accepted > 0);
    let said = |at: usize, bytes: &[u8]| {
        let mut hostile = file.clone();
        hostile[at..at + bytes.len()].copy_from_slice(bytes);
        mend(&mut hostile);
        refused(optimizer(), &hostile)
    };
    assert_eq!(said(8, &[1]), "checkpoint: expected version 2, found 1");
    assert!(said(32, &[0xff; 8]).starts_with("checkpoint: model's file: expected"));
    // Flags, name, steps, rate, best loss, twice 64 bits, seed; then the generator and the order.
    let random = state + 1 + (2 + "Adam".len()) + 8 + 4 + 4 + 16 + 8;
    assert_eq!(said(random, &[0; 32]), "checkpoint: its state of the generator makes no sense");
    assert!(said(random + 32, &[0xff; 4]).starts_with("checkpoint: order of samples: expected"));
    assert_eq!(said(random + 36, &[0xff; 4]), "checkpoint: its order of samples makes no sense");
    let twice: [u8; 4] = file[random + 40..random + 44].try_into().unwrap();
    assert_eq!(said(random + 36, &twice), "checkpoint: its order of samples makes no sense");
    // Epochs, seed, samples, loss, rows judged and right.
    let epoch = random + 36 + 4 * SAMPLES;
    for (at, bytes) in
        [(epoch + 16, [0xff; 8]), (epoch + 24, f64::NAN.to_le_bytes()), (epoch + 40, [0x7f; 8])]
    {
        assert_eq!(said(at, &bytes), "checkpoint: its figures of the last epoch makes no sense");
    }
    let arrays = epoch + 48;
    let want = "checkpoint: arrays of the optimiser's state: expected 3, found 2";
    assert_eq!(said(arrays, &[2]), want);
    let nan = f32::NAN.to_le_bytes();
    assert_eq!(said(arrays + 1, &nan), "checkpoint: its optimiser's state makes no sense");
    assert_eq!(said(state, &[0xff]), "checkpoint: its numbers of the plateau makes no sense");
}

#[test]
fn fit_leaves_the_moving_average_and_goes_on_from_the_weights() {
    let mut raw = Vec::new();
    let mut model = network();
    let optimizer = Optimizer::from(Adam { rate: 0.05, ..Adam::default() }).ema(0.5, None);
    let mut trainer = trainer(optimizer, 1).batch_size(SAMPLES);
    let numbers =
        |model: &Model<'_>| model.parameters().iter().flat_map(|p| p.values().to_vec()).collect::<Vec<_>>();
    let mut averages = Vec::new();
    for epochs in [3, 2] {
        let mut keep = |event: Event| {
            if let Event::Epoch(_, model) = event {
                raw.push(numbers(model));
            }
            ControlFlow::Continue(())
        };
        trainer = trainer.epochs(epochs);
        trainer.fit(&mut model, &points(), None, &mut keep).unwrap();
        averages.push(numbers(&model));
    }
    let mut plain = network();
    let adam = Optimizer::from(Adam { rate: 0.05, ..Adam::default() });
    fit(&mut self::trainer(adam, 1).batch_size(SAMPLES).epochs(5), &mut plain);
    assert_eq!(raw[4], numbers(&plain), "the average has no part in the training");
    let mut average = raw[0].clone();
    for (epoch, raw) in raw.iter().enumerate() {
        average.iter_mut().zip(raw).for_each(|(average, w)| *average = 0.5 * *average + 0.5 * w);
        if let Some(got) = [2, 4].iter().position(|&last| last == epoch) {
            let near = |(got, want): (&f32, &f32)| (got - want).abs() <= 1e-6;
            assert!(averages[got].iter().zip(&average).all(near), "epoch {epoch}");
        }
    }
}

#[test]
fn a_session_has_the_average_too() {
    let model = network();
    let trainer = trainer(Optimizer::from(Adam::default()).ema(0.5, None), 1).batch_size(4);
    let (inputs, labels) = (crate::common::numbers(12), [0.0, 1.0, 1.0, 0.0]);
    let [mut session, mut other] = [(); 2].map(|()| TrainingSession::new(&trainer, &model).unwrap());
    // No average yet.
    session.swap_ema();
    assert!(session.to_model() == model);
    for step in 0..4 {
        session.step(&inputs, &labels).unwrap();
        other.step(&inputs, &labels).unwrap();
        let weights = session.to_model();
        session.swap_ema();
        assert!(step == 0 || session.to_model() != weights);
        session.swap_ema();
        assert!(session.to_model() == weights && weights == other.to_model());
    }
}

/// Inputs of zeros have no gradient to kernels: they move by decay alone.
#[test]
fn weights_decay_but_those_that_are_named() {
    let zeros = || {
        let labels = Tensor::new(&[8, 1], vec![1.0; 8]).unwrap();
        Samples::new(Tensor::zeros(&[8, 3]).unwrap(), labels).unwrap()
    };
    let net = || Sequential::new([3]).dense(4).dense(2).build(2).unwrap();
    let decayed = |excluded: &[&str], layer: &str| {
        let mut model = net();
        let optimizer = Optimizer::from(Sgd { rate: 0.5, ..Sgd::default() }).weight_decay(0.5, excluded);
        let mut trainer = Trainer::new(optimizer, Loss::SoftmaxCrossEntropy);
        trainer.fit(&mut model, &zeros(), None, &mut go_on).unwrap();
        let weights = |model: &Model<'_>| model.weights(layer).unwrap()[0].values().to_vec();
        let (before, after) = (weights(&net()), weights(&model));
        // A plan knows the names as a trainer does.
        let mut session = TrainingSession::new(&trainer.clone().batch_size(8), &net()).map(|_| ());
        assert!(session.as_mut().is_ok());
        before.iter().zip(&after).all(|(before, after)| (after - 0.75 * before).abs() < 1e-6)
            && before != after
    };
    assert!(decayed(&[], "dense") && decayed(&["bias"], "dense") && decayed(&["dense_1"], "dense"));
    assert!(!decayed(&["kernel"], "dense") && !decayed(&["dense"], "dense"));

    let misspelt = Optimizer::from(Sgd::default()).weight_decay(0.5, &["bais"]);
    let trainer = Trainer::new(misspelt, Loss::SoftmaxCrossEntropy);
    let want =
        "layer \"bais\": parameters that are excluded from weight decay: expected at least one, got none";
    let said = trainer.clone().fit(&mut net(), &zeros(), None, &mut go_on).unwrap_err().to_string();
    assert!(said.starts_with(want), "{said}");
    let said = TrainingPlan::new(&trainer, &net()).map(drop).unwrap_err().to_string();
    assert!(said.starts_with(want), "{said}");
}

/// A plan keeps what a rule needs at once: whole gradients for their norms, all for the norm of all.
#[test]
fn a_plan_has_the_gradients_that_a_norm_needs() {
    let model = Sequential::new([64]).dense(64).relu().dense(64).relu().dense(2).build(1).unwrap();
    let peak = |optimizer: Optimizer| {
        let trainer =
            Trainer::new(optimizer, Loss::SoftmaxCrossEntropy).batch_size(2).isa(bantam::Isa::SCALAR);
        TrainingPlan::new(&trainer, &model).unwrap().peak_bytes()
    };
    let sgd = || Optimizer::from(Sgd::default());
    let [slices, whole, all] =
        [sgd().clip_value(1.0), sgd().clip_norm(1.0), sgd().clip_global_norm(1.0)].map(peak);
    assert_eq!(slices, peak(sgd()));
    let kernel = 64 * 64 * 4;
    assert!(whole >= slices + kernel * 3 / 4, "{whole} {slices}");
    // All weights, and as many gradients.
    assert!(all > whole && all >= 2 * 4 * model.parameter_count(), "{all} {whole}");
    let average = peak(sgd().ema(0.9, None));
    assert!(average >= slices + 2 * kernel && average < slices + 3 * kernel, "{average} {slices}");
}

/// Gradients that wait for the last lie apart from what is computed again meanwhile.
#[test]
fn every_way_to_keep_less_clips_to_the_same_bits() {
    let net = Sequential::new([6, 6, 1]).conv2d(4, 3).relu().conv2d(4, 3).batch_normalization().relu();
    let model = net.flatten().dense(8).relu().dense(2).build(1).unwrap();
    let (inputs, labels) = (crate::common::numbers(4 * 36), [0.0, 1.0, 1.0, 0.0]);
    for clip in [Optimizer::clip_global_norm, Optimizer::clip_norm] {
        for isa in bantam::Isa::available() {
            let optimizer = clip(Adam { rate: 0.1, ..Adam::default() }.into(), 0.01).ema(0.5, None);
            let trainer = Trainer::new(optimizer, Loss::SoftmaxCrossEntropy).batch_size(4).isa(isa);
            let ways = TrainingPlan::ways(&trainer, &model).unwrap();
            let mut learnt = ways.into_iter().map(|plan| {
                let mut session = plan.session().unwrap();
                for _ in 0..3 {
                    session.step(&inputs, &labels).unwrap();
                }
                session.to_model()
            });
            let first = learnt.next().unwrap();
            assert!(first != model && learnt.all(|other| other == first), "{isa}");
        }
    }
}

/// A validation set whose loss is what it is told to be, from one epoch to the next.
struct Losses {
    losses: Vec<f32>,
    epoch: Cell<usize>,
}

impl Dataset for Losses {
    fn len(&self) -> usize {
        1
    }

    fn input_shape(&self) -> Shape {
        Shape::new(&[1]).unwrap()
    }

    fn target_len(&self) -> usize {
        1
    }

    fn read(&self, _: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        (input[0], target[0]) = (0.0, self.losses[self.epoch.get()].sqrt());
        self.epoch.set(self.epoch.get() + 1);
        Ok(())
    }
}

/// A net that learns nothing, so that each epoch's loss is the one that the validation set is told.
#[test]
fn a_plateau_cuts_the_rate_when_keras_does() {
    let file = SafeTensors::deserialize(include_bytes!("../golden/keras_optimizers.safetensors")).unwrap();
    let array = |name: &str| -> Vec<f32> {
        let (words, _) = file.tensor(name).unwrap().data().as_chunks::<4>();
        words.iter().map(|&word| f32::from_le_bytes(word)).collect()
    };
    let defaults = ReduceLrOnPlateau::default();
    let two =
        |cooldown| ReduceLrOnPlateau { factor: 0.5, patience: 2, cooldown, min_delta: 0.001, ..defaults };
    let cases = [
        ("cooldown0", two(0)),
        ("cooldown1", two(1)),
        ("cooldown2", two(2)),
        ("cooldown3", two(3)),
        ("patience1", ReduceLrOnPlateau { factor: 0.25, patience: 1, min_rate: 0.0005, ..defaults }),
        ("patience0", ReduceLrOnPlateau { factor: 0.5, patience: 0, min_delta: 0.0, ..defaults }),
        ("defaults", defaults),
    ];
    let still = || {
        let (inputs, targets) = (Tensor::zeros(&[1, 1]).unwrap(), Tensor::zeros(&[1, 1]).unwrap());
        (Sequential::new([1]).dense(1).build(1).unwrap(), Samples::new(inputs, targets).unwrap())
    };
    let rates = |plateau: ReduceLrOnPlateau, losses: Vec<f32>| -> Vec<f32> {
        let (mut model, data) = still();
        let mut trainer = Trainer::new(Sgd::default(), Loss::MeanSquaredError).reduce_lr_on_plateau(plateau);
        let epochs = losses.len();
        let losses = Losses { losses, epoch: Cell::new(0) };
        let mut rates = Vec::new();
        for epoch in 0..epochs {
            rates.push(trainer.rate());
            if epoch % 2 == 1 {
                trainer.fit(&mut model, &data, Some(&losses), &mut go_on).unwrap();
                continue;
            }
            // Every other epoch by another trainer, through a file.
            trainer.fit(&mut model, &data, Some(&losses), &mut go_on).unwrap();
            let file = trainer.checkpoint(&model).unwrap();
            trainer = Trainer::new(Sgd::default(), Loss::MeanSquaredError).reduce_lr_on_plateau(plateau);
            model = trainer.restore(&file).unwrap().into_owned();
        }
        rates
    };
    for (name, plateau) in cases {
        let (got, want) = (rates(plateau, array("plateau")), array(&format!("plateau.{name}")));
        for (epoch, (got, want)) in got.iter().zip(&want).enumerate() {
            let near = (got - want).abs() <= 4.0 * f32::EPSILON * want;
            assert!(near, "{name}, epoch {}: {got} and not {want}", epoch + 1);
        }
        assert_eq!(got.len(), want.len());
    }
    // A flat loss, patience 2: after which epochs the rate is cut.
    for (cooldown, want) in [(0, [3, 5, 7]), (1, [3, 5, 7]), (2, [3, 6, 9]), (3, [3, 7, 11])] {
        let rates = rates(two(cooldown), vec![1.0; 12]);
        let cuts: Vec<_> = (1..12).filter(|&epoch| rates[epoch] < rates[epoch - 1]).collect();
        assert_eq!(cuts[..3], want, "cooldown {cooldown}");
    }

    let refused = |plateau: ReduceLrOnPlateau, optimizer: Optimizer| {
        let (mut model, data) = still();
        let mut trainer = Trainer::new(optimizer, Loss::MeanSquaredError).reduce_lr_on_plateau(plateau);
        trainer.fit(&mut model, &data, None, &mut go_on).unwrap_err().to_string()
    };
    let of_loss = ReduceLrOnPlateau { monitor: Monitor::Loss, ..defaults };
    let sgd = || Optimizer::from(Sgd::default());
    let schedule = ExponentialDecay { initial_rate: 0.1, decay_steps: 3, decay_rate: 0.75, staircase: true };
    let cases = [
        (defaults, sgd(), "validation set of a plateau: expected at least one, got none"),
        (of_loss, sgd().schedule(schedule), "schedules: expected at most 1, got 2"),
        (
            ReduceLrOnPlateau { factor: 1.0, ..of_loss },
            sgd(),
            "factor of a plateau: expected at least 0 and less than 1, got 1",
        ),
        (
            ReduceLrOnPlateau { min_delta: f32::NAN, ..of_loss },
            sgd(),
            "least difference of a plateau: expected a finite number of at least 0, got NaN",
        ),
        (
            ReduceLrOnPlateau { min_rate: -1.0, ..of_loss },
            sgd(),
            "least learning rate: expected a finite number of at least 0, got -1",
        ),
    ];
    for (plateau, optimizer, want) in cases {
        assert_eq!(refused(plateau, optimizer), want);
    }
}
