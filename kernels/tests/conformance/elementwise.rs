use crate::support::{LENGTHS, Numbers, updated, written};
use bantam_kernels::conv2d::Activation;
use bantam_kernels::elementwise::{
    self, Affine, Elu, Exponential, Extreme, Function, Gelu, GeneralRelu, GradientAt, HardSigmoid,
    HardSigmoidKeras2, HardSwish, LeakyRelu, Mish, Relu, Relu6, Sigmoid, Silu, Softplus, Softsign, Tanh,
    TanhGelu,
};
use bantam_kernels::reference::elementwise as reference;
use bantam_kernels::{Isa, reference::Expected};

/// Every one of some special numbers against every other, and lengths around a vector's.
fn for_each_pair(check: impl Fn(&[f32], &[f32])) {
    for len in LENGTHS {
        for numbers in Numbers::ALL {
            check(&numbers.take(1, len), &numbers.take(2, len));
        }
        // Far enough for exponentials to overflow and to vanish.
        let wide: Vec<_> = Numbers::Reals.take(3, len).iter().map(|x| 100.0 * x).collect();
        check(&wide, &Numbers::Reals.take(4, len));
    }
    let special = [
        0.0,
        -0.0,
        1.5,
        -2.5,
        3.0,
        -3.0,
        // Around the end of a ReLU6.
        5.999_999_5,
        6.0,
        6.000_000_5,
        1e-30,
        -1e-30,
        f32::MAX,
        f32::MIN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    let a: Vec<f32> = special.iter().flat_map(|&a| [a; 16]).collect();
    check(&a, &special.repeat(16));
}

fn compare(what: &str, got: &[f32], a: &[f32], b: &[f32], want: impl Fn(f32, f32) -> Expected) {
    assert_eq!(got.len(), a.len());
    for ((&got, &a), &b) in got.iter().zip(a).zip(b) {
        let want = want(a, b);
        // What is too large for an `f32` is infinite.
        let overflow = got.is_infinite() && want.value.abs() >= f32::MAX.into();
        let right = want.admits(got) || (overflow && f64::from(got) * want.value > 0.0);
        assert!(right, "{what} of {a}, {b}: {got}, expected {want:?}");
    }
}

pub fn add(isa: Isa) {
    for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
        for_each_pair(|a, b| {
            let got = written(a.len(), |y| elementwise::add(isa, activation, a, b, y).unwrap());
            compare(&format!("{isa} sum"), &got, a, b, |a, b| reference::add(activation, a, b));
        });
    }
}

pub fn add_assign(isa: Isa) {
    for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
        for_each_pair(|y, x| {
            let got = updated(y, |y| elementwise::add_assign(isa, activation, y, x).unwrap());
            compare(&format!("{isa} sum"), &got, y, x, |y, x| reference::add(activation, y, x));
        });
    }
}

pub fn mul(isa: Isa) {
    for_each_pair(|a, b| {
        let got = written(a.len(), |y| elementwise::mul(isa, a, b, y).unwrap());
        compare(&format!("{isa} product"), &got, a, b, reference::mul);
    });
}

pub fn mul_assign(isa: Isa) {
    for_each_pair(|y, x| {
        let got = updated(y, |y| elementwise::mul_assign(isa, y, x).unwrap());
        compare(&format!("{isa} product"), &got, y, x, reference::mul);
    });
}

pub fn sub(isa: Isa) {
    for_each_pair(|a, b| {
        let got = written(a.len(), |y| elementwise::sub(isa, a, b, y).unwrap());
        compare(&format!("{isa} difference"), &got, a, b, reference::sub);
    });
}

pub fn sub_assign(isa: Isa) {
    for_each_pair(|y, x| {
        let got = updated(y, |y| elementwise::sub_assign(isa, y, x).unwrap());
        compare(&format!("{isa} difference"), &got, y, x, reference::sub);
    });
}

pub fn extreme(isa: Isa) {
    for which in [Extreme::Maximum, Extreme::Minimum] {
        for_each_pair(|a, b| {
            let got = written(a.len(), |y| elementwise::extreme(isa, which, a, b, y).unwrap());
            compare(&format!("{isa} {which:?}"), &got, a, b, |a, b| reference::extreme(which, a, b));
        });
    }
}

pub fn extreme_assign(isa: Isa) {
    for which in [Extreme::Maximum, Extreme::Minimum] {
        for_each_pair(|y, x| {
            let got = updated(y, |y| elementwise::extreme_assign(isa, which, y, x).unwrap());
            compare(&format!("{isa} {which:?}"), &got, y, x, |y, x| reference::extreme(which, y, x));
        });
    }
}

/// On numbers of which many are equal; the gradient is all different.
fn keeps(keep: impl Fn(&[f32], &[f32], &mut [f32]), kept: fn(f32, f32) -> bool) {
    for_each_pair(|a, b| {
        let d: Vec<f32> = (1..=a.len()).map(|i| i as f32).collect();
        let got = updated(&d, |d| keep(a, b, d));
        let want = a.iter().zip(b).zip(&d).map(|((&a, &b), &d)| if kept(a, b) { d } else { 0.0 });
        assert_eq!(got, want.collect::<Vec<_>>());
    });
}

pub fn keep_equal(isa: Isa) {
    keeps(|a, b, d| elementwise::keep_equal(isa, a, b, d).unwrap(), |a, b| a == b);
}

pub fn keep_unequal(isa: Isa) {
    keeps(|a, b, d| elementwise::keep_unequal(isa, a, b, d).unwrap(), |a, b| a != b);
}

pub fn add_penalty_grad(isa: Isa) {
    // Less than a half, whose double keeps the largest number from overflowing.
    for l1_l2 in [[0.0, 0.25], [0.5, 0.0], [0.3, 0.45]] {
        for_each_pair(|x, d| {
            let got = updated(d, |d| elementwise::add_penalty_grad(isa, l1_l2, x, d).unwrap());
            compare(&format!("{isa} penalty"), &got, x, d, |x, d| reference::add_penalty_grad(l1_l2, x, d));
        });
    }
}

/// What a test does with a function, its value and its gradient.
trait Check {
    fn check<F: Function + std::fmt::Debug>(
        &self,
        function: F,
        value: impl Fn(f32) -> Expected,
        grad: impl Fn(f32, f32) -> Expected,
    );
}

const SLOPE: f32 = 0.3;

fn for_each_function(check: &impl Check) {
    check.check(Relu, reference::relu, reference::relu_grad);
    check.check(Relu6, reference::relu6, reference::relu6_grad);
    check.check(
        LeakyRelu { slope: SLOPE },
        |x| reference::leaky_relu(SLOPE, x),
        |y, d| reference::leaky_relu_grad(SLOPE, y, d),
    );
    check.check(Sigmoid, reference::sigmoid, reference::sigmoid_grad);
    check.check(Tanh, reference::tanh, reference::tanh_grad);
    check.check(Silu, reference::silu, reference::silu_grad);
    check.check(HardSwish, reference::hard_swish, reference::hard_swish_grad);
    check.check(HardSigmoid, reference::hard_sigmoid, reference::hard_sigmoid_grad);
    check.check(HardSigmoidKeras2, reference::hard_sigmoid_keras2, reference::hard_sigmoid_keras2_grad);
    for (max_value, slope, threshold) in [
        (2.5, 0.3, 1.5),
        (6.0, 0.0, 0.0),
        (f32::INFINITY, 0.3, 0.0),
        (f32::INFINITY, 0.0, 1.5),
        (1.0, 0.0, 1.5),
    ] {
        let how = GeneralRelu { max_value, slope, threshold };
        let grad = |x, d| reference::general_relu_grad(how, x, d);
        check.check(how, |x| reference::general_relu(how, x), grad);
    }
    for [scale, alpha, at_zero] in [[1.0, 1.0, 1.0], [1.05, 1.76, 1.05], [1.0, 0.5, 0.5], [1.0, 0.0, 0.0]] {
        let how = Elu { scale, alpha, at_zero };
        check.check(how, |x| reference::elu(how, x), |y, d| reference::elu_grad(how, y, d));
    }
    check.check(Gelu, reference::gelu, reference::gelu_grad);
    check.check(TanhGelu, reference::tanh_gelu, reference::tanh_gelu_grad);
    check.check(Softplus, reference::softplus, reference::softplus_grad);
    check.check(Softsign, reference::softsign, reference::softsign_grad);
    check.check(Exponential, reference::exponential, reference::exponential_grad);
    check.check(Mish, reference::mish, reference::mish_grad);
    for how in [Affine { scale: 1.0 / 255.0, offset: 0.0 }, Affine { scale: 3.0, offset: -1.0 }] {
        check.check(how, |x| reference::affine(how, x), |y, d| reference::affine_grad(how, y, d));
    }
}

struct Map(Isa);

impl Check for Map {
    fn check<F: Function + std::fmt::Debug>(
        &self,
        function: F,
        value: impl Fn(f32) -> Expected,
        _: impl Fn(f32, f32) -> Expected,
    ) {
        for_each_pair(|x, before| {
            let got = updated(before, |y| elementwise::map(self.0, function, x, y).unwrap());
            compare(&format!("{} {function:?}", self.0), &got, x, before, |x, _| value(x));
        });
    }
}

pub fn map(isa: Isa) {
    for_each_function(&Map(isa));
}

struct MapInPlace(Isa);

impl Check for MapInPlace {
    fn check<F: Function + std::fmt::Debug>(
        &self,
        function: F,
        value: impl Fn(f32) -> Expected,
        _: impl Fn(f32, f32) -> Expected,
    ) {
        for_each_pair(|x, _| {
            let got = updated(x, |y| elementwise::map_in_place(self.0, function, y));
            compare(&format!("{} {function:?}", self.0), &got, x, x, |x, _| value(x));
        });
    }
}

pub fn map_in_place(isa: Isa) {
    for_each_function(&MapInPlace(isa));
}

struct MapGrad(Isa);

impl Check for MapGrad {
    fn check<F: Function + std::fmt::Debug>(
        &self,
        function: F,
        value: impl Fn(f32) -> Expected,
        grad: impl Fn(f32, f32) -> Expected,
    ) {
        for_each_pair(|x, d| {
            let at: Vec<f32> = match F::GRADIENT_AT {
                GradientAt::Input => x.to_vec(),
                GradientAt::Output => x.iter().map(|&x| value(x).value as f32).collect(),
            };
            let got = updated(d, |d| elementwise::map_grad(self.0, function, &at, d).unwrap());
            compare(&format!("{} gradient of {function:?}", self.0), &got, &at, d, &grad);
            let subnormal = |(got, d): (&f32, &f32)| got.is_subnormal() && !d.is_subnormal();
            assert!(!got.iter().zip(d).any(subnormal), "{} {function:?}: {got:?}", self.0);
        });
    }
}

pub fn map_grad(isa: Isa) {
    for_each_function(&MapGrad(isa));
}
