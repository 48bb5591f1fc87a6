//! A digit reader whose last layers learn.

use crate::digits::{self, Digit};
use crate::drawing::{Picture, SIDE};
use bantam::explain::{GradCam, resized};
use bantam::{
    Adam, Conv2d, Dense, Dropout, Error, Flatten, Isa, LayerType, Loss, MaxPool2d, Model, Node, Options,
    Relu, Sequential, Session, Shape, Softmax, Trainer, TrainingSession, argmax, include_aligned,
    trainable_layers,
};

/// Pictures that a step learns from. Every other one is a digit of MNIST, so that the reader does not forget what it is not
/// shown (rehearsal: Robins, *Catastrophic forgetting, rehearsal and pseudorehearsal*, 1995).
pub const BATCH: usize = 32;

/// The first layer that learns.
const HEAD: &str = "dense";

/// The reader of `examples/mnist`, with a softmax. Its convolutions do not learn.
///
/// # Errors
/// The file is not that of this reader.
pub fn model() -> Result<Model<'static>, Error> {
    static FILE: &[u8] = include_aligned!("../../firmware/data/mnist.bantam");
    let layers: &[&'static LayerType] =
        trainable_layers![Conv2d, Relu, MaxPool2d, Flatten, Dropout, Dense, Softmax];
    let logits = Model::from_bytes_with(FILE, layers)?;
    let mut model = Sequential::new([SIDE, SIDE, 1]).model(&logits).softmax().build(0)?;
    model.unfreeze_from(HEAD)?;
    Ok(model)
}

/// Reads pictures, and learns those that it was given to keep.
pub struct Reader<'m> {
    training: TrainingSession<'m>,
    /// What was learnt so far.
    learnt: Model<'static>,
    /// The same, with the outputs of all layers that change numbers.
    tapped: Model<'static>,
    kept: Vec<(Picture, u8)>,
    /// How many pictures of each kind have had their turn in learning.
    turns: usize,
}

impl<'m> Reader<'m> {
    /// A reader that has learnt nothing beyond the model.
    ///
    /// # Errors
    /// No layer of the model learns, or there is no memory.
    pub fn new(model: &'m Model<'m>) -> Result<Reader<'m>, Error> {
        let trainer = Trainer::new(Adam::default(), Loss::SoftmaxCrossEntropy).batch_size(BATCH);
        let training = TrainingSession::new(&trainer, model)?;
        let (learnt, tapped) = (training.to_model(), tapped(model)?.into_owned());
        Ok(Reader { training, learnt, tapped, kept: Vec::new(), turns: 0 })
    }

    /// The layers that [`read`](Reader::read) tells of: name, and shape of the output.
    pub fn layers(&self) -> impl Iterator<Item = (&str, Shape)> {
        self.learnt.nodes().iter().filter(|node| changes(node)).map(|node| (node.name(), node.output_shape()))
    }

    /// The outputs of all [`layers`](Reader::layers) for a picture, one after the other; the last are the probabilities
    /// of the digits.
    ///
    /// # Errors
    /// An element is not finite, or there is no memory.
    pub fn read(&self, picture: &Picture) -> Result<Vec<f32>, Error> {
        // Prepared each time, as the weights may have been learnt since.
        let mut session = Session::new(&self.tapped, Options::new(1))?;
        session.run_all(&[picture])?;
        Ok((0..self.layers().count()).flat_map(|layer| session.output(layer)).copied().collect())
    }

    /// Where in a picture a layer sees a digit: a heat map of the picture's size, from 0 to 1, by [`GradCam`]. Each output of the
    /// layer is where the middle of its window was; beyond the outermost the map goes on as it is there.
    ///
    /// # Errors
    /// There is no such layer, or its output is no map; there is no such digit; or there is no memory.
    pub fn heat(&self, picture: &Picture, layer: &str, digit: usize) -> Result<Picture, Error> {
        let map = GradCam::new(&self.learnt, layer, Options::new(1))?.run(picture, digit)?;
        let (edge, step) = self.place(layer);
        let side = step * map.shape().dims()[0];
        let map = resized(Isa::detect(), &map, [side, side])?;
        let within = |at: usize| at.saturating_sub(edge).min(side - 1);
        Ok(std::array::from_fn(|i| map.data()[within(i / SIDE) * side + within(i % SIDE)]))
    }

    /// How many pixels of the picture's edge a square layer has no output for, and how many lie from one to the next:
    /// convolutions, which pad nothing, take an edge away, and pools widen the step.
    fn place(&self, layer: &str) -> (usize, usize) {
        let (mut edge, mut step, mut side) = (0, 1, SIDE);
        for node in self.learnt.nodes() {
            let &[rows, _, _] = node.output_shape().dims() else { break };
            if 2 * rows > side {
                edge += step * (side - rows) / 2;
            } else {
                step *= side / rows;
            }
            side = rows;
            if node.name() == layer {
                break;
            }
        }
        (edge, step)
    }

    /// Keeps a picture of a digit to learn from.
    pub fn keep(&mut self, picture: Picture, digit: u8) {
        self.kept.push((picture, digit));
    }

    /// Throws away one of the pictures that were kept, if there is such.
    pub fn discard(&mut self, index: usize) {
        if index < self.kept.len() {
            self.kept.remove(index);
        }
    }

    /// Learns a step, and gives the loss before it. Where nothing is kept all pictures are MNIST's.
    ///
    /// # Errors
    /// A digit is none of ten, or the loss is no longer finite. What was learnt is then as it was.
    pub fn learn(&mut self) -> Result<f32, Error> {
        let mnist = digits::to_learn();
        let begin = self.turns % mnist.len();
        let mut mnist = mnist.cycle().skip(begin).map(|digit| (digit.picture(), digit.class));
        let mut kept = self.kept.iter().cycle().skip(self.turns % self.kept.len().max(1));
        let mut pictures = Vec::with_capacity(BATCH * SIDE * SIDE);
        let mut labels = Vec::with_capacity(BATCH);
        while labels.len() < BATCH {
            let kept = if labels.len() % 2 == 0 { kept.next().copied() } else { None };
            let Some((picture, digit)) = kept.or_else(|| mnist.next()) else { break };
            pictures.extend(picture);
            labels.push(f32::from(digit));
        }
        let loss = self.training.step(&pictures, &labels)?.loss;
        self.turns += BATCH / 2;
        self.remember()?;
        Ok(loss)
    }

    /// Forgets what was learnt. What is kept stays.
    ///
    /// # Errors
    /// There is no memory.
    pub fn forget(&mut self) -> Result<(), Error> {
        self.training.restart();
        self.turns = 0;
        self.remember()
    }

    /// How many of the digits that are [held out](digits::held_out) it reads right.
    ///
    /// # Errors
    /// There is no memory.
    pub fn still_right(&mut self) -> Result<usize, Error> {
        let mut right = 0;
        let digits: Vec<Digit> = digits::held_out().collect();
        for batch in digits.chunks(BATCH) {
            let pictures: Vec<f32> = batch.iter().flat_map(Digit::picture).collect();
            let outputs = self.training.run(&pictures)?;
            let read = outputs.chunks_exact(outputs.len() / batch.len()).map(argmax);
            right += read.zip(batch).filter(|&(read, digit)| read == Some(digit.class.into())).count();
        }
        Ok(right)
    }

    /// The model's file, with what was learnt.
    ///
    /// # Errors
    /// There is no memory.
    pub fn file(&self) -> Result<Vec<u8>, Error> {
        self.learnt.to_bytes()
    }

    fn remember(&mut self) -> Result<(), Error> {
        self.learnt = self.training.to_model();
        self.tapped = tapped(&self.learnt)?;
        Ok(())
    }
}

/// The model with the outputs of all layers as its own, but of those that pass on what they get.
fn tapped<'m>(model: &Model<'m>) -> Result<Model<'m>, Error> {
    let names: Vec<&str> = model.nodes().iter().filter(|node| changes(node)).map(Node::name).collect();
    model.tap(&names)
}

fn changes(node: &Node<'_>) -> bool {
    node.layer::<Flatten>().is_none() && node.layer::<Dropout>().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader takes a picture for, and how probable that is.
    fn read(reader: &Reader<'_>, picture: &Picture) -> Result<(u8, f32), Error> {
        let outputs = reader.read(picture)?;
        let (_, shape) = reader.layers().last().ok_or(Error::Empty { what: "layers" })?;
        let probabilities = &outputs[outputs.len() - shape.elements()..];
        let digit = argmax(probabilities).ok_or(Error::Empty { what: "probabilities" })?;
        Ok((digit as u8, probabilities[digit]))
    }

    #[test]
    fn reads_the_digits_of_mnist() -> Result<(), Error> {
        let model = model()?;
        let mut reader = Reader::new(&model)?;
        let right = reader.still_right()?;
        assert!(digits::held_out().len() == 100 && right >= 98, "{right}");
        let lens: usize = reader.layers().map(|(_, shape)| shape.elements()).sum();
        let mut same = 0;
        for digit in digits::held_out() {
            assert_eq!(reader.read(&digit.picture())?.len(), lens);
            same += usize::from(read(&reader, &digit.picture())?.0 == digit.class);
        }
        assert_eq!(same, right);
        Ok(())
    }

    #[test]
    fn looks_at_the_ink() -> Result<(), Error> {
        let model = model()?;
        let reader = Reader::new(&model)?;
        for (layer, _) in reader.layers().filter(|(_, shape)| shape.rank() == 3) {
            // The heat of pixels that have ink, of those that have none, and how many each are.
            let (mut heats, mut pixels) = ([0.0; 2], [0.0; 2]);
            for digit in digits::held_out() {
                let picture = digit.picture();
                let heat = reader.heat(&picture, layer, digit.class.into())?;
                for (heat, ink) in heat.iter().zip(picture) {
                    assert!((0.0..=1.0).contains(heat), "{layer}: {heat}");
                    heats[usize::from(ink == 0.0)] += heat;
                    pixels[usize::from(ink == 0.0)] += 1.0;
                }
            }
            let [ink, ground] = [0, 1].map(|i| heats[i] / pixels[i]);
            // Maps at other places of the picture would not be so warm at its strokes; later ones are too coarse.
            assert!(layer != "re_lu_1" || ink > 1.5 * ground, "{ink}, {ground}");
        }
        assert_eq!(
            ["re_lu", "re_lu_1", "re_lu_2"].map(|layer| reader.place(layer)),
            [(1, 1), (3, 2), (7, 4)]
        );
        assert!(reader.heat(&[0.0; SIDE * SIDE], "dense", 0).is_err());
        assert!(reader.heat(&[0.0; SIDE * SIDE], "conv2d", 10).is_err());
        Ok(())
    }

    #[test]
    fn learns_another_hand_and_keeps_what_it_knew() -> Result<(), Error> {
        let model = model()?;
        let mut reader = Reader::new(&model)?;
        // A bar that lies is no digit of MNIST's.
        let mut bar = [0.0; SIDE * SIDE];
        bar[13 * SIDE + 4..][..20].fill(1.0);
        bar[14 * SIDE + 4..][..20].fill(1.0);
        let before = reader.read(&bar)?;
        for digit in [8, 3] {
            reader.keep(bar, digit);
            let losses = (0..20).map(|_| reader.learn()).collect::<Result<Vec<f32>, _>>()?;
            assert!(losses[19] < 0.1 * losses[0], "{losses:?}");
            let (got, probability) = read(&reader, &bar)?;
            assert!(got == digit && probability > 0.9, "{got}, {probability}");
            assert!(reader.still_right()? >= 97);
            reader.discard(0);
        }
        let learnt = Model::from_bytes(&reader.file()?)?.into_owned();
        assert_ne!(learnt.weights(HEAD)?, model.weights(HEAD)?);
        assert_eq!(learnt.weights("conv2d_2")?, model.weights("conv2d_2")?);
        reader.forget()?;
        assert_eq!(reader.read(&bar)?, before);
        Ok(())
    }

    #[test]
    fn a_label_that_is_no_digit_is_refused() -> Result<(), Error> {
        let model = model()?;
        let mut reader = Reader::new(&model)?;
        reader.keep([0.0; SIDE * SIDE], 10);
        let problem = reader.learn().err().map(|error| error.to_string());
        assert!(problem.is_some_and(|text| text.contains("10")));
        reader.discard(7);
        reader.discard(0);
        reader.learn()?;
        Ok(())
    }
}
