//! After its first step a training loop allocates nothing, and a session never does. A program of its own, as its
//! allocator counts.

use allocation_counter::measure;
use bantam::{
    Adam, Auc, Augmentation, Augmented, ConfusionMatrix, Dataset, Error, Loss, Lstm, Metric, Model, Options,
    Plan, Precision, RmsProp, Sequential, Session, Shape, TopKAccuracy, Trainer, TrainingPlan,
    TrainingSession,
};
use std::ops::ControlFlow;

/// Noise of the shape of MNIST.
struct Noise {
    samples: usize,
}

impl Dataset for Noise {
    fn len(&self) -> usize {
        self.samples
    }
    fn input_shape(&self) -> Shape {
        Shape::new(&[28, 28, 1]).unwrap()
    }
    fn target_len(&self) -> usize {
        1
    }
    fn read(&self, index: usize, input: &mut [f32], target: &mut [f32]) -> Result<(), Error> {
        for (i, x) in input.iter_mut().enumerate() {
            *x = ((i * 7919 + index * 104_729) % 256) as f32 / 255.0;
        }
        target[0] = (index % 10) as f32;
        Ok(())
    }
}

fn network() -> Model<'static> {
    Sequential::new([28, 28, 1])
        .conv2d(32, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .max_pool2d(2)
        .conv2d(64, 3)
        .relu()
        .flatten()
        .dropout(0.5)
        .dense(64)
        .relu()
        .dense(10)
        .build(1)
        .unwrap()
}

/// Allocations of a training of so many epochs over so many samples, in batches of 8.
fn allocations(epochs: usize, samples: usize) -> u64 {
    let mut model = network();
    let mut trainer =
        Trainer::new(RmsProp::default(), Loss::SoftmaxCrossEntropy).epochs(epochs).batch_size(8);
    let count = || {
        measure(|| {
            trainer.fit(&mut model, &Noise { samples }, None, &mut |_| ControlFlow::Continue(())).unwrap();
        })
    };
    // Work that is handed to threads is theirs to allocate for.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(count).count_total
}

#[test]
fn a_long_training_allocates_no_more_than_its_first_step() {
    let first_step = allocations(1, 8);
    assert!(first_step > 0);
    assert_eq!(allocations(1, 16), first_step, "two steps");
    let both_sizes = allocations(1, 20);
    assert!(both_sizes > first_step, "a smaller step is planned too");
    assert_eq!(allocations(4, 20), both_sizes, "four such epochs");
}

/// Batches of 40 are two shards of 20, and the 32 samples that are left one that is larger.
#[test]
fn a_training_takes_what_was_told_before() {
    for samples in [40, 72] {
        let mut model = network();
        let mut trainer =
            Trainer::new(RmsProp::default(), Loss::SoftmaxCrossEntropy).batch_size(40).threads(1);
        let told = trainer.peak_bytes(&model, &Noise { samples }).unwrap() as u64;
        let fit = || {
            trainer.fit(&mut model, &Noise { samples }, None, &mut |_| ControlFlow::Continue(())).unwrap();
        };
        // Beside the numbers there are plans, and the order of samples.
        let most = measure(fit).bytes_max;
        assert!((told..told + 32 * 1024).contains(&most), "{most}, {told} were told");
    }
}

#[test]
fn an_augmented_sample_allocates_nothing() {
    let augmentation = Augmentation::layers().rotation(0.1).zoom(0.1).brightness(0.1).contrast(0.1);
    let train = Augmented::new(Noise { samples: 4 }, augmentation.crop([24, 24])).unwrap();
    let mut input = vec![0.0; train.input_shape().elements()];
    let count = measure(|| {
        for index in 0..4 {
            train.begin_epoch(&[0, 1, 2, 3], 1).unwrap();
            train.read(index, &mut input, &mut [0.0]).unwrap();
        }
    });
    assert_eq!(count.count_total, 0);
}

/// Metrics are measured in memory of their own.
#[test]
fn an_evaluation_with_metrics_allocates_nothing_by_batch() {
    let model = network();
    let trainer = Trainer::new(RmsProp::default(), Loss::SoftmaxCrossEntropy);
    let (mut auc, mut precision, mut top) = (Auc::roc(), Precision::new(), TopKAccuracy::new(3));
    let mut matrix = ConfusionMatrix::new(10).unwrap();
    let mut evaluate = |samples| {
        let metrics: &mut [&mut dyn Metric] = &mut [&mut auc, &mut precision, &mut top, &mut matrix];
        measure(|| {
            trainer.evaluate_with(&model, &Noise { samples }, metrics).unwrap();
        })
        .count_total
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| assert_eq!(evaluate(64), evaluate(200)));
}

#[test]
fn a_session_allocates_nothing_when_it_runs() {
    let model = network();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let mut arena = vec![0.0; Plan::new(&model, Options::new(4)).unwrap().arena_len()];
        let lent = Session::with_arena(&model, Options::new(4), &mut arena).unwrap();
        let images = vec![0.5; 4 * 28 * 28];
        for mut session in [Session::new(&model, Options::new(4)).unwrap(), lent] {
            let runs = measure(|| {
                session.run(&images).unwrap();
                session.run(&images[..28 * 28]).unwrap();
            });
            assert_eq!(runs.count_total, 0);
        }
    });
}

/// Layers that go through time, in one arena.
#[test]
fn recurrent_layers_allocate_nothing_when_they_run_and_learn() {
    let series = Sequential::new([9, 3]).lstm_with(8, Lstm::new().return_sequences()).gru(6).dense(2);
    let model = series.build(1).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let trainer = Trainer::new(Adam::default(), Loss::SoftmaxCrossEntropy).batch_size(4);
        let mut learning = TrainingSession::new(&trainer, &model).unwrap();
        let mut session = Session::new(&model, Options::new(4)).unwrap();
        let samples = vec![0.5; 4 * 9 * 3];
        let runs = measure(|| {
            learning.step(&samples, &[0.0, 1.0, 0.0, 1.0]).unwrap();
            learning.run(&samples[..9 * 3]).unwrap();
            session.run(&samples).unwrap();
            session.run(&samples[..9 * 3]).unwrap();
        });
        assert_eq!(runs.count_total, 0);
    });
}

#[test]
fn a_training_session_allocates_nothing_when_it_learns_and_runs() {
    let mut model = network();
    for name in ["conv2d", "conv2d_1", "conv2d_2"] {
        model.set_trainable(name, false).unwrap();
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let trainer = Trainer::new(Adam::default(), Loss::SoftmaxCrossEntropy).batch_size(4);
        let mut arena = vec![0.0; TrainingPlan::new(&trainer, &model).unwrap().arena_len()];
        let mut session = TrainingSession::with_arena(&trainer, &model, &mut arena).unwrap();
        let images = vec![0.5; 4 * 28 * 28];
        let steps = measure(|| {
            session.step(&images, &[0.0, 1.0, 2.0, 3.0]).unwrap();
            session.run(&images[..28 * 28]).unwrap();
        });
        assert_eq!(steps.count_total, 0);
    });
}
