//! Losses, metrics and short trainings against Keras, losses in double precision. `golden/keras_losses.py` made the file.
//! `-- --nocapture` prints the largest differences.

use bantam::{
    Auc, BinaryAccuracy, CategoricalAccuracy, Error, Isa, L1L2, Loss, MeanOf, Metric, Model, Precision,
    Predictions, Recall, Samples, Sequential, Sgd, Tape, Tensor, TopKAccuracy, Trainer, TrainingSession,
    Weighted,
};
use safetensors::SafeTensors;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

struct Keras {
    file: SafeTensors<'static>,
    unchecked: RefCell<BTreeSet<String>>,
}

impl Keras {
    fn new(of: impl Fn(&str) -> bool) -> Keras {
        let file = SafeTensors::deserialize(include_bytes!("../golden/keras_losses.safetensors")).unwrap();
        let cases = file.names().into_iter().filter_map(|name| Some(name.split_once('/')?.0.to_string()));
        let unchecked = RefCell::new(cases.filter(|case| of(case)).collect());
        Keras { file, unchecked }
    }

    fn array(&self, case: &str, name: &str) -> Option<Tensor> {
        self.unchecked.borrow_mut().remove(case);
        let view = self.file.tensor(&format!("{case}/{name}")).ok()?;
        let numbers = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Some(Tensor::new(view.shape(), numbers.collect()).unwrap())
    }

    fn get(&self, case: &str, name: &str) -> Tensor {
        self.array(case, name).unwrap_or_else(|| panic!("{case} has no {name}"))
    }

    fn checked_all(&self) {
        assert!(self.unchecked.borrow().is_empty(), "{:?}", self.unchecked.borrow());
    }
}

/// 20 roundings of the numbers' root mean square, and of each. Gives the largest difference, of the larger of both.
fn assert_close(what: &str, got: &[f32], want: &[f32]) -> f32 {
    const TOLERANCE: f32 = 20.0 / (1 << 24) as f32;
    assert_eq!(got.len(), want.len(), "{what}");
    let usual = (want.iter().map(|want| want * want).sum::<f32>() / want.len() as f32).sqrt();
    let mut largest = 0f32;
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let size = usual + want.abs();
        assert!((got - want).abs() <= TOLERANCE * size, "{what}[{i}] is {got}, expected {want}");
        if size > 0.0 {
            largest = largest.max((got - want).abs() / usual.max(want.abs()));
        }
    }
    largest
}

#[test]
fn every_loss() {
    let keras = Keras::new(|case| !case.starts_with("metric_") && !case.starts_with("train_"));
    let check = |case: &str, loss: Loss| {
        let [output, target] = ["output", "target"].map(|name| keras.get(case, name));
        let [want, d_want] = ["loss", "d_output"].map(|name| keras.get(case, name));
        let weight = keras.array(case, "weight");
        let mut largest = 0f32;
        for isa in Isa::available() {
            let mut tape = Tape::new(isa);
            let x = tape.parameter(output.shape(), output.data()).unwrap();
            let t = tape.input(target.shape(), target.data()).unwrap();
            let loss = match &weight {
                Some(weight) => {
                    let w = tape.input(weight.shape(), weight.data()).unwrap();
                    tape.loss_weighted(loss, x, t, w).unwrap()
                }
                None => tape.loss(loss, x, t).unwrap(),
            };
            let gradients = tape.backward(loss).unwrap();
            let what = format!("{case} on {isa}");
            largest = largest.max(assert_close(&what, gradients.value(loss).unwrap(), want.data()));
            largest = largest.max(assert_close(&what, gradients.get(x).unwrap(), d_want.data()));
        }
        println!("{case}: {largest:.1e}");
    };
    let cross_entropy = Loss::SoftmaxCrossEntropy;
    check("categorical_logits", cross_entropy);
    check("categorical_logits_shares", cross_entropy);
    check("categorical_logits_extreme", cross_entropy);
    check("categorical_logits_smooth", cross_entropy.label_smoothing(0.1));
    check("categorical_logits_map", cross_entropy.label_smoothing(0.1));
    check("categorical_probabilities", cross_entropy.of_probabilities());
    check("categorical_probabilities_edges", cross_entropy.of_probabilities().label_smoothing(0.1));
    check("sparse_logits", cross_entropy);
    check("sparse_logits_extreme", cross_entropy);
    check("sparse_logits_map", cross_entropy);
    check("sparse_probabilities", cross_entropy.of_probabilities());
    let binary = Loss::BinaryCrossEntropy;
    check("binary_logits", binary);
    check("binary_logits_shares", binary);
    check("binary_logits_extreme", binary);
    check("binary_logits_smooth", binary.label_smoothing(0.1));
    check("binary_probabilities", binary.of_probabilities().label_smoothing(0.1));
    check("binary_probabilities_edges", binary.of_probabilities());
    let focal = Loss::categorical_focal(0.25, 2.0);
    check("categorical_focal_logits", focal);
    check("categorical_focal_logits_map", Loss::categorical_focal(0.6, 0.5).label_smoothing(0.1));
    check("categorical_focal_probabilities", focal.of_probabilities());
    check("categorical_focal_probabilities_edges", focal.of_probabilities());
    check("binary_focal_logits", Loss::binary_focal(None, 2.0));
    check("binary_focal_logits_balanced", Loss::binary_focal(Some(0.3), 1.5).label_smoothing(0.1));
    check("binary_focal_probabilities", Loss::binary_focal(Some(0.25), 2.0).of_probabilities());
    check("mean_squared_error", Loss::MeanSquaredError);
    check("mean_squared_error_map", Loss::MeanSquaredError);
    check("mean_absolute_error", Loss::MeanAbsoluteError);
    check("mean_absolute_error_ties", Loss::MeanAbsoluteError);
    check("huber", Loss::huber(1.0));
    check("huber_delta", Loss::huber(0.25));
    check("hinge", Loss::Hinge);
    check("hinge_zeros_ones", Loss::Hinge);
    check("squared_hinge", Loss::SquaredHinge);
    check("squared_hinge_zeros_ones", Loss::SquaredHinge);
    check("categorical_hinge", Loss::CategoricalHinge);
    check("categorical_hinge_map", Loss::CategoricalHinge);
    check("categorical_hinge_ties", Loss::CategoricalHinge);
    check("kl_divergence", Loss::KullbackLeibler);
    check("kl_divergence_edges", Loss::KullbackLeibler);
    check("log_cosh", Loss::LogCosh);
    check("poisson", Loss::Poisson);
    keras.checked_all();
}

#[test]
fn every_metric() {
    let keras = Keras::new(|case| case.starts_with("metric_"));
    let check = |case: &str, metric: &mut dyn Metric| {
        let [output, target] = ["output", "target"].map(|name| keras.get(case, name));
        let want = keras.get(case, "result").data()[0];
        let weight = keras.array(case, "weight");
        // In two batches, twice.
        let columns = output.shape().dims()[1];
        for _ in 0..2 {
            metric.reset();
            let rows = output.data().len() / columns;
            let of_row = target.data().len() / rows;
            let parts = [0..rows / 2, rows / 2..rows];
            for part in parts {
                let outputs = &output.data()[part.start * columns..part.end * columns];
                let targets = &target.data()[part.start * of_row..part.end * of_row];
                let mut batch = Predictions::new(columns, outputs, targets).unwrap();
                if let Some(weight) = &weight {
                    batch = batch.weighted(&weight.data()[part]).unwrap();
                }
                metric.update(&batch).unwrap();
            }
        }
        let got = metric.result();
        // Keras adds up hundreds of numbers in single precision.
        assert!((got - want).abs() <= 2e-6, "{case} is {got}, expected {want}");
        println!("{case}: {:.1e}", (got - want).abs());
    };
    check("metric_binary_accuracy", &mut BinaryAccuracy::new());
    check("metric_binary_accuracy_threshold", &mut BinaryAccuracy::new().threshold(0.3));
    check("metric_categorical_accuracy", &mut CategoricalAccuracy::new());
    check("metric_sparse_categorical_accuracy", &mut CategoricalAccuracy::new());
    check("metric_top_2", &mut TopKAccuracy::new(2));
    check("metric_sparse_top_3", &mut TopKAccuracy::new(3));
    check("metric_top_2_ties", &mut TopKAccuracy::new(2));
    check("metric_precision", &mut Precision::new());
    check("metric_precision_class", &mut Precision::new().class(2).threshold(0.3));
    check("metric_precision_nothing", &mut Precision::new());
    check("metric_recall", &mut Recall::new());
    check("metric_recall_class", &mut Recall::new().class(1).threshold(0.2));
    check("metric_auc", &mut Auc::roc());
    check("metric_auc_classes", &mut Auc::roc());
    check("metric_auc_precision_recall", &mut Auc::precision_recall());
    check("metric_auc_precision_recall_classes", &mut Auc::precision_recall());
    let of_each = |auc: Auc| MeanOf((0..4).map(|class| auc.clone().class(class)).collect());
    check("metric_auc_multi_label", &mut of_each(Auc::roc()));
    check("metric_auc_multi_label_weighted", &mut of_each(Auc::precision_recall()));
    check("metric_auc_edges", &mut Auc::roc());
    check("metric_auc_thresholds", &mut Auc::roc());
    keras.checked_all();
}

/// A data set whose samples count differently.
fn samples(keras: &Keras, case: &str) -> Samples {
    let [input, target] = ["input", "target"].map(|name| keras.get(case, name));
    let n = input.shape().dims()[0];
    let target = if target.shape().rank() == 1 { target.reshape(&[n, 1]).unwrap() } else { target };
    let samples = Samples::new(input, target).unwrap();
    match keras.array(case, "weight") {
        Some(weight) => samples.weighted(weight.into_data()).unwrap(),
        None => samples,
    }
}

/// `fit`, `evaluate` and a session, all on the whole batch at once, in shards and in slices of gradients.
#[test]
fn every_training() {
    let keras = Keras::new(|case| case.starts_with("train_"));
    let check = |case: &str, model: Sequential, how: &dyn Fn(Trainer) -> Trainer, loss: Loss| {
        let mut before = model.build(1).unwrap();
        let layers = ["hidden", "last"];
        let weights = |when: &str, layer: &str| {
            ["kernel", "bias"].map(|name| keras.get(case, &format!("{when}.{layer}.{name}")).into_data())
        };
        for layer in layers {
            let [kernel, bias] = weights("before", layer);
            before.set_weights(layer, &[&kernel, &bias]).unwrap();
        }
        let (data, losses) = (samples(&keras, case), keras.get(case, "losses"));
        let mut largest = 0f32;
        let mut close = |what: &str, got: &[f32], want: &[f32]| {
            largest = largest.max(assert_close(&format!("{case}, {what}"), got, want));
        };
        for isa in Isa::available() {
            let sgd = Sgd { rate: 0.25, ..Sgd::default() };
            let mut trainer = how(Trainer::new(sgd, loss).isa(isa)).epochs(3).batch_size(40);
            let mut model = before.clone();
            let mut fitted = Vec::new();
            let history = trainer.fit(&mut model, &data, None, &mut |_| ControlFlow::Continue(())).unwrap();
            fitted.extend(history.epochs.iter().map(|epoch| epoch.training.loss));
            fitted.push(trainer.evaluate(&model, &data).unwrap().loss);
            close("losses", &fitted, losses.data());

            let [input, target] = ["input", "target"].map(|name| keras.get(case, name));
            let weight = keras.array(case, "weight").map(Tensor::into_data).unwrap_or_default();
            let mut session = TrainingSession::new(&trainer, &before).unwrap();
            let stepped: Vec<f32> = (0..3)
                .map(|_| session.step_weighted(input.data(), target.data(), &weight).unwrap().loss)
                .collect();
            close("losses of steps", &stepped, &losses.data()[..3]);
            for model in [model, session.to_model()] {
                for layer in layers {
                    let parameters = model.weights(layer).unwrap();
                    for (got, want) in parameters.iter().zip(weights("after", layer)) {
                        close(layer, got.values(), &want);
                    }
                }
            }
        }
        println!("{case}: {largest:.1e}");
    };
    let net = |units: usize| Sequential::new([4]).dense(5).named("hidden").tanh().dense(units).named("last");
    let as_it_is = &|trainer| trainer;
    let cross_entropy = Loss::SoftmaxCrossEntropy;
    check("train_softmax", net(3).softmax(), as_it_is, cross_entropy);
    let binary = Loss::BinaryCrossEntropy;
    check("train_sigmoid", net(2).sigmoid(), as_it_is, binary.label_smoothing(0.1));
    let class_weights = &|trainer: Trainer| trainer.class_weights(&[0.5, 2.0, 1.25]);
    check("train_class_weights", net(3), class_weights, cross_entropy);
    let class_weights = &|trainer: Trainer| trainer.class_weights(&[0.5, 3.0]);
    check("train_class_weights_binary", net(1), class_weights, binary);
    check("train_sample_weights", net(2), as_it_is, Loss::huber(1.0));
    let regularized = &|mut trainer: Trainer| {
        for layer in ["hidden", "last"] {
            trainer = trainer.regularizer(layer, "kernel", L1L2 { l1: 0.01, l2: 0.02 });
            trainer = trainer.regularizer(layer, "bias", L1L2 { l2: 0.03, ..L1L2::default() });
        }
        trainer
    };
    check("train_regularized", net(3), regularized, cross_entropy);
    let active = Sequential::new([4]).dense(5).named("hidden").tanh().activity_regularization(0.125, 0.25);
    check("train_activity", active.dense(2).named("last"), as_it_is, Loss::MeanSquaredError);
    keras.checked_all();
}

/// In the trainer's own way: metrics of probabilities behind a softmax, weighted ones where that is asked for.
#[test]
fn metrics_of_a_model() {
    let net: Model<'_> = Sequential::new([2]).dense(3).softmax().build(1).unwrap();
    let x: Vec<f32> = (0..140).map(|i| ((i * 29) % 41) as f32 / 10.0 - 2.0).collect();
    let labels: Vec<f32> = (0..70).map(|i| ((i * 7) % 3) as f32).collect();
    let weights: Vec<f32> = (0..70).map(|i| (i % 4) as f32).collect();
    let inputs = Tensor::new(&[70, 2], x).unwrap();
    let data = Samples::new(inputs.clone(), Tensor::new(&[70, 1], labels.clone()).unwrap()).unwrap();
    let data = data.weighted(weights.clone()).unwrap();
    let mut trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy);
    let probabilities = trainer.predict(&net, &inputs).unwrap();
    let whole = Predictions::new(3, probabilities.data(), &labels).unwrap();
    let (mut auc, mut weighted) = (Auc::roc(), Weighted(Auc::roc()));
    let mut accuracy = CategoricalAccuracy::new();
    let metrics: &mut [&mut dyn Metric] = &mut [&mut auc, &mut weighted, &mut accuracy];
    let evaluation = trainer.evaluate_with(&net, &data, metrics).unwrap();
    let mut alone = Auc::roc();
    alone.update(&whole).unwrap();
    assert_eq!(auc.result(), alone.result());
    alone.reset();
    alone.update(&whole.weighted(&weights).unwrap()).unwrap();
    assert_eq!(weighted.result(), alone.result());
    assert_ne!(weighted.result(), auc.result());
    assert_eq!(Some(accuracy.result()), evaluation.accuracy);

    // In `fit` for each epoch, with their names.
    let mut trainer_of_two = trainer.clone().epochs(2);
    let mut seen = Vec::new();
    let mut on_event = |event: bantam::Event| {
        if let bantam::Event::Measured { epoch, metrics } = event {
            seen.push((epoch, metrics.to_vec()));
        }
        ControlFlow::Continue(())
    };
    let metrics: &mut [&mut dyn Metric] = &mut [&mut auc, &mut accuracy];
    let mut fitted = net.clone();
    let refused =
        trainer_of_two.fit_with(&mut fitted, &data, None, metrics, &mut |_| ControlFlow::Continue(()));
    assert_eq!(refused.unwrap_err(), Error::Empty { what: "validation set for the metrics" });
    let history = trainer_of_two.fit_with(&mut fitted, &data, Some(&data), metrics, &mut on_event).unwrap();
    assert_eq!(history.metrics.len(), 2);
    assert_eq!(seen.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(seen[1].1, history.metrics[1]);
    assert_eq!(
        history.metrics[1].iter().map(|m| m.name).collect::<Vec<_>>(),
        ["auc", "categorical_accuracy"]
    );
    assert_eq!(Some(history.metrics[1][1].value), history.epochs[1].validation.unwrap().accuracy);
    // As `fit` without any.
    let mut plain = net.clone();
    trainer
        .clone()
        .epochs(2)
        .fit(&mut plain, &data, Some(&data), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert!(plain == fitted);
    trainer.evaluate(&plain, &data).unwrap();
    trainer = trainer.class_weights(&[1.0; 3]);
    assert_eq!(trainer.evaluate(&net, &data), Ok(evaluation));
}
