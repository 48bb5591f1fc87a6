//! Operations of a tape for losses of one's own: values, and gradients against central differences.

use bantam::{Error, Isa, Loss, Operation, Shape, Tape, Var};

fn shape(dims: &[usize]) -> Shape {
    Shape::new(dims).unwrap()
}

/// Numbers from -2 to 2, no two of them near each other, and none near 0.
fn numbers(seed: usize, len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + seed * 11) % 80) as f32 / 20.0 - 1.975).collect()
}

type Record<'a> = &'a dyn Fn(&mut Tape<'_>, &[Var]) -> Result<Var, Error>;

/// Checks the gradients of a weighted sum of what is recorded.
fn check(what: &str, shapes: &[&[usize]], positive: bool, record: Record<'_>) {
    let values: Vec<Vec<f32>> = shapes
        .iter()
        .enumerate()
        .map(|(i, dims)| {
            let numbers = numbers(i + 1, dims.iter().product());
            numbers.iter().map(|x| if positive { x.abs() + 0.5 } else { *x }).collect()
        })
        .collect();
    let inputs: Vec<_> = shapes.iter().zip(&values).map(|(dims, data)| (shape(dims), &data[..])).collect();
    for isa in Isa::available() {
        let checked = Tape::check(isa, &inputs, |tape, vars| {
            let y = record(tape, vars)?;
            let weights = tape.map(y, |_| 0.0, |_, _| 0.0)?;
            let weights = tape.exp(weights)?;
            let squares = tape.mul(y, y)?;
            let squares = tape.scale(squares, 0.3)?;
            let both = tape.add(weights, squares)?;
            let product = tape.mul(both, y)?;
            tape.sum(product)
        });
        let difference = checked.unwrap_or_else(|error| panic!("{what} on {isa}: {error}"));
        assert!(difference < 0.05, "{what} on {isa}: {difference}");
    }
}

#[test]
fn gradients_are_those_of_central_differences() {
    type Binary = fn(&mut Tape<'_>, Var, Var) -> Result<Var, Error>;
    let binary: [(&str, Binary); 6] = [
        ("add", |tape, a, b| tape.add(a, b)),
        ("sub", |tape, a, b| tape.sub(a, b)),
        ("mul", |tape, a, b| tape.mul(a, b)),
        ("div", |tape, a, b| tape.div(a, b)),
        ("maximum", |tape, a, b| tape.maximum(a, b)),
        ("minimum", |tape, a, b| tape.minimum(a, b)),
    ];
    let pairs: [[&[usize]; 2]; 7] = [
        [&[2, 3], &[2, 3]],
        [&[2, 3], &[3]],
        [&[3], &[2, 3]],
        [&[2, 1, 3], &[4, 1]],
        [&[2, 3], &[]],
        [&[], &[2]],
        [&[1, 2, 1, 2, 1], &[2, 1, 2, 1, 2]],
    ];
    for (what, operation) in binary {
        for pair in pairs {
            check(&format!("{what} of {pair:?}"), &pair, what == "div", &|tape, vars| {
                operation(tape, vars[0], vars[1])
            });
        }
        check(&format!("{what} with itself"), &[&[3]], what == "div", &|tape, vars| {
            operation(tape, vars[0], vars[0])
        });
    }
    type Unary = fn(&mut Tape<'_>, Var) -> Result<Var, Error>;
    let unary: [(&str, bool, Unary); 8] = [
        ("exp", false, |tape, x| tape.exp(x)),
        ("log", true, |tape, x| tape.log(x)),
        ("sqrt", true, |tape, x| tape.sqrt(x)),
        ("abs", false, |tape, x| tape.abs(x)),
        ("tanh", false, |tape, x| tape.tanh(x)),
        ("sigmoid", false, |tape, x| tape.sigmoid(x)),
        ("scale", false, |tape, x| tape.scale(x, -1.5)),
        ("mean", false, |tape, x| tape.mean(x)),
    ];
    for (what, positive, operation) in unary {
        check(what, &[&[3, 4]], positive, &|tape, vars| operation(tape, vars[0]));
        check(what, &[&[]], positive, &|tape, vars| operation(tape, vars[0]));
    }
    for axes in [&[][..], &[0], &[1], &[2], &[0, 2], &[2, 1], &[0, 1, 2]] {
        check(&format!("sum over {axes:?}"), &[&[2, 3, 2]], false, &|tape, v| tape.sum_axes(v[0], axes));
        check(&format!("mean over {axes:?}"), &[&[2, 3, 2]], false, &|tape, v| tape.mean_axes(v[0], axes));
        check(&format!("max over {axes:?}"), &[&[2, 3, 2]], false, &|tape, v| tape.max_axes(v[0], axes));
    }
    check("slice", &[&[3, 4, 2]], false, &|tape, v| tape.slice(v[0], &[1..3, 0..3]));
    check("slice of one", &[&[3, 1]], false, &|tape, v| tape.slice(v[0], &[2..3, 0..1]));
    check("transpose", &[&[2, 3, 2]], false, &|tape, v| tape.transpose(v[0], &[2, 0, 1]));
    for (axis, other) in [(0, [3, 2, 2]), (1, [2, 1, 2]), (2, [2, 2, 4])] {
        check(&format!("concat along {axis}"), &[&[2, 2, 2], &other, &[2, 2, 2]], false, &|tape, v| {
            tape.concat(v, axis)
        });
    }
}

#[test]
fn losses_are_those_of_central_differences() {
    let (labels, shares) = ([2.0, 0.0, 1.0], [0.2, 0.7, 0.1, 0.0, 1.0, 0.0, 0.3, 0.3, 0.4]);
    let (sides, weights) = ([1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0, -1.0], [0.5, 2.0, 0.0]);
    let logits = numbers(3, 9);
    let mut probabilities: Vec<f32> = logits.iter().map(|x| x.abs() + 0.1).collect();
    for row in probabilities.chunks_mut(3) {
        let sum: f32 = row.iter().sum();
        row.iter_mut().for_each(|p| *p /= sum);
    }
    let square = shape(&[3, 3]);
    let check = |loss: Loss, outputs: &[f32], targets: &[f32]| {
        for isa in Isa::available() {
            let checked = Tape::check(isa, &[(square, outputs)], |tape, vars| {
                let t = if targets.len() == 3 { shape(&[3, 1]) } else { square };
                let t = tape.input(t, targets)?;
                let w = tape.input(shape(&[3]), &weights)?;
                tape.loss_weighted(loss, vars[0], t, w)
            });
            let difference = checked.unwrap_or_else(|error| panic!("{loss:?} on {isa}: {error}"));
            assert!(difference < 1e-2, "{loss:?} on {isa}: {difference}");
        }
    };
    let classes = [
        Loss::SoftmaxCrossEntropy,
        Loss::SoftmaxCrossEntropy.label_smoothing(0.2),
        Loss::categorical_focal(0.7, 2.0),
        Loss::categorical_focal(1.0, 0.5).label_smoothing(0.2),
    ];
    for targets in [&labels[..], &shares] {
        for loss in classes {
            check(loss, &logits, targets);
            check(loss.of_probabilities(), &probabilities, targets);
        }
        check(Loss::CategoricalHinge, &logits, targets);
        check(Loss::KullbackLeibler, &probabilities, targets);
    }
    for loss in [Loss::BinaryCrossEntropy, Loss::binary_focal(None, 2.0), Loss::binary_focal(Some(0.3), 0.5)]
    {
        for loss in [loss, loss.label_smoothing(0.1)] {
            check(loss, &logits, &shares);
            check(loss.of_probabilities(), &probabilities, &shares);
        }
    }
    for loss in [Loss::MeanSquaredError, Loss::MeanAbsoluteError, Loss::huber(0.5), Loss::LogCosh] {
        check(loss, &logits, &shares);
    }
    check(Loss::Hinge, &logits, &sides);
    check(Loss::SquaredHinge, &logits, &sides);
    check(Loss::Poisson, &probabilities, &shares);
}

/// A gradient that is off by a thousandth.
struct Off;

impl Operation for Off {
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Error> {
        Ok(inputs[0])
    }
    fn forward(&self, inputs: &[&[f32]], output: &mut [f32]) -> Result<(), Error> {
        output.copy_from_slice(inputs[0]);
        Ok(())
    }
    fn backward(
        &self,
        _: &[&[f32]],
        _: &[f32],
        d_output: &[f32],
        _: usize,
        d_input: &mut [f32],
    ) -> Result<(), Error> {
        d_input.copy_from_slice(d_output);
        d_input[1] *= 1.001;
        Ok(())
    }
}

#[test]
fn a_gradient_that_is_wrong_is_named() {
    let (x, y) = ((shape(&[3]), &[0.1, 0.2, 0.3][..]), (shape(&[3]), &[0.3, 0.4, 0.5][..]));
    let sum = |tape: &mut Tape<'_>, vars: &[Var]| {
        let off = tape.operation(Off, &vars[1..])?;
        let both = tape.mul(vars[0], off)?;
        tape.sum(both)
    };
    let error = Tape::check(Isa::SCALAR, &[x, y], sum).unwrap_err();
    assert!(matches!(error, Error::Gradient { input: 1, index: 1, .. }), "{error}");
    // A loss that is no number, or several.
    let error = Tape::check(Isa::SCALAR, &[x], |_, vars| Ok(vars[0])).unwrap_err();
    assert_eq!(error.to_string(), "loss: expected [], got [3]");
    let nan = Tape::check(Isa::SCALAR, &[x], |tape, vars| {
        let negative = tape.scale(vars[0], -1.0)?;
        let log = tape.log(negative)?;
        tape.sum(log)
    });
    assert_eq!(nan.unwrap_err().to_string(), "loss: expected a finite number, got NaN");
    // What a loss does not depend on.
    let difference = Tape::check(Isa::SCALAR, &[x, y], |tape, vars| tape.sum(vars[0])).unwrap();
    assert!(difference < 1e-4, "{difference}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut tape = Tape::new(Isa::SCALAR);
    let data = numbers(1, 12);
    let mut var = |dims: &[usize]| tape.parameter(shape(dims), &data[..dims.iter().product()]).unwrap();
    let (a, b, scalar) = (var(&[3, 4]), var(&[3]), var(&[]));
    for refused in [tape.add(a, b), tape.sub(a, b), tape.mul(a, b), tape.div(b, a), tape.maximum(a, b)] {
        assert!(matches!(refused, Err(Error::Shape { .. })), "{refused:?}");
    }
    let told = |refused: Result<Var, Error>, message: &str| {
        assert_eq!(refused.unwrap_err().to_string(), message);
    };
    told(tape.sum_axes(a, &[2]), "axis: expected at most 1, got 2");
    told(tape.max_axes(scalar, &[0]), "axis: expected at most 0, got 0");
    told(tape.slice(a, &[0..3, 2..5]), "end of a slice: expected at most 4, got 5");
    told(tape.slice(a, &[1..1, 0..1]), "dimension: expected at least 1, got 0");
    #[allow(clippy::reversed_empty_ranges, reason = "a range that ends before it begins")]
    let reversed = [2..1, usize::MAX..1];
    for reversed in reversed {
        told(tape.slice(a, &[reversed, 0..1]), "dimension: expected at least 1, got 0");
    }
    told(tape.slice(b, &[0..1, 0..1]), "ranges of a slice: expected at most 1, got 2");
    told(tape.concat(&[], 0), "parts: expected at least one, got none");
    told(tape.concat(&[a, b], 0), "part: expected [3, 4], got [3]");
    told(tape.concat(&[a, a], 2), "axis: expected at most 1, got 2");
    told(tape.transpose(a, &[0, 0]), "axes: expected all 2 of the tensor, each once");
    told(tape.transpose(a, &[0]), "axes: expected all 2 of the tensor, each once");
    let gradients = tape.backward(scalar).unwrap();
    let mut other = gradients.into_tape();
    told(other.exp(a), "variable: expected one of this recording, got one of another");
    let x = other.parameter(Shape::SCALAR, &[-1.0]).unwrap();
    let log = other.log(x).unwrap();
    assert_eq!(other.backward(log).err().unwrap().to_string(), "loss: expected a finite number, got NaN");
}

/// NaN is passed on, and of equal elements each has its part of the gradient.
#[test]
fn nan_and_equal_elements() {
    let mut tape = Tape::new(Isa::SCALAR);
    let nan = [1.0, f32::NAN, 3.0, 0.0];
    let x = tape.input(shape(&[4]), &nan).unwrap();
    let zero = tape.input(Shape::SCALAR, &[2.0]).unwrap();
    for y in [tape.maximum(x, zero).unwrap(), tape.minimum(zero, x).unwrap(), tape.abs(x).unwrap()] {
        assert!(tape.value(y).unwrap()[1].is_nan());
    }
    let most = tape.max_axes(x, &[0]).unwrap();
    assert!(tape.value(most).unwrap()[0].is_nan());
    let equal = [5.0, 1.0, 5.0, 0.0];
    let x = tape.parameter(shape(&[2, 2]), &equal).unwrap();
    let most = tape.max_axes(x, &[0, 1]).unwrap();
    let loss = tape.sum(most).unwrap();
    assert_eq!(tape.backward(loss).unwrap().get(x).unwrap(), [0.5, 0.0, 0.5, 0.0]);
}
