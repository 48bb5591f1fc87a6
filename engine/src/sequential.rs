use crate::layer::Blueprint;
use crate::{Conv2d, Error, Initializer, LayerKind, MaxPool2d, Model, Shape, heap};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use bantam_kernels::conv2d::Activation;
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// A model described layer by layer. [`build`](Sequential::build) checks the shapes and draws the
/// weights.
///
/// ```
/// use bantam::{Conv2d, Sequential};
/// let model = Sequential::new([32, 32, 3])
///     .conv2d_with(16, [3, 3], Conv2d::same().stride(2)).named("stem").relu()
///     .max_pool2d(2).dropout(0.25).flatten().dense(10)
///     .build(7)?;
/// assert_eq!(model.layer("stem")?.output_shape().dims(), [16, 16, 16]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sequential {
    input: Vec<usize>,
    layers: Vec<Blueprint<'static>>,
    /// The last that was asked for; its activation may be a layer behind it.
    last: usize,
}

impl Sequential {
    /// For samples of that shape: `[H, W, C]` for images.
    pub fn new(input: impl AsRef<[usize]>) -> Sequential {
        Sequential { input: input.as_ref().to_vec(), layers: Vec::new(), last: 0 }
    }

    /// A convolution with a square kernel, stride 1, no padding and a bias.
    pub fn conv2d(self, filters: usize, kernel: usize) -> Sequential {
        self.conv2d_with(filters, [kernel, kernel], Conv2d::valid())
    }

    /// A convolution with a bias, and that kernel, stride and padding.
    pub fn conv2d_with(self, filters: usize, kernel: [usize; 2], how: Conv2d) -> Sequential {
        self.layer(LayerKind::Conv2d { filters, kernel, how, bias: true })
    }

    /// The maximum of square windows side by side.
    pub fn max_pool2d(self, window: usize) -> Sequential {
        self.max_pool2d_with(MaxPool2d::new(window))
    }

    /// The maximum of windows.
    pub fn max_pool2d_with(self, how: MaxPool2d) -> Sequential {
        self.layer(LayerKind::MaxPool2d(how))
    }

    /// All dimensions of a sample in one.
    pub fn flatten(self) -> Sequential {
        self.layer(LayerKind::Flatten)
    }

    /// A dense layer with a bias.
    pub fn dense(self, units: usize) -> Sequential {
        self.layer(LayerKind::Dense { units, bias: true })
    }

    /// `max(0, x)`, in one pass with a convolution or dense layer before it.
    pub fn relu(self) -> Sequential {
        self.layer(LayerKind::Relu)
    }

    /// Softmax over the last dimension.
    pub fn softmax(self) -> Sequential {
        self.layer(LayerKind::Softmax)
    }

    /// Zeroes that share of elements at random, in training only.
    pub fn dropout(self, rate: f32) -> Sequential {
        self.layer(LayerKind::Dropout { rate })
    }

    /// Any layer. A ReLU that a convolution or max-pool has of its own becomes a layer after it.
    pub fn layer(mut self, mut kind: LayerKind) -> Sequential {
        let activation = match &mut kind {
            LayerKind::Conv2d { how, .. } => core::mem::take(&mut how.activation),
            LayerKind::MaxPool2d(how) => core::mem::take(&mut how.activation),
            _ => Activation::None,
        };
        let initializer = Initializer::default();
        self.layers.push(Blueprint { name: Cow::Borrowed(""), kind, trainable: true, initializer });
        let last = self.layers.len() - 1;
        let net = if activation == Activation::Relu { self.relu() } else { self };
        Sequential { last, ..net }
    }

    /// Names the last layer. Without a name it is called as in Keras: `conv2d`, `conv2d_1`, …
    pub fn named(mut self, name: &str) -> Sequential {
        if let Some(layer) = self.layers.get_mut(self.last) {
            layer.name = name.to_string().into();
        }
        self
    }

    /// Draws the last layer's weights from that distribution; the default is Glorot's.
    pub fn initializer(mut self, initializer: Initializer) -> Sequential {
        if let Some(layer) = self.layers.get_mut(self.last) {
            layer.initializer = initializer;
        }
        self
    }

    /// The model, with weights drawn from `seed`; biases are zero.
    ///
    /// # Errors
    /// A layer cannot take what the layer before it gives, a size is zero, a name is taken, there are more
    /// than 4,096 layers, or there is no memory for the weights.
    pub fn build(mut self, seed: u64) -> Result<Model<'static>, Error> {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for layer in &mut self.layers {
            if !layer.name.is_empty() {
                continue;
            }
            let (_, base) = layer.kind.names();
            let count = match counts.iter_mut().find(|(name, _)| *name == base) {
                Some((_, count)) => count,
                None => {
                    counts.push((base, 0));
                    let last = counts.len() - 1;
                    &mut counts[last].1
                }
            };
            layer.name = if *count == 0 { base.into() } else { format!("{base}_{count}").into() };
            *count += 1;
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (count, layers) = (self.layers.len(), self.layers.into_iter().map(Ok));
        Model::assemble(Shape::new(&self.input)?, count, layers, |layer, name, shape| {
            let mut values = heap::zeros(shape.elements())?;
            if name == "kernel" {
                let (fan_in, fan_out) = layer.kind.fans(shape);
                layer.initializer.fill(fan_in, fan_out, &mut random, &mut values);
            }
            Ok(Cow::Owned(values))
        })
    }
}
