use super::builder::{Drafts, Place};
use crate::error::Error;
use crate::graph::{Initializer, Model};
use crate::layers::Differentiable;

/// A model described layer by layer: a [`GraphBuilder`](crate::GraphBuilder) of one chain.
/// [`build`](Sequential::build) checks the shapes and draws the weights.
///
/// ```
/// use bantam::{Conv2d, Sequential};
/// let model = Sequential::new([32, 32, 3])
///     .conv2d_with(16, [3, 3], Conv2d::same().stride(2)).named("stem").relu()
///     .max_pool2d(2).dropout(0.25).flatten().dense(10)
///     .build(7)?;
/// assert_eq!(model.node("stem")?.output_shape().dims(), [16, 16, 16]);
/// # Ok::<(), bantam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sequential {
    drafts: Drafts,
    last: Place,
}

impl Sequential {
    /// For samples of that shape: `[H, W, C]` for images.
    pub fn new(input: impl AsRef<[usize]>) -> Sequential {
        let mut drafts = Drafts::default();
        let last = drafts.input(input.as_ref());
        Sequential { drafts, last }
    }

    /// Any layer of one input. A ReLU that a convolution or max-pool has of its own becomes a layer after it.
    #[must_use]
    pub fn layer<L: Differentiable>(mut self, layer: L) -> Sequential {
        self.last = self.drafts.then(&[self.last], &layer);
        self
    }

    /// A model of one input and one output: its nodes, by their names, with copies of their weights, as trainable as they
    /// are.
    ///
    /// ```
    /// use bantam::Sequential;
    /// let mut base = Sequential::new([8, 8, 3]).conv2d(4, 3).relu().max_pool2d(2).build(1)?;
    /// base.set_all_trainable(false);
    /// let model = Sequential::new([8, 8, 3]).model(&base).flatten().dense(1).sigmoid().build(2)?;
    /// assert_eq!(model.parameter_count(), base.parameter_count() + 3 * 3 * 4 + 1);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    #[must_use]
    pub fn model(mut self, model: &Model<'_>) -> Sequential {
        self.last = self.drafts.only_of(model, self.last);
        self
    }

    /// Names the last layer. Without a name it is called as in Keras: `conv2d`, `conv2d_1`, …
    #[must_use]
    pub fn named(mut self, name: &str) -> Sequential {
        self.drafts.named(self.last, name);
        self
    }

    /// Draws the last layer's weights from that distribution; the default is Glorot's.
    #[must_use]
    pub fn initializer(mut self, initializer: Initializer) -> Sequential {
        self.drafts.initializer(self.last, initializer);
        self
    }

    /// The model, with weights drawn from `seed`; biases are zero.
    ///
    /// # Errors
    /// A layer cannot take what the layer before it gives, a size is zero, a name is taken, there are more
    /// than 4,096 layers, or there is no memory for the weights.
    pub fn build(self, seed: u64) -> Result<Model<'static>, Error> {
        self.drafts.build(&[self.last], seed)
    }
}
