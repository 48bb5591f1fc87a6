//! Layers of well-known nets, as a benchmark's list.

use bantam::{Buffer, Conv2d, DepthwiseConv2d, MaxPool2d, Model, Sequential};
use bantam_kernels::conv2d::{self, Activation, Algorithm, Geometry, InputGradient, Padding, WeightGradient};
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
    batch: usize,
    net: Sequential,
}

/// A convolution or a pool.
pub enum Kind {
    /// A convolution, of groups or of one.
    Convolution(Geometry),
    /// A convolution of as many groups as input channels.
    Depthwise(depthwise_conv2d::Geometry),
    /// A max-pool.
    MaxPool(max_pool2d::Geometry),
}

impl Layer {
    /// How many images there are, and the layer as a net of its own, followed by a ReLU if it is a
    /// convolution.
    ///
    /// # Errors
    /// Those of building a net.
    pub fn net(&self) -> Result<(usize, Model<'static>), bantam::Error> {
        Ok((self.batch, self.net.clone().build(1)?))
    }
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
        let (input, kernel, padding) = ([n, h, w, cin], [kh, kw], all_sides(pad));
        let kind = if groups > 1 && groups == cin && cout % groups == 0 {
            depthwise_conv2d::Geometry::new(input, kernel, cout / groups, [stride; 2], padding)
                .map(Kind::Depthwise)
        } else {
            Geometry::with_groups(input, kernel, cout, [stride; 2], padding, [1; 2], groups)
                .map(Kind::Convolution)
        };
        let kind = kind.map_err(|error| format!("{name}: {error}"))?;
        let net = Sequential::new([h, w, cin]);
        let net = match kind {
            Kind::Depthwise(_) => {
                let how = DepthwiseConv2d::padded(padding).stride(stride).multiplier(cout / groups);
                net.depthwise_conv2d_with(kernel, how)
            }
            _ => net.conv2d_with(cout, kernel, Conv2d::padded(padding).stride(stride).groups(groups)),
        };
        layers.push(Layer { name, kind, batch: n, net: net.relu() });
    }
    for (name, value) in section("pools")? {
        let [n, c, h, w, k, stride, pad] = sizes(&name, &value)?;
        let (input, padding) = ([n, h, w, c], all_sides(pad));
        let shape = max_pool2d::Geometry::new(input, [k; 2], [stride; 2], padding);
        let kind = Kind::MaxPool(shape.map_err(|error| format!("{name}: {error}"))?);
        let pool = MaxPool2d::new(k).stride(stride).padding(padding);
        let net = Sequential::new([h, w, c]).max_pool2d_with(pool);
        layers.push(Layer { name, kind, batch: n, net });
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

/// A layer with arrays for all its passes, weights packed.
pub trait Ready {
    /// What the forward pass runs.
    fn algorithm(&self) -> &'static str;

    /// Bytes of scratch of the forward pass.
    fn scratch_bytes(&self) -> usize {
        0
    }

    /// Of a pass; a pool has none.
    fn multiply_adds(&self) -> u64;

    /// Whether reading the input and writing the output is the bound, and not the multiply-adds.
    fn memory_bound(&self) -> bool;

    /// Input and output.
    fn arrays(&mut self) -> (&[f32], &mut [f32]);

    /// The layer, with bias and ReLU if it is a convolution.
    ///
    /// # Errors
    /// Those of the kernel.
    fn forward(&mut self) -> Result<(), Error>;

    /// Gradient to the input.
    ///
    /// # Errors
    /// Those of the kernel.
    fn grad_input(&mut self) -> Result<(), Error>;

    /// Gradient to the weights; a pool has none.
    ///
    /// # Errors
    /// Those of the kernel.
    fn grad_weights(&mut self) -> Option<Result<(), Error>>;
}

impl Kind {
    /// Fills the arrays and packs the weights. Without an algorithm, that of the automatic choice;
    /// one that does not fit the shape gives way to the direct one.
    ///
    /// # Errors
    /// Those of packing.
    pub fn ready(&self, isa: Isa, algorithm: Option<Algorithm>) -> Result<Box<dyn Ready>, Error> {
        Ok(match *self {
            Kind::Convolution(geometry) => Box::new(Convolution::new(isa, geometry, algorithm)?),
            Kind::Depthwise(geometry) => Box::new(Depthwise::new(isa, geometry)),
            Kind::MaxPool(geometry) => Box::new(MaxPool::new(isa, geometry)?),
        })
    }
}

fn len(shape: [usize; 4]) -> usize {
    shape.iter().product()
}

struct Convolution {
    geometry: Geometry,
    forward: conv2d::Convolution,
    input_gradient: InputGradient,
    weight_gradient: WeightGradient,
    input: Buffer,
    output: Buffer,
    bias: Buffer,
    packed: Buffer,
    packed_transposed: Buffer,
    d_input: Buffer,
    d_weights: Buffer,
    scratch: [Buffer; 3],
}

impl Convolution {
    fn new(isa: Isa, geometry: Geometry, algorithm: Option<Algorithm>) -> Result<Convolution, Error> {
        let weights = crate::numbers(len(geometry.weights()));
        let forward = asked(
            algorithm,
            || conv2d::Convolution::new(isa, &geometry),
            |algorithm| conv2d::Convolution::with_algorithm(isa, &geometry, algorithm),
        )?;
        let input_gradient = asked(
            algorithm,
            || InputGradient::new(isa, &geometry),
            |algorithm| InputGradient::with_algorithm(isa, &geometry, algorithm),
        )?;
        let weight_gradient = asked(
            algorithm,
            || WeightGradient::new(isa, &geometry),
            |algorithm| WeightGradient::with_algorithm(isa, &geometry, algorithm),
        )?;
        let mut packed = Buffer::new(forward.packed_len());
        forward.pack(&weights, &mut packed)?;
        if packed.is_empty() {
            packed = weights.clone();
        }
        let mut packed_transposed = Buffer::new(input_gradient.packed_len());
        input_gradient.pack(&weights, &mut packed_transposed)?;
        if packed_transposed.is_empty() {
            packed_transposed = weights.clone();
        }
        let scratch = [
            forward.scratch_len(),
            input_gradient.scratch_len(),
            weight_gradient.scratch_len(weight_gradient.parts().count()),
        ];
        Ok(Convolution {
            geometry,
            forward,
            input_gradient,
            weight_gradient,
            input: crate::numbers(len(geometry.input())),
            output: crate::numbers(len(geometry.output())),
            bias: crate::numbers(geometry.output()[3]),
            packed,
            packed_transposed,
            d_input: Buffer::new(len(geometry.input())),
            d_weights: weights,
            scratch: scratch.map(Buffer::new),
        })
    }
}

/// The automatic choice, or an algorithm that was asked for, which gives way to the direct one if it does not fit.
fn asked<T>(
    algorithm: Option<Algorithm>,
    chosen: impl Fn() -> T,
    with: impl Fn(Algorithm) -> Result<T, Error>,
) -> Result<T, Error> {
    match algorithm {
        None => Ok(chosen()),
        Some(algorithm) => with(algorithm).or_else(|_| with(Algorithm::Direct)),
    }
}

impl Ready for Convolution {
    fn algorithm(&self) -> &'static str {
        self.forward.algorithm().name()
    }

    fn scratch_bytes(&self) -> usize {
        size_of_val(&*self.scratch[0])
    }

    fn multiply_adds(&self) -> u64 {
        self.geometry.multiply_adds()
    }

    fn memory_bound(&self) -> bool {
        false
    }

    fn arrays(&mut self) -> (&[f32], &mut [f32]) {
        (&self.input, &mut self.output)
    }

    fn forward(&mut self) -> Result<(), Error> {
        let Convolution { forward, input, packed, bias, output, scratch, .. } = self;
        forward.forward(input, packed, Some(bias), Activation::Relu, output, &mut scratch[0])
    }

    fn grad_input(&mut self) -> Result<(), Error> {
        let Convolution { input_gradient, output, packed_transposed, d_input, scratch, .. } = self;
        input_gradient.run(output, packed_transposed, d_input, &mut scratch[1])
    }

    fn grad_weights(&mut self) -> Option<Result<(), Error>> {
        let Convolution { weight_gradient, input, output, d_weights, scratch, .. } = self;
        let parts = 0..weight_gradient.parts().count();
        Some(weight_gradient.run(input, output, parts, d_weights, &mut scratch[2]))
    }
}

struct Depthwise {
    passes: depthwise_conv2d::Depthwise,
    input: Buffer,
    output: Buffer,
    bias: Buffer,
    weights: Buffer,
    d_input: Buffer,
    d_weights: Buffer,
}

impl Depthwise {
    fn new(isa: Isa, geometry: depthwise_conv2d::Geometry) -> Depthwise {
        Depthwise {
            passes: depthwise_conv2d::Depthwise::new(isa, &geometry),
            input: crate::numbers(len(geometry.input())),
            output: crate::numbers(len(geometry.output())),
            bias: crate::numbers(geometry.output()[3]),
            weights: crate::numbers(len(geometry.weights())),
            d_input: Buffer::new(len(geometry.input())),
            d_weights: Buffer::new(len(geometry.weights())),
        }
    }
}

impl Ready for Depthwise {
    fn algorithm(&self) -> &'static str {
        "depthwise"
    }

    fn multiply_adds(&self) -> u64 {
        self.passes.geometry().multiply_adds()
    }

    fn memory_bound(&self) -> bool {
        true
    }

    fn arrays(&mut self) -> (&[f32], &mut [f32]) {
        (&self.input, &mut self.output)
    }

    fn forward(&mut self) -> Result<(), Error> {
        let Depthwise { passes, input, weights, bias, output, .. } = self;
        passes.forward(input, weights, Some(bias), Activation::Relu, output)
    }

    fn grad_input(&mut self) -> Result<(), Error> {
        let Depthwise { passes, output, weights, d_input, .. } = self;
        passes.grad_input(output, weights, d_input)
    }

    fn grad_weights(&mut self) -> Option<Result<(), Error>> {
        let Depthwise { passes, input, output, d_weights, .. } = self;
        let channels = 0..passes.geometry().input()[3];
        Some(passes.grad_weights(input, output, channels, d_weights))
    }
}

struct MaxPool {
    isa: Isa,
    geometry: max_pool2d::Geometry,
    input: Buffer,
    output: Buffer,
    argmax: Vec<u8>,
    d_input: Buffer,
}

impl MaxPool {
    fn new(isa: Isa, geometry: max_pool2d::Geometry) -> Result<MaxPool, Error> {
        let input = crate::numbers(len(geometry.input()));
        let mut output = Buffer::new(len(geometry.output()));
        let mut argmax = vec![0; max_pool2d::argmax_len(&geometry)?];
        max_pool2d::forward_argmax(isa, &geometry, Activation::None, &input, &mut output, &mut argmax)?;
        Ok(MaxPool { isa, geometry, d_input: Buffer::new(input.len()), input, output, argmax })
    }
}

impl Ready for MaxPool {
    fn algorithm(&self) -> &'static str {
        "max-pool"
    }

    fn multiply_adds(&self) -> u64 {
        0
    }

    fn memory_bound(&self) -> bool {
        true
    }

    fn arrays(&mut self) -> (&[f32], &mut [f32]) {
        (&self.input, &mut self.output)
    }

    fn forward(&mut self) -> Result<(), Error> {
        max_pool2d::forward(self.isa, &self.geometry, Activation::None, &self.input, &mut self.output)
    }

    fn grad_input(&mut self) -> Result<(), Error> {
        let MaxPool { isa, geometry, output, argmax, d_input, .. } = self;
        max_pool2d::grad_input(*isa, geometry, output, argmax, d_input)
    }

    fn grad_weights(&mut self) -> Option<Result<(), Error>> {
        None
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
        assert!(refused(r#"{"convs": {"a": [1, 2, 9, 9, 3, 3, 3, 1, 0, 2]}}"#).starts_with("a: groups"));
        assert!(refused(r#"{"pools": {"b": [1, 0, 9, 9, 2, 2, 0]}}"#).starts_with("b: "));
    }
}
