//! What Keras has computed, and how weights and images are made that both sides have.

use bantam::{Error, Model, Options, Session, Shape};
use bantam_zoo::{Pooling, by_name};

/// What a net gives, without its top and with the mean of each channel.
pub struct Outputs {
    pub net: &'static str,
    pub input: [usize; 3],
    /// How many numbers it gives.
    pub len: usize,
    /// The largest by magnitude.
    pub largest: f64,
    /// How far what Keras computes in `f32` is from what it computes in `f64`.
    pub keras_error: f64,
    /// Numbers at equal distances, of `f64`.
    values: Vec<f64>,
}

/// Of all nets, as `keras.py` has written them.
pub fn outputs() -> Vec<Outputs> {
    let lines: Vec<&str> = include_str!("outputs.txt").lines().collect();
    let of = |net: &[&'static str]| {
        let words: Vec<&'static str> = net[0].split(' ').collect();
        let size = |i: usize| words[i].parse().unwrap();
        Outputs {
            net: words[0],
            input: [1, 2, 3].map(size),
            len: size(4),
            largest: words[5].parse().unwrap(),
            keras_error: words[6].parse().unwrap(),
            values: net[1].split(' ').map(|value| value.parse().unwrap()).collect(),
        }
    };
    lines.chunks(2).map(of).collect()
}

impl Outputs {
    /// The net, with weights by the formula.
    pub fn model(&self) -> Result<Model<'static>, Error> {
        let net = by_name(self.net).unwrap().input(self.input).include_top(false).pooling(Pooling::Average);
        net.build_with(&mut |layer, array, shape| Ok(weights(layer, array, shape).into()))
    }

    /// The largest difference of the net's outputs from Keras's, as a share of the largest output.
    pub fn difference(&self, model: &Model<'_>) -> Result<f64, Error> {
        let mut image = numbers("image", self.input.iter().product());
        if self.net == "efficientnet_b0" {
            image.iter_mut().for_each(|x| *x = 127.5 * (*x + 1.0));
        }
        let mut session = Session::new(model, Options::new(1))?;
        let got = session.run(&image)?;
        assert_eq!(got.len(), self.len, "{}", self.net);
        let largest = got.iter().fold(0f64, |largest, &x| largest.max(f64::from(x).abs()));
        let mut difference = (largest - self.largest).abs();
        for (i, want) in self.values.iter().enumerate() {
            let got = got[i * got.len() / self.values.len()];
            difference = difference.max((f64::from(got) - want).abs());
        }
        Ok(difference / self.largest)
    }
}

/// From -1 to less than 1, in steps of 2⁻²³, by SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) from FNV-1a of the name.
fn numbers(name: &str, count: usize) -> Vec<f32> {
    let fnv = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    core::iter::repeat_with(next).take(count).collect()
}

/// How many products a sum of a kernel has. Depthwise ones have one output for each channel.
pub fn fan_in(kernel: Shape) -> usize {
    match *kernel.dims() {
        [height, width, _, 1] => height * width,
        [ref inputs @ .., _] => inputs.iter().product(),
        [] => 1,
    }
}

fn weights(layer: &str, array: &str, shape: Shape) -> Vec<f32> {
    let mut values = numbers(&format!("{layer}/{array}"), shape.elements());
    let (offset, scale) = match array {
        // So that the numbers stay as large as they are, from layer to layer.
        _ if array.contains("kernel") => (0.0, (6.0 / fan_in(shape) as f64).sqrt() as f32),
        "gamma" => (1.0, 0.25),
        _ if array.contains("variance") => (1.0, 0.5),
        _ => (0.0, 0.1),
    };
    values.iter_mut().for_each(|x| *x = offset + scale * *x);
    values
}
