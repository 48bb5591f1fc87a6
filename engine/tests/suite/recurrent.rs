//! Layers that go through time.

use crate::gradients::check;
use bantam::{
    Adam, GraphBuilder, Gru, Isa, Loss, Lstm, Model, Options, Plan, Sequential, Session, Tape, Trainer,
    TrainingSession, Var,
};

const STEPS: usize = 4;
const INPUTS: usize = 3;
const UNITS: usize = 5;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// A row times a matrix, plus a row.
fn product(x: &[f64], kernel: &[f64], bias: &[f64]) -> Vec<f64> {
    let sum = |(j, b): (usize, &f64)| {
        b + x.iter().enumerate().map(|(i, x)| x * kernel[i * bias.len() + j]).sum::<f64>()
    };
    bias.iter().enumerate().map(sum).collect()
}

/// The states that a cell goes through, from `[state, memory]`, both zero, for each sample.
fn states(input: &[f64], backwards: bool, cell: impl Fn(&[f64], &mut [Vec<f64>; 2])) -> Vec<Vec<Vec<f64>>> {
    let of_sample = |sample: &[f64]| {
        let mut state = [vec![0.0; UNITS], vec![0.0; UNITS]];
        let mut steps: Vec<&[f64]> = sample.chunks(INPUTS).collect();
        if backwards {
            steps.reverse();
        }
        let through = |x: &&[f64]| {
            cell(x, &mut state);
            state[0].clone()
        };
        steps.iter().map(through).collect()
    };
    input.chunks(STEPS * INPUTS).map(of_sample).collect()
}

fn lstm(x: &[Vec<f64>], backwards: bool) -> Vec<Vec<Vec<f64>>> {
    states(&x[0], backwards, |input, [state, memory]| {
        let (a, b) = (product(input, &x[1], &x[3]), product(state, &x[2], &[0.0; 4 * UNITS]));
        for u in 0..UNITS {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| a[gate * UNITS + u] + b[gate * UNITS + u]);
            memory[u] = sigmoid(f) * memory[u] + sigmoid(i) * g.tanh();
            state[u] = sigmoid(o) * memory[u].tanh();
        }
    })
}

fn gru(x: &[Vec<f64>], backwards: bool) -> Vec<Vec<Vec<f64>>> {
    states(&x[0], backwards, |input, [state, _]| {
        let (bias, state_bias) = x[3].split_at(3 * UNITS);
        let (a, b) = (product(input, &x[1], bias), product(state, &x[2], state_bias));
        for u in 0..UNITS {
            let [z, r] = [0, 1].map(|gate| sigmoid(a[gate * UNITS + u] + b[gate * UNITS + u]));
            let h = (a[2 * UNITS + u] + r * b[2 * UNITS + u]).tanh();
            state[u] = z * state[u] + (1.0 - z) * h;
        }
    })
}

#[test]
fn gradients_are_central_differences() {
    let last = |states: Vec<Vec<Vec<f64>>>| states.iter().flat_map(|s| s[STEPS - 1].clone()).collect();
    let all = |states: Vec<Vec<Vec<f64>>>| states.concat().concat();
    let input: &[usize] = &[2, STEPS, INPUTS];
    let shapes: [&[usize]; 4] = [input, &[INPUTS, 4 * UNITS], &[UNITS, 4 * UNITS], &[4 * UNITS]];
    let how = Lstm::new().units(UNITS);
    check("lstm", &shapes, &|x| last(lstm(x, false)), &|tape: &mut Tape<'_>, v: &[Var]| {
        tape.layer(how, &v[..1], &v[1..])
    });
    check("lstm backwards", &shapes, &|x| all(lstm(x, true)), &|tape, v| {
        tape.layer(how.return_sequences().go_backwards(), &v[..1], &v[1..])
    });
    let shapes: [&[usize]; 4] = [input, &[INPUTS, 3 * UNITS], &[UNITS, 3 * UNITS], &[2, 3 * UNITS]];
    let how = Gru::new().units(UNITS);
    check("gru backwards", &shapes, &|x| last(gru(x, true)), &|tape, v| {
        tape.layer(how.go_backwards(), &v[..1], &v[1..])
    });
    check("gru", &shapes, &|x| all(gru(x, false)), &|tape, v| {
        tape.layer(how.return_sequences(), &v[..1], &v[1..])
    });
}

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7919) % 1009) as f32 / 500.0 - 1.0).collect()
}

/// Both kinds and both directions; more steps than are multiplied at once.
fn stacked() -> Model<'static> {
    let net = GraphBuilder::new();
    let x = net.input([37, 11]);
    let there = x.lstm_with(50, Lstm::new().return_sequences());
    let back = x.gru_with(30, Gru::new().return_sequences().go_backwards());
    net.build(&[net.concatenate(&[there, back]).gru_with(40, Gru::new().no_bias()).dense(3)], 4).unwrap()
}

#[test]
fn samples_have_the_same_bits_on_any_number_of_threads_and_in_any_batch() {
    const BATCH: usize = 23;
    let (model, inputs) = (stacked(), numbers(BATCH * 37 * 11));
    let len = 37 * 11;
    for isa in Isa::available() {
        let outputs = |threads: usize, samples: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let options = Options::new(BATCH).isa(isa).threads(threads);
                let mut session = Session::new(&model, options).unwrap();
                session.run(&inputs[..samples * len]).unwrap().to_vec()
            })
        };
        let want = outputs(1, BATCH);
        for (threads, samples) in [(2, BATCH), (7, BATCH), (3, 10), (1, 1), (2, 1)] {
            assert!(outputs(threads, samples) == want[..samples * 3], "{isa}, {threads}, {samples}");
        }
        let mut one = Session::new(&model, Options::new(1).isa(isa)).unwrap();
        for (input, want) in inputs.chunks(len).zip(want.chunks(3)) {
            assert_eq!(one.run(input).unwrap(), want, "{isa}");
        }
    }
}

#[test]
fn learning_has_the_same_bits_on_any_number_of_threads() {
    let (model, inputs) = (stacked(), numbers(40 * 37 * 11));
    let labels: Vec<f32> = (0..40).map(|i| (i % 3) as f32).collect();
    let learnt = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let trainer = Trainer::new(Adam::default(), Loss::SoftmaxCrossEntropy).batch_size(40);
            let mut session = TrainingSession::new(&trainer.threads(threads), &model).unwrap();
            session.step(&inputs, &labels).unwrap();
            session.to_model()
        })
    };
    let want = learnt(1);
    assert!([2, 3].into_iter().all(|threads| learnt(threads) == want));
}

/// Which of two numbers came first, after steps of nothing.
#[test]
fn what_came_first_is_learnt() {
    const BATCH: usize = 16;
    let sample = |i: usize| {
        let first = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let mut x = [0.0; 12];
        (x[i / 2 % 4], x[7 + i / 8 % 4]) = (first, -first);
        x
    };
    let inputs: Vec<f32> = (0..BATCH).flat_map(sample).collect();
    let labels: Vec<f32> = (0..BATCH).map(|i| (i % 2) as f32).collect();
    let chain = |recurrent: Sequential| recurrent.dense(2).build(3).unwrap();
    for model in [chain(Sequential::new([12, 1]).lstm(8)), chain(Sequential::new([12, 1]).gru(8))] {
        for isa in [Isa::SCALAR, Isa::detect()] {
            let adam = Adam { rate: 0.05, ..Adam::default() };
            let trainer = Trainer::new(adam, Loss::SoftmaxCrossEntropy).batch_size(BATCH).isa(isa);
            let mut session = TrainingSession::new(&trainer, &model).unwrap();
            let first = session.step(&inputs, &labels).unwrap().loss;
            let last = (0..60).fold(first, |_, _| session.step(&inputs, &labels).unwrap().loss);
            assert!(last < 0.05 && first > 0.5, "{isa}: {first} to {last}");
            let outputs = session.run(&inputs).unwrap();
            let right = outputs.chunks(2).zip(&labels).filter(|(y, label)| (y[1] > y[0]) == (**label > 0.5));
            assert_eq!(right.count(), BATCH, "{isa}");
        }
    }
}

/// On a chip nothing is kept of a step but its state.
#[test]
fn memory_does_not_grow_with_time() {
    let arena = |steps: usize| {
        let model = Sequential::new([steps, 4]).lstm(16).dense(2).build(1).unwrap();
        Plan::new(&model, Options::new(1).isa(Isa::SCALAR)).unwrap().arena_len()
    };
    assert_eq!(arena(1000), arena(10));
    assert!(arena(10) < 300, "{}", arena(10));
}

#[test]
fn weights_begin_as_in_keras() {
    let model = Sequential::new([4, 3]).lstm_with(9, Lstm::new().return_sequences()).gru(9).build(1).unwrap();
    let weights = |name: &str, index: usize| model.weights(name).unwrap()[index].values().to_vec();
    assert_eq!(weights("lstm", 2), [vec![0.0; 9], vec![1.0; 9], vec![0.0; 18]].concat());
    assert_eq!(weights("gru", 2), [0.0; 54]);
    for (name, columns) in [("lstm", 36), ("gru", 27)] {
        let kernel = weights(name, 1);
        for (i, a) in kernel.chunks(columns).enumerate() {
            for (j, b) in kernel.chunks(columns).enumerate() {
                let dot: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum();
                let want = f64::from(u8::from(i == j));
                assert!((dot - want).abs() < 1e-6, "{name}: {i}, {j}: {dot}");
            }
        }
    }
}

/// All that a layer can be told.
#[test]
fn attributes_survive_the_file() {
    let (lstm, gru) = (Lstm::new().no_bias().return_sequences(), Gru::new().go_backwards());
    let model = Sequential::new([5, 2]).lstm_with(3, lstm).gru_with(4, gru).build(1).unwrap();
    let file = model.to_bytes().unwrap();
    let read = Model::from_bytes(&file).unwrap();
    assert_eq!(read, model);
    let [first, second] = read.nodes() else { panic!() };
    assert_eq!(first.layer(), Some(lstm.units(3)));
    assert_eq!(second.layer(), Some(gru.units(4)));
}

#[test]
fn shapes_that_do_not_fit_are_told() {
    let refused = |net: Sequential| net.build(1).unwrap_err().to_string();
    let text = refused(Sequential::new([4]).lstm(3));
    assert_eq!(text, "layer \"lstm\": input: expected 2 dimensions, got [4]");
    let text = refused(Sequential::new([4, 2]).gru(0));
    assert_eq!(text, "layer \"gru\": units: expected at least 1, got 0");
    let text = refused(Sequential::new([4, 2]).lstm(usize::MAX / 2));
    assert!(text.starts_with("layer \"lstm\""), "{text}");
}
