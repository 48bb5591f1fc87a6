//! One loss, whoever computes it: `fit`, `evaluate`, a training session, a tape.

use bantam::{
    Adam, Dataset, Error, Event, Isa, L1L2, Loss, Model, Options, RmsProp, Samples, Sequential, Session, Sgd,
    Shape, Tape, Tensor, Trainer, TrainingSession,
};
use std::ops::ControlFlow;

fn go_on(_: Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn samples(inputs: &[usize], input: Vec<f32>, targets: &[usize], target: Vec<f32>) -> Samples {
    Samples::new(Tensor::new(inputs, input).unwrap(), Tensor::new(targets, target).unwrap()).unwrap()
}

/// The loss and accuracy of all samples in one batch, by each way there is.
fn by_all(model: &Model<'_>, loss: Loss, inputs: &Tensor, targets: &Tensor) -> [(f32, Option<f32>); 3] {
    let n = inputs.shape().dims()[0];
    let data = Samples::new(inputs.clone(), targets.clone()).unwrap();
    let mut trainer = Trainer::new(Sgd { rate: 0.0, ..Sgd::default() }, loss).batch_size(n);
    let evaluated = trainer.evaluate(model, &data).unwrap();
    let mut session = TrainingSession::new(&trainer, model).unwrap();
    let stepped = session.step(inputs.data(), targets.data()).unwrap();
    let fitted = trainer.fit(&mut model.clone(), &data, None, &mut go_on).unwrap().epochs[0].training;
    [evaluated, stepped, fitted].map(|evaluation| (evaluation.loss, evaluation.accuracy))
}

/// Behind a softmax the loss is that of the logits: 200 of (0, 200) for class 0, with a gradient.
#[test]
fn a_loss_behind_softmax_is_the_logits_loss() {
    for softmax in [false, true] {
        let net = Sequential::new([1]).dense(2);
        let model = if softmax { net.softmax() } else { net }.build(1).unwrap();
        let &[a, b] = model.parameters()[0].values() else { panic!("two weights") };
        // Logits that are 200 apart; the class has the lower one.
        let (x, label) = (200.0 / (b - a), 0.0);
        let inputs = Tensor::new(&[1, 1], vec![x]).unwrap();
        let labels = Tensor::new(&[1, 1], vec![label]).unwrap();
        let all = by_all(&model, Loss::SoftmaxCrossEntropy, &inputs, &labels);
        for (loss, accuracy) in all {
            assert!((loss - 200.0).abs() < 1e-3 && accuracy == Some(0.0), "{all:?}, softmax {softmax}");
            assert_eq!(loss, all[0].0);
        }
        // The gradient to the logits is (-1, 1), that to the weights x times as much.
        let rate = 1.0 / 1024.0;
        let data = Samples::new(inputs, labels).unwrap();
        let sgd = Sgd { rate, ..Sgd::default() };
        let mut trainer = Trainer::new(sgd, Loss::SoftmaxCrossEntropy).batch_size(1);
        let mut session = TrainingSession::new(&trainer, &model).unwrap();
        session.step(&[x], &[label]).unwrap();
        let mut fitted = model.clone();
        trainer.fit(&mut fitted, &data, None, &mut go_on).unwrap();
        for moved in [fitted, session.to_model()] {
            let weights = moved.parameters()[0].values();
            assert_eq!(weights, [a + rate * x, b - rate * x]);
        }
    }
}

#[test]
fn large_inputs_of_a_softmax_have_one_loss() {
    let model = Sequential::new([1]).dense(2).softmax().build(1).unwrap();
    let x = Tensor::new(&[4, 1], vec![1000.0, -1000.0, 500.0, -500.0]).unwrap();
    let labels = Tensor::new(&[4, 1], vec![0.0, 0.0, 1.0, 1.0]).unwrap();
    let [evaluated, stepped, fitted] = by_all(&model, Loss::SoftmaxCrossEntropy, &x, &labels);
    assert!(evaluated.0 > 50.0, "{evaluated:?}");
    assert_eq!([stepped, fitted], [evaluated; 2]);
}

/// The mean over pixels of the softmax over channels, for probabilities and for labels.
#[test]
fn a_loss_of_maps_is_the_mean_over_their_pixels() {
    let net = || Sequential::new([4, 4, 2]).conv2d(3, 1);
    let x: Vec<f32> = (0..6 * 32).map(|i| ((i * 29) % 41) as f32 / 20.0 - 1.0).collect();
    let classes: Vec<usize> = (0..6 * 16).map(|i| i * 7 % 3).collect();
    let one_hot = classes.iter().flat_map(|&class| [0, 1, 2].map(|k| f32::from(k == class))).collect();
    let labels: Vec<f32> = classes.iter().map(|&class| class as f32).collect();
    let inputs = Tensor::new(&[6, 4, 4, 2], x).unwrap();
    let one_hot = Tensor::new(&[6, 4, 4, 3], one_hot).unwrap();
    let without_softmax = net().build(1).unwrap();
    for net in [net(), net().softmax()] {
        let model = net.build(1).unwrap();
        let mut session = Session::new(&without_softmax, Options::new(6).isa(Isa::SCALAR)).unwrap();
        let logits = session.run(inputs.data()).unwrap().to_vec();
        let of_pixel = |(x, &class): (&[f32], &usize)| {
            let sum: f64 = x.iter().map(|&x| f64::from(x).exp()).sum();
            sum.ln() - f64::from(x[class])
        };
        let right = logits.chunks(3).zip(&classes).map(of_pixel).sum::<f64>() / 96.0;
        for targets in [one_hot.clone(), Tensor::new(&[6, 4, 4], labels.clone()).unwrap()] {
            let all = by_all(&model, Loss::SoftmaxCrossEntropy, &inputs, &targets);
            for (loss, accuracy) in all {
                assert!((f64::from(loss) - right).abs() < 1e-5, "{loss}, right {right}");
                assert_eq!(accuracy, all[0].1);
                let share = accuracy.unwrap() * 96.0;
                assert!((share - share.round()).abs() < 1e-3 && accuracy < Some(1.0), "{accuracy:?}");
            }
        }
        let squares = by_all(&model, Loss::MeanSquaredError, &inputs, &one_hot);
        assert!((squares[0].0 - squares[1].0).abs() < 1e-6 && (squares[0].0 - squares[2].0).abs() < 1e-6);
        let binary = by_all(&model, Loss::BinaryCrossEntropy, &inputs, &one_hot);
        assert!((binary[0].0 - binary[1].0).abs() < 1e-6 && (binary[0].0 - binary[2].0).abs() < 1e-6);
    }
}

/// 33.5 million squares of 0.1 in each batch.
#[test]
fn a_loss_of_large_maps_keeps_its_digits() {
    let model = Sequential::new([256, 256, 8]).max_pool2d(1).build(1).unwrap();
    struct Tenths;
    impl bantam::Dataset for Tenths {
        fn len(&self) -> usize {
            64
        }
        fn input_shape(&self) -> Shape {
            Shape::new(&[256, 256, 8]).unwrap()
        }
        fn target_len(&self) -> usize {
            256 * 256 * 8
        }
        fn read(&self, _: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
            input.fill(0.1);
            target.fill(0.0);
            Ok(())
        }
    }
    let trainer = Trainer::new(Sgd::default(), Loss::MeanSquaredError);
    let loss = trainer.evaluate(&model, &Tenths).unwrap().loss;
    assert!((loss - 0.01).abs() < 1e-8, "{loss}");
}

#[test]
fn cross_entropy_of_one_output_is_refused() {
    let model = Sequential::new([2]).dense(1).build(1).unwrap();
    let message = "softmax cross-entropy: expected at least two outputs, got one: use binary cross-entropy";
    for labels in [vec![0.0, 1.0, 0.0], vec![0.0, 1.0, 2.0]] {
        let data = samples(&[3, 2], vec![0.5; 6], &[3, 1], labels);
        let mut trainer = Trainer::new(Adam::default(), Loss::SoftmaxCrossEntropy).batch_size(3);
        let fitted = trainer.fit(&mut model.clone(), &data, None, &mut go_on).unwrap_err();
        assert_eq!(fitted.to_string(), message);
        assert_eq!(trainer.evaluate(&model, &data), Err(Error::OneOutput));
        assert_eq!(TrainingSession::new(&trainer, &model).err(), Some(Error::OneOutput));
    }
    let mut tape = Tape::new(Isa::SCALAR);
    let x = tape.parameter(Shape::new(&[2, 1]).unwrap(), &[1.0, 2.0]).unwrap();
    assert_eq!(tape.softmax_cross_entropy(x, x), Err(Error::OneOutput));
}

#[test]
fn targets_that_mean_nothing_are_refused() {
    let model = Sequential::new([2]).dense(3).build(1).unwrap();
    let shares = "expected numbers from 0 to 1, got";
    let some = "expected a number above 0 for one class, got 0";
    let finite = "expected finite numbers, got NaN";
    for (loss, bad, problem) in [
        (Loss::SoftmaxCrossEntropy, [7.0, 0.0, 0.0], format!("{shares} 7")),
        (Loss::SoftmaxCrossEntropy, [1.0, -3.0, 0.0], format!("{shares} -3")),
        (Loss::SoftmaxCrossEntropy, [f32::NAN, 0.0, 1.0], format!("{shares} NaN")),
        (Loss::SoftmaxCrossEntropy, [0.0; 3], some.to_string()),
        (Loss::BinaryCrossEntropy, [0.0, 1.0, 1.5], format!("{shares} 1.5")),
        (Loss::BinaryCrossEntropy, [0.0, f32::NAN, 1.0], format!("{shares} NaN")),
        (Loss::MeanSquaredError, [0.0, f32::NAN, 1.0], finite.to_string()),
    ] {
        // 70 samples, so that the bad one is in the second batch and has another place in it.
        let mut targets = [0.0, 1.0, 0.0].repeat(70);
        targets[66 * 3..67 * 3].copy_from_slice(&bad);
        let data = samples(&[70, 2], vec![0.5; 140], &[70, 3], targets.clone());
        let good = samples(&[70, 2], vec![0.5; 140], &[70, 3], [0.0, 1.0, 0.0].repeat(70));
        let message = format!("target of sample 66: {problem}");
        let mut trainer = Trainer::new(Adam::default(), loss).batch_size(70);
        let mut trained = model.clone();
        assert_eq!(trainer.fit(&mut trained, &data, None, &mut go_on).unwrap_err().to_string(), message);
        assert!(trained == model);
        assert_eq!(trainer.evaluate(&model, &data).unwrap_err().to_string(), message);
        let validated = trainer.fit(&mut trained, &good, Some(&data), &mut go_on).unwrap_err();
        assert_eq!(validated.to_string(), message);
        let mut session = TrainingSession::new(&trainer, &model).unwrap();
        let stepped = session.step(&[0.5; 140], &targets).unwrap_err();
        assert_eq!(stepped.to_string(), message);

        let mut tape = Tape::new(Isa::SCALAR);
        let shape = Shape::new(&[70, 3]).unwrap();
        let logits = [0.5; 210];
        let (x, t) = (tape.parameter(shape, &logits).unwrap(), tape.input(shape, &targets).unwrap());
        assert_eq!(tape.loss(loss, x, t).unwrap_err().to_string(), message);
    }
}

/// The sample is named as the data set has it, wherever it came in its batch.
#[test]
fn nan_in_a_sample_is_named() {
    let model = Sequential::new([2]).dense(3).build(1).unwrap();
    let good = samples(&[70, 2], vec![0.5; 140], &[70, 1], vec![1.0; 70]);
    let mut inputs = vec![0.5; 140];
    inputs[66 * 2 + 1] = f32::NAN;
    let bad = samples(&[70, 2], inputs.clone(), &[70, 1], vec![1.0; 70]);
    let message = "input of sample 66: expected finite numbers, got NaN at index 1";
    let mut trainer = Trainer::new(RmsProp::default(), Loss::SoftmaxCrossEntropy).batch_size(16);
    let told = |error: Error| assert_eq!(error.to_string(), message);
    told(trainer.fit(&mut model.clone(), &bad, None, &mut go_on).unwrap_err());
    told(trainer.fit(&mut model.clone(), &good, Some(&bad), &mut go_on).unwrap_err());
    told(trainer.evaluate(&model, &bad).unwrap_err());
    told(trainer.predict(&model, &Tensor::new(&[70, 2], inputs).unwrap()).unwrap_err());
}

/// Finite samples, outputs that are not: no figures, no predictions.
#[test]
fn outputs_that_are_not_finite_are_refused() {
    let mut model = Sequential::new([2]).dense(3).build(1).unwrap();
    // One large step makes large weights.
    let one = samples(&[1, 2], vec![1.0; 2], &[1, 1], vec![1.0]);
    let mut leap = Trainer::new(Sgd { rate: 1e6, ..Sgd::default() }, Loss::SoftmaxCrossEntropy);
    leap.fit(&mut model, &one, None, &mut go_on).unwrap();
    let mut inputs = vec![1.0; 140];
    inputs[2 * 65..][..2].fill(f32::MAX);
    let data = samples(&[70, 2], inputs.clone(), &[70, 1], vec![1.0; 70]);
    let trainer = Trainer::new(RmsProp::default(), Loss::SoftmaxCrossEntropy);
    let refused = |error: Error, of: usize| {
        let message = format!("output of sample {of}: expected finite numbers, got ");
        assert!(error.to_string().starts_with(&message), "{error}");
    };
    refused(trainer.evaluate(&model, &data).unwrap_err(), 65);
    refused(trainer.predict(&model, &Tensor::new(&[70, 2], inputs).unwrap()).unwrap_err(), 65);
    refused(Session::new(&model, Options::new(1)).unwrap().run(&[f32::MAX; 2]).unwrap_err(), 0);
    // Outputs that are finite, and a loss that is not.
    let squares = samples(&[1, 2], vec![1e30; 2], &[1, 3], vec![0.0; 3]);
    let trainer = Trainer::new(RmsProp::default(), Loss::MeanSquaredError);
    let error = trainer.evaluate(&model, &squares).unwrap_err();
    assert_eq!(error.to_string(), "loss: expected a finite number, got infinity");
}

/// A model, and a data set of seven samples with labels.
fn seven() -> (Model<'static>, Vec<f32>, Vec<f32>) {
    let model = Sequential::new([2]).dense(3).build(1).unwrap();
    let x = (0..14).map(|i| ((i * 29) % 41) as f32 / 20.0 - 1.0).collect();
    (model, x, vec![0.0, 2.0, 1.0, 1.0, 0.0, 2.0, 1.0])
}

/// Keras's sum by the number of samples: of weights 1, 1, 1, 3 on squares 1, 4, 9, 16 it is 15.5.
#[test]
fn weighted_losses_are_divided_by_the_number_of_samples() {
    let mut model = Sequential::new([1]).dense(1).build(1).unwrap();
    model.set_weights("dense", &[&[1.0], &[0.0]]).unwrap();
    let (x, weights) = (vec![1.0, 2.0, 3.0, 4.0], vec![1.0, 1.0, 1.0, 3.0]);
    let data = samples(&[4, 1], x.clone(), &[4, 1], vec![0.0; 4]).weighted(weights.clone()).unwrap();
    let mut trainer = Trainer::new(Sgd::default(), Loss::MeanSquaredError).batch_size(4);
    assert_eq!(trainer.evaluate(&model, &data).unwrap().loss, 15.5);
    let mut session = TrainingSession::new(&trainer, &model).unwrap();
    assert_eq!(session.step_weighted(&x, &[0.0; 4], &weights).unwrap().loss, 15.5);
    let history = trainer.fit(&mut model.clone(), &data, None, &mut go_on).unwrap();
    assert_eq!(history.epochs[0].training.loss, 15.5);
    // In batches, as Keras has it: the mean of the batches' losses by their samples.
    let history = trainer.batch_size(3).fit(&mut model, &data, None, &mut go_on).unwrap();
    assert!(history.epochs[0].training.loss > 0.0);
}

/// Weights of 1 leave the bits, wherever they come from.
#[test]
fn weights_of_one_change_nothing() {
    let (model, x, labels) = seven();
    let data = samples(&[7, 2], x.clone(), &[7, 1], labels.clone());
    let weighted = data.clone().weighted(vec![1.0; 7]).unwrap();
    let trainer = || Trainer::new(RmsProp::default(), Loss::SoftmaxCrossEntropy).batch_size(3).epochs(3);
    let fit = |mut trainer: Trainer, data: &Samples| {
        let mut model = model.clone();
        let history = trainer.fit(&mut model, data, Some(data), &mut go_on).unwrap();
        (model, history)
    };
    let plain = fit(trainer(), &data);
    assert!(plain == fit(trainer(), &weighted));
    assert!(plain == fit(trainer().class_weights(&[1.0; 3]), &data));
    let session = |trainer: Trainer, weights: &[f32]| {
        let trainer = trainer.batch_size(7);
        let mut session = TrainingSession::new(&trainer, &model).unwrap();
        let evaluation = session.step_weighted(&x, &labels, weights).unwrap();
        (evaluation, session.to_model())
    };
    let plain = session(trainer(), &[]);
    assert!(plain == session(trainer(), &[1.0; 7]));
    assert!(plain == session(trainer().class_weights(&[1.0; 3]), &[]));
}

/// A sample of weight 0 is as if it were not there, but for the number of samples.
#[test]
fn a_weight_of_zero_leaves_a_sample_out() {
    let (model, x, labels) = seven();
    let without = Trainer::new(Sgd { rate: 0.6, ..Sgd::default() }, Loss::SoftmaxCrossEntropy).batch_size(6);
    let all = Trainer::new(Sgd { rate: 0.7, ..Sgd::default() }, Loss::SoftmaxCrossEntropy).batch_size(7);
    let mut of_six = TrainingSession::new(&without, &model).unwrap();
    let mut of_seven = TrainingSession::new(&all, &model).unwrap();
    let six = of_six.step(&x[..12], &labels[..6]).unwrap();
    let seven = of_seven.step_weighted(&x, &labels, &[1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0]).unwrap();
    assert!((seven.loss - six.loss * 6.0 / 7.0).abs() < 1e-6);
    for (a, b) in of_six.to_model().parameters().iter().zip(of_seven.to_model().parameters()) {
        assert!(a.values().iter().zip(b.values()).all(|(a, b)| (a - b).abs() < 1e-6));
    }
}

#[test]
fn weights_that_mean_nothing_are_refused() {
    let (model, x, labels) = seven();
    let data = samples(&[7, 2], x.clone(), &[7, 1], labels.clone());
    let plain = || Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy).batch_size(7);
    // A data set that says it only when it is asked.
    struct Bad(Samples, f32);
    impl Dataset for Bad {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn input_shape(&self) -> Shape {
            self.0.input_shape()
        }
        fn target_len(&self) -> usize {
            self.0.target_len()
        }
        fn weight(&self, index: usize) -> f32 {
            if index == 5 { self.1 } else { 1.0 }
        }
        fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
            self.0.read(index, input, target)
        }
    }
    for (bad, got) in [(-1.0, "-1"), (f32::NAN, "NaN"), (f32::INFINITY, "infinity")] {
        let message = format!("weight of sample 5: expected a finite number of at least 0, got {got}");
        let mut weights = vec![1.0; 7];
        weights[5] = bad;
        assert_eq!(data.clone().weighted(weights.clone()).unwrap_err().to_string(), message);
        let mut session = TrainingSession::new(&plain(), &model).unwrap();
        assert_eq!(session.step_weighted(&x, &labels, &weights).unwrap_err().to_string(), message);
        assert!(session.to_model() == model);
        let mut fitted = model.clone();
        let lazy = Bad(data.clone(), bad);
        let error = plain().batch_size(1).fit(&mut fitted, &lazy, None, &mut go_on).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!(plain().evaluate(&model, &lazy).unwrap_err().to_string(), message);
        let message = format!("weight of class 1: expected a finite number of at least 0, got {got}");
        let mut trainer = plain().class_weights(&[1.0, bad, 1.0]);
        assert_eq!(trainer.fit(&mut fitted, &data, None, &mut go_on).unwrap_err().to_string(), message);
        assert_eq!(TrainingSession::new(&trainer, &model).err().unwrap().to_string(), message);
    }
    let error = data.clone().weighted(vec![1.0; 6]).unwrap_err();
    assert_eq!(error.to_string(), "weights of the samples: expected 7 elements, got 6");
    let mut session = TrainingSession::new(&plain(), &model).unwrap();
    let error = session.step_weighted(&x, &labels, &[1.0; 8]).unwrap_err();
    assert_eq!(error.to_string(), "weights of a batch: expected 7 elements, got 8");
    let mut trainer = plain().class_weights(&[1.0, 2.0]);
    let error = trainer.fit(&mut model.clone(), &data, None, &mut go_on).unwrap_err();
    assert_eq!(error.to_string(), "class weights: expected 3 elements, got 2");
    let squares = Trainer::new(Sgd::default(), Loss::MeanSquaredError).class_weights(&[1.0; 3]);
    let message = "class weights: expected a loss of classes, or a binary one of one output, got another";
    assert_eq!(TrainingSession::new(&squares, &model).err().unwrap().to_string(), message);
}

#[test]
fn numbers_of_losses_are_checked() {
    let (model, x, labels) = seven();
    let data = samples(&[7, 2], x, &[7, 1], labels);
    let one_hot = samples(&[1, 2], vec![0.5; 2], &[1, 3], vec![1.0, 0.0, 0.0]);
    for (loss, message) in [
        (Loss::SoftmaxCrossEntropy.label_smoothing(1.5), "label smoothing: expected from 0 to 1, got 1.5"),
        (
            Loss::SoftmaxCrossEntropy.label_smoothing(f32::NAN),
            "label smoothing: expected from 0 to 1, got NaN",
        ),
        (Loss::Hinge.label_smoothing(0.1), "label smoothing: expected 0 with this loss, got 0.1"),
        (Loss::huber(0.0), "delta: expected a finite number above 0, got 0"),
        (Loss::huber(f32::NAN), "delta: expected a finite number above 0, got NaN"),
        (Loss::categorical_focal(0.25, -1.0), "gamma: expected a finite number of at least 0, got -1"),
        (Loss::categorical_focal(-0.5, 1.0), "alpha: expected a finite number of at least 0, got -0.5"),
        (Loss::binary_focal(Some(1.5), 2.0), "alpha: expected from 0 to 1, got 1.5"),
        (
            Loss::binary_focal(None, f32::INFINITY),
            "gamma: expected a finite number of at least 0, got infinity",
        ),
    ] {
        let data = if loss.name().starts_with("Categorical") { &data } else { &one_hot };
        let mut trainer = Trainer::new(Sgd::default(), loss);
        assert_eq!(trainer.evaluate(&model, data).unwrap_err().to_string(), message);
        let fitted = trainer.fit(&mut model.clone(), data, None, &mut go_on).unwrap_err();
        assert_eq!(fitted.to_string(), message);
        assert_eq!(TrainingSession::new(&trainer, &model).err().unwrap().to_string(), message);
    }
    // Logits are no probabilities.
    let loss = Loss::SoftmaxCrossEntropy.of_probabilities();
    let error = Trainer::new(Sgd::default(), loss).evaluate(&model, &data).unwrap_err().to_string();
    assert!(error.contains("expected a probability from 0 to 1, got -"), "{error}");
    // Hinges have two sides.
    let sides = samples(&[1, 2], vec![0.5; 2], &[1, 3], vec![1.0, 0.5, -1.0]);
    let error = Trainer::new(Sgd::default(), Loss::Hinge).evaluate(&model, &sides).unwrap_err();
    assert_eq!(error.to_string(), "target of sample 0: expected -1 or 0, and 1, got 0.5");
}

#[test]
fn penalties_are_of_layers_and_weights_that_there_are() {
    let (model, x, labels) = seven();
    let data = samples(&[7, 2], x, &[7, 1], labels);
    let told = |trainer: Trainer, message: &str| {
        let mut trainer = trainer;
        assert_eq!(trainer.evaluate(&model, &data).unwrap_err().to_string(), message);
        let fitted = trainer.fit(&mut model.clone(), &data, None, &mut go_on).unwrap_err();
        assert_eq!(fitted.to_string(), message);
        assert_eq!(TrainingSession::new(&trainer, &model).err().unwrap().to_string(), message);
    };
    let plain = || Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy);
    let l2 = |l2| L1L2 { l2, ..L1L2::default() };
    told(
        plain().regularizer("dense_1", "kernel", l2(0.1)),
        "layer: no layer is named \"dense_1\"; the nearest is \"dense\"",
    );
    let message = "layer \"dense\": it has no weights that are named \"gamma\"";
    told(plain().regularizer("dense", "gamma", l2(0.1)), message);
    let message = "l2: expected a finite number of at least 0, got -0.1";
    told(plain().regularizer("dense", "kernel", l2(-0.1)), message);
    let message = "l1: expected a finite number of at least 0, got NaN";
    told(plain().regularizer("dense", "kernel", L1L2 { l1: f32::NAN, l2: 0.0 }), message);
    // The last word counts, and frozen layers have no penalty.
    let loss = |trainer: &Trainer, model: &Model<'_>| trainer.evaluate(model, &data).unwrap().loss;
    let twice = plain().regularizer("dense", "kernel", l2(9.0)).regularizer("dense", "kernel", l2(0.1));
    let once = plain().regularizer("dense", "kernel", l2(0.1));
    assert_eq!(loss(&twice, &model), loss(&once, &model));
    assert!(loss(&once, &model) > loss(&plain(), &model));
    let mut frozen = model.clone();
    frozen.set_trainable("dense", false).unwrap();
    assert_eq!(loss(&once, &frozen), loss(&plain(), &frozen));
}

/// In shards of a batch, and in slices of a gradient, a penalty is the same.
#[test]
fn penalties_are_the_same_in_shards_and_in_slices() {
    let model = Sequential::new([100]).dense(300).relu().dense(3).build(1).unwrap();
    let x: Vec<f32> = (0..70 * 100).map(|i| ((i * 29) % 41) as f32 / 20.0 - 1.0).collect();
    let labels: Vec<f32> = (0..70).map(|i| (i % 3) as f32).collect();
    let data = samples(&[70, 100], x.clone(), &[70, 1], labels.clone());
    for isa in [Isa::SCALAR, Isa::detect()] {
        let trainer = Trainer::new(Sgd { rate: 0.01, ..Sgd::default() }, Loss::SoftmaxCrossEntropy)
            .regularizer("dense", "kernel", L1L2 { l1: 0.01, l2: 0.1 })
            .regularizer("dense", "bias", L1L2 { l1: 0.02, l2: 0.0 })
            .isa(isa)
            .batch_size(70);
        let mut session = TrainingSession::new(&trainer, &model).unwrap();
        let sliced = session.plan().steps().any(|step| step.gradient_bytes < step.weight_bytes);
        assert_eq!(sliced, isa == Isa::SCALAR);
        let stepped = session.step(&x, &labels).unwrap();
        let mut fitted = model.clone();
        let history = trainer.clone().fit(&mut fitted, &data, None, &mut go_on).unwrap();
        assert!((stepped.loss - history.epochs[0].training.loss).abs() < 1e-4);
        for (a, b) in session.to_model().parameters().iter().zip(fitted.parameters()) {
            assert!(a.values().iter().zip(b.values()).all(|(a, b)| (a - b).abs() < 1e-6), "{}", a.name());
        }
        // Without the penalty the weights move elsewhere.
        let plain = Trainer::new(Sgd { rate: 0.01, ..Sgd::default() }, Loss::SoftmaxCrossEntropy).isa(isa);
        let mut other = TrainingSession::new(&plain.batch_size(70), &model).unwrap();
        other.step(&x, &labels).unwrap();
        let [with, without] =
            [session.to_model(), other.to_model()].map(|m| m.parameters()[0].values().to_vec());
        for ((with, without), before) in with.iter().zip(&without).zip(model.parameters()[0].values()) {
            let sign = if *before == 0.0 { 0.0 } else { before.signum() };
            let moved = 0.01 * (0.01 * sign + 2.0 * 0.1 * before);
            assert!((without - with - moved).abs() < 1e-6);
        }
    }
}

/// Behind a sigmoid the loss is that of the logits.
#[test]
fn a_loss_behind_sigmoid_is_the_logits_loss() {
    for loss in [Loss::BinaryCrossEntropy, Loss::BinaryCrossEntropy.of_probabilities()] {
        let mut model = Sequential::new([1]).dense(1).sigmoid().build(1).unwrap();
        model.set_weights("dense", &[&[1.0], &[0.0]]).unwrap();
        let inputs = Tensor::new(&[2, 1], vec![200.0, -200.0]).unwrap();
        let wrong = Tensor::new(&[2, 1], vec![0.0, 1.0]).unwrap();
        for (loss, accuracy) in by_all(&model, loss, &inputs, &wrong) {
            assert_eq!((loss, accuracy), (200.0, Some(0.0)));
        }
    }
}
