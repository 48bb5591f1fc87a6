//! Functions of each element, extremes and normalisations of samples: gradients against central differences in `f64`, what
//! passes no wrong number on, and what is refused.

use crate::gradients::{Recording, check};
use bantam::{
    Average, AxisSoftmax, Elu, Error, Exponential, Gelu, GeneralRelu, GraphBuilder, GroupNormalization,
    HardSigmoidKeras2, Isa, LayerNormalization, Loss, Maximum, Minimum, Mish, Mode, Model, Options, Prelu,
    Rescaling, Selu, Sequential, Session, Sgd, Shape, Softplus, Softsign, Subtract, TanhGelu, Tape, Trainer,
    TrainingSession, Value, Var,
};

/// From -8 to 8, beyond all corners.
#[test]
fn functions_of_each_element() {
    let one = |name: &str, function: &dyn Fn(f64) -> f64, recording: Recording<'_>| {
        let scaled = |x: &[Vec<f64>]| x[0].iter().map(|x| function(8.0 * x)).collect();
        check(name, &[&[5, 7]], &scaled, &|tape, v| {
            let eights = tape.input(tape.shape(v[0])?, const { &[8.0; 35] })?;
            let x = tape.mul(v[0], eights)?;
            recording(tape, &[x])
        });
    };
    let general = GeneralRelu::new().max_value(4.0).negative_slope(0.25).threshold(1.0);
    let fall = |x: f64| if x > 1.0 { x.min(4.0) } else { 0.25 * (x - 1.0) };
    one("general_relu", &fall, &|tape, v| tape.layer(general, v, &[]));
    let elu = |scale: f64, alpha: f64| move |x: f64| if x > 0.0 { scale * x } else { alpha * x.exp_m1() };
    one("elu", &elu(1.0, 0.5), &|tape, v| tape.layer(Elu::new(0.5), v, &[]));
    let [scale, alpha] = [1.050_700_987_355_480_5, 1.673_263_242_354_377_3];
    one("selu", &elu(scale, scale * alpha), &|tape, v| tape.layer(Selu, v, &[]));
    let gelu = |x: f64| 0.5 * x * libm::erfc(-x / 2f64.sqrt());
    one("gelu", &gelu, &|tape, v| tape.layer(Gelu, v, &[]));
    let root = (2.0 / core::f64::consts::PI).sqrt();
    let tanh_gelu = |x: f64| 0.5 * x * (1.0 + (root * (x + 0.044715 * x * x * x)).tanh());
    one("tanh_gelu", &tanh_gelu, &|tape, v| tape.layer(TanhGelu, v, &[]));
    let hard = |x: f64| (0.2 * x + 0.5).clamp(0.0, 1.0);
    one("hard_sigmoid_keras2", &hard, &|tape, v| tape.layer(HardSigmoidKeras2, v, &[]));
    let softplus = |x: f64| x.exp().ln_1p();
    one("softplus", &softplus, &|tape, v| tape.layer(Softplus, v, &[]));
    one("softsign", &|x| x / (1.0 + x.abs()), &|tape, v| tape.layer(Softsign, v, &[]));
    one("exponential", &f64::exp, &|tape, v| tape.layer(Exponential, v, &[]));
    one("mish", &|x| x * softplus(x).tanh(), &|tape, v| tape.layer(Mish, v, &[]));
    let rescaling = Rescaling::new(0.5).offset(-3.0);
    one("rescaling", &|x| 0.5 * x - 3.0, &|tape, v| tape.layer(rescaling, v, &[]));
}

#[test]
fn functions_of_several_inputs() {
    let map: &[usize] = &[2, 3, 5];
    let difference = |x: &[Vec<f64>]| x[0].iter().zip(&x[1]).map(|(a, b)| a - b).collect();
    check("subtract", &[map, map], &difference, &|tape, v| tape.layer(Subtract, v, &[]));
    for count in [2, 3, 8] {
        let shapes = vec![map; count];
        // No two are equal.
        let apart = |i: usize| 0.005 * i as f32;
        let folded = |x: &[Vec<f64>], fold: fn(f64, f64) -> f64| -> Vec<f64> {
            let element = |(k, x): (usize, &Vec<f64>), i: usize| x[i] + f64::from(apart(k));
            (0..30).map(|i| x.iter().enumerate().map(|x| element(x, i)).reduce(fold).unwrap()).collect()
        };
        let shift = |tape: &mut Tape<'_>, v: &[Var]| -> Result<Vec<Var>, Error> {
            let of = |(i, &var)| tape.layer(Rescaling::new(1.0).offset(apart(i)), &[var], &[]);
            v.iter().enumerate().map(of).collect()
        };
        let mean = |x: &[Vec<f64>]| folded(x, |a, b| a + b).iter().map(|y| y / count as f64).collect();
        check("average", &shapes, &mean, &|tape, v| {
            let v = shift(tape, v)?;
            tape.layer(Average, &v, &[])
        });
        check("maximum", &shapes, &|x| folded(x, f64::max), &|tape, v| {
            let v = shift(tape, v)?;
            tape.layer(Maximum, &v, &[])
        });
        check("minimum", &shapes, &|x| folded(x, f64::min), &|tape, v| {
            let v = shift(tape, v)?;
            tape.layer(Minimum, &v, &[])
        });
    }
}

#[test]
fn softmax_along_an_axis() {
    for (axis, inner, length) in [(1, 10, 3), (-3, 10, 3), (2, 2, 5), (3, 1, 2), (-1, 1, 2)] {
        let softmax = |x: &[Vec<f64>]| {
            let sum = |i: usize| -> f64 {
                let first = i / (inner * length) * inner * length + i % inner;
                (0..length).map(|j| x[0][first + j * inner].exp()).sum()
            };
            (0..60).map(|i| x[0][i].exp() / sum(i)).collect()
        };
        check("softmax", &[&[2, 3, 5, 2]], &softmax, &|tape, v| tape.layer(AxisSoftmax::new(axis), v, &[]));
    }
}

#[test]
fn learnt_slopes() {
    let cases: [(Prelu, [usize; 3]); 4] = [
        (Prelu::new(), [3, 2, 5]),
        (Prelu::new().shared_axes([1, 2]), [1, 1, 5]),
        (Prelu::new().shared_axes([2, 3]), [3, 1, 1]),
        (Prelu::new().shared_axes([1, 3]), [1, 2, 1]),
    ];
    for (layer, alphas) in cases {
        let slopes = |x: &[Vec<f64>]| {
            let at = |i: usize| {
                let index = [i / 10 % 3, i / 5 % 2, i % 5];
                (0..3).fold(0, |at, axis| at * alphas[axis] + index[axis] % alphas[axis])
            };
            (0..60).map(|i| if x[0][i] > 0.0 { x[0][i] } else { x[1][at(i)] * x[0][i] }).collect()
        };
        check("prelu", &[&[2, 3, 2, 5], &alphas], &slopes, &|tape, v| tape.layer(layer, &v[..1], &v[1..]));
    }
}

/// `(x - mean) / sqrt(variance + epsilon)` of each image and group of channels.
fn normalized(x: &[f64], pixels: usize, channels: usize, groups: usize) -> Vec<f64> {
    let width = channels / groups;
    let group = |i: usize| {
        let first = i / (pixels * channels) * pixels * channels + i % channels / width * width;
        (0..pixels * width).map(move |j| x[first + j / width * channels + j % width])
    };
    let normalize = |i: usize| {
        let count = (pixels * width) as f64;
        let mean = group(i).sum::<f64>() / count;
        let variance = group(i).map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
        (x[i] - mean) / (variance + 1e-3).sqrt()
    };
    (0..x.len()).map(normalize).collect()
}

#[test]
fn normalisations_of_samples() {
    let map: &[usize] = &[2, 3, 2, 6];
    let scaled = |x: &[Vec<f64>], pixels: usize, groups: usize| -> Vec<f64> {
        let y = normalized(&x[0], pixels, 6, groups);
        y.iter().enumerate().map(|(i, y)| y * x[1][i % 6] + x[2][i % 6]).collect()
    };
    let layer = LayerNormalization::new();
    check("layer_normalization", &[map, &[6], &[6]], &|x| scaled(x, 1, 1), &|tape, v| {
        tape.layer(layer, &v[..1], &v[1..])
    });
    for groups in [1, 2, 3, 6] {
        let layer = GroupNormalization::new(groups);
        check("group_normalization", &[map, &[6], &[6]], &|x| scaled(x, 6, groups), &|tape, v| {
            tape.layer(layer, &v[..1], &v[1..])
        });
        let plain = layer.no_center().no_scale();
        check("group_normalization", &[map], &|x| normalized(&x[0], 6, 6, groups), &|tape, v| {
            tape.layer(plain, v, &[])
        });
    }
}

/// A small deviation of large numbers, as of an air pressure in pascals.
#[test]
fn a_large_mean_takes_no_digits() {
    let mut model = Sequential::new([2]).normalization().build(1).unwrap();
    model.set_weights("normalization", &[&[101_325.0, 0.0], &[0.0625, 1.0]]).unwrap();
    let mut session = Session::new(&model, Options::new(1)).unwrap();
    assert_eq!(session.run(&[101_325.125, 3.0]).unwrap(), [0.5, 3.0]);
    model.set_weights("normalization", &[&[0.0; 2], &[1.0, -1.0]]).unwrap();
    let error = Session::new(&model, Options::new(1)).err().unwrap().to_string();
    assert!(error.ends_with("variance: expected finite numbers of at least 0, got -1"), "{error}");
}

/// Neither zero times infinity nor the difference of two infinities.
#[test]
fn nothing_finite_becomes_nan() {
    let numbers = [f32::MAX, f32::MIN, 100.0, -100.0, 1e-40, -1e-40, 0.0, -0.0];
    let net = Sequential::new([8]);
    let nets = [
        net.clone().relu_with(GeneralRelu::new().threshold(1.0)),
        net.clone().elu(1.0),
        net.clone().selu(),
        net.clone().gelu(),
        net.clone().tanh_gelu(),
        net.clone().hard_sigmoid_keras2(),
        net.clone().softplus(),
        net.clone().softsign(),
        net.clone().mish(),
        net.softmax_along(1),
    ];
    for net in nets {
        let model = net.build(1).unwrap();
        for isa in Isa::available() {
            let mut session = Session::new(&model, Options::new(1).isa(isa)).unwrap();
            let y = session.run(&numbers);
            // SELU's product with the largest number is infinite, which is said.
            let selu = model.nodes()[0].name() == "selu" && y.is_err();
            assert!(
                selu || y.is_ok_and(|y| y.iter().all(|y| y.is_finite())),
                "{isa} {}",
                model.nodes()[0].name()
            );
        }
    }
}

fn refused(make: impl Fn(&GraphBuilder) -> Value<'_>) -> String {
    let net = GraphBuilder::new();
    net.build(&[make(&net)], 1).unwrap_err().to_string()
}

#[test]
fn what_is_out_of_range_is_told() {
    let number = "a finite number that is not negative";
    let text = refused(|net| net.input([2]).elu(-1.0));
    assert_eq!(text, format!("layer \"elu\": alpha: expected {number}, got -1"));
    let relu = GeneralRelu::new();
    for (how, what) in [
        (relu.max_value(-1.0), "largest value"),
        (relu.negative_slope(-1.0), "negative slope"),
        (relu.threshold(-1.0), "threshold"),
    ] {
        let text = refused(|net| net.input([2]).relu_with(how));
        assert_eq!(text, format!("layer \"re_lu\": {what}: expected {number}, got -1"));
    }
    let text = refused(|net| net.input([2]).relu_with(relu.max_value(f32::NAN)));
    assert_eq!(text, format!("layer \"re_lu\": largest value: expected {number}, got NaN"));
    for axis in [0, 3, -3, i8::MIN] {
        let text = refused(|net| net.input([2, 3]).softmax_along(axis));
        let expected = "a dimension of the input behind the batch, from 1 or from -1";
        assert_eq!(text, format!("layer \"softmax\": axis: expected {expected}, got {axis}"));
    }
    for (axis, got) in [(0, 0), (3, 3), (40, 0)] {
        let text = refused(|net| net.input([2, 3]).prelu(Prelu::new().shared_axes([1, axis])));
        let expected = "dimensions of the input behind the batch, from 1";
        assert_eq!(text, format!("layer \"p_re_lu\": shared axis: expected {expected}, got {got}"));
    }
    let text = refused(|net| net.input([2]).rescaling(f32::NAN, 0.0));
    assert_eq!(text, "layer \"rescaling\": scale: expected a finite number, got NaN");
    let text = refused(|net| net.input([6]).group_normalization(4));
    assert_eq!(text, "layer \"group_normalization\": groups: expected a divisor of 6 channels, got 4");
    let text = refused(|net| net.input([6]).layer(LayerNormalization::new().epsilon(0.0)));
    assert_eq!(text, "layer \"layer_normalization\": epsilon: expected a finite number above 0, got 0");
    let text = refused(|net| net.maximum(&[net.input([2]), net.input([3])]));
    assert_eq!(text, "layer \"maximum\": operand: expected [2], got [3]");
    let text = refused(|net| net.subtract(net.input([2]), net.input([3])));
    assert_eq!(text, "layer \"subtract\": operand: expected [2], got [3]");
    let text = refused(|net| net.average(&[net.input([2])]));
    assert_eq!(text, "layer \"average\": inputs of a layer: expected two or more, got 1");
}

/// In inference a step may lie where its input did; the tape never does that.
#[test]
fn what_is_overwritten_is_the_same() {
    let net = GraphBuilder::new();
    let x = net.input([4, 3, 6]);
    let [a, b] = [x.conv2d(6, 1), x.conv2d(6, 1)];
    let y = net.subtract(a, b).prelu(Prelu::new().shared_axes([1, 2])).named("slopes");
    let y = net.average(&[y.gelu(), x.conv2d(6, 1)]).group_normalization(3);
    let y = net.minimum(&[net.maximum(&[y, x.conv2d(6, 1)]), x.conv2d(6, 1)]).layer_normalization();
    let mut model = net.build(&[y], 3).unwrap();
    model.set_weights("slopes", &[&[0.1, 0.2, -0.3, 0.4, 0.0, 1.0]]).unwrap();
    let file = model.to_bytes().unwrap();
    let model = Model::from_bytes(&file).unwrap();
    let input: Vec<f32> = crate::common::numbers(2 * 72);
    for isa in Isa::available() {
        let mut tape = Tape::new(isa);
        let x = tape.input(Shape::new(&[2, 4, 3, 6]).unwrap(), &input).unwrap();
        let y = model.record(&mut tape, x, Mode::Inference, &mut Vec::new()).unwrap();
        let mut session = Session::new(&model, Options::new(2).isa(isa)).unwrap();
        let difference = |(a, b): (&f32, &f32)| (a - b).abs();
        let outputs = session.run(&input).unwrap().iter().zip(tape.value(y).unwrap());
        let worst = outputs.map(difference).fold(0.0, f32::max);
        assert!(worst < 1e-5, "{isa}: {worst}");
    }
}

/// A plan keeps what a layer's backward pass reads, and nothing else; a tape keeps all.
#[test]
fn a_training_session_learns_as_a_tape_does() {
    const RATE: f32 = 0.01;
    let net = GraphBuilder::new();
    let x = net.input([4, 3, 6]);
    let [a, b] = [x.rescaling(0.5, 0.1).conv2d(6, 1), x.conv2d(6, 1).elu(0.5)];
    let y = net.subtract(a.normalization(), b).prelu(Prelu::new().shared_axes([1, 3])).group_normalization(3);
    let y = net.average(&[y.gelu().softplus(), x.conv2d(6, 1).mish()]).layer_normalization();
    let y = net.minimum(&[net.maximum(&[y, x.conv2d(6, 1).tanh_gelu()]), x.conv2d(6, 1).exponential()]);
    let y = y.relu_with(GeneralRelu::new().negative_slope(0.1).threshold(0.2)).conv2d(6, 1).selu();
    let y = y.softmax_along(1).conv2d(6, 1).softsign().activity_regularization(0.01, 0.02);
    let model = net.build(&[y.flatten().dense(2)], 3).unwrap();
    let (input, targets) = (crate::common::numbers(2 * 72), [0.5, -1.0, 2.0, 0.0]);
    for isa in Isa::available() {
        let mut tape = Tape::new(isa);
        let x = tape.input(Shape::new(&[2, 4, 3, 6]).unwrap(), &input).unwrap();
        let mut parameters = Vec::new();
        let y = model.record(&mut tape, x, Mode::Training { seed: 1 }, &mut parameters).unwrap();
        let t = tape.input(Shape::new(&[2, 2]).unwrap(), &targets).unwrap();
        let loss = tape.mean_squared_error(y, t).unwrap();
        let gradients = tape.backward(loss).unwrap();
        let sgd = Sgd { rate: RATE, ..Sgd::default() };
        let trainer = Trainer::new(sgd, Loss::MeanSquaredError).batch_size(2).isa(isa);
        let mut session = TrainingSession::new(&trainer, &model).unwrap();
        session.step(&input, &targets).unwrap();
        let learnt = session.to_model();
        for (i, &parameter) in parameters.iter().enumerate() {
            let (old, new) = (model.parameters()[i].values(), learnt.parameters()[i].values());
            let name = model.parameters()[i].name();
            let Ok(gradient) = gradients.get(parameter) else {
                assert_eq!(old, new, "{isa} {name}");
                continue;
            };
            for ((old, new), g) in old.iter().zip(new).zip(gradient) {
                assert!((old - RATE * g - new).abs() < 1e-6, "{isa} {name}: {old} {g} {new}");
            }
        }
    }
}
