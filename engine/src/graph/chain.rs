//! The builders' methods for layers of one input. Those of `functions.rs` are beside.

use super::builder::Value;
use super::sequential::Sequential;
use crate::layers::{
    AveragePool1d, AveragePool2d, BatchNormalization, Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose,
    Cropping1d, Cropping2d, Dense, DepthwiseConv1d, DepthwiseConv2d, Dropout, Flatten, GlobalAveragePool1d,
    GlobalAveragePool2d, GlobalMaxPool1d, GlobalMaxPool2d, Gru, HardSigmoid, HardSwish, LeakyRelu, Lstm,
    MaxPool1d, MaxPool2d, Permute, Relu, Relu6, Reshape, SeparableConv2d, Sigmoid, Silu, Softmax, Tanh,
    UpSampling1d, UpSampling2d, ZeroPadding1d, ZeroPadding2d,
};

/// The layers of one input, as methods of what comes before.
macro_rules! chain {
    ($this:ty) => {
        /// The methods that add a layer.
        impl $this {
            /// A convolution with a square kernel, stride 1, no padding and a bias.
            #[must_use]
            pub fn conv2d(self, filters: usize, kernel: usize) -> Self {
                self.conv2d_with(filters, [kernel, kernel], Conv2d::valid())
            }

            /// A convolution with that kernel, stride, padding and what else there is to say.
            #[must_use]
            pub fn conv2d_with(self, filters: usize, kernel: [usize; 2], how: Conv2d) -> Self {
                self.layer(how.filters(filters).kernel(kernel))
            }

            /// A convolution of series with stride 1, no padding and a bias.
            #[must_use]
            pub fn conv1d(self, filters: usize, kernel: usize) -> Self {
                self.conv1d_with(filters, kernel, Conv1d::valid())
            }

            /// A convolution of series with that kernel and what else there is to say.
            #[must_use]
            pub fn conv1d_with(self, filters: usize, kernel: usize, how: Conv1d) -> Self {
                self.layer(how.filters(filters).kernel(kernel))
            }

            /// The transpose of a convolution with a square kernel, stride 1 and no padding, and a bias.
            #[must_use]
            pub fn conv2d_transpose(self, filters: usize, kernel: usize) -> Self {
                self.conv2d_transpose_with(filters, [kernel, kernel], Conv2dTranspose::valid())
            }

            /// The transpose of a convolution, with that kernel and what else there is to say.
            #[must_use]
            pub fn conv2d_transpose_with(
                self,
                filters: usize,
                kernel: [usize; 2],
                how: Conv2dTranspose,
            ) -> Self {
                self.layer(how.filters(filters).kernel(kernel))
            }

            /// The transpose of a convolution of series with stride 1 and no padding, and a bias.
            #[must_use]
            pub fn conv1d_transpose(self, filters: usize, kernel: usize) -> Self {
                self.conv1d_transpose_with(filters, kernel, Conv1dTranspose::valid())
            }

            /// The transpose of a convolution of series, with that kernel and what else there is to say.
            #[must_use]
            pub fn conv1d_transpose_with(self, filters: usize, kernel: usize, how: Conv1dTranspose) -> Self {
                self.layer(how.filters(filters).kernel(kernel))
            }

            /// A convolution of each channel by itself with a square kernel, stride 1, no padding and a bias.
            #[must_use]
            pub fn depthwise_conv2d(self, kernel: usize) -> Self {
                self.depthwise_conv2d_with([kernel, kernel], DepthwiseConv2d::valid())
            }

            /// A convolution of each channel by itself, with that kernel and what else there is to say.
            #[must_use]
            pub fn depthwise_conv2d_with(self, kernel: [usize; 2], how: DepthwiseConv2d) -> Self {
                self.layer(how.kernel(kernel))
            }

            /// A convolution of each channel of a series by itself with stride 1, no padding and a bias.
            #[must_use]
            pub fn depthwise_conv1d(self, kernel: usize) -> Self {
                self.depthwise_conv1d_with(kernel, DepthwiseConv1d::valid())
            }

            /// A convolution of each channel of a series by itself, with that kernel and what else there is to say.
            #[must_use]
            pub fn depthwise_conv1d_with(self, kernel: usize, how: DepthwiseConv1d) -> Self {
                self.layer(how.kernel(kernel))
            }

            /// A depthwise convolution with a square kernel, stride 1 and no padding, and a 1×1 convolution with a bias.
            #[must_use]
            pub fn separable_conv2d(self, filters: usize, kernel: usize) -> Self {
                self.separable_conv2d_with(filters, [kernel, kernel], SeparableConv2d::valid())
            }

            /// A depthwise convolution and a 1×1 convolution, with that kernel and what else there is to say.
            #[must_use]
            pub fn separable_conv2d_with(
                self,
                filters: usize,
                kernel: [usize; 2],
                how: SeparableConv2d,
            ) -> Self {
                self.layer(how.filters(filters).kernel(kernel))
            }

            /// The maximum of square windows side by side.
            #[must_use]
            pub fn max_pool2d(self, window: usize) -> Self {
                self.layer(MaxPool2d::new(window))
            }

            /// The maximum of windows.
            #[must_use]
            pub fn max_pool2d_with(self, how: MaxPool2d) -> Self {
                self.layer(how)
            }

            /// The maximum of windows of a series side by side.
            #[must_use]
            pub fn max_pool1d(self, window: usize) -> Self {
                self.layer(MaxPool1d::new(window))
            }

            /// The maximum of windows of a series.
            #[must_use]
            pub fn max_pool1d_with(self, how: MaxPool1d) -> Self {
                self.layer(how)
            }

            /// The mean of square windows side by side.
            #[must_use]
            pub fn average_pool2d(self, window: usize) -> Self {
                self.layer(AveragePool2d::new(window))
            }

            /// The mean of windows.
            #[must_use]
            pub fn average_pool2d_with(self, how: AveragePool2d) -> Self {
                self.layer(how)
            }

            /// The mean of windows of a series side by side.
            #[must_use]
            pub fn average_pool1d(self, window: usize) -> Self {
                self.layer(AveragePool1d::new(window))
            }

            /// The mean of windows of a series.
            #[must_use]
            pub fn average_pool1d_with(self, how: AveragePool1d) -> Self {
                self.layer(how)
            }

            /// The mean over all pixels, `[C]`.
            #[must_use]
            pub fn global_average_pool2d(self) -> Self {
                self.layer(GlobalAveragePool2d::new())
            }

            /// The maximum over all pixels, `[C]`.
            #[must_use]
            pub fn global_max_pool2d(self) -> Self {
                self.layer(GlobalMaxPool2d::new())
            }

            /// The mean over a whole series, `[C]`.
            #[must_use]
            pub fn global_average_pool1d(self) -> Self {
                self.layer(GlobalAveragePool1d::new())
            }

            /// The maximum over a whole series, `[C]`.
            #[must_use]
            pub fn global_max_pool1d(self) -> Self {
                self.layer(GlobalMaxPool1d::new())
            }

            /// Batch normalisation with Keras's momentum and epsilon: by the batch's statistics in training, by moving ones otherwise.
            #[must_use]
            pub fn batch_normalization(self) -> Self {
                self.layer(BatchNormalization::new())
            }

            /// Zeros around a map: `[[top, bottom], [left, right]]`.
            #[must_use]
            pub fn zero_padding2d(self, padding: [[usize; 2]; 2]) -> Self {
                self.layer(ZeroPadding2d::new(padding))
            }

            /// Zeros around a series: `[before, after]`.
            #[must_use]
            pub fn zero_padding1d(self, padding: [usize; 2]) -> Self {
                self.layer(ZeroPadding1d::new(padding))
            }

            /// A map without its edges: `[[top, bottom], [left, right]]`.
            #[must_use]
            pub fn cropping2d(self, cropping: [[usize; 2]; 2]) -> Self {
                self.layer(Cropping2d::new(cropping))
            }

            /// A series without its ends: `[before, after]`.
            #[must_use]
            pub fn cropping1d(self, cropping: [usize; 2]) -> Self {
                self.layer(Cropping1d::new(cropping))
            }

            /// Each pixel so many times downwards and to the right.
            #[must_use]
            pub fn up_sampling2d(self, size: [usize; 2]) -> Self {
                self.layer(UpSampling2d::new(size))
            }

            /// A map enlarged.
            #[must_use]
            pub fn up_sampling2d_with(self, how: UpSampling2d) -> Self {
                self.layer(how)
            }

            /// Each step of a series so many times.
            #[must_use]
            pub fn up_sampling1d(self, size: usize) -> Self {
                self.layer(UpSampling1d::new(size))
            }

            /// The same numbers in another shape. One size may be -1: the one that takes all numbers.
            #[must_use]
            pub fn reshape(self, target: impl AsRef<[i32]>) -> Self {
                self.layer(Reshape::new(target))
            }

            /// The dimensions in another order, counted from 1.
            #[must_use]
            pub fn permute(self, dims: impl AsRef<[u8]>) -> Self {
                self.layer(Permute::new(dims))
            }

            /// All dimensions of a sample in one.
            #[must_use]
            pub fn flatten(self) -> Self {
                self.layer(Flatten)
            }

            /// A dense layer with a bias.
            #[must_use]
            pub fn dense(self, units: usize) -> Self {
                self.layer(Dense::new(units))
            }

            /// A long short-term memory with a bias: `[steps, C]` to the last state, `[units]`.
            #[must_use]
            pub fn lstm(self, units: usize) -> Self {
                self.lstm_with(units, Lstm::new())
            }

            /// A long short-term memory, with what else there is to say.
            #[must_use]
            pub fn lstm_with(self, units: usize, how: Lstm) -> Self {
                self.layer(how.units(units))
            }

            /// A gated recurrent unit with biases: `[steps, C]` to the last state, `[units]`.
            #[must_use]
            pub fn gru(self, units: usize) -> Self {
                self.gru_with(units, Gru::new())
            }

            /// A gated recurrent unit, with what else there is to say.
            #[must_use]
            pub fn gru_with(self, units: usize, how: Gru) -> Self {
                self.layer(how.units(units))
            }

            /// `max(0, x)`, in one pass with a layer before it that can take it.
            #[must_use]
            pub fn relu(self) -> Self {
                self.layer(Relu)
            }

            /// `min(max(0, x), 6)`, in one pass with a layer before it that can take it.
            #[must_use]
            pub fn relu6(self) -> Self {
                self.layer(Relu6)
            }

            /// `x`, and times `slope` where it is negative.
            #[must_use]
            pub fn leaky_relu(self, slope: f32) -> Self {
                self.layer(LeakyRelu::new(slope))
            }

            /// `1 / (1 + exp(-x))`
            #[must_use]
            pub fn sigmoid(self) -> Self {
                self.layer(Sigmoid)
            }

            /// The hyperbolic tangent.
            #[must_use]
            pub fn tanh(self) -> Self {
                self.layer(Tanh)
            }

            /// `x / (1 + exp(-x))`
            #[must_use]
            pub fn silu(self) -> Self {
                self.layer(Silu)
            }

            /// `x · min(max(0, x + 3), 6) / 6`
            #[must_use]
            pub fn hard_swish(self) -> Self {
                self.layer(HardSwish)
            }

            /// `min(max(0, x + 3), 6) / 6`
            #[must_use]
            pub fn hard_sigmoid(self) -> Self {
                self.layer(HardSigmoid)
            }

            /// Softmax over the last dimension.
            #[must_use]
            pub fn softmax(self) -> Self {
                self.layer(Softmax)
            }

            /// Zeroes that share of elements at random, in training only.
            #[must_use]
            pub fn dropout(self, rate: f32) -> Self {
                self.layer(Dropout::new(rate))
            }
        }
    };
}

chain!(Value<'_>);
chain!(Sequential);
