//! What transfer learning does with a model: cut it, freeze parts of it, and build on.

use super::{Metadata, Model, Node};
use crate::error::Error;
use crate::memory::heap;
use crate::shape::Shape;
use alloc::vec::Vec;
use bantam_kernels::Isa;

impl<'m> Model<'m> {
    /// The model up to the node of that name, whose output becomes the model's, without the layers that it does not depend on:
    /// the convolutional base of a classifier.
    ///
    /// ```
    /// use bantam::Sequential;
    /// let net = Sequential::new([8, 8, 1]).conv2d(4, 3).relu().max_pool2d(2).named("features");
    /// let model = net.flatten().dense(2).build(1)?;
    /// let base = model.truncate_at("features")?;
    /// assert_eq!(base.output_shape().dims(), [3, 3, 4]);
    /// // A new head on it: the base has the weights that it had, the rest is drawn.
    /// let model = Sequential::new([8, 8, 1]).model(&base).flatten().dense(5).build(2)?;
    /// assert_eq!(model.weights("conv2d")?[0].values(), base.weights("conv2d")?[0].values());
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such node, or no memory.
    pub fn truncate_at(&self, name: &str) -> Result<Model<'m>, Error> {
        let cut = self.tap(&[name])?;
        let needed = cut.needed()?;
        cut.with_nodes(&cut.inputs, &needed)
    }

    /// The model in two: up to and with the node of that name, as [`truncate_at`](Model::truncate_at) gives it, and what
    /// follows, whose only input is that node's output. One after the other gives what the whole model gives. Weights that
    /// both have are in both, and borrowed as far as they were; the second knows no scaling, for its input is no image.
    ///
    /// ```
    /// use bantam::{Options, Sequential, Session};
    /// let net = Sequential::new([8, 8, 1]).conv2d(4, 3).relu().max_pool2d(2).named("features");
    /// let model = net.flatten().dense(2).build(1)?;
    /// let (base, head) = model.split_at("features")?;
    /// assert_eq!(head.input_shape().dims(), [3, 3, 4]);
    /// let image = [0.5; 64];
    /// let mut session = Session::new(&base, Options::new(1))?;
    /// let features = session.run(&image)?;
    /// let (mut whole, mut head) = (Session::new(&model, Options::new(1))?, Session::new(&head, Options::new(1))?);
    /// assert_eq!(head.run(features)?, whole.run(&image)?);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such node; no output depends on it through another; a node that follows, or an output of the model, reads
    /// something besides that does not follow: the error names both; or there is no memory.
    pub fn split_at(&self, name: &str) -> Result<(Model<'m>, Model<'m>), Error> {
        let first = self.inputs.len();
        let split = first + self.index(name)?;
        let needed = self.needed()?;
        let mut follows = heap::filled(needed.len(), false)?;
        follows[split] = true;
        let crossing = |reader: &str, value: usize| {
            let (layer, reads) = (heap::text(reader)?.into(), heap::text(&self.value_name(value))?.into());
            Err(Error::Split { layer, reads })
        };
        for (index, node) in self.nodes.iter().enumerate().skip(split - first + 1) {
            let reads = self.inputs_of(node);
            if !needed[first + index] || !reads.iter().any(|&value| follows[value]) {
                continue;
            }
            if let Some(&value) = reads.iter().find(|&&value| !follows[value]) {
                return crossing(&node.name, value);
            }
            follows[first + index] = true;
        }
        follows[split] = false;
        if !follows.contains(&true) {
            return Err(Error::Empty { what: "layers after the split" });
        }
        if let Some(&value) = self.outputs.iter().find(|&&value| !follows[value]) {
            return crossing("output", value);
        }
        let mut head = self.with_nodes(&[self.value_shape(split)], &follows)?;
        if !head.metadata.is_empty() {
            let Metadata { class_names, notes, .. } = self.metadata()?;
            head.set_metadata(&Metadata { class_names, notes, ..Metadata::default() })?;
        }
        Ok((self.truncate_at(name)?, head))
    }

    /// The last node of the convolutional base, behind which a classifier's head begins: the last map `[H, W, C]` that all
    /// that follows goes through, before the first global pool or the first output of other dimensions that it goes through. An
    /// average of a last map to one pixel is a global pool. None if there is no such map.
    ///
    /// ```
    /// use bantam::Sequential;
    /// let net = Sequential::new([8, 8, 1]).conv2d(4, 3).relu().max_pool2d(2).named("features");
    /// let model = net.global_average_pool2d().dense(2).build(1)?;
    /// assert_eq!(model.last_of_base()?.map(|node| node.name()), Some("features"));
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no memory.
    pub fn last_of_base(&self) -> Result<Option<&Node<'m>>, Error> {
        let first = self.inputs.len();
        let needed = self.needed()?;
        // Who reads a value last; an output is read behind all.
        let mut last_reader: Vec<usize> = heap::filled(needed.len(), 0)?;
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| needed[first + index]) {
            self.inputs_of(node).iter().for_each(|&value| last_reader[value] = first + index);
        }
        self.outputs.iter().for_each(|&value| last_reader[value] = usize::MAX);
        let mut read_until = last_reader[..first].iter().copied().fold(0, usize::max);
        let (mut before, mut last) = (None, None);
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| needed[first + index]) {
            let value = first + index;
            // All goes through it if nobody reads past it.
            if read_until <= value {
                if node.output.rank() != 3 || node.layer.name().starts_with("Global") {
                    break;
                }
                before = last.replace(node);
            }
            read_until = read_until.max(last_reader[value]);
        }
        let averages = |node: &Node<'_>| {
            node.layer.name() == "AveragePooling2D" && matches!(node.output.dims(), [1, 1, _])
        };
        Ok(if last.is_some_and(averages) && before.is_some() { before } else { last })
    }

    /// What gives these values, [folded](Model::fold), with weights of its own; nothing if there is nothing to fold. Scalar code
    /// is that of computers without the memory for weights of another kind, and has nothing folded.
    pub(crate) fn folded_base(&self, values: &[usize], isa: Isa) -> Result<Option<Model<'static>>, Error> {
        if isa == Isa::SCALAR {
            return Ok(None);
        }
        let mut base = self.borrowed()?;
        let mut outputs = heap::list(values.len())?;
        outputs.extend_from_slice(values);
        base.set_outputs(outputs)?;
        let needed = base.needed()?;
        let base = base.with_nodes(&base.inputs, &needed)?;
        let folded = base.fold()?;
        Ok(if folded.nodes.len() < base.nodes.len() { Some(folded.into_owned()) } else { None })
    }

    /// For each value whether an output depends on it.
    pub(crate) fn needed(&self) -> Result<Vec<bool>, Error> {
        let first = self.inputs.len();
        let mut needed = heap::filled(first + self.nodes.len(), false)?;
        self.outputs.iter().for_each(|&value| needed[value] = true);
        for (index, node) in self.nodes.iter().enumerate().rev() {
            if needed[first + index] {
                self.inputs_of(node).iter().for_each(|&value| needed[value] = true);
            }
        }
        Ok(needed)
    }

    /// The model of these inputs and of the nodes whose values stay. What they read of others is the first input.
    fn with_nodes(&self, inputs: &[Shape], stays: &[bool]) -> Result<Model<'m>, Error> {
        let first = self.inputs.len();
        let mut becomes = heap::list(stays.len())?;
        becomes.extend((0..stays.len()).map(|value| if value < first || stays[value] { value } else { 0 }));
        let mut folded = heap::list(self.nodes.len())?;
        folded.resize_with(self.nodes.len(), || None);
        self.rebuilt(inputs, &becomes, folded)
    }

    /// Whether training changes any node: `false` freezes all of them.
    pub fn set_all_trainable(&mut self, trainable: bool) {
        self.nodes.iter_mut().for_each(|node| node.trainable = trainable);
    }

    /// Training changes the node of that name and all after it, and none before it. Weights that a node before shares with one
    /// after learn too.
    ///
    /// ```
    /// use bantam::Sequential;
    /// let mut model = Sequential::new([4]).dense(3).dense(3).dense(2).build(1)?;
    /// model.unfreeze_from("dense_1")?;
    /// let trainable: Vec<_> = model.nodes().iter().map(|node| node.is_trainable()).collect();
    /// assert_eq!(trainable, [false, true, true]);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such node.
    pub fn unfreeze_from(&mut self, name: &str) -> Result<(), Error> {
        let first = self.index(name)?;
        for index in 0..self.nodes.len() {
            let parameters = self.nodes[index].parameters.clone();
            let shared = || {
                let after = self.nodes[first..].iter();
                !parameters.is_empty() && after.map(|node| &node.parameters).any(|other| *other == parameters)
            };
            self.nodes[index].trainable = index >= first || shared();
        }
        Ok(())
    }
}
