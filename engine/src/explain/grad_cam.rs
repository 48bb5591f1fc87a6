use super::output_of;
use crate::error::Error;
use crate::graph::Model;
use crate::graph::fuse::Operations;
use crate::graph::model::in_layer;
use crate::layers::{Layer, Sigmoid, Softmax, Source};
use crate::memory::heap;
use crate::metrics::argmax;
use crate::plan::{Options, Plan};
use crate::run::Session;
use crate::run::session::check_finite;
use crate::shape::Shape;
use crate::tape::Tape;
use crate::tensor::Tensor;
use bantam_kernels::{Isa, elementwise, reduce};
use core::mem;

/// Where in an image a class is seen: Grad-CAM (Selvaraju et al., ICCV 2017, equations 1 and 2).
///
/// Of a layer's map `A`, `[h, w, C]`, and a class's score `y` the heat map `[h, w]` is `ReLU(Σ_c α_c A_c)` by its maximum, where
/// `α_c` is the mean of `∂y/∂A_c` over the map. What is divided by the maximum has no scale, so that the mean over the
/// channels in place of their sum, as some have it, gives the same. The score is what goes into a last softmax or sigmoid, as
/// in the paper: behind a softmax the gradient would tell of all other classes too, and vanish where the class is certain.
///
/// Up to the layer the model runs by a plan, as a [`Session`] does, and only what follows is recorded on a [`Tape`], with the map
/// as its one parameter: it keeps no other maps, and computes no gradient of weights, which stay where they are.
/// A single output, of a sigmoid, is that of the second of two classes: what speaks against it speaks for the first.
///
/// A Keras layer with an activation is two here, and its map that of the second: `"re_lu_2"`, not `"conv2d_2"`.
///
/// ```
/// use bantam::{Options, Sequential, explain::GradCam};
/// let net = Sequential::new([8, 8, 1]).conv2d(4, 3).relu().named("features");
/// let model = net.flatten().dense(3).softmax().build(1)?;
/// let mut cam = GradCam::new(&model, "features", Options::new(1))?;
/// let image: Vec<f32> = (0..64).map(|i| (i % 9) as f32 / 9.0).collect();
/// let map = cam.run(&image, 2)?;
/// assert_eq!(map.shape().dims(), [6, 6]);
/// assert!(map.data().iter().all(|&heat| (0.0..=1.0).contains(&heat)));
/// # Ok::<(), bantam::Error>(())
/// ```
pub struct GradCam<'m> {
    model: &'m Model<'m>,
    /// Up to the layer.
    session: Session<'m>,
    /// Of the layer's output for one image, `[h, w, C]`.
    map: Shape,
    /// From there to the scores.
    head: Operations,
    /// The value of the scores.
    scores: usize,
    /// Its memory serves the next image.
    tape: Tape<'static>,
}

impl<'m> GradCam<'m> {
    /// Of the layer of that name, in memory of its own. The batch of the options is one image, whatever they say.
    ///
    /// # Errors
    /// There is no such layer; its output is no map, or the scores do not depend on it; the model has several inputs or outputs,
    /// or gives no scores `[classes]`; or there is no memory.
    pub fn new(model: &'m Model<'m>, layer: &str, options: Options) -> Result<GradCam<'m>, Error> {
        GradCam::start(model, layer, options, Session::own)
    }

    /// As [`new`](GradCam::new), where the session runs in the caller's memory: that of [`Session::with_arena`] for the
    /// model [cut](Model::truncate_at) at the layer. What follows takes memory from the heap.
    ///
    /// # Errors
    /// As [`new`](GradCam::new), or the arena is too small: the error tells how many bytes are missing.
    pub fn with_arena(
        model: &'m Model<'m>,
        layer: &str,
        options: Options,
        arena: &'m mut [f32],
    ) -> Result<GradCam<'m>, Error> {
        GradCam::start(model, layer, options, |plan| Session::with_plan(plan, arena))
    }

    fn start(
        model: &'m Model<'m>,
        layer: &str,
        options: Options,
        session: impl FnOnce(Plan<'m>) -> Result<Session<'m>, Error>,
    ) -> Result<GradCam<'m>, Error> {
        let (first, name) = (model.input_shapes().len(), layer);
        let layer = first + model.index(name)?;
        let map = model.value_shape(layer);
        let checked: Result<[usize; 3], Error> = map.array("map of the layer");
        checked.map_err(|cause| in_layer(name, cause))?;
        model.only_input()?;
        let scores = scores(model)?;
        output_of(model, scores, 0)?;
        let head = Operations::new(model, &[layer], &[scores], false)?;
        if head.sources[layer] != Source::Given(0) {
            let cause = Error::Value { expected: "one that the output depends on", got: "another" };
            return Err(in_layer(name, cause));
        }
        let session = session(Plan::of(model, &[layer], Options { batch: 1, ..options })?)?;
        let tape = Tape::new(session.plan().isa());
        Ok(GradCam { model, session, map, head, scores, tape })
    }

    /// Where everything lies up to the layer.
    pub fn plan(&self) -> &Plan<'m> {
        self.session.plan()
    }

    /// The heat map of a class, `[h, w]`, from 0 to 1, of an image `[H, W, C]`. It is 0 everywhere if nothing in the map speaks
    /// for the class.
    ///
    /// # Errors
    /// `image` is not one image, or it, the map or its gradient holds a NaN or an infinity; there is no such class; or there is
    /// no memory.
    pub fn run(&mut self, image: &[f32], class: usize) -> Result<Tensor, Error> {
        output_of(self.model, self.scores, class)?;
        Ok(self.explain(image, Some(class))?.1)
    }

    /// The class of the highest score, and its heat map.
    ///
    /// ```
    /// use bantam::{Options, Sequential, explain::GradCam};
    /// let net = Sequential::new([8, 8, 1]).conv2d(4, 3).relu().named("features");
    /// let model = net.global_average_pool2d().dense(3).build(1)?;
    /// let mut cam = GradCam::new(&model, "features", Options::new(1))?;
    /// let (class, map) = cam.run_best(&[0.5; 64])?;
    /// assert_eq!(map, cam.run(&[0.5; 64], class)?);
    /// # Ok::<(), bantam::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](GradCam::run).
    pub fn run_best(&mut self, image: &[f32]) -> Result<(usize, Tensor), Error> {
        self.explain(image, None)
    }

    fn explain(&mut self, image: &[f32], class: Option<usize>) -> Result<(usize, Tensor), Error> {
        let GradCam { model, session, map: shape, head, scores: value, tape: memory } = self;
        let isa = session.plan().isa();
        let map = session.run(image)?;
        let mut tape = mem::replace(memory, Tape::new(isa)).reset();
        let given = tape.parameter(shape.with_batch(1)?, map)?;
        let input = tape.input(model.input_shape().with_batch(1)?, image)?;
        let scores = model.record_frozen(&mut tape, head, [given, input])?;
        let values = tape.value(scores)?;
        check_finite("output", values.len(), values)?;
        let best = || match *values {
            [one] => Some(usize::from(one > 0.0)),
            _ => argmax(values),
        };
        let class = class.or_else(best).unwrap_or(0);
        let (output, sign) = output_of(model, *value, class)?;
        let score = tape.slice(scores, &[0..1, output..output + 1])?;
        let gradients = tape.backward(score)?;
        let heat = heat(isa, shape, map, gradients.get(given)?, sign)?;
        *memory = gradients.into_tape();
        Ok((class, heat))
    }
}

/// The value that is scores: the output, or what goes into its softmax or sigmoid.
fn scores(model: &Model<'_>) -> Result<usize, Error> {
    let output = model.only_output()?;
    let last = output.checked_sub(model.input_shapes().len()).map(|node| &model.nodes()[node]);
    let squash = |name: &str| [Softmax::NAME, <Sigmoid as Layer>::NAME].contains(&name);
    let last = last.filter(|node| squash(node.layer_type().name()));
    Ok(last.map_or(output, |node| model.inputs_of(node)[0]))
}

/// A map `[h, w, C]` by its gradient, times a sign.
fn heat(isa: Isa, shape: &Shape, map: &[f32], gradient: &[f32], sign: f32) -> Result<Tensor, Error> {
    let [h, w, channels] = shape.array("map of the layer")?;
    check_finite("gradient", gradient.len(), gradient)?;
    let (mut weights, mut products) = (heap::zeros(channels)?, heap::zeros(channels)?);
    // The sum, for the mean: the maximum has the same factor.
    reduce::sum_rows(isa, h * w, channels, gradient, &mut weights)?;
    let mut heat = Tensor::zeros(&[h, w])?;
    let mut largest = 0.0f32;
    for (heat, pixel) in heat.data_mut().iter_mut().zip(map.chunks_exact(channels)) {
        elementwise::mul(isa, pixel, &weights, &mut products)?;
        *heat = (sign * reduce::sum(isa, &products)).max(0.0);
        largest = largest.max(*heat);
    }
    if largest > 0.0 {
        heat.data_mut().iter_mut().for_each(|heat| *heat /= largest);
    }
    Ok(heat)
}
