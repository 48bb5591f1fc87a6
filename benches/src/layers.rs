//! Layers of well-known nets, as a benchmark's list.

use bantam_kernels::conv2d::{Geometry, Padding};
use bantam_kernels::{Error, Isa, conv2d};

/// A square convolution: name, `[N, Cin, H, W, Cout, KH, KW, stride, padding]`.
type Row = (&'static str, [usize; 9]);

const CONVOLUTIONS: &[Row] = &[
    ("mnist1", [1, 1, 28, 28, 32, 3, 3, 1, 0]),
    ("mnist2", [1, 32, 13, 13, 64, 3, 3, 1, 0]),
    ("mnist3", [1, 64, 5, 5, 64, 3, 3, 1, 0]),
    ("mnist1-b64", [64, 1, 28, 28, 32, 3, 3, 1, 0]),
    ("mnist2-b64", [64, 32, 13, 13, 64, 3, 3, 1, 0]),
    ("mnist3-b64", [64, 64, 5, 5, 64, 3, 3, 1, 0]),
    ("vgg1_1", [1, 3, 224, 224, 64, 3, 3, 1, 1]),
    ("vgg1_2", [1, 64, 224, 224, 64, 3, 3, 1, 1]),
    ("vgg2_2", [1, 128, 112, 112, 128, 3, 3, 1, 1]),
    ("vgg3_2", [1, 256, 56, 56, 256, 3, 3, 1, 1]),
    ("vgg4_2", [1, 512, 28, 28, 512, 3, 3, 1, 1]),
    ("vgg5_2", [1, 512, 14, 14, 512, 3, 3, 1, 1]),
    ("resnet-stem", [1, 3, 224, 224, 64, 7, 7, 2, 3]),
    ("resnet-3x3a", [1, 64, 56, 56, 64, 3, 3, 1, 1]),
    ("resnet-3x3b", [1, 128, 28, 28, 128, 3, 3, 1, 1]),
    ("resnet-3x3d", [1, 512, 7, 7, 512, 3, 3, 1, 1]),
    ("resnet-3x3s2", [1, 128, 56, 56, 128, 3, 3, 2, 1]),
    ("resnet-1x1a", [1, 256, 56, 56, 64, 1, 1, 1, 0]),
    ("resnet-1x1b", [1, 64, 56, 56, 256, 1, 1, 1, 0]),
    ("resnet-1x1c", [1, 1024, 14, 14, 256, 1, 1, 1, 0]),
    ("resnet-1x1d", [1, 512, 7, 7, 2048, 1, 1, 1, 0]),
    ("mobile-stem", [1, 3, 224, 224, 32, 3, 3, 2, 1]),
    ("mobile-pw1", [1, 32, 112, 112, 64, 1, 1, 1, 0]),
    ("mobile-pw2", [1, 512, 14, 14, 512, 1, 1, 1, 0]),
    ("mobile-pw3", [1, 1024, 7, 7, 1024, 1, 1, 1, 0]),
];

/// Every layer of the list whose name contains `filter`.
///
/// # Errors
/// Never for this list: its shapes are legal.
pub fn convolutions(filter: &str) -> Result<Vec<(&'static str, Geometry)>, Error> {
    let chosen = CONVOLUTIONS.iter().filter(|(name, _)| name.contains(filter));
    chosen
        .map(|&(name, [n, cin, h, w, cout, kh, kw, stride, pad])| {
            let padding = Padding::Explicit { top: pad, bottom: pad, left: pad, right: pad };
            Ok((name, Geometry::new([n, h, w, cin], [kh, kw], cout, [stride; 2], padding)?))
        })
        .collect()
}

/// A convolution with everything that its three passes need, ready to run.
pub struct Convolution {
    isa: Isa,
    geometry: Geometry,
    input: Vec<f32>,
    output: Vec<f32>,
    bias: Vec<f32>,
    packed: Vec<f32>,
    packed_transposed: Vec<f32>,
    d_input: Vec<f32>,
    d_weights: Vec<f32>,
}

impl Convolution {
    /// Fills the arrays and packs the weights.
    ///
    /// # Errors
    /// Those of packing.
    pub fn new(isa: Isa, geometry: Geometry) -> Result<Convolution, Error> {
        let len = |shape: [usize; 4]| shape.iter().product();
        let weights = crate::numbers(len(geometry.weights()));
        let mut packed = vec![0.0; conv2d::packed_len(isa, &geometry)];
        let mut packed_transposed = vec![0.0; conv2d::packed_transposed_len(isa, &geometry)];
        conv2d::pack(isa, &geometry, &weights, &mut packed)?;
        conv2d::pack_transposed(isa, &geometry, &weights, &mut packed_transposed)?;
        Ok(Convolution {
            isa,
            geometry,
            input: crate::numbers(len(geometry.input())),
            output: crate::numbers(len(geometry.output())),
            bias: crate::numbers(geometry.output()[3]),
            packed,
            packed_transposed,
            d_input: vec![0.0; len(geometry.input())],
            d_weights: weights,
        })
    }

    /// Convolution, bias and ReLU.
    pub fn forward(&mut self) -> Result<(), Error> {
        let Convolution { isa, geometry, input, packed, bias, output, .. } = self;
        conv2d::forward(*isa, geometry, input, packed, Some(bias), conv2d::Activation::Relu, output)
    }

    /// Gradient to the input.
    pub fn grad_input(&mut self) -> Result<(), Error> {
        let Convolution { isa, geometry, output, packed_transposed, d_input, .. } = self;
        conv2d::grad_input(*isa, geometry, output, packed_transposed, d_input)
    }

    /// Gradient to the weights.
    pub fn grad_weights(&mut self) -> Result<(), Error> {
        let Convolution { isa, geometry, input, output, d_weights, .. } = self;
        let rows = d_weights.len() / geometry.output()[3];
        conv2d::grad_weights(*isa, geometry, input, output, 0..rows, d_weights)
    }
}
