//! One loss, whoever computes it: `fit`, `evaluate`, a training session, a tape.

use bantam::{
    Adam, Error, Event, Isa, Loss, Model, Options, RmsProp, Samples, Sequential, Session, Sgd, Shape, Tape,
    Tensor, Trainer, TrainingSession,
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
        match loss {
            Loss::SoftmaxCrossEntropy => {
                assert_eq!(tape.softmax_cross_entropy(x, t).unwrap_err().to_string(), message);
            }
            Loss::BinaryCrossEntropy => {
                assert_eq!(tape.binary_cross_entropy(x, t).unwrap_err().to_string(), message);
            }
            // A tape passes on what is no number; a trainer then stops at its loss.
            Loss::MeanSquaredError => {
                let loss = tape.mean_squared_error(x, t).unwrap();
                assert!(tape.value(loss).unwrap()[0].is_nan());
            }
        }
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
