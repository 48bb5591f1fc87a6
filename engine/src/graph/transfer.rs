//! What transfer learning does with a model: cut it, freeze parts of it, and build on.

use super::Model;
use crate::error::Error;
use crate::memory::heap;
use alloc::vec::Vec;

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
        let first = cut.inputs.len();
        let mut needed = heap::filled(first + cut.nodes.len(), false)?;
        cut.outputs.iter().for_each(|&value| needed[value] = true);
        for (index, node) in cut.nodes.iter().enumerate().rev() {
            if needed[first + index] {
                cut.inputs_of(node).iter().for_each(|&value| needed[value] = true);
            }
        }
        let mut becomes = heap::list(needed.len())?;
        // Inputs stay.
        let stays = |value: usize| value < first || needed[value];
        becomes.extend((0..needed.len()).map(|value| if stays(value) { value } else { 0 }));
        let mut folded = Vec::new();
        folded.resize_with(cut.nodes.len(), || None);
        cut.rebuilt(&becomes, folded)
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
