//! A whole step of the MNIST net, loss and every gradient, against PyTorch in double precision.
//! `golden/make.py` made the file.

use bantam::{Conv2d, Error, Isa, MaxPool2d, Shape, Tape, Var};

const BATCH: usize = 4;
const PARAMETERS: [(&[usize], f32); 10] = [
    (&[3, 3, 1, 32], 0.5),
    (&[32], 0.125),
    (&[3, 3, 32, 64], 0.125),
    (&[64], 0.125),
    (&[3, 3, 64, 64], 0.0625),
    (&[64], 0.125),
    (&[576, 64], 0.0625),
    (&[64], 0.125),
    (&[64, 10], 0.25),
    (&[10], 0.125),
];
/// Of a gradient's largest element, and of the loss.
const TOLERANCE: f32 = 1e-4;

fn numbers(count: usize, seed: u32, scale: f32, shift: f32) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale + shift
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn a_step_of_the_mnist_net() -> Result<(), Error> {
    let golden: Vec<f32> = include_bytes!("../golden/mnist_step.f32")
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let images = numbers(BATCH * 28 * 28, 100, 0.5, 0.5);
    let labels: Vec<f32> = (0..BATCH).map(|i| ((3 * i + 1) % 10) as f32).collect();
    let weights: Vec<(Shape, Vec<f32>)> = PARAMETERS
        .iter()
        .enumerate()
        .map(|(i, &(dims, scale))| {
            let shape = Shape::new(dims).unwrap();
            (shape, numbers(shape.elements(), i as u32 + 1, scale, 0.0))
        })
        .collect();
    for isa in Isa::available() {
        let mut tape = Tape::new(isa);
        let mut p = Vec::new();
        for (shape, data) in &weights {
            p.push(tape.parameter(*shape, data)?);
        }
        let loss = record(&mut tape, &images, &labels, &p)?;
        let got = tape.value(loss)?[0];
        assert!(
            (got - golden[0]).abs() <= TOLERANCE * golden[0],
            "{isa}: loss {got}, expected {}",
            golden[0]
        );
        let gradients = tape.backward(loss)?;
        let mut rest = &golden[1..];
        for (i, &var) in p.iter().enumerate() {
            let got = gradients.get(var)?;
            let (want, tail) = rest.split_at(got.len());
            rest = tail;
            let scale = want.iter().fold(0f32, |max, want| max.max(want.abs()));
            for (at, (got, want)) in got.iter().zip(want).enumerate() {
                let error = (got - want).abs();
                assert!(error <= TOLERANCE * scale, "{isa}: parameter {i}[{at}] is {got}, expected {want}");
            }
        }
        assert!(rest.is_empty());
    }
    Ok(())
}

fn record<'a>(tape: &mut Tape<'a>, images: &'a [f32], labels: &[f32], p: &[Var]) -> Result<Var, Error> {
    let conv = Conv2d::valid().relu();
    let x = tape.input(Shape::new(&[BATCH, 28, 28, 1])?, images)?;
    let x = tape.conv2d(x, p[0], Some(p[1]), conv)?;
    let x = tape.max_pool2d(x, MaxPool2d::new(2))?;
    let x = tape.conv2d(x, p[2], Some(p[3]), conv)?;
    let x = tape.max_pool2d(x, MaxPool2d::new(2))?;
    let x = tape.conv2d(x, p[4], Some(p[5]), conv)?;
    let x = tape.flatten(x)?;
    let x = tape.dense_relu(x, p[6], Some(p[7]))?;
    let x = tape.dense(x, p[8], Some(p[9]))?;
    let targets = tape.one_hot(labels, 10)?;
    tape.softmax_cross_entropy(x, targets)
}
