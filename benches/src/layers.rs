//! Layers of well-known nets, as a benchmark's list.

use bantam_kernels::conv2d::winograd::Winograd;
use bantam_kernels::conv2d::{self, Activation, Algorithm, Geometry, Padding};
use bantam_kernels::{Error, Isa, depthwise_conv2d, max_pool2d};
use serde_json::{Map, Value};

/// The layers that are timed unless others are given.
pub const BUILT_IN: &str = include_str!("../layers.json");

/// What a list holds, in its order.
pub struct Layer {
    /// As in the list.
    pub name: String,
    /// What it does.
    pub kind: Kind,
}

/// A convolution or a pool.
pub enum Kind {
    /// A convolution of one group.
    Convolution(Geometry),
    /// A convolution of as many groups as input channels.
    Depthwise(depthwise_conv2d::Geometry),
    /// A convolution of another number of groups, which no kernel computes yet.
    Grouped(usize),
    /// A max-pool.
    MaxPool(max_pool2d::Geometry),
}

/// Reads `{"convs": {"name": [n, cin, h, w, cout, kh, kw, stride, pad, groups]}, "pools": {"name":
/// [n, c, h, w, k, stride, pad]}}`.
///
/// # Errors
/// Says which layer is not as expected, and what was found.
pub fn parse(json: &str) -> Result<Vec<Layer>, String> {
    let list: Value = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let list = list.as_object().ok_or("expected an object with \"convs\" and \"pools\"")?;
    if let Some(key) = list.keys().find(|&key| key != "convs" && key != "pools") {
        return Err(format!("expected \"convs\" and \"pools\", found {key:?}"));
    }
    let section = |key: &str| match list.get(key) {
        None => Ok(Map::new()),
        Some(Value::Object(layers)) => Ok(layers.clone()),
        Some(other) => Err(format!("{key}: expected an object, found {other}")),
    };
    let mut layers = Vec::new();
    for (name, value) in section("convs")? {
        let [n, cin, h, w, cout, kh, kw, stride, pad, groups] = sizes(&name, &value)?;
        let shape = Geometry::new([n, h, w, cin], [kh, kw], cout, [stride; 2], all_sides(pad));
        let kind = if groups == 1 {
            Kind::Convolution(shape.map_err(|error| format!("{name}: {error}"))?)
        } else if groups > 0 && groups == cin && cout % groups == 0 {
            let (input, multiplier) = ([n, h, w, cin], cout / groups);
            let shape =
                depthwise_conv2d::Geometry::new(input, [kh, kw], multiplier, [stride; 2], all_sides(pad));
            Kind::Depthwise(shape.map_err(|error| format!("{name}: {error}"))?)
        } else if groups > 0 && cin % groups == 0 && cout % groups == 0 {
            Kind::Grouped(groups)
        } else {
            return Err(format!(
                "{name}: expected groups that part {cin} and {cout} channels, found {groups}"
            ));
        };
        layers.push(Layer { name, kind });
    }
    for (name, value) in section("pools")? {
        let [n, c, h, w, k, stride, pad] = sizes(&name, &value)?;
        let shape = max_pool2d::Geometry::new([n, h, w, c], [k; 2], [stride; 2], all_sides(pad));
        let kind = Kind::MaxPool(shape.map_err(|error| format!("{name}: {error}"))?);
        layers.push(Layer { name, kind });
    }
    Ok(layers)
}

fn sizes<const N: usize>(name: &str, value: &Value) -> Result<[usize; N], String> {
    let wrong = || format!("{name}: expected {N} whole numbers, found {value}");
    let sizes = value.as_array().ok_or_else(wrong)?;
    let sizes = sizes.iter().map(|size| size.as_u64().and_then(|size| size.try_into().ok()));
    sizes.collect::<Option<Vec<usize>>>().and_then(|sizes| sizes.try_into().ok()).ok_or_else(wrong)
}

fn all_sides(pad: usize) -> Padding {
    Padding::Explicit { top: pad, bottom: pad, left: pad, right: pad }
}

/// A convolution with everything that its three passes need, ready to run.
pub struct Convolution {
    isa: Isa,
    geometry: Geometry,
    /// Of the forward pass and of the gradients to input and weights; direct without one.
    winograd: [Option<Winograd>; 3],
    input: Vec<f32>,
    output: Vec<f32>,
    bias: Vec<f32>,
    packed: Vec<f32>,
    packed_transposed: Vec<f32>,
    d_input: Vec<f32>,
    d_weights: Vec<f32>,
    scratch: [Vec<f32>; 3],
}

impl Convolution {
    /// Fills the arrays and packs the weights. Without an algorithm, that of the automatic choice;
    /// one that does not fit the shape gives way to the direct one.
    ///
    /// # Errors
    /// Those of packing.
    pub fn new(isa: Isa, geometry: Geometry, algorithm: Option<Algorithm>) -> Result<Convolution, Error> {
        let len = |shape: [usize; 4]| shape.iter().product();
        let weights = crate::numbers(len(geometry.weights()));
        let choices = [
            Algorithm::choose(isa, &geometry),
            Algorithm::choose_grad_input(isa, &geometry),
            Algorithm::choose_grad_weights(isa, &geometry),
        ];
        let winograd = choices.map(|choice| match algorithm.unwrap_or(choice) {
            Algorithm::Direct => None,
            Algorithm::Winograd(tile) => Winograd::new(isa, &geometry, tile).ok(),
        });
        let packed = match winograd[0] {
            Some(winograd) => {
                let mut packed = vec![0.0; winograd.packed_len()];
                winograd.pack(&weights, &mut packed)?;
                packed
            }
            None => {
                let mut packed = vec![0.0; conv2d::packed_len(isa, &geometry)];
                conv2d::pack(isa, &geometry, &weights, &mut packed)?;
                packed
            }
        };
        let packed_transposed = match winograd[1] {
            Some(winograd) => {
                let mut packed = vec![0.0; winograd.packed_transposed_len()];
                winograd.pack_transposed(&weights, &mut packed)?;
                packed
            }
            None => {
                let mut packed = vec![0.0; conv2d::packed_transposed_len(isa, &geometry)];
                conv2d::pack_transposed(isa, &geometry, &weights, &mut packed)?;
                packed
            }
        };
        let channels = geometry.input()[3];
        let scratch = [
            winograd[0].map_or(0, |winograd| winograd.forward_scratch_len()),
            winograd[1].map_or(0, |winograd| winograd.grad_input_scratch_len()),
            winograd[2].map_or(0, |winograd| winograd.grad_weights_scratch_len(channels)),
        ];
        Ok(Convolution {
            isa,
            geometry,
            winograd,
            input: crate::numbers(len(geometry.input())),
            output: crate::numbers(len(geometry.output())),
            bias: crate::numbers(geometry.output()[3]),
            packed,
            packed_transposed,
            d_input: vec![0.0; len(geometry.input())],
            d_weights: weights,
            scratch: scratch.map(|len| vec![0.0; len]),
        })
    }

    /// What the forward pass runs.
    pub fn algorithm(&self) -> Algorithm {
        self.winograd[0].map_or(Algorithm::Direct, |winograd| Algorithm::Winograd(winograd.tile()))
    }

    /// Bytes of scratch of the forward pass.
    pub fn scratch_bytes(&self) -> usize {
        size_of_val(&*self.scratch[0])
    }

    /// Convolution, bias and ReLU.
    pub fn forward(&mut self) -> Result<(), Error> {
        let Convolution { isa, geometry, winograd, input, packed, bias, output, scratch, .. } = self;
        let (bias, activation) = (Some(&**bias), Activation::Relu);
        match winograd[0] {
            Some(winograd) => winograd.forward(input, packed, bias, activation, output, &mut scratch[0]),
            None => conv2d::forward(*isa, geometry, input, packed, bias, activation, output),
        }
    }

    /// Gradient to the input.
    pub fn grad_input(&mut self) -> Result<(), Error> {
        let Convolution { isa, geometry, winograd, output, packed_transposed, d_input, scratch, .. } = self;
        match winograd[1] {
            Some(winograd) => winograd.grad_input(output, packed_transposed, d_input, &mut scratch[1]),
            None => conv2d::grad_input(*isa, geometry, output, packed_transposed, d_input),
        }
    }

    /// Gradient to the weights.
    pub fn grad_weights(&mut self) -> Result<(), Error> {
        let Convolution { isa, geometry, winograd, input, output, d_weights, scratch, .. } = self;
        let [_, _, cin, cout] = geometry.weights();
        match winograd[2] {
            Some(winograd) => winograd.grad_weights(input, output, 0..cin, d_weights, &mut scratch[2]),
            None => {
                let rows = d_weights.len() / cout;
                conv2d::grad_weights(*isa, geometry, input, output, 0..rows, d_weights)
            }
        }
    }
}

/// A depthwise convolution with everything that its three passes need, ready to run.
pub struct Depthwise {
    isa: Isa,
    geometry: depthwise_conv2d::Geometry,
    input: Vec<f32>,
    output: Vec<f32>,
    bias: Vec<f32>,
    weights: Vec<f32>,
    d_input: Vec<f32>,
    d_weights: Vec<f32>,
}

impl Depthwise {
    /// Fills the arrays.
    pub fn new(isa: Isa, geometry: depthwise_conv2d::Geometry) -> Depthwise {
        let len = |shape: [usize; 4]| shape.iter().product();
        Depthwise {
            isa,
            geometry,
            input: crate::numbers(len(geometry.input())),
            output: crate::numbers(len(geometry.output())),
            bias: crate::numbers(geometry.output()[3]),
            weights: crate::numbers(len(geometry.weights())),
            d_input: vec![0.0; len(geometry.input())],
            d_weights: vec![0.0; len(geometry.weights())],
        }
    }

    /// Multiply-adds of a pass.
    pub fn multiply_adds(&self) -> u64 {
        self.geometry.multiply_adds()
    }

    /// Convolution, bias and ReLU.
    pub fn forward(&mut self) -> Result<(), Error> {
        let Depthwise { isa, geometry, input, weights, bias, output, .. } = self;
        let (bias, activation) = (Some(&**bias), Activation::Relu);
        depthwise_conv2d::forward(*isa, geometry, input, weights, bias, activation, output)
    }

    /// Gradient to the input.
    pub fn grad_input(&mut self) -> Result<(), Error> {
        let Depthwise { isa, geometry, output, weights, d_input, .. } = self;
        depthwise_conv2d::grad_input(*isa, geometry, output, weights, d_input)
    }

    /// Gradient to the weights.
    pub fn grad_weights(&mut self) -> Result<(), Error> {
        let Depthwise { isa, geometry, input, output, d_weights, .. } = self;
        let channels = 0..geometry.input()[3];
        depthwise_conv2d::grad_weights(*isa, geometry, input, output, channels, d_weights)
    }

    /// Reads the input and writes the output: what the memory asks for at the least.
    pub fn floor(&mut self) {
        read_and_write(self.isa, &self.input, &mut self.output);
    }
}

/// Reads one array and writes another, as fast as they come.
fn read_and_write(isa: Isa, input: &[f32], output: &mut [f32]) {
    std::hint::black_box(bantam_kernels::reduce::sum(isa, input));
    output.fill(std::hint::black_box(1.0));
}

/// A max-pool, ready to run.
pub struct MaxPool {
    isa: Isa,
    geometry: max_pool2d::Geometry,
    input: Vec<f32>,
    output: Vec<f32>,
}

impl MaxPool {
    /// Fills the arrays.
    pub fn new(isa: Isa, geometry: max_pool2d::Geometry) -> MaxPool {
        let input = crate::numbers(geometry.input().iter().product());
        MaxPool { isa, geometry, input, output: vec![0.0; geometry.output().iter().product()] }
    }

    /// Bytes that are read and written.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.input) + size_of_val(&*self.output)
    }

    /// The maxima.
    pub fn forward(&mut self) -> Result<(), Error> {
        max_pool2d::forward(self.isa, &self.geometry, Activation::None, &self.input, &mut self.output)
    }

    /// Reads the input and writes the output: what the memory asks for at the least.
    pub fn floor(&mut self) {
        read_and_write(self.isa, &self.input, &mut self.output);
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, parse};

    fn refused(json: &str) -> String {
        parse(json).err().expect("it was accepted")
    }

    #[test]
    fn built_in() {
        let layers = parse(super::BUILT_IN).unwrap();
        assert!(layers.len() > 30);
        let depthwise = layers.iter().filter(|layer| matches!(layer.kind, Kind::Depthwise(_)));
        assert!(depthwise.count() > 3);
    }

    #[test]
    fn refusals() {
        assert!(parse(r#"{"convs": {"a": [1, 2, 9, 9, 3, 3, 3, 1, 1, 1]}}"#).is_ok());
        assert!(refused("[]").contains("\"convs\" and \"pools\""));
        assert!(refused(r#"{"conv": {}}"#).contains("found \"conv\""));
        assert!(refused(r#"{"convs": 3}"#).contains("convs: expected an object, found 3"));
        assert!(refused(r#"{"convs": {"a": [1, 2, 3]}}"#).starts_with("a: expected 10 whole numbers"));
        assert!(refused(r#"{"pools": {"b": [1, 2, 9, 9, 2, 2, -1]}}"#).starts_with("b: expected 7 whole"));
        assert!(refused(r#"{"convs": {"a": [1, 2, 2, 2, 3, 3, 3, 1, 0, 1]}}"#).starts_with("a: window"));
        assert!(
            refused(r#"{"convs": {"a": [1, 2, 9, 9, 3, 3, 3, 1, 0, 2]}}"#).starts_with("a: expected groups")
        );
        assert!(refused(r#"{"pools": {"b": [1, 0, 9, 9, 2, 2, 0]}}"#).starts_with("b: "));
    }
}
