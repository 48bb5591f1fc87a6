//! Metrics by themselves: what is refused, and what no golden file has.

use bantam::{
    Auc, BinaryAccuracy, CategoricalAccuracy, ConfusionMatrix, Error, Loss, Metric, Precision, Predictions,
    Recall, Samples, Sequential, Sgd, Tensor, TopKAccuracy, Trainer,
};

fn told<T: std::fmt::Debug>(refused: Result<T, Error>, message: &str) {
    assert_eq!(refused.unwrap_err().to_string(), message);
}

#[test]
fn predictions_that_do_not_fit_are_refused() {
    let rows =
        |columns, outputs: &[f32], targets: &[f32]| Predictions::new(columns, outputs, targets).map(|_| ());
    told(rows(3, &[0.0; 7], &[0.0; 7]), "outputs: expected 6 elements, got 7");
    told(rows(3, &[], &[]), "outputs: expected 3 elements, got 0");
    told(rows(0, &[0.0; 2], &[0.0; 2]), "outputs: expected 0 elements, got 2");
    told(rows(3, &[0.0; 6], &[0.0; 3]), "targets: expected 6 elements, got 3");
    let label = "label of sample 1: expected a whole number from 0 to 2, got ";
    for (bad, got) in [(3.0, "3"), (-1.0, "-1"), (0.5, "0.5"), (f32::NAN, "NaN")] {
        told(rows(3, &[0.0; 6], &[0.0, bad]), &format!("{label}{got}"));
    }
    let nan = [0.5, 0.5, 0.5, f32::NAN];
    told(rows(2, &nan, &[0.0, 1.0]), "output of sample 1: expected finite numbers, got NaN at index 1");
    told(rows(1, &[0.5; 4], &nan), "target of sample 3: expected finite numbers, got NaN at index 0");
    let three = || Predictions::new(2, &[0.5; 12], &[1.0; 6]).unwrap();
    told(three().weighted(&[1.0; 4]).map(|_| ()), "weights of a batch: expected 6 elements, got 4");
    told(three().weighted(&[]).map(|_| ()), "weights of a batch: expected 6 elements, got 0");
    let message = "weight of sample 2: expected a finite number of at least 0, got -2";
    told(three().weighted(&[1.0, 1.0, -2.0]).map(|_| ()), message);
    // One weight for two rows: pixels of a sample.
    let weights: Vec<f32> =
        three().weighted(&[1.0, 2.0, 3.0]).unwrap().rows().map(|row| row.weight).collect();
    assert_eq!(weights, [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]);
}

#[test]
fn classes_that_there_are_not_are_refused() {
    let batch = Predictions::new(3, &[0.2, 0.3, 0.5], &[2.0]).unwrap();
    let message = "class of a metric: expected at most 2, got 3";
    told(Precision::new().class(3).update(&batch), message);
    told(Recall::new().class(3).update(&batch), message);
    told(Auc::roc().class(3).update(&batch), message);
    let message = "classes of the confusion matrix: expected 4 elements, got 3";
    told(ConfusionMatrix::new(4).unwrap().update(&batch), message);
    assert!(ConfusionMatrix::new(usize::MAX).is_err());
    // An evaluation passes it on.
    let model = Sequential::new([2]).dense(3).build(1).unwrap();
    let (x, t) = (Tensor::new(&[1, 2], vec![0.5; 2]).unwrap(), Tensor::new(&[1, 1], vec![0.0]).unwrap());
    let (data, mut matrix) = (Samples::new(x, t).unwrap(), ConfusionMatrix::new(4).unwrap());
    let trainer = Trainer::new(Sgd::default(), Loss::SoftmaxCrossEntropy);
    told(trainer.evaluate_with(&model, &data, &mut [&mut matrix]), message);
}

#[test]
fn numbers_of_metrics_that_mean_nothing_are_refused() {
    let batch = Predictions::new(2, &[-3.0, 5.0, 0.0, 1.0], &[1.0, 0.0]).unwrap();
    let message = "outputs that the class is to be among: expected at least one, got none";
    told(TopKAccuracy::new(0).update(&batch), message);
    let message = "threshold of a metric: expected a number, got NaN";
    told(BinaryAccuracy::new().threshold(f32::NAN).update(&batch), message);
    told(Precision::new().threshold(f32::NAN).update(&batch), message);
    told(Recall::new().threshold(f32::NAN).update(&batch), message);
    // Logits have no curve over thresholds from 0 to 1.
    let mut auc = Auc::roc();
    told(auc.update(&batch), "output of sample 0: expected a probability from 0 to 1, got -3");
    told(
        auc.clone().class(1).update(&batch),
        "output of sample 0: expected a probability from 0 to 1, got 5",
    );
    assert_eq!(auc.result(), 0.0);
}

#[test]
fn nothing_measured_is_zero() {
    let metrics: &mut [&mut dyn Metric] = &mut [
        &mut BinaryAccuracy::new(),
        &mut CategoricalAccuracy::new(),
        &mut TopKAccuracy::new(2),
        &mut Precision::new(),
        &mut Recall::new(),
        &mut Auc::roc(),
        &mut Auc::precision_recall(),
        &mut ConfusionMatrix::new(3).unwrap(),
    ];
    let batch = Predictions::new(3, &[0.2, 0.3, 0.5], &[2.0]).unwrap();
    for metric in metrics {
        assert_eq!(metric.result(), 0.0, "{}", metric.name());
        metric.update(&batch).unwrap();
        metric.reset();
        assert_eq!(metric.result(), 0.0, "{}", metric.name());
    }
}

#[test]
fn a_confusion_matrix_counts_and_prints() {
    let mut matrix = ConfusionMatrix::new(3).unwrap();
    let outputs = [0.9, 0.1, 0.0, 0.1, 0.8, 0.1, 0.2, 0.7, 0.1, 0.3, 0.3, 0.4];
    matrix.update(&Predictions::new(3, &outputs, &[0.0, 1.0, 2.0, 2.0]).unwrap()).unwrap();
    let one_hot = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];
    let weighted = Predictions::new(3, &outputs, &one_hot).unwrap();
    matrix.update(&weighted.weighted(&[10.0, 0.5, 0.0, 1.0]).unwrap()).unwrap();
    assert_eq!(matrix.counts(), [1.0, 0.5, 0.0, 0.0, 1.0, 0.0, 10.0, 1.0, 2.0]);
    assert_eq!((matrix.classes(), matrix.count(2, 0), matrix.count(3, 0)), (3, 10.0, 0.0));
    assert_eq!(matrix.result(), 4.0 / 15.5);
    let printed = "    0   1   2\n0   1 0.5   0\n1   0   1   0\n2  10   1   2\n";
    assert_eq!(matrix.to_string(), printed);
    // One output: the second class where it is above one half.
    let mut binary = ConfusionMatrix::new(2).unwrap();
    binary.update(&Predictions::new(1, &[0.9, 0.5, 0.2, 0.7], &[1.0, 1.0, 0.0, 0.0]).unwrap()).unwrap();
    assert_eq!(binary.counts(), [1.0, 1.0, 1.0, 1.0]);
}
