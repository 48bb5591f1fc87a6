//! Batch normalisation goes into the layer before it, zero padding into the layer behind it, and what is computed twice is
//! computed once.

use super::Model;
use super::model::{Blueprint, in_layer};
use super::node::Node;
use crate::error::Error;
use crate::graph::Parameter;
use crate::layers::{
    AttributesMut, BatchNormalization, Conv1d, Conv1dTranspose, Conv2d, Conv2dTranspose, Dense,
    DepthwiseConv1d, DepthwiseConv2d, Layer, MaxPool2d, PassesOn, Relu, Relu6, SeparableConv2d,
    ZeroPadding2d,
};
use crate::memory::heap;
use crate::shape::Shape;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use bantam_kernels::conv2d::Padding;
use core::mem;

impl<'m> Model<'m> {
    /// The same model with less to compute: each [`BatchNormalization`] right behind a [`Conv2d`], [`Conv2dTranspose`],
    /// [`DepthwiseConv2d`], [`SeparableConv2d`] or [`Dense`], or such a layer over series, goes into that layer's kernel and
    /// bias; each [`ZeroPadding2d`] right before a [`Conv2d`], [`DepthwiseConv2d`] or [`SeparableConv2d`] without padding, or
    /// between a [`Relu`] or [`Relu6`] and a [`MaxPool2d`] without padding, goes into that layer's padding. Of layers without weights
    /// that do the same to the same values, such as activations at the heads of several branches, the first alone stays. The outputs
    /// are the same up to rounding.
    ///
    /// A normalisation stays where that layer shares its weights, and either stays where what is between the two is read
    /// elsewhere too or is the model's output. All other nodes keep their names, and whether they are trainable.
    ///
    /// ```
    /// use bantam::{Conv2d, Sequential};
    /// let net = Sequential::new([8, 8, 3]).conv2d_with(4, [3, 3], Conv2d::same().no_bias());
    /// let model = net.batch_normalization().relu().build(1)?;
    /// let folded = model.fold()?;
    /// let names: Vec<_> = folded.nodes().iter().map(|node| node.name()).collect();
    /// assert_eq!(names, ["conv2d", "re_lu"]);
    /// assert_eq!(folded.weights("conv2d")?[1].name(), "bias");
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// A variance is negative or no finite number, or there is no memory for the weights.
    pub fn fold(&self) -> Result<Model<'m>, Error> {
        let (first, count) = (self.inputs.len(), self.nodes.len());
        let mut readers = self.readers()?;
        let mut folded: Vec<Option<Folded>> = heap::list(count)?;
        folded.resize_with(count, || None);
        // Of each value the one that takes its place: itself if its node stays.
        let mut becomes = heap::list(first + count)?;
        becomes.extend(0..first + count);
        // Of a node whose layer pads what it reads: that layer.
        let mut padded: Vec<Option<Vec<u8>>> = heap::list(count)?;
        for node in &self.nodes {
            let Some((input, attributes)) = self.padded(node, &readers)? else {
                padded.push(None);
                continue;
            };
            becomes[self.inputs_of(node)[0]] = becomes[input];
            padded.push(Some(attributes));
        }
        for (index, node) in self.nodes.iter().enumerate() {
            let (Some(layer), &[input]) = (node.layer::<BatchNormalization>(), self.inputs_of(node)) else {
                continue;
            };
            let (value, output) = (becomes[input], first + index);
            let Some(before) = value.checked_sub(first) else { continue };
            if readers[value] != 1 || self.shares_weights(before) {
                continue;
            }
            if folded[before].is_none() {
                let node = &self.nodes[before];
                let attributes = padded[before].as_deref().unwrap_or(&node.attributes);
                folded[before] = Folded::new(&node.with(attributes), self.parameters_of(node))?;
            }
            let Some(folded) = &mut folded[before] else { continue };
            let statistics = self.parameters_of(node);
            folded.normalize(layer, statistics).map_err(|cause| in_layer(&node.name, cause))?;
            (becomes[output], readers[value]) = (value, readers[output]);
        }
        for (folded, padded) in folded.iter_mut().zip(padded) {
            if let (None, Some(attributes)) = (&folded, padded) {
                *folded = Some(Folded { attributes, weights: Vec::new(), beside: 1 });
            }
        }
        for index in 0..count {
            if let Some(earlier) = self.computed_before(index, &becomes, &folded) {
                becomes[first + index] = first + earlier;
            }
        }
        self.rebuilt(&self.inputs, &becomes, folded)
    }

    /// The node that computes the same as this one and comes before it, if neither has weights nor became another, and this one
    /// is no output.
    fn computed_before(&self, index: usize, becomes: &[usize], folded: &[Option<Folded>]) -> Option<usize> {
        let first = self.inputs.len();
        let stays = |node: usize| becomes[first + node] == first + node && folded[node].is_none();
        let reads = |node| self.inputs_of(node).iter().map(|&value| becomes[value]);
        let node = &self.nodes[index];
        let plain = node.parameters.is_empty() && node.layer.passes_on != PassesOn::Inference;
        if !plain || !stays(index) || self.outputs.contains(&(first + index)) {
            return None;
        }
        (0..index).find(|&earlier| {
            let other = &self.nodes[earlier];
            stays(earlier)
                && (other.layer.name(), &other.attributes) == (node.layer.name(), &node.attributes)
                && reads(other).eq(reads(node))
        })
    }

    /// The layer that pads what the node reads, where that is a map with zeros around it, and the value of the map.
    fn padded(&self, node: &Node<'_>, readers: &[usize]) -> Result<Option<(usize, Vec<u8>)>, Error> {
        let before = |value: usize| self.nodes.get(value.checked_sub(self.inputs.len())?);
        let &[value] = self.inputs_of(node) else { return Ok(None) };
        let Some(zeros) = before(value).filter(|_| readers[value] == 1) else { return Ok(None) };
        let (Some(layer), &[input]) = (zeros.layer::<ZeroPadding2d>(), self.inputs_of(zeros)) else {
            return Ok(None);
        };
        let positive = before(input).is_some_and(|node| {
            let layer = node.layer.name();
            layer == Relu::NAME || layer == Relu6::NAME
        });
        let (padding, shape) = (layer.padding, self.value_shape(input));
        let attributes = if let Some(pool) = node.layer::<MaxPool2d>() {
            // A maximum is of real pixels alone. It is the same if one is in each window, and none is below zero.
            let seen = padding
                .iter()
                .zip(pool.windows.size)
                .all(|(pad, window)| pad.iter().all(|&pad| pad < window));
            if positive && seen && !pool.windows.ceil { pad(node, pool, padding, shape)? } else { None }
        } else if let Some(convolution) = node.layer::<Conv2d>() {
            pad(node, convolution, padding, shape)?
        } else if let Some(convolution) = node.layer::<DepthwiseConv2d>() {
            pad(node, convolution, padding, shape)?
        } else if let Some(convolution) = node.layer::<SeparableConv2d>() {
            pad(node, convolution, padding, shape)?
        } else {
            None
        };
        Ok(attributes.map(|attributes| (input, attributes)))
    }

    /// How often each value is read, or is an output.
    fn readers(&self) -> Result<Vec<usize>, Error> {
        let count = self.inputs.len() + self.nodes.len();
        let mut readers = heap::list(count)?;
        readers.resize(count, 0);
        self.edges.iter().chain(&self.outputs).for_each(|&value| readers[value] += 1);
        Ok(readers)
    }

    fn shares_weights(&self, node: usize) -> bool {
        let weights = &self.nodes[node].parameters;
        let others = self.nodes.iter().enumerate().filter(|&(other, _)| other != node);
        !weights.is_empty() && others.map(|(_, other)| &other.parameters).any(|other| other == weights)
    }

    /// Without the nodes that became others: of these inputs, which take the places of the first.
    pub(super) fn rebuilt(
        &self,
        inputs: &[Shape],
        becomes: &[usize],
        folded: Vec<Option<Folded>>,
    ) -> Result<Model<'m>, Error> {
        let first = self.inputs.len();
        let stays = |node: usize| becomes[first + node] == first + node;
        let count = (0..self.nodes.len()).filter(|&node| stays(node)).count();
        let mut model = Model::with_inputs(copy(inputs)?, count, self.edges.len())?;
        let mut numbers: Vec<usize> = heap::list(becomes.len())?;
        numbers.extend(0..first);
        for ((index, node), folded) in self.nodes.iter().enumerate().zip(folded) {
            if !stays(index) {
                numbers.push(numbers[becomes[first + index]]);
                continue;
            }
            numbers.push(inputs.len() + model.nodes.len());
            let same = |&earlier: &usize| stays(earlier) && self.nodes[earlier].parameters == node.parameters;
            let shares = if node.parameters.is_empty() { None } else { (0..index).find(same) };
            let (attributes, weights) = match folded {
                Some(Folded { attributes, weights, .. }) => (Cow::Owned(attributes), weights),
                None => (copied(&node.attributes)?, Vec::new()),
            };
            let mut own = self.parameters_of(node).iter().map(|parameter| copied(&parameter.values));
            let mut weights = weights.into_iter().map(|weights| Ok(Cow::Owned(weights)));
            let blueprint = Blueprint {
                name: match &node.name {
                    Cow::Borrowed(name) => Cow::Borrowed(*name),
                    Cow::Owned(name) => Cow::Owned(heap::text(name)?),
                },
                layer: node.layer,
                attributes,
                trainable: node.trainable,
                frozen: self.frozen(node),
                shares: shares.map(|earlier| numbers[first + earlier] - inputs.len()),
            };
            model.push(
                blueprint,
                &mut self.inputs_of(node).iter().map(|&value| numbers[value]),
                &mut |_| {
                    let missing = || Err(Error::Empty { what: "weights of a layer" });
                    weights.next().or_else(|| own.next()).unwrap_or_else(missing)
                },
            )?;
        }
        model.metadata = copied(&self.metadata)?;
        let mut outputs = heap::list(self.outputs.len())?;
        outputs.extend(self.outputs.iter().map(|&value| numbers[value]));
        model.set_outputs(outputs)?;
        Ok(model)
    }
}

/// A layer with a padding.
trait Padded: Layer {
    fn padding(&mut self) -> &mut Padding;
}

impl Padded for Conv2d {
    fn padding(&mut self) -> &mut Padding {
        &mut self.padding
    }
}

impl Padded for DepthwiseConv2d {
    fn padding(&mut self) -> &mut Padding {
        &mut self.padding
    }
}

impl Padded for SeparableConv2d {
    fn padding(&mut self) -> &mut Padding {
        &mut self.depthwise.padding
    }
}

impl Padded for MaxPool2d {
    fn padding(&mut self) -> &mut Padding {
        &mut self.windows.padding
    }
}

/// A node's layer with that padding, if it has none and then gives the same of a map of that shape.
fn pad<L: Padded>(
    node: &Node<'_>,
    mut layer: L,
    [[top, bottom], [left, right]]: [[usize; 2]; 2],
    map: Shape,
) -> Result<Option<Vec<u8>>, Error> {
    if *layer.padding() != Padding::Valid {
        return Ok(None);
    }
    *layer.padding() = Padding::Explicit { top, bottom, left, right };
    if layer.signature(&[map]).and_then(|signature| signature.output()) != Ok(node.output) {
        return Ok(None);
    }
    let mut attributes = AttributesMut::default();
    layer.write(&mut attributes);
    attributes.into_bytes().map(Some)
}

/// What becomes of a layer that takes a normalisation or a padding.
pub(super) struct Folded {
    attributes: Vec<u8>,
    /// All of them: the last are the kernel whose outputs are the layer's, and the bias.
    weights: Vec<Vec<f32>>,
    /// Elements of the kernel that lie beside each other and are one channel's.
    beside: usize,
}

impl Folded {
    /// As it is, with a bias if it has none. `None` if its output is not a kernel's sums.
    fn new(node: &Node<'_>, parameters: &[Parameter<'_>]) -> Result<Option<Folded>, Error> {
        let mut attributes = AttributesMut::default();
        let had_bias = if let Some(mut layer) = node.layer::<Conv2d>() {
            biased(&mut layer, |layer| &mut layer.bias, &mut attributes)
        } else if let Some(mut layer) = node.layer::<DepthwiseConv2d>() {
            biased(&mut layer, |layer| &mut layer.bias, &mut attributes)
        } else if let Some(mut layer) = node.layer::<SeparableConv2d>() {
            biased(&mut layer, |layer| &mut layer.bias, &mut attributes)
        } else if let Some(mut layer) = node.layer::<Conv2dTranspose>() {
            biased(&mut layer, |layer| &mut layer.bias, &mut attributes)
        } else if let Some(mut layer) = node.layer::<Conv1d>() {
            biased(&mut layer, |layer| &mut layer.maps.bias, &mut attributes)
        } else if let Some(mut layer) = node.layer::<DepthwiseConv1d>() {
            biased(&mut layer, |layer| &mut layer.0.bias, &mut attributes)
        } else if let Some(mut layer) = node.layer::<Conv1dTranspose>() {
            biased(&mut layer, |layer| &mut layer.0.bias, &mut attributes)
        } else if let Some(mut layer) = node.layer::<Dense>() {
            biased(&mut layer, |layer| &mut layer.bias, &mut attributes)
        } else {
            return Ok(None);
        };
        let mut weights = heap::list(parameters.len() + 1)?;
        for parameter in parameters {
            weights.push(copy(parameter.values())?);
        }
        if !had_bias {
            let channels = node.output.dims().last().copied().unwrap_or(1);
            weights.push(heap::zeros(channels)?);
        }
        // The channels are a kernel's innermost dimension, or those of a depthwise one its last two. A transposed
        // kernel has its inputs behind them.
        let transposed = [Conv1dTranspose::NAME, Conv2dTranspose::NAME].contains(&node.layer.name());
        let inputs = parameters.first().and_then(|kernel| kernel.shape().dims().last().copied());
        let beside = if transposed { inputs.unwrap_or(1) } else { 1 };
        Ok(Some(Folded { attributes: attributes.into_bytes()?, weights, beside }))
    }

    /// Puts a normalisation behind it.
    fn normalize(&mut self, layer: BatchNormalization, parameters: &[Parameter<'_>]) -> Result<(), Error> {
        let [.., kernel, biases] = &mut self.weights[..] else { return Ok(()) };
        let channels = biases.len();
        for (c, bias) in biases.iter_mut().enumerate() {
            let [gamma, beta, mean, variance] = layer.of_channel(|i| parameters[i].values[c]);
            let scale = layer.scale(gamma, variance)?;
            *bias = (*bias - mean) * scale + beta;
            for taps in kernel.chunks_exact_mut(channels * self.beside) {
                taps[c * self.beside..][..self.beside].iter_mut().for_each(|weight| *weight *= scale);
            }
        }
        Ok(())
    }
}

/// Writes a layer with a bias, and tells whether it had one.
fn biased<L: Layer>(layer: &mut L, bias: fn(&mut L) -> &mut bool, attributes: &mut AttributesMut) -> bool {
    let had_bias = mem::replace(bias(layer), true);
    layer.write(attributes);
    had_bias
}

/// The same, borrowed from where it is borrowed from.
fn copied<'m, T: Clone>(values: &Cow<'m, [T]>) -> Result<Cow<'m, [T]>, Error> {
    Ok(match values {
        Cow::Borrowed(values) => Cow::Borrowed(*values),
        Cow::Owned(values) => Cow::Owned(copy(values)?),
    })
}

fn copy<T: Clone>(values: &[T]) -> Result<Vec<T>, Error> {
    let mut copy = heap::list(values.len())?;
    copy.extend_from_slice(values);
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use crate::graph::{Model, Sequential};

    /// With the second of two nodes using the weights of the first.
    fn sharing(net: Sequential, [first, second]: [usize; 2]) -> Model<'static> {
        let mut model = net.build(1).unwrap();
        model.nodes[second].parameters = model.nodes[first].parameters.clone();
        model
    }

    #[test]
    fn shared_kernels_stay_as_they_are() {
        let net = Sequential::new([3]).dense(3).batch_normalization().dense(3).batch_normalization();
        let model = sharing(net, [0, 2]).fold().unwrap();
        let [a, _, b, _] = model.nodes() else { panic!() };
        assert_eq!(a.parameters, b.parameters);
        // What the second dense layer had nobody has any more.
        assert_eq!(model.parameters().len(), 2 + 4 + 4);
    }

    /// The statistics of a normalisation that is folded away may be another's too.
    #[test]
    fn shared_statistics_are_kept_for_who_stays() {
        let net = Sequential::new([3]).dense(3).batch_normalization().relu().batch_normalization();
        let model = sharing(net, [1, 3]).fold().unwrap();
        let [_, _, stays] = model.nodes() else { panic!() };
        assert_eq!(model.parameters_of(stays)[3].name(), "moving_variance");
        assert_eq!(model.parameters().len(), 2 + 4);
    }
}
